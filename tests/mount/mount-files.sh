#!/bin/bash
# SPDX-License-Identifier: MIT
# Regular files and their names (contract 3), always with two nodes looking.
. "$(dirname "$0")/lib.sh"

setup
master_start
node_start a
node_start b

case_a_file_grows_past_64_KiB() {
	client p
	want ok p open 0 bc "$T/a/big"
	want ok p fill 0 0 65536
	[ "$V" = 65536 ] || fail "only $V bytes were written"
	want EFBIG p fill 0 65536 1
	want EFBIG p ftruncate 0 65537
	want ok p ftruncate 0 65536
	want ok p open 1 wa "$T/b/big"
	want EFBIG p write 1 more
	[ "$(stat -c %s "$T/b/big")" = 65536 ] || fail "the size is $(stat -c %s "$T/b/big")"
	want EFBIG p fill 0 70000 10
}

# A write may be short, as everywhere, but what it says it has done it must have done.
case_a_write_of_too_much_lies() {
	client p
	want ok p open 0 bc "$T/a/larger"
	want ok p fill 0 0 100000
	[ "$V" -le 65536 ] || fail "$V bytes were written"
	[ "$(stat -c %s "$T/b/larger")" = "$V" ] || fail "$V were written, b sees another size"
}

case_64_KiB_arrive_damaged() {
	head -c 65536 /dev/urandom >"$T/random"
	cp "$T/random" "$T/a/copy" || fail "cp"
	cmp "$T/random" "$T/b/copy" || fail "b reads something else"
	dd if="$T/random" of="$T/b/pieces" bs=777 status=none || fail "dd"
	cmp "$T/random" "$T/a/pieces" || fail "a reads something else"
}

case_appends_of_two_nodes_overwrite_each_other() {
	local node i
	: >"$T/a/append"
	for node in a b a b; do
		for i in {1..100}; do
			echo "$node $i 123456789" >>"$T/$node/append"
		done &
	done
	wait $(jobs -p)
	[ "$(wc -l <"$T/b/append")" = 400 ] || fail "$(wc -l <"$T/b/append") lines of 400"
	[ "$(sort "$T/b/append" | uniq -c | awk '$1 != 2' | wc -l)" = 0 ] || fail "torn lines"
}

case_truncation_is_not_seen() {
	echo 0123456789 >"$T/a/cut"
	truncate -s 4 "$T/b/cut" || fail "truncate"
	[ "$(cat "$T/a/cut")" = 0123 ] || fail "a reads $(cat "$T/a/cut")"
	: >"$T/b/cut"
	[ ! -s "$T/a/cut" ] || fail "O_TRUNC on b leaves $(stat -c %s "$T/a/cut") bytes on a"
	truncate -s 3 "$T/a/cut"
	[ "$(od -An -tx1 "$T/b/cut" | tr -d ' ')" = 000000 ] || fail "old bytes came back"
}

case_a_hole_has_old_bytes() {
	client p
	want ok p open 0 bc "$T/a/hole"
	want ok p pwrite 0 0 aaaa
	want ok p ftruncate 0 1
	want ok p pwrite 0 4 b
	[ "$(od -An -c "$T/b/hole" | tr -d ' ')" = 'a\0\0\0b' ] || fail "$(od -An -c "$T/b/hole")"
}

as_user() {
	setpriv --reuid 1234 --regid 1234 --clear-groups "$@" 2>>"$T/said"
}

case_another_user_reads_what_is_private() {
	echo secret >"$T/a/private"
	chmod 600 "$T/a/private"
	! as_user cat "$T/b/private" || fail "reads it"
	! as_user sh -c ": >>'$T/b/private'" || fail "writes it"
	! as_user chmod 666 "$T/b/private" || fail "changes its mode"
	! as_user chown 1234 "$T/a/private" || fail "takes it over"
	! as_user flock -n "$T/b/private" true || fail "locks it"
	chmod 644 "$T/b/private"
	[ "$(as_user cat "$T/a/private")" = secret ] || fail "cannot read what is public"
	! as_user sh -c ": >>'$T/a/private'" || fail "writes what it may only read"
	as_user flock -n "$T/a/private" true || fail "cannot lock what it may read"
}

case_a_write_leaves_privileges_to_what_was_written() {
	local how
	for how in 'printf x >>' ': >'; do
		install -m 6777 /dev/null "$T/a/suid"
		as_user sh -c "$how '$T/b/suid'" || fail "$how: cannot write"
		[ "$(stat -c %a "$T/a/suid")" = 777 ] || fail "$how: $(stat -c %a "$T/a/suid")"
		chmod 6777 "$T/a/suid"
		sh -c "$how '$T/b/suid'"
		[ "$(stat -c %a "$T/a/suid")" = 6777 ] || fail "root: $how: $(stat -c %a "$T/a/suid")"
		rm "$T/a/suid"
	done
}

case_a_file_belongs_to_the_wrong_user() {
	(umask 027 && as_user touch "$T/a/mine") || fail "cannot create"
	[ "$(stat -c '%u %g %a' "$T/b/mine")" = '1234 1234 640' ] ||
		fail "$(stat -c '%u %g %a' "$T/b/mine")"
}

case_another_user_removes_a_lock_file() {
	: >"$T/a/of-root"
	chmod 666 "$T/a/of-root"
	! as_user rm -f "$T/b/of-root" || fail "the root directory is not sticky"
	[ -e "$T/a/of-root" ] || fail "it is gone"
	as_user touch "$T/a/own" || fail "cannot create"
	as_user rm "$T/b/own" || fail "cannot remove its own"
	[ "$(stat -c %a "$T/a")" = 1777 ] || fail "the root's mode is $(stat -c %a "$T/a")"
	! as_user chmod 777 "$T/a" || fail "changes the root's mode"
}

case_another_user_sets_times() {
	: >"$T/a/times"
	! as_user touch -d 2001-01-01 "$T/b/times" || fail "sets the times"
}

case_a_change_of_mode_leaves_ctime() {
	local before
	: >"$T/a/ctime"
	before=$(stat -c %z "$T/b/ctime")
	chmod 700 "$T/a/ctime"
	[ "$(stat -c %z "$T/b/ctime")" != "$before" ] || fail "ctime stays $before"
}

case_the_longest_name_is_cut_or_refused() {
	local name
	name=$(printf 'n%.0s' {1..255})
	: >"$T/a/$name" || fail "255 bytes are refused"
	[ -e "$T/b/$name" ] || fail "b does not see it"
	ls "$T/b" | grep -qx "$name" || fail "b does not list it"
	client p
	want ENAMETOOLONG p open 0 bc "$T/a/${name}n"
	want ENAMETOOLONG p open 0 r "$T/b/${name}n"
	rm "$T/b/$name" || fail "cannot remove it"
}

case_odd_names_are_taken_for_something_else() {
	local name
	for name in ' ' $'new\nline' -- '*' $'\377\376' 'ü' '...' ' .'; do
		: >"$T/a/$name" || fail "cannot make $name"
		[ -e "$T/b/$name" ] || fail "b does not see $name"
		rm -- "$T/b/$name" || fail "cannot remove $name"
	done
}

case_a_fifo_pretends_to_work() {
	! mkfifo "$T/a/fifo" 2>"$T/said" || fail "mkfifo"
	grep -q 'not permitted' "$T/said" || fail "$(cat "$T/said")"
	! mknod "$T/a/device" c 1 3 2>"$T/said" || fail "mknod"
	[ ! -e "$T/b/fifo" ] && [ ! -e "$T/b/device" ] || fail "something is left"
}

case_an_exclusive_creation_overwrites() {
	echo text >"$T/b/exists"
	client p
	want EEXIST p open 0 bcx "$T/a/exists"
	[ "$(cat "$T/a/exists")" = text ] || fail "the content is gone"
}

case_a_file_without_a_name_is_made() {
	client p
	want EOPNOTSUPP p open 0 bT "$T/a"
}

case_statfs_does_not_count() {
	local before after
	before=$(stat -f -c %d "$T/a")
	: >"$T/b/counted"
	after=$(stat -f -c %d "$T/a")
	[ "$(stat -f -c '%l %c' "$T/b")" = '255 1000000' ] || fail "$(stat -f "$T/b")"
	[ $((before - after)) = 1 ] || fail "$before, then $after free"
	rm "$T/b/counted"
}

case_a_removed_open_file_stops_working() {
	client p && client q
	want ok p open 0 bc "$T/a/removed"
	want ok p pwrite 0 0 old
	want ok q open 0 b "$T/b/removed"
	rm "$T/b/removed"
	want ok p fstat 0
	[ "${V%% *}" = 0 ] || fail "nlink on a is ${V%% *}"
	want ok p pwrite 0 3 er
	want ok q read 0
	[ "$V" = older ] || fail "b reads $V"
	want ok q fstat 0
	[ "${V% *}" = "0 5" ] || fail "fstat on b: $V"
	want ok q ftruncate 0 1
	want ok p read 0
	[ "$V" = o ] || fail "a reads $V"
}

case_a_file_made_again_is_the_removed_one() {
	client p
	want ok p open 0 bc "$T/a/again"
	want ok p pwrite 0 0 old
	rm "$T/b/again"
	echo new >"$T/b/again"
	want ok p read 0
	[ "$V" = old ] || fail "the old file reads $V"
	[ "$(cat "$T/a/again")" = new ] || fail "the new file reads $(cat "$T/a/again")"
	want ok p fstat 0
	[ "${V##* }" != "$(stat -c %i "$T/a/again")" ] || fail "both have one inode number"
}

run_cases
