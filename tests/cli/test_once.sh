#!/bin/bash
# SPDX-License-Identifier: MIT
# Whether "dlock once" runs its command once in a period, and again only if it has not been done.
# usage: test_once.sh DLOCK
. "$(dirname "$0")/lib.sh"

# node NAME: who we are from now on
node() {
	echo '{"version":1,"node":"'"$1"'"}' >"$M/.dlock/status.json"
}

# once STATUS OUTPUT CMD...: OUTPUT is a pattern of the whole
once() {
	local wanted=$1 pattern=$2 out status
	shift 2
	lease 1000
	out=$("$DLOCK" -m "$M" once -p 300d job -- "$@" 2>"$T/err")
	status=$?
	[ $status = "$wanted" ] || fail "status $status, not $wanted: $out $(cat "$T/err")"
	# shellcheck disable=SC2254
	case $out in $pattern) ;; *) fail "it says $out" ;; esac
}

ran() {
	[ "$(wc -l <"$T/ran" 2>/dev/null || echo 0)" = "$1" ]
}

RUN=(sh -c 'echo >>'"$T"'/ran')

begin() {
	rm -rf "$M/job.once"
	node a
	echo '{"version":1,"locks":[{"name":"job","node":"b","pid":7,"age":3}],"waiters":[]}' \
		>"$M/.dlock/locks.json"
}

case_it_runs_twice_in_a_period() {
	begin
	once 0 "" "${RUN[@]}"
	once 0 "job: ran on node a at 20??-??-?? ??:??:??, in 0.?s" "${RUN[@]}"
	node b
	once 0 "job: ran on node a at *" "${RUN[@]}"
	ran 1 || fail "it ran $(wc -l <"$T/ran") times"
	out=$("$DLOCK" -m "$M" once -qp 300d job -- "${RUN[@]}")
	[ -z "$out" ] || fail "it is not quiet: $out"
}

case_it_is_forgotten_with_the_node_that_ran_it() {
	begin
	once 0 "" "${RUN[@]}"
	node b/c
	once 0 "job: ran on node a at *" "${RUN[@]}"
	[ -e "$M/job.once/b_c" ] || fail "it is not kept"
	rm "$M/job.once/a"
	node c
	once 0 "job: ran on node a at *" "${RUN[@]}"
	ran 1 || fail "it ran again"
}

case_a_failure_counts_as_done() {
	begin
	once 3 "" sh -c 'exit 3'
	once 143 "" sh -c 'kill -TERM $$'
	once 0 "" "${RUN[@]}"
	ran 1 || fail "it did not run"
}

case_a_runner_that_is_killed_counts_as_done() {
	begin
	lease 1000
	begins once -p 300d job -- sh -c 'echo $$ >'"$T"'/up; exec sleep 1000'
	said up
	kill -KILL "$F"
	wait_until all_gone "${PIDS[@]}" || fail "CMD goes on"
	wait_until is_free || fail "the lock is not given back"
	once 0 "" "${RUN[@]}"
	ran 1 || fail "it did not run"
}

case_a_lost_lock_counts_as_done() {
	begin
	lease 1000
	begins once -p 300d job -- sh -c 'trap "" TERM; echo $$ >'"$T"'/up; exec sleep 1000'
	said up
	say_lease '{"lost":true}'
	ends 75
	once 0 "" "${RUN[@]}"
	ran 1 || fail "it did not run"
}

case_two_run_at_once() {
	begin
	lease 1000
	begins once -p 300d job -- sh -c 'echo $$ >'"$T"'/up; until [ -e '"$T"'/go ]; do sleep 0.05; done'
	said up
	out=$("$DLOCK" -m "$M" once -p 300d job -- "${RUN[@]}" 2>"$T/err2") || fail "status $?"
	[ "$out" = "job: runs on node b for 3.0s (pid 7)" ] || fail "it says $out"
	touch "$T/go"
	ends 0
	ran 0 || fail "a second ran"
}

# Yesterday's record, and one that is none.
case_what_is_no_record_of_today_counts() {
	begin
	mkdir "$M/job.once"
	echo '{"version":1,"node":"b","pid":1,"began":1000,"took":1.0}' >"$M/job.once/b"
	echo 'no record' >"$M/job.once/c"
	: >"$M/job.once/d"
	mkdir "$M/job.once/e"
	echo '{"version":1,"node":"b","pid":1,"began":9999999999,"took":1.0}' >"$M/job.once/.tmp"
	once 0 "" "${RUN[@]}"
	ran 1 || fail "it did not run"
}

case_a_record_that_cannot_be_kept_is_a_success() {
	begin
	: >"$M/job.once"
	once 1 "" "${RUN[@]}"
	says "job: sh has run, but that cannot be kept: job.once: Not a directory"
	rm "$M/job.once"
}

case_a_record_lives_for_ever() {
	local ttl
	begin
	lease 1000
	"$DLOCK" -m "$M" once -p 1h job -- "${RUN[@]}" || fail "status $?"
	ttl=$(getfattr --only-values -n user.dlock.ttl "$M/job.once/a" 2>/dev/null)
	[ "$ttl" -ge 60 ] && [ "$ttl" -le 3660 ] || fail "its life is $ttl"
	[ "$(ls -A "$M/job.once")" = a ] || fail "more is left: $(ls -A "$M/job.once")"
}

run_cases
