#!/bin/bash
# SPDX-License-Identifier: MIT
# inotify of what other nodes do, and of what ends by itself (contract 2.4).
. "$(dirname "$0")/lib.sh"

LEASE=3
setup
master_start
node_start a
node_start b idle=1
node_start all inotify=all

# watch NAME [-r] PATH...: a watcher whose events stand in $T/NAME.events
watch() {
	local name=$1
	shift
	: >"$T/$name.events"
	"$WATCHER" "$@" >>"$T/$name.events" 2>&1 </dev/null &
	record $!
	disown $!
	CLIENTS+=("$!")
	wait_until grep -qx ready "$T/$name.events" || fail "$name does not watch"
}

# told NAME EVENT...: the event comes
told() {
	local name=$1
	shift
	wait_until grep -qxF "$*" "$T/$name.events" ||
		fail "$name is not told of $*: $(tail -3 "$T/$name.events")"
}

# times NAME EVENT...: how often the event came
times() {
	local name=$1
	shift
	grep -cxF "$*" "$T/$name.events"
}

case_a_waiter_sleeps_through_a_removal_elsewhere() {
	: >"$T/b/lock"
	[ -e "$T/a/lock" ] || fail "a does not see it"
	watch w "$T/a"
	rm "$T/b/lock"
	told w "DELETE $T/a/lock"
}

run_cases
