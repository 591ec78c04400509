/* SPDX-License-Identifier: MIT */
/*
 * Processes for tests of sessions (setsid(2)). A leader has a session of its own, and makes further
 * processes of it when it is told. What its parent has not waited for is a zombie: the leader waits
 * for none, and this process, to whom those without a parent fall, for nobody but leaders.
 */
#ifndef TESTS_PROCESSES_H
#define TESTS_PROCESSES_H

#include <sys/types.h>

struct leader {
	pid_t pid;
	int to, from; /* what it is told, and answers */
};

struct leader leader_new(void);
/* A process of the leader's session, which sleeps. */
pid_t leader_fork(const struct leader *l);
/* It is killed, and its number free. */
void leader_end(struct leader *l);

/* By SIGKILL; once this returns, it has ended. */
void process_kill(pid_t pid);

#endif
