# SPDX-License-Identifier: MIT
# A network for the tests of real mounts, to be cut: each daemon in a network namespace of its own,
# and the test in a router between them, which has one link for each and drops what it is told.
#
#	. "$(dirname "$0")/lib.sh"
#	. "$(dirname "$0")/net.sh"
#	setup_network             in place of setup
#	place master && place a && place b
#	master_start
#	node_start a
#	cut from a && ... && heal
#
# The router is a namespace of the test's own too, and no namespace has a name: so nothing of it is
# ever seen on the machine, and all is gone with the last process, however the test ends.
# shellcheck shell=bash

MASTER_PORT=4477
declare -A ADDRESS=() KEEPER=()

setup_network() {
	local tool
	[ "$(id -u)" = 0 ] || skip "network namespaces need root"
	for tool in ip nft nsenter unshare; do
		command -v $tool >/dev/null || skip "no $tool to make a network with"
	done
	if [ -z "${MOUNT_TEST_NETWORK:-}" ]; then
		unshare --net true 2>/dev/null || skip "no network namespace can be made here"
		MOUNT_TEST_NETWORK=1 exec unshare --net bash "$0"
	fi
	setup
	ip link set lo up && echo 1 >/proc/sys/net/ipv4/ip_forward || skip "this is no router"
	nft -f - 2>"$T/said" <<-'END' || skip "nft does not work here: $(head -1 "$T/said")"
		table ip fault {
			chain forward { type filter hook forward priority 0; }
		}
	END
}

elsewhere() {
	[ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

# in_place PID COMMAND...: in that process's network
in_place() {
	local pid=$1
	shift
	nsenter --net="/proc/$pid/ns/net" "$@"
}

# place NAME: a namespace for the daemon NAME, at the far end of the router's link v-NAME
place() {
	local net=10.77.$((${#ADDRESS[@]} + 1)) keeper
	launch "$1-place" unshare --net sleep infinity
	keeper=$PID
	wait_until elsewhere "$keeper" || fail "no network namespace for $1"
	ip link add "v-$1" type veth peer name eth0 netns "$keeper" 2>"$T/said" ||
		skip "no veth can be made here: $(cat "$T/said")"
	ip address add "$net.1/24" dev "v-$1"
	ip link set "v-$1" up
	in_place "$keeper" ip link set lo up
	in_place "$keeper" ip address add "$net.2/24" dev eth0
	in_place "$keeper" ip link set eth0 up
	in_place "$keeper" ip route add default via "$net.1"
	ADDRESS[$1]=$net.2 KEEPER[$1]=$keeper
	BELOW[$1]="nsenter --net=/proc/$keeper/ns/net"
	[ "$1" != master ] || URL=tcp://$net.2:$MASTER_PORT
}

rule() {
	nft add rule ip fault forward "$@" drop || fail "nft $*"
}

# cut from|to|both|link NAME: of one of the daemons; the packets that it sends, or those for it, or
# all, without a word to anybody; or its cable is pulled
cut() {
	case $1 in
	from) rule iifname "v-$2" ;;
	to) rule oifname "v-$2" ;;
	both) rule iifname "v-$2" && rule oifname "v-$2" ;;
	link) ip link set "v-$2" down ;;
	*) fail "cut $1" ;;
	esac
}

heal() {
	local name
	nft flush chain ip fault forward || fail "nft flush"
	for name in "${!ADDRESS[@]}"; do
		ip link set "v-$name" up
	done
}

# Its calls are answered, before anybody's patience ends.
served() {
	timeout -k 5 "$PATIENCE" stat -f "$T/$1" >/dev/null || fail "$1 is out"
}

# The TCP connections of a daemon that are established, as the router would see them: "port" each.
ports_of() {
	# shellcheck disable=SC2086
	${BELOW[$1]} cat /proc/net/tcp |
		awk '$4 == "01" { split($2, at, ":"); print at[2] }' |
		while read -r hex; do echo $((16#$hex)); done
}

# forget_flows NAME: what a firewall does that has lost its memory, or a host that was switched off
# and on behind one: the connections that stand are dead for ever, and nobody is told.
forget_flows() {
	local port ports
	ports=$(ports_of "$1")
	[ -n "$ports" ] || fail "$1 has no connection"
	for port in $ports; do
		rule iifname "v-$1" tcp sport "$port"
		rule oifname "v-$1" tcp dport "$port"
	done
}
