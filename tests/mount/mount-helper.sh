#!/bin/bash
# SPDX-License-Identifier: MIT
# The thread that makes inotify tell of other nodes (fs/notify.h): it is in nobody's way, whatever it
# waits for itself.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/watch.sh"

LEASE=5
setup
master_start
node_start a
node_start b
node_start all inotify=all

read -r UNLINKAT_NUMBER <<<"$("$WATCHER" numbers)"

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

# The kernel names the helper as the daemon's namespace does.
case_in_a_pid_namespace_of_its_own_the_daemon_asks_the_master_for_its_own_unlinks() {
	mkdir -p "$T/ns"
	# The search for leaks cannot stop the threads of a first process.
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 launch ns unshare --pid --fork --kill-child \
		"$DLOCKFS" "$URL" "$T/ns" -f -o node=ns
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

run_cases
