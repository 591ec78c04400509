/* SPDX-License-Identifier: MIT */
/*
 * A crew: the processes of a row that needs more than one, and the memory which they share.
 *
 * They begin together: who has called crew_ready waits in it until all have, or until one is gone.
 * A member that dies, or is stuck in a lock call for too long, makes crew_end fail; none outlives
 * the bench.
 */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CREW_MAX 16

/* What a member may take longer than the row's span before it counts as stuck. */
#define CREW_SLACK_S 15

struct crew {
	size_t count;
	pid_t pid[CREW_MAX];
	int ready_fd[2];
	int go_fd[2];
};

/* Zeroed, shared with those that are started later; NULL after an error, which it prints. */
void *crew_memory(size_t size);
void crew_memory_free(void *mem, size_t size);

/* 0, or -1 after an error, which it prints; crew_end is called in any case. */
int crew_init(struct crew *c);

/* Starts a member, which does work(arg) and ends, with success if that is 0. 0, or -1 and a line. */
int crew_start(struct crew *c, int (*work)(struct crew *c, void *arg), void *arg, uint64_t span_ns);

/* For a member: ready to begin. 0, or -1: the bench has ended. */
int crew_ready(struct crew *c);

/* Lets them begin. 0, or -1 if one will never be ready. */
int crew_go(struct crew *c);

/* Waits for all. 0 if all have succeeded. @what names them in the line that it prints otherwise. */
int crew_end(struct crew *c, const char *what);

#endif
