/* SPDX-License-Identifier: MIT */
/*
 * Fence: stops the holders (contract 6.2), from a thread of its own, since to look through /proc
 * takes a while.
 *
 *	loop ──fence_post(what is held, signal)──> thread: holders_find, pidfd_send_signal, log
 *	  ^                                          │
 *	  └── fence_fd is readable, fence_passed ────┘
 *
 * One post is one pass. What came to hold something during it, a fork say, is for the next: the
 * loop posts until a pass has found nobody. The thread never makes a call that our own mount would
 * have to answer (holders.h), and the loop never waits for more than one kill(2) of it.
 */
#ifndef FS_FENCE_H
#define FS_FENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/holders.h"

struct fence;

struct fence_job {
	uint64_t id;
	int signal;	 /* 0: only look whether there is somebody */
	const char *why; /* for the log: a string that stays */
	struct sought
		sought; /* its lists are freed with the job; the device is the fence's to set */
};

/* The mount must be there. NULL: errno says why. */
struct fence *fence_new(const char *mountpoint);
void fence_free(struct fence *f);

/* Lists for so many of both, to be filled in. NULL: no memory. */
struct fence_job *fence_job_new(int signal, size_t inos, size_t makers);
/* Takes the job over; one that was not begun gives way. Returns the id of the pass. */
uint64_t fence_post(struct fence *f, struct fence_job *job);
/* Once this returns, no process is signalled any more until the next post. */
void fence_call_off(struct fence *f);

/* Readable when a pass has ended. */
int fence_fd(const struct fence *f);
/* The id of the pass that ended last, 0: none has since the last call. *clear: it found nobody. */
uint64_t fence_passed(struct fence *f, bool *clear);

#endif
