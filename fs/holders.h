/* SPDX-License-Identifier: MIT */
/*
 * Holders: finds the processes that may act as the holder of something (contract 6.2), in /proc.
 *
 *  - Whoever has a locked file of this mount open, in any of its threads: a lock is inherited with
 *    the descriptor, and /proc does not tell which of a file's descriptions has it. So those who
 *    wait for the lock of such a file, or only read it, count as well.
 *  - Whoever made a held name, if it still runs. The makers are known by number and start.
 *
 * Files are told by inode number and, only where that fits, by device. The first is read from
 * fdinfo, the second from the inode in memory (AT_STATX_DONT_SYNC): neither asks a file system
 * anything, ours or a dead server's, so that nothing here can be made to wait. It also finds what
 * was opened through bind mounts, in other mount namespaces and roots, and before a lazy unmount.
 *
 * Not found are files that are held without a descriptor: mapped privately and closed, on their way
 * through a socket, or registered with io_uring; and processes that this PID namespace does not show.
 */
#ifndef FS_HOLDERS_H
#define FS_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/process.h"

struct maker_of {
	pid_t pid;
	uint64_t start; /* as process.start */
	uint64_t ino;
};

struct sought {
	uint32_t dev_major, dev_minor; /* of the mount */
	uint64_t *inos;		       /* of locked files; ascending, see holders_sort */
	size_t ino_count;
	struct maker_of *makers;
	size_t maker_count;
};

#define HOLDER_PATH_BYTES 128 /* of a path, for people: more is cut */

struct found {
	struct process process;
	int pidfd; /* of just this process, the finder's; -1: no descriptor was left */
	bool made; /* a held name, else: has a locked file open */
	uint64_t ino;
	char path[HOLDER_PATH_BYTES]; /* of the open file, if known */
};

/* NULL, or why this system does not show what is needed. */
const char *holders_trouble(void);

void holders_sort(struct sought *sought);
/*
 * Calls found for each, never for this process, process 1 or a kernel thread; for one process maybe
 * twice. False from it ends the search. Returns false if it was ended, or if for want of memory or
 * descriptors not everything could be looked at.
 */
bool holders_find(const struct sought *sought, bool (*found)(void *arg, const struct found *f),
		  void *arg);

#endif
