#!/bin/bash
# SPDX-License-Identifier: MIT
# user.dlock.*: who holds a file, with which token, and for how long, told alike on every node; and
# the life that setfattr gives to one file (contract 5.7, 4.4). The lease is longer than the test,
# so that what ends, ends by its own time.
. "$(dirname "$0")/lib.sh"

LEASE=120
# A short life.
TTL=4
setup
command -v getfattr >/dev/null && command -v setfattr >/dev/null || skip "the package attr is needed"
master_start
node_start a idle=600
node_start b idle=600

# get NODE FILE ATTRIBUTE: its value, in V; status 1 with what getfattr said in V
get() {
	V=$(cd "$T/$1" && getfattr --only-values -n "user.dlock.$3" "./$2" 2>&1)
}

# is VALUE FILE ATTRIBUTE: on both nodes
is() {
	local node
	for node in a b; do
		get $node "$2" "$3" || fail "$3 of $2 on $node: $V"
		[ "$V" = "$1" ] || fail "$3 of $2 on $node: $V, not $1"
	done
}

# matches PATTERN FILE ATTRIBUTE: a regular expression, on both nodes
matches() {
	local node
	for node in a b; do
		get $node "$2" "$3" || fail "$3 of $2 on $node: $V"
		[[ $V =~ ^$1$ ]] || fail "$3 of $2 on $node: $V, not $1"
	done
}

# none FILE ATTRIBUTE...: ENODATA on both nodes
none() {
	local node name
	for name in "${@:2}"; do
		for node in a b; do
			! get $node "$1" "$name" || fail "$name of $1 on $node: $V"
			[[ $V = *"No such attribute" ]] || fail "$name of $1 on $node: $V"
		done
	done
}

# refused WHY COMMAND...: the command fails and says so
refused() {
	local why=$1 said
	shift
	! said=$("$@" 2>&1) || fail "$*: succeeds, says $said"
	[[ $said = *"$why" ]] || fail "$*: $said, not $why"
}

# listed FILE NAME...: exactly these
listed() {
	local names
	names=$(cd "$T/b" && getfattr --absolute-names -m - "./$1" | sed -n 's/^user\.dlock\.//p' |
		sort | tr '\n' ' ')
	[ "$names" = "$(printf '%s\n' "${@:2}" | sort | tr '\n' ' ')" ] || fail "$1 lists $names"
}

# token FILE: in TOKEN
token() {
	matches '[1-9][0-9]*' "$1" token
	TOKEN=$V
}

excl() {
	(set -C && echo "$2" >"$T/$1") || fail "cannot create $1"
}

# lock NAME NODE/FILE sh|ex: a client that has it
lock() {
	client "$1"
	want ok "$1" open 0 bc "$T/$2"
	want ok "$1" flock 0 "$3"
}

# ---- Who holds it ----

case_a_free_file_has_a_holder() {
	: >"$T/a/free"
	none free token holder mode ttl
	is 0 free waiters
	matches '[1-9][0-9]*\.[0-9] idle' free expires
	listed free waiters expires
	refused 'No such attribute' getfattr --absolute-names -n user.dlock.expires "$T/a"
	refused 'No such attribute' getfattr --absolute-names -n user.dlock.token "$T/a"
}

case_a_locked_file_has_none() {
	lock p a/locked ex
	token locked
	is "a $(pid_of_client p) 0 locker" locked holder
	is exclusive locked mode
	is 0 locked waiters
	matches '[1-9][0-9.]* lease' locked expires
	listed locked token holder mode waiters expires
	want ok p flock 0 sh
	is shared locked mode
	want ok p flock 0 un
	none locked token holder mode
	want ok p posix 0 w 10 10
	is exclusive locked mode
	is "a $(pid_of_client p) 0 locker" locked holder
	quit p
	wait_until eval '! get b locked holder' || fail "a dead holder is told of: $V"
}

case_a_held_name_has_none() {
	local kind
	excl a/held text
	(cd "$T/a" && mkdir held-dir && ln held linked && mv linked moved) || fail "cannot make"
	for kind in held held-dir moved; do
		token $kind
		is held $kind mode
		matches '[1-9][0-9.]* lease' $kind expires
		listed $kind token holder mode waiters expires
	done
	# The shell, by the name of its script if that is what was executed.
	matches $'a [1-9][0-9]* 0 mv\na [1-9][0-9]* 0 (bash|mount-attribute)' held holder
	matches 'a [1-9][0-9]* 0 mkdir' held-dir holder
	lock p b/held sh
	is shared held mode
	matches "b $(pid_of_client p) 0 locker"$'\n.*\n.*' held holder
}

case_a_user_or_an_odd_command_is_told_of_wrongly() {
	local odd
	odd=$(printf 'a b\\\n')
	cp "$LOCKER" "$T/$odd" 2>/dev/null || fail "cannot copy"
	mkfifo "$T/odd.in" "$T/odd.out"
	setpriv --reuid=77 --clear-groups "$T/$odd" <"$T/odd.in" >"$T/odd.out" &
	exec {in}>"$T/odd.in" {out}<"$T/odd.out"
	CLIENTS+=($!)
	record $!
	disown $!
	C_odd=$! IN_odd=$in OUT_odd=$out
	want ok odd open 0 bc "$T/a/odd"
	want ok odd flock 0 ex
	is "a $C_odd 77 a\\040b\\134" odd holder
	quit odd
}

case_waiters_are_miscounted() {
	lock p a/queue ex
	client q && client r
	want ok q open 0 bc "$T/b/queue"
	want ok r open 0 bc "$T/a/queue"
	send q flock 0 ex
	waits q b
	is 1 queue waiters
	send r flock 0 ex
	waits r a
	is 2 queue waiters
	is "a $(pid_of_client p) 0 locker" queue holder
	want ok p flock 0 un
	granted q
	is 1 queue waiters
	is "b $(pid_of_client q) 0 locker" queue holder
	quit r
	is 0 queue waiters
}

# ---- Tokens ----

case_a_token_does_not_grow() {
	local last=0 node
	client p && client q
	want ok p open 0 bc "$T/a/token"
	want ok q open 0 bc "$T/b/token"
	for node in p q p p q; do
		want ok $node flock 0 ex
		token token
		[ "$TOKEN" -gt "$last" ] || fail "$TOKEN after $last"
		last=$TOKEN
		want ok $node flock 0 un
	done
	rm "$T/a/token"
	excl b/token again
	token token
	[ "$TOKEN" -gt "$last" ] || fail "the new file's is $TOKEN after $last"
}

case_a_holder_is_told_anothers_token() {
	local first
	lock p a/shared sh
	token shared
	first=$TOKEN
	lock q b/shared sh
	token shared
	[ "$TOKEN" -gt "$first" ] || fail "$TOKEN after $first"
	want ok p getx 0 user.dlock.token
	[ "${V#* }" = "$first" ] || fail "p is told ${V#* }, not $first"
	want ok q getx 0 user.dlock.token
	[ "${V#* }" = "$TOKEN" ] || fail "q is told ${V#* }, not $TOKEN"
	is "b $(pid_of_client q) 0 locker"$'\n'"a $(pid_of_client p) 0 locker" shared holder
}

case_a_restart_of_the_master_mixes_up_tokens_or_holders() {
	local before held
	excl a/kept text
	setfattr -n user.dlock.ttl -v 1000 "$T/b/kept" || fail "cannot set"
	lock p a/restart sh
	lock q b/restart sh
	token restart
	before=$TOKEN
	get a kept holder
	held=$V
	master_restart
	is "$before" restart token
	is "b $(pid_of_client q) 0 locker"$'\n'"a $(pid_of_client p) 0 locker" restart holder
	is "$held" kept holder
	is 1000 kept ttl
	want ok q flock 0 un
	want ok p getx 0 user.dlock.token
	[ "${V#* }" -lt "$before" ] || fail "p's own is ${V#* }"
	want ok q flock 0 sh
	token restart
	[ "$TOKEN" -gt "$before" ] || fail "$TOKEN after $before"
	rm "$T/a/kept"
}

case_a_removed_file_forgets_its_lock() {
	local before
	lock p a/removed ex
	want ok p getx 0 user.dlock.token
	before=$V
	rm "$T/b/removed"
	want ok p getx 0 user.dlock.token
	[ "$V" = "$before" ] || fail "$V, not $before"
	want ok p getx 0 user.dlock.mode
	[ "$V" = "9 exclusive" ] || fail "$V"
	want ENODATA p getx 0 user.dlock.expires
	want EPERM p setx 0 user.dlock.ttl 5
	refused 'No such file or directory' getfattr -n user.dlock.token "$T/a/removed"
}

# ---- A life for one file ----

# ends FILE MS: goes on both nodes at the same moment, not before MS milliseconds boot time
ends() {
	wait_until [ ! -e "$T/b/$1" ] || fail "$1 never goes"
	clock
	[ ! -e "$T/a/$1" ] || fail "a still has $1"
	[ "$NOW" -ge "$2" ] || fail "$1 went $(($2 - NOW)) ms too early"
}

# late: the machine has stood still since the last "clock", for longer than TTL: nothing is proved
late() {
	local then=$NOW
	clock
	[ "$NOW" -ge $((then + TTL * 1000)) ]
}

case_a_ttl_ends_nothing_or_too_early() {
	excl a/short text
	setfattr -n user.dlock.ttl -v 60.5 "$T/b/short" || fail "cannot set"
	is 60.5 short ttl
	matches '[1-6]?[0-9]\.[0-9] ttl' short expires
	listed short token holder mode waiters expires ttl
	clock
	setfattr -n user.dlock.ttl -v "$TTL.5" "$T/b/short" || fail "cannot set"
	ends short $((NOW + TTL * 1000 + 500))
}

case_a_touch_or_write_does_not_renew_it() {
	local round
	client p
	excl a/touched text
	want ok p open 0 b "$T/b/touched"
	setfattr -n user.dlock.ttl -v $TTL "$T/a/touched" || fail "cannot set"
	for round in 1 2; do
		sleep $((TTL / 2))
		clock
		case $round in
		1) touch -c "$T/b/touched" ;;
		2) want ok p pwrite 0 0 more ;;
		esac
		[ -e "$T/a/touched" ] || return 0 # the machine stood still
	done
	ends touched $((NOW + TTL * 1000))
}

case_none_does_not_end_it() {
	excl a/none text
	excl a/taken text
	excl a/control text
	clock
	setfattr -n user.dlock.ttl -v $TTL "$T/a/none" "$T/a/taken" || fail "cannot set"
	setfattr -n user.dlock.ttl -v 0 "$T/b/none" || late || fail "cannot set 0"
	setfattr -x user.dlock.ttl "$T/b/taken" || late || fail "cannot remove"
	! late || return 0
	none none ttl
	none taken ttl
	setfattr -n user.dlock.ttl -v $TTL "$T/a/control" || fail "cannot set"
	ends control "$NOW"
	[ -e "$T/a/none" ] && [ -e "$T/a/taken" ] || fail "it has ended"
}

case_a_mounts_ttl_cannot_be_changed() {
	node_start c ttl=1000
	excl c/mounts text
	is 1000 mounts ttl
	setfattr -n user.dlock.ttl -v 500 "$T/a/mounts" || fail "cannot set"
	is 500 mounts ttl
	(cd "$T/c" && mv mounts moved) || fail "cannot move"
	is 500 moved ttl
	clock
	setfattr -n user.dlock.ttl -v $TTL "$T/a/moved" || fail "cannot set"
	ends moved $((NOW + TTL * 1000))
	node_stop c
}

case_a_directory_has_no_ttl() {
	mkdir "$T/a/dir" || fail "mkdir"
	clock
	setfattr -n user.dlock.ttl -v $TTL "$T/b/dir" || fail "cannot set"
	ends dir $((NOW + TTL * 1000))
}

# ---- Errors ----

case_bad_values_and_names_are_taken() {
	local value name
	excl a/bad text
	for value in -1 x 1x 1e3 inf nan 99999999999 0x10 1.2.3 0.0000000000001; do
		refused 'Invalid argument' setfattr -n user.dlock.ttl -v $value "$T/b/bad"
	done
	refused 'Invalid argument' setfattr -n user.dlock.ttl "$T/b/bad"
	for name in token holder mode waiters expires; do
		refused 'Operation not permitted' setfattr -n user.dlock.$name -v 1 "$T/b/bad"
		refused 'Operation not permitted' setfattr -x user.dlock.$name "$T/b/bad"
	done
	for name in user.dlock.other user.dlock. user.other; do
		refused 'Operation not supported' setfattr -n $name -v 1 "$T/b/bad"
		refused 'No such attribute' setfattr -x $name "$T/b/bad"
		refused 'No such attribute' getfattr -n $name "$T/b/bad"
	done
	for name in security.capability trusted.x security.x; do
		refused 'Operation not supported' getfattr -n $name "$T/b/bad"
	done
	refused 'Operation not supported' setfattr -n trusted.x -v 1 "$T/b/bad"
	none bad ttl
	refused 'No such attribute' setfattr -x user.dlock.ttl "$T/b/bad"
	refused 'No such file or directory' getfattr -n user.dlock.token "$T/b/absent"
}

case_create_and_replace_are_mixed_up() {
	lock p a/flags ex
	want ENODATA p setx 0 user.dlock.ttl 500 replace
	want ok p setx 0 user.dlock.ttl 500 create
	want EEXIST p setx 0 user.dlock.ttl 600 create
	want ok p setx 0 user.dlock.ttl 600 replace
	is 600 flags ttl
	want ok p remx 0 user.dlock.ttl
	want ENODATA p remx 0 user.dlock.ttl
}

case_a_small_buffer_is_overrun() {
	lock p a/small ex
	want ok p getx 0 user.dlock.mode 0
	[ "$V" = 9 ] || fail "size 0: $V"
	want ERANGE p getx 0 user.dlock.mode 8
	want ok p getx 0 user.dlock.mode 9
	[ "$V" = "9 exclusive" ] || fail "size 9: $V"
	want ok p listx 0 0
	local len=${V%% *}
	want ERANGE p listx 0 $((len - 1))
	want ok p listx 0 "$len"
	[ "${V#* }" = "user.dlock.token user.dlock.holder user.dlock.mode user.dlock.waiters \
user.dlock.expires" ] || fail "lists $V"
}

case_a_stranger_ends_what_he_may_write() {
	local as="setpriv --reuid=77 --clear-groups"
	excl a/sticky text
	chmod 666 "$T/a/sticky"
	refused 'Operation not permitted' $as setfattr -n user.dlock.ttl -v 0.1 "$T/b/sticky"
	chmod 600 "$T/a/sticky"
	refused 'Permission denied' $as setfattr -n user.dlock.ttl -v 0.1 "$T/b/sticky"
	refused 'Permission denied' $as getfattr -n user.dlock.token "$T/b/sticky"
	chown 77 "$T/a/sticky"
	$as setfattr -n user.dlock.ttl -v 1000 "$T/b/sticky" || fail "not the owner either"
	$as getfattr --absolute-names -n user.dlock.ttl "$T/a/sticky" >/dev/null || fail "cannot read"
}

# Names that nobody has here are asked for at every turn: no master may be needed to say so.
case_other_names_wait_for_the_master() {
	lock p a/alone ex
	crash master
	want EOPNOTSUPP p getx 0 security.capability
	want ok p close 0
	master_start
	is 0 free waiters
}

case_a_question_to_no_master_waits_for_ever_or_lies() {
	node_start d timeo=1
	client p
	want ok p open 0 bc "$T/d/question"
	crash master
	want EIO p getx 0 user.dlock.token
	[ "$MS" -ge 1000 ] || fail "gave up after $MS ms"
	want EIO p setx 0 user.dlock.ttl 5
	master_start
	wait_until eval 'stat -f "$T/d" >/dev/null 2>&1' || fail "d finds no master"
	want ENODATA p getx 0 user.dlock.token
	quit p
	node_stop d
}

run_cases
