#!/bin/bash
# SPDX-License-Identifier: MIT
# With bind=session, of the mount or of a file, a lock file goes when no process of the session that
# made it is left; else not (contract 4.1).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/watch.sh"

# The nodes live: nothing here ends by a lease.
LEASE=60
setup
command -v getfattr >/dev/null && command -v setfattr >/dev/null || skip "the package attr is needed"
master_start
node_start a bind=session,idle=600,timeo=1
node_start b idle=600

# script NAME COMMANDS: in a session of its own, in $T; when they are done it sleeps. Its number in
# PID. It is given the name.
script() {
	rm -f "$T/$1.done"
	launch "script-$1" setsid bash -c 'cd "$1" && eval "$2" && : >"$3.done"; exec sleep 1000' \
		"$1" "$T" "$2" "$1"
	wait_until [ -e "$T/$1.done" ] || fail "script $1 does not get through: $(cat "$T/log/script-$1")"
}

# Nobody waits for it yet: a zombie.
kill_script() {
	kill -KILL "$1"
	wait_until gone "$1" || fail "$1 cannot be killed"
}

gone_on() {
	[ ! -e "$T/$1/$2" ] && [ ! -L "$T/$1/$2" ]
}

goes() { # NAME...: on both nodes
	local name
	for name; do
		wait_until gone_on b "$name" || fail "$name stays"
		gone_on a "$name" || fail "$name stays on a"
	done
}

# What was to go by now has gone. The second is looked at when all that the first was looked at with
# is done.
settled() {
	local i PID
	for i in 1 2; do
		script fence 'mkdir a/fence'
		kill_script "$PID"
		goes fence
	done
}

stays() { # NAME...
	local name
	settled
	for name; do
		[ -e "$T/b/$name" ] || [ -L "$T/b/$name" ] || fail "$name is gone"
	done
}

# bind NODE/FILE: what the attribute says, in V
bind() {
	V=$(getfattr --absolute-names --only-values -n user.dlock.bind "$T/$1" 2>&1)
}

bind_is() { # VALUE NODE/FILE
	bind "$2"
	[ "$V" = "$1" ] || fail "bind of $2: $V, not $1"
}

set_bind() { # VALUE NODE/FILE
	setfattr -n user.dlock.bind -v "$1" "$T/$2"
}

refused() { # WHY COMMAND...
	local why=$1 said
	shift
	! said=$("$@" 2>&1) || fail "$*: succeeds, says $said"
	[[ $said = *"$why" ]] || fail "$*: $said, not $why"
}

# ---- Who goes, who stays ----

case_a_killed_script_leaves_a_stale_lock() {
	script idioms 'mkdir a/dir && (set -C && : >a/excl) && : >a/plain && ln a/plain a/link &&
		ln -s target a/symlink && : >a/moved.tmp && mv a/moved.tmp a/moved'
	stays dir excl link symlink moved plain
	bind_is session a/dir
	bind_is session a/link
	kill_script "$PID"
	goes dir excl link symlink moved
	stays plain
	[ "$(stat -c %h "$T/b/plain")" = 1 ] || fail "the plain file has a wrong nlink"
}

case_a_lock_file_goes_by_default() {
	script default 'mkdir b/default'
	bind_is node b/default
	kill_script "$PID"
	stays default
	rmdir "$T/b/default"
}

case_a_background_child_loses_the_scripts_lock() {
	script parent 'mkdir a/child.d; sleep 1000 & echo $! >child'
	local child
	child=$(cat "$T/child")
	record "$child"
	kill_script "$PID"
	stays child.d
	kill_script "$child"
	goes child.d
}

case_a_child_with_a_session_of_its_own_keeps_the_lock() {
	script detaches 'mkdir a/detached; setsid sleep 1000 & echo $! >detached'
	local child
	child=$(cat "$T/detached")
	record "$child"
	kill_script "$PID"
	goes detached
	alive "$child" || fail "the child has ended"
	kill_script "$child"
}

case_a_script_that_ends_by_itself_leaves_its_lock() {
	setsid -w bash -c "mkdir $T/a/by-itself" || fail mkdir
	goes by-itself
}

case_who_waits_is_not_told() {
	script told 'mkdir a/told'
	stat "$T/a/told" "$T/b/told" >/dev/null || fail stat
	watch on_a "$T/a"
	watch on_b "$T/b"
	kill_script "$PID"
	told on_a "DELETE $T/a/told/"
	told on_b "DELETE $T/b/told/"
	quit_watchers
}

# ---- The name is another by now ----

case_the_name_that_another_node_made_goes() {
	script before 'mkdir a/taken; (set -C; : >a/file)'
	rmdir "$T/b/taken" && mkdir "$T/b/taken" || fail "b cannot take it"
	rm "$T/b/file" && (set -C && : >"$T/b/file") || fail "b cannot take it"
	kill_script "$PID"
	stays taken file
	rmdir "$T/b/taken"
	rm "$T/b/file"
}

case_the_name_that_another_script_made_goes() {
	local first
	script first 'mkdir a/next'
	first=$PID
	rmdir "$T/b/next"
	script second 'mkdir a/next'
	kill_script "$first"
	stays next
	kill_script "$PID"
	goes next
}

case_what_ran_out_of_time_goes_with_its_maker() {
	node_start t bind=session,ttl=1
	script late 'mkdir t/late'
	wait_until gone_on b late || fail "its time does not run out"
	mkdir "$T/b/late"
	kill_script "$PID"
	stays late
	rmdir "$T/b/late"
	node_stop t
}

# Who moves it is its maker from then on.
case_a_moved_name_goes_with_its_first_maker() {
	local first
	script first '(set -C; : >a/to-move); (set -C; : >a/stolen)'
	first=$PID
	script mover 'mv a/to-move a/moved-on'
	mv "$T/b/stolen" "$T/b/kept" || fail "b cannot move it"
	refused 'No such attribute' getfattr --absolute-names -n user.dlock.bind "$T/a/kept"
	kill_script "$first"
	stays moved-on kept
	kill_script "$PID"
	goes moved-on
	rm "$T/b/kept"
}

# ---- Directories ----

case_a_full_directory_stays_or_takes_others_along() {
	script holder 'mkdir a/full && mkdir a/full/own && (set -C; : >a/full/held) &&
		: >a/full/pid'
	kill_script "$PID"
	goes full/own full/held
	stays full full/pid
	rm "$T/b/full/pid" || fail rm
	goes full
}

case_many_names_at_once_are_too_many() {
	script many 'mkdir a/many && cd a/many && mkdir {1..700} && cd ../..'
	[ "$(find "$T/b/many" -mindepth 1 | wc -l)" = 700 ] || fail "they are not there"
	kill_script "$PID"
	goes many
}

case_many_sessions_at_once_are_too_many() {
	local pids=() i pid
	for i in {1..200}; do
		launch sessions setsid bash -c 'mkdir "$1" && exec sleep 1000' x "$T/a/session-$i"
		pids+=("$PID")
	done
	for i in {1..200}; do
		wait_until [ -e "$T/b/session-$i" ] || fail "session $i makes nothing"
	done
	settled
	kill -KILL "${pids[@]}"
	for i in {1..200}; do
		wait_until gone_on b "session-$i" || fail "session $i leaves its lock"
	done
}

descriptors() {
	find "/proc/$(pid_of a)/fd" -mindepth 1 | wc -l
}

few_descriptors() {
	[ "$(descriptors)" -le "$1" ]
}

case_a_script_that_cleaned_up_is_watched_for_ever() {
	local before i
	settled
	before=$(descriptors)
	for i in {1..20}; do
		setsid -w bash -c "for i in {1..5}; do mkdir $T/a/clean && rmdir $T/a/clean || exit; done" ||
			fail "it cannot lock"
	done
	wait_until few_descriptors $((before + 1)) || fail "$(descriptors) descriptors, not $before"
}

# ---- The attribute ----

case_the_attribute_is_not_heeded() {
	script attribute 'mkdir b/attribute && setfattr -n user.dlock.bind -v session b/attribute'
	bind_is session b/attribute
	kill_script "$PID"
	goes attribute
}

case_the_options_word_outweighs_the_attribute() {
	script outweighs '(set -C; : >a/outweighs); setfattr -n user.dlock.bind -v node a/outweighs;
		ln a/outweighs a/further; mv a/outweighs a/elsewhere'
	bind_is node a/elsewhere
	kill_script "$PID"
	stays elsewhere further
	# Back to what the option says: by now its session has ended.
	setfattr -x user.dlock.bind "$T/a/elsewhere" || fail "it cannot be taken away"
	goes elsewhere further
}

# The session is the maker's, and not that of who says so.
case_it_is_bound_to_who_sets_it() {
	script maker 'mkdir b/maker'
	setsid -w setfattr -n user.dlock.bind -v session "$T/b/maker" || fail setfattr
	stays maker
	kill_script "$PID"
	goes maker
	script gone 'mkdir b/gone'
	kill_script "$PID"
	stays gone
	set_bind session b/gone || fail setfattr
	goes gone
}

case_a_wrong_word_or_place_is_taken() {
	script place 'mkdir a/place; umask 0; (set -C; : >a/writable); : >a/used'
	refused 'Invalid argument' set_bind sessions a/place
	refused 'Invalid argument' set_bind '' a/place
	refused 'Object is remote' set_bind session b/place
	refused 'Object is remote' setfattr -x user.dlock.bind "$T/b/place"
	refused 'Invalid argument' set_bind session a/used
	refused 'Invalid argument' set_bind session a
	refused 'No such attribute' getfattr --absolute-names -n user.dlock.bind "$T/b/place"
	refused 'No such attribute' getfattr --absolute-names -n user.dlock.bind "$T/a/used"
	refused 'Operation not permitted' setpriv --reuid 1 --regid 1 --clear-groups \
		setfattr -n user.dlock.bind -v node "$T/a/writable"
	bind_is session a/writable
	getfattr --absolute-names -d "$T/a/place" | grep -qx 'user.dlock.bind="session"' ||
		fail "it is not listed"
	! getfattr --absolute-names -d "$T/b/place" | grep -q user.dlock.bind || fail "it is listed on b"
	kill_script "$PID"
	goes place writable
	rm "$T/a/used"
}

case_a_wrong_word_passes_for_none() {
	mkdir -p "$T/wrong"
	"$DLOCKFS" "$URL" "$T/wrong" -o node=wrong,bind=process >"$T/said" 2>&1
	[ $? = 64 ] || fail "not refused: $(cat "$T/said")"
	[ "$(wc -l <"$T/said")" = 1 ] || fail "$(cat "$T/said")"
	grep -q 'bind=process: neither node nor session' "$T/said" || fail "$(cat "$T/said")"
}

# The numbers of processes in /proc are not those that the daemon is told. Nor can the search for
# leaks find its own threads there, or stop those of a first process.
case_a_strange_proc_passes_for_ours() {
	local -x ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0
	mkdir -p "$T/strange"
	unshare --pid --fork true || fail "no PID namespace can be made here"
	unshare --pid --fork "$DLOCKFS" "$URL" "$T/strange" -o node=strange,bind=session \
		>"$T/said" 2>&1
	[ $? = 1 ] || fail "it mounts: $(cat "$T/said")"
	grep -q 'bind=session needs /proc, of the PID namespace' "$T/said" || fail "$(cat "$T/said")"
	BELOW['strange']='unshare --pid --fork --kill-child'
	node_start strange
	mkdir "$T/strange/strange" || fail mkdir
	bind_is node strange/strange
	refused 'Operation not supported' set_bind session strange/strange
	rmdir "$T/strange/strange"
	node_stop strange
}

# ---- Other sessions: those with the master ----

# The first try is over (timeo=1) before the master goes on.
case_without_a_master_it_is_forgotten() {
	script silent 'mkdir a/silent'
	kill -STOP "$(pid_of master)"
	kill_script "$PID"
	# A call that comes later is answered later.
	refused 'Input/output error' stat "$T/a/silent"
	refused 'Input/output error' stat "$T/a/silent"
	kill -CONT "$(pid_of master)"
	goes silent
}

case_a_restart_of_the_master_brings_it_back() {
	script restart 'mkdir a/restart a/left && : >a/left/plain'
	crash master
	kill_script "$PID"
	refused 'Input/output error' stat "$T/a/restart"
	master_start
	goes restart
	stays left
	master_restart
	stays left
	rm "$T/b/left/plain"
	goes left
}

lapsed() {
	grep -q 'the lease ran out' "$T/log/short"
}

case_after_a_lapse_nobody_is_watched() {
	launch master2 "$DLOCK_MASTER" --store "sqlite:$T/m2.db" --listen "ipc://$T/m2.sock" --lease 2
	local master=$PID
	(URL=ipc://$T/m2.sock node_start short bind=session) || exit 1
	script lost 'mkdir short/lost'
	kill -STOP "$master"
	wait_until lapsed || fail "the lease does not run out"
	kill_script "$PID"
	kill -CONT "$master"
	wait_until gone_on short lost || fail "it stays"
	script found 'mkdir short/found'
	[ -e "$T/short/found" ] || fail "it is gone"
	kill_script "$PID"
	wait_until gone_on short found || fail "it stays after a lapse"
	node_stop short
	kill "$master"
}

run_cases
