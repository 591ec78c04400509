/* SPDX-License-Identifier: MIT */
/* Start: CMD becomes a process, leader of a group of its own, which dies with its parent. */
#ifndef CLI_START_H
#define CLI_START_H

#include <sys/types.h>

#include "cli/job.h"

/*
 * lock_fd and marker_fd are inherited, at numbers that scripts do not use. name and token are its
 * DLOCK_NAME and DLOCK_TOKEN. Returns its number, or -1 with errno of what failed, execvp included.
 */
pid_t start_command(const struct job *job, const struct origin *origin, int lock_fd, int marker_fd,
		    const char *token);

#endif
