#!/bin/bash
# SPDX-License-Identifier: MIT
# Three machines, each with an etcd, a master and a mount. Whatever happens to the leader, to etcd or
# between them: no two are let in, nothing is lost, and nobody has to be called. The witness of what
# the crowds do is outside of the mounts (contract 2, 5, 6; protocol 1, 3, 5, 10).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
. "$(dirname "$0")/masters.sh"

need_etcd
setup_network
# Longer than any takeover on any machine, so that nobody loses anything by it.
machines_start 60 2

# ---- The load, and what must come through ----

# Takes its lock until $WITNESS/stop is there; each error of a call counts as bad.
crowd_run() {
	local kind=$1 node paths=()
	for node in "${NODES[@]}"; do
		paths+=("$T/$node/$kind-$FAULT" "$T/$node/$kind-$FAULT")
	done
	mkdir "$WITNESS/$kind"
	launch "crowd-$kind-$FAULT" "$CROWD" count "$kind" 1000000000 "$WITNESS/$kind" "${paths[@]}"
	CROWDS+=("$PID")
}

count_of() {
	cat "$WITNESS/$1/counter" 2>/dev/null || echo 0
}

counts_past() {
	[ "$(count_of "$1")" -gt "$2" ]
}

# The crowds get their locks again and again from now on.
goes_on() {
	local kind
	for kind in flock removed; do
		wait_until counts_past $kind $(($(count_of $kind) + 20)) ||
			fail "$kind: no lock is granted any more: $(tail -n 2 "$T"/log/m?)"
	done
}

# load FAULT: p holds a lock and a lock file, q and r wait for the lock, and two crowds are busy.
load() {
	FAULT=$1 WITNESS=$T/witness-$1 CROWDS=()
	mkdir "$WITNESS"
	client p && client q && client r && client s
	want ok p open 0 bc "$T/a/held-$1"
	want ok p flock 0 ex
	want ok p open 1 bcx "$T/a/file-$1"
	want ok q open 0 b "$T/b/held-$1"
	send q flock 0 ex
	waits q b
	want ok r open 0 b "$T/c/held-$1"
	send r flock 0 ex
	waits r c
	TOKEN=$("$BELIEVER" token "$T/b/held-$1")
	crowd_run flock
	crowd_run removed
	goes_on
	look_who_leads
}

# All of it is as it was: nobody was let in twice, no call has failed, and the queue has its order.
nothing_is_lost() {
	local pid token
	goes_on
	touch "$WITNESS/flock/stop" "$WITNESS/removed/stop"
	for pid in "${CROWDS[@]}"; do
		wait_until gone "$pid" || fail "somebody in the crowd waits for ever"
	done
	grep -h total "$T"/log/crowd-*-"$FAULT" | while read -r line; do note "$line"; done
	[ "$(grep -h ' bad 0 ' "$T"/log/crowd-*-"$FAULT" | wc -l)" = 2 ] ||
		fail "$(cat "$T"/log/crowd-*-"$FAULT")"
	silent q && silent r || fail "a waiter was let in beside the holder"
	[ -e "$T/c/file-$FAULT" ] || fail "the lock file is gone"
	want EEXIST s open 0 bcx "$T/b/file-$FAULT"
	token=$("$BELIEVER" token "$T/c/held-$FAULT")
	[ "$token" = "$TOKEN" ] || fail "the token was $TOKEN and is $token"
	want ok p pwrite 0 0 text
	want ok p flock 0 un
	granted q
	silent r || fail "the second in the queue came first, or with the first"
	token=$("$BELIEVER" token "$T/c/held-$FAULT")
	[ "$token" -gt "$TOKEN" ] || fail "a token went from $TOKEN to $token"
	want ok q flock 0 un
	granted r
	quit p q r s
}

# ---- The leader ----

case_the_leader_is_killed() {
	local was
	load killed
	was=$LEADER
	crash "m$was"
	clock
	next_leader
	note "the next leads after $(since_clock) ms, leader lease $LEADER_LEASE s"
	goes_on
	master_run "$was"
	nothing_is_lost
}

since_clock() {
	local began=$NOW
	clock
	echo $((NOW - began))
}

case_the_leader_stands_still_and_comes_back() {
	local was
	load halted
	was=$LEADER
	kill -STOP "$(pid_of "m$was")"
	next_leader
	goes_on
	kill -CONT "$(pid_of "m$was")"
	wait_until stands_down "$was" || fail "m$was leads beside m$LEADER"
	nothing_is_lost
}

# It reaches the nodes all the time, and must not answer them once another one leads.
case_the_leader_is_cut_off_from_etcd_but_not_from_the_nodes() {
	local was
	load without-etcd
	was=$LEADER
	cut_from_etcd "$was"
	next_leader
	[ "$LEADER" != "$was" ] || fail "m$was leads again without etcd"
	stands_down "$was" || fail "m$LEADER leads before m$was has stood down"
	goes_on
	rejoin "$was"
	nothing_is_lost
}

another_leads() {
	look_who_leads
	[ "$LEADER" != "$1" ]
}

# It could lead for ever, and serve nobody. Where etcd is slow it may stand down for that, and lead
# again until it has waited for nodes in vain.
case_the_leader_is_cut_off_from_the_nodes_but_not_from_etcd() {
	local was
	load without-nodes
	was=$LEADER
	cut_from_nodes "$was"
	wait_until another_leads "$was" || fail "m$was leads on without nodes"
	goes_on
	rejoin "$was"
	nothing_is_lost
}

# Each is stopped, is away for a while, and comes back before the next one goes.
restart_masters() {
	local i
	for i in "${MACHINES[@]}"; do
		look_who_leads
		if [ -e "$T/m$i.pid" ]; then
			kill -TERM "$(pid_of "m$i")"
			wait_until gone "$(pid_of "m$i")" || fail "m$i does not end"
			[ "$i" != "$LEADER" ] || next_leader
			goes_on
		fi
		master_run "$i"
		wait_until stands_by "$i" || fail "m$i does not come back: $(tail -n 1 "$T/log/m$i")"
	done
}

case_all_masters_are_restarted_one_after_the_other() {
	load rolling
	restart_masters
	nothing_is_lost
}

# ---- etcd ----

case_the_leader_of_etcd_is_killed() {
	local i
	load etcd-killed
	for i in "${MACHINES[@]}"; do
		! etcd_leads "$i" || break
	done
	etcd_leads "$i" || fail "no etcd leads"
	etcd_kill "$i"
	goes_on
	etcd_run "$i"
	wait_until etcd_serves "$i" || fail "etcd $i does not come back"
	nothing_is_lost
}

case_etcd_has_no_majority_for_less_than_the_lease() {
	load etcd-minority
	etcd_kill 1
	etcd_kill 3
	wait_until stands_down "$LEADER" || fail "m$LEADER leads on without etcd"
	etcd_run 1
	etcd_run 3
	next_leader
	nothing_is_lost
}

# etcd_swaps OLD NEW: takes the one's etcd off the list of members and puts the other's on it
etcd_swaps() {
	local gone
	gone=$(etcd_member "$1" 1) || return 1
	# Refused for some seconds after a member was lost.
	[ -z "$gone" ] || etcd_ask 1 /v3/cluster/member/remove "{\"ID\": \"$gone\"}" || return 1
	etcd_ask 1 /v3/cluster/member/add "{\"peerURLs\": [\"$(peer_url "$2")\"]}"
} >"$T/answer"

# As packaging/operating.md says: etcd's members are changed, then the masters get the new list, one
# after the other.
case_a_dead_machine_is_replaced() {
	local i
	load replaced
	crash m3
	etcd_kill 3
	machine 4
	wait_until etcd_swaps 3 4 || fail "etcd's members cannot be changed: $(cat "$T/said")"
	MACHINES=(1 2 4)
	etcd_run 4 --initial-cluster-state existing
	wait_until etcd_serves 4 || fail "etcd 4 does not serve: $(tail -n 3 "$T/log/etcd4")"
	store_urls
	restart_masters
	node_start d timeo=300
	[ -e "$T/d/file-replaced" ] || fail "the new node does not see the lock file"
	nothing_is_lost
	node_stop d
}

run_cases
