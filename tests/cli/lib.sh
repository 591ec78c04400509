# SPDX-License-Identifier: MIT
# What the tests of "dlock run" and its kin share: a directory that looks like a mount, where the test
# says what the lease does. Needs no root and no FUSE. The lock is $M/job, its token 77.
#
#	. "$(dirname "$0")/lib.sh"
#	case_something_bad_happens() { lease 100; begins run job -- CMD; ends 0; }
#	run_cases
#
# shellcheck shell=bash disable=SC2317
set -u
export LC_ALL=C.UTF-8
DLOCK=$(realpath "$1") || exit 1
PATIENCE=${PATIENCE:-60}

T=$(mktemp -d "${TMPDIR:-/tmp}/dlock-run.XXXXXX") || exit 1
M=$T/mount
mkdir -p "$M/.dlock"
touch "$M/job"
setfattr -n user.dlock.token -v 77 "$M/job" 2>/dev/null || {
	rm -rf "$T"
	echo "SKIP: $T takes no extended attributes"
	exit 77
}

# Each case has a lease of its own. Held open here, so that opening it does not wait.
lease_begin() {
	rm -f "$M/.dlock/lease"
	mkfifo "$M/.dlock/lease"
	exec {LEASE_FD}<>"$M/.dlock/lease"
}

# say_lease LINES: what .dlock/lease says next
say_lease() {
	echo "$1" >&"$LEASE_FD"
}

# renewal LENGTH [SENT-AGO]: the line of one, in seconds
renewal() {
	local up rest
	read -r up rest </proc/uptime
	echo "{\"until\":$(awk -v u="$up" -v l="$1" -v a="${2:-0}" \
		'BEGIN { printf "%.6f", u + l - a }'),\"lease\":$1.0}"
}

lease() {
	say_lease "$(renewal "$@")"
}

# Renewals from now on, as a mount has them: for commands that take more than one.
keep_leasing() {
	(while lease 1000; do sleep 0.2; done) &
	STARTED+=("$!")
}

fail() {
	echo "  $*"
	exit 1
}

wait_until() {
	local limit=$((SECONDS + PATIENCE))
	until "$@"; do
		[ $SECONDS -lt $limit ] || return 1
		sleep 0.02
	done
}

# A zombie does nothing any more.
gone() {
	local state
	state=$(sed 's/.*) //;s/ .*//' "/proc/$1/stat" 2>/dev/null)
	[ -z "$state" ] || [ "$state" = Z ] || [ "$state" = X ]
}

all_gone() {
	local pid
	for pid; do
		gone "$pid" || return 1
	done
}

is_free() {
	flock -n "$M/job" true
}

# begins COMMAND ARGS...: dlock in the background, its number in F
begins() {
	"$DLOCK" -m "$M" "$@" >"$T/out" 2>"$T/err" &
	F=$!
	STARTED+=("$F")
}

# ends STATUS: the dlock that begins started does, so
ends() {
	wait_until gone "$F" || fail "dlock does not end"
	wait "$F"
	local status=$?
	[ $status = "$1" ] || fail "status $status, not $1: $(cat "$T/err")"
}

# said FILE: CMD has written its numbers there; in PIDS
said() {
	wait_until [ -s "$T/$1" ] || fail "CMD does not come to $1: $(cat "$T/err")"
	read -r -a PIDS <"$T/$1"
	STARTED+=("${PIDS[@]}")
}

says() {
	grep -qF -- "$1" "$T/err" || fail "it does not say \"$1\" but: $(cat "$T/err")"
}

guard_is() {
	read -r GUARD _ <"/proc/$F/task/$F/children"
	[ -n "$GUARD" ]
}

guard_of() {
	wait_until guard_is || fail "there is no guard"
}

# In a PID namespace /proc/locks shows nobody who waits for a lock whose taker, flock(1), has ended.
in_flock() {
	local number rest
	read -r number rest <"/proc/$1/syscall" && [ "$number" = 73 ] # flock(2), on amd64
} 2>/dev/null

# It waits for the lock.
waits() {
	guard_of
	wait_until in_flock "$GUARD" || fail "it does not wait"
}

run_case() {
	local before=$SECONDS
	(
		STARTED=()
		trap 'for pid in "${STARTED[@]}"; do kill -KILL "$pid" 2>/dev/null; done' EXIT
		rm -f "$T"/{ran,up,got,term,terms,go,family,left,out,err}
		lease_begin
		"$1"
	) 2>"$T/shell"
	if [ $? = 0 ]; then
		echo "ok   ${1#case_} ($((SECONDS - before)) s)"
	else
		echo "FAIL ${1#case_}"
		grep -v Killed "$T/shell"
		FAILED=1
	fi
}

# run_cases: all functions case_*, in the order of the file; or those that $CASES matches
run_cases() {
	FAILED=0
	for name in $(sed -n 's/^\(case_[a-z_]*\)() {$/\1/p' "$0"); do
		# shellcheck disable=SC2254
		case $name in case_${CASES:-*}) run_case "$name" ;; esac
	done
	rm -rf "$T"
	exit $FAILED
}
