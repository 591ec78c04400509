#!/bin/bash
# SPDX-License-Identifier: MIT
# Thousands wait for one file on two nodes: all are served, once and in order, and when they go
# nothing of them is left (contract 5.2, 5.3).
. "$(dirname "$0")/lib.sh"

WAITING=${WAITING:-2400}
# Longer than all of it: nobody is served because a lease ran out.
LEASE=120
setup
master_start
node_start a
node_start b
mkdir "$T/witness"

# waiters WHAT...: in TOOK, milliseconds
waiters() {
	TOOK=$("$WAITERS" "$@") || fail "waiters $1"
}

served() {
	waiters serve "$1" "$WAITING" "$T/witness" "$T/a/$1" "$T/b/$1"
	note "$WAITING waiting ($1), all served in $TOOK ms"
}

case_thousands_of_exclusive_waiters_lose_their_order() {
	served flock
}

case_thousands_of_waiters_for_a_range_lose_their_order() {
	served ofd
}

case_thousands_of_readers_and_writers_meet() {
	served mixed
}

case_thousands_that_go_leave_something_in_the_queue() {
	waiters end "$WAITING" "$T/a/end" "$T/b/end"
	note "$WAITING waiting, all interrupted or killed in $TOOK ms"
}

case_thousands_of_waiters_cost_a_lease() {
	! grep -q 'ran out\|expired' "$T"/log/* || fail "a lease was lost"
}

run_cases
