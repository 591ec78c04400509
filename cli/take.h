/* SPDX-License-Identifier: MIT */
/* Take: the lock of a job, as flock(1) takes it. */
#ifndef CLI_TAKE_H
#define CLI_TAKE_H

#include <stdint.h>

#include "cli/job.h"

#define TAKE_TOKEN_BYTES 24

struct taken {
	int lock_fd;  /* of the file, locked */
	int lease_fd; /* of .dlock/lease; its first line is read */
	char token[TAKE_TOKEN_BYTES];
	char line[4096];
	size_t line_len;
};

/* The lock; waits as the job says. 0, or the status to exit with after a line on stderr; -1: somebody
 * has it. */
int take_lock(const struct job *job, int *lock_fd);

/*
 * What goes with a lock that was taken: its token, and the lease of the session that has it, not of a
 * later one. 0, or the status to exit with after a line on stderr.
 */
int take_lease(const struct job *job, int lock_fd, struct taken *out);

#endif
