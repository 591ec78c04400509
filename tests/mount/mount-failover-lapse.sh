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

# lead_from MACHINE: the others are away until it does
lead_from() {
	local i
	for i in "${MACHINES[@]}"; do
		[ "$i" != "$1" ] || continue
		kill -TERM "$(pid_of "m$i")"
		wait_until gone "$(pid_of "m$i")" || fail "m$i does not end"
	done
	wait_until leads "$1" || fail "m$1 does not lead"
	for i in "${MACHINES[@]}"; do
		[ "$i" = "$1" ] || master_run "$i"
	done
}

leads() {
	look_who_leads
	[ "$LEADER" = "$1" ]
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

# It knows of an earlier leader than the nodes do, and may not know all sessions that believe
# (protocol 10). The masters run on, as they would below an operator who only looks at etcd.
case_an_old_backup_of_etcd_is_believed() {
	local i
	for i in "${MACHINES[@]}"; do
		etcd_kill "$i"
		cp -a "$T/etcd$i" "$T/backup$i"
	done
	for i in "${MACHINES[@]}"; do
		etcd_run "$i"
	done
	look_who_leads
	lead_from $((LEADER % 3 + 1))
	lead_from $((LEADER % 3 + 1))
	believe backup "${NODES[@]}"
	somebody_holds
	for i in "${MACHINES[@]}"; do
		etcd_kill "$i"
		rm -r "$T/etcd$i"
		mv "$T/backup$i" "$T/etcd$i"
		etcd_run "$i"
	done
	wait_until grep -q 'a node has seen a later epoch than the store knows' "$T"/log/m? ||
		fail "nobody notices"
	none_overlapped
}

run_cases
