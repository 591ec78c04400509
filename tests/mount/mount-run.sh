#!/bin/bash
# SPDX-License-Identifier: MIT
# "dlock run" on real mounts: nobody else has the lock before the command has stopped, whatever fails
# (contract 7), and nothing is left behind.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/dlock.sh"

LEASE=4
setup
master_start
node_start a
node_start b

# next_on_b NAME FILE: who waits there, and acts as soon as it has the lock
next_on_b() {
	begin next b run "$1" -- "${ACTS[@]}" "$2"
	wait_until queued b "$1" 1 || fail "nobody waits"
}

case_two_nodes_are_in() {
	local i
	# shellcheck disable=SC2016
	for i in 0 1 2 3 4 5; do
		begin "r$i" "$([ $((i % 2)) = 0 ] && echo a || echo b)" run both -- \
			bash -c 'mkdir "$0" || exit 9; sleep 0.1; rmdir "$0"; echo $DLOCK_TOKEN' "$T/in"
	done
	for i in 0 1 2 3 4 5; do
		ends "r$i" 0
	done
	[ "$(cat "$T"/r?.out | sort -un | wc -l)" = 6 ] || fail "tokens: $(cat "$T"/r?.out)"
}

case_the_lock_is_not_free_when_it_returns() {
	local i
	for ((i = 0; i < 30; i++)); do
		on a run -n loop -- true || fail "at a: $?"
		on b run -n loop -- true || fail "at b: $?"
	done
}

case_a_token_is_not_ours() {
	# shellcheck disable=SC2016
	on a run token -- bash -c \
		'[ $DLOCK_TOKEN = "$(getfattr --only-values -n user.dlock.token "$0")" ]' "$T/b/token" ||
		fail "it is another"
}

case_dlock_is_killed_and_cmd_goes_on_without_the_lock() {
	local pid
	begin first a run killed -- "${STUBBORN[@]}" "$T/k1"
	wait_until lines "$T/k1" 1
	pid=$(cat "$T/k1.pid")
	next_on_b killed "$T/k2"
	kill -KILL "$(run_of first)"
	wait_until lines "$T/k2" 1 || fail "the next does not get it"
	gone "$pid" || fail "CMD goes on"
	acted_before "$T/k1" "$T/k2"
	kill -TERM "$(run_of next)"
	ends next $((128 + 15))
}

# As a node that hangs: nothing on it can renew the lease or answer.
case_a_daemon_that_hangs_is_waited_for() {
	local pid guard
	begin first a run hung -- "${STUBBORN[@]}" "$T/h1"
	wait_until lines "$T/h1" 1
	pid=$(cat "$T/h1.pid")
	guard=$(guard_of first)
	next_on_b hung "$T/h2"
	kill -STOP "$(pid_of a)"
	ends first 75
	wait_until lines "$T/h2" 1 || fail "the next does not get it"
	acted_before "$T/h1" "$T/h2"
	kill -CONT "$(pid_of a)"
	wait_until gone "$pid" || fail "CMD is left"
	wait_until gone "$guard" || fail "the guard is left"
	kill -TERM "$(run_of next)"
	ends next $((128 + 15))
}

case_a_daemon_that_dies_is_believed_in() {
	begin first a run dead -- "${STUBBORN[@]}" "$T/d1"
	wait_until lines "$T/d1" 1
	next_on_b dead "$T/d2"
	kill -KILL "$(pid_of a)"
	ends first 75
	wait_until lines "$T/d2" 1 || fail "the next does not get it"
	acted_before "$T/d1" "$T/d2"
	umount -l "$T/a"
	kill -TERM "$(run_of next)"
	ends next $((128 + 15))
	node_start a
}

case_a_silent_master_is_waited_for() {
	local term
	# shellcheck disable=SC2016
	begin first a run silent -- bash -c 'trap "read -r at r </proc/uptime; echo \$at >$0.term" TERM
		echo >"$0"; while :; do sleep 0.02; done' "$T/s1"
	wait_until lines "$T/s1" 1
	kill -STOP "$(pid_of master)"
	ends first 75
	[ -s "$T/s1.term" ] || fail "no SIGTERM came first"
	kill -CONT "$(pid_of master)"
	grep -q "no master has renewed the lease in time" "$T/first.err" || fail "$(cat "$T/first.err")"
	wait_until on b run -w 20 silent -- true || fail "it is not free"
}

case_a_short_silence_stops_cmd() {
	begin first a run short -- "${ACTS[@]}" "$T/short"
	wait_until lines "$T/short" 1
	master_restart
	wait_until on b ls >/dev/null || fail "the master does not come back"
	alive "$(cat "$T/short.pid")" || fail "CMD was stopped: $(cat "$T/first.err")"
	kill -TERM "$(run_of first)"
	ends first $((128 + 15))
}

case_a_broken_lock_is_held_on() {
	begin first a run broken -- "${STUBBORN[@]}" "$T/b1"
	wait_until lines "$T/b1" 1
	next_on_b broken "$T/b2"
	on b break broken || fail "break: $?"
	ends first 75
	grep -q "it was broken" "$T/first.err" || fail "$(cat "$T/first.err")"
	wait_until lines "$T/b2" 1 || fail "the next does not get it"
	acted_before "$T/b1" "$T/b2"
	kill -TERM "$(run_of next)"
	ends next $((128 + 15))
}

case_a_waiter_cannot_be_ended_without_a_master() {
	client h
	want ok h open 0 bc "$T/b/stuck"
	want ok h flock 0 ex
	begin first a run stuck -- touch "$T/ran"
	wait_until queued b stuck 1 || fail "it does not wait"
	kill -STOP "$(pid_of master)"
	kill -TERM "$(run_of first)"
	ends first $((128 + 15))
	kill -CONT "$(pid_of master)"
	wait_until queued b stuck 0 || fail "it is left in the queue"
	[ ! -e "$T/ran" ] || fail "it ran"
}

case_a_directory_is_locked() {
	mkdir "$T/a/dir"
	begin first a run dir -- true
	ends first 66
	rmdir "$T/a/dir"
}

case_onloss_kill_and_dlock_are_in_each_others_way() {
	node_start k onloss=kill
	begin first k run fenced -- "${STUBBORN[@]}" "$T/f1"
	wait_until lines "$T/f1" 1
	next_on_b fenced "$T/f2"
	kill -STOP "$(pid_of k)"
	ends first 75
	wait_until lines "$T/f2" 1 || fail "the next does not get it"
	acted_before "$T/f1" "$T/f2"
	kill -CONT "$(pid_of k)"
	kill -TERM "$(run_of next)"
	ends next $((128 + 15))
}

run_cases
