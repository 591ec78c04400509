#!/bin/bash
# SPDX-License-Identifier: MIT
# A node that was silent for its lease has lost everything for good, and knows it before it does
# anything else; only then has another one got it (contract 6, 6.1).
. "$(dirname "$0")/lib.sh"

LEASE=2
setup
master_start
node_start a
node_start b

pause() {
	kill -STOP "$(pid_of "$1")"
}

resume() {
	kill -CONT "$(pid_of "$1")"
}

# A client p on a that holds the lock of FILE and a name, and q on b that waits for the lock.
holder_and_waiter() {
	client p && client q
	want ok p open 0 bc "$T/a/$1"
	want ok p pwrite 0 0 text
	want ok p flock 0 ex
	want ok p open 1 bcx "$T/a/$1.held"
	want ok q open 0 b "$T/b/$1"
	send q flock 0 ex
	waits q b
}

# p's descriptors are good for nothing but to be closed. fstat still says what has become of the file.
lost() {
	want EIO p pwrite 0 0 late
	want EIO p read 0
	want EIO p fsync 0
	want EIO p flock 0 ex
	want EIO p flock 0 sh nb
	want EIO p posix 0 w 0 1
	want EIO p getlk 0 w 0 1
	want EIO p ftruncate 0 0
	want EIO p pwrite 1 0 late
	want ok p fstat 0
	want ok p fstat 1
	[ "${V%% *}" = 0 ] || fail "nlink of the held file is ${V%% *}"
	want ok p close 0
	want ok p close 1
}

# The witness: p asks its descriptor "is it still mine?" from before the end of the lease until after
# q has the lock. Any answer but an error that arrives after the grant would be an overlap.
case_a_paused_node_goes_on_as_the_holder() {
	local paused
	holder_and_waiter paused
	clock
	paused=$NOW
	pause a
	send p read 0
	granted q
	note "node pause to the next grant: $((TO - paused)) ms, lease $LEASE s"
	wait_until [ ! -e "$T/b/paused.held" ] || fail "the held name stays"
	want ok q pwrite 0 0 next
	(set -C && echo b >"$T/b/paused.held") || fail "the held name cannot be made anew"
	resume a
	answer p || fail "p hangs"
	[ "$R" = EIO ] || fail "p reads $R $V after q was granted the lock"
	lost
	want ok p open 2 b "$T/a/paused"
	want EAGAIN p flock 2 ex nb
	want ok p read 2
	[ "$V" = next ] || fail "reads $V"
	[ "$(cat "$T/a/paused.held")" = b ] || fail "a's view of the held name"
	want ok q flock 0 un
	want ok p flock 2 ex nb
}

case_a_paused_waiter_is_granted_a_lock_it_does_not_hear_of() {
	client p && client q && client r
	want ok q open 0 bc "$T/b/waiter"
	want ok q flock 0 ex
	want ok p open 0 b "$T/a/waiter"
	send p flock 0 ex
	waits p a
	want ok r open 0 b "$T/b/waiter"
	send r flock 0 ex
	waits r b
	pause a
	want ok q flock 0 un
	granted r
	resume a
	answer p || fail "p hangs"
	[ "$R" = EIO ] || fail "p: $R, not EIO"
	want ok r flock 0 un
	want ok q flock 0 ex nb
}

case_a_short_pause_costs_the_lease() {
	holder_and_waiter short
	clock
	local paused=$NOW
	pause a
	sleep 0.2
	resume a
	ask p read 0
	clock
	if [ $((NOW - paused)) -lt $((LEASE * 500)) ]; then
		[ "$R" = ok ] || fail "$R after $((NOW - paused)) ms"
		silent q || fail "q has the lock"
	fi
}

case_locks_outlive_a_master_that_was_silent_for_the_lease() {
	local paused
	holder_and_waiter silence
	pause master
	send p read 0
	answer q || fail "a waiter waits on"
	[ "$R" = EIO ] || [ "$R" = ENOLCK ] || fail "the waiter: $R"
	answer p || fail "a reader waits on"
	[ "$R" = EIO ] || fail "the reader: $R"
	resume master
	lost
	want ok p open 2 bc "$T/a/silence"
	want ok p flock 2 ex nb
	want ok q close 0
	want ok q open 0 bc "$T/b/silence"
	want EAGAIN q flock 0 ex nb
}

case_a_node_that_died_with_its_master_keeps_its_lock() {
	client p && client q
	node_start dying
	want ok p open 0 bc "$T/dying/both"
	want ok p flock 0 ex
	want ok q open 0 b "$T/b/both"
	send q flock 0 ex
	waits q b
	crash dying
	clock
	master_restart
	granted q
	note "death of node and master to the next grant: $((TO - NOW)) ms, lease $LEASE s"
}

case_a_paused_node_meets_a_restarted_master() {
	holder_and_waiter restarted
	pause a
	master_restart
	granted q
	resume a
	ask p read 0
	[ "$R" = EIO ] || fail "p reads $R after q was granted the lock"
	lost
}

case_a_umount_hangs_without_a_master() {
	# umount(8) looks at the root first, which waits for a master like every call (contract 6.3).
	node_start lonely
	: >"$T/lonely/file"
	crash master
	clock
	local began=$NOW
	umount "$T/lonely" || fail "umount"
	wait_until gone "$(pid_of lonely)" || fail "the daemon does not end"
	clock
	note "umount without a master: $((NOW - began)) ms"
	master_start
	# Its session could not say goodbye, and holds up the others until its lease is over.
	wait_until stat -f "$T/a" >/dev/null 2>&1 || fail "the master does not serve again"
}

case_two_hosts_share_a_name() {
	node_start twin
	client p && client q
	want ok p open 0 bc "$T/twin/file"
	want ok p flock 0 ex
	mkdir "$T/second"
	timeout -k 5 "$PATIENCE" "$DLOCKFS" "$URL" "$T/second" -o node=twin >"$T/said" 2>&1
	[ $? = 1 ] || fail "the second is not refused: $(cat "$T/said")"
	[ "$(wc -l <"$T/said")" = 1 ] || fail "$(cat "$T/said")"
	grep -q 'twin.*in use' "$T/said" || fail "$(cat "$T/said")"
	! mounted second || fail "it has mounted"
	want ok p pwrite 0 0 unharmed
	want ok q open 0 r "$T/a/file"
	want EAGAIN q flock 0 ex nb
	want ok p close 0
	node_stop twin
}

# The earlier session has to end first; then the name is free again.
case_a_node_that_died_cannot_come_back() {
	node_start phoenix
	client p
	(set -C && : >"$T/phoenix/ashes") || fail "cannot create"
	crash phoenix
	clock
	local died=$NOW
	node_start phoenix
	clock
	note "death of a node to its next mount: $((NOW - died)) ms, lease $LEASE s"
	[ ! -e "$T/phoenix/ashes" ] || fail "it carries on with what its dead session held"
	(set -C && : >"$T/phoenix/ashes") || fail "cannot create again"
	node_stop phoenix
}

case_two_are_inside_while_nodes_lapse() {
	local i node paths=()
	# A process that finds its lock lost has to stop: these ask before and after, and the one that
	# lapses is killed first, as onloss=kill would.
	for node in b b; do
		paths+=("$T/$node/inside")
	done
	mkdir "$T/witness"
	for i in 1 2; do
		client p
		want ok p open 0 bc "$T/a/inside"
		want ok p flock 0 ex
		mkdir "$T/witness/inside"
		"$CROWD" count flock $((i * 50)) "$T/witness" "${paths[@]}" >"$T/counted" 2>&1 &
		local crowd=$!
		sleep 0.3
		[ -s "$T/counted" ] && fail "somebody counts: $(cat "$T/counted")"
		rmdir "$T/witness/inside"
		pause a
		wait $crowd || fail "$(cat "$T/counted")"
		resume a
		want EIO p read 0
		quit p
		rm "$T/witness/counter"
	done
}

run_cases
