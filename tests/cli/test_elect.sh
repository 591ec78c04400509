#!/bin/bash
# SPDX-License-Identifier: MIT
# What "dlock elect" does when its command or its leadership ends, and when it is told to end.
# usage: test_elect.sh DLOCK
. "$(dirname "$0")/lib.sh"

case_who_led_once_leads_never_again() {
	keep_leasing
	begins elect job -- sh -c 'echo $$ >>'"$T"'/terms; exit 3'
	wait_until eval '[ "$(wc -l <"$T/terms")" = 2 ]' || fail "there is no second term"
	kill -TERM "$F"
	wait_until gone "$F" || fail "it does not end"
	says "sh ended with status 3; it stands again"
}

case_a_command_that_fails_at_once_is_run_without_end() {
	keep_leasing
	begins elect job -- sh -c 'cat /proc/uptime >>'"$T"'/terms'
	wait_until eval '[ "$(wc -l <"$T/terms")" = 3 ]' || fail "there is no third term"
	kill -TERM "$F"
	ends $((128 + 15))
	# A second lies between the first terms, two before the third.
	awk '{ if (NR > 1 && $1 - last < NR - 1.05) exit 1; last = $1 }' "$T/terms" ||
		fail "no time between: $(cat "$T/terms")"
}

case_the_end_of_election_is_not_the_end_of_cmd() {
	lease 1000
	begins elect job -- sh -c 'trap "exit 9" TERM; echo $$ >'"$T"'/up
		while :; do sleep 0.05; done'
	said up
	kill -TERM "$F"
	ends 9
	all_gone "${PIDS[@]}" || fail "CMD goes on"
	is_free || fail "the lock is not given back"
}

case_a_candidate_cannot_be_told_to_end() {
	exec {other}<"$M/job"
	flock "$other"
	begins elect job -- touch "$T/ran"
	waits
	kill -TERM "$F"
	ends $((128 + 15))
	gone "$GUARD" || fail "its guard goes on"
	flock -u "$other"
	[ ! -e "$T/ran" ] || fail "it ran"
}

# An ignored SIGHUP is none (nohup).
case_a_hangup_that_is_ignored_ends_it() {
	lease 1000
	# shellcheck disable=SC2016
	(
		trap '' HUP
		exec "$DLOCK" -m "$M" elect job -- sh -c 'echo $$ >'"$T"'/up; exec sleep 1000'
	) 2>"$T/err" &
	F=$!
	STARTED+=("$F")
	said up
	kill -HUP "$F"
	kill -USR2 "${PIDS[@]}"
	wait_until grep -q "ended with status 140" "$T/err" || fail "it has ended: $(cat "$T/err")"
	kill -TERM "$F"
	wait_until gone "$F" || fail "it does not end"
}

case_who_lost_the_lock_does_not_stand_again() {
	lease 1000
	begins elect job -- sh -c 'echo $$ >>'"$T"'/terms; echo $$ >'"$T"'/up; exec sleep 1000'
	said up
	say_lease '{"lost":true}'
	wait_until all_gone "${PIDS[@]}" || fail "CMD goes on"
	rm "$T/up"
	keep_leasing
	said up
	[ "$(wc -l <"$T/terms")" = 2 ] || fail "these are no two terms"
	kill -TERM "$F"
	ends $((128 + 15))
}

case_a_mistake_is_tried_for_ever() {
	begins elect nodir/job -- true
	ends 66
	lease 1000
	begins elect job -- "$T/none"
	ends 69
}

run_cases
