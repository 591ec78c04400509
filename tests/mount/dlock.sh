# SPDX-License-Identifier: MIT
# What the tests of the program "dlock" share, beside lib.sh. From the environment: DLOCK.
# shellcheck shell=bash

# on NODE ARGS...: dlock there
on() {
	local node=$1
	shift
	"$DLOCK" -m "$T/$node" "$@"
}

# begin NAME NODE ARGS...: the same in the background; its output in $T/NAME.out and .err, its number
# in $T/NAME.run
begin() {
	local name=$1 node=$2
	shift 2
	rm -f "$T/$name".{out,err}
	"$DLOCK" -m "$T/$node" "$@" >"$T/$name.out" 2>"$T/$name.err" </dev/null &
	echo $! >"$T/$name.run"
	record $!
	CLIENTS+=("$!")
}

run_of() {
	cat "$T/$1.run"
}

# The guard of a dlock that begin has started. Its children are stopped with it.
guard_of() {
	local run
	run=$(run_of "$1")
	cat "/proc/$run/task/$run/children" 2>/dev/null
}

# ends NAME STATUS
ends() {
	local run status
	run=$(run_of "$1")
	wait_until gone "$run" || fail "$1 does not end"
	wait "$run"
	status=$?
	[ $status = "$2" ] || fail "$1: status $status, not $2: $(cat "$T/$1.err")"
}

# queued NODE NAME COUNT: so many wait for it
queued() {
	local count
	count=$(getfattr --only-values -n user.dlock.waiters "$T/$1/$2" 2>/dev/null)
	[ "$count" = "$3" ]
}

# held NODE NAME: somebody has it
held() {
	[ -n "$(getfattr --only-values -n user.dlock.holder "$T/$1/$2" 2>/dev/null)" ]
}

# lines FILE COUNT: it has at least so many
lines() {
	[ -e "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]
}

# Seconds since boot, while it runs, each in a line of FILE: what CMD is when it must be seen to act.
# shellcheck disable=SC2016
ACTS=(bash -c 'echo $$ >"$0.pid"; while :; do
	read -r now rest </proc/uptime; echo "$now" >>"$0"; sleep 0.02; done')
# The same, and it does not heed SIGTERM.
# shellcheck disable=SC2016
STUBBORN=(bash -c 'trap "" TERM; echo $$ >"$0.pid"; while :; do
	read -r now rest </proc/uptime; echo "$now" >>"$0"; sleep 0.02; done')

# acted_before FILE OTHER: its last act was before the other's first
acted_before() {
	local last first
	last=$(tail -n 1 "$1")
	first=$(head -n 1 "$2")
	awk -v a="$last" -v b="$first" 'BEGIN { exit !(a <= b) }' ||
		fail "it acted at $last, and the next had the lock at $first"
	note "last act $last, next in at $first"
}
