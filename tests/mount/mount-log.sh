#!/bin/bash
# SPDX-License-Identifier: MIT
# What a person must know is where he looks for it: a daemon's lines are in syslog, and with their
# level in the journal.
. "$(dirname "$0")/lib.sh"

LEASE=1
setup
# It puts a /dev of its own over that of all.
[ -n "${MOUNT_TEST_NAMESPACE:-}" ] || skip "there is no mount namespace of its own (a chroot?)"

# own_dev: with nothing in it but what is needed, and a socket that takes syslog's part
own_dev() {
	mkdir "$T/dev"
	mknod -m 666 "$T/dev/null" c 1 3 && mknod -m 666 "$T/dev/urandom" c 1 9 &&
		mknod -m 666 "$T/dev/fuse" c 10 229 || skip "no devices can be made"
	ln -s /proc/self/fd "$T/dev/fd"
	: 2>/dev/null >"$T/dev/null" || skip "devices cannot be used here"
	launch syslog python3 -c 'import socket, sys
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind(sys.argv[1])
while True:
    print(log.recv(10000).decode().rstrip("\0"), flush=True)' "$T/dev/log"
	wait_until [ -S "$T/dev/log" ] || skip "there is no syslog: $(cat "$T/log/syslog")"
	mount --bind "$T/dev" /dev || skip "nothing can be mounted at /dev"
}

own_dev
master_start

# told LOG WORDS: a line of $T/log/LOG, as a pattern of grep -E
told() {
	wait_until grep -qE -- "$2" "$T/log/$1" || fail "$1 has no line $2: $(tail "$T/log/$1")"
}

# The levels of daemon.err and daemon.info are 27 and 30.
case_a_daemon_loses_its_lease_and_nobody_hears_of_it() {
	mkdir "$T/d"
	"$DLOCKFS" "$URL" "$T/d" -o node=d >"$T/said" 2>&1 || fail "$(cat "$T/said")"
	[ ! -s "$T/said" ] || fail "to the terminal: $(cat "$T/said")"
	record "$(pgrep -f -- "^$DLOCKFS $URL $T/d")"
	told syslog '^<30>.* dlockfs\[[0-9]+\]: .*/d serves the locks of ipc.* as node d$'
	crash master
	told syslog '^<27>.* dlockfs\[[0-9]+\]: d: the lease ran out: 0 held'
	master_start
	told syslog "^<30>.*: d: session open at $URL, lease 1 s"
	umount "$T/d" || fail umount
}

# in_journal NAME COMMAND...: its stderr is the file $T/log/NAME, which it is told is the journal
in_journal() {
	local name=$1
	shift
	: >"$T/log/$name"
	BELOW[$name]="env JOURNAL_STREAM=$(stat -c %d:%i "$T/log/$name")"
	launch "$name" "$@"
}

case_an_error_is_information_in_the_journal() {
	crash master
	in_journal master "$DLOCK_MASTER" --store "$STORE" --listen "$URL" --lease "$LEASE"
	echo "$PID" >"$T/master.pid"
	told master '^<6>ipc:.*: leads in epoch'
	mkdir "$T/j"
	in_journal j "$DLOCKFS" "$URL" "$T/j" -f -o node=j
	echo "$PID" >"$T/j.pid"
	wait_until serves j || fail "no mount"
	crash master
	told j '^<3>j: the lease ran out'
	! grep -v '^<[3-7]>' "$T/log/j" || fail "a line without a level"
	crash j
	in_journal master "$DLOCK_MASTER" --store "$STORE" --listen "$URL" --lease "$LEASE"
	echo "$PID" >"$T/master.pid"
	told master '^<4>.* node j was silent for its lease'
}

case_a_lock_is_a_line() {
	local lines
	in_journal q "$DLOCKFS" "$URL" "$T/j" -f -o node=q
	echo "$PID" >"$T/q.pid"
	wait_until mounted j || fail "no mount"
	flock "$T/j/file" true
	lines=$(cat "$T/log/q" "$T/log/master" | wc -l)
	for _ in {1..20}; do
		flock "$T/j/file" true
		(set -C && : >"$T/j/excl") && rm "$T/j/excl"
	done
	[ "$(cat "$T/log/q" "$T/log/master" | wc -l)" = "$lines" ] || fail "$(tail "$T/log/q")"
	umount "$T/j"
}

run_cases
