#!/bin/bash
# SPDX-License-Identifier: MIT
# inotify of what other nodes do, and of what ends by itself (contract 2.4).
. "$(dirname "$0")/lib.sh"

LEASE=5
setup
master_start
node_start a
node_start b
node_start all inotify=all

read -r UNLINKAT_NUMBER <<<"$("$WATCHER" numbers)"

# watch NAME [-r] PATH...: a watcher whose events stand in $T/NAME.events
watch() {
	local name=$1
	shift
	: >"$T/$name.events"
	"$WATCHER" "$@" >>"$T/$name.events" 2>&1 </dev/null &
	record $!
	disown $!
	CLIENTS+=("$!")
	wait_until grep -qx ready "$T/$name.events" || fail "$name does not watch"
}

# told NAME EVENT...: the event comes
told() {
	local name=$1
	shift
	wait_until grep -qxF "$*" "$T/$name.events" ||
		fail "$name is not told of $*: $(tail -3 "$T/$name.events")"
}

# times NAME EVENT...: how often the event came
times() {
	local name=$1
	shift
	grep -cxF "$*" "$T/$name.events"
}

# seen FILE...: made on b, looked at on a and on all
seen() {
	local file
	for file; do
		: >"$T/b/$file"
		stat "$T/a/$file" "$T/all/$file" >/dev/null || fail "a or all does not see $file"
	done
}

# fence NAME NODE: what was to come before has come
fence() {
	seen "fence-$1"
	rm "$T/b/fence-$1"
	told "$1" "DELETE $T/$2/fence-$1"
}

# state PID: of its main thread, in STATE
state() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	stat=${stat##*) }
	STATE=${stat%% *}
}

# stop NAME, and wait until it is
stop() {
	kill -STOP "$(pid_of "$1")"
	wait_until eval "state $(pid_of "$1") && [ \$STATE = T ]" || fail "$1 does not stop"
}

# once NAME EVENT...: and not twice
once() {
	local name=$1 n
	shift
	n=$(times "$name" "$@")
	[ "$n" = 1 ] || fail "$name is told $n times of $*"
}

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
	: >"$T/i/idle"
	[ -e "$T/a/idle" ] || fail "a does not see it"
	watch w "$T/a"
	watch i "$T/i"
	told w "DELETE $T/a/idle"
	told i "DELETE $T/i/idle"
	quit_watchers
	node_stop i
	[ ! -e "$T/a/idle" ] || fail "it is still there"
}

case_a_holder_sleeps_through_its_own_names_time_to_live() {
	node_start t ttl=1
	(set -C && : >"$T/t/held") || fail create
	watch t "$T/t"
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

# ---- Many ----

# Children go before their directories, wherever the tree was removed.
case_a_tree_goes_and_some_of_it_is_not_told() {
	local d f last
	for d in 1 2 3; do
		mkdir -p "$T/b/tree/$d/deep"
		for f in 1 2 3; do : >"$T/b/tree/$d/deep/$f"; done
	done
	watch w -r "$T/a"
	find "$T/a/tree" >"$T/found"
	[ "$(wc -l <"$T/found")" = 16 ] || fail "a sees $(cat "$T/found")"
	rm -r "$T/b/tree"
	told w "DELETE $T/a/tree/"
	for d in 1 2 3; do
		for f in 1 2 3; do once w "DELETE $T/a/tree/$d/deep/$f"; done
		once w "DELETE $T/a/tree/$d/deep/"
		once w "DELETE $T/a/tree/$d/"
		last=$(grep -nxF "DELETE $T/a/tree/$d/" "$T/w.events" | cut -d: -f1)
		[ "$last" -gt "$(grep -nxF "DELETE $T/a/tree/$d/deep/" "$T/w.events" | cut -d: -f1)" ] ||
			fail "the directory goes before what is in it"
	done
}

many() {
	seq -f "$1/many%g" "$2"
}

case_of_thousands_of_removals_some_are_not_told() {
	mkdir "$T/b/burst"
	many "$T/b/burst" 4000 | xargs touch
	many "$T/a/burst" 4000 | xargs stat >/dev/null || fail stat
	watch w "$T/a/burst"
	clock
	local began=$NOW
	rm -r "$T/b/burst"
	told w "DELETE_SELF $T/a/burst"
	clock
	note "4000 removals told after $((NOW - began)) ms"
	[ "$(grep -c "^DELETE $T/a/burst/many" "$T/w.events")" = 4000 ] ||
		fail "only $(grep -c ^DELETE "$T/w.events")"
}

case_umount_in_the_middle_of_it_is_busy_or_hangs() {
	node_start c
	mkdir "$T/b/burst"
	many "$T/b/burst" 1000 | xargs touch
	many "$T/c/burst" 1000 | xargs stat >/dev/null || fail stat
	watch w "$T/c/burst"
	stop c # it gets them all at once
	rm -r "$T/b/burst"
	kill -CONT "$(pid_of c)"
	wait_until grep -q DELETE "$T/w.events"
	quit_watchers
	node_stop c
}

# What would keep a mount busy.
quit_watchers() {
	local pid
	for pid in "${CLIENTS[@]}"; do
		kill -KILL "$pid" 2>/dev/null
		wait_until gone "$pid"
	done
	CLIENTS=()
}

# ---- The deadlock ----

# helper_waits NODE: for a lock of the kernel's. Waiting for an answer is interruptible sleep.
helper_waits() {
	local task
	for task in /proc/"$(pid_of "$1")"/task/*; do
		grep -qs "^$UNLINKAT_NUMBER " "$task/syscall" || continue
		grep -q ') D ' "$task/stat" && return 0
	done
	return 1
}

# still_waits NODE: although the loop has had its turn; it answers fsync by itself
still_waits() {
	helper_waits "$1" || return 1
	want ok prober fsync 0
	helper_waits "$1"
}

# stuck NODE: the helper of the node waits in the kernel for a directory in which programs make
# files, whose requests lie with a master that is stopped; the master has told of removals in it.
# Which request the master was stopped at is chance, so this is tried until it is one that counts.
stuck() {
	local try=0
	mkdir -p "$T/b/stuck"
	client prober
	want ok prober open 0 bc "$T/$1/prober"
	until try_stuck "$1"; do
		kill -CONT "$(pid_of master)"
		kill -KILL "$MAKER_PID"
		wait_until gone "$MAKER_PID"
		[ $((try += 1)) -lt 50 ] || fail "the helper never waits"
	done
}

try_stuck() {
	local i
	many "$T/b/stuck" 300 | xargs touch
	many "$T/$1/stuck" 300 | xargs stat >/dev/null || fail stat
	watch w "$T/$1/stuck"
	"$MAKER" "$T/$1/stuck" 4 &
	MAKER_PID=$!
	record $MAKER_PID
	disown $MAKER_PID
	CLIENTS+=("$MAKER_PID")
	many "$T/b/stuck" 300 | xargs rm
	stop master
	for i in $(seq 20); do
		! still_waits "$1" || return 0
	done
	return 1
}

continue_master() {
	kill -CONT "$(pid_of master)"
}

case_a_helper_that_waits_blocks_the_loop() {
	trap 'continue_master; end_case' EXIT
	client waiter && client holder
	want ok holder open 0 bc "$T/b/locked"
	want ok holder flock 0 ex
	want ok waiter open 0 bc "$T/a/locked"
	send waiter flock 0 ex
	waits waiter a
	stuck a
	signal USR1 waiter
	answer waiter || fail "the loop does not answer an interrupt"
	[ "$R" = EINTR ] || fail "$R"
	still_waits a || fail "it does not wait any more"
	continue_master
	told w "DELETE $T/a/stuck/many300"
}

# No master is there, and yet: the makers' end frees the directory, and the events come.
case_a_killed_maker_leaves_the_helper_stuck() {
	trap 'continue_master; end_case' EXIT
	stuck a
	kill -KILL "$MAKER_PID"
	told w "DELETE $T/a/stuck/many300"
}

case_sigterm_hangs_while_the_helper_waits() {
	trap 'continue_master; end_case' EXIT
	node_start c
	stuck c
	kill -TERM "$(pid_of c)"
	wait_until gone "$MAKER_PID" || fail "the makers hang"
	wait_until gone "$(pid_of c)" || fail "the daemon does not end"
	! mounted c || umount -l "$T/c"
}

# With the daemon's descriptors the helper would keep the device open that it waits for.
case_sigkill_leaves_a_mount_that_hangs_for_ever() {
	trap 'continue_master; end_case' EXIT
	node_start c
	stuck c
	kill -KILL "$(pid_of c)"
	wait_until gone "$(pid_of c)" || fail "the daemon does not end"
	wait_until gone "$MAKER_PID" || fail "the makers hang"
	quit_watchers
	umount "$T/c" || fail "umount"
}

case_a_lazy_umount_hangs_while_the_helper_waits() {
	trap 'continue_master; end_case' EXIT
	node_start c
	stuck c
	umount -l "$T/c" || fail "umount -l"
	continue_master
	quit_watchers
	wait_until gone "$(pid_of c)" || fail "the daemon does not end"
}

# ---- What is none of its business ----

seen_on() {
	: >"$T/b/$2"
	[ -e "$T/$1/$2" ] || fail "$1 does not see $2"
}

# The file of the same name in a mount below, or above, is none of ours.
case_a_file_of_another_mount_is_removed() {
	mkdir "$T/b/under"
	seen above under/file
	mount -t tmpfs none "$T/a/under" && : >"$T/a/under/file" || fail mount
	watch w "$T/a"
	mount -t tmpfs none "$T/a" && : >"$T/a/above" || fail mount
	rm "$T/b/under/file" "$T/b/above"
	wait_until told_all under/file above
	[ -e "$T/a/above" ] || fail "the file of a mount above is gone"
	umount "$T/a"
	seen below
	rm "$T/b/below"
	told w "DELETE $T/a/below"
	[ -e "$T/a/under/file" ] || fail "the file of a mount below is gone"
	umount "$T/a/under"
}

# told_all FILE...: no node has them any more, and the one whose mount is hidden has worked off what
# it was told, since it is told in order
told_all() {
	local file
	for file; do
		[ ! -e "$T/all/$file" ] || return 1
	done
	helper_idles a
}

# helper_idles NODE: it waits for a job, which is a futex
helper_idles() {
	! grep -qs "^$UNLINKAT_NUMBER " /proc/"$(pid_of "$1")"/task/*/syscall
}

case_an_idle_helper_makes_umount_busy() {
	local i
	for i in $(seq 10); do
		node_start c
		: >"$T/b/idle$i"
		[ -e "$T/c/idle$i" ] || fail "c does not see it"
		rm "$T/b/idle$i"
		node_stop c
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

# The kernel names the helper as the daemon's namespace does.
case_in_a_pid_namespace_of_its_own_the_daemon_asks_the_master_for_its_own_unlinks() {
	mkdir -p "$T/ns"
	launch ns unshare --pid --fork --kill-child "$DLOCKFS" "$URL" "$T/ns" -f -o node=ns
	echo "$PID" >"$T/ns.pid"
	wait_until serves ns || fail "does not mount"
	mkdir "$T/b/nsdir"
	seen_on ns nsdir/file
	watch w "$T/ns/nsdir"
	rm "$T/b/nsdir/file"
	told w "DELETE $T/ns/nsdir/file"
	quit_watchers
	node_stop ns
}

case_an_unknown_value_is_taken_for_the_default() {
	local said
	said=$("$DLOCKFS" "$URL" "$T/a" -o inotify=everything 2>&1)
	[ $? = 64 ] || fail "status $?"
	[ "$(wc -l <<<"$said")" = 1 ] && [[ $said == *inotify=*everything* ]] || fail "says $said"
}

run_cases
