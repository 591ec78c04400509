# shellcheck shell=bash disable=SC2154 # one script, in several files
# SPDX-License-Identifier: MIT
#
# Other cluster file systems with locks that Debian packages, as targets of scripts/bench.
#
# Nothing is installed: the packages are fetched by apt-get and unpacked into a folder of the bench.
# The peer's programs see that folder's usr laid over the machine's own, in a mount namespace, and a
# network of their own, with the ports that they have by default, where only they are. Of the mount
# namespace the folder $tmp/peer is shared with the bench, so that what is mounted there is seen.
#
# To be sourced after lib.sh.

# Not 127.0.0.1: MooseFS's chunk server refuses to use that. It is nobody's (RFC 5737).
PEER_ADDRESS=192.0.2.1
PEERS=(moosefs glusterfs)

peer_ns= # the process that holds the namespaces

# fetch PACKAGE...: with what they depend on and this machine has not, unpacked into $tmp/peer-root
fetch() {
	local missing deb

	missing=$(apt-get install --simulate --no-install-recommends "$@" 2>"$tmp/apt.log" |
		awk '$1 == "Inst" { print $2 }')
	[ -n "$missing" ] || missing=$*
	mkdir "$tmp/debs"
	# shellcheck disable=SC2086 # a list
	(cd "$tmp/debs" && apt-get download $missing) >>"$tmp/apt.log" 2>&1 || {
		sed 's/^/  /' "$tmp/apt.log" >&2
		die "cannot fetch the packages of $* (apt-get update?); apt-get's words are above"
	}
	for deb in "$tmp"/debs/*.deb; do
		dpkg-deb --extract "$deb" "$tmp/peer-root" || die "cannot unpack $deb"
	done
	rm -r "$tmp/debs"
}

# The namespaces; to be called once the packages are there.
make_room() {
	local folder=$tmp/peer

	mkdir "$folder"
	mount --bind "$folder" "$folder" || die "cannot bind $folder"
	late_mounts+=("$folder")
	mount --make-shared "$folder"
	# shellcheck disable=SC2016 # for the inner shell
	start peer-room unshare --net --mount --propagation unchanged bash -c '
		mount --make-private / &&
		mount -t overlay -o "ro,lowerdir=$1/usr:/usr" dlock-bench /usr &&
		ip link set lo up && ip address add "$2/32" dev lo && echo ready &&
		exec sleep infinity' room "$tmp/peer-root" "$PEER_ADDRESS"
	peer_ns=${pids[-1]}
	await peer-room grep -qs '^ready' "$tmp/peer-room.log"
}

# start_peer NAME COMMAND...: as start, in the peers' room
start_peer() {
	local name=$1

	shift
	start "$name" nsenter --target "$peer_ns" --net --mount "$@"
}

in_room() {
	nsenter --target "$peer_ns" --net --mount "$@"
}

peer_port_open() {
	in_room bash -c "exec 3<>/dev/tcp/$PEER_ADDRESS/$1" 2>/dev/null
}

peer_mount() {
	mkdir "$tmp/peer/$1"
	mounts+=("$tmp/peer/$1")
}

# MooseFS: a master, a chunk server (which no row uses) and two mounts, as their manuals have them,
# but with the bench's niceness in place of -19.
moosefs_packages=(moosefs-master moosefs-chunkserver moosefs-client)

moosefs_config() {
	local at=$tmp/moosefs

	mkdir "$at" "$at/master" "$at/chunks" "$at/disk"
	cp "$tmp/peer-root/var/lib/mfs/metadata.mfs.empty" "$at/master/metadata.mfs" ||
		die "the package moosefs-master has no empty metadata"
	echo "$PEER_ADDRESS / rw,alldirs,maproot=0:0" >"$at/exports.cfg"
	echo "$at/disk" >"$at/disks.cfg"
	cat >"$at/master.cfg" <<END
WORKING_USER = root
WORKING_GROUP = root
NICE_LEVEL = 0
DISABLE_OOM_KILLER = 0
DATA_PATH = $at/master
EXPORTS_FILENAME = $at/exports.cfg
END
	cat >"$at/chunks.cfg" <<END
WORKING_USER = root
WORKING_GROUP = root
NICE_LEVEL = 0
DISABLE_OOM_KILLER = 0
DATA_PATH = $at/chunks
HDD_CONF_FILENAME = $at/disks.cfg
HDD_LEAVE_SPACE_DEFAULT = 64MiB
MASTER_HOST = $PEER_ADDRESS
END
}

# It counts only chunk servers that it knows.
moosefs_has_room() {
	[ "$(stat -f -c %b "$tmp/peer/moosefs-a" 2>/dev/null)" -gt 0 ]
}

start_moosefs() {
	local m

	moosefs_config
	start_peer moosefs-master mfsmaster -f -n -c "$tmp/moosefs/master.cfg" start
	await moosefs-master peer_port_open 9421
	for m in moosefs-a moosefs-b; do
		peer_mount "$m"
		start_peer "$m" mfsmount "$tmp/peer/$m" -f \
			-o "mfsmaster=$PEER_ADDRESS,mfsnice=0,mfsallowoomkiller"
		await "$m" serves "$tmp/peer/$m"
	done
	start_peer moosefs-chunks mfschunkserver -f -n -c "$tmp/moosefs/chunks.cfg" start
	await moosefs-chunks moosefs_has_room
}

# GlusterFS: a brick on an ext4 of its own (a tmpfs has no attributes of users) with the translators
# that locks need and no cache, and two mounts without one: cached, two mounts differ. The volume's
# files are written here, so that no glusterd has to be asked for them.
glusterfs_packages=(glusterfs-server glusterfs-client)

glusterfs_config() {
	cat >"$tmp/glusterfs/brick.vol" <<END
volume posix
  type storage/posix
  option directory $tmp/peer/brick
end-volume
volume locks
  type features/locks
  subvolumes posix
end-volume
volume threads
  type performance/io-threads
  subvolumes locks
end-volume
volume server
  type protocol/server
  option transport-type tcp
  option transport.socket.bind-address $PEER_ADDRESS
  option transport.socket.listen-port 24007
  option auth.addr.threads.allow *
  subvolumes threads
end-volume
END
	cat >"$tmp/glusterfs/client.vol" <<END
volume client
  type protocol/client
  option transport-type tcp
  option remote-host $PEER_ADDRESS
  option remote-port 24007
  option remote-subvolume threads
end-volume
END
}

glusterfs_brick() {
	mkdir "$tmp/glusterfs" "$tmp/peer/brick"
	truncate -s 64M "$tmp/glusterfs/disk"
	mke2fs -q -t ext4 "$tmp/glusterfs/disk" || die "cannot make an ext4 for the brick"
	mount -o loop "$tmp/glusterfs/disk" "$tmp/peer/brick" || die "cannot mount the brick"
	late_mounts+=("$tmp/peer/brick")
}

start_glusterfs() {
	local m

	glusterfs_brick
	glusterfs_config
	start_peer glusterfs-brick glusterfsd --no-daemon --log-file "$tmp/glusterfs-brick.log" \
		--volfile "$tmp/glusterfs/brick.vol"
	await glusterfs-brick peer_port_open 24007
	for m in glusterfs-a glusterfs-b; do
		peer_mount "$m"
		start_peer "$m" glusterfs --no-daemon --log-file "$tmp/$m.log" \
			--volfile "$tmp/glusterfs/client.vol" --entry-timeout=0 \
			--attribute-timeout=0 --negative-timeout=0 \
			--direct-io-mode=enable "$tmp/peer/$m"
		await "$m" serves "$tmp/peer/$m"
	done
}

# start_peers NAME...
start_peers() {
	local peer packages=()

	for peer; do
		declare -n of=${peer}_packages
		packages+=("${of[@]}")
	done
	fetch "${packages[@]}"
	make_room
	for peer; do
		"start_$peer"
		targets+=(--dir "$peer=$tmp/peer/$peer-a,$tmp/peer/$peer-b")
	done
	for peer; do
		targets+=(--base "$peer")
	done
}
