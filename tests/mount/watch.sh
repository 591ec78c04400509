# SPDX-License-Identifier: MIT
# For tests of inotify, after lib.sh: watchers, and what they are told. See watcher.c. There are
# nodes a, b and all; b does things, the others watch.
# shellcheck shell=bash

# watch NAME [-r] PATH...: a watcher whose events stand in $T/NAME.events
watch() {
	local name=$1
	shift
	: >"$T/$name.events"
	"$WATCHER" "$@" >>"$T/$name.events" 2>&1 </dev/null &
	record $!
	disown $!
	CLIENTS+=("$!")
	wait_until grep -qx ready "$T/$name.events" || fail "$name does not watch"
}

# told NAME EVENT...: the event comes
told() {
	local name=$1
	shift
	wait_until grep -qxF "$*" "$T/$name.events" ||
		fail "$name is not told of $*: $(tail -3 "$T/$name.events")"
}

# times NAME EVENT...: how often the event came
times() {
	local name=$1
	shift
	grep -cxF "$*" "$T/$name.events"
}

# once NAME EVENT...: and not twice
once() {
	local name=$1 n
	shift
	n=$(times "$name" "$@")
	[ "$n" = 1 ] || fail "$name is told $n times of $*"
}

# seen FILE...: made on b, looked at on a and on all
seen() {
	local file
	for file; do
		: >"$T/b/$file"
		stat "$T/a/$file" "$T/all/$file" >/dev/null || fail "a or all does not see $file"
	done
}

# fence NAME NODE: what was to come before has come
fence() {
	seen "fence-$1"
	rm "$T/b/fence-$1"
	told "$1" "DELETE $T/$2/fence-$1"
}

# What would keep a mount busy.
quit_watchers() {
	local pid
	for pid in "${CLIENTS[@]}"; do
		kill -KILL "$pid" 2>/dev/null
		wait_until gone "$pid"
	done
	CLIENTS=()
}

# state PID: of its main thread, in STATE
state() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	stat=${stat##*) }
	STATE=${stat%% *}
}

# stop NAME, and wait until it is
stop() {
	kill -STOP "$(pid_of "$1")"
	wait_until eval "state $(pid_of "$1") && [ \$STATE = T ]" || fail "$1 does not stop"
}

many() {
	seq -f "$1/many%g" "$2"
}

seen_on() {
	: >"$T/b/$2"
	[ -e "$T/$1/$2" ] || fail "$1 does not see $2"
}
