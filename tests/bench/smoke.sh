#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The fear: the bench prints rows without measuring them, or leaves mounts behind.
# usage: smoke.sh SOURCE-ROOT BUILD-ROOT
set -u

if [ "$(id -u)" != 0 ]; then
	echo "SKIP: the bench needs root"
	exit 77
fi
if [ ! -c /dev/fuse ]; then
	echo "SKIP: there is no /dev/fuse"
	exit 77
fi

tmp=$(mktemp -d) || exit 1
out=$(TMPDIR=$tmp DLOCK_BUILD=$2 "$1/scripts/bench" --no-dlock --json --rounds 1 --seconds 0.2) || {
	echo "FAIL: scripts/bench ended with $?"
	exit 1
}
echo "$out"

failed=0
# Fails if anything, a mount above all, is left in it.
if ! rmdir "$tmp"; then
	echo "FAIL: the bench did not clean up"
	failed=1
fi
for row in flock open_flock_close excl_close_unlink fcntl handover; do
	for target in tmpfs null; do
		line=$(grep "^{\"row\":\"$row\",\"target\":\"$target\"," <<<"$out")
		# A rate, quantiles and a ratio that are numbers and not all zeroes.
		n='[0-9.]*[1-9][0-9.]*'
		if ! grep -Eq "\"pairs_per_s\":$n,\"p50_us\":$n,\"p99_us\":$n,\"ratio_to_null\":$n\}\$" \
			<<<"$line"; then
			echo "FAIL: no figures for $row on $target"
			failed=1
		fi
	done
done
exit $failed
