# SPDX-License-Identifier: MIT
# What the tests of real mounts share. A test is a list of functions, whose names say what they
# are afraid of, between "setup" and "run_cases":
#
#	. "$(dirname "$0")/lib.sh"
#	LEASE=3
#	setup                     a directory $T of its own, on a tmpfs
#	master_start
#	node_start a
#	case_something_bad_happens() { ... fail "why"; }
#	run_cases
#
# Each case is a subshell: "fail" ends the case and not the test. Nothing here sleeps for a result;
# what has to come about is waited for, up to PATIENCE. Whatever the test's end, by itself or by
# SIGKILL, no process and no mount is left.
#
# From the environment: DLOCK_MASTER, DLOCKFS, and the helpers LOCKER, CROWD, RELEASES, STRANGER,
# WATCHER, MAKER, HISTORY, BELIEVER, CALLER, FAULTS, MOVER,
# LEFTOVER.
# shellcheck shell=bash
set -u

# How long a condition may take to come about before a test gives up: only a hang takes so long.
PATIENCE=${PATIENCE:-60}
LEASE=${LEASE:-3}

skip() {
	echo "SKIP: $1"
	exit 77
}

# ---- Time, on the clock that leases use ----

# Milliseconds since boot, in NOW.
clock() {
	local up rest
	read -r up rest </proc/uptime
	NOW=$((10#${up/./} * 10))
}

# wait_until CONDITION...: polls it; status 1 after PATIENCE.
wait_until() {
	local limit=$((SECONDS + PATIENCE))
	until "$@"; do
		[ $SECONDS -lt $limit ] || return 1
		sleep 0.02
	done
}

# ---- What there is to clean up ----

# "pid start-time" of each process, so that a number used again is not mistaken for it.
start_time() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	# shellcheck disable=SC2086
	set -- ${stat##*) }
	# A zombie has ended, once its other threads have: until then they keep its files open.
	[ "$1" != Z ] || [ "${18}" != 1 ] || return 1
	START=${20}
}

alive() {
	start_time "$1"
}

gone() {
	! alive "$1"
}

record() {
	start_time "$1" && echo "$1 $START" >>"$T/pids"
}

# mounts [TYPE]: what is mounted at $T and below, the last first
mounts() {
	awk -v at="$T" -v type="${1:-}" \
		'($5 == at || index($5, at "/") == 1) && index($0, " - " type) { print $5 }' \
		/proc/self/mountinfo | tac
}

# The daemons first: a process that waits in a mount can only end when its daemon has.
sweep() {
	local pid start dir id
	while read -r pid start; do
		if start_time "$pid" && [ "$START" = "$start" ]; then
			kill -KILL "$pid"
		fi
	done <"$T/pids" 2>/dev/null
	# A device number that is still mounted below $T belongs to a connection nobody serves.
	for id in $(awk -v at="$T/" 'index($5, at) == 1 && / fuse/ { split($3, n, ":"); print n[2] }' \
		/proc/self/mountinfo); do
		{ echo 1 >"/sys/fs/fuse/connections/$id/abort"; } 2>/dev/null
	done
	for dir in $(mounts); do
		umount "$dir" 2>/dev/null || umount -l "$dir" 2>/dev/null
	done
	rmdir "$T" 2>/dev/null
}

# Cleans up when the test is gone, however it went. In a session of its own, so that what ends the
# test does not end it, and without the test's output, which somebody reads to its end.
watch_over() {
	# shellcheck disable=SC2016
	T=$T setsid bash -c '
		. "$1"
		while start_time "$2" && [ "$START" = "$3" ]; do sleep 0.5; done
		! grep -q " $T " /proc/self/mountinfo || sweep' \
		watcher "$LIB" "$$" "$START" >/dev/null 2>&1 </dev/null &
}

on_end() {
	local status=$?
	trap '' HUP INT TERM
	sweep
	exit $status
}

LIB=$(realpath "${BASH_SOURCE[0]}")

# Whoever makes a mount namespace while we run (a container, a build) gets copies of the mounts in
# ours, and a daemon serves until the last copy is unmounted: so nobody is to see them.
own_namespace() {
	[ -z "${MOUNT_TEST_NAMESPACE:-}" ] || return 0
	if unshare --mount true 2>/dev/null; then
		MOUNT_TEST_NAMESPACE=1 exec unshare --mount bash "$0"
	fi
	# In a chroot / is no mount point, and cannot be made private: then as it is.
}

# The test's directory is a tmpfs: its files are the witnesses, and its mount says that a test may
# mount at all.
setup() {
	[ "$(id -u)" = 0 ] || skip "real mounts need root"
	if [ ! -c /dev/fuse ] || ! { : </dev/fuse; } 2>/dev/null; then
		skip "real mounts need /dev/fuse"
	fi
	own_namespace
	T=$(mktemp -d /tmp/dlock-mount.XXXXXX) || exit 1
	if ! mount -t tmpfs -o mode=755 dlock-test "$T" 2>/dev/null; then
		rmdir "$T"
		skip "real mounts need the right to mount"
	fi
	trap on_end EXIT
	trap 'exit 143' HUP INT TERM
	: >"$T/pids"
	mkdir "$T/log"
	[ -e /sys/fs/fuse/connections ] && mount -t fusectl none /sys/fs/fuse/connections 2>/dev/null
	start_time $$
	watch_over
	read -r FLOCK_NUMBER FCNTL_NUMBER <<<"$("$LOCKER" numbers)"
	URL=ipc://$T/m.sock
	STORE=sqlite:$T/m.db
	clock
	BEGAN=$NOW
}

# ---- Daemons ----

# By LOG, a command below which launch is to run a daemon: nsenter, env.
declare -A BELOW=()

# launch LOG COMMAND...: in the background; its number in PID.
launch() {
	local log=$1
	shift
	# shellcheck disable=SC2086
	${BELOW[$log]:-} "$@" >>"$T/log/$log" 2>&1 </dev/null &
	PID=$!
	record "$PID"
	# A job that is killed would be reported by the shell.
	disown "$PID"
}

# Which are told to end at a test's end.
MASTERS=(master)

# At $URL, on $STORE, with $LEASE.
master_start() {
	launch master "$DLOCK_MASTER" --store "$STORE" --listen "$URL" --lease "$LEASE"
	echo "$PID" >"$T/master.pid"
}

mounted() {
	grep -q " $T/$1 .* fuse.dlock " /proc/self/mountinfo
}

# In foreground mode a mount is there before the kernel has been answered, which the first call on
# it then waits for.
serves() {
	mounted "$1" && alive "$(pid_of "$1")"
}

pid_of() {
	cat "$T/$1.pid"
}

# node_start NAME [OPTION,...]: a mount at $T/NAME, of the node NAME
node_start() {
	mkdir -p "$T/$1"
	launch "$1" "$DLOCKFS" "$URL" "$T/$1" -f -o "node=$1${2:+,$2}"
	echo "$PID" >"$T/$1.pid"
	wait_until eval "serves $1 || gone $PID"
	serves "$1" || fail "node $1 does not mount: $(tail -1 "$T/log/$1")"
}

# node_stop NAME: cleanly
node_stop() {
	umount "$T/$1" || fail "umount $1"
	wait_until gone "$(pid_of "$1")" || fail "node $1 is unmounted and does not end"
}

# crash master|NAME
crash() {
	local pid
	pid=$(pid_of "$1")
	kill -KILL "$pid"
	wait_until gone "$pid"
	! mounted "$1" || umount -l "$T/$1"
}

master_restart() {
	crash master
	master_start
}

# ---- Clients: see locker.c ----

# client NAME [COMMAND...]: starts one, below COMMAND (setpriv...) if there is one
client() {
	local name=$1 in out
	shift
	mkfifo "$T/$name.in" "$T/$name.out"
	exec {in}<>"$T/$name.in" {out}<>"$T/$name.out"
	rm "$T/$name.in" "$T/$name.out"
	"$@" "$LOCKER" <&$in >&$out {in}>&- {out}>&- &
	record $!
	disown $!
	CLIENTS+=("$!")
	eval "C_$name=$! IN_$name=$in OUT_$name=$out"
}

# send NAME COMMAND...: does not wait for the answer
send() {
	local in=IN_$1
	shift
	echo "$*" >&"${!in}"
}

# answer NAME: waits for the next, in R (ok or errno), FROM and TO (ms, boot time), MS, V
answer() {
	local out=OUT_$1
	R='' V=''
	read -r -t "${2:-$PATIENCE}" R FROM TO V <&"${!out}" || {
		R=none
		return 1
	}
	MS=$((TO - FROM))
}

# silent NAME: no answer yet?
silent() {
	local out=OUT_$1
	! read -r -t 0 -u "${!out}"
}

ask() {
	local name=$1
	send "$@"
	answer "$name" || fail "$*: no answer"
}

# want RESULT NAME COMMAND...
want() {
	local result=$1
	shift
	ask "$@"
	[ "$R" = "$result" ] || fail "$*: $R, not $result"
}

# served_in_order COUNT: the waiting clients w0, w1, ... get their lock one after the other
served_in_order() {
	local i later
	for ((i = 0; i < $1; i++)); do
		granted "w$i"
		for ((later = i + 1; later < $1; later++)); do
			silent "w$later" || fail "waiter $later came before its turn, at $i's"
		done
		want ok "w$i" flock 0 un
	done
}

# granted NAME: the answer to what was sent comes, and is a success
granted() {
	answer "$1" || fail "$1 waits for ever"
	[ "$R" = ok ] || fail "$1: $R, not ok"
}

# in_lock_call NAME: sleeps in flock or fcntl?
in_lock_call() {
	local number rest
	read -r number rest <"/proc/$(pid_of_client "$1")/syscall"
	[ "$number" = "$FLOCK_NUMBER" ] || [ "$number" = "$FCNTL_NUMBER" ]
}

# waits NAME NODE: what was sent waits in the cluster's queue. A node's calls take effect in the
# order in which they were made, so what comes back after the lock call was made knows it is queued.
waits() {
	wait_until eval "in_lock_call $1 || ! silent $1"
	stat -f "$T/$2" >/dev/null || fail "stat -f $2"
	silent "$1" || {
		answer "$1"
		fail "$1 does not wait: $R"
	}
}

pid_of_client() {
	local pid=C_$1
	echo "${!pid}"
}

# signal SIGNAL NAME
signal() {
	kill "-$1" "$(pid_of_client "$2")"
}

# quit NAME...: ended by SIGKILL, which no client is told to outlive
quit() {
	local name
	for name; do
		signal KILL "$name"
		wait_until gone "$(pid_of_client "$name")" || fail "$name cannot be killed"
	done
}

# ---- Cases ----

fail() {
	echo "  $*"
	exit 1
}

# note TEXT...: a figure, for people
note() {
	echo "  # $*"
}

end_case() {
	local status=$? pid
	for pid in "${CLIENTS[@]}"; do
		kill -KILL "$pid" 2>/dev/null
	done
	return $status
}

run_case() {
	local before=$NOW
	(
		trap end_case EXIT
		CLIENTS=()
		"$1"
	)
	STATUS=$?
	clock
	if [ $STATUS = 0 ]; then
		echo "ok   ${1#case_} ($((NOW - before)) ms)"
	else
		echo "FAIL ${1#case_} ($((NOW - before)) ms)"
		FAILED=$((FAILED + 1))
	fi
}

# Ended as they should, the daemons have said nothing of a sanitizer or an assertion.
check_daemons() {
	local dir log
	for dir in $(mounts fuse.dlock); do
		timeout -k 5 60 umount "$dir" || fail "umount $dir"
	done
	for log in "${MASTERS[@]}"; do
		if [ -e "$T/$log.pid" ] && alive "$(pid_of "$log")"; then
			kill -TERM "$(pid_of "$log")"
		fi
	done
	for log in "$T"/*.pid; do
		[ -e "$log" ] || continue
		wait_until gone "$(cat "$log")" || fail "$(basename "$log" .pid) does not end"
	done
	! grep -E 'Sanitizer|runtime error|Assertion|assert' "$T"/log/* || fail "a daemon's trouble"
}

case_the_daemons_end_and_had_no_trouble() {
	check_daemons
}

# run_cases: all functions case_*, in the order of the file; or those that $CASES matches
run_cases() {
	local name
	FAILED=0
	clock
	for name in $(sed -n 's/^\(case_[A-Za-z0-9_]*\)() {$/\1/p' "$0"); do
		# shellcheck disable=SC2254
		case $name in case_${CASES:-*}) run_case "$name" ;; esac
	done
	run_case case_the_daemons_end_and_had_no_trouble
	if [ $FAILED != 0 ]; then
		echo "$FAILED failed; what the daemons said last:"
		tail -n 40 "$T"/log/*
		exit 1
	fi
	echo "all passed in $((NOW - BEGAN)) ms"
}
