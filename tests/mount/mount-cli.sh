#!/bin/bash
# SPDX-License-Identifier: MIT
# What "dlock" tells of the cluster's locks, and how it waits for them and breaks them (contract 7).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/dlock.sh"

setup
master_start
node_start a
node_start b
node_start c
export DLOCK_MOUNT=$T/a

# field LINE-PATTERN N: of "dlock ls" at b
field() {
	on b ls | awk -v p="$1" -v n="$2" '$1 == p { print $n }'
}

case_a_lock_is_not_told_on_another_node() {
	client h && client q && client r
	want ok h open 0 bc "$T/a/job"
	want ok h flock 0 ex
	want ok q open 0 bc "$T/c/job"
	send q flock 0 ex
	waits q c
	want ok r open 0 bc "$T/c/ranges"
	want ok r posix 0 w 10 20
	(set -C && : >"$T/a/held")
	[ "$(field job 2) $(field job 3)" = "flock excl" ] || fail "job: $(on b ls)"
	[ "$(field job 4)" = "a:$(pid_of_client h)" ] || fail "its holder: $(on b ls)"
	[ "$(field job 8)" = "$(getfattr --only-values -n user.dlock.token "$T/b/job")" ] ||
		fail "its token: $(on b ls)"
	[ "$(field job 9)" = 1 ] || fail "its queue: $(on b ls)"
	[ "$(field ranges 2) $(field held 2)" = "fcntl held" ] || fail "kinds: $(on b ls)"
	on b ls -l | grep -q ' 10-29 ' || fail "its range: $(on b ls -l)"
	on b ls --json | python3 -c 'import json, sys
locks = {lock["name"]: lock for lock in json.load(sys.stdin)["locks"]}
assert locks["job"]["waiters"] == 1 and locks["ranges"]["length"] == 20, locks' ||
		fail "its JSON"
	rm "$T/a/held"
}

case_the_queue_is_not_in_order() {
	client h && client w0 && client w1
	want ok h open 0 bc "$T/a/line"
	want ok h flock 0 ex
	local i
	for i in 0 1; do
		want ok "w$i" open 0 bc "$T/b/line"
		send "w$i" flock 0 sh
		waits "w$i" b
	done
	on c who line >"$T/who" || fail "who: $?"
	awk -v h="a:$(pid_of_client h)" -v w0="b:$(pid_of_client w0)" -v w1="b:$(pid_of_client w1)" \
		'NR == 2 && $1 == h { n++ } $1 == 1 && $2 == w0 { n++ } $1 == 2 && $2 == w1 { n++ }
		END { exit n != 3 }' "$T/who" || fail "$(cat "$T/who")"
	on c who line --json | python3 -c 'import json, sys
who = json.load(sys.stdin)
assert [w["place"] for w in who["waiters"]] == [1, 2], who
assert len(who["locks"]) == 1, who' || fail "its JSON"
}

case_a_lock_of_a_removed_file_is_nobodys() {
	client h
	want ok h open 0 bc "$T/a/gone"
	want ok h flock 0 ex
	rm "$T/a/gone"
	on b who gone | grep -q "a:$(pid_of_client h)" || fail "$(on b who gone)"
	quit h
	[ "$(on b who gone)" = "gone: nobody has it" ] || fail "$(on b who gone)"
}

case_a_name_breaks_the_table() {
	local name=$'a b\n\033[31m\\'
	mkdir "$T/a/$name"
	LC_ALL=C.UTF-8 on b ls | grep -qF 'a\040b\012\033[31m\134' || fail "$(on b ls | cat -v)"
	on b who "$name" | grep -q mkdir || fail "$(on b who "$name")"
	rmdir "$T/a/$name"
}

case_a_path_is_another_lock() {
	mkdir "$T/a/dir" && mkdir "$T/a/dir/x"
	"$DLOCK" who "$T/a/dir/x" | grep -q mkdir || fail "an absolute path"
	(cd "$T/a/dir" && "$DLOCK" who ./x) | grep -q mkdir || fail "a path from here"
	"$DLOCK" who dir/x | grep -q mkdir || fail "a path from the mount"
	(cd / && "$DLOCK" who ./x) 2>"$T/err" && fail "a path of elsewhere"
	grep -q "not below the mount" "$T/err" || fail "$(cat "$T/err")"
	rmdir "$T/a/dir/x" "$T/a/dir"
}

case_a_wait_ends_before_it_is_free_or_never() {
	client h
	on b wait nothing || fail "nobody has it: $?"
	want ok h open 0 bc "$T/a/w"
	want ok h flock 0 ex
	on b wait -w 0.3 w
	[ $? = 1 ] || fail "it is not free"
	on b wait -w 0 w
	[ $? = 1 ] || fail "it is not free"
	begin waiter b wait w
	wait_until blocked "$(run_of waiter)" || fail "it does not wait"
	want ok h flock 0 un
	ends waiter 0
	(set -C && : >"$T/a/w.held")
	begin waiter b wait w.held
	wait_until blocked "$(run_of waiter)" || fail "it does not wait"
	rm "$T/a/w.held"
	ends waiter 0
}

# blocked PID: in a read
blocked() {
	local number rest
	read -r number rest <"/proc/$1/syscall" && [ "$number" = 0 ]
}

case_a_change_is_not_seen() {
	begin all c watch
	begin one c watch seen
	begin json c watch --json seen
	for name in all one json; do
		wait_until blocked "$(run_of $name)" || fail "$name does not watch"
	done
	client h
	want ok h open 0 bc "$T/a/seen"
	want ok h flock 0 ex
	want ok h open 1 bc "$T/b/other"
	want ok h flock 1 ex
	want ok h flock 1 un
	want ok h flock 0 un
	wait_until lines "$T/all.out" 4 || fail "$(cat "$T/all.out")"
	wait_until lines "$T/one.out" 2 || fail "$(cat "$T/one.out")"
	wait_until lines "$T/json.out" 2 || fail "$(cat "$T/json.out")"
	[ "$(awk '{ print $2, $3 }' "$T/one.out")" = "granted seen
released seen" ] || fail "$(cat "$T/one.out")"
	! grep -q other "$T/json.out" || fail "$(cat "$T/json.out")"
	python3 -c 'import json, sys
events = [json.loads(line)["event"] for line in open(sys.argv[1])]
assert events == ["granted", "released"], events' "$T/json.out" || fail "$(cat "$T/json.out")"
}

case_a_broken_lock_stays_or_the_next_does_not_get_it() {
	client h && client w
	want ok h open 0 bc "$T/a/b"
	want ok h flock 0 ex
	want ok w open 0 bc "$T/b/b"
	send w flock 0 ex
	waits w b
	on c break b >"$T/out" || fail "break: $?"
	grep -qx "b: exclusive flock of a:$(pid_of_client h) .* is broken" "$T/out" ||
		fail "it says $(cat "$T/out")"
	granted w
	want EIO h write 0 x
	on c break nobodys 2>"$T/err" && fail "nobody has it"
	grep -qx "dlock: nobodys: nobody has it" "$T/err" || fail "$(cat "$T/err")"
}

case_anybody_breaks_a_lock() {
	chmod 755 "$T"
	setpriv --reuid=65534 --clear-groups "$DLOCK" -m "$T/a" break b 2>"$T/err" &&
		fail "nobody may"
	grep -q "only root may" "$T/err" || fail "$(cat "$T/err")"
}

case_without_a_master_status_hangs_or_lists_lie() {
	local told listed
	kill -STOP "$(pid_of master)"
	on a status >"$T/told" 2>"$T/told.err"
	told=$?
	on a ls >"$T/listed" 2>"$T/listed.err"
	listed=$?
	kill -CONT "$(pid_of master)"
	[ $told = 0 ] || fail "status: $told: $(cat "$T/told.err")"
	grep -q "^node     a$" "$T/told" || fail "$(cat "$T/told")"
	[ $listed = 1 ] || fail "a list without a master: $listed"
	grep -q "no master answers" "$T/listed.err" || fail "$(cat "$T/listed.err")"
	[ ! -s "$T/listed" ] || fail "it lists $(cat "$T/listed")"
	wait_until on a ls >/dev/null || fail "the list does not come back"
}

case_a_mount_that_is_none_is_used() {
	mkdir "$T/none"
	on none status 2>"$T/err"
	[ $? = 1 ] || fail "a directory is a mount"
	grep -qx "dlock: $T/none is not a dlock mount (.*)" "$T/err" || fail "$(cat "$T/err")"
	kill -KILL "$(pid_of c)"
	wait_until gone "$(pid_of c)"
	on c ls 2>"$T/err"
	[ $? = 1 ] || fail "a dead mount is a mount"
	grep -q "its dlockfs has ended" "$T/err" || fail "$(cat "$T/err")"
	umount -l "$T/c"
}

run_cases
