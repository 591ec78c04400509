#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The fears: a manual page that no reader can show, and one that names other options than its
# program's --help.
# usage: test_man.sh MAN-DIR PROGRAM PAGE [PROGRAM PAGE]...
set -u
export LC_ALL=C

failed=0
man=$1
shift

fail() {
	echo "FAIL: $*"
	failed=1
}

command -v mandoc >/dev/null || {
	echo "SKIP: there is no mandoc"
	exit 77
}
for page in "$man"/*.[1-8]; do
	complaints=$(mandoc -T lint -W warning "$page") || fail "$complaints"
done

# help_of PROGRAM PAGE: by the name that the page is of
help_of() {
	(exec -a "$(basename "$2" ".${2##*.}")" "$1" --help)
}

# options_of_help: one a line, as --name, -x, and name= for those of -o
options_of_help() {
	local help
	help=$(cat)
	{
		grep -oE -- '(^|[^[:alnum:]-])(--[a-z][a-z-]+|-[A-Za-z])([^[:alnum:]_-]|$)' <<<"$help" |
			sed -E 's/^[^-]*(--?[A-Za-z-]+).*/\1/'
		grep -oE -- '-o [a-z]+=' <<<"$help" | sed 's/^-o //'
	} | sort -u
}

# options_of_page PAGE: the same, from the macros: Fl -name, Fl x, Fl xyz, Cm name=
options_of_page() {
	{
		grep -oE '\bFl -[a-z][a-z-]+' "$1" | sed 's/^Fl -/--/'
		grep -oE '\bFl [A-Za-z]+' "$1" | sed 's/^Fl //' | grep -o . | sed 's/^/-/'
		grep -oE '^\.(It|Op) .*\| [A-Za-z]( |$)' "$1" | grep -oE '\| [A-Za-z]( |$)' |
			sed -E 's/^\| ([A-Za-z]).*/-\1/'
		grep -oE '^\.It Fl o Cm [a-z]+=' "$1" | sed 's/.* //'
	} | sort -u
}

while [ $# -gt 0 ]; do
	help=$(help_of "$1" "$2") || fail "$1 --help: status $?"
	[ "$(options_of_help <<<"$help" | wc -l)" -ge 5 ] || fail "$2: no options in --help"
	differ=$(diff <(options_of_help <<<"$help") <(options_of_page "$man/$2")) ||
		fail "$2 (>) is not of --help's options (<):
$differ"
	shift 2
done
exit $failed
