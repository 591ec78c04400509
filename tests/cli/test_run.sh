#!/bin/bash
# SPDX-License-Identifier: MIT
# What "dlock run" does with its command when it ends, is signalled, is killed, or loses its lock.
# usage: test_run.sh DLOCK
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2016
FAMILY='trap "" HUP INT; sleep 1000 & a=$!; setsid sleep 1001 & b=$!;
	(exec 60>&- 61>&-; exec sleep 1002) & echo $$ $a $b $! >'$T'/family; wait'

case_the_status_is_not_handed_back() {
	lease 60
	begins run job -- sh -c 'exit 7'
	ends 7
	lease 60
	begins run job -- sh -c 'kill -USR1 $$'
	ends $((128 + 10))
	lease 60
	begins run job -- "$T/none"
	ends 69
	says "$T/none: No such file"
	is_free || fail "the lock is not given back"
}

case_cmd_is_not_told_its_lock() {
	lease 60
	"$DLOCK" -m "$M" run ./../mount/job -- true 2>"$T/err"
	[ $? = 66 ] || fail "a NAME that is no name"
	# shellcheck disable=SC2016
	(cd "$M" && "$DLOCK" -m "$M" run ./job -- sh -c 'echo $DLOCK_NAME $DLOCK_TOKEN') >"$T/out"
	[ "$(cat "$T/out")" = "job 77" ] || fail "it was told $(cat "$T/out")"
}

case_somebody_has_it_and_it_runs() {
	exec {other}<"$M/job"
	flock "$other"
	begins run -n job -- touch "$T/ran"
	ends 1
	begins run -n -E 44 job -- touch "$T/ran"
	ends 44
	begins run -w 0.2 job -- touch "$T/ran"
	ends 1
	begins run -w 0 -E 3 job -- touch "$T/ran"
	ends 3
	[ ! -e "$T/ran" ] || fail "it ran"
	lease 60
	begins run job -- touch "$T/ran"
	waits
	[ "$(cat "/proc/$GUARD/comm")" = touch ] || fail "the waiter does not say what for"
	flock -u "$other"
	ends 0
	[ -e "$T/ran" ] || fail "it did not run"
}

case_shared_locks_shut_each_other_out() {
	exec {other}<"$M/job"
	flock -s "$other"
	lease 60
	begins run -s -n job -- true
	ends 0
	begins run -n job -- true
	ends 1
	flock -u "$other"
}

case_a_signal_is_not_passed_on() {
	lease 60
	# shellcheck disable=SC2016
	begins run job -- bash -c 'trap "echo usr1 >>'"$T"'/got" USR1; trap "exit 9" TERM
		echo $$ >'"$T"'/up; while :; do sleep 0.05; done'
	said up
	kill -USR1 "$F"
	wait_until [ -e "$T/got" ] || fail "SIGUSR1 is lost"
	kill -TERM "$F"
	ends 9
	all_gone "${PIDS[@]}" || fail "CMD goes on"
}

case_a_waiter_is_told_to_end_and_leaves_something() {
	exec {other}<"$M/job"
	flock "$other"
	begins run job -- touch "$T/ran"
	waits
	kill -TERM "$F"
	ends $((128 + 15))
	gone "$GUARD" || fail "its guard goes on"
	begins run job -- touch "$T/ran"
	waits
	kill -KILL "$F"
	ends $((128 + 9))
	wait_until gone "$GUARD" || fail "its guard goes on"
	flock -u "$other"
	is_free || fail "a lock is left"
	[ ! -e "$T/ran" ] || fail "it ran"
}

case_a_lease_that_nobody_renews_is_outlived() {
	lease 4
	# shellcheck disable=SC2016
	begins run job -- bash -c 'trap "cat /proc/uptime >'"$T"'/term" TERM; sleep 1000 & s=$!
		setsid sleep 1001 & t=$!; echo $$ $s $t >'"$T"'/up; while :; do sleep 0.05; done'
	said up
	! gone "${PIDS[0]}" || fail "CMD is stopped at once"
	ends 75
	says "job: the lock was lost: no master has renewed the lease in time; bash was stopped"
	wait_until all_gone "${PIDS[@]}" || fail "something of CMD goes on"
	[ -e "$T/term" ] || fail "no SIGTERM came first"
	is_free || fail "the lock is not given back"
}

# Both lines are there at once, so that no slow machine stops it.
case_a_stop_comes_though_the_lease_was_renewed() {
	lease 1000
	begins run job -- sh -c 'echo $$ >'"$T"'/up; exec sleep 2'
	said up
	say_lease "$(renewal 20 11 && renewal 1000)"
	ends 0
}

case_a_stop_that_was_survived_counts_as_a_loss() {
	lease 100
	# shellcheck disable=SC2016
	begins run job -- bash -c 'trap "echo >'"$T"'/term" TERM; echo $$ >'"$T"'/up
		until [ -e '"$T"'/go ]; do sleep 0.05; done; exit 0'
	said up
	lease 100 61 # past 60 %
	wait_until [ -e "$T/term" ] || fail "no SIGTERM"
	lease 100
	touch "$T/go"
	ends 0
}

case_a_stop_that_was_heeded_does_not() {
	lease 100
	begins run job -- sh -c 'trap "exit 3" TERM; echo $$ >'"$T"'/up; while :; do sleep 0.05; done'
	said up
	lease 100 61
	ends 75
}

case_the_session_ends_and_cmd_does_not() {
	lease 1000
	begins run job -- bash -c "$FAMILY"
	said family
	say_lease '{"lost":true}'
	ends 75
	says "the node has lost its session"
	wait_until all_gone "${PIDS[@]}" || fail "something of CMD goes on"
}

case_a_broken_lock_is_held_on() {
	lease 1000
	begins run job -- sh -c 'echo $$ >'"$T"'/up; exec sleep 1000'
	said up
	say_lease '{"broken":"76"}'
	say_lease '{"broken":"77"}'
	ends 75
	says "it was broken"
	is_free || fail "the lock is not given back"
}

case_the_lease_is_silent_and_cut_in_pieces() {
	lease 1000
	begins run job -- sh -c 'echo $$ >'"$T"'/up; exec sleep 1000'
	said up
	printf '{"lo' >&"$LEASE_FD"
	sleep 0.1
	printf 'st":true}\n' >&"$LEASE_FD"
	ends 75
}

case_dlock_is_killed_and_cmd_goes_on() {
	lease 1000
	begins run job -- bash -c "$FAMILY"
	said family
	guard_of
	kill -KILL "$F"
	ends $((128 + 9))
	wait_until all_gone "${PIDS[@]}" "$GUARD" || fail "something of CMD goes on"
	is_free || fail "the lock is not given back"
}

case_the_guard_is_killed_and_cmd_goes_on() {
	lease 1000
	begins run job -- bash -c "$FAMILY"
	said family
	guard_of
	kill -KILL "$GUARD"
	ends 75
	says "was killed"
	wait_until all_gone "${PIDS[@]}" || fail "something of CMD goes on"
	is_free || fail "the lock is not given back"
}

case_all_of_dlock_is_killed_and_cmd_goes_on() {
	lease 1000
	begins run job -- sh -c 'echo $$ >'"$T"'/up; exec sleep 1000'
	said up
	guard_of
	kill -STOP "$F"
	kill -KILL "$GUARD" "$F"
	ends $((128 + 9))
	wait_until all_gone "${PIDS[@]}" || fail "CMD goes on"
}

case_a_front_that_is_stopped_stops_the_guard() {
	lease 3 1
	begins run job -- sh -c 'echo $$ >'"$T"'/up; exec sleep 1000'
	said up
	kill -STOP "$F"
	wait_until all_gone "${PIDS[@]}" || fail "CMD outlives the lease"
	kill -CONT "$F"
	ends 75
}

case_a_command_that_is_stopped_outlives_the_lease() {
	lease 3 1
	begins run job -- sh -c 'echo $$ >'"$T"'/up; exec sleep 1000'
	said up
	kill -STOP "${PIDS[@]}"
	wait_until all_gone "${PIDS[@]}" || fail "CMD outlives the lease"
	ends 75
}

# Otherwise it would hear of it when SIGKILL has come.
case_a_command_that_is_stopped_does_not_hear_the_stop() {
	lease 100
	begins run job -- sh -c 'trap "echo >'"$T"'/term; exit 3" TERM; echo $$ >'"$T"'/up
		while :; do sleep 0.05; done'
	said up
	kill -STOP "${PIDS[@]}"
	wait_until grep -q ") T " "/proc/${PIDS[0]}/stat" || fail "it is not stopped"
	lease 100 61
	wait_until [ -e "$T/term" ] || fail "it does not hear"
	ends 75
}

# As with flock(1): who is left has it, and is stopped when it is lost.
case_what_cmd_leaves_has_no_lock_or_outlives_it() {
	lease 1000
	# shellcheck disable=SC2016
	begins run job -- sh -c 'setsid sleep 1000 >/dev/null 2>&1 & echo $! >'"$T"'/left'
	ends 0
	said left
	! is_free || fail "what CMD left has no lock"
	say_lease '{"lost":true}'
	wait_until all_gone "${PIDS[@]}" || fail "what CMD left goes on without the lock"
	wait_until is_free || fail "the lock is not given back"
}

case_what_cmd_leaves_holds_the_output_open() {
	local left
	lease 1000
	# shellcheck disable=SC2016
	left=$(timeout 30 "$DLOCK" run -m "$M" job -- \
		sh -c 'sleep 1000 >/dev/null 2>&1 & echo $!') || fail "it hangs"
	STARTED+=("$left")
	! is_free || fail "what CMD left has no lock"
	kill "$left"
	wait_until is_free || fail "the lock is not given back"
}

case_closed_descriptors_become_ours() {
	lease 1000
	# shellcheck disable=SC2016
	"$DLOCK" -m "$M" run job -- sh -c 'sleep 1000 & echo $! >'"$T"'/left' <&- >&- 2>&- ||
		fail "status $?"
	said left
	! is_free || fail "what CMD left has no lock"
	kill "${PIDS[@]}"
	wait_until is_free || fail "the lock is not given back"
}

case_a_daemon_that_closed_all_keeps_the_lock() {
	lease 1000
	# shellcheck disable=SC2016
	begins run job -- bash -c 'for fd in /proc/$BASHPID/fd/*; do fd=${fd##*/}
		[ $fd -lt 60 ] || eval "exec $fd>&-"; done
		sleep 1000 & echo $! >'"$T"'/left'
	ends 0
	said left
	is_free || fail "a daemon keeps the lock"
	! gone "${PIDS[0]}" || fail "a daemon was stopped"
}

case_a_name_that_is_no_lock_is_locked() {
	mkdir -p "$M/dir"
	begins run dir -- true
	ends 66
	says "dir: is a directory"
	ln -sf /dev/null "$M/out"
	begins run out -- true
	ends 66
	says "out: leads out of the mount"
	begins run nodir/job -- true
	ends 66
	begins run ../job -- true
	ends 66
}

# Without a lease nothing may run.
case_no_lease_is_a_good_lease() {
	rm "$M/.dlock/lease"
	begins run job -- touch "$T/ran"
	ends 71
	: >"$M/.dlock/lease"
	begins run job -- touch "$T/ran"
	ends 71
	[ ! -e "$T/ran" ] || fail "it ran"
}

run_cases
