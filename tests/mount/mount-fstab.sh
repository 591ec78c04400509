#!/bin/bash
# SPDX-License-Identifier: MIT
# Mounting as people do: mount(8), /etc/fstab, automounts, and one command after a crash.
. "$(dirname "$0")/lib.sh"

LEASE=3
setup
# It puts files of its own over those of /etc and /sbin.
[ -n "${MOUNT_TEST_NAMESPACE:-}" ] || skip "there is no mount namespace of its own (a chroot?)"

# As "meson install" would leave it: mount(8) looks in /sbin alone.
install_helper() {
	local file
	mkdir "$T/sbin" "$T/sbin.was"
	mount --bind "$(realpath /sbin)" "$T/sbin.was" || skip "/sbin cannot be mounted elsewhere"
	for file in "$T"/sbin.was/*; do
		ln -s "$file" "$T/sbin/"
	done
	ln -s "$DLOCKFS" "$T/sbin/mount.dlock"
	ln -s "$DLOCKFS" "$T/sbin/mount.fuse.dlock"
	mount --bind "$T/sbin" "$(realpath /sbin)" || skip "nothing can be mounted at /sbin"
	[ -e /etc/fstab ] || skip "there is no /etc/fstab to put one over"
	: >"$T/fstab"
	mount --bind "$T/fstab" /etc/fstab || skip "nothing can be mounted at /etc/fstab"
}

install_helper
master_start
node_start a

# daemon NAME: the number of the daemon whose mount is $T/NAME, in DAEMON
daemon() {
	DAEMON=$(pgrep -f -- "^[^ ]*mount[.a-z]*dlock .*$T/$1( |\$)") || fail "no daemon of $1"
	record "$DAEMON"
}

# fstab LINE...: all of it
fstab() {
	printf '%s\n' "$@" >"$T/fstab"
}

# layers NAME: how many mounts are at $T/NAME, one above the other
layers() {
	grep -c " $T/$1 " /proc/self/mountinfo
}

# quietly COMMAND...: it succeeds and says nothing
quietly() {
	timeout -k 5 "$PATIENCE" "$@" >"$T/said" 2>&1 </dev/null || fail "$*: status $?: $(cat "$T/said")"
	[ ! -s "$T/said" ] || fail "$*: says $(cat "$T/said")"
}

# refused STATUS WORDS COMMAND...
refused() {
	local want=$1 words=$2 status
	shift 2
	timeout -k 5 "$PATIENCE" "$@" >"$T/said" 2>&1 </dev/null
	status=$?
	[ $status = "$want" ] || fail "$*: status $status, not $want: $(cat "$T/said")"
	[ "$(wc -l <"$T/said")" = 1 ] || fail "$*: not one line: $(cat "$T/said")"
	grep -q -- "$words" "$T/said" || fail "$*: does not say $words: $(cat "$T/said")"
}

# unmounted NAME: by umount(8), and its daemon ends
unmounted() {
	daemon "$1"
	quietly umount "$T/$1"
	wait_until gone "$DAEMON" || fail "the daemon of $1 does not end"
}

case_an_fstab_line_of_systemds_is_refused_or_mounted_twice() {
	mkdir "$T/f"
	fstab "$URL $T/f dlock _netdev,nofail,noatime,x-systemd.automount,x-systemd.requires=net.target,node=f 0 0"
	quietly mount -a
	flock -n "$T/f/file" true || fail "it does not serve"
	[ -e "$T/a/file" ] || fail "it is no mount of this cluster"
	quietly mount -a
	[ "$(layers f)" = 1 ] || fail "$(layers f) mounts"
	[ "$(findmnt -no SOURCE,FSTYPE "$T/f" | tr -s ' ')" = "$URL fuse.dlock" ] ||
		fail "findmnt: $(findmnt "$T/f")"
	unmounted f
	# Once more, now by its directory alone.
	quietly mount "$T/f"
	unmounted f
}

case_options_of_fstab_are_refused() {
	mkdir "$T/o"
	fstab "$URL $T/o dlock defaults,noauto,user,owner,group,comment=x,X-mine=y,relatime,rw,nosuid,nodev,lazytime,node=o 0 0"
	quietly mount -a
	[ "$(layers o)" = 0 ] || fail "noauto is mounted"
	quietly mount "$T/o"
	grep " $T/o " /proc/self/mountinfo | grep -q nosuid || fail "nosuid is lost"
	unmounted o
}

case_a_comma_between_masters_splits_the_line() {
	local both=ipc://$T/none.sock,$URL
	mkdir "$T/c"
	fstab "$both $T/c dlock nofail,node=c 0 0"
	quietly mount -a
	[ "$(findmnt -no SOURCE "$T/c")" = "$both" ] || fail "findmnt: $(findmnt "$T/c")"
	quietly mount -a
	[ "$(layers c)" = 1 ] || fail "$(layers c) mounts"
	unmounted c
}

case_mount_by_hand() {
	mkdir "$T/h"
	quietly mount -t dlock "$URL" "$T/h" -o node=h
	unmounted h
	# The type as it is shown, which people copy.
	quietly mount -t fuse.dlock "$URL" "$T/h" -o node=h
	unmounted h
	mount -v -t dlock "$URL" "$T/h" -o node=h >"$T/said" 2>&1 || fail "mount -v"
	grep -q "$T/h serves the locks of $URL as node h" "$T/said" || fail "-v: $(cat "$T/said")"
	unmounted h
	quietly mount -f -t dlock "$URL" "$T/h" -o node=h
	[ "$(layers h)" = 0 ] || fail "-f mounts"
	quietly mount -n -s -t dlock "$URL" "$T/h" -o node=h,nonsense=1
	unmounted h
}

case_what_cannot_be_mounted_is_not_said_in_one_line() {
	mkdir "$T/bad"
	refused 64 nonsense mount -t dlock "$URL" "$T/bad" -o nonsense
	refused 64 'umount it and mount it again' mount.dlock "$URL" "$T/bad" -o remount,rw
	refused 64 'umount it and mount it again' mount -o remount,ro "$T/a"
	refused 64 'neither tcp' mount -t dlock nonsense "$T/bad"
	refused 64 'only dlock' mount.dlock "$URL" "$T/bad" -t nfs
	refused 64 nsenter mount.dlock -N /proc/self/ns/mnt "$URL" "$T/bad"
	refused 64 extra mount.dlock "$URL" "$T/bad" extra
	refused 64 'both are needed' mount.dlock "$URL"
	refused 32 'no such directory' mount.dlock "$URL" "$T/bad/none"
	refused 32 'no master answers' mount -t dlock "ipc://$T/none.sock" "$T/bad" -o timeo=0.2
	refused 32 'mounted there already' mount.dlock "$URL" "$T/a" -o node=bad
	[ "$(layers bad)" = 0 ] || fail "it is mounted"
	[ "$(layers a)" = 1 ] || fail "the mount of a is gone"
}

case_help_and_version() {
	mount.dlock --help | grep -q '^Usage: mount.dlock ' || fail help
	mount.dlock --version | grep -qx 'mount.dlock [0-9.]*' || fail version
}

# is_in PID DIRECTORY
is_in() {
	[ "$(readlink "/proc/$1/cwd")" = "$2" ]
}

# dead NAME: mounted by its line of fstab, and its daemon killed; a shell is still in it
dead() {
	mkdir -p "$T/$1"
	: >"$T/$1/underneath"
	fstab "$URL $T/$1 dlock node=$1,timeo=60 0 0"
	quietly mount "$T/$1"
	daemon "$1"
	(cd "$T/$1" && exec sleep 1000) &
	SLEEPER=$!
	wait_until is_in "$SLEEPER" "$T/$1" || fail "no shell in it"
	record $SLEEPER
	CLIENTS+=("$SLEEPER")
	kill -KILL "$DAEMON"
	wait_until gone "$DAEMON" || fail "it cannot be killed"
}

case_a_crashed_daemons_mount_takes_more_than_one_command() {
	dead crashed
	# Nothing in its way: not the dead mount, not the shell in it, not the node's last session.
	timeout -k 5 "$PATIENCE" mount "$T/crashed" >"$T/said" 2>&1 || fail "$(cat "$T/said")"
	flock -n "$T/crashed/file" true || fail "it does not serve"
	[ -e "$T/a/file" ] || fail "it is no mount of this cluster"
	[ "$(layers crashed)" = 1 ] || fail "$(layers crashed) mounts"
	grep -q 'a dlockfs that has died' "$T/said" || fail "it does not say so: $(cat "$T/said")"
	[ "$(wc -l <"$T/said")" = 1 ] || fail "more than a line: $(cat "$T/said")"
	unmounted crashed
}

case_mount_a_leaves_a_dead_mount_or_umount_does() {
	dead again
	kill -KILL $SLEEPER
	wait $SLEEPER
	quietly umount "$T/again"
	quietly mount -a
	unmounted again
}

# looks_for_master NAME: the daemon that is to be has begun with its connections, which have threads
looks_for_master() {
	local pid
	for pid in $(pgrep -f -- "^[^ ]*mount.dlock .*$T/$1"); do
		record "$pid"
		[ "$(ls "/proc/$pid/task" 2>/dev/null | wc -l)" -le 1 ] || return 0
	done
	return 1
}

# While the new daemon waits for a session, a lock on the directory below would shut out nobody.
case_programs_lock_the_directory_below_meanwhile() {
	dead below
	kill -STOP "$(pid_of master)"
	mount "$T/below" >"$T/said" 2>&1 &
	record $!
	wait_until looks_for_master below || fail "it does not look for the master"
	! (: >"$T/below/lock") 2>/dev/null || fail "a file was made below the dead mount"
	[ ! -e "$T/below/underneath" ] || fail "the directory below is seen"
	kill -CONT "$(pid_of master)"
	wait $! || fail "mount: $(cat "$T/said")"
	[ ! -e "$T/below/underneath" ] || fail "it is not mounted"
	unmounted below
}

case_a_dead_mount_of_somebody_else_is_taken_away() {
	local pid
	mkdir "$T/other"
	launch other "$NULLFS" -f "$T/other"
	pid=$PID
	wait_until eval '[ "$(layers other)" = 1 ]' || fail "no mount: $(cat "$T/log/other")"
	stat "$T/other" >/dev/null || fail "it does not serve"
	kill -KILL "$pid"
	wait_until gone "$pid"
	refused 32 "none of dlock, is in the way" mount.dlock "$URL" "$T/other" -o node=other
	[ "$(layers other)" = 1 ] || fail "it is gone"
	umount "$T/other"
}

case_an_automount_waits_for_its_own_daemon_for_ever() {
	local pid
	grep -qw autofs /proc/filesystems || {
		note "left out: this kernel has no autofs"
		return
	}
	mkdir "$T/auto"
	launch automount python3 "$(dirname "$0")/automount.py" "$T/auto" \
		mount -t dlock "$URL" "$T/auto" -o node=auto,x-systemd.automount
	wait_until grep -q ready "$T/log/automount" || fail "no automount: $(cat "$T/log/automount")"
	timeout -k 5 "$PATIENCE" flock -n "$T/auto/file" true || {
		for pid in $(pgrep -f -- "$T/auto"); do record "$pid"; done
		fail "it hangs: $(cat "$T/log/automount")"
	}
	[ -e "$T/a/file" ] || fail "it is no mount of this cluster"
	[ "$(layers auto)" = 2 ] || fail "$(layers auto) mounts, not the trap and ours"
	daemon auto
	[ "$(ps -o sid= -p "$DAEMON" | tr -d ' ')" = "$DAEMON" ] || fail "it stays in the session"
	unmounted auto
}

run_cases
