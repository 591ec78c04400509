#!/bin/bash
# SPDX-License-Identifier: MIT
# "dlock elect" on three nodes: exactly one leads, and another takes over when it goes.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/dlock.sh"

LEASE=3
setup
master_start
node_start a
node_start b
node_start c

# Who leads says so in $T/leads, and twice at once is an error. NODE is $1 of it.
# shellcheck disable=SC2016
LEAD=(bash -c 'mkdir "$0.in" || { echo "$1" >>"$0.two"; exit 1; }
	trap "rmdir $0.in; exit 0" TERM
	echo $$ >"$0.cmd"; echo "$1" >>"$0"; while :; do sleep 0.02; done' "$T/leads")

stand() { # NODE...
	local node
	for node; do
		begin "$node" "$node" elect "$NAME" -- "${LEAD[@]}" "$node"
		wait_until eval "held $node $NAME || queued $node $NAME 1" || fail "$node does not stand"
	done
}

fresh() {
	rm -rf "$T/leads" "$T/leads.in" "$T/leads.two"
	NAME=$1
}

leader() {
	tail -n 1 "$T/leads"
}

one_only() {
	[ ! -e "$T/leads.two" ] || fail "two led at once: $(cat "$T/leads.two")"
}

case_nobody_takes_over_from_who_was_told_to_end() {
	local first
	fresh told
	stand a b c
	wait_until lines "$T/leads" 1 || fail "nobody leads"
	first=$(leader)
	kill -TERM "$(run_of "$first")"
	ends "$first" 0
	wait_until lines "$T/leads" 2 || fail "nobody takes over"
	[ "$(leader)" != "$first" ] || fail "it leads on"
	one_only
	for node in a b c; do
		[ "$node" = "$first" ] || kill -TERM "$(run_of "$node")"
	done
	for node in a b c; do
		[ "$node" = "$first" ] || wait_until gone "$(run_of "$node")" || fail "$node does not end"
	done
	one_only
}

case_who_has_led_does_not_let_others() {
	fresh turns
	stand a b
	wait_until lines "$T/leads" 1 || fail "nobody leads"
	kill -TERM "$(cat "$T/leads.cmd")"
	wait_until lines "$T/leads" 2 || fail "nobody takes over"
	[ "$(sort -u "$T/leads" | wc -l)" = 2 ] || fail "the same leads again: $(cat "$T/leads")"
	one_only
	kill -TERM "$(run_of a)" "$(run_of b)"
	wait_until gone "$(run_of a)" && wait_until gone "$(run_of b)" || fail "they do not end"
}

case_two_lead_when_a_node_dies() {
	fresh died
	stand a
	wait_until lines "$T/leads" 1 || fail "nobody leads"
	stand b
	crash a
	wait_until lines "$T/leads" 2 || fail "nobody takes over: $(cat "$T/a.err")"
	[ "$(leader)" = b ] || fail "$(leader) leads"
	one_only
	# The mount comes back, and a with it.
	node_start a
	kill -TERM "$(run_of b)"
	ends b 0
	wait_until lines "$T/leads" 3 || fail "a does not stand again: $(cat "$T/a.err")"
	[ "$(leader)" = a ] || fail "$(leader) leads"
	kill -TERM "$(run_of a)"
	ends a 0
	one_only
}

run_cases
