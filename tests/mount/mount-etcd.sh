#!/bin/bash
# SPDX-License-Identifier: MIT
# The master's store is an etcd: locks outlive the leader, what hangs or is away costs what it must and
# no more, and the master says in a line what is wrong.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/belief.sh"

# Longer than the wait for a dead leader's lease, so that nobody loses anything by it.
LEASE=120
command -v etcd >/dev/null || skip "there is no etcd (Debian: etcd-server)"
setup
ADDRESS=127.$((64 + RANDOM % 64)).$((RANDOM % 256)).$((RANDOM % 256))
ETCD=http://$ADDRESS:23790
STORE=etcd:$ETCD

etcd_start() {
	launch etcd env -i "PATH=$PATH" ETCD_UNSUPPORTED_ARCH=arm64 etcd --name m --data-dir "$T/etcd" \
		--listen-client-urls "$ETCD" --advertise-client-urls "$ETCD" \
		--listen-peer-urls "http://$ADDRESS:23791" \
		--initial-advertise-peer-urls "http://$ADDRESS:23791" \
		--initial-cluster "m=http://$ADDRESS:23791"
	# Not in a file: it is none of the daemons that end by themselves.
	ETCD_PID=$PID
}

etcd_signal() {
	kill "-$1" "$ETCD_PID"
}

# etcd_revision: how many writes there have been, in REVISION
etcd_revision() {
	REVISION=$(python3 -c 'import json, sys, urllib.request
request = urllib.request.Request(sys.argv[1] + "/v3/kv/txn", b"{}")
print(json.load(urllib.request.urlopen(request, timeout=60))["header"]["revision"])' "$ETCD")
}

# master_at NAME [OPTION...]: one of several, at a socket of its own
master_at() {
	launch "$1" "$DLOCK_MASTER" --store "$STORE" --listen "ipc://$T/$1.sock" --lease "$LEASE" "${@:2}"
	echo "$PID" >"$T/$1.pid"
}

says() {
	grep -q "$2" "$T/log/$1"
}

lines() {
	grep -c "$2" "$T/log/$1"
}

# refused WORDS OPTION...: a master that does not start, and says why in one line
refused() {
	local words=$1 said status
	shift
	said=$("$DLOCK_MASTER" --listen "ipc://$T/refused.sock" "$@" 2>&1)
	status=$?
	[ $status != 0 ] || fail "starts: $*"
	[ "$(wc -l <<<"$said")" = 1 ] || fail "says more than a line: $said"
	grep -qF -- "$words" <<<"$said" || fail "does not say \"$words\": $said"
}

# As at boot, when both begin at the same time.
master_start
wait_until says master 'does not answer.*Connection refused' || fail "it does not say why it waits"
etcd_start
node_start a timeo=60
node_start b timeo=60

case_a_master_that_starts_before_etcd_gives_up() {
	wait_until says master 'leads in epoch 1' || fail "it does not lead"
	[ "$(lines master 'does not answer')" = 1 ] || fail "it says so again and again"
}

case_a_restart_of_the_master_costs_a_lock() {
	client p && client q
	want ok p open 0 bc "$T/a/kept"
	want ok p flock 0 ex
	want ok q open 0 b "$T/b/kept"
	send q flock 0 ex
	waits q b
	master_restart
	want ok p flock 0 un
	granted q
	quit p q
}

# A write each half a second at most, however many renew.
case_etcd_is_worn_out_by_renewals() {
	local before began seconds writes
	etcd_revision
	before=$REVISION
	clock
	began=$NOW
	for _ in {1..20}; do
		flock "$T/a/busy" flock "$T/b/busy2" sleep 0.4
	done
	etcd_revision
	clock
	seconds=$(((NOW - began) / 1000))
	writes=$((REVISION - before))
	note "$writes writes in $seconds s"
	[ $writes -le $((2 * (seconds + 1))) ] || fail "$writes writes in $seconds s"
}

# Nothing is granted once the leader's lease is over, and everything is as it was when etcd goes on.
case_etcd_hangs_and_a_lock_is_lost_or_granted() {
	local said
	client p && client q
	want ok p open 0 bc "$T/a/held"
	want ok p flock 0 ex
	want ok q open 0 b "$T/b/held"
	said=$(lines master 'does not answer')
	etcd_signal STOP
	wait_until says master 'no longer leads: the store did not confirm' || fail "it goes on leading"
	said=$(($(lines master 'does not answer') - said))
	[ $said -le 1 ] || fail "it says so $said times"
	says master 'does not answer.*no answer in time' || fail "it does not say why"
	send q flock 0 ex
	etcd_signal CONT
	want ok p pwrite 0 0 text
	silent q || fail "q has p's lock, or an error"
	want ok p flock 0 un
	granted q
	quit p q
}

# It may not wait for an etcd that does not answer: a service manager kills what does not end.
case_a_master_is_not_stopped_while_etcd_hangs() {
	local pid
	etcd_signal STOP
	pid=$(pid_of master)
	kill -TERM "$pid"
	PATIENCE=30 wait_until gone "$pid" || fail "it does not end"
	etcd_signal CONT
	master_start
	flock "$T/a/again" true || fail "no lock"
}

case_the_leader_dies_and_no_other_leads() {
	local one two lead other
	master_at one --etcd-prefix /several
	master_at two --etcd-prefix /several
	wait_until eval 'says one serving || says two serving' || fail "nobody leads"
	lead=one other=two
	says one serving || lead=two other=one
	says $lead 'no longer leads' || ! says $other serving || fail "both lead"
	wait_until says $other 'stands by for the master that leads in epoch 1' ||
		fail "$other does not say what it does"
	crash $lead
	wait_until says $other serving || fail "$other does not take over"
	kill -TERM "$(pid_of $other)"
}

case_what_is_wrong_is_not_said_in_a_line() {
	local url=$STORE
	refused 'has no port' --store etcd:http://h
	refused 'is neither http' --store etcd:h:1
	refused 'belongs to the cluster "dlock"' --store "$url" --etcd-cluster other
	refused 'etcd-password-file' --store "$url" --etcd-user me
	refused 'not https' --store "$url" --etcd-ca /dev/null
	refused 'authentication is not enabled' --store "$url" --etcd-user me \
		--etcd-password-file <(echo secret)
	refused 'is no etcd' --store "sqlite:$T/x.db" --etcd-prefix /a/
}

run_cases
