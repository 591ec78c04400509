#!/bin/bash
# SPDX-License-Identifier: MIT
# Names that go here while another node makes something else of them: the kernel here must not take one
# file for the other, and the program must not hear of it.
. "$(dirname "$0")/lib.sh"

setup
LEASE=30
master_start
launch relay "$RELAY" "$T/relay.sock" "$T/m.sock" 2
wait_until [ -S "$T/relay.sock" ] || fail "no relay"
# Between a look and what is done about it there is time for the others.
URL=ipc://$T/relay.sock node_start a
node_start b
ROUNDS=${ROUNDS:-20}

case_a_directory_that_is_moved_looks_dead() {
	local out
	out=$("$MOVER" "$T/a" "$T/b" "$ROUNDS") || fail "$(sort <<<"$out" | uniq -c)"
	note "$(tail -1 <<<"$out")"
}

# leftover DIR OTHER [held]: what it says must be what it says on a tmpfs
left_in() {
	mkdir -p "$T/local"
	"$LEFTOVER" "$T/local" "$T/local" ${3:-} >"$T/wanted" || fail "on a tmpfs"
	"$LEFTOVER" "$T/$1" "$T/$2" ${3:-} >"$T/got" || fail "on $1"
	diff "$T/wanted" "$T/got" || fail "in a directory of $1 that $2 removed${3:+, $3 open}"
}

case_a_removed_directory_holds_its_programs_captive() {
	left_in b a
	left_in b b
	left_in b a held
	left_in b b held
}

case_a_removed_directory_is_taken_for_one_that_was_moved() {
	mkdir "$T/a/gone"
	(
		cd "$T/b/gone" && rmdir "$T/a/gone" || exit 1
		mkdir -m 755 "$T/a/gone" && chmod 700 . || exit 1
		[ "$(stat -c %a "$T/b/gone")" = 755 ] || fail "the next one is changed"
		: >"$T/a/gone/file"
		[ ! -e file ] || fail "the next one's file is in it"
		[ "$(stat -c %h .)" = 0 ] || fail "it has links"
		cd ../gone && [ -e file ] || fail "the next one cannot be entered from it"
	) || exit 1
	rm -r "$T/b/gone"
}

run_cases
