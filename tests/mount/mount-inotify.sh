#!/bin/bash
# SPDX-License-Identifier: MIT
# inotify of what other nodes do, and of what ends by itself (contract 2.4).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/watch.sh"

LEASE=5
setup
master_start
node_start a
node_start b
node_start all inotify=all

# ---- What is told ----

case_a_waiter_sleeps_through_a_removal_elsewhere() {
	seen lock
	watch w "$T/a"
	watch x "$T/all"
	watch self "$T/a/lock"
	rm "$T/b/lock"
	told w "DELETE $T/a/lock"
	told x "DELETE $T/all/lock"
	told self "DELETE_SELF $T/a/lock"
	fence w a
	once w "DELETE $T/a/lock"
}

case_only_regular_files_are_told_of() {
	mkdir "$T/b/d" && ln -s target "$T/b/s" && : >"$T/b/f" && ln "$T/b/f" "$T/b/l"
	stat "$T/a/d" "$T/a/s" "$T/a/f" "$T/a/l" >/dev/null || fail stat
	watch w "$T/a"
	watch d "$T/a/d"
	rmdir "$T/b/d" && rm "$T/b/s" "$T/b/l"
	told w "DELETE $T/a/d/"
	told w "DELETE $T/a/s"
	told w "DELETE $T/a/l"
	told d "DELETE_SELF $T/a/d"
	[ "$(stat -c %h "$T/a/f")" = 1 ] || fail "the other name has a wrong nlink"
	rm "$T/b/f"
	told w "DELETE $T/a/f"
}

case_a_waiter_sleeps_through_the_end_of_idle_time() {
	node_start i idle=1
	watch w "$T/a"
	watch i "$T/i"
	client user
	want ok user open 0 bc "$T/i/idle"
	[ -e "$T/a/idle" ] || fail "a does not see it"
	want ok user close 0
	told w "DELETE $T/a/idle"
	told i "DELETE $T/i/idle"
	quit_watchers
	node_stop i
	[ ! -e "$T/a/idle" ] || fail "it is still there"
}

case_a_holder_sleeps_through_its_own_names_time_to_live() {
	node_start t ttl=1
	watch t "$T/t"
	(set -C && : >"$T/t/held") || fail create
	told t "DELETE $T/t/held"
	quit_watchers
	node_stop t
}

case_a_waiter_sleeps_through_the_holders_death() {
	node_start dying
	(set -C && : >"$T/dying/held") && mkdir "$T/dying/dir" || fail create
	stat "$T/a/held" "$T/a/dir" >/dev/null || fail stat
	watch w "$T/a"
	crash dying
	told w "DELETE $T/a/held"
	told w "DELETE $T/a/dir/"
}

case_what_this_node_removes_is_told_twice() {
	seen own
	watch w "$T/a"
	rm "$T/a/own"
	fence w a
	once w "DELETE $T/a/own"
}

case_names_that_nobody_looked_at_are_told_of() {
	: >"$T/b/unseen"
	watch w "$T/a"
	rm "$T/b/unseen"
	fence w a
	[ "$(times w "DELETE $T/a/unseen")" = 0 ] || fail "told of what was not seen"
}

case_a_name_made_again_hides_the_end_of_the_first() {
	local i
	watch w "$T/a"
	for i in 1 2 3 4 5; do
		seen again
		rm "$T/b/again"
		: >"$T/b/again"
		[ -e "$T/a/again" ] || fail "the second is not there"
		rm "$T/b/again"
	done
	fence w a
	[ "$(times w "DELETE $T/a/again")" -ge 5 ] || fail "an end was not told"
	[ ! -e "$T/a/again" ] || fail "it is still there"
}

case_a_move_elsewhere_is_not_told() {
	seen old target
	watch w "$T/a"
	watch x "$T/all"
	watch self "$T/a/target"
	mv "$T/b/old" "$T/b/target"
	told w "DELETE $T/a/old"
	told w "DELETE $T/a/target"
	told x "CREATE $T/all/target"
	told self "DELETE_SELF $T/a/target"
	[ -e "$T/a/target" ] || fail "what was moved is gone"
}

# The kernel takes no more names in a directory that it has seen removed.
case_a_directory_that_was_moved_is_dead_here() {
	mkdir "$T/b/d" && : >"$T/b/d/f"
	stat "$T/a/d/f" >/dev/null || fail stat
	watch w "$T/a" "$T/a/d"
	(
		cd "$T/a/d" || fail cd
		mv "$T/b/d" "$T/b/e"
		told w "DELETE $T/a/d/"
		: >made || fail "cannot create in it"
		[ -e "$T/b/e/made" ] || fail "b does not see it"
	) || exit 1
	: >"$T/a/e/made2" || fail "cannot create below its new name"
	rm "$T/b/e/f"
	told w "DELETE $T/a/d/f" # it was watched under its old name
	rm -r "$T/b/e"
}

case_creation_elsewhere_is_not_told_or_told_to_all() {
	mkdir "$T/b/dir"
	[ -d "$T/all/dir" ] && [ -d "$T/a/dir" ] || fail "no dir"
	watch w "$T/a" "$T/a/dir"
	watch x "$T/all" "$T/all/dir"
	: >"$T/b/new" && mkdir "$T/b/dir/newdir" && ln -s t "$T/b/dir/link" &&
		ln "$T/b/new" "$T/b/dir/hard" && mv "$T/b/new" "$T/b/dir/moved"
	told x "CREATE $T/all/new"
	told x "CREATE $T/all/dir/newdir/"
	told x "CREATE $T/all/dir/link"
	told x "CREATE $T/all/dir/hard"
	told x "CREATE $T/all/dir/moved"
	told x "DELETE $T/all/new"
	rm -r "$T/b/dir"
	told x "DELETE $T/all/dir/newdir/"
	told x "DELETE $T/all/dir/"
	fence w a
	! grep CREATE "$T/w.events" | grep -vF "$T/a/fence-w" || fail "a is told of creations"
	[ "$(times x "CREATE $T/all/new")" = 1 ] || fail "all is told twice"
}

case_what_this_node_makes_is_told_twice() {
	watch x "$T/all"
	mkdir "$T/all/own"
	: >"$T/b/later"
	told x "CREATE $T/all/later"
	once x "CREATE $T/all/own/"
	rmdir "$T/all/own"
}

# Made by another, and at once of use here: what inotify was shown is not what programs get.
case_what_appeared_is_a_phantom() {
	local i
	watch x -r "$T/all"
	for i in $(seq 50); do
		mkdir "$T/b/phantom"
		echo "$i" >"$T/b/phantom/file"
		told x "CREATE $T/all/phantom/"
		[ "$(cat "$T/all/phantom/file")" = "$i" ] || fail "reads wrong"
		[ "$(stat -c %i "$T/all/phantom")" = "$(stat -c %i "$T/b/phantom")" ] ||
			fail "another inode"
		: >"$T/all/phantom/mine" || fail "cannot create in it"
		rm -r "$T/b/phantom"
		told x "DELETE $T/all/phantom/"
		: >"$T/x.events"
	done
}

# ---- Sessions and masters ----

case_a_waiter_from_before_a_restart_is_forgotten() {
	mkdir "$T/b/kept"
	seen kept/file
	(set -C && : >"$T/b/held") || fail create
	[ -e "$T/a/held" ] || fail "a does not see it"
	watch w -r "$T/a"
	watch x -r "$T/all"
	master_restart
	: >"$T/b/kept/new" || fail "no master"
	rm "$T/b/held" "$T/b/kept/file"
	told w "DELETE $T/a/held"
	told w "DELETE $T/a/kept/file"
	told x "CREATE $T/all/kept/new"
	fence w a
	once w "DELETE $T/a/held"
	once w "DELETE $T/a/kept/file"
}

case_what_ended_with_the_holder_while_the_master_was_down_is_not_told() {
	node_start dying
	(set -C && : >"$T/dying/held2") || fail create
	[ -e "$T/a/held2" ] || fail "a does not see it"
	watch w "$T/a"
	crash master
	crash dying
	master_start
	told w "DELETE $T/a/held2"
}

case_a_lapsed_node_is_not_told_what_it_lost() {
	node_start c
	(set -C && : >"$T/c/mine") || fail create
	(set -C && : >"$T/b/other") && (set -C && : >"$T/b/stays") || fail create
	stat "$T/c/other" "$T/c/stays" >/dev/null || fail stat
	watch w "$T/c"
	watch x "$T/a"
	[ -e "$T/a/mine" ] || fail "a does not see it"
	kill -STOP "$(pid_of c)"
	told x "DELETE $T/a/mine"
	rm "$T/b/other"
	kill -CONT "$(pid_of c)"
	told w "DELETE $T/c/mine"
	told w "DELETE $T/c/other"
	rm "$T/b/stays"
	told w "DELETE $T/c/stays"
	once w "DELETE $T/c/mine"
	once w "DELETE $T/c/other"
	node_stop c
}

case_an_unknown_value_is_taken_for_the_default() {
	local said
	said=$("$DLOCKFS" "$URL" "$T/a" -o inotify=everything 2>&1)
	[ $? = 64 ] || fail "status $?"
	[ "$(wc -l <<<"$said")" = 1 ] && [[ $said == *inotify=*everything* ]] || fail "says $said"
}

run_cases
