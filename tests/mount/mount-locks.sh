#!/bin/bash
# SPDX-License-Identifier: MIT
# flock and fcntl between processes and nodes (contract 5). The lease is so long that whatever only
# its end would free is a failure.
. "$(dirname "$0")/lib.sh"

LEASE=300
setup
master_start
node_start a
node_start b
node_start c

# Three clients p, q and r on a, b and c, each with the same file open in slot 0.
three() {
	client p && client q && client r
	want ok p open 0 bc "$T/a/$1"
	want ok q open 0 bc "$T/b/$1"
	want ok r open 0 bc "$T/c/$1"
}

# The lock is nobody's, and nobody waits for it.
all_free() {
	want ok q flock 0 ex nb
	want ok q flock 0 un
	want ok r flock 0 ex nb
	want ok r flock 0 un
}

case_two_nodes_hold_one_lock() {
	three two
	want ok p flock 0 ex
	want EAGAIN q flock 0 ex nb
	want EAGAIN r flock 0 sh nb
	want ok p flock 0 un
	want ok q flock 0 ex nb
	want EAGAIN p flock 0 ex nb
}

case_readers_exclude_each_other() {
	three readers
	want ok p flock 0 sh
	want ok q flock 0 sh nb
	want EAGAIN r flock 0 ex nb
	want ok p flock 0 un
	want EAGAIN r flock 0 ex nb
	want ok q flock 0 un
	want ok r flock 0 ex nb
}

case_a_lock_needs_a_writable_descriptor() {
	client p && client q
	want ok p open 0 rc "$T/a/read-only"
	want ok q open 0 w "$T/b/read-only"
	want ok p flock 0 ex
	want EAGAIN q flock 0 sh nb
}

case_a_downgrade_wakes_nobody() {
	three down
	want ok p flock 0 ex
	send q flock 0 sh
	waits q b
	want ok p flock 0 sh
	granted q
	want EAGAIN r flock 0 ex nb
}

case_an_upgrade_does_not_wait_for_readers() {
	three up
	want ok p flock 0 sh
	want ok q flock 0 sh
	send p flock 0 ex
	waits p a
	want ok q flock 0 un
	granted p
	want EAGAIN q flock 0 sh nb
}

# As flock(2) has it: a conversion gives up the old lock first. Either may come first.
case_two_upgrades_wait_for_each_other() {
	three upgrades
	want ok p flock 0 sh
	want ok q flock 0 sh
	send p flock 0 ex
	waits p a
	send q flock 0 ex
	wait_until eval '! silent p || ! silent q' || fail "both wait"
	if silent p; then
		granted q
		waits p a
		want ok q flock 0 un
		granted p
	else
		granted p
		waits q b
		want ok p flock 0 un
		granted q
	fi
}

case_a_childs_lock_goes_with_its_parents_close() {
	local child
	three fork
	want ok p flock 0 ex
	ask p fork
	child=$V
	record "$child"
	want ok p close 0
	want EAGAIN q flock 0 ex nb
	send q flock 0 ex
	waits q b
	kill -KILL "$child"
	granted q
}

# A process that inherited nothing is sent the descriptor, and the one that took the lock ends.
case_a_passed_descriptor_loses_the_lock() {
	local receiver
	client q
	want ok q open 0 bc "$T/b/pass"
	receiver=$(python3 - "$T/a/pass" <<'END'
import array, fcntl, os, signal, socket, sys
here, there = socket.socketpair()
pid = os.fork()
if pid == 0:
    os.close(1)
    here.close()
    data, ancillary, _, _ = there.recvmsg(1, socket.CMSG_SPACE(4))
    there.send(b"x")
    signal.pause()
f = open(sys.argv[1], "w")
fcntl.flock(f, fcntl.LOCK_EX)
here.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [f.fileno()]))])
here.recv(1)
print(pid)
END
	)
	record "$receiver" || fail "no receiver: $receiver"
	want EAGAIN q flock 0 ex nb
	send q flock 0 ex
	waits q b
	kill -KILL "$receiver"
	granted q
}

case_a_duplicate_closed_frees_the_lock() {
	three dup
	want ok p flock 0 ex
	want ok p dup 0 1
	want ok p close 0
	want EAGAIN q flock 0 ex nb
	want ok p close 1
	want ok q flock 0 ex
}

case_exec_loses_the_lock() {
	local holder
	(exec 9>"$T/a/exec" && flock 9 && exec sleep 1000) &
	holder=$!
	record $holder
	disown $holder
	wait_until eval '[ "$(cat /proc/$holder/comm)" = sleep ]'
	client q
	want ok q open 0 r "$T/b/exec"
	want EAGAIN q flock 0 ex nb
	send q flock 0 ex
	waits q b
	kill -TERM $holder
	granted q
}

case_a_close_leaves_the_lock() {
	three close
	want ok p flock 0 ex
	send q flock 0 ex
	waits q b
	want ok p close 0
	granted q
}

case_waiters_are_served_out_of_order() {
	local i node nodes=(a b c c b a a c b b) name
	client p
	want ok p open 0 bc "$T/a/order"
	want ok p flock 0 ex
	for i in "${!nodes[@]}"; do
		node=${nodes[i]} name=w$i
		client "$name"
		want ok "$name" open 0 b "$T/$node/order"
		send "$name" flock 0 ex
		waits "$name" "$node"
	done
	want ok p flock 0 un
	served_in_order ${#nodes[@]}
}

case_readers_overtake_a_waiting_writer() {
	three overtake
	client s
	want ok s open 0 b "$T/a/overtake"
	want ok p flock 0 sh
	send q flock 0 ex
	waits q b
	send r flock 0 sh
	waits r c
	send s flock 0 sh
	waits s a
	want ok p flock 0 un
	granted q
	silent r && silent s || fail "a reader is in with the writer"
	want ok q flock 0 un
	granted r
	granted s
}

case_a_timeout_leaves_a_waiter_or_a_lock() {
	three timeout
	want ok p flock 0 ex
	clock
	local began=$NOW
	flock -w 1 "$T/b/timeout" true
	[ $? = 1 ] || fail "flock -w does not say 1"
	clock
	[ $((NOW - began)) -ge 990 ] || fail "it waited only $((NOW - began)) ms"
	flock -n "$T/c/timeout" true
	[ $? = 1 ] || fail "flock -n does not say 1"
	want ok p flock 0 un
	all_free
}

case_a_signal_does_not_end_the_wait() {
	three signal
	want ok p flock 0 ex
	send q flock 0 ex
	waits q b
	signal USR1 q
	answer q || fail "q waits on"
	[ "$R" = EINTR ] || fail "$R, not EINTR"
	want ok p flock 0 un
	all_free
}

case_a_restarted_wait_is_lost() {
	three restart
	want ok p flock 0 ex
	send q flock 0 ex
	waits q b
	signal USR2 q
	waits q b
	want ok p flock 0 un
	granted q
	want EAGAIN r flock 0 ex nb
}

# killed_waiters FILE PREPARE RESUME: waiters of all kinds, on the holder's node and another
killed_waiters() {
	local sig name
	three "$1"
	want ok p flock 0 ex
	for sig in TERM INT KILL HUP; do
		for node in a b; do
			name=$node$sig
			client "$name"
			want ok "$name" open 0 b "$T/$node/$1"
			send "$name" flock 0 ex
			waits "$name" "$node"
		done
	done
	$2
	for sig in TERM INT KILL HUP; do
		for node in a b; do
			signal $sig "$node$sig"
			wait_until gone "$(pid_of_client "$node$sig")" || fail "SIG$sig on $node: it hangs"
		done
	done
	$3
	want ok p flock 0 un
	all_free
}

case_a_killed_waiter_hangs_or_stays_in_the_queue() {
	killed_waiters killed true true
}

stop_master() {
	kill -STOP "$(pid_of master)"
}

resume_master() {
	kill -CONT "$(pid_of master)"
}

case_a_killed_waiter_hangs_while_the_master_is_silent() {
	killed_waiters silent stop_master resume_master
}

# These requests never reached the master; when it comes back nobody wants them any more.
case_a_call_made_while_the_master_is_silent_cannot_be_killed() {
	local sig
	three silent2
	for sig in TERM INT KILL USR1; do
		client "$sig"
		want ok "$sig" open 0 b "$T/b/silent2"
	done
	stop_master
	for sig in TERM INT KILL; do
		send "$sig" flock 0 ex
		wait_until in_lock_call "$sig"
		signal "$sig" "$sig"
		wait_until gone "$(pid_of_client "$sig")" || fail "SIG$sig: it hangs"
	done
	send USR1 flock 0 ex
	wait_until in_lock_call USR1
	signal USR1 USR1
	answer USR1 || fail "a signal does not end the wait"
	[ "$R" = EINTR ] || fail "$R, not EINTR"
	resume_master
	all_free
}

case_an_open_while_the_master_is_silent_cannot_be_killed() {
	client p && client q
	stop_master
	send p open 0 bcx "$T/a/never"
	send q open 0 r "$T/a/neither"
	sleep 0.2
	quit p q
	resume_master
	[ ! -e "$T/b/never" ] || rm "$T/b/never"
}

free_for() {
	ask "$1" flock 0 ex nb
	[ "$R" = ok ] && want ok "$1" flock 0 un
}

case_a_grant_crosses_a_signal_and_is_lost() {
	local i got=0
	three cross
	for i in {1..100}; do
		want ok p flock 0 ex
		send q flock 0 ex
		waits q b
		send p flock 0 un
		# A delay that wanders over the time a grant takes.
		[ $((i % 3)) = 0 ] || stat -f "$T/$([ $((i % 3)) = 1 ] && echo c || echo b)" >/dev/null
		signal USR1 q
		granted p
		answer q || fail "round $i: no answer"
		case $R in
		ok) want EAGAIN r flock 0 ex nb && want ok q flock 0 un && got=$((got + 1)) ;;
		# At once if the master is not slow to answer, in the end in any case.
		EINTR) wait_until free_for r || fail "round $i: left behind" ;;
		*) fail "round $i: $R" ;;
		esac
	done
	note "$got of 100 got the lock before the signal"
}

case_a_file_made_anew_forgets_who_holds_its_name() {
	three anew
	want ok p flock 0 ex
	want ok q unlink "$T/b/anew"
	want ok q open 1 bc "$T/b/anew"
	want EAGAIN q flock 1 ex nb
	want ok r open 1 b "$T/c/anew"
	send r flock 1 ex
	waits r c
	want ok p flock 0 un
	granted r
	want EAGAIN p flock 0 ex nb
	want EAGAIN q flock 0 ex nb
}

case_a_directory_made_anew_forgets_who_holds_its_names() {
	mkdir "$T/a/dir"
	client p
	want ok p open 0 bc "$T/a/dir/lock"
	want ok p flock 0 ex
	rm -r "$T/b/dir"
	mkdir "$T/b/dir"
	! flock -n "$T/b/dir/lock" true || fail "two hold dir/lock"
	want ok p flock 0 un
	flock -n "$T/b/dir/lock" true || fail "nobody holds dir/lock"
}

case_a_dead_process_keeps_its_lock() {
	local i killed
	for i in 1 2 3; do
		three "death$i"
		want ok p flock 0 ex
		send q flock 0 ex
		waits q b
		clock
		killed=$NOW
		signal KILL p
		granted q
		note "process death to the next grant: $((TO - killed)) ms (clock of 10 ms)"
		quit q r
	done
}

case_a_dead_process_keeps_its_ranges() {
	three ranges-death
	want ok p posix 0 w 0 10
	want ok p ofd 0 w 20 10
	send q posix 0 w 0 0 wait
	waits q b
	signal KILL p
	granted q
}

# The kernel sends releases in the background, and holds back what is too many: then a later call
# of the same node would come first (contract 2.3).
case_a_call_overtakes_the_release_of_many_files() {
	mkdir "$T/a/many"
	"$RELEASES" "$T/a/many" "$(pid_of a)" 60 || fail "a closed file is still locked (or: $?)"
}

case_ranges_of_two_nodes_overlap() {
	three ranges
	want ok p posix 0 w 0 10
	want ok q posix 0 w 10 10
	want EAGAIN q posix 0 w 5 10
	want EAGAIN r posix 0 r 9 1
	want ok r posix 0 r 20 0
	want EAGAIN p posix 0 w 1000000 1
	want ok p posix 0 r 1000000 1
}

case_a_range_unlocked_in_the_middle_is_not_split() {
	three split
	want ok p posix 0 w 0 30
	want ok p posix 0 u 10 10
	want ok q posix 0 w 10 10
	want EAGAIN q posix 0 w 9 1
	want EAGAIN q posix 0 w 20 1
	want ok p posix 0 r 0 10
	want ok r posix 0 r 0 10
	want EAGAIN r posix 0 r 20 1
}

case_a_range_is_not_waited_for() {
	three range-wait
	want ok p posix 0 w 0 10
	send q posix 0 w 5 10 wait
	waits q b
	send r posix 0 w 100 1 wait
	granted r
	want ok p posix 0 u 0 5
	silent q || fail "q has what p still holds"
	want ok p posix 0 u 5 5
	granted q
}

case_getlk_names_the_wrong_holder() {
	three getlk
	client s
	want ok s open 0 b "$T/a/getlk"
	want ok p posix 0 w 5 10
	want ok q getlk 0 w 0 100
	[ "$V" = "w 5 10 0" ] || fail "on another node: $V"
	want ok s getlk 0 r 0 100
	[ "$V" = "w 5 10 $(pid_of_client p)" ] || fail "on its own node: $V"
	want ok p getlk 0 w 0 0
	[ "$V" = free ] || fail "for the holder: $V"
	want ok q getlk 0 w 15 0
	[ "$V" = free ] || fail "beside it: $V"
	want ok p posix 0 r 5 0
	want ok q getlk 0 r 0 0
	[ "$V" = free ] || fail "a reader for a reader: $V"
	want ok q getlk 0 w 0 0
	[ "$V" = "r 5 0 0" ] || fail "a reader to the end: $V"
}

case_flock_and_ranges_see_each_other() {
	three apart
	want ok p flock 0 ex
	want ok q posix 0 w 0 0
	want EAGAIN r flock 0 ex nb
	want EAGAIN r posix 0 w 0 0
}

# What fcntl(2) says of closes: any of the process's descriptors gives up its POSIX locks.
case_closing_another_descriptor_keeps_posix_locks() {
	three closes
	want ok p posix 0 w 0 10
	want ok p open 1 r "$T/a/closes"
	want ok p close 1
	want ok q posix 0 w 0 10
}

case_closing_another_descriptor_frees_ofd_locks() {
	three ofd
	want ok p ofd 0 w 0 10
	want ok p open 1 r "$T/a/ofd"
	want ok p close 1
	want EAGAIN q ofd 0 w 0 10
	want EAGAIN r posix 0 r 5 1
	want ok p close 0
	want ok q ofd 0 w 0 10 wait # the kernel does not wait for what a close releases
}

# What is held exclusively and asked for shared, with more, stays exclusive until that is granted.
case_a_refused_downgrade_gives_the_lock_away() {
	client p && client q && client r
	want ok p open 0 bc "$T/a/downgrade"
	want ok q open 0 bc "$T/b/downgrade"
	want ok r open 0 bc "$T/b/downgrade"
	want ok p posix 0 w 0 10
	want ok q posix 0 w 15 5
	want EAGAIN p posix 0 r 0 20
	want EAGAIN r posix 0 r 0 10
	send p posix 0 r 0 20 wait
	waits p a
	signal USR1 p
	answer p || fail "a signal does not end the wait"
	[ "$R" = EINTR ] || fail "the wait ended with $R"
	want EAGAIN r posix 0 r 0 10
	want ok q posix 0 u 15 5
	want ok p posix 0 r 0 20
	want ok r posix 0 r 0 10
}

run_cases
