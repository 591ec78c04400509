#!/bin/bash
# SPDX-License-Identifier: MIT
# Whatever is wrong at the start is said in one line that tells what, on what and why; the exit
# status is not zero (64 for wrong usage), and nothing is half started (contract 7).
. "$(dirname "$0")/lib.sh"

setup
URL=tcp://127.0.0.1:$("$LOCKER" port)
mkdir "$T/point"

# left: what is running or mounted of what was told of $T/point
left() {
	grep "$T/point" /proc/self/mountinfo
	pgrep -af -- "$T/point"
}

# A master of this case, on a store of its own.
fresh_master() {
	[ ! -e "$T/master.pid" ] || gone "$(pid_of master)" || crash master
	rm -f "$T"/m.db*
	: >"$T/log/master"
	master_start
	wait_until grep -q serving "$T/log/master" || fail "the master does not serve"
}

# refused STATUS WORDS COMMAND...: WORDS is a pattern of grep -E, "." where libc or libfuse speaks
refused() {
	local want=$1 words=$2 status
	shift 2
	timeout -k 5 "$PATIENCE" "$@" >"$T/out" 2>"$T/err" </dev/null
	status=$?
	[ $status = "$want" ] || fail "$*: status $status, not $want: $(cat "$T/err")"
	[ "$(wc -l <"$T/err")" = 1 ] || fail "$*: $(wc -l <"$T/err") lines: $(cat "$T/err")"
	grep -Eq "$words" "$T/err" || fail "$*: does not say $words: $(cat "$T/err")"
	[ ! -s "$T/out" ] || fail "$*: on stdout: $(cat "$T/out")"
	[ "$(awk '{ print length }' "$T/err")" -le 400 ] || fail "$*: a long line"
	# What was started before the test looks at it may take a moment to end.
	wait_until eval '[ -z "$(left)" ]' || fail "$*: left: $(left)"
}

# In the foreground and, where it starts at all, in the background: both must tell and leave nothing.
mount_refused() {
	local want=$1 words=$2
	shift 2
	refused "$want" "$words" "$DLOCKFS" "$@" -f
	refused "$want" "$words" "$DLOCKFS" "$@"
}

master_refused() {
	local want=$1 words=$2
	shift 2
	refused "$want" "$words" "$DLOCK_MASTER" --listen "$URL" --store "sqlite:$T/point.db" "$@"
}

# not_touched FILE: a store that was refused is as it was, in $T/was
not_touched() {
	cmp "$T/was" "$1" || fail "the store was changed"
}

# stored FILE: a store that a master has used and left
stored() {
	launch stored "$DLOCK_MASTER" --listen "ipc://$T/stored.sock" --store "sqlite:$T/$1"
	wait_until eval "[ -S '$T/stored.sock' ] || gone $PID"
	kill -TERM $PID
	wait_until gone $PID
	[ -s "$T/$1" ] || fail "no store was made"
}

case_a_master_url_that_is_none() {
	local url
	for url in nonsense http://127.0.0.1:1 tcp://127.0.0.1 tcp://127.0.0.1:99999 tcp:// \
		ipc:// ipc://relative tls+tcp://127.0.0.1:1 '' "$URL,nonsense" "$URL,"; do
		mount_refused 64 '(MASTER-URL|needed)' "$url" "$T/point"
	done
	for url in nonsense tcp://127.0.0.1 tcp://127.0.0.1:99999 ipc:// ''; do
		master_refused 64 '[-]-listen' --listen "$url"
	done
}

case_a_master_that_is_not_there() {
	mount_refused 1 "$T/point.*no master answers.*$URL" "$URL" "$T/point" -o timeo=0.5
	mount_refused 1 "$T/point.*no master answers" "ipc://$T/none" "$T/point" -o timeo=0.5
}

case_a_mountpoint_that_is_missing() {
	mount_refused 1 "$T/point/none.*no such directory" "$URL" "$T/point/none"
}

case_a_mountpoint_that_is_no_directory() {
	: >"$T/point/file"
	mount_refused 1 "$T/point/file.*not a directory" "$URL" "$T/point/file"
	mount_refused 1 "$T/point/file/x" "$URL" "$T/point/file/x"
}

case_a_mountpoint_that_is_in_use() {
	mkdir "$T/busy"
	mount -t tmpfs busy "$T/busy" || fail "mount"
	mount_refused 1 "$T/busy.*mounted there already" "$URL" "$T/busy"
	umount "$T/busy"
	mount_refused 1 "/proc.*mounted there already" "$URL" /proc
}

case_no_dev_fuse() {
	fresh_master
	# shellcheck disable=SC2016
	for hide in 'mount --bind /dev/null /dev/fuse' 'mount -t tmpfs none /dev'; do
		for how in '' -f; do
			refused 1 "$T/point.*/dev/fuse" unshare -m --propagation unchanged sh -c \
				"$hide && exec \"\$@\"" sh "$DLOCKFS" "$URL" "$T/point" $how
		done
	done
}

case_wrong_usage_of_dlockfs() {
	local long
	long=$(printf 'n%.0s' {1..65})
	mount_refused 64 ': MASTER-URL and MOUNTPOINT: both are needed'
	mount_refused 64 'both are needed' "$URL"
	mount_refused 64 ': argument extra: not' "$URL" "$T/point" extra
	mount_refused 64 '[-]-nonsense' "$URL" "$T/point" --nonsense
	mount_refused 64 '[-]x' "$URL" "$T/point" -x
	mount_refused 64 nonsense "$URL" "$T/point" -o nonsense
	mount_refused 64 nonsense "$URL" "$T/point" -o nonsense=1
	mount_refused 64 ': -o idle=much: not a number' "$URL" "$T/point" -o idle=much
	mount_refused 64 'idle=.*-1' "$URL" "$T/point" -o idle=-1
	mount_refused 64 ': -o timeo=0: must' "$URL" "$T/point" -o timeo=0
	mount_refused 64 'timeo=.*nan' "$URL" "$T/point" -o timeo=nan
	mount_refused 64 'node=' "$URL" "$T/point" -o node=
	mount_refused 64 'node=.*64 bytes' "$URL" "$T/point" -o "node=$long"
	refused 64 'argument.*-o' "$DLOCKFS" "$URL" "$T/point" -f -o
}

case_wrong_usage_of_dlock_master() {
	master_refused 64 extra extra
	master_refused 64 nonsense --nonsense
	master_refused 64 nonsense -- --nonsense
	master_refused 64 lease --lease
	master_refused 64 'lease 0.5.*1 second' --lease 0.5
	master_refused 64 'lease 3601.*3600' --lease 3601
	master_refused 64 'lease 0' --lease 0
	master_refused 64 'lease -1' --lease -1
	master_refused 64 'lease ten' --lease ten
	master_refused 64 'lease 1e9' --lease 1e9
	master_refused 64 'log-level loud' --log-level loud
	master_refused 64 'store /x.*neither' --store /x
	master_refused 64 'leader-lease 0.5' --leader-lease 0.5
	refused 64 'name' "$DLOCK_MASTER" --listen "$URL" --store "sqlite:$T/point.db" --name
}

case_a_port_that_is_in_use() {
	fresh_master
	master_refused 1 "$URL.*in use"
	alive "$(pid_of master)" || fail "the first one has ended"
}

case_an_address_that_is_not_ours() {
	refused 1 192.0.2.1 "$DLOCK_MASTER" --listen tcp://192.0.2.1:4477 --store "sqlite:$T/point.db"
	refused 1 "$T/none/sock" "$DLOCK_MASTER" --listen "ipc://$T/none/sock" \
		--store "sqlite:$T/point.db"
}

case_a_store_that_cannot_be_written() {
	mkdir -p "$T/read-only"
	stored read-only/store
	mount --bind -o ro "$T/read-only" "$T/read-only" 2>/dev/null || fail "mount"
	mount -o remount,bind,ro "$T/read-only" || fail "remount"
	master_refused 1 "$T/read-only/new" --store "sqlite:$T/read-only/new"
	master_refused 1 "$T/read-only/store" --store "sqlite:$T/read-only/store"
	umount "$T/read-only"
	master_refused 1 "$T/none.*does not exist" --store "sqlite:$T/none/store"
	master_refused 1 "$T/point" --store "sqlite:$T/point"
	master_refused 1 /dev/null --store sqlite:/dev/null
}

case_a_store_that_is_no_store() {
	master_refused 64 store --store nonsense
	master_refused 1 store --store sqlite:
	master_refused 64 store --store ''
}

case_a_store_that_is_damaged() {
	: >"$T/empty"
	master_refused 1 "$T/empty.*empty" --store "sqlite:$T/empty"
	head -c 20000 /dev/urandom >"$T/garbage"
	cp "$T/garbage" "$T/was"
	master_refused 1 "$T/garbage.*not a dlock store" --store "sqlite:$T/garbage"
	not_touched "$T/garbage"
	stored cut
	truncate -s 4096 "$T/cut"
	cp "$T/cut" "$T/was"
	master_refused 1 "$T/cut" --store "sqlite:$T/cut"
	not_touched "$T/cut"
	stored scratched
	dd if=/dev/urandom of="$T/scratched" bs=1 seek=100 count=3000 conv=notrunc status=none
	cp "$T/scratched" "$T/was"
	master_refused 1 "$T/scratched" --store "sqlite:$T/scratched"
	not_touched "$T/scratched"
}

# SQLite keeps a user's version in bytes 60 to 63 of a file.
case_a_store_of_a_newer_version() {
	stored newer
	printf '\0\0\0\143' | dd of="$T/newer" bs=1 seek=60 conv=notrunc status=none
	cp "$T/newer" "$T/was"
	master_refused 1 "$T/newer.*newer.*99" --store "sqlite:$T/newer"
	not_touched "$T/newer"
}

case_a_second_master_on_one_store() {
	fresh_master
	refused 1 "$T/m.db.*(in use|master)" "$DLOCK_MASTER" --listen "ipc://$T/point.sock" \
		--store "$STORE"
	alive "$(pid_of master)" || fail "the first one has ended"
	[ ! -e "$T/point.sock" ] || fail "the second one has made its socket"
	node_start a
	flock -n "$T/a/file" true || fail "the first one does not serve"
	node_stop a
}

case_help_and_version_are_errors() {
	local program
	for program in "$DLOCK_MASTER" "$DLOCKFS"; do
		"$program" --help >"$T/out" 2>"$T/err" || fail "--help: status $?"
		[ -s "$T/out" ] && [ ! -s "$T/err" ] || fail "--help goes to the wrong place"
		"$program" --version >"$T/out" 2>"$T/err" || fail "--version: status $?"
		[ "$(wc -l <"$T/out")" = 1 ] && [ ! -s "$T/err" ] || fail "--version"
	done
}

run_cases
