# SPDX-License-Identifier: MIT
# The witness of who holds a lock, outside the mounts: see believer.c, which says what is proven.
#
#	believe FILE NODE...      a believer on each node, all of the lock of FILE
#	HOLDER                    set by "somebody_holds"; the others wait
#	none_overlapped           each gets the lock once more, and no two ever had it at once
# shellcheck shell=bash

believe() {
	local node
	WITNESS=$T/witness-$1
	BELIEVERS=("${@:2}")
	mkdir "$WITNESS"
	for node in "${BELIEVERS[@]}"; do
		launch "believer-$1-$node" "$BELIEVER" hold "$node" "$T/$node/$1" "$WITNESS/$node"
		echo "$PID" >"$WITNESS/$node.pid"
	done
	FILE=$1
}

believer_of() {
	cat "$WITNESS/$1.pid"
}

# state_of NODE: of its latest belief, in FROM, TO and STATE
state_of() {
	FROM='' TO='' STATE=''
	[ -s "$WITNESS/$1" ] || return 0
	read -r FROM TO STATE <<<"$(tail -n 1 "$WITNESS/$1")"
}

# holds NODE [SINCE]: believes, and has been granted it after SINCE (ns, boot time)
holds() {
	state_of "$1"
	[ "$STATE" = holds ] && [ "$FROM" -gt "${2:-0}" ]
}

has_lost() {
	state_of "$1"
	[ "$STATE" = "lost by EIO" ]
}

now_ns() {
	clock
	echo $((NOW * 1000000))
}

# One of them but NODE holds, granted after SINCE: HOLDER
another_holds() {
	local node
	for node in "${BELIEVERS[@]}"; do
		[ "$node" != "$1" ] && holds "$node" "$2" && HOLDER=$node && return
	done
	return 1
}

somebody_holds() {
	wait_until another_holds nobody "${1:-0}" || fail "nobody gets the lock: $(beliefs)"
}

# For people: what each says last, and of what it was the witness.
beliefs() {
	tail -n 1 "$WITNESS"/? | tr -s ' \n' ' '
	cat "$T/log/believer-$FILE"-?
}

# handed_on FROM-NODE SINCE: somebody else gets the lock
handed_on() {
	wait_until another_holds "$1" "$2" || fail "nobody gets the lock after $1: $(beliefs)"
}

# Whoever has it stops and lets go, until all have: a node that does not come back by itself after a
# fault, or a lock that stays behind, would keep one of them waiting.
none_overlapped() {
	local left=${#BELIEVERS[@]} pid log
	while [ "$left" != 0 ]; do
		somebody_holds
		pid=$(believer_of "$HOLDER")
		kill -TERM "$pid"
		wait_until gone "$pid" || fail "the believer on $HOLDER does not end"
		state_of "$HOLDER"
		[ "$STATE" != holds ] || fail "the believer on $HOLDER did not let go: $(beliefs)"
		left=$((left - 1))
	done
	for log in "$T/log/believer-$FILE"-?; do
		[ ! -s "$log" ] || fail "$(cat "$log")"
	done
	"$BELIEVER" check "$WITNESS"/? >"$T/said" || fail "$(cat "$T/said")"
	note "$(cat "$T/said")"
}
