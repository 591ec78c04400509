/* SPDX-License-Identifier: MIT */
/*
 * Sids: which processes a session (setsid(2)) has left, in /proc.
 *
 * Zombies count as ended. Whoever has the session's number is its leader, or, if it began after the
 * session was there already, the leader of another that got the number later: a number is used
 * again once no process and no session has it.
 *
 * Can one look find nobody although somebody is there? It goes up the numbers of processes, and a
 * process may fork and end before its turn comes. The child gets the next number that was never
 * used, or, when the numbers have begun anew, one that may be behind the look already: so once a
 * look may miss it. The next look begins with that child's number ahead of it, and what comes of the
 * child has higher ones. So where two looks one after the other find nobody, nobody was there when
 * the first began, unless the numbers go round between the two.
 */
#ifndef FS_SIDS_H
#define FS_SIDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sid_look {
	pid_t sid;
	pid_t member;	/* the process of it that began first; 0: none was found */
	uint64_t start; /* when that began, as process.start */
};

/* NULL, or why this system does not show what is needed: a look would find too few. */
const char *sids_trouble(void);

/* The session of a thread; 0: it is none that this PID namespace knows. */
pid_t sids_of(pid_t tid);

/* One look for all of them, which are in ascending order. False: /proc could not be read to its end,
 * and what was not found may be there. */
bool sids_look(struct sid_look *looks, size_t count);

/* Is there a process of the session's number, alive and of this session? *start is when it began. */
bool sids_leader(pid_t sid, uint64_t *start);

/* A pidfd of the process, if it is that one still and of this session; -1: not so, errno is ESRCH, or
 * none could be had. */
int sids_open(pid_t sid, pid_t member, uint64_t start);

/* process.start, in ns on CLOCK_BOOTTIME; rounded down, to 10 ms. */
int64_t sids_start_ns(uint64_t start);

#endif
