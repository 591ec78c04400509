/* SPDX-License-Identifier: MIT */
/*
 * Process: what /proc tells of one, so that it is not mistaken for another that gets its number
 * later, and everything about stopping it.
 *
 * Nothing here asks the process's files or file systems anything, or waits for the process.
 */
#ifndef FS_PROCESS_H
#define FS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lockcore/message.h"

struct process {
	pid_t pid, parent;
	uint64_t start; /* when it began, in clock ticks since boot: with pid, one process */
	unsigned threads;
	bool ended; /* a zombie without further threads */
	bool kernel;
	char command[COMMAND_MAX_BYTES + 1];
};

/* A file below /proc/PID, of a thread also, or -1 and errno. */
int process_open(pid_t pid, const char *file);
/* What it begins with, as a string. False: there is no such process. */
bool process_text(pid_t pid, const char *file, char *text, size_t size);
/* False: there is no such process, or /proc does not show it. */
bool process_read(pid_t pid, struct process *out);
/* What the text of /proc/PID/stat says; false: nothing that can be used. */
bool process_parse(const char *stat, struct process *out);
/* Does it exist still, and has not ended? */
bool process_lives(pid_t pid, uint64_t start);

#endif
