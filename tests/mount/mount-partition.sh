#!/bin/bash
# SPDX-License-Identifier: MIT
# Nodes and a master, each with a network of its own that fails. A program on each node holds the
# lock whenever it can get it and looks at it without pause: no two ever believe at once, and all
# goes on by itself when the fault is over (contract 6, 6.1).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
. "$(dirname "$0")/belief.sh"

LEASE=2
setup_network
for name in master a b c; do
	place $name
done
master_start
# timeo is beyond the lease, so that EIO can only mean that the lease is lost.
for name in a b c; do
	node_start $name timeo=60
done

pause() {
	kill -STOP "$(pid_of "$1")"
}

resume() {
	kill -CONT "$(pid_of "$1")"
}

# The holder is cut off until another one has the lock, and then it is its turn.
cut_off_the_holder() {
	local was since
	believe "cut-$1" a b c
	somebody_holds
	was=$HOLDER since=$(now_ns)
	cut "$1" "$was"
	handed_on "$was" "$since"
	note "holder cut off ($1) to the next grant: $(((FROM - since) / 1000000)) ms, lease $LEASE s"
	wait_until has_lost "$was" || fail "$was is not told: $(beliefs)"
	heal
	none_overlapped
}

case_a_holder_cut_off_both_ways_believes_on() {
	cut_off_the_holder both
}

case_a_holder_that_hears_nothing_believes_on() {
	cut_off_the_holder to
}

case_a_holder_that_is_not_heard_believes_on() {
	cut_off_the_holder from
}

case_a_holder_whose_cable_is_pulled_believes_on() {
	cut_off_the_holder link
}

case_a_holder_that_slept_through_its_lease_believes_on() {
	local was since
	believe asleep a b c
	somebody_holds
	was=$HOLDER since=$(now_ns)
	pause "$was"
	handed_on "$was" "$since"
	resume "$was"
	wait_until has_lost "$was" || fail "$was is not told: $(beliefs)"
	none_overlapped
}

# It hears nothing, so it does not hear either that it has the lock; but it is heard for a while.
case_a_grant_that_is_not_heard_blocks_the_others() {
	local waiter since
	believe unheard a b
	somebody_holds
	[ "$HOLDER" = a ] && waiter=b || waiter=a
	client p
	want ok p open 0 bc "$T/c/unheard"
	stat -f "$T/$waiter" >/dev/null || fail "stat -f $waiter"
	send p flock 0 ex
	waits p c
	cut to "$waiter"
	since=$(now_ns)
	kill -TERM "$(believer_of "$HOLDER")"
	BELIEVERS=("$waiter")
	granted p
	note "a grant not heard to the next: $((TO - since / 1000000)) ms, lease $LEASE s"
	! holds "$waiter" || fail "$waiter holds too"
	heal
	want ok p flock 0 un
	none_overlapped
}

# Everybody's lease runs out, and nobody may be granted anything until the master is back.
case_a_master_that_slept_past_the_lease_lets_two_in() {
	local since
	believe nap a b c
	somebody_holds
	since=$(now_ns)
	pause master
	wait_until has_lost "$HOLDER" || fail "$HOLDER is not told: $(beliefs)"
	! another_holds nobody "$since" || fail "$HOLDER was granted the lock by nobody"
	resume master
	somebody_holds "$since"
	none_overlapped
}

case_a_master_cut_off_past_the_lease_is_lost() {
	local kind since
	believe island a b c
	for kind in to from; do
		somebody_holds
		since=$(now_ns)
		cut $kind master
		wait_until has_lost "$HOLDER" || fail "$HOLDER is not told: $(beliefs)"
		heal
		somebody_holds "$since"
	done
	none_overlapped
}

case_a_master_killed_again_and_again_lets_two_in() {
	local i
	believe killed a b c
	for i in 1 2 3; do
		somebody_holds
		master_restart
		# Whatever grace takes: the next one knows of nothing that this one granted.
		wait_until eval "[ \$(grep -c 'grace is over' $T/log/master) -gt $i ]" ||
			fail "grace does not end"
	done
	none_overlapped
}

# The next master comes on another machine's word, without the old one's sockets to refuse anything.
case_a_master_whose_machine_dies_is_missed_for_ever() {
	local was since
	believe powered a b c
	somebody_holds
	cut both master
	crash master
	master_start
	was=$HOLDER since=$(now_ns)
	wait_until has_lost "$was" || fail "$was is not told: $(beliefs)"
	heal
	somebody_holds "$since"
	none_overlapped
}

# No RST and no FIN ever comes: only who dials anew is heard again.
case_a_connection_that_is_dead_keeps_its_node_out() {
	local name
	believe dead a b c
	for name in a b c; do
		somebody_holds
		forget_flows "$name"
		served $name
	done
	none_overlapped
	heal
}

# dialed COUNT: so many connections were tried, each from a port of its own
dialed() {
	[ "$(nft list set ip fault dials | sed -n '/elements/,/}/p' | grep -o '[0-9]\{4,5\}' |
		wc -l)" -ge "$1" ]
}

# The kernel tries to connect ever more rarely; who leaves that to it is not back when the network is.
case_a_dial_into_a_broken_network_sleeps_on() {
	nft add set ip fault dials '{ type inet_service; flags dynamic; }'
	nft add rule ip fault forward iifname v-a tcp flags syn add @dials '{ tcp sport }'
	cut both a
	wait_until dialed 3 || fail "it waits for its first connection: $(nft list set ip fault dials)"
	heal
	served a
}

run_cases
