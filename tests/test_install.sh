#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The fear: "meson install" leaves something out, or puts it where nobody looks.
# usage: test_install.sh BUILD-DIR PREFIX SBINDIR HELPER-DIR
set -u
export LC_ALL=C

build=$1
prefix=$2
sbin=$prefix/$3
helpers=$4
failed=0

fail() {
	echo "FAIL: $*"
	failed=1
}

top=$(mktemp -d /tmp/dlock-install.XXXXXX) || exit 1
trap 'rm -rf "$top"' EXIT

DESTDIR=$top/root meson install -C "$build" --no-rebuild >"$top/log" 2>&1 || {
	cat "$top/log"
	exit 1
}
at() {
	echo "$top/root$1"
}

# there FILE...: each is, and is not empty
there() {
	local file
	for file; do
		[ -s "$(at "$file")" ] || fail "$file is not installed"
	done
}

there "$sbin/dlockfs" "$sbin/dlock-master" \
	"$prefix"/share/man/man1/dlock.1 "$prefix"/share/man/man7/dlock.7 \
	"$prefix"/share/man/man8/{dlockfs,dlock-master,mount.dlock}.8 \
	"$prefix"/lib/systemd/system/dlock-master.service \
	"$prefix"/lib/sysusers.d/dlock.conf "$prefix"/lib/tmpfiles.d/dlock.conf \
	"$prefix"/share/doc/dlock/examples/{mnt-dlock.mount,dlock-master.default}

# They run, from where they are, by the names they have.
[ "$("$(at "$sbin/dlockfs")" --version)" != "" ] || fail "dlockfs does not run"
[ "$("$(at "$sbin/dlock-master")" --version)" != "" ] || fail "dlock-master does not run"
for name in mount.dlock mount.fuse.dlock; do
	link=$(readlink "$(at "$helpers/$name")") || fail "no $helpers/$name"
	[ "$link" = "$sbin/dlockfs" ] || fail "$helpers/$name leads to $link"
done

# The unit starts what was installed.
unit=$(at "$prefix/lib/systemd/system/dlock-master.service")
started=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$unit")
there "$started"

# systemd understands the units. It looks for the programs, so they are named where they are now.
verify() {
	local name
	name=$(basename "$1")
	sed "s,^ExecStart=$started,ExecStart=$(at "$started")," "$1" >"$top/$name"
	systemd-analyze verify --man=no --recursive-errors=no "$top/$name" >"$top/said" 2>&1 ||
		fail "$name: $(cat "$top/said")"
	[ ! -s "$top/said" ] || fail "$name: $(cat "$top/said")"
}
if command -v systemd-analyze >/dev/null; then
	verify "$unit"
	verify "$(at "$prefix/share/doc/dlock/examples/mnt-dlock.mount")"
else
	echo "there is no systemd-analyze: the units are not verified"
fi

# A user of its own, and the options of the sample are understood.
grep -q '^u dlock ' "$(at "$prefix/lib/sysusers.d/dlock.conf")" || fail "no user dlock"
[ "$(sed -n 's/^User=//p' "$unit")" = dlock ] || fail "the unit's user is another"
options=$(sed -n 's/^#DLOCK_MASTER_OPTIONS="\(.*\)"$/\1/p' \
	"$(at "$prefix/share/doc/dlock/examples/dlock-master.default")")
[ -n "$options" ] || fail "the sample has no options"
# shellcheck disable=SC2086
"$(at "$started")" $options --help >/dev/null || fail "the master does not know $options"
exit $failed
