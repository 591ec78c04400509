#!/bin/bash
# SPDX-License-Identifier: MIT
# With onloss=kill nobody who may act as a holder outlives the node's belief in its lease, and nobody
# else is ended; with onloss=none nobody is (contract 6.2). The timeline is in lockcore/node.h.
. "$(dirname "$0")/lib.sh"

# Long enough that a slow machine gets its signals out within 15 % of it.
LEASE=6
setup
master_start
launch relay "$RELAY" "$T/relay.sock" "$T/m.sock"
RELAY_PID=$PID
wait_until [ -S "$T/relay.sock" ]

# a and none can be cut off from the master, b not.
(URL=ipc://$T/relay.sock node_start a onloss=kill) || exit 1
(URL=ipc://$T/relay.sock node_start none) || exit 1
node_start b onloss=kill

cut() {
	kill -STOP "$RELAY_PID"
}

heal() {
	kill -CONT "$RELAY_PID"
}

# A client that does not end by SIGTERM.
# shellcheck disable=SC2016
STUBBORN=(bash -c 'trap "" TERM; exec "$1"' stubborn)

log_says() {
	grep -q "$1" "$T/log/a"
}

signalled() { # SIGNAL PID
	log_says "SIG$1 to process $2 "
}

# Runs COMMAND in a process that does nothing afterwards; its number in PID.
# shellcheck disable=SC2016
maker() {
	launch maker bash -c "$1; : >\"\$0.done\"; exec sleep 1000" "$T/maker"
	wait_until [ -e "$T/maker.done" ] || fail "the maker does not get through: $1"
	rm "$T/maker.done"
}

# locked CLIENT NODE FILE [flock|posix]
locked() {
	want ok "$1" open 0 bc "$T/$2/$3"
	if [ "${4:-flock}" = flock ]; then
		want ok "$1" flock 0 ex
	else
		want ok "$1" posix 0 w 0 1
	fi
}

# waiting CLIENT FILE [flock|posix]: on b, for what somebody else has
waiting() {
	want ok "$1" open 0 bc "$T/b/$2"
	if [ "${3:-flock}" = flock ]; then
		send "$1" flock 0 ex
	else
		send "$1" posix 0 w 0 1 wait
	fi
	waits "$1" b
}

watch_ends() {
	"$ENDS" "$@" >"$T/ends" &
	record $!
	wait_until grep -q watching "$T/ends"
}

ended_at() { # PID: in AT
	AT=$(awk -v pid="$1" '$1 == pid { print $2 }' "$T/ends")
	[ -n "$AT" ]
}

# The end of belief shows: a call that was under way gets its error then, and not before.
case_a_holder_acts_past_the_end_of_belief() {
	client parent && client range && client reader && client stubborn "${STUBBORN[@]}"
	client idler "${STUBBORN[@]}" && client safe && client elsewhere && client q && client r && client s
	local child range stubborn reader name removed dir end cut killed granted who i

	locked parent a inherited
	ask parent fork
	child=$V
	record "$child"
	quit parent
	locked range a range posix
	locked stubborn a stubborn
	# At its end it closes them one after the other, and no master answers.
	for i in {1..12}; do
		want ok stubborn open "$i" bc "$T/a/stubborn.$i"
		want ok stubborn posix "$i" w 0 1
	done
	want ok reader open 0 r "$T/a/stubborn"
	want ok idler open 0 bc "$T/a/unlocked"
	want ok idler open 1 bc "$T/a/released"
	want ok idler flock 1 ex
	want ok idler flock 1 un
	locked safe none safe
	locked elsewhere b elsewhere
	maker "set -C; : >$T/a/name"
	name=$PID
	maker "set -C; : >$T/a/removed; rm $T/a/removed"
	removed=$PID
	# Not who runs mkdir(1), but mkdir(1), is the maker.
	maker "mkdir $T/a/dir"
	dir=$PID
	waiting q inherited
	waiting r range posix
	waiting s stubborn
	range=$(pid_of_client range) stubborn=$(pid_of_client stubborn) reader=$(pid_of_client reader)
	watch_ends "$child" "$range" "$stubborn" "$reader" "$name"

	clock
	cut=$NOW
	cut
	send idler read 0
	answer idler || fail "the end of belief does not show"
	[ "$R" = EIO ] || fail "a read under way: $R"
	end=$TO
	for who in q r s; do
		granted "$who"
		[ "$TO" -gt "$end" ] || fail "$who is granted $((end - TO)) ms before belief ends"
		granted=$TO
	done
	note "lease $((LEASE * 1000)) ms; belief ended $((end - cut)) ms after the cut, the last grant came $((granted - end)) ms later"
	for who in child range reader name stubborn; do
		ended_at "${!who}" || fail "the $who lives, and somebody else has the lock"
		note "$who ended $((end - AT)) ms before belief did"
		[ "$AT" -le "$end" ] || fail "the $who ends $((AT - end)) ms after belief"
	done
	signalled TERM "$stubborn" || fail "no SIGTERM to the stubborn one"
	signalled KILL "$stubborn" || fail "no SIGKILL to the stubborn one"
	! signalled KILL "$name" || fail "SIGKILL to who had ended by SIGTERM"
	ended_at "$stubborn"
	killed=$AT
	ended_at "$name"
	# 25 % of the lease lie between the signals; what they take is different for each.
	[ $((killed - AT)) -gt $((LEASE * 150)) ] || fail "SIGKILL follows after $((killed - AT)) ms"
	for who in "$removed" "$dir" "$(pid_of_client safe)" "$(pid_of_client elsewhere)"; do
		alive "$who" || fail "a bystander has ended: $(tr '\0' ' ' <"/proc/$who/cmdline")"
		! signalled TERM "$who" || fail "a bystander was signalled"
	done
	heal
	want EIO idler read 0
	want EIO safe read 0
	want ok elsewhere read 0
	want ok idler close 0
	want ok idler open 0 bc "$T/a/unlocked"
	want ok idler flock 0 ex nb
}

# The master is back after half of the lease at most, however old the last renewal was.
case_a_short_outage_costs_a_holder_his_life() {
	client p && client q
	locked p a short
	maker "set -C; : >$T/a/short.name"
	want ok q open 0 bc "$T/b/short"
	clock
	local cut=$NOW
	cut
	sleep "$(awk "BEGIN { print $LEASE * 0.25 }")"
	heal
	ask p read 0
	clock
	if [ $((NOW - cut)) -lt $((LEASE * 300)) ]; then
		[ "$R" = ok ] || fail "$R after $((NOW - cut)) ms"
		alive "$PID" || fail "the maker has ended"
		! signalled TERM "$(pid_of_client p)" || fail "a signal after $((NOW - cut)) ms"
		want EAGAIN q flock 0 ex nb
	fi
}

case_a_survivor_of_sigterm_is_killed_though_the_master_is_back() {
	client p "${STUBBORN[@]}" && client q
	locked p a survivor
	want ok q open 0 bc "$T/b/survivor"
	cut
	wait_until signalled TERM "$(pid_of_client p)" || fail "no SIGTERM"
	heal
	ask p read 0
	if ! signalled KILL "$(pid_of_client p)"; then
		[ "$R" = ok ] || fail "$R"
		sleep "$LEASE"
		! signalled KILL "$(pid_of_client p)" || fail "SIGKILL"
		want ok p read 0
		want EAGAIN q flock 0 ex nb
	fi
}

# The master is what stops: nobody is granted anything, and the holders are ended all the same.
case_a_silent_master_spares_the_holders() {
	client p && client idler
	locked p a silent
	want ok idler open 0 bc "$T/a/silent.idler"
	watch_ends "$(pid_of_client p)"
	kill -STOP "$(pid_of master)"
	send idler read 0
	answer idler || fail "the end of belief does not show"
	wait_until ended_at "$(pid_of_client p)" || fail "the holder lives"
	[ "$AT" -le "$TO" ] || fail "the holder ends $((AT - TO)) ms after belief"
	kill -CONT "$(pid_of master)"
}

# The daemon could not act in time: what it can do is to end those who go on regardless.
case_holders_go_on_when_the_daemon_was_asleep() {
	client p "${STUBBORN[@]}" && client q
	locked p a asleep
	waiting q asleep
	kill -STOP "$(pid_of a)"
	granted q
	kill -CONT "$(pid_of a)"
	wait_until gone "$(pid_of_client p)" || fail "the holder lives"
	signalled KILL "$(pid_of_client p)" || fail "by what?"
}

# In a mount namespace where the mount is not to be seen any more.
case_a_holder_hides() {
	local apart=(unshare --mount)
	client idler
	# In a chroot the root may be no mount, whose propagation could be changed.
	"${apart[@]}" true 2>/dev/null || apart+=(--propagation unchanged)
	# shellcheck disable=SC2016
	launch hidden "${apart[@]}" bash -c 'exec 9<>"$1"; flock -n 9 || exit 1
		umount -l "$2"; : >"$3"; exec sleep 1000' x "$T/a/hidden" "$T/a" "$T/hidden.ready"
	local hidden=$PID
	wait_until [ -e "$T/hidden.ready" ] || fail "it does not get its lock"
	want ok idler open 0 bc "$T/a/hidden.idler"
	watch_ends "$hidden"
	cut
	send idler read 0
	answer idler || fail "the end of belief does not show"
	heal
	ended_at "$hidden" || fail "the holder lives"
	[ "$AT" -le "$TO" ] || fail "the holder ends $((AT - TO)) ms after belief"
}

case_a_wrong_word_passes_for_none() {
	mkdir -p "$T/wrong"
	"$DLOCKFS" "$URL" "$T/wrong" -o node=wrong,onloss=stop >"$T/said" 2>&1
	[ $? = 64 ] || fail "not refused: $(cat "$T/said")"
	[ "$(wc -l <"$T/said")" = 1 ] || fail "$(cat "$T/said")"
	grep -q 'onloss=stop: neither none nor kill' "$T/said" || fail "$(cat "$T/said")"
}

run_cases
