#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What dlock does at a terminal: tables that fit, colour, and a command that has the terminal as it
would have without dlock. Against a directory that looks like a mount; a pty of its own for each case.
usage: test_terminal.py DLOCK
"""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

PATIENCE = 60
DLOCK = os.path.abspath(sys.argv[1])
ROOT = tempfile.mkdtemp(prefix="dlock-terminal.")
MOUNT = ROOT + "/mount"
NASTY = "a b\nc\x1b[31m\u202e" + "x" * 100

LOCKS = {
    "version": 1,
    "locks": [
        {"name": "dir/job", "kind": "flock", "mode": "exclusive", "node": "a", "pid": 71, "uid": 0,
         "command": "flock", "age": 192.2, "left": 8.4, "left_of": "lease",
         "token": "1099511627778", "waiters": 2, "inode": 17, "removed": False},
        {"name": NASTY, "kind": "fcntl", "mode": "shared", "start": 10, "length": 20,
         "node": "storage-node-7.example.com", "pid": 4194304, "uid": 4294967294,
         "command": "my\tcommand", "age": 92192.2, "left": 0.04, "left_of": "ttl",
         "token": "1099511627779", "waiters": 0, "inode": 18, "removed": True},
    ],
    "waiters": [
        {"name": "dir/job", "place": 1, "kind": "flock", "mode": "exclusive", "node": "b",
         "pid": 88, "uid": 1000, "command": "flock", "age": 1.5, "inode": 17},
    ],
}
STATUS = {
    "version": 1, "node": "a", "session": "live", "lease": 10.0, "left": 8.4, "epoch": 3,
    "master": "tcp://10.0.0.1:4477",
    "masters": [{"url": "tcp://10.0.0.1:4477", "state": "leads"},
                {"url": "tcp://10.0.0.2:4477", "state": "silent"}],
}


def make_mount():
    os.makedirs(MOUNT + "/.dlock")
    with open(MOUNT + "/.dlock/locks.json", "w") as f:
        json.dump(LOCKS, f)
    with open(MOUNT + "/.dlock/status.json", "w") as f:
        json.dump(STATUS, f)
    os.mkfifo(MOUNT + "/.dlock/lease")
    open(MOUNT + "/job", "w").close()
    try:
        os.setxattr(MOUNT + "/job", "user.dlock.token", b"77")
    except OSError:
        print("SKIP: no extended attributes in " + ROOT)
        shutil.rmtree(ROOT)
        sys.exit(77)
    return os.open(MOUNT + "/.dlock/lease", os.O_RDWR)


class Terminal:
    """A program on a terminal of its own, 80 columns wide."""

    def __init__(self, argv, **env):
        self.seen = ""
        self.at = 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            os.environ.update({"TERM": "xterm", "LC_ALL": "C.UTF-8", "DLOCK_MOUNT": MOUNT,
                               "PS1": "ready$ ", "PROMPT_COMMAND": "", **env})
            os.execvp(argv[0], argv)

    def read(self):
        if not select.select([self.fd], [], [], PATIENCE)[0]:
            raise AssertionError("nothing comes; so far: " + repr(self.seen))
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            data = b""
        self.seen += data.decode("utf-8", "replace")
        return bool(data)

    def all(self):
        while self.read():
            pass
        os.waitpid(self.pid, 0)
        return self.seen.replace("\r\n", "\n")

    def expect(self, pattern):
        """Waits for the pattern after what was found last."""
        end = time.monotonic() + PATIENCE
        while True:
            m = re.compile(pattern).search(self.seen, self.at)
            if m:
                self.at = m.end()
                return m
            assert time.monotonic() < end and self.read(), \
                "no %r in %r" % (pattern, self.seen[self.at:])

    def type(self, text):
        os.write(self.fd, text.encode())

    def close(self):
        """Ends it, and whatever it has started: all are of its session."""
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and os.getsid(int(entry)) == self.pid:
                    os.kill(int(entry), signal.SIGKILL)
            except ProcessLookupError:
                pass
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def lease():
    """Drops what is left of an earlier case, and tells of a good lease."""
    while select.select([LEASE], [], [], 0)[0]:
        os.read(LEASE, 4096)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    os.write(LEASE, b'{"until":%.6f,"lease":1000.0}\n' % (now + 1000))


def plain(*args, **env):
    out = subprocess.run([DLOCK, "-m", MOUNT, *args], stdout=subprocess.PIPE, check=True,
                         env={**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", **env})
    return out.stdout.decode()


SGR = re.compile("\x1b\\[[0-9;]*m")


def case_a_table_does_not_fit_or_line_up():
    for args in (["ls"], ["who", "dir/job"], ["status"]):
        lines = SGR.sub("", Terminal([DLOCK, *args]).all()).splitlines()
        assert all(len(line) <= 80 for line in lines), lines
    lines = SGR.sub("", Terminal([DLOCK, "ls"]).all()).splitlines()
    assert len(lines) == 3, lines
    for head in ("KIND", "MODE", "HOLDER"):
        at = lines[0].index(head)
        assert all(line[at - 1] == " " and line[at] != " " for line in lines), lines
    assert "3m12s" in lines[1] and "1d01h" in lines[2], lines
    assert "\u2026" in lines[2], lines


def case_a_name_breaks_a_table():
    for env in ({}, {"LC_ALL": "C"}):
        lines = plain("ls", "-l", **env).splitlines()
        assert len(lines) == 3 and len(lines[1].split()) == 13, lines
        assert len(lines[2].split()) == 13, lines
        assert lines[2].startswith("a\\040b\\012c\\033[31m\\342\\200\\256x"), lines
        assert lines[2].split()[10] == "10-29" and lines[2].split()[11] == "ttl,removed", lines


def case_a_mistake_shows_a_name_as_it_is():
    out = subprocess.run([DLOCK, "-m", MOUNT + "/\x1b[31m\n", "ls"], stderr=subprocess.PIPE,
                         check=False)
    assert out.returncode == 1
    assert b"\\033[31m\\012" in out.stderr and out.stderr.count(b"\n") == 1, out.stderr


def case_colour_is_where_it_should_not_be():
    assert SGR.search(Terminal([DLOCK, "status"]).all())
    assert not SGR.search(plain("status"))
    assert not SGR.search(Terminal([DLOCK, "status"], NO_COLOR="1").all())
    assert not SGR.search(Terminal([DLOCK, "status"], TERM="dumb").all())
    assert SGR.search(Terminal([DLOCK, "status"], NO_COLOR="").all())


def case_json_is_not_what_the_mount_says():
    assert json.loads(plain("ls", "--json")) == LOCKS
    assert json.loads(plain("status", "--json")) == STATUS
    who = json.loads(plain("who", "dir/job", "--json"))
    assert who == {"version": 1, "locks": LOCKS["locks"][:1], "waiters": LOCKS["waiters"]}, who


@contextlib.contextmanager
def shell():
    t = Terminal(["bash", "--norc", "--noediting", "-i"], DLOCK=DLOCK)
    try:
        t.expect(r"ready\$ ")
        yield t
    finally:
        t.close()


def case_cmd_cannot_read_the_terminal_or_is_not_interrupted():
    with shell() as t:
        lease()
        t.type("$DLOCK run job -- sh -c 'read x; echo got-$x; exec sleep 1000'\n")
        t.type("line\n")
        t.expect("got-line")
        t.type("\x03")
        t.expect(r"ready\$ ")
        t.type("echo status-$?\n")
        t.expect("status-130")


def case_cmd_cannot_be_stopped_and_continued():
    with shell() as t:
        lease()
        t.type("$DLOCK run job -- sh -c 'echo up-; read x; echo got-$x; read y; echo got-$y'\n")
        t.expect("up-\r")
        t.type("\x1a")
        t.expect("Stopped")
        t.expect(r"ready\$ ")
        t.type("fg\n")
        t.expect("DLOCK run")
        t.type("one\n")
        t.expect("got-one")
        t.type("\x1a")
        t.expect("Stopped")
        t.type("bg\n")
        t.expect(r"ready\$ ")
        # It wants to read, and may not.
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            t.type("jobs; echo that-was-all-\n")
            listed = t.expect("(?s)(.*?)that-was-all-\r\n(.*?)that-was-all-\r").group(0)
            if "Stopped" in listed:
                break
        assert "Stopped" in listed, listed
        t.type("fg\n")
        t.type("two\n")
        t.expect("got-two")
        t.expect(r"ready\$ ")
        t.type("echo status-$?\n")
        t.expect("status-0")


def case_another_of_the_pipeline_loses_the_terminal():
    with shell() as t:
        lease()
        t.type("$DLOCK run job -- sh -c 'sleep 0.3; echo from-cmd' | "
               "sh -c 'read x </dev/tty; echo got-$x; cat'\n")
        t.type("typed\n")
        t.expect("got-typed")
        t.expect("from-cmd")
        t.expect(r"ready\$ ")
        lease()
        t.type("$DLOCK run job -- sh -c 'read x </dev/tty; echo got-$x' | cat\n")
        t.type("again\n")
        t.expect("got-again")
        t.expect(r"ready\$ ")


def case_an_interrupt_does_not_end_an_election():
    with shell() as t:
        lease()
        t.type("$DLOCK elect job -- sh -c 'echo up-; exec sleep 1000'\n")
        t.expect("up-\r")
        t.type("\x03")
        t.expect(r"ready\$ ")
        t.type("echo status-$?\n")
        t.expect("status-130")


def main():
    failed = False
    wanted = os.environ.get("CASES", "")
    for name, case in list(globals().items()):
        if not name.startswith("case_") or wanted not in name:
            continue
        try:
            case()
            print("ok   " + name[5:], flush=True)
        except AssertionError as e:
            print("FAIL " + name[5:] + ": " + str(e), flush=True)
            failed = True
    shutil.rmtree(ROOT)
    return 1 if failed else 0


LEASE = make_mount()
sys.exit(main())
