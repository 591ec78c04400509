#!/bin/bash
# SPDX-License-Identifier: MIT
# Processes on three mounts do at random whatever can be done with names, files and locks, and a
# naive model must be able to explain all they saw (contract 2, 3, 5). HISTORY_SEED and HISTORY_OPS
# choose another seed and more calls; a history that cannot be explained is kept for
# "history --check".
. "$(dirname "$0")/lib.sh"

LEASE=120
setup
OPS=${HISTORY_OPS:-10000}
SEED=${HISTORY_SEED:-$(date +%s)}
RECORD=${TMPDIR:-/tmp}/dlock-history.$$
# The model takes sixty seconds for a moment.
IDLE=idle=100000

# history NAME OPTION...: its last lines if all is well, all of them and the record if not
history() {
	local name=$1 record=$RECORD.$1
	shift
	if "$HISTORY" --seed "$SEED" --record "$record" "$@" >"$T/log/history-$name" 2>&1; then
		note "$(head -1 "$T/log/history-$name"), $(tail -2 "$T/log/history-$name" | head -1)"
		rm -f "$record"
		return 0
	fi
	cat "$T/log/history-$name"
	fail "the history is in $record"
}

three_mounts() {
	mkdir -p "$T/empty"
	master_start
	node_start a $IDLE
	node_start b $IDLE
	node_start c $IDLE
	MOUNTS=(--mount "$T/a" --mount "$T/b" --mount "$T/c")
}

remove_roots() {
	rm -rf "$T/a/d0" "$T/a/d1" || fail "cannot remove what the history left"
}

# The kernel's own file system: were this one wrong, so would the model or the checker be.
case_the_model_does_not_know_linux() {
	mkdir "$T/local"
	history local --local --ops "$OPS" --mount "$T/local" --mount "$T/local" --mount "$T/local"
}

case_three_mounts_show_what_no_file_system_would() {
	three_mounts
	history mounts --ops "$OPS" "${MOUNTS[@]}"
	remove_roots
}

run_cases
