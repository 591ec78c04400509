/* SPDX-License-Identifier: MIT */
/*
 * Dirs: the directories that the kernel knows, as they were last. A program may be in a directory, or
 * have it open, when it is removed; the master then knows nothing of it any more, nor has it been told
 * that somebody is in it. On a local file system "stat ." and "cd .." go on there, of a directory
 * without links: so the attributes are remembered, until the kernel forgets the inode. What is changed
 * of it is changed here alone: programs of different nodes in one that is gone do not agree on it.
 */
#ifndef FS_DIRS_H
#define FS_DIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "lockcore/message.h"

#define DIRS_MAX 65536 /* some 10 MiB; of what is more nothing is known once it is gone */

struct dirs;

/* NULL: no memory. */
struct dirs *dirs_new(void);
void dirs_free(struct dirs *d);

/* The kernel has been told of this inode by a name, and counts so; fine if it is no directory. */
void dirs_told(struct dirs *d, const struct attr *attr);
/* Its attributes, by another way. */
void dirs_seen(struct dirs *d, const struct attr *attr);
/* The kernel forgets so many of the times that it was told. */
void dirs_forget(struct dirs *d, uint64_t ino, uint64_t times);

/* A directory that is gone, as it was; false: not known. */
bool dirs_gone(const struct dirs *d, uint64_t ino, struct attr *out);
/* The same, of which `set` (SET_*, but for SET_SIZE and SET_TTL) is changed first. */
bool dirs_change_gone(struct dirs *d, uint64_t ino, uint32_t set, const struct attr *to,
		      int64_t wall_ns, struct attr *out);

#endif
