#!/bin/bash
# SPDX-License-Identifier: MIT
# No master answers: it is killed, stopped, or out of reach without a word. Every call can be ended by
# a signal all the same, and ends by itself after timeo with an error that does not say "somebody has
# it" (contract 5.3, 6.3).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"

# Beyond any outage here: what is asked under a session that lapses is another question, the last.
LEASE=30
setup_network
for name in master patient hasty b; do
	place $name
done
master_start
# What is not ended by a signal within PATIENCE is not ended by it at all.
node_start patient timeo=600
node_start hasty timeo=1
node_start b timeo=1
mapfile -t CALLS < <("$CALLER" list)

# The three ways to be without a master, and back.
no_master() {
	case $1 in
	killed) crash master ;;
	stopped) kill -STOP "$(pid_of master)" ;;
	unreachable) cut both master ;;
	esac
}

master_again() {
	case $1 in
	killed) master_start ;;
	stopped) kill -CONT "$(pid_of master)" ;;
	unreachable) heal ;;
	esac
	wait_until stat -f "$T/hasty" >/dev/null 2>&1 || fail "the master does not serve again"
}

# callers NODE: one for each call, ready, in a directory of its own on the node
callers() {
	local call dir in out
	for call in "${CALLS[@]}"; do
		dir=$T/$1/$call
		mkdir -p "$dir" "$dir/dir" && : >"$dir/file" && : >"$dir/other" || fail "mkdir $dir"
		mkfifo "$T/in" "$T/out"
		exec {in}<>"$T/in" {out}<>"$T/out"
		rm "$T/in" "$T/out"
		"$CALLER" "$call" "$dir" <&$in >&$out {in}>&- {out}>&- &
		record $!
		disown $!
		CLIENTS+=($!)
		eval "PID_${call//-/_}=$! IN_${call//-/_}=$in OUT_${call//-/_}=$out"
		said "$call" ready
	done
}

# said CALL WORD: the next that it says
said() {
	local out=OUT_${1//-/_} word
	read -r -t "$PATIENCE" word MS <&"${!out}" || fail "$1 says nothing"
	[ "$word" = "$2" ] || fail "$1: $word${MS:+ after $MS ms}, not $2"
}

all_call() {
	local call in
	for call in "${CALLS[@]}"; do
		in=IN_${call//-/_}
		echo go >&"${!in}"
		said "$call" calling
	done
}

pid_of_call() {
	local pid=PID_${1//-/_}
	echo "${!pid}"
}

# In the kernel, waiting for the daemon's answer: a request that the daemon has.
in_mount() {
	grep -q 'fuse\|request_wait_answer' "/proc/$1/stack" 2>/dev/null
}

# The attributes may not be there: then the answer comes at once, from the kernel.
is_optional() {
	[ "$1" = getxattr ] || [ "$1" = setxattr ]
}

interrupt_all() {
	local signal=$1 why=$2 call pid began lapsed
	callers patient
	no_master "$why"
	all_call
	for call in "${CALLS[@]}"; do
		pid=$(pid_of_call "$call")
		is_optional "$call" || wait_until in_mount "$pid" || fail "$call does not wait"
	done
	clock
	began=$NOW
	kill "-$signal" "${CLIENTS[@]}" 2>/dev/null
	for call in "${CALLS[@]}"; do
		pid=$(pid_of_call "$call")
		wait_until gone "$pid" || fail "SIG$signal does not end $call (master $why)"
	done
	clock
	note "SIG$signal, master $why: all of ${#CALLS[@]} calls ended within $((NOW - began)) ms"
	CLIENTS=()
	# With the session everything ends, which is no merit of the signal.
	lapsed=$(grep -c 'the lease ran out' "$T/log/patient")
	master_again "$why"
	[ "$lapsed" = 0 ] || fail "some calls ended with the lease only"
	locks_are_free "$why"
}

# What was killed has left no lock, and no name that would be in somebody's way.
locks_are_free() {
	local call
	for call in "${CALLS[@]}"; do
		flock -n "$T/b/$call/file" true || fail "$call has left a lock behind ($1)"
		[ ! -e "$T/b/$call/made" ] && [ ! -e "$T/b/$call/newdir" ] &&
			[ ! -e "$T/b/$call/link" ] && [ ! -L "$T/b/$call/symlink" ] ||
			fail "$call has left a name behind ($1): $(ls "$T/b/$call")"
	done
	rm -r "$T/b/"*
}

case_a_call_cannot_be_interrupted_while_the_master_is_dead() {
	interrupt_all INT killed
}

case_a_call_cannot_be_interrupted_while_the_master_is_stopped() {
	interrupt_all KILL stopped
}

case_a_call_cannot_be_interrupted_while_the_master_is_out_of_reach() {
	interrupt_all INT unreachable
}

errno_of() {
	case $1 in
	flock | flock-n | setlk | setlkw | setlk-unlock | getlk) echo ENOLCK ;;
	close) echo ok ;; # and soon: it cannot be interrupted
	*) echo EIO ;;
	esac
}

give_up() {
	local call answer
	callers hasty
	no_master "$1"
	all_call
	for call in "${CALLS[@]}"; do
		answer=$(errno_of "$call")
		! is_optional "$call" || [ "$("$BELIEVER" token "$T/hasty/$call/file")" = EIO ] ||
			answer=EOPNOTSUPP
		said "$call" "$answer"
		case $answer in ok | EOPNOTSUPP) continue ;; esac
		[ "$MS" -ge 900 ] || fail "$call gave up after $MS ms"
	done
	master_again "$1"
	locks_are_free "$1"
}

case_a_call_says_something_else_than_that_the_master_is_dead() {
	give_up killed
}

case_a_call_says_something_else_than_that_the_master_is_stopped() {
	give_up stopped
}

case_a_call_says_something_else_than_that_the_master_is_out_of_reach() {
	give_up unreachable
}

# A wait has no timeo: it is queued, and outlives any outage that the lease does.
case_waiters_are_told_that_there_is_no_master() {
	local i why node nodes=(hasty b patient b hasty)
	client p
	want ok p open 0 bc "$T/b/queue"
	want ok p flock 0 ex
	for i in "${!nodes[@]}"; do
		node=${nodes[i]}
		client "w$i"
		want ok "w$i" open 0 b "$T/$node/queue"
		send "w$i" flock 0 ex
		waits "w$i" "$node"
	done
	for why in killed stopped unreachable; do
		no_master $why
		want EIO p read 0 # which has taken longer than timeo
		for i in "${!nodes[@]}"; do
			silent "w$i" || fail "waiter $i does not wait on (master $why)"
		done
		master_again $why
	done
	want ok p flock 0 un
	served_in_order ${#nodes[@]}
}

# waits_until_interrupted CLIENT CALL...
waits_until_interrupted() {
	local pid
	pid=$(pid_of_client "$1")
	send "$@"
	wait_until in_mount "$pid" || fail "$1 does not wait: $(cat "/proc/$pid/stack")"
	signal INT "$1"
	wait_until gone "$pid" || fail "$1 cannot be interrupted"
}

# There is no session left to ask in: what only looks waits for the next one, interruptibly too.
case_a_lapsed_node_answers_wrongly_or_cannot_be_interrupted() {
	LEASE=1
	master_restart
	node_start late timeo=600
	client p && client q && client r
	want ok p open 0 bc "$T/late/old"
	want ok p flock 0 ex
	no_master killed
	wait_until grep -q 'the lease ran out' "$T/log/late" || fail "it does not lapse"
	want EIO p flock 0 ex
	want EIO p posix 0 w 0 1
	want EIO p pwrite 0 0 text
	want ok p fstat 0
	# One after the other: the kernel lets one call at a time change a directory.
	waits_until_interrupted q open 0 bc "$T/late/new"
	waits_until_interrupted r unlink "$T/late/old"
	master_start
	wait_until stat -f "$T/b" >/dev/null 2>&1 || fail "the master does not serve again"
	want ok p open 1 bc "$T/late/old"
	want ok p flock 1 ex nb
	want EIO p read 0
	quit p
	node_stop late
}

run_cases
