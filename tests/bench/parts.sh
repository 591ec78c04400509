# shellcheck shell=bash disable=SC2154 # one script, in several files
# SPDX-License-Identifier: MIT
#
# What scripts/bench measures besides the rows: of dlock alone, each on a master of its own.
#
# To be sourced after lib.sh; $json decides the form.

# Sessions ------------------------------------------------------------------------------------

# measure_sessions COUNT SECONDS: what the renewals of so many mounts cost their master
measure_sessions() {
	start_master sessions-master
	work "$build/tests/bench/sessions" "$master_url" "$1" "$2" "$master_pid" >"$tmp/sessions" ||
		die "the sessions could not be measured"
	stop_master
	awk -v json="$json" '{
		percent = 100 * $8 / $4
		if (json)
			printf "{\"row\":\"sessions\",\"sessions\":%d,\"seconds\":%.1f," \
				"\"renewals_per_s\":%.1f,\"percent_of_core\":%.3f}\n", $2, $4, $6 / $4, percent
		else
			printf "sessions: %d that renew, %.0f renewals/s: the master uses %.2f %% of a core\n",
				$2, $6 / $4, percent
	}' "$tmp/sessions"
}

# Memory --------------------------------------------------------------------------------------

# In bytes.
rss() {
	awk '/^VmRSS/ { print $2 * 1024 }' "/proc/$master_pid/status"
}

# measure_memory COUNT: of a master for each held name, as it is made and as it is reclaimed
measure_memory() {
	local many=$build/tests/mount/many empty before made reclaimed

	start_master memory-master
	empty=$(rss)
	start_node memory
	work "$many" dirs "$tmp/memory" >/dev/null || die "cannot make the folders"
	before=$(rss)
	work "$many" make "$tmp/memory" 0 "$1" >/dev/null || die "cannot make $1 names"
	made=$(($(rss) - before))
	end_process "$master_pid"
	# At the same port, with the same store.
	start_master memory-master
	# Answered once all is reclaimed.
	work "$many" stat "$tmp/memory" 0 1 >/dev/null || die "the names are lost"
	reclaimed=$(($(rss) - empty))
	print_memory "$1" $((made / $1)) $((reclaimed / $1))
	unmount_one "$tmp/memory"
	stop_master
}

print_memory() {
	if [ -n "$json" ]; then
		printf '{"row":"memory","names":%d,"bytes_per_name":%d,"bytes_per_name_reclaimed":%d}\n' \
			"$1" "$2" "$3"
	else
		printf 'memory: %d held names: %d bytes of the master each; %d after its restart\n' \
			"$1" "$2" "$3"
	fi
}

# Requests ------------------------------------------------------------------------------------

# Of each operation so many and then three times so many are done: the difference is theirs alone.
REQUESTS_COUNT=50

# operation NAME COUNT
operation() {
	local i

	case $1 in
	flock_program)
		for ((i = 0; i < $2; i++)); do
			flock "$tmp/requests/file" true || die "flock failed"
		done
		;;
	*)
		work "$build/tests/bench/dlock-bench" --row "$1" --repeat "$2" \
			--dir "dlock=$tmp/requests" || die "$1 failed"
		;;
	esac
}

# What libfuse's log has after its line $1: KIND COUNT, a line each.
fuse_counts() {
	tail -n "+$(($1 + 1))" "$tmp/node-requests.log" |
		sed -n 's/.*opcode: \([A-Z0-9_]*\) .*/\1/p' | sort | uniq -c | awk '{ print $2, $1 }'
}

# Have all files been closed? RELEASE comes later than the close.
all_released() {
	fuse_counts 0 | awk '$1 == "OPEN" || $1 == "CREATE" { n += $2 } $1 == "RELEASE" { n -= $2 }
		END { exit n != 0 }'
}

# Messages from and to the node, of the kernel's count: KIND COUNT. Each is one segment.
message_counts() {
	ss --no-header --tcp --info --numeric state established "dport = :$master_port" | tr ' ' '\n' |
		awk -F: '$1 == "data_segs_out" { out += $2; seen = 1 } $1 == "data_segs_in" { in_ += $2 }
			END { print "to_master", out + 0; print "from_master", in_ + 0; exit !seen }'
}

# tally NAME COUNT FILE: what so many of the operation cost
tally() {
	local lines

	wait_for "the files' close" all_released
	lines=$(wc -l <"$tmp/node-requests.log")
	message_counts >"$tmp/before" || die "ss tells nothing of the connection with the master"
	operation "$1" "$2"
	wait_for "the files' close" all_released
	fuse_counts "$lines" >"$3"
	message_counts | awk 'NR == FNR { was[$1] = $2; next } { print $1, $2 - was[$1] }' \
		"$tmp/before" - >>"$3"
}

# print_tally NAME TITLE: from $tmp/few and $tmp/many; what is not of the operation's own making, as
# a renewal, is less than one in twenty.
print_tally() {
	awk -v json="$json" -v name="$1" -v title="$2" -v times=$((2 * REQUESTS_COUNT)) '
	NR == FNR { few[$1] = $2; next }
	{ each = ($2 - few[$1]) / times }
	$1 ~ /_master$/ { messages[$1] = each; next }
	each >= 0.05 {
		total += each
		list = list (list ? "," : "") "\"" $1 "\":" sprintf("%.2f", each)
		text = text " " $1 (each < 0.95 || each > 1.05 ? sprintf(" x%.2g", each) : "")
	}
	END {
		if (json)
			printf "{\"row\":\"requests\",\"operation\":\"%s\",\"fuse_requests\":%.2f,\"fuse\":{%s}," \
				"\"to_master\":%.2f,\"from_master\":%.2f}\n", name, total, list,
				messages["to_master"], messages["from_master"]
		else
			printf "%-22s %6.2f %6.2f %6.2f %s\n", title, total, messages["to_master"],
				messages["from_master"], text
	}' "$tmp/few" "$tmp/many"
}

# What an operation costs: requests of the kernel, by kind, and messages with the master.
measure_requests() {
	local name title

	[ -n "$(command -v ss)" ] || die "--requests needs ss (Debian: iproute2)"
	# A long lease: renewals are then rare.
	start_master requests-master --lease 60
	start_node requests debug
	touch "$tmp/requests/file"
	[ -n "$json" ] || printf '%-22s %6s %6s %6s %s\n' "operation costs" fuse sent recv \
		" the requests of FUSE"
	while read -r name title; do
		tally "$name" "$REQUESTS_COUNT" "$tmp/few"
		tally "$name" $((3 * REQUESTS_COUNT)) "$tmp/many"
		print_tally "$name" "$title"
	done <<'END'
flock_program flock(1), file exists
flock flock pair, open file
open_flock_close open+flock+close
excl_close_unlink O_EXCL+close+unlink
fcntl fcntl pair, open file
END
	unmount_one "$tmp/requests"
	stop_master
}
