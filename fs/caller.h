/* SPDX-License-Identifier: MIT */
/*
 * Caller: which process a thread belongs to and what it is called, as /proc says. The kernel tells
 * a FUSE daemon the thread that asks and nothing more.
 *
 * A thread that asks again and again is remembered by its open /proc/TID/comm, which is read anew
 * each time: that file belongs to the thread and not to its number, so that a thread that is gone,
 * or a number that is used again, shows. It saves a lock call a tenth of its time.
 */
#ifndef FS_CALLER_H
#define FS_CALLER_H

#include <stdint.h>
#include <sys/types.h>

#include "lockcore/message.h"

#define CALLERS_MAX 64 /* threads remembered, each with a descriptor; others are looked up */

struct caller {
	uint32_t pid;			     /* 0: outside of our PID namespace */
	char command[COMMAND_MAX_BYTES + 1]; /* empty: unknown */
};

struct callers;

/* NULL: no memory. */
struct callers *callers_new(void);
void callers_free(struct callers *c);

/* Without an answer from /proc the thread passes for the process, and the command is empty. */
void callers_find(struct callers *c, pid_t tid, struct caller *out);

/* What the text of /proc/TID/status says; false: nothing that can be used. */
bool caller_parse(const char *status, struct caller *out);

#endif
