#!/bin/bash
# SPDX-License-Identifier: MIT
# .dlock/ (contract 8): what a node knows of itself and of its masters, and every lock of the cluster,
# for people and for programs. The lease is longer than the test but where its end is the matter.
. "$(dirname "$0")/lib.sh"

LEASE=120
setup
command -v python3 >/dev/null || skip "python3 reads the JSON"
master_start
node_start a
node_start b

# refused WHY COMMAND...: the command fails and says so
refused() {
	local why=$1 said
	shift
	! said=$("$@" 2>&1) || fail "$*: succeeds, says $said"
	[[ $said = *"$why"* ]] || fail "$*: $said, not $why"
}

# json FILE EXPRESSION...: of the document d, by python3; each value printed
json() {
	python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
print(*[eval(e) for e in sys.argv[2:]])' "$@"
}

case_the_directory_is_there_and_nobody_stumbles_over_it() {
	[ -z "$(ls -A "$T/a")" ] || fail "the root lists $(ls -A "$T/a")"
	[ "$(ls -A "$T/a/.dlock" | tr '\n' ' ')" = "break changes lease locks locks.json status status.json waiters " ] ||
		fail "it lists $(ls -A "$T/a/.dlock")"
	[ "$(stat -c '%a %u %g %F' "$T/a/.dlock")" = "555 0 0 directory" ] || fail "$(stat "$T/a/.dlock")"
	[ "$(stat -c '%a %u %g %F' "$T/a/.dlock/status")" = "444 0 0 regular empty file" ] ||
		fail "$(stat "$T/a/.dlock/status")"
	cmp <(cd "$T/a/.dlock" && pwd -P) <(realpath "$T/a/.dlock/.") || fail "it is nowhere"
	# What walks a tree finds it is a directory of its own, and comes back.
	(cd "$T/a/.dlock" && cd .. && [ "$(stat -c %i .)" = 1 ]) || fail ".. is not the root"
}

case_nothing_is_made_removed_or_moved_there() {
	local name
	echo x >"$T/a/file" && mkdir "$T/a/dir" || fail "no file"
	refused "File exists" mkdir "$T/a/.dlock"
	refused "File exists" ln -s x -T "$T/a/.dlock"
	refused "File exists" mknod "$T/a/.dlock" p
	refused "Operation not permitted" rmdir "$T/a/.dlock"
	refused "Operation not permitted" mv -T "$T/a/.dlock" "$T/a/other"
	refused "Operation not permitted" mv -T "$T/a/dir" "$T/a/.dlock"
	refused "Operation not permitted" mv "$T/a/file" "$T/a/.dlock/new"
	refused "Operation not permitted" mv "$T/a/.dlock/status" "$T/a/new"
	refused "Operation not permitted" touch "$T/a/.dlock"
	refused "Operation not permitted" touch "$T/a/.dlock/new"
	refused "Operation not permitted" mkdir "$T/a/.dlock/new"
	refused "Operation not permitted" mknod "$T/a/.dlock/new" p
	refused "Operation not permitted" ln -s x "$T/a/.dlock/new"
	refused "Operation not permitted" ln "$T/a/file" "$T/a/.dlock/new"
	refused "Operation not permitted" ln "$T/a/.dlock/status" "$T/a/new"
	refused "Operation not permitted" unlink "$T/a/.dlock/status"
	refused "Operation not permitted" chmod 777 "$T/a/.dlock"
	refused "Operation not permitted" chmod 777 "$T/a/.dlock/status"
	refused "No such file" cat "$T/a/.dlock/new"
	for name in file dir; do
		[ -e "$T/a/$name" ] || fail "$name has gone"
	done
	rm -r "$T/a/file" "$T/a/dir" || fail "what was made cannot be removed"
	# In a directory of its own it is a name like any other.
	mkdir "$T/a/sub" "$T/a/sub/.dlock" && rm -r "$T/a/sub" || fail ".dlock elsewhere"
}

case_its_files_are_read_and_nothing_else() {
	refused "Permission denied" dd if=/dev/null of="$T/a/.dlock/status" status=none
	refused "not supported" flock -n "$T/a/.dlock/status" true
	refused "not supported" setfattr -n user.x -v y "$T/a/.dlock/status"
	refused "No such attribute" getfattr -n user.dlock.token "$T/a/.dlock/status"
	[ -z "$(getfattr -d "$T/a/.dlock/status" 2>&1)" ] || fail "it has attributes"
}

case_anybody_may_look() {
	local file
	for file in status status.json locks waiters locks.json; do
		[ -n "$(setpriv --reuid=1234 --clear-groups cat "$T/a/.dlock/$file")" ] || fail "$file"
	done
	refused "Permission denied" setpriv --reuid=1234 --clear-groups \
		dd if=/dev/null of="$T/a/.dlock/locks" status=none
}

case_the_status_is_that_of_the_node_that_is_asked() {
	local node
	for node in a b; do
		grep -qx "node     $node" "$T/$node/.dlock/status" || fail "$(cat "$T/$node/.dlock/status")"
		grep -qx "session  live" "$T/$node/.dlock/status" || fail "$(cat "$T/$node/.dlock/status")"
		grep -qx "$URL leads" "$T/$node/.dlock/status" || fail "$(cat "$T/$node/.dlock/status")"
		[ "$(json "$T/$node/.dlock/status.json" 'd["version"]' \
			'd["node"]' 'd["session"]' 'd["lease"]' 'd["master"]' 'd["masters"]')" = \
			"1 $node live 120.0 $URL [{'url': '$URL', 'state': 'leads'}]" ] ||
			fail "$(cat "$T/$node/.dlock/status.json")"
		[ "$(json "$T/$node/.dlock/status.json" '80 < d["left"] <= 120 and d["epoch"] >= 1')" = True ] ||
			fail "$(cat "$T/$node/.dlock/status.json")"
	done
}

case_a_master_that_is_not_there_is_said_to_be() {
	local none=ipc://$T/none.sock
	URL=$URL,$none node_start c
	[ "$(json "$T/c/.dlock/status.json" 'd["masters"]')" = \
		"[{'url': '$URL', 'state': 'leads'}, {'url': '$none', 'state': 'silent'}]" ] ||
		fail "$(cat "$T/c/.dlock/status.json")"
	grep -qx "$none *no answer" "$T/c/.dlock/status" || fail "$(cat "$T/c/.dlock/status")"
	node_stop c
}

# ---- Locks ----

# lock CLIENT NODE/FILE sh|ex|FROM-LENGTH: a client that has it, or with -w one that waits for it
lock() {
	local how=want wait='' words
	[ "$1" != -w ] || { wait=-w how=send && shift; }
	client "$1"
	want ok "$1" open 0 bc "$T/$2"
	case $3 in
	*-*) words="posix 0 w ${3%-*} ${3#*-}" ;;
	*) words="flock 0 $3" ;;
	esac
	if [ -n "$wait" ]; then
		send "$1" "$words"
		waits "$1" "${2%%/*}"
	else
		# shellcheck disable=SC2086
		want ok "$1" $words
	fi
}

# rows FILE: without the header, as words with one space between
rows() {
	sed 1d "$1" | tr -s ' '
}

# splits COLUMNS FILE: every line has so many words, and no byte that a terminal obeys
splits() {
	awk -v columns="$1" 'NF != columns { print; bad = 1 } END { exit bad }' "$2" ||
		fail "$2: a line has not $1 words"
	! LC_ALL=C tr -d '\n' <"$2" | LC_ALL=C grep -q '[[:cntrl:]]' || fail "$2: control characters"
}

# nothing_is_held: whatever a case before left, and whatever close is still under way
nothing_is_held() {
	rm -rf "${T:?}/a"/*
	wait_until eval '[ -z "$(rows "$T/b/.dlock/locks")" ]' || fail "$(cat "$T/b/.dlock/locks")"
}

case_locks_of_all_nodes_are_told_on_every_node() {
	local node token
	mkdir "$T/a/dir" || fail mkdir
	lock la a/dir/job ex
	lock lb b/shared sh
	lock lc b/ranges 10-5
	for node in a b; do
		[ "$(rows "$T/$node/.dlock/locks" | cut -d' ' -f1-7)" = "\
dir held exclusive a $(cut -d' ' -f2 <<<"$(getfattr --only-values -n user.dlock.holder "$T/a/dir")") 0 mkdir
dir/job flock exclusive a $(pid_of_client la) 0 locker
shared flock shared b $(pid_of_client lb) 0 locker
ranges fcntl exclusive b $(pid_of_client lc) 0 locker" ] || fail "$(cat "$T/$node/.dlock/locks")"
		splits 11 "$T/$node/.dlock/locks"
		splits 9 "$T/$node/.dlock/waiters"
		token=$(getfattr --only-values -n user.dlock.token "$T/$node/dir/job")
		[ "$(rows "$T/$node/.dlock/locks" | awk '$1 == "dir/job" { print $10 }')" = "$token" ] ||
			fail "the token is not $token"
		[ "$(json "$T/$node/.dlock/locks.json" 'len(d["locks"])' 'd["waiters"]' \
			'[(l["start"], l["length"]) for l in d["locks"] if l["kind"] == "fcntl"]')" = \
			"4 [] [(10, 5)]" ] || fail "$(cat "$T/$node/.dlock/locks.json")"
	done
	want ok la flock 0 un
	! grep -q dir/job "$T/b/.dlock/locks" || fail "it has been given back"
	quit la lb lc
	rm -r "$T/a/dir"
	nothing_is_held
}

case_waiters_are_told_in_their_order() {
	local i
	nothing_is_held
	lock holder a/job ex
	for i in 0 1 2; do
		lock -w "w$i" b/job ex
	done
	[ "$(rows "$T/a/.dlock/waiters" | cut -d' ' -f1-6)" = "\
job 1 flock exclusive b $(pid_of_client w0)
job 2 flock exclusive b $(pid_of_client w1)
job 3 flock exclusive b $(pid_of_client w2)" ] || fail "$(cat "$T/a/.dlock/waiters")"
	[ "$(rows "$T/b/.dlock/locks" | awk '{ print $11 }')" = 3 ] || fail "$(cat "$T/b/.dlock/locks")"
	quit w0
	want ok holder flock 0 un
	granted w1
	[ "$(rows "$T/a/.dlock/waiters" | cut -d' ' -f1-6)" = \
		"job 1 flock exclusive b $(pid_of_client w2)" ] || fail "$(cat "$T/a/.dlock/waiters")"
}

case_odd_names_break_no_line() {
	local name odd=0 names=('a b' $'new\nline' $'tab\ttab' 'back\slash' '"quoted"' "it's" '-n' '%s%n'
		$'\e[31mred' $'bad\xffbyte' $'\xc2\x9b5m' 'grüß')
	nothing_is_held
	mkdir "$T/a/odd dir" || fail mkdir
	for name in "${names[@]}"; do
		(set -C && : >"$T/a/odd dir/$name") || fail "cannot make $name"
	done
	splits 11 "$T/b/.dlock/locks"
	[ "$(rows "$T/b/.dlock/locks" | wc -l)" = $((${#names[@]} + 1)) ] || fail "$(cat "$T/b/.dlock/locks")"
	# What printf makes of a table's word, and what JSON says, is the name.
	while read -r name; do
		name=$(printf "${name//%/%%}x")
		[ -e "$T/b/${name%x}" ] || fail "$name is no name"
		odd=$((odd + 1))
	done < <(rows "$T/b/.dlock/locks" | cut -d' ' -f1)
	[ $odd = $((${#names[@]} + 1)) ] || fail "$odd names"
	python3 -c '
import json, os, sys
d = json.load(open(sys.argv[1] + "/.dlock/locks.json", encoding="ascii"))
for l in d["locks"]:
    name = bytes.fromhex(l["name_hex"]) if "name_hex" in l else l["name"].encode()
    os.stat(os.path.join(sys.argv[1].encode(), name))
    assert ("name_hex" in l) == (b"\xff" in name), l' "$T/b" || fail "$(cat "$T/b/.dlock/locks.json")"
	rm -r "$T/a/odd dir"
}

case_a_removed_file_is_no_longer_told_of() {
	nothing_is_held
	lock la a/gone ex
	rm "$T/b/gone"
	[ "$(json "$T/b/.dlock/locks.json" '[(l["name"], l["removed"]) for l in d["locks"]]')" = \
		"[('gone', True)]" ] || fail "$(cat "$T/b/.dlock/locks.json")"
	# The name made again waits for it, and says for whom.
	lock -w lb b/gone ex
	[ "$(getfattr --only-values -n user.dlock.locks "$T/b/gone" | json /dev/stdin \
		'[l["pid"] for l in d["locks"]]' '[w["pid"] for w in d["waiters"]]' \
		'd["locks"][0]["waiters"]')" = \
		"[$(pid_of_client la)] [$(pid_of_client lb)] 1" ] ||
		fail "$(getfattr --only-values -n user.dlock.locks "$T/b/gone")"
	quit la
	granted lb
}

case_the_attribute_tells_of_its_file_alone() {
	lock la a/one ex
	lock lb b/two ex
	[ "$(getfattr --only-values -n user.dlock.locks "$T/b/one" | json /dev/stdin \
		'[l["name"] for l in d["locks"]]' 'd["waiters"]')" = "['one'] []" ] || fail "of one"
	! getfattr -d -m - "$T/b/one" 2>/dev/null | grep -q dlock.locks || fail "it is listed"
	refused "Operation not permitted" setfattr -n user.dlock.locks -v x "$T/b/one"
	refused "Operation not permitted" setfattr -x user.dlock.locks "$T/b/one"
	[ "$(getfattr --only-values -n user.dlock.locks "$T/b" | json /dev/stdin 'd["locks"]')" = "[]" ] ||
		fail "of the root"
}

# An open file shows what is, and not what was; within one reading it is of one moment.
case_a_read_answers_as_of_the_call() {
	nothing_is_held
	python3 -c '
import fcntl, os, sys
a, b = sys.argv[1:]
watch = os.open(b + "/.dlock/locks", os.O_RDONLY)
def names(text):
    return [line.split()[0] for line in text.splitlines()]
assert names(os.pread(watch, 4096, 0)) == [b"NAME"]
lock = os.open(a + "/f", os.O_RDWR | os.O_CREAT)
for i in range(20):
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert b"\nf " in os.pread(watch, 4096, 0), i
    first = os.pread(watch, 10, 0)
    fcntl.flock(lock, fcntl.LOCK_UN)
    rest = os.pread(watch, 4096, 10)
    assert b"\nf " in first + rest, i   # goes on in what it began
    assert os.pread(watch, 4096, 10 + len(rest)) == b""
    assert names(os.pread(watch, 4096, 0)) == [b"NAME"], i
' "$T/a" "$T/b" || fail "the texts above"
}

case_ten_thousand_locks_are_listed() {
	local count=${SANITIZED:+2000}
	count=${count:-10000}
	nothing_is_held
	mkdir "$T/a/many"
	python3 -c '
import os, sys
for i in range(int(sys.argv[2])):
    os.close(os.open("%s/lock-%d" % (sys.argv[1], i), os.O_CREAT | os.O_EXCL))' "$T/a/many" $count ||
		fail "cannot make them"
	splits 11 "$T/b/.dlock/locks"
	[ "$(rows "$T/b/.dlock/locks" | cut -d' ' -f1 | grep ^many/ | sort -u | wc -l)" = $count ] ||
		fail "not all are listed"
	[ "$(json "$T/b/.dlock/locks.json" 'len(set(l["token"] for l in d["locks"]))')" = $((count + 1)) ] ||
		fail "JSON does not list all"
	clock
	LISTED=$NOW
	cat "$T/b/.dlock/locks.json" >/dev/null
	clock
	note "$count locks are read in $((NOW - LISTED)) ms"
	# Two texts at once, and one that nobody reads on in.
	head -c 1000 "$T/b/.dlock/locks" >/dev/null
	paste -d'\n' "$T/b/.dlock/locks" "$T/a/.dlock/locks" | awk 'NF != 11 { exit 1 }' || fail "mixed up"
	rm -r "$T/a/many"
	[ -z "$(rows "$T/b/.dlock/locks")" ] || fail "some are left: $(cat "$T/b/.dlock/locks")"
}

# Too long for an attribute, which the kernel bounds: it says so, and the file tells all.
case_an_attribute_is_cut_off() {
	nothing_is_held
	python3 -c '
import errno, fcntl, json, os, struct, sys
f = os.open(sys.argv[1] + "/ranges", os.O_RDWR | os.O_CREAT)
for i in range(1000):
    fcntl.fcntl(f, fcntl.F_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 2 * i, 1, 0))
try:
    os.getxattr(sys.argv[2] + "/ranges", "user.dlock.locks")
    sys.exit("it fits")
except OSError as e:
    assert e.errno == errno.E2BIG, e
d = json.load(open(sys.argv[2] + "/.dlock/locks.json"))
assert sorted(l["start"] for l in d["locks"]) == list(range(0, 2000, 2))
' "$T/a" "$T/b" || fail "the attribute"
}

case_ages_begin_anew_with_a_master() {
	local ages
	nothing_is_held
	lock la a/job ex
	lock -w lb b/job ex
	mkdir "$T/a/kept"
	wait_until eval '[ "$(json "$T/b/.dlock/locks.json" "min(x[\"age\"] for x in d[\"locks\"] + d[\"waiters\"]) > 1")" = True ]' ||
		fail "nothing grows older"
	master_restart
	ages=$(json "$T/b/.dlock/locks.json" 'len(d["locks"] + d["waiters"])' \
		'min(x["age"] for x in d["locks"] + d["waiters"]) > 1') || fail "no JSON"
	[ "$ages" = "3 True" ] || fail "after the restart: $ages"
	rmdir "$T/a/kept"
}

run_cases
