#!/bin/bash
# SPDX-License-Identifier: MIT
# Somebody sets the wall clock, an hour forth and back, of the master, of a node or of both: no lease,
# no idle time and no time-to-live is measured by it. Only what files show as their times is the
# master's (contract 3.2). The machine's own clock is left alone: see faults.c.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/belief.sh"

LEASE=6
setup
for name in master a; do
	BELOW[$name]="env LD_PRELOAD=$FAULTS DLOCK_TEST_SHIFT=$T/shift-$name"
	# A sanitizer wants to be the first library; it does without.
	BELOW[$name]+=" ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
done
master_start
node_start a idle=600,ttl=600
node_start b idle=600,ttl=600
node_start short idle=1,ttl=1

# set_clock SECONDS NAME...: their wall clocks are off by that
set_clock() {
	local name
	for name in "${@:2}"; do
		echo "$1" >"$T/shift-$name"
	done
}

# believes_on NODE SINCE MS: the same belief as before, proven so long after SINCE
believes_on() {
	state_of "$1"
	[ "$STATE" != holds ] || [ "$TO" -gt $(($2 + $3 * 1000000)) ]
}

# Several renewals after the jump.
jump() {
	local since from
	state_of "$HOLDER"
	from=$FROM
	set_clock "$@"
	since=$(now_ns)
	wait_until believes_on "$HOLDER" "$since" $((LEASE * 1000 / 2)) || fail "no proof comes"
	state_of "$HOLDER"
	[ "$STATE" = holds ] && [ "$FROM" = "$from" ] || fail "clock $*: $STATE"
}

case_a_wall_clock_that_jumps_ends_a_lease() {
	believe jumps a
	somebody_holds
	jump 3600 master
	jump -3600 a master
	jump 3600 a
	set_clock 0 a master
	none_overlapped
}

made() {
	(set -C && : >"$1") || fail "cannot make $1"
}

vanishes() {
	wait_until [ ! -e "$1" ] || fail "${1##*/} stays"
}

case_a_wall_clock_set_forth_ends_what_has_time_left() {
	: >"$T/a/idle"
	made "$T/a/ttl"
	set_clock 3600 master a
	# By the time that these have gone, the others would have.
	: >"$T/short/idle-short"
	made "$T/short/ttl-short"
	vanishes "$T/b/idle-short"
	vanishes "$T/b/ttl-short"
	[ -e "$T/b/idle" ] || fail "idle= ended by the wall clock"
	[ -e "$T/b/ttl" ] || fail "ttl= ended by the wall clock"
	set_clock 0 master a
	rm "$T/a/idle" "$T/a/ttl"
}

case_a_wall_clock_set_back_keeps_what_is_over() {
	node_start dies
	set_clock 3600 master
	: >"$T/short/idle-short"
	made "$T/short/ttl-short"
	made "$T/dies/held"
	set_clock -3600 master
	crash dies
	vanishes "$T/b/idle-short"
	vanishes "$T/b/ttl-short"
	vanishes "$T/b/held"
	set_clock 0 master
}

# off PATH BY: its mtime is off by so many seconds, give or take a slow machine
off() {
	local is=$(($(stat -c %Y "$1") - $(date +%s) - $2))
	[ $is -ge -600 ] && [ $is -le 600 ] || fail "${1##*/} is $is s off"
}

case_times_of_files_are_not_the_masters() {
	set_clock 3600 master
	: >"$T/a/made"
	off "$T/b/made" 3600
	set_clock -3600 master
	echo text >"$T/b/made"
	off "$T/a/made" -3600
	set_clock 0 master
	set_clock 3600 a
	touch "$T/a/made"
	off "$T/b/made" 0
	echo more >>"$T/a/made"
	off "$T/b/made" 0
	touch -d '2001-02-03 04:05:06 UTC' "$T/a/made"
	[ "$(stat -c %Y "$T/b/made")" = 981173106 ] || fail "a time given is not kept"
	set_clock 0 a
}

run_cases
