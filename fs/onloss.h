/* SPDX-License-Identifier: MIT */
/*
 * Onloss: the loop's half of onloss=kill (contract 6.2): when which signal goes to whom. The
 * timeline stands in lockcore/node.h, fence.h sends the signals.
 *
 * While holders are being stopped, close(2) does not wait for a master: a process that ends closes
 * its files one after the other, and with fcntl locks on many of them would outlive the lease.
 *
 * With onloss=none nothing here does anything.
 */
#ifndef FS_ONLOSS_H
#define FS_ONLOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/fence.h"
#include "fs/makers.h"
#include "lockcore/node.h"

/* From the end of a pass to the next, while there may be holders. */
#define ONLOSS_ROUND_NS (50 * NS_PER_MS)

struct fs;
struct asked;

struct onloss {
	struct fence *fence; /* NULL: onloss=none */
	struct makers *makers;
	enum node_fence stage;
	uint64_t pass;	     /* the id of the one under way, 0: none */
	int64_t pass_at_ns;  /* the next; MOMENT_NEVER */
	int64_t patience_ns; /* NODE_FENCE_LOST: until when holders may take to end */
	struct asked *flushes;
};

/* The mount must be there. 0, or -1 with *why. */
int onloss_start(struct fs *fs, const char **why);
void onloss_stop(struct fs *fs);

/* After every turn of the loop; and when it is to turn next at the latest. */
void onloss_turn(struct fs *fs);
int64_t onloss_deadline(const struct fs *fs);

/* A request that makes a held name is submitted; it has succeeded, and is about to be answered. */
void onloss_makes(struct fs *fs, struct asked *a, const struct message *m);
void onloss_made(struct fs *fs, const struct asked *a);

/* A FLUSH is about to wait for the core's answer, and does not any more. Its req becomes NULL once
 * the kernel has been answered early. */
void onloss_flush(struct fs *fs, struct asked *a);
void onloss_flushed(struct fs *fs, struct asked *a);

#endif
