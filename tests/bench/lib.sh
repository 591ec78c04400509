# shellcheck shell=bash disable=SC2154 # one script, in several files
# SPDX-License-Identifier: MIT
#
# What scripts/bench starts and mounts, and its end. All of it is the bench's own, below $tmp, and
# is gone when the bench ends, however it ends.
#
# To be sourced after $build is set; bench_begin makes $tmp and sets the traps.

tmp=
pids=()
mounts=()
late_mounts=() # those that the daemons themselves use
work_pid= # of what is waited for in the foreground

die() {
	echo "bench: $*" >&2
	exit 1
}

bench_begin() {
	# However the bench ends.
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/dlock-bench.XXXXXX") || die "cannot make a temporary folder"
}

# Mounts --------------------------------------------------------------------------------------

is_mounted() {
	awk -v m="$1" '$5 == m { found = 1 } END { exit !found }' /proc/self/mountinfo
}

# Only a mount whose daemon answers can tell its statistics.
serves() {
	is_mounted "$1" && timeout 5 stat -f "$1" >/dev/null 2>&1
}

# A daemon that no longer answers would hold every process that touches its mount.
abort_mount() {
	local control=$tmp/fusectl minor

	minor=$(awk -v m="$1" '$5 == m && / - fuse/ { split($3, d, ":"); print d[2] }' \
		/proc/self/mountinfo)
	[ -n "$minor" ] || return 0
	mkdir -p "$control"
	mount -t fusectl none "$control" || return 0
	echo 1 >"$control/$minor/abort"
	umount "$control"
}

unmount_one() {
	local tries

	for tries in {1..5}; do
		is_mounted "$1" || return 0
		timeout 5 umount "$1" 2>/dev/null && return 0
		# Busy is worth another try, no answer is not.
		[ $? = 124 ] && break
		sleep 0.2
	done
	echo "bench: $1 does not unmount (try $tries), aborting it" >&2
	abort_mount "$1"
	umount -l "$1"
}

# Processes -----------------------------------------------------------------------------------

# True while it is a running child of this script; a number alone may be another process by now.
runs() {
	jobs -pr | grep -qx "$1"
}

end_process() {
	local tries

	runs "$1" || return 0
	kill -TERM "$1" 2>/dev/null
	for tries in {1..100}; do
		runs "$1" || return 0
		sleep 0.1
	done
	echo "bench: $(cat "/proc/$1/comm") ($1) does not end (try $tries), killing it" >&2
	kill -KILL "$1" 2>/dev/null
}

cleanup() {
	local i

	trap '' INT TERM HUP
	# Last first: the bench, then its mounts, then the daemons behind them, then what those use.
	[ -z "$work_pid" ] || end_process "$work_pid"
	for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do
		unmount_one "${mounts[i]}"
	done
	for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
		end_process "${pids[i]}"
	done
	wait
	for ((i = ${#late_mounts[@]} - 1; i >= 0; i--)); do
		unmount_one "${late_mounts[i]}"
	done
	[ -z "$tmp" ] || rm -rf --one-file-system "$tmp"
}

# In the background, so that a signal ends the wait and not only what is waited for.
work() {
	local status

	"$@" &
	work_pid=$!
	wait $work_pid
	status=$?
	work_pid=
	return $status
}

# Starts a daemon with its output in a log: start NAME COMMAND...
start() {
	local name=$1

	shift
	"$@" >"$tmp/$name.log" 2>&1 </dev/null &
	pids+=($!)
}

# Waits up to thirty seconds for the daemon started last: await NAME CONDITION...
await() {
	local name=$1 pid=${pids[-1]} deadline=$((SECONDS + 30))

	shift
	until "$@"; do
		if ! runs "$pid" || [ $SECONDS -ge $deadline ]; then
			sed 's/^/  /' "$tmp/$name.log" >&2
			die "$name does not serve; its output is above"
		fi
		sleep 0.05
	done
}

# Waits up to a minute: wait_for WHAT CONDITION...
wait_for() {
	local what=$1 deadline=$((SECONDS + 60))

	shift
	until "$@"; do
		[ $SECONDS -lt $deadline ] || die "waited in vain: $what"
		sleep 0.05
	done
}

port_open() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Below the range from which the kernel takes ports for clients.
free_port() {
	local p

	for _ in {1..100}; do
		p=$((20000 + RANDOM % 12000))
		port_open "$p" || break
	done
	echo "$p"
}

# Masters and targets -------------------------------------------------------------------------

# For dlock-bench: all that were started.
targets=()
master_port=
master_url=
master_pid=

start_tmpfs() {
	mkdir "$tmp/tmpfs"
	mount -t tmpfs -o size=16m dlock-bench "$tmp/tmpfs" || die "cannot mount a tmpfs"
	mounts+=("$tmp/tmpfs")
	targets+=(--dir "tmpfs=$tmp/tmpfs")
}

start_null() {
	mkdir "$tmp/null"
	mounts+=("$tmp/null")
	start null "$build/tests/bench/nullfs" -f "$tmp/null"
	await null grep -qs '^ready' "$tmp/null.log"
	targets+=(--dir "null=$tmp/null")
}

# start_master NAME OPTION...: at $master_url, with its number in $master_pid and its store in
# $tmp/NAME.db. A thousand connections are more than the usual limit of descriptors.
start_master() {
	local name=$1

	shift
	[ -n "$master_port" ] || master_port=$(free_port)
	master_url=tcp://127.0.0.1:$master_port
	start "$name" prlimit --nofile=8192 "$build/master/dlock-master" --listen "$master_url" \
		--store "sqlite:$tmp/$name.db" "$@"
	master_pid=${pids[-1]}
	await "$name" master_leads "$name"
}

# Another may listen at its port.
master_leads() {
	grep -qs 'leads in epoch' "$tmp/$1.log" && port_open "$master_port"
}

# The next one is to have a port of its own.
stop_master() {
	end_process "$master_pid"
	master_port=
}

# start_node NAME MOUNT-OPTIONS: at $tmp/NAME
start_node() {
	mkdir "$tmp/$1"
	mounts+=("$tmp/$1")
	start "node-$1" "$build/fs/dlockfs" "$master_url" "$tmp/$1" -f -o "node=$1${2:+,$2}"
	await "node-$1" serves "$tmp/$1"
}

start_dlock() {
	start_master master
	start_node a
	start_node b
	targets+=(--dir "dlock=$tmp/a,$tmp/b")
	master_port=
}
