#!/bin/bash
# SPDX-License-Identifier: MIT
# Many processes on two nodes count, and the counter is not on the mount: were two of them inside at
# once, or one never, it shows (contract 2.2, 5.1, 5.2).
. "$(dirname "$0")/lib.sh"

setup
master_start
node_start a
node_start b
PROCESSES=16

# count KIND TOTAL: the figures in TOTAL and LEAST
count() {
	local i paths=()
	for ((i = 0; i < PROCESSES / 2; i++)); do
		paths+=("$T/a/count-$1" "$T/b/count-$1")
	done
	mkdir "$T/$1"
	"$CROWD" count "$1" "$2" "$T/$1" "${paths[@]}" >"$T/counted" || fail "$(cat "$T/counted")"
	note "$1: $(cat "$T/counted")"
	read -r _ TOTAL _ _ _ LEAST _ <"$T/counted"
	[ "$TOTAL" -ge "$2" ] || fail "only $TOTAL of $2"
}

# A queue that is first come, first served gives all the same; a tenth of that is for the machine.
fair() {
	[ $((LEAST * PROCESSES * 10)) -ge "$TOTAL" ] || fail "one got $LEAST of $TOTAL"
}

case_flock_admits_two_or_starves_one() {
	count flock 2000
	fair
}

case_fcntl_admits_two_or_starves_one() {
	count posix 1200
	fair
}

case_ofd_locks_admit_two_or_starve_one() {
	count ofd 600
	fair
}

case_lock_files_admit_two() {
	count excl 200
}

# On a local file system two get in: one with the removed file, one with its successor.
case_removed_lock_files_admit_two() {
	count removed 600
}

run_cases
