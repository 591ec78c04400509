#!/bin/bash
# SPDX-License-Identifier: MIT
# .dlock/changes tells what becomes of locks and held names in the cluster, in order, and .dlock/lease
# what the node believes: to readers that wait, that poll, that are slow, and that are interrupted.
. "$(dirname "$0")/lib.sh"

LEASE=120
setup
command -v python3 >/dev/null || skip "python3 reads the streams"
master_start
node_start a
node_start b

# watch_begins [NODE]: what is told there is collected in $T/changes
watch_begins() {
	: >"$T/changes"
	rm -f "$T/watching"
	# shellcheck disable=SC2016
	launch watch python3 -uc '
import sys
with open(sys.argv[1], "rb", 0) as f:
	open(sys.argv[3], "w")
	while True:
		open(sys.argv[2], "ab").write(f.read(65536))' \
		"$T/${1:-b}/.dlock/changes" "$T/changes" "$T/watching"
	WATCH=$PID
	CLIENTS+=("$WATCH")
	wait_until [ -e "$T/watching" ] || fail "no watcher: $(tail -1 "$T/log/watch")"
}

watch_ends() {
	kill "$WATCH"
	wait_until gone "$WATCH" || fail "the watcher does not end"
}

# said EXPRESSION: is it true of the list of events E, and the names of events S of each name?
said() {
	python3 -c '
import json, sys
E = [json.loads(l) for l in open(sys.argv[1], "rb")]
S = {}
for e in E:
	S.setdefault(e.get("name"), []).append(e["event"])
sys.exit(not eval("(" + sys.argv[2] + ")"))' "$T/changes" "$1" 2>/dev/null
}

told() {
	wait_until said "$1" || fail "not so: $1; told: $(cat "$T/changes")"
}

# stream CODE ARGUMENT...: runs it; what it asserts is the case
stream() {
	timeout "$PATIENCE" python3 -c "
import errno, fcntl, json, os, select, signal, sys, threading, time
$1" "${@:2}" 2>"$T/said" || fail "$(tail -3 "$T/said")"
}

case_changes_are_told_out_of_order_or_wrongly() {
	client h && client w
	watch_begins
	want ok h open 0 bc "$T/a/f"
	want ok h flock 0 ex
	want ok w open 0 bc "$T/b/f"
	send w flock 0 ex
	waits w b
	want ok h flock 0 un
	granted w
	want ok w close 0
	want ok h posix 0 r 5 10
	want ok h posix 0 un 7 2
	want ok h close 0
	told 'S["f"] == ["granted", "waits", "released", "granted", "released",
		"granted", "released", "released", "released"]'
	told '[(e["node"], e["pid"], e["uid"], e["command"], e["kind"], e["mode"]) for e in E][:2] ==
		[("a", '"$(pid_of_client h)"', 0, "locker", "flock", "exclusive"),
		("b", '"$(pid_of_client w)"', 0, "locker", "flock", "exclusive")]'
	told 'E[0]["token"] == E[2]["token"] and int(E[3]["token"]) > int(E[0]["token"])'
	told '"token" not in E[1] and len({e["inode"] for e in E}) == 1'
	told '[(e["kind"], e["start"], e["length"]) for e in E[5:7]] == [("fcntl", 5, 10), ("fcntl", 7, 2)]'
	watch_ends
}

case_names_come_and_go_unheard() {
	client h
	watch_begins
	mkdir "$T/a/d"
	(set -C && : >"$T/a/d/e")
	ln "$T/a/d/e" "$T/a/l"
	mv "$T/a/l" "$T/a/m"
	rm "$T/b/d/e"
	rmdir "$T/a/d"
	: >"$T/a/plain"
	mkdir "$T/a/ttl"
	setfattr -n user.dlock.ttl -v 0.05 "$T/a/ttl"
	told 'S.get("d") == ["granted", "released"] and S.get("d/e") == ["granted", "released"]'
	told 'S.get("l") == ["granted", "released"] and S.get("m") == ["granted"] and "plain" not in S'
	told 'S.get("ttl") == ["granted", "expired"] and E[0]["kind"] == "held"'
	watch_ends
}

case_what_is_broken_or_given_up_is_told_as_released() {
	client h && client w
	watch_begins a
	want ok h open 0 bc "$T/a/x"
	want ok h flock 0 ex
	want ok w open 0 bc "$T/b/x"
	send w flock 0 ex
	waits w b
	signal USR1 w
	answer w && [ "$R" = EINTR ] || fail "interrupted: $R"
	send w flock 0 ex
	waits w b
	getfattr --only-values -n user.dlock.token "$T/b/x" 2>/dev/null >"$T/b/.dlock/break"
	granted w
	quit w
	told 'S["x"] == ["granted", "waits", "gave-up", "waits", "broken", "granted", "released"]'
	watch_ends
}

# A node that leaves, and what it held with it.
case_the_end_of_a_session_is_no_change() {
	client h
	watch_begins
	node_start c
	mkdir "$T/c/held"
	want ok h open 0 bc "$T/c/locked"
	want ok h flock 0 sh
	quit h
	node_stop c
	told 'S["held"] == ["granted", "expired"] and S["locked"] == ["granted", "released"]'
	watch_ends
}

case_a_name_breaks_a_line() {
	local name=$'n\n"\\\xff\xc3\xa9'
	watch_begins
	mkdir "$T/a/$name"
	told 'len(E) == 1 and E[0]["name"] == "n\n\"\\\ufffd\u00e9" and
		bytes.fromhex(E[0]["name_hex"]) == b"n\n\"\\\xff\xc3\xa9"'
	watch_ends
}

case_a_slow_reader_holds_up_the_others_or_is_told_nothing() {
	watch_begins
	stream '
slow = os.open(sys.argv[1], os.O_RDONLY)
lock = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
for i in range(2000):
	fcntl.flock(lock, fcntl.LOCK_EX)
	fcntl.flock(lock, fcntl.LOCK_UN)
events = []
while not events or events[-1]["event"] != "missed":
	data = os.read(slow, 65536)
	assert data.endswith(b"\n"), data[-100:]
	events += [json.loads(l) for l in data.splitlines()]
assert len(events) > 500, len(events)
assert len(events) - 1 + events[-1]["count"] == 4000, (len(events), events[-1])
assert [e["event"] for e in events[:-1]] == (["granted", "released"] * 2000)[:len(events) - 1]
fcntl.flock(lock, fcntl.LOCK_EX)
assert json.loads(os.read(slow, 65536))["event"] == "granted"' "$T/b/.dlock/changes" "$T/b/slow"
	told 'S["slow"] == ["granted", "released"] * 2001'
	watch_ends
}

case_a_new_master_leaves_a_gap_unsaid() {
	client h
	watch_begins
	want ok h open 0 bc "$T/a/again"
	want ok h flock 0 ex
	told 'S == {"again": ["granted"]}'
	master_restart
	told '[e["event"] for e in E] == ["granted", "missed"]'
	stat -f "$T/b" >/dev/null # what b asks for comes after it watches again
	want ok h flock 0 un
	told '[e["event"] for e in E] == ["granted", "missed", "released"]'
	watch_ends
}

case_a_read_cannot_be_ended_or_polled() {
	stream '
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
def fails(error, call, *args):
	try:
		call(*args)
	except OSError as e:
		assert e.errno == error, e
		return
	assert False, "it succeeds"
fails(errno.EAGAIN, os.read, fd, 65536)
fails(errno.EINVAL, os.read, fd, 4095)
fails(errno.ESPIPE, os.lseek, fd, 0, os.SEEK_SET)
fails(errno.ESPIPE, os.pread, fd, 4096, 0)
fails(errno.EACCES, os.open, sys.argv[1], os.O_RDWR)
poll = select.poll()
poll.register(fd, select.POLLIN)
assert poll.poll(0) == []
epoll = select.epoll()
epoll.register(fd, select.EPOLLIN)
assert epoll.poll(0) == []
def lock():
	time.sleep(0.1)
	os.mkdir(sys.argv[2])
thread = threading.Thread(target=lock)
thread.start()
assert poll.poll(30000) == [(fd, select.POLLIN)]
assert epoll.poll(30) == [(fd, select.EPOLLIN)]
thread.join()
assert json.loads(os.read(fd, 4096))["event"] == "granted"
assert poll.poll(0) == [] and epoll.poll(0) == []
fails(errno.EAGAIN, os.read, fd, 65536)
os.set_blocking(fd, True)
class Rung(Exception):
	pass
def ring(*args):
	raise Rung
signal.signal(signal.SIGALRM, ring)
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
	os.read(fd, 65536)
	assert False, "it reads something"
except Rung:
	pass
os.rmdir(sys.argv[2])
assert json.loads(os.read(fd, 65536))["event"] == "released"' "$T/b/.dlock/changes" "$T/a/polled"
	# While one waits in it, the mount serves, and he can be killed.
	watch_begins
	[ -d "$T/b" ] && cat "$T/b/.dlock/status" >/dev/null || fail "the mount is held up"
	kill -KILL "$WATCH"
	wait_until gone "$WATCH" || fail "a reader cannot be killed"
}

case_the_lease_is_told_late_or_not_at_all() {
	stream '
lease = os.open(sys.argv[1], os.O_RDONLY)
now = time.clock_gettime(time.CLOCK_BOOTTIME)
first = json.loads(os.read(lease, 4096))
assert first["lease"] == 120.0 and now + 60 < first["until"] <= now + 120, (now, first)
os.set_blocking(lease, False)
try:
	os.read(lease, 4096)
	assert False, "it is told twice"
except BlockingIOError:
	pass' "$T/a/.dlock/lease"
}

# The next master has a shorter lease, and so have the sessions that it takes over.
case_renewals_and_the_end_of_a_lease_are_not_told() {
	(LEASE=3 master_restart)
	wait_until grep -q '"lease":3.0' "$T/a/.dlock/status.json" || fail "the lease is the old one"
	stream '
lease = os.open(sys.argv[1], os.O_RDONLY)
untils = [json.loads(os.read(lease, 4096))["until"] for i in range(4)]
assert untils == sorted(set(untils)), untils
os.kill(int(sys.argv[2]), signal.SIGSTOP)
last, data = untils[-1], b""
while True:
	data = os.read(lease, 4096)
	lines = [json.loads(l) for l in data.splitlines()]
	if lines[-1] == {"lost": True}:
		break
	last = lines[-1]["until"]
now = time.clock_gettime(time.CLOCK_BOOTTIME)
os.kill(int(sys.argv[2]), signal.SIGCONT)
assert now >= last, (now, last)
assert os.read(lease, 4096) == b"" and os.read(lease, 4096) == b""
poll = select.poll()
poll.register(lease, select.POLLIN)
assert poll.poll(0) == [(lease, select.POLLIN | select.POLLHUP)]' "$T/a/.dlock/lease" "$(pid_of master)"
	# Another description is about another session.
	wait_until eval 'dd bs=4096 count=1 if="$T/a/.dlock/lease" 2>/dev/null | grep -q until' || fail "no session any more"
}

run_cases
