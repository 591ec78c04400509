#!/bin/bash
# SPDX-License-Identifier: MIT
# "dlock once" on three nodes, as cron starts it: one runs the job in a period.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/dlock.sh"

LEASE=2
setup
master_start
node_start a
node_start b
node_start c ttl=1

RAN=(bash -c 'echo >>"$0"')

# The period is long: no test ends in another than it began in, or once in a lifetime.
once() { # NODE NAME CMD...
	local node=$1 name=$2
	shift 2
	on "$node" once -p 300d "$name" -- "$@"
}

ran() { # FILE COUNT
	[ "$(wc -l 2>/dev/null <"$1" || echo 0)" = "$2" ]
}

case_all_run_it_that_start_at_once() {
	local i node
	for i in 1 2 3; do
		for node in a b c; do
			begin "$node$i" "$node" once -p 300d crowd -- \
				bash -c 'echo >>"$0"; sleep 0.3' "$T/crowd"
		done
	done
	for i in 1 2 3; do
		for node in a b c; do
			ends "$node$i" 0
		done
	done
	ran "$T/crowd" 1 || fail "it ran $(wc -l <"$T/crowd") times"
	[ "$(cat "$T"/[abc][123].out | grep -c '^crowd: ')" = 8 ] || fail "$(cat "$T"/[abc][123].out)"
}

case_it_runs_again_when_its_runner_has_left() {
	once a left "${RAN[@]}" "$T/left" || fail "status $?"
	once b left "${RAN[@]}" "$T/left" | grep -q "left: ran on node a at " || fail "b is not told"
	node_stop a
	wait_until eval "! [ -e $T/b/left.once/a ]" || fail "a has left and its name has not"
	once c left "${RAN[@]}" "$T/left" | grep -q "left: ran on node a at " || fail "c is not told"
	ran "$T/left" 1 || fail "it ran again"
	node_start a
}

case_a_runner_that_dies_has_done_it() {
	begin r b once -p 300d dies -- bash -c 'echo >>"$0"; exec sleep 1000' "$T/dies"
	wait_until ran "$T/dies" 1 || fail "it does not run"
	once c dies "${RAN[@]}" "$T/dies" >"$T/out" || fail "status $?"
	grep -q "^dies: runs on node b for .* (pid .*)" "$T/out" || fail "$(cat "$T/out")"
	crash b
	wait_until gone "$(run_of r)" || fail "it does not end"
	until [ -s "$T/dies.2" ]; do
		once c dies "${RAN[@]}" "$T/dies.2" >"$T/out" || fail "status $?"
	done
	node_start b
}

case_a_failure_is_a_success() {
	once a fails false && fail "a failure is none"
	once b fails "${RAN[@]}" "$T/fails" || fail "status $?"
	once a fails "${RAN[@]}" "$T/fails" || fail "status $?"
	ran "$T/fails" 1 || fail "it ran $(wc -l <"$T/fails") times"
}

# The mount's ttl is shorter than the period.
case_the_record_has_the_life_of_a_lock_file() {
	local ttl
	once c life "${RAN[@]}" "$T/life" || fail "status $?"
	ttl=$(getfattr --only-values -n user.dlock.ttl "$T/b/life.once/c")
	[ "$ttl" -gt 60 ] || fail "its life is $ttl s"
	(set -C && : >"$T/c/witness")
	wait_until eval "! [ -e $T/c/witness ]" || fail "the mount has no ttl"
	once b life "${RAN[@]}" "$T/life" || fail "status $?"
	ran "$T/life" 1 || fail "it ran again"
}

case_the_record_is_left_for_ever() {
	local left
	on a once -p 1h hour -- true || fail "status $?"
	left=$(getfattr --only-values -n user.dlock.ttl "$T/b/hour.once/a")
	[ "$left" -le 3660 ] || fail "its life is $left s"
	[ "$(ls -A "$T/b/hour.once")" = a ] || fail "$(ls -A "$T/b/hour.once")"
}

run_cases
