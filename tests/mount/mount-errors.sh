#!/bin/bash
# SPDX-License-Identifier: MIT
# What programs ask that cannot be done is refused with the errno that Linux documents for it, and
# nothing is lost by asking (contract 3.1, 3.2).
. "$(dirname "$0")/lib.sh"

setup
master_start
node_start a
node_start b

errors() {
	timeout -k 5 "$PATIENCE" "$ERRORS" "$@" >"$T/wrong" 2>&1 || fail "$(cat "$T/wrong")"
}

case_a_wrong_call_gets_another_errno() {
	mkdir "$T/a/calls"
	errors "$T/a/calls"
	rmdir "$T/b/calls" || fail "something is left behind"
}

case_a_write_past_the_limit_loses_something() {
	mkdir "$T/a/fill"
	errors fill "$T/a/fill"
	rmdir "$T/b/fill" || fail "something is left behind"
}

# The node keeps what it wrote, for a master that knows nothing, and no more than that.
case_a_write_past_the_limit_is_reclaimed_otherwise() {
	head -c 70000 /dev/urandom >"$T/random"
	dd if="$T/random" of="$T/a/large" bs=70000 status=none 2>"$T/said"
	grep -q 'File too large' "$T/said" || fail "dd says: $(cat "$T/said")"
	head -c 65536 "$T/random" | cmp - "$T/b/large" || fail "it is not what was written"
	master_restart
	head -c 65536 "$T/random" | cmp - "$T/b/large" || fail "it is another after the restart"
}

run_cases
