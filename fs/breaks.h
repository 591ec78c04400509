/* SPDX-License-Identifier: MIT */
/*
 * Breaks: the loop's half of what is broken here (lockcore/node.h): who acts under it is told, and
 * stopped, before the node lets go.
 *
 *	revoke ──> told in .dlock/lease ──┬─ nobody has to be waited for ──────────────> node_revoked
 *	                                  ├─ its holder reads that: until he has given it up, at the
 *	                                  │  latest when the node's time for it is over
 *	                                  └─ onloss=kill: SIGTERM at once, SIGKILL when half of that
 *	                                     time is over, until a look at /proc finds nobody
 *
 * With a lease of 10 s the node has 2.5 s: SIGTERM at 0.00, SIGKILL from 1.25, let go at 2.50.
 */
#ifndef FS_BREAKS_H
#define FS_BREAKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/fence.h"

struct fs;
struct breaking;

struct breaks {
	struct fence *fence;	  /* NULL: onloss=none */
	struct breaking *list;	  /* the oldest first */
	struct breaking *looking; /* of which a pass is under way; NULL: none */
	uint64_t pass;
};

/* The mount must be there. 0, or -1 with *why. */
int breaks_start(struct fs *fs, const char **why);
void breaks_stop(struct fs *fs);

/* After every turn of the loop, once the answers are out; and when it is to turn next at the latest. */
void breaks_turn(struct fs *fs);
int64_t breaks_deadline(const struct fs *fs);

#endif
