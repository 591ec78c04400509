#!/bin/bash
# SPDX-License-Identifier: MIT
# Many names: what is done with them takes a time in proportion to their number, costs a kilobyte of
# the master's memory each, and keeps nobody from renewing a lease. MANY is how many there are.
. "$(dirname "$0")/lib.sh"

MANY=${MANY:-100000}
FEW=$((MANY / 4))
# Four times as much may take so many times as long: less than half of what a loop over all for
# each would take.
RATIO_MAX=8
# What is too short to be compared, milliseconds.
BLINK=500
# The master's memory for a held name, bytes.
NAME_BYTES_MAX=1024
LEASE=5
# No answer may take as long as the half of a lease, milliseconds; on a machine that has nothing
# else to do it is some 50.
STALL_MAX=$((LEASE * 500))
setup
master_start
node_start watcher

# rss master|NAME: kilobytes, in RSS
rss() {
	RSS=$(awk '/^VmRSS/ { print $2 }' "/proc/$(pid_of "$1")/status")
}

# What the master has without any name, its libraries included.
rss master
EMPTY=$RSS

# lean BYTES MOST: no more than that, of memory; sanitizers have their own ideas of it
lean() {
	[ "$1" -lt "$2" ] || [ -n "${SANITIZED:-}" ] || fail "that is too much"
}

# many COMMAND NODE PLACE FROM TO: in TOOK, milliseconds
many() {
	TOOK=$("$MANY_HELPER" "$1" "$T/$2/$3" "${@:4}") || fail "$*"
}

# step NAME SET COMMAND...: of so many names; notes its time for compare
step() {
	local name=$1 set=$2
	shift 2
	many "$@"
	note "$set: $name: $TOOK ms"
	echo "$TOOK" >"$T/$name.$set"
}

# The time that something took for the many, compared with the few.
compare() {
	local few many
	few=$(cat "$T/$1.few")
	many=$(cat "$T/$1.many")
	[ "$many" -lt $((RATIO_MAX * (few > BLINK ? few : BLINK))) ] ||
		fail "$1: $few ms for $FEW names, $many ms for $MANY"
}

probe_start() {
	"$MANY_HELPER" probe "$T/watcher" >"$T/probe.out" &
	PROBE=$!
	record $PROBE
}

# Ends it; its longest wait in STALL.
probe_end() {
	kill -TERM "$PROBE"
	wait "$PROBE" || fail "the probe failed"
	STALL=$(cat "$T/probe.out")
}

none_left() {
	[ -z "$(find "$T/watcher/$1" -name 'held-*' -print -quit)" ]
}

# all_life SET COUNT: of COUNT names of the node maker
all_life() {
	local set=$1 n=$2 before
	node_start maker
	mkdir "$T/watcher/$set"
	many dirs watcher "$set"
	rss master
	before=$RSS
	step make "$set" make maker "$set" 0 "$n"
	rss master
	note "$set: the master has grown by $(((RSS - before) * 1024 / n)) bytes a name"
	lean $(((RSS - before) * 1024)) $((NAME_BYTES_MAX * n))
	rss maker
	note "$set: the node has $((RSS * 1024 / n)) bytes a name"
	step list "$set" list watcher "$set" 0 "$n"
	step stat "$set" stat watcher "$set" 0 $((n / 10))
	restart "$set" "$n"
	step remove "$set" remove watcher "$set" 0 $((n / 2))
	expire "$set" "$n"
}

# What a node has made is there again, all of it, after the master's restart.
restart() {
	local set=$1 n=$2 from
	crash master
	probe_start
	clock
	from=$NOW
	master_start
	many list watcher "$set" 0 "$n"
	clock
	probe_end
	note "$set: reclaimed and listed after $((NOW - from)) ms"
	echo $((NOW - from)) >"$T/reclaim.$set"
	rss master
	note "$set: the master has $(((RSS - EMPTY) * 1024 / n)) bytes a name after its restart"
	lean $(((RSS - EMPTY) * 1024)) $((NAME_BYTES_MAX * n))
	! grep -q 'ran out\|lapsed' "$T/log/maker" "$T/log/watcher" || fail "a lease was lost"
}

# The maker dies; the rest of its names goes, and nobody else waits for long meanwhile.
expire() {
	local set=$1 n=$2 from
	probe_start
	crash maker
	wait_until [ ! -e "$T/watcher/$set/31/$(printf 'held-%06d.lock' $((n / 32 * 32 - 1)))" ] ||
		fail "the names stay"
	clock
	from=$NOW
	wait_until none_left "$set" || fail "some names stay"
	clock
	probe_end
	note "$set: all expired within $((NOW - from)) ms; the longest wait $STALL ms"
	echo $((NOW - from)) >"$T/expire.$set"
	[ "$STALL" -lt "$STALL_MAX" ] || fail "the master stood still for $STALL ms"
}

case_the_life_of_some_names_fails() {
	all_life few "$FEW"
}

case_the_life_of_many_names_fails() {
	all_life many "$MANY"
}

case_many_names_take_more_than_their_share_of_time() {
	local what
	for what in make list stat reclaim remove expire; do
		compare "$what"
	done
}

case_a_deep_tree_of_held_directories_takes_for_ever_to_expire() {
	node_start digger
	mkdir "$T/watcher/deep"
	many tree digger deep 1000
	probe_start
	crash digger
	wait_until [ ! -e "$T/watcher/deep/d" ] || fail "it stays"
	probe_end
	note "the longest wait: $STALL ms"
	[ "$STALL" -lt "$STALL_MAX" ] || fail "the master stood still for $STALL ms"
}

run_cases
