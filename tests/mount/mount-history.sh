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

# How often a history may turn out too intricate to be checked, before that is a failure.
TRIES=5

# history NAME OPTION...: makes one that can be checked
history() {
	local try
	for ((try = 0; try < TRIES; try++)); do
		remove_roots
		history_once "$@" && return
		note "seed $SEED: too intricate to be checked"
		SEED=$((SEED + 1))
	done
	fail "$TRIES histories could not be checked"
}

# Calls the function AT_ROUND with the number of each round that begins, if there is one; shows what
# the history has come to, and keeps its record if that is bad. Status 1: it says nothing.
history_once() {
	local name=$1 record=$RECORD.$1 pid log=$T/log/history-$1 line status
	shift
	mkfifo "$T/rounds"
	"$HISTORY" --seed "$SEED" --record "$record" --progress "$@" >"$T/rounds" 2>&1 &
	pid=$!
	record $pid
	while read -r line; do
		echo "$line" >>"$log"
		case $line in "round "*[0-9]) ${AT_ROUND:-:} "${line#round }" ;; esac
	done <"$T/rounds"
	wait $pid
	status=$?
	rm "$T/rounds"
	if [ $status = 0 ]; then
		note "seed $SEED: $(grep ' calls in ' "$log")"
		rm -f "$record"
		return 0
	fi
	[ $status != 3 ] || return 1
	grep -v '^round [0-9]*$' "$log"
	fail "status $status; the history is in $record"
}

three_mounts() {
	MOUNTS=(--mount "$T/a" --mount "$T/b" --mount "$T/c")
	[ ! -e "$T/master.pid" ] || return 0
	master_start
	node_start a $IDLE
	node_start b $IDLE
	node_start c $IDLE
}

remove_roots() {
	rm -rf "$T"/{a,local}/d[01] || fail "cannot remove what another history left"
}

# The kernel's own file system: were this one wrong, so would the model or the checker be.
case_the_model_does_not_know_linux() {
	mkdir "$T/local"
	history local --local --ops "$OPS" --mount "$T/local" --mount "$T/local" --mount "$T/local"
}

case_three_mounts_show_what_no_file_system_would() {
	three_mounts
	history mounts --name-locks --ops "$OPS" "${MOUNTS[@]}"
}

# While it is away nobody is answered, or knows what the others do; and nobody may notice.
every_fifth_round() {
	[ $(($1 % 5)) = 2 ] || return 0
	master_restart
	RESTARTS=$((RESTARTS + 1))
}

case_a_master_that_is_killed_shows() {
	three_mounts
	RESTARTS=0
	AT_ROUND=every_fifth_round history restart --name-locks --restarts --ops $((OPS / 2)) \
		"${MOUNTS[@]}"
	note "$RESTARTS restarts"
	[ $RESTARTS -ge 1 ] || fail "the master was never restarted: more calls are needed"
}

run_cases
