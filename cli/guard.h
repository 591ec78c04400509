/* SPDX-License-Identifier: MIT */
/* Guard: takes the lock, starts CMD, watches the lease, stops CMD in time. See job.h and lease.h. */
#ifndef CLI_GUARD_H
#define CLI_GUARD_H

#include "cli/job.h"

/* The life of the guard: in a fresh child of front, with all signals blocked. */
_Noreturn void guard_live(const struct job *job, const struct origin *origin, pid_t front,
			  int socket);

#endif
