#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The fear: the rooms grow together. Dependencies run one way, lockcore <- transport <- fs, master,
# and each library is known in one place.
# usage: test_includes.sh SOURCE-ROOT
set -u
export LC_ALL=C

cd "$1" || exit 1
failed=0

fail() {
	echo "FAIL: $*"
	failed=1
}

# Every include as FILE "NAME" or FILE <NAME>, tests included, build folders not.
includes=$(find cli fs lockcore master tests transport -name '*.[ch]' 2>/dev/null | sort |
	xargs -r grep -HE '^[[:space:]]*#[[:space:]]*include' |
	sed -E 's/^([^:]*):[^<"]*([<"][^>"]*[>"]).*/\1 \2/')

# only ROOM PATTERN WHY: every include of the room matches the pattern.
only() {
	local room=$1 pattern=$2 why=$3 line found

	found=$(grep "^$room/" <<<"$includes")
	if [ -z "$found" ]; then
		fail "found no include in $room/, which cannot be"
		return
	fi
	while read -r line; do
		fail "$line: $why"
	done < <(grep -vE " ($pattern)\$" <<<"$found")
}

# nowhere_but PATTERN FILES WHY: only those files include what matches the pattern.
nowhere_but() {
	local pattern=$1 files=$2 why=$3 line found

	found=$(grep -E " $pattern" <<<"$includes")
	if [ -z "$found" ]; then
		fail "nobody includes $pattern, which cannot be"
		return
	fi
	while read -r line; do
		fail "$line: $why"
	done < <(grep -vE "^($files) " <<<"$found")
}

own() {
	echo "\"($1)/[a-z0-9_]+\\.h\""
}

# sys/stat.h is there for the bits of a mode, uthash and utlist are macros.
libc='<(assert|errno|inttypes|limits|stdbool|stddef|stdint|stdlib|string|sys/stat)\.h>'
only lockcore "$(own lockcore)|$libc|<(uthash|utlist)\.h>" \
	"the core knows only itself and libc's memory and strings"
only transport "$(own 'lockcore|transport')|\"wire\.pb\.h\"|<.*>" \
	"the transport knows only the core"
only fs "$(own 'lockcore|transport|fs')|<.*>" "fs knows only the core and the transport"
only master "$(own 'lockcore|transport|master')|<.*>" \
	"the master knows only the core and the transport"
only cli "$(own cli)|<.*>" "the command knows only the mount"

rooms='cli|fs|lockcore|master|transport|tests|tests/(fuzz|mount/history|sim)'
nowhere_but '"[a-z]+/' "($rooms)/[a-z0-9_]+\\.[ch]|tests/bench/sessions\\.c" \
	"the bench measures mounts and knows nothing of ours, but for the sessions without a mount"

nowhere_but '<fuse' 'fs/.*|tests/bench/nullfs\.c' "libfuse is known in fs/ alone"
nowhere_but '<nng/' 'transport/.*|tests/bench/echo\.c|tests/[a-z_/]*(endpoint|stranger)[a-z_]*\.[ch]' \
	"nng is known in transport/ alone"
nowhere_but '<pb' 'transport/.*' "nanopb is known in transport/ alone"
nowhere_but '"wire\.pb\.h"' 'transport/.*' "the messages as sent are known in transport/ alone"
nowhere_but '<sqlite3\.h>' 'master/store_sqlite.*|tests/(test_store[a-z_]*|store_place)\.[ch]' \
	"SQLite is known to its store alone"
nowhere_but '<systemd/' 'master/service\.c' "systemd is known in one place"
nowhere_but '<curl/curl\.h>' 'master/(store_)?etcd.*|tests/[a-z_/]*etcd[a-z_]*\.[ch]' \
	"etcd's HTTP is known to its store alone"
nowhere_but '<jansson\.h>' \
	'cli/.*|fs/(control_lease|control_status|survey_json|json_text)\.[ch]|master/(store_)?etcd.*|tests/[a-z_/]*(etcd|survey|json|cli)[a-z_]*\.[ch]' \
	"JSON is known to etcd's store, the control files and their readers alone"
exit $failed
