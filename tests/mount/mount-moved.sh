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

run_cases
