#!/bin/bash
# SPDX-License-Identifier: MIT
# .dlock/ while no master answers: status waits for nobody and says what is known; what only a master
# knows gives EIO after timeo, and any signal ends the wait for it.
. "$(dirname "$0")/lib.sh"

LEASE=2
setup
master_start
node_start hasty timeo=1
node_start patient timeo=600

# says NODE LINE: its status has this line
says() {
	grep -qx "$2" "$T/$1/.dlock/status"
}

# knows NODE LINE: it comes to say so
knows() {
	wait_until says "$1" "$2" || fail "$1 does not say $2: $(cat "$T/$1/.dlock/status")"
}

in_read() {
	local number rest
	read -r number rest <"/proc/$1/syscall" && [ "$number" = 0 ]
}

master_again() {
	[ ! -e "$T/stopped" ] || { kill -CONT "$(pid_of master)" && rm "$T/stopped"; }
	alive "$(pid_of master)" || master_start
	for node in hasty patient; do
		knows $node "session  live"
		knows $node "$URL leads"
	done
}

# status_tells: with no master any more, on both nodes
status_tells() {
	local node
	for node in hasty patient; do
		knows $node "$URL no answer"
		knows $node "session  lost"
		knows $node "master   none"
		grep -q '"session":"none",.*"master":null,.*"state":"silent"' "$T/$node/.dlock/status.json" ||
			fail "$(cat "$T/$node/.dlock/status.json")"
	done
}

case_a_dead_master_keeps_status_waiting() {
	crash master
	status_tells
	master_again
}

case_a_master_that_hangs_keeps_status_waiting() {
	: >"$T/stopped"
	kill -STOP "$(pid_of master)"
	status_tells
	master_again
}

case_a_listing_is_empty_for_want_of_a_master() {
	local file said
	crash master
	for file in locks waiters locks.json; do
		! said=$(cat "$T/hasty/.dlock/$file" 2>&1) || fail "$file: succeeds, says $said"
		[[ $said = *"Input/output error" ]] || fail "$file: $said"
	done
	! said=$(getfattr -n user.dlock.locks "$T/hasty" 2>&1) || fail "the attribute: $said"
	[[ $said = *"Input/output error" ]] || fail "the attribute: $said"
	master_again
	[ "$(wc -l <"$T/hasty/.dlock/locks")" = 1 ] || fail "then it is not listed"
}

case_a_listing_cannot_be_interrupted() {
	local pid
	crash master
	cat "$T/patient/.dlock/locks" >"$T/read" 2>&1 &
	pid=$!
	wait_until in_read $pid || fail "it does not wait"
	kill -TERM $pid
	wait $pid
	[ $? = 143 ] || fail "it ends by itself: $(cat "$T/read")"
	# Another goes on when there is a master again, in whatever session.
	cat "$T/patient/.dlock/locks" >"$T/read" &
	pid=$!
	wait_until in_read $pid || fail "it does not wait"
	knows patient "session  lost"
	master_again
	wait $pid || fail "it is not served"
	[ "$(wc -l <"$T/read")" = 1 ] || fail "$(cat "$T/read")"
}

run_cases
