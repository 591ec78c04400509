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
	[ "$(ls -A "$T/a/.dlock" | tr '\n' ' ')" = "status status.json " ] ||
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

run_cases
