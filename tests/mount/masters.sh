# SPDX-License-Identifier: MIT
# Three machines, each with an etcd, a master and a mount, in network namespaces of their own that
# can be cut from each other port by port.
#
#	. "$(dirname "$0")/lib.sh"
#	. "$(dirname "$0")/net.sh"
#	. "$(dirname "$0")/masters.sh"
#	setup_network
#	machines_start LEASE LEADER_LEASE     etcds, masters m1 m2 m3, nodes a b c; one leads
#	LEADER, EPOCH                         set by "look_who_leads", by what the masters say
# shellcheck shell=bash

ETCD_PORT=2379
ETCD_PEER_PORT=2380
MACHINES=(1 2 3)
MASTERS=(m1 m2 m3 m4)
NODES=(a b c)
declare -A NODE_OF=([1]=a [2]=b [3]=c)

need_etcd() {
	command -v etcd >/dev/null || skip "there is no etcd (Debian: etcd-server)"
	command -v python3 >/dev/null || skip "there is no python3 to ask etcd with"
}

# lives_at DAEMON MACHINE: in that machine's network
lives_at() {
	[ -z "$1" ] || BELOW[$1]=${BELOW[machine$2]}
}

address() {
	echo "${ADDRESS[machine$1]}"
}

# ---- etcd ----

etcd_url() {
	echo "http://$(address "$1"):$ETCD_PORT"
}

peer_url() {
	echo "http://$(address "$1"):$ETCD_PEER_PORT"
}

# etcd_run MACHINE [OPTION...]: begins, or goes on with what it has
etcd_run() {
	local i all=''
	for i in "${MACHINES[@]}"; do
		all+=,e$i=$(peer_url "$i")
	done
	launch "etcd$1" env -i "PATH=$PATH" ETCD_UNSUPPORTED_ARCH=arm64 etcd --name "e$1" \
		--data-dir "$T/etcd$1" --initial-cluster "${all#,}" "${@:2}" \
		--heartbeat-interval 50 --election-timeout 500 \
		--listen-client-urls "$(etcd_url "$1")" --advertise-client-urls "$(etcd_url "$1")" \
		--listen-peer-urls "$(peer_url "$1")" --initial-advertise-peer-urls "$(peer_url "$1")"
	# Not *.pid, which are the daemons that end by themselves.
	echo "$PID" >"$T/etcd$1.runs"
}

etcd_kill() {
	local pid
	pid=$(cat "$T/etcd$1.runs")
	kill -KILL "$pid"
	wait_until gone "$pid"
}

# etcd_ask MACHINE PATH [REQUEST]: the answer, as JSON
etcd_ask() {
	python3 -c 'import sys, urllib.request
url, request = sys.argv[1:]
print(urllib.request.urlopen(url, request.encode(), timeout=30).read().decode())' \
		"$(etcd_url "$1")$2" "${3:-{\}}" 2>"$T/said"
}

etcd_serves() {
	etcd_ask "$1" /v3/lease/leases >"$T/answer"
}

# etcd_leads MACHINE
etcd_leads() {
	etcd_ask "$1" /v3/maintenance/status |
		python3 -c 'import json, sys
status = json.load(sys.stdin)
sys.exit(status["leader"] != status["header"]["member_id"])' 2>"$T/said"
}

# etcd_member MACHINE OF: the number that MACHINE's etcd has, as OF's says
etcd_member() {
	etcd_ask "$2" /v3/cluster/member/list |
		python3 -c 'import json, sys
print(*[m["ID"] for m in json.load(sys.stdin)["members"] if m["peerURLs"] == [sys.argv[1]]])' \
			"$(peer_url "$1")"
}

# ---- masters ----

# store_urls: the --store of all masters, and the MASTER-URL of all nodes
store_urls() {
	local i
	STORE='' URL=''
	for i in "${MACHINES[@]}"; do
		STORE+=,$(etcd_url "$i")
		URL+=,tcp://$(address "$i"):$MASTER_PORT
	done
	STORE=etcd:${STORE#,} URL=${URL#,}
}

# master_run MACHINE: as m1, m2, m3
master_run() {
	launch "m$1" "$DLOCK_MASTER" --name "m$1" --listen "tcp://$(address "$1"):$MASTER_PORT" \
		--store "$STORE" --lease "$LEASE" --leader-lease "$LEADER_LEASE"
	echo "$PID" >"$T/m$1.pid"
}

# Of whoever took over last, by its own word: the machine in LEADER, and EPOCH.
look_who_leads() {
	local last
	last=$(grep -o ': leads in epoch [0-9]*' "$T"/log/m? |
		sed 's/.*\/m\(.\):: leads in epoch /\1 /' | sort -n -k 2 | tail -1)
	read -r LEADER EPOCH <<<"${last:-0 0}"
}

leads_past() {
	look_who_leads
	[ "$EPOCH" -gt "$1" ]
}

# next_leader: who leads after $EPOCH
next_leader() {
	wait_until leads_past "$EPOCH" || fail "nobody leads after epoch $EPOCH"
}

# stands_by MACHINE: has seen who leads
stands_by() {
	tail -n 1 "$T/log/m$1" | grep -q 'stands by'
}

# stands_down MACHINE: what it said last of its own part is that it does not lead
stands_down() {
	grep -o ': leads in epoch\|no longer leads' "$T/log/m$1" | tail -1 | grep -q longer
}

# ---- all of it ----

machine() {
	local daemon
	place "machine$1"
	for daemon in "etcd$1" "m$1" "${NODE_OF[$1]:-}"; do
		lives_at "$daemon" "$1"
	done
}

machines_start() {
	local i
	LEASE=$1 LEADER_LEASE=$2
	for i in "${MACHINES[@]}"; do
		machine "$i"
	done
	store_urls
	for i in "${MACHINES[@]}"; do
		etcd_run "$i"
	done
	for i in "${MACHINES[@]}"; do
		wait_until etcd_serves "$i" || fail "etcd $i does not serve: $(tail -3 "$T/log/etcd$i")"
	done
	EPOCH=0
	for i in "${MACHINES[@]}"; do
		master_run "$i"
	done
	next_leader
	# timeo is beyond the lease, so that EIO can only mean that the lease is lost.
	for i in "${NODES[@]}"; do
		node_start "$i" timeo=300
	done
}

# drop_in MACHINE INPUT OUTPUT: what matches there is dropped, within the machine too
drop_in() {
	in_place "${KEEPER[machine$1]}" nft -f - <<-END || fail "nft: $2, $3"
		table ip shut {
			chain in { type filter hook input priority 0; $2 drop; }
			chain out { type filter hook output priority 0; $3 drop; }
		}
	END
}

# cut_from_etcd MACHINE: from its own and from the others'
cut_from_etcd() {
	local ports="{ $ETCD_PORT, $ETCD_PEER_PORT }"
	drop_in "$1" "tcp sport $ports drop; tcp dport $ports" "tcp sport $ports drop; tcp dport $ports"
}

# cut_from_nodes MACHINE: its master; the node there reaches the other masters
cut_from_nodes() {
	drop_in "$1" "tcp dport $MASTER_PORT" "tcp sport $MASTER_PORT"
}

rejoin() {
	in_place "${KEEPER[machine$1]}" nft delete table ip shut || fail "nft delete table"
}
