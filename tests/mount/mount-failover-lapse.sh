#!/bin/bash
# SPDX-License-Identifier: MIT
# Three machines, each with an etcd, a master and a mount, and faults that last longer than the leases:
# nobody is granted anything too early, and all goes on by itself afterwards (contract 6; protocol 1, 5).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
. "$(dirname "$0")/belief.sh"
. "$(dirname "$0")/masters.sh"

need_etcd
setup_network
machines_start 4 1

case_etcd_has_no_majority_for_more_than_the_lease() {
	local since was
	believe etcd-lost "${NODES[@]}"
	somebody_holds
	was=$HOLDER
	etcd_kill 1
	etcd_kill 2
	wait_until has_lost "$was" || fail "$was is not told: $(beliefs)"
	since=$(now_ns)
	! another_holds nobody "$since" || fail "$HOLDER was granted the lock by nobody"
	etcd_run 1
	etcd_run 2
	somebody_holds "$since"
	none_overlapped
}

# lead_from MACHINE: each hand-over is to one of two.
lead_from() {
	local was try
	for try in {1..20}; do
		look_who_leads
		was=$LEADER
		[ "$was" != "$1" ] || return 0
		kill -TERM "$(pid_of "m$was")"
		wait_until gone "$(pid_of "m$was")" || fail "m$was does not end"
		next_leader
		master_run "$was"
	done
	fail "m$1 never leads, in $try hand-overs"
}

# Both the leader and the holder of the lock are missed.
case_the_machine_of_the_leader_and_holder_loses_its_network() {
	local since machine
	believe island "${NODES[@]}"
	somebody_holds
	for machine in "${MACHINES[@]}"; do
		[ "${NODE_OF[$machine]}" != "$HOLDER" ] || break
	done
	lead_from "$machine"
	somebody_holds
	[ "$HOLDER" = "${NODE_OF[$machine]}" ] || fail "hand-overs cost $machine its lock: $(beliefs)"
	since=$(now_ns)
	cut link "machine$machine"
	handed_on "$HOLDER" "$since"
	note "leader and holder cut off to the next grant: $(((FROM - since) / 1000000)) ms," \
		"lease $LEASE s, leader lease $LEADER_LEASE s"
	heal
	none_overlapped
}

# Nobody leads, and nothing may be remembered wrongly by whoever does next.
case_all_machines_lose_their_networks_past_the_lease() {
	local since was machine
	believe dark "${NODES[@]}"
	somebody_holds
	was=$HOLDER
	for machine in "${MACHINES[@]}"; do
		cut link "machine$machine"
	done
	wait_until has_lost "$was" || fail "$was is not told: $(beliefs)"
	since=$(now_ns)
	! another_holds nobody "$since" || fail "$HOLDER was granted the lock by nobody"
	heal
	somebody_holds "$since"
	none_overlapped
}

run_cases
