#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The fear: the core reads a clock, opens a file or makes a thread, and the simulator, which knows
# nothing of it, no longer tests what runs. The core may call libc's memory and string functions.
# usage: test_symbols.sh liblockcore.a
set -u
export LC_ALL=C

allowed='
	__assert_fail __stack_chk_fail _GLOBAL_OFFSET_TABLE_
	calloc free malloc realloc
	bcmp memchr memcmp memcpy memmove memset
	strchr strcmp strcpy strdup strlen strncmp strncpy strndup strnlen
	__memcpy_chk __memmove_chk __memset_chk __strcpy_chk __strncpy_chk'

undefined=$(nm -u -P "$1" | awk 'NF >= 2 && $2 ~ /^[Uvw]$/ { print $1 }' | sort -u)
defined=$(nm --defined-only -P "$1" | awk 'NF >= 2 && $2 != "U" { print $1 }' | sort -u)

if grep -qE '^__(asan|tsan|ubsan|gcov|sanitizer|llvm_prof)' <<<"$undefined"; then
	echo "SKIP: a sanitizer's own symbols hide what the core calls"
	exit 77
fi
# An archive that cannot be read must not pass as one that calls nothing.
for symbol in table_new master_new node_new; do
	if ! grep -qx "$symbol" <<<"$defined"; then
		echo "FAIL: nm finds no $symbol in $1"
		exit 1
	fi
done

strangers=$(comm -23 <(echo "$undefined") <(
	{
		echo "$defined"
		tr -s '\t ' '\n' <<<"$allowed"
	} | sort -u
))
[ -z "$strangers" ] && exit 0
for symbol in $strangers; do
	echo "FAIL: lockcore calls $symbol, which is neither its own nor memory nor a string:"
	nm -A -u "$1" | grep -w -- "$symbol" | sed 's/^/  /'
done
exit 1
