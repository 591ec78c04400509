#!/bin/bash
# SPDX-License-Identifier: MIT
# What scripts/failover prints; from the environment RUNS, TL and TS, besides what lib.sh needs.
. "$(dirname "$0")/../mount/lib.sh"
. "$(dirname "$0")/../mount/net.sh"
. "$(dirname "$0")/../mount/masters.sh"

SECONDS_OF_LOAD=${SECONDS_OF_LOAD:-20}
MANY_NODES=20

need_etcd
setup_network
machines_start "$TS" "$TL"
CLIENTS=()
for node in "${NODES[@]}"; do
	client "$node"
done

# first_lock KIND RUN SIGNAL: the leader gets it, and a program on each node in turn wants a new lock
first_lock() {
	local node=${NODES[$2 % 3]} was began
	look_who_leads
	was=$LEADER
	clock
	began=$NOW
	kill "-$3" "$(pid_of "m$was")"
	want ok "$node" open 0 bcx "$T/$node/$1-$2"
	want ok "$node" flock 0 ex
	echo "$((TO - began))" >>"$T/$1"
	printf '%-8s run %2d: the leader was m%s; the first new lock, on node %s, after %4d ms\n' \
		"$1" "$2" "$was" "$node" $((TO - began))
	want ok "$node" close 0
	wait_until leads_past "$EPOCH" || fail "nobody leads after epoch $EPOCH"
	wait_until gone "$(pid_of "m$was")" || fail "m$was does not end"
	master_run "$was"
	wait_until stands_by "$was" || fail "m$was does not stand by"
}

median() {
	sort -n "$1" | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

summary() {
	printf '%-8s median %s ms, least %s, most %s, of %d runs\n' "$1" "$(median "$T/$1")" \
		"$(sort -n "$T/$1" | head -1)" "$(sort -n "$T/$1" | tail -1)" "$RUNS"
}

revision() {
	etcd_ask 1 /v3/kv/txn | python3 -c 'import json, sys
print(json.load(sys.stdin)["header"]["revision"])'
}

# writes NODES: while all of them lock, and none comes or goes
writes() {
	local before began node pids=() end=$((SECONDS + SECONDS_OF_LOAD))
	before=$(revision)
	clock
	began=$NOW
	for node in "${NODES[@]}"; do
		(while [ $SECONDS -lt $end ]; do flock "$T/$node/busy" flock "$T/$node/$node" sleep 0.02; done) &
		pids+=($!)
	done
	wait "${pids[@]}"
	clock
	awk -v nodes="${#NODES[@]}" -v writes=$(($(revision) - before)) -v ms=$((NOW - began)) 'BEGIN {
		printf "etcd     %d nodes: %d writes in %.1f s: %.2f a second\n", nodes, writes, ms / 1000,
			writes * 1000 / ms }'
}

for ((run = 1; run <= RUNS; run++)); do
	first_lock kill-9 $run KILL
done
for ((run = 1; run <= RUNS; run++)); do
	first_lock SIGTERM $run TERM
done
writes
for ((i = ${#NODES[@]} + 1; i <= MANY_NODES; i++)); do
	node_start "n$i"
	NODES+=("n$i")
done
writes
summary kill-9
summary SIGTERM
check_daemons
