#!/bin/bash
# SPDX-License-Identifier: MIT
# Directories, symbolic and hard links, moves and times-to-live, seen from two nodes; the idioms that
# lock with them; and all of it over a restart of the master.
. "$(dirname "$0")/lib.sh"

LEASE=4
setup
master_start
node_start a
node_start b

# race COMMAND...: how many of 2 x 8 processes, half on each node, succeed with "$@ $DIR/NAME"
race() {
	local name=$1 i n pids=()
	shift
	for i in 1 2 3 4 5 6 7 8; do
		for n in a b; do
			("$@" "$T/$n/$name" 2>/dev/null && echo "$n$i" >>"$T/won.$name") &
			pids+=($!)
		done
	done
	wait "${pids[@]}"
	wc -l <"$T/won.$name"
}

case_a_directory_is_made_twice() {
	local i
	for i in $(seq 20); do
		[ "$(race "d$i" mkdir)" = 1 ] || fail "round $i: $(cat "$T/won.d$i")"
		rmdir "$T/b/d$i" || fail "rmdir on the other node"
		[ ! -e "$T/a/d$i" ] || fail "it is still there"
	done
}

case_a_symbolic_link_is_made_twice() {
	local i
	for i in $(seq 20); do
		[ "$(race "s$i" ln -s "host:$i")" = 1 ] || fail "round $i"
		[ "$(readlink "$T/b/s$i")" = "host:$i" ] || fail "it points to $(readlink "$T/b/s$i")"
		rm "$T/a/s$i"
	done
}

case_a_hard_link_is_made_twice_or_counts_wrong() {
	: >"$T/a/own"
	ln "$T/a/own" "$T/a/l"
	[ "$(stat -c %h "$T/a/own" "$T/b/own" "$T/b/l" | sort -u)" = 2 ] || fail "nlink"
	[ "$(stat -c %i "$T/a/own")" = "$(stat -c %i "$T/b/l")" ] || fail "two inodes"
	! ln "$T/b/own" "$T/b/l" 2>/dev/null || fail "made over an existing name"
	rm "$T/b/own"
	[ "$(stat -c %h "$T/a/l")" = 1 ] || fail "nlink after a removal"
	rm "$T/a/l"
	! ln "$T/a" "$T/a/root" 2>/dev/null || fail "a directory was linked"
}

# One of the movers of each name gets it; what was there is replaced for all at once.
case_a_move_loses_something() {
	echo new >"$T/a/tmp" && echo old >"$T/b/target"
	exec 3<"$T/b/target"
	mv "$T/a/tmp" "$T/a/target"
	[ "$(cat "$T/b/target")" = new ] || fail "the new content is not there"
	[ "$(cat <&3)" = old ] || fail "an open file lost its content"
	[ "$(stat -Lc %h /proc/self/fd/3)" = 0 ] || fail "the replaced file has a name"
	exec 3<&-
	[ ! -e "$T/b/tmp" ] || fail "the old name is there"
	echo other >"$T/b/o"
	mv -n "$T/b/o" "$T/b/target"
	[ "$(cat "$T/a/target")" = new ] || fail "moved over a name against the order"
	rm "$T/a/o" "$T/a/target"
}

case_a_tree_is_confused() {
	mkdir -p "$T/a/x/y/z" && echo 1 >"$T/b/x/y/z/f"
	mv "$T/b/x/y" "$T/b/w" || fail "mv of a directory"
	[ "$(cd "$T/a" && find x w | sort | xargs)" = "w w/z w/z/f x" ] || fail "$(find "$T/a")"
	[ "$(stat -c %h "$T/a/w")" = 3 ] && [ "$(stat -c %h "$T/a/x")" = 2 ] || fail "nlink"
	! mv "$T/a/w" "$T/a/w/z/in" 2>/dev/null || fail "moved below itself"
	! rmdir "$T/a/w" 2>/dev/null || fail "removed with names in it"
	[ "$(cat "$T/a/w/z/f")" = 1 ] || fail "content"
	rm -r "$T/a/w" "$T/b/x"
	[ -z "$(ls -A "$T/a")" ] || fail "left: $(ls -A "$T/a")"
}

case_a_removed_directory_takes_names_in() {
	mkdir "$T/a/gone"
	(
		cd "$T/b/gone" || exit 1
		rmdir "$T/a/gone"
		! : >f
	) 2>/dev/null || fail "a file was made in it"
}

case_a_dead_nodes_directory_stays_or_takes_others_names_along() {
	node_start d
	mkdir "$T/d/lockdir" "$T/d/shared"
	(set -C && : >"$T/b/shared/of-b")
	crash d
	wait_until [ ! -e "$T/a/lockdir" ] || fail "its lock directory stays"
	[ -e "$T/a/shared/of-b" ] || fail "another node's held name went with it"
	rm "$T/b/shared/of-b"
	wait_until [ ! -e "$T/a/shared" ] || fail "the empty directory of a dead node stays"
}

case_a_lock_of_a_killed_script_stays_for_ever() {
	node_start t ttl=2
	(set -C && : >"$T/t/lock") && mkdir "$T/t/dir"
	wait_until [ ! -e "$T/a/lock" ] || fail "its time-to-live does not end it"
	wait_until [ ! -e "$T/a/dir" ] || fail "nor the directory"
	node_stop t
}

case_a_touched_lock_ends() {
	local end
	node_start u ttl=3
	(set -C && : >"$T/u/lock")
	clock
	end=$((NOW + 6000))
	while [ "$NOW" -lt $end ]; do
		touch "$T/b/lock" || fail "gone while it was touched"
		sleep 0.2
		clock
	done
	wait_until [ ! -e "$T/a/lock" ] || fail "it stays untouched"
	node_stop u
}

case_two_processes_wait_for_each_other() {
	client p && client q
	want ok p open 0 bc "$T/a/dead"
	want ok q open 0 bc "$T/b/dead"
	want ok p posix 0 w 1 1
	want ok q posix 0 w 2 1
	send p posix 0 w 2 1 wait
	waits p a
	want EDEADLK q posix 0 w 1 1 wait
	want ok q posix 0 u 2 1
	granted p
}

# r wants 2 and 3, behind q, who waits for p; p wants 3, which nobody has, but behind r.
case_a_circle_goes_through_a_place_in_the_queue() {
	client p && client q && client r
	want ok p open 0 bc "$T/a/queue"
	want ok q open 0 bc "$T/b/queue"
	want ok r open 0 bc "$T/a/queue"
	want ok p posix 0 w 1 1
	want ok q posix 0 w 2 1
	send r posix 0 w 2 2 wait
	waits r a
	send q posix 0 w 1 1 wait
	waits q b
	want EDEADLK p posix 0 w 3 1 wait
	want ok p posix 0 u 1 1
	granted q
	want ok q posix 0 u 0 0
	granted r
}

case_a_restart_loses_a_name() {
	local before
	mkdir -p "$T/a/r/sub" && echo c >"$T/b/r/sub/f" && ln "$T/b/r/sub/f" "$T/b/r/g"
	ln -s to/nowhere "$T/a/r/s" && mv "$T/b/r/g" "$T/b/r/h"
	before=$(cd "$T/a" && find r -printf '%p %i %n %y %l %s %m\n' | sort)
	rm "$T/a/r/s"
	before=$(grep -v '^r/s ' <<<"$before")
	master_restart
	[ "$(cd "$T/b" && find r -printf '%p %i %n %y %l %s %m\n' | sort)" = "$before" ] ||
		fail "before: $before; after: $(find "$T/b/r" -printf '%p %i %n %y %l %s %m\n' | sort)"
	! mkdir "$T/a/r/sub" 2>/dev/null || fail "a directory is made twice"
	rm -r "$T/a/r" || fail "rm -r"
	master_restart
	[ ! -e "$T/b/r" ] || fail "what was removed is back"
}

run_cases
