#!/bin/bash
# SPDX-License-Identifier: MIT
# The master's disk is full, or does not sync: nothing is promised that is not on it, the master says
# why in a line, and when the disk is well again all goes on without anybody's help.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/belief.sh"

LEASE=2
setup
mkdir "$T/store"
# Roomy beside what SQLite's log may grow to (4 MB), so that only the test fills it.
mount -t tmpfs -o size=16m dlock-test "$T/store" || fail "mount"
STORE=sqlite:$T/store/m.db
BELOW["master"]="env LD_PRELOAD=$FAULTS DLOCK_TEST_BROKEN=$T/broken"
# A sanitizer wants to be the first library; it does without.
BELOW["master"]+=" ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
master_start
node_start a timeo=60
node_start b timeo=60

# The two troubles, and what the master has to say of them.
break_store() {
	SAID=$(wc -l <"$T/log/master")
	case $1 in
	full)
		dd if=/dev/zero of="$T/store/filler" bs=64k 2>/dev/null
		! dd if=/dev/zero of="$T/store/filler2" bs=1 count=1 2>/dev/null || fail "it is not full"
		WHY='database or disk is full'
		;;
	unsynced)
		: >"$T/broken"
		WHY='disk I/O error'
		;;
	esac
}

mend_store() {
	rm -f "$T/store/filler" "$T/store/filler2" "$T/broken"
}

says() {
	tail -n +$((SAID + 1)) "$T/log/master" | grep -q "$1"
}

# Since the trouble began: one line for it, and one for stepping down, however long it takes.
said_it_briefly() {
	local lines
	says "store does not answer.*$WHY" || fail "it does not say why: $(tail -5 "$T/log/master")"
	lines=$(tail -n +$((SAID + 1)) "$T/log/master" | grep -c "store does not answer")
	[ "$lines" = 1 ] || fail "it says so $lines times"
}

believers_through() {
	local since
	believe "$1" a b
	somebody_holds
	since=$(now_ns)
	break_store "$1"
	wait_until has_lost "$HOLDER" || fail "$HOLDER believes on what nobody wrote: $(beliefs)"
	wait_until says 'no longer leads' || fail "the master does not step down"
	said_it_briefly
	! another_holds nobody "$since" || fail "$HOLDER was granted a lock"
	since=$(now_ns)
	mend_store
	somebody_holds "$since"
	none_overlapped
}

case_a_full_disk_grants_or_stops_for_ever() {
	believers_through full
}

case_a_disk_that_does_not_sync_grants_or_stops_for_ever() {
	believers_through unsynced
}

# A node that comes and one that goes, while nothing can be written of it.
case_a_session_is_opened_that_is_nowhere_written() {
	node_start leaves
	(set -C && : >"$T/leaves/held") || fail "cannot create"
	break_store unsynced
	mkdir -p "$T/comes"
	launch comes "$DLOCKFS" "$URL" "$T/comes" -f -o node=comes,timeo=60
	echo "$PID" >"$T/comes.pid"
	crash leaves
	wait_until says 'no longer leads' || fail "the master does not step down"
	! mounted comes || fail "comes has a session"
	mend_store
	wait_until serves comes || fail "comes does not mount: $(tail -1 "$T/log/comes")"
	wait_until [ ! -e "$T/comes/held" ] || fail "what a dead node held stays"
}

# With leases longer than the trouble nobody loses anything, although the master has to step down.
case_a_trouble_shorter_than_the_lease_costs_a_lock() {
	LEASE=120
	master_restart
	node_start long
	node_start other
	client p && client q
	want ok p open 0 bc "$T/long/kept"
	want ok p flock 0 ex
	want ok p pwrite 0 0 text
	want ok q open 0 b "$T/other/kept"
	send q flock 0 ex
	waits q other
	break_store full
	wait_until says 'no longer leads' || fail "the master does not step down"
	said_it_briefly
	mend_store
	wait_until says 'grace is over' || fail "grace does not end"
	want ok p pwrite 0 0 more
	silent q || fail "q has p's lock, or an error"
	want ok p flock 0 un
	granted q
	want ok q read 0
	[ "$V" = more ] || fail "reads $V"
}

run_cases
