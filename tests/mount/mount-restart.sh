#!/bin/bash
# SPDX-License-Identifier: MIT
# A master that is killed and started again knows nothing; the nodes do, and nobody may notice more
# than a pause (contract 5.3, 6.3). The lease is longer than the test, so that nothing is freed or
# granted by its end.
. "$(dirname "$0")/lib.sh"

LEASE=120
setup
master_start
node_start a
node_start b
node_start c

three() {
	client p && client q && client r
	want ok p open 0 bc "$T/a/$1"
	want ok q open 0 bc "$T/b/$1"
	want ok r open 0 bc "$T/c/$1"
}

case_a_lock_is_given_away_after_a_restart() {
	three holder
	want ok p flock 0 ex
	want ok p posix 0 w 10 10
	want ok q posix 0 r 30 10
	master_restart
	want EAGAIN q flock 0 ex nb
	want EAGAIN r posix 0 r 15 1
	want EAGAIN r posix 0 w 30 1
	want ok r posix 0 r 30 1
	want ok r getlk 0 w 10 1
	[ "$V" = "w 10 10 0" ] || fail "getlk: $V"
	want ok p flock 0 un
	want ok q flock 0 ex nb
}

case_a_restart_forgets_names_or_content() {
	local before
	(set -C && echo held >"$T/a/held") || fail "cannot create"
	echo plain >"$T/b/plain"
	chmod 640 "$T/a/plain"
	chown 12:34 "$T/a/plain"
	head -c 65536 /dev/urandom >"$T/random"
	cp "$T/random" "$T/c/large"
	before=$(cd "$T/a" && stat -c '%n %i %a %u %g %s %h %y %z' held plain large)
	master_restart
	[ "$(cd "$T/b" && stat -c '%n %i %a %u %g %s %h %y %z' held plain large)" = "$before" ] ||
		fail "before: $before; after: $(cd "$T/b" && stat -c '%n %i %a %u %g %s %h %y %z' \
			held plain large)"
	[ "$(cat "$T/c/held" "$T/c/plain")" = $'held\nplain' ] || fail "the content"
	cmp "$T/random" "$T/a/large" || fail "the large content"
	! (set -C && : >"$T/b/held") 2>/dev/null || fail "a held name is made twice"
	rm "$T/b/held" "$T/b/plain"
	master_restart
	[ ! -e "$T/a/held" ] && [ ! -e "$T/a/plain" ] || fail "what was removed is back"
}

case_a_restart_makes_a_held_name_stay_for_ever() {
	node_start d
	(set -C && : >"$T/d/held-by-d") || fail "cannot create"
	master_restart
	[ -e "$T/a/held-by-d" ] || fail "it is gone"
	node_stop d
	wait_until [ ! -e "$T/a/held-by-d" ] || fail "it stays when its node leaves"
}

case_what_a_node_wrote_that_has_left_is_lost() {
	node_start e
	echo text >"$T/e/written"
	node_stop e
	[ "$(cat "$T/a/written")" = text ] || fail "it is gone when its writer leaves"
	master_restart
	[ "$(cat "$T/b/written")" = text ] || fail "it is gone after the restart"
}

case_a_removed_open_file_is_lost() {
	three removed
	want ok p pwrite 0 0 old
	rm "$T/c/removed"
	echo new >"$T/c/removed"
	master_restart
	want ok q fstat 0
	[ "${V%% *}" = 0 ] || fail "nlink is ${V%% *}"
	want ok q pwrite 0 3 er
	want ok p read 0
	[ "$V" = older ] || fail "reads $V"
	[ "$(cat "$T/a/removed")" = new ] || fail "the new one reads $(cat "$T/a/removed")"
}

case_a_restart_mixes_up_the_queue() {
	local i name node nodes=(a b c b a c)
	client p
	want ok p open 0 bc "$T/a/queue"
	want ok p flock 0 ex
	for i in "${!nodes[@]}"; do
		name=w$i node=${nodes[i]}
		client $name
		want ok $name open 0 b "$T/$node/queue"
		[ $i != 3 ] || master_restart
		send $name flock 0 ex
		waits $name $node
	done
	crash master
	send p flock 0 un
	clock
	master_start
	granted p
	for i in "${!nodes[@]}"; do
		granted "w$i"
		[ $i != 0 ] || note "restart of the master to the next grant: $((TO - NOW)) ms"
		for ((later = i + 1; later < ${#nodes[@]}; later++)); do
			silent "w$later" || fail "waiter $later came before its turn, at $i's"
		done
		want ok "w$i" flock 0 un
	done
}

case_calls_fail_while_the_master_is_away() {
	three away
	want ok p flock 0 ex
	crash master
	client s && client u
	send q flock 0 ex nb
	send r flock 0 ex
	send s open 0 bcx "$T/b/made-meanwhile"
	send u open 0 r "$T/c/not-there"
	send p pwrite 0 0 text
	sleep 0.5
	silent p && silent q && silent r && silent s && silent u || fail "one does not wait"
	master_start
	granted p
	granted s
	answer q && [ "$R" = EAGAIN ] || fail "flock -n of a held lock: $R"
	answer u && [ "$R" = ENOENT ] || fail "open of what is not there: $R"
	[ -e "$T/a/made-meanwhile" ] || fail "what was made is not there"
	want ok q read 0
	[ "$V" = text ] || fail "what was written reads $V"
	silent r || fail "r has p's lock"
	want ok p flock 0 un
	granted r
}

case_a_waiter_killed_without_a_master_hangs_or_stays() {
	local sig
	three orphans
	want ok p flock 0 ex
	for sig in TERM KILL USR1; do
		client $sig
		want ok $sig open 0 b "$T/b/orphans"
		send $sig flock 0 ex
		waits $sig b
	done
	crash master
	for sig in TERM KILL; do
		signal $sig $sig
		wait_until gone "$(pid_of_client $sig)" || fail "SIG$sig: it hangs"
	done
	signal USR1 USR1
	answer USR1 || fail "a signal does not end the wait"
	[ "$R" = EINTR ] || fail "$R, not EINTR"
	quit p
	master_start
	want ok q flock 0 ex nb
	want ok q flock 0 un
	want ok r flock 0 ex nb
}

case_a_second_crash_before_all_have_come_back() {
	three twice
	want ok p flock 0 ex
	send q flock 0 ex
	waits q b
	kill -STOP "$(pid_of c)"
	master_restart
	wait_until grep -q 'node b has reclaimed' "$T/log/master" || fail "b does not reclaim"
	silent q || fail "q has p's lock"
	master_restart
	kill -CONT "$(pid_of c)"
	want EAGAIN r flock 0 ex nb
	silent q || fail "q has p's lock"
	want ok p flock 0 un
	granted q
}

case_a_restart_in_the_middle_lets_two_in() {
	local i node paths=()
	for node in a b c a b c; do
		paths+=("$T/$node/busy")
	done
	mkdir "$T/witness"
	"$CROWD" count flock 1500 "$T/witness" "${paths[@]}" >"$T/counted" 2>&1 &
	local crowd=$!
	for i in 1 2 3; do
		sleep 0.3
		master_restart
	done
	wait $crowd || fail "$(cat "$T/counted")"
	note "$(cat "$T/counted")"
}

case_a_master_stopped_cleanly_is_missed() {
	three clean
	want ok p flock 0 ex
	kill -TERM "$(pid_of master)"
	wait_until gone "$(pid_of master)" || fail "it does not end"
	master_start
	want EAGAIN q flock 0 ex nb
	want ok p flock 0 un
	want ok q flock 0 ex nb
}

# about_a_second NAME: the time the last call took, of a mount with timeo=1
about_a_second() {
	[ "$MS" -ge 900 ] || fail "$1 gave up after $MS ms"
	note "timeo=1: $1 gave up after $MS ms"
}

case_timeo_is_not_kept() {
	node_start hasty timeo=1
	client p
	want ok p open 0 bc "$T/hasty/file"
	crash master
	want ENOLCK p flock 0 ex
	about_a_second flock
	want ENOLCK p flock 0 ex nb
	want ENOLCK p posix 0 w 0 1
	want EIO p open 1 bc "$T/hasty/other"
	about_a_second open
	want EIO p read 0
	master_start
	wait_until stat -f "$T/hasty" >/dev/null 2>&1 || fail "it does not come back"
	want ok p flock 0 ex
	want ok p close 0
	[ ! -e "$T/a/other" ] || note "the open that failed has been done"
	node_stop hasty
}

run_cases
