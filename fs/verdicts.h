/* SPDX-License-Identifier: MIT */
/*
 * Verdicts: whether the sessions that are looked for have a process left, and which of them is to be
 * watched by its pidfd.
 */
#ifndef FS_VERDICTS_H
#define FS_VERDICTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/sids.h"

struct verdict {
	pid_t sid;	   /* asked for */
	int64_t since_ns;  /* it was there then */
	pid_t member;	   /* a process that was found; 0: none */
	int64_t before_ns; /* not 0: whatever session of this number was there before has ended */
	int pidfd;	   /* the caller's to close; -1: there is none, */
	int err;	   /* for this reason; ESRCH: it has ended meanwhile, or nobody was found */
};

/* What is to be set of each by the caller. */
static inline struct verdict verdict_on(pid_t sid, int64_t since_ns)
{
	return (struct verdict){.sid = sid, .since_ns = since_ns, .pidfd = -1};
}

/* Reaches all of them, in any order, in two looks at /proc at most (sids.h). There is room for as
 * many looks. Where /proc could not be read, there is neither a member nor a before_ns. */
void verdicts_reach(struct verdict *verdicts, struct sid_look *looks, size_t count);

#endif
