#!/bin/bash
# SPDX-License-Identifier: MIT
# A master's port is open to all who reach it: what is no node's must cost nobody a lock.
. "$(dirname "$0")/lib.sh"

setup
PORT=$("$LOCKER" port)
URL=tcp://127.0.0.1:$PORT
master_start
node_start a
node_start b

# The master lives, a lock that was held is held, and new ones are granted.
locks_go_on() {
	alive "$(pid_of master)" || fail "the master has ended: $(tail -1 "$T/log/master")"
	want EAGAIN q flock 0 ex nb
	timeout "$PATIENCE" flock "$T/a/new" true || fail "no new lock on a"
	timeout "$PATIENCE" flock "$T/b/new" true || fail "no new lock on b"
	want ok p read 0
}

holder() {
	client p && client q
	want ok p open 0 bc "$T/a/$1"
	want ok p flock 0 ex
	want ok q open 0 b "$T/b/$1"
}

# stranger WHAT [COUNT]: comes and goes, and the holder holds on, during and after
stranger() {
	holder "$1"
	timeout -k 5 "$PATIENCE" "$STRANGER" "$PORT" "$@" >/dev/null 2>"$T/said" &
	local pid=$!
	locks_go_on
	wait $pid || fail "the stranger: $(cat "$T/said")"
	locks_go_on
}

# stays WHAT [COUNT]: connections that are kept
stays() {
	holder "$1"
	launch stranger "$STRANGER" "$PORT" "$@"
	[ "$1" != crowd ] || wait_until grep -q held "$T/log/stranger" || fail "no crowd"
	locks_go_on
	kill -KILL $PID
	wait_until gone $PID
	locks_go_on
}

case_noise_ends_the_master() {
	stranger noise
}

case_half_a_greeting_blocks_the_master() {
	stays greeting
}

case_a_huge_length_takes_all_memory() {
	stranger length
	local peak
	peak=$(awk '/VmHWM/ { print $2 }' "/proc/$(pid_of master)/status")
	note "the master's memory at its peak: $((peak / 1024)) MiB"
	[ "$peak" -lt $((1 << 20)) ] || fail "$peak KiB"
}

case_an_oversized_message_ends_the_master() {
	stranger big
}

case_random_packets_are_believed() {
	stranger packets
}

case_a_flood_of_connections_starves_the_nodes() {
	stranger flood 3000
}

case_a_crowd_of_connections_keeps_the_nodes_out() {
	stays crowd 900
}

# A node that comes while the strangers are there is a node all the same.
case_a_new_node_cannot_join_among_strangers() {
	launch stranger "$STRANGER" "$PORT" crowd 200
	node_start c
	flock -n "$T/c/file" true || fail "it does not serve"
	node_stop c
}

case_strangers_fill_the_log() {
	local lines
	lines=$(grep -c dropped "$T/log/master")
	[ "$lines" = 1 ] || fail "$lines lines: $(grep dropped "$T/log/master" | head -5)"
	! grep 'was silent' "$T/log/master" || fail "a node was cut off"
}

run_cases
