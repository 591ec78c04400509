#!/bin/bash
# SPDX-License-Identifier: MIT
# How a mount begins and ends (contract 7), and that a clean end frees at once (contract 4.1): the
# lease is too long to be waited for.
. "$(dirname "$0")/lib.sh"

LEASE=300
setup
master_start
node_start a

# background NAME [ARGUMENT...]: mounts as a user would, its daemon's number in DAEMON
background() {
	local name=$1
	shift
	mkdir -p "$T/$name"
	# Returns only when nobody has this pipe open any longer: a daemon must let go of it.
	SAID=$(timeout -k 5 "$PATIENCE" "$DLOCKFS" "$URL" "$T/$name" -o "node=$name" "$@" 2>&1) ||
		fail "status $?: $SAID"
	DAEMON=$(pgrep -f -- "^$DLOCKFS $URL $T/$name") || fail "no daemon"
	record "$DAEMON"
}

case_the_command_returns_before_the_mount_serves() {
	background early
	# Not a moment later: at once.
	flock -n "$T/early/file" true || fail "it does not serve yet"
	[ -e "$T/a/file" ] || fail "a does not see it"
	[ "$(readlink "/proc/$DAEMON/cwd")" = / ] || fail "it stays in $(readlink "/proc/$DAEMON/cwd")"
	[ "$(readlink "/proc/$DAEMON/fd/2")" = /dev/null ] || fail "it keeps the terminal"
	[ "$(ps -o sid= -p "$DAEMON" | tr -d ' ')" = "$DAEMON" ] || fail "it stays in our session"
	umount "$T/early" || fail "umount"
	wait_until gone "$DAEMON" || fail "it does not end with the mount"
}

case_a_relative_mountpoint_is_lost() {
	mkdir "$T/relative"
	(cd "$T" && "$DLOCKFS" "$URL" relative -o node=relative) 2>"$T/said" ||
		fail "status $?: $(cat "$T/said")"
	DAEMON=$(pgrep -f -- "^$DLOCKFS $URL relative")
	record "$DAEMON"
	flock -n "$T/relative/file" true || fail "it does not serve"
	umount "$T/relative" || fail "umount"
	wait_until gone "$DAEMON" || fail "it does not end with the mount"
}

case_a_command_that_was_killed_mounts_later() {
	local waiting=ipc://$T/nobody.sock
	mkdir "$T/later"
	launch later "$DLOCKFS" "$waiting" "$T/later" -o node=later,timeo=600
	wait_until eval '[ "$(pgrep -fc -- "$waiting")" = 2 ]' || fail "no daemon"
	for DAEMON in $(pgrep -f -- "$waiting"); do
		record "$DAEMON"
	done
	kill -TERM "$PID"
	wait_until eval '! pgrep -f -- "$waiting" >/dev/null' || fail "its daemon still tries"
}

# holds NODE FILE: the client p holds a name and a lock there, q on a waits for the lock
holds() {
	client p && client q
	want ok p open 0 bc "$T/$1/$2"
	want ok p flock 0 ex
	want ok p open 1 bcx "$T/$1/$2.held"
	want ok q open 0 b "$T/a/$2"
	send q flock 0 ex
	waits q a
}

case_an_unmounted_nodes_locks_stay() {
	node_start leaving
	(set -C && : >"$T/leaving/left.held") || fail "cannot create"
	clock
	local left=$NOW
	umount "$T/leaving" || fail "umount"
	wait_until [ ! -e "$T/a/left.held" ] || fail "the held name stays"
	clock
	note "umount to its held file's end elsewhere: $((NOW - left)) ms"
	wait_until gone "$(pid_of leaving)" || fail "the daemon does not end"
}

ended_by() {
	node_start "by$1"
	holds "by$1" "ended$1"
	clock
	kill "-$1" "$(pid_of "by$1")"
	granted q
	note "SIG$1 of the daemon to the next grant: $((TO - NOW)) ms"
	wait_until [ ! -e "$T/a/ended$1.held" ] || fail "the held name stays"
	wait_until gone "$(pid_of "by$1")" || fail "the daemon does not end"
	! mounted "by$1" || fail "the mount is left"
	want ENOTCONN p read 0
}

case_a_terminated_daemon_leaves_locks_or_its_mount() {
	ended_by TERM
	ended_by INT
	ended_by HUP
}

# umount -l: the mount goes on for those who have it open, and ends with the last of them.
case_a_lazy_umount_takes_a_lock_away() {
	node_start lazy
	holds lazy lazily
	umount -l "$T/lazy"
	want ok p read 0
	silent q || fail "q has the lock"
	want ok p close 1
	want ok p close 0
	granted q
	wait_until gone "$(pid_of lazy)" || fail "the daemon does not end"
}

case_a_name_cannot_be_used_again() {
	local i
	for i in 1 2 3; do
		node_start again
		(set -C && : >"$T/again/once") || fail "round $i: cannot create"
		node_stop again
		[ ! -e "$T/a/once" ] || fail "round $i: the held name stays after the daemon's end"
	done
}

run_cases
