/* SPDX-License-Identifier: MIT */
/*
 * Caller: which process a thread belongs to and what it is called, as /proc says. The kernel tells
 * a FUSE daemon the thread that asks and nothing more.
 */
#ifndef FS_CALLER_H
#define FS_CALLER_H

#include <stdint.h>
#include <sys/types.h>

#include "lockcore/message.h"

struct caller {
	uint32_t pid;			     /* 0: outside of our PID namespace */
	char command[COMMAND_MAX_BYTES + 1]; /* empty: unknown */
};

/* Without an answer from /proc the thread passes for the process, and the command is empty. */
void caller_find(pid_t tid, struct caller *out);

/* The same from the text of /proc/TID/status. */
void caller_parse(const char *status, struct caller *out);

#endif
