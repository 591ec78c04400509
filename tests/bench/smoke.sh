#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The fear: the bench prints rows without measuring them, or leaves mounts behind.
# usage: smoke.sh SOURCE-ROOT BUILD-ROOT
set -u

root=$1
build=$2

if [ "$(id -u)" != 0 ]; then
	echo "SKIP: the bench needs root"
	exit 77
fi
if [ ! -c /dev/fuse ]; then
	echo "SKIP: there is no /dev/fuse"
	exit 77
fi

tmp=$(mktemp -d) || exit 1
failed=0
# A number that is not zero.
n='[0-9.]*[1-9][0-9.]*'

# bench OPTION...: what it prints, in $out; fails if anything, a mount above all, is left behind
bench() {
	out=$(TMPDIR=$tmp DLOCK_BUILD=$build "$root/scripts/bench" --json "$@") || {
		echo "FAIL: scripts/bench $* ended with $?"
		failed=1
	}
	echo "$out"
	rmdir "$tmp" || {
		echo "FAIL: scripts/bench $* did not clean up"
		exit 1
	}
	mkdir "$tmp"
}

# has WHAT PATTERN: a line of $out
has() {
	grep -Eq "^\{$2\}\$" <<<"$out" || {
		echo "FAIL: no figures for $1"
		failed=1
	}
}

figures="\"pairs_per_s\":$n,\"p50_us\":$n,\"p99_us\":$n"
trips=",\"p50_round_trips\":$n"

bench --no-dlock --rounds 1 --seconds 0.2
for row in flock open_flock_close excl_close_unlink fcntl many; do
	for target in tmpfs null; do
		has "$row on $target" \
			"\"row\":\"$row\",\"target\":\"$target\",$figures,\"ratio_to_null\":$n"
	done
done
for row in handover contended; do
	has "$row on null" "\"row\":\"$row\",\"target\":\"null\",$figures,\"ratio_to_null\":$n$trips"
	has "nng beside $row" "\"row\":\"$row\",\"target\":\"nng\",$figures"
done
has "handover on tmpfs" \
	"\"row\":\"handover\",\"target\":\"tmpfs\",$figures,\"ratio_to_null\":$n$trips"

# Longer than the quarter of a lease after which each renews.
bench --sessions 20 --span 3
has sessions "\"row\":\"sessions\",\"sessions\":20,\"seconds\":3.[0-9],\"renewals_per_s\":$n,\"percent_of_core\":$n"

bench --memory 2000
has memory "\"row\":\"memory\",\"names\":2000,\"bytes_per_name\":$n,\"bytes_per_name_reclaimed\":$n"

bench --requests
some='[^}]*'
# How many messages they cost is the node's affair, and may be none.
messages='"to_master":[0-9.]+,"from_master":[0-9.]+'
for pattern in 'flock_program",.*"RELEASE":1.00,"SETLKW":1.00' 'flock",.*"SETLKW":2.00' \
	'excl_close_unlink",.*"CREATE":1.00,.*"RELEASE":1.00,"UNLINK":1.00' \
	'fcntl",.*"SETLK":1.00,"SETLKW":1.00'; do
	has "requests of ${pattern%%\"*}" \
		"\"row\":\"requests\",\"operation\":\"$pattern$some\},$messages"
done

rmdir "$tmp"
exit $failed
