#!/bin/bash
# SPDX-License-Identifier: MIT
# What one node does is seen by the others at the next call (contract 2.1 to 2.3).
. "$(dirname "$0")/lib.sh"

setup
master_start
node_start a
node_start b
node_start c

case_a_creation_is_seen_late() {
	local i
	for i in {1..100}; do
		: >"$T/a/new$i"
		[ -e "$T/b/new$i" ] || fail "file $i is not there on b"
		stat "$T/c/new$i" >/dev/null || fail "stat of file $i on c"
	done
}

case_a_removal_is_seen_late() {
	local i
	for i in {1..100}; do
		: >"$T/a/old$i"
		: <"$T/b/old$i" || fail "file $i does not open on b"
		rm "$T/b/old$i" || fail "rm on b"
		[ ! -e "$T/a/old$i" ] || fail "file $i is still there on a"
		[ ! -e "$T/c/old$i" ] || fail "file $i is still there on c"
	done
}

case_content_is_read_from_a_cache() {
	local i got
	for i in {1..100}; do
		echo "one $i" >"$T/a/text"
		read -r got <"$T/b/text"
		[ "$got" = "one $i" ] || fail "b reads $got after one $i"
		echo "other $i" >"$T/b/text"
		read -r got <"$T/a/text"
		[ "$got" = "other $i" ] || fail "a reads $got after other $i"
	done
}

case_an_open_descriptor_reads_old_content() {
	client p && client q
	want ok p open 0 bc "$T/a/open"
	want ok q open 0 b "$T/b/open"
	for i in {1..50}; do
		want ok p pwrite 0 0 "round$i."
		want ok q read 0
		[ "$V" = "round$i." ] || fail "b reads $V in round $i"
	done
}

attributes() {
	stat -c '%i %a %u %g %s %h %X %Y %Z' "$1"
}

case_attributes_differ_between_nodes() {
	local f=$T/a/attr
	echo text >"$f"
	chmod 640 "$f"
	chown 123:456 "$f"
	touch -d '2001-02-03 04:05:06.789' "$f"
	[ "$(attributes "$f")" = "$(attributes "$T/b/attr")" ] || fail "a and b differ"
	[ "$(stat -c '%a %u %g %s' "$T/c/attr")" = "640 123 456 5" ] || fail "c: $(stat "$T/c/attr")"
	[ "$(stat -c %y "$T/b/attr" | cut -c1-23)" = "2001-02-03 04:05:06.789" ] || fail "the time"
}

case_a_listing_misses_or_repeats_names() {
	local names=$T/names
	seq -f 'many-%05.0f' 3000 >"$names"
	(cd "$T/a" && xargs touch <"$names") || fail "touch"
	for node in a b; do
		find "$T/$node" -name 'many-*' -printf '%f\n' | sort >"$T/listed"
		cmp "$names" "$T/listed" || fail "the listing on $node: $(wc -l <"$T/listed")"
	done
	(cd "$T/b" && xargs rm <"$names") || fail "rm"
	[ -z "$(find "$T/a" -name 'many-*')" ] || fail "names are left on a"
}

case_a_listing_shows_what_was_removed_elsewhere() {
	: >"$T/a/listed"
	ls "$T/b" | grep -qx listed || fail "b does not list it"
	rm "$T/a/listed"
	! ls "$T/b" | grep -qx listed || fail "b lists what is gone"
}

# race NODE...: four processes on each
race() {
	local node paths=()
	for node; do
		paths+=("$T/$node/race" "$T/$node/race" "$T/$node/race" "$T/$node/race")
	done
	"$CROWD" race 200 "${paths[@]}" >"$T/raced" || fail "$(cat "$T/raced")"
	note "$(cat "$T/raced")"
}

case_two_create_one_name_on_two_nodes() {
	race a b
}

case_two_create_one_name_on_three_nodes() {
	race a b c
}

case_noclobber_clobbers() {
	local i node
	for i in {1..20}; do
		rm -f "$T/won"
		for node in a b c a b c; do
			(set -C && : >"$T/$node/clobber") 2>/dev/null && echo "$node" >>"$T/won" &
		done
		wait $(jobs -p)
		[ "$(wc -l <"$T/won")" = 1 ] || fail "round $i: $(wc -l <"$T/won") won"
		rm "$T/b/clobber"
	done
}

case_flock_in_a_loop_meets_its_own_release() {
	local i
	for i in {1..1000}; do
		flock -n "$T/a/loop" true || fail "round $i: refused"
	done
}

case_a_lock_released_here_is_refused_there() {
	local i
	for i in {1..100}; do
		flock -n "$T/a/turns" true || fail "a in round $i"
		flock -n "$T/b/turns" true || fail "b in round $i"
	done
}

run_cases
