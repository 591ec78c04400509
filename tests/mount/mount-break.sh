#!/bin/bash
# SPDX-License-Identifier: MIT
# .dlock/break takes a lock or a held name away from its holder (contract 7), wherever that is, and
# nobody else has it before the holder's node has stopped believing. Who believes what until when
# stands in lockcore/node.h.
. "$(dirname "$0")/lib.sh"

# A quarter of it is what holders have to stop, half of that until SIGKILL.
LEASE=8
QUARTER_MS=$((LEASE * 1000 / 4))
setup
master_start
node_start a
node_start b
node_start k onloss=kill

# token NODE/FILE: in TOKEN
token() {
	TOKEN=$(getfattr --absolute-names --only-values -n user.dlock.token "$T/$1") ||
		fail "$1 has no token"
}

# broken TOKEN [NODE]: breaks it; the errno's text in SAID
broken() {
	SAID=$({ echo "$1" >"$T/${2:-b}/.dlock/break"; } 2>&1) && return
	SAID=${SAID##*: }
	return 1
}

# break_later TOKEN: in the background; $T/rc is there with its status once it has returned
break_later() {
	rm -f "$T/rc"
	# shellcheck disable=SC2016
	launch break bash -c 'echo "$1" >"$2/b/.dlock/break"; echo $? >"$2/rc.new"; mv "$2/rc.new" "$2/rc"' \
		- "$1" "$T"
}

has_returned() {
	[ -e "$T/rc" ]
}

returned() {
	wait_until has_returned || fail "the break never returns"
	[ "$(cat "$T/rc")" = 0 ] || fail "the break: $(tail -1 "$T/log/break")"
}

# lost NAME SLOT: the descriptor is as after a lease that was lost
lost() {
	want EIO "$1" pwrite "$2" 0 x
	want EIO "$1" read "$2" 0 1
	want EIO "$1" fsync "$2"
	want EIO "$1" flock "$2" ex nb
	want EIO "$1" posix "$2" w 0 1
	want ok "$1" fstat "$2"
}

case_a_broken_flock_goes_on_or_the_next_waits() {
	client h && client w0 && client w1
	want ok h open 0 bc "$T/a/f"
	want ok h flock 0 ex
	want ok h open 1 bc "$T/a/f"
	want ok w0 open 0 bc "$T/b/f"
	send w0 flock 0 ex
	waits w0 b
	want ok w1 open 0 bc "$T/k/f"
	send w1 flock 0 ex
	waits w1 k
	token b/f
	broken "$TOKEN" || fail "$SAID"
	granted w0
	silent w1 || fail "two are next in line"
	lost h 0
	want ok h pwrite 1 0 x # another description of the file
	want EAGAIN h flock 1 ex nb
	want ok h close 0
	want ok w0 flock 0 un
	granted w1
	! broken "$TOKEN" || fail "it is broken twice"
	[ "$SAID" = "No such file or directory" ] || fail "$SAID"
}

case_ranges_of_a_broken_owner_stay() {
	client h && client o && client w
	want ok h open 0 bc "$T/a/r"
	want ok h open 1 bc "$T/a/r"
	want ok h posix 0 w 0 10
	want ok h posix 1 w 20 10
	want ok o open 0 bc "$T/a/r"
	want ok o posix 0 w 40 10
	want ok w open 0 bc "$T/b/r"
	send w posix 0 w 0 30 wait
	waits w b
	TOKEN=$(python3 -c '
import json, sys
print(*[l["token"] for l in json.load(open(sys.argv[1]))["locks"]
	if l["name"] == "r" and l["start"] == 0])' "$T/b/.dlock/locks.json")
	broken "$TOKEN" || fail "$SAID"
	granted w
	lost h 0
	lost h 1
	want ok o pwrite 0 0 x
	want EAGAIN w posix 0 w 45 1
}

case_an_ofd_lock_is_no_lock_to_break() {
	client h && client w
	want ok h open 0 bc "$T/a/o"
	want ok h ofd 0 w 0 0
	token b/o
	broken "$TOKEN" || fail "$SAID"
	lost h 0
	want ok w open 0 bc "$T/b/o"
	want ok w ofd 0 w 0 0
}

case_a_broken_name_stays() {
	client h
	want ok h open 0 bcx "$T/a/name"
	want ok h open 1 b "$T/a/name"
	token b/name
	broken "$TOKEN" a || fail "$SAID" # its own node can be asked as well
	[ ! -e "$T/b/name" ] || fail "it is there"
	lost h 0
	lost h 1
	(set -C && : >"$T/b/name") || fail "nobody can make it"
	mkdir "$T/a/dir" && mkdir "$T/b/dir/in"
	token b/dir
	broken "$TOKEN" || fail "$SAID"
	[ -d "$T/b/dir/in" ] || fail "what others have in it is gone"
	rmdir "$T/b/dir/in"
	wait_until [ ! -e "$T/b/dir" ] || fail "the directory is nobody's and stays"
	ln -s x "$T/a/link"
	TOKEN=$(awk '$1 == "link" { print $10 }' "$T/b/.dlock/locks")
	broken "$TOKEN" || fail "$SAID"
	[ ! -L "$T/b/link" ] || fail "the link is there"
}

case_anybody_may_break_or_anything_is_a_token() {
	client h
	local text
	want ok h open 0 bc "$T/a/safe"
	want ok h flock 0 ex
	token b/safe
	SAID=$(setpriv --reuid=65534 --clear-groups -- \
		bash -c 'echo "$1" >"$2"' - "$TOKEN" "$T/b/.dlock/break" 2>&1) && fail "nobody broke it"
	[[ $SAID = *"Permission denied" ]] || fail "$SAID"
	exec 8>"$T/b/.dlock/break"
	SAID=$(setpriv --reuid=65534 --clear-groups -- bash -c 'echo "$1" >&8' - "$TOKEN" 2>&1) &&
		fail "nobody broke it by root's descriptor"
	[[ $SAID = *"Operation not permitted" ]] || fail "$SAID"
	exec 8>&-
	for text in "" 0 x "${TOKEN}x" "-$TOKEN" " $TOKEN" "0x1" 18446744073709551616 "$TOKEN $TOKEN"; do
		! broken "$text" || fail "'$text' is a token"
		[ "$SAID" = "Invalid argument" ] || fail "'$text': $SAID"
	done
	! broken 18446744073709551615 || fail "there is no such token"
	[ "$SAID" = "No such file or directory" ] || fail "$SAID"
	! cat "$T/b/.dlock/break" 2>/dev/null || fail "it can be read"
	want ok h pwrite 0 0 x
}

# Who reads what is broken has a quarter of the lease to stop, and no longer.
case_a_holder_that_stops_is_not_waited_for() {
	client h && client w
	local began early
	want ok h open 1 r "$T/a/.dlock/lease"
	want ok h next 1
	want ok h open 0 bc "$T/a/s"
	want ok h flock 0 ex
	want ok w open 0 bc "$T/b/s"
	send w flock 0 ex
	waits w b
	token b/s
	clock
	began=$NOW
	break_later "$TOKEN"
	ask h next 1
	until [[ $V = *"\"broken\":\"$TOKEN\""* ]]; do
		ask h next 1
		[ "$R" = ok ] || fail "reading the lease: $R"
	done
	lost h 0
	silent w && early= || early=no
	clock
	[ -z "$early" ] || [ $((NOW - began)) -ge $QUARTER_MS ] ||
		fail "the next has it while the holder has not stopped"
	want ok h close 0
	returned
	granted w
}

# It is the one who started the holder that reads; and he does not care.
case_a_holder_is_waited_for_without_end() {
	client w
	# shellcheck disable=SC2016
	LEASE_FILE=$T/a/.dlock/lease client h bash -c 'exec 9<"$LEASE_FILE"; setpriv --pdeathsig KILL -- "$0"; exit $?'
	local began
	want ok h open 0 bc "$T/a/p"
	want ok h flock 0 ex
	want ok w open 0 bc "$T/b/p"
	send w flock 0 ex
	waits w b
	token b/p
	clock
	began=$NOW
	broken "$TOKEN" || fail "$SAID"
	granted w
	[ $((TO - began)) -ge $((QUARTER_MS - 20)) ] || fail "granted after $((TO - began)) ms"
	lost h 0
}

case_a_stopped_node_loses_what_it_believes_in() {
	client h && client w
	local stopped
	want ok h open 0 bc "$T/a/stopped"
	want ok h flock 0 ex
	want ok w open 0 bc "$T/b/stopped"
	send w flock 0 ex
	waits w b
	token b/stopped
	clock
	stopped=$NOW
	kill -STOP "$(pid_of a)"
	# Somebody loses patience, which changes nothing.
	# shellcheck disable=SC2016
	timeout -s INT 0.5 bash -c 'echo "$1" >"$2/b/.dlock/break"' - "$TOKEN" "$T" 2>/dev/null
	[ $? = 124 ] || fail "a signal does not end it"
	broken "$TOKEN" || fail "$SAID"
	granted w
	# The last renewal was a quarter of the lease before, at the most, and a bit.
	[ $((TO - stopped)) -ge $((LEASE * 1000 - QUARTER_MS - 500)) ] ||
		fail "granted $((TO - stopped)) ms after the holder's node was stopped"
	kill -CONT "$(pid_of a)"
	lost h 0
	wait_until eval 'stat "$T/a/stopped" >/dev/null 2>&1' || fail "node a does not come back"
}

case_holders_outlive_what_is_broken() {
	# shellcheck disable=SC2016
	client stubborn bash -c 'trap "" TERM; exec "$0"' || fail "no holder"
	client h && client other && client w
	local pid stubborn
	want ok h open 0 bc "$T/k/killed"
	want ok h flock 0 ex
	want ok stubborn open 0 bc "$T/k/stubborn"
	want ok stubborn flock 0 ex
	want ok other open 0 bc "$T/k/other"
	want ok other flock 0 ex
	token b/killed
	pid=$(pid_of_client h)
	broken "$TOKEN" || fail "$SAID"
	gone "$pid" || fail "it runs"
	wait_until grep -q "is broken: SIGTERM to process $pid " "$T/log/k" ||
		fail "it was not asked to end"
	token b/stubborn
	stubborn=$(pid_of_client stubborn)
	broken "$TOKEN" || fail "$SAID"
	gone "$stubborn" || fail "the stubborn one runs"
	wait_until grep -q "is broken: SIGKILL to process $stubborn " "$T/log/k" ||
		fail "how has it ended?"
	want ok other pwrite 0 0 x
	launch maker bash -c "set -C; : >$T/k/made; exec sleep 1000"
	wait_until [ -e "$T/b/made" ] || fail "nothing is made"
	token b/made
	broken "$TOKEN" || fail "$SAID"
	gone "$PID" || fail "the maker of the name runs"
	[ ! -e "$T/b/made" ] || fail "the name is there"
}

case_a_new_master_forgets_what_is_being_broken() {
	client h && client w
	want ok h open 1 r "$T/a/.dlock/lease"
	want ok h next 1
	want ok h open 0 bc "$T/a/m"
	want ok h flock 0 ex
	want ok w open 0 bc "$T/b/m"
	send w flock 0 ex
	waits w b
	token b/m
	break_later "$TOKEN"
	until [[ ${V:-} = *"\"broken\":\"$TOKEN\""* ]]; do
		ask h next 1
		[ "$R" = ok ] || fail "reading the lease: $R"
	done
	master_restart
	returned
	granted w
	lost h 0
}

run_cases
