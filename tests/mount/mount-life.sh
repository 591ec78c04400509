#!/bin/bash
# SPDX-License-Identifier: MIT
# How long a file lives where nodes die and nobody cleans up (contract 4).
. "$(dirname "$0")/lib.sh"

LEASE=2
IDLE=2
setup
master_start
node_start a idle=$IDLE
node_start b idle=$IDLE

gone_on() {
	[ ! -e "$T/$1/$2" ]
}

# outlives NODE FILE MS: FILE goes, and not before MS milliseconds boot time
outlives() {
	local limit=$((SECONDS + PATIENCE))
	while [ -e "$T/$1/$2" ]; do
		[ $SECONDS -lt $limit ] || fail "$2 never goes"
		sleep 0.02
	done
	clock
	[ "$NOW" -ge "$3" ] || fail "$2 went $(($3 - NOW)) ms too early"
}

# How long after its node's death a held file was seen to go, ms, in LIVED.
kill_a_holder() {
	local killed
	node_start dying
	(set -C && : >"$T/dying/held") || fail "cannot create"
	[ -e "$T/a/held" ] || fail "a does not see it"
	clock
	killed=$NOW
	crash dying
	wait_until gone_on a held || fail "it stays after its node's death"
	clock
	LIVED=$((NOW - killed))
	gone_on b held || fail "b still sees it"
}

# The lease ran from some renewal before the death; where the machine is busy that may have been
# long before, so one round of three that took half a lease is taken for a lease that was waited for.
case_a_dead_nodes_file_stays_or_goes_before_its_lease() {
	local round
	for round in 1 2 3; do
		kill_a_holder
		note "node death to its file's end: $LIVED ms, lease $LEASE s"
		[ $LIVED -lt $((LEASE * 500)) ] || return 0
	done
	fail "gone after $LIVED ms"
}

case_a_dead_nodes_file_is_not_gone_for_those_who_have_it_open() {
	client p
	node_start dying
	(set -C && echo pid >"$T/dying/opened") || fail "cannot create"
	want ok p open 0 b "$T/a/opened"
	crash dying
	wait_until gone_on b opened || fail "it stays"
	want ok p fstat 0
	[ "${V%% *}" = 0 ] || fail "nlink is ${V%% *}"
	want ok p read 0
	[ "$V" = pid ] || fail "reads $V"
	want ok p pwrite 0 0 still
}

case_an_idle_file_goes_too_early_or_never() {
	clock
	echo text >"$T/a/idle"
	outlives b idle $((NOW + IDLE * 1000))
	clock
	gone_on a idle || fail "a still has it"
}

# stat is not a use, open is
case_using_a_file_does_not_keep_it() {
	clock
	: >"$T/a/used"
	sleep 1
	clock
	: <"$T/b/used" || return 0
	outlives a used $((NOW + IDLE * 1000))
}

case_touch_does_not_prolong() {
	: >"$T/a/touched"
	sleep 1
	clock
	touch -c "$T/b/touched"
	[ -e "$T/a/touched" ] || return 0
	outlives a touched $((NOW + IDLE * 1000))
}

case_a_file_in_use_or_held_goes_when_idle_is_over() {
	client p && client q
	want ok p open 0 bc "$T/a/open"
	want ok q open 0 bc "$T/b/locked"
	want ok q flock 0 ex
	(set -C && : >"$T/a/held") || fail "cannot create"
	sleep $((IDLE * 2 + 1))
	[ -e "$T/b/open" ] || fail "the open one is gone"
	[ -e "$T/a/locked" ] || fail "the locked one is gone"
	[ -e "$T/b/held" ] || fail "the held one is gone"
	rm "$T/b/held"
	clock
	want ok p close 0
	outlives b open $((NOW + IDLE * 1000))
}

case_what_a_dead_node_used_stays() {
	local killed
	node_start dying idle=$IDLE
	client p
	want ok p open 0 bc "$T/dying/abandoned"
	want ok p flock 0 ex
	clock
	killed=$NOW
	crash dying
	flock "$T/a/abandoned" true || fail "flock"
	clock
	note "node death to the next grant: $((NOW - killed)) ms, lease $LEASE s"
	wait_until gone_on b abandoned || fail "it stays"
}

case_users_of_a_dead_daemon_hang() {
	client p
	node_start dying
	want ok p open 0 bc "$T/dying/file"
	kill -KILL "$(pid_of dying)"
	wait_until gone "$(pid_of dying)"
	want ENOTCONN p read 0
	want ENOTCONN p flock 0 ex
	want ENOTCONN p open 1 bc "$T/dying/other"
	umount -l "$T/dying"
}

run_cases
