#!/bin/bash
# SPDX-License-Identifier: MIT
# Whether Tab offers what dlock takes: commands, options, names with their odd characters.
# usage: test_completion.sh DLOCK COMPLETION-FILE
set -u
export LC_ALL=C.UTF-8
DLOCK=$(realpath "$1") || exit 1
T=$(mktemp -d "${TMPDIR:-/tmp}/dlock-completion.XXXXXX") || exit 1
trap 'rm -rf "$T"' EXIT
FAILED=0

mkdir -p "$T/.dlock" "$T/dir"
touch "$T/dir/free"
cat >"$T/.dlock/locks" <<'END'
NAME           KIND  MODE      NODE PID UID COMMAND AGE LEFT TOKEN         WAITERS
dir/job        flock exclusive a    71  0   flock   3.2 8.4  1099511627778 2
with\040blank  held  exclusive a    71  0   mkdir   3.2 8.4  1099511627779 0
END
# shellcheck source=/dev/null
. "$2"

# offers WANTED WORDS...: what stands after the words, the last of which is being typed
offers() {
	local wanted=$1 got
	shift
	COMP_WORDS=(dlock "$@") COMP_CWORD=$#
	_dlock 2>/dev/null
	got="${COMPREPLY[*]-}"
	if [ "$got" != "$wanted" ]; then
		echo "FAIL dlock $*: $got, not $wanted"
		FAILED=1
	fi
}

offers "status" st
offers "wait watch" wa
offers "run" -m "$T" ru
offers "dir/job with blank" -m "$T" who ""
offers "with blank" who -m "$T" w
offers "dir/free" -m "$T" break dir/f
DLOCK_MOUNT=$T offers "dir/job" run -s -w 3 d
offers "--json" ls --j
offers "" status ""
offers "" who --per
offers "--period" once --per
offers "" once -p 1d -m "$T/none" x
offers "truncate" run -m "$T" dir/job -- truncat
[ "$(type -t _command_offset)" = function ] || offers "truncate" run -m "$T" dir/job truncat

# Each option that is offered is one.
for command in status ls who wait watch break run elect once; do
	COMP_WORDS=(dlock "$command" -) COMP_CWORD=2
	_dlock 2>/dev/null
	for option in "${COMPREPLY[@]}"; do
		case $option in
		--help | --version) continue ;;
		esac
		"$DLOCK" "$command" "$option" 2>&1 | grep -q "is no option" || continue
		echo "FAIL dlock $command does not know $option"
		FAILED=1
	done
done
exit $FAILED
