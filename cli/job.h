/* SPDX-License-Identifier: MIT */
/*
 * Job: a command that runs under a lock, and the three processes that make it so:
 *
 *	front	what was called: passes signals on, lends the terminal, hands the status back. It holds
 *		nothing of the mount, so that a daemon that is stopped cannot stop it too.
 *	guard	its child, in a process group of its own, deaf to all signals but SIGKILL: takes the
 *		lock, watches the lease, stops CMD in time. It alone signals CMD.
 *	CMD	the guard's child, leader of a process group of its own. It inherits the lock's
 *		descriptor, as with flock(1), and so do its children.
 *
 * Who dies:
 *	front	by SIGKILL: the guard sees it (the end of their socket), stops CMD, and ends. Before
 *		CMD runs, the guard dies with it.
 *	guard	by SIGKILL: CMD gets SIGKILL by the kernel (PR_SET_PDEATHSIG), the front kills the rest
 *		of its group, and says that the lock is lost.
 *	both	CMD dies; children that it had go on, and with them the lock, which is theirs by
 *		inheritance. Nobody stops them if the lease is lost, but a mount with onloss=kill.
 *	CMD	its status is handed back. While a child that it left has the lock, which a pipe that is
 *		inherited with it tells (the marker), the guard stays and watches the lease.
 *
 * Whatever of CMD has the marker is stopped too, should it have left the process group.
 */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/mount.h"

struct job {
	const struct mount *mount;
	const char *name; /* below the mount */
	char **argv;
	bool shared, nonblock;
	int64_t wait_ns; /* or PATIENCE_FOREVER */
	/* In the guard, when it has the lock, before CMD: false to let it be. NULL: none. */
	bool (*before)(const struct job *job);
	/* In a child of the guard, when CMD has ended with 0, while the lock is held: false after a
	 * line on stderr, if CMD does not count as done. NULL: none. */
	bool (*after)(const struct job *job);
	void *data;
};

/* What the front and the guard tell each other; a packet each. */
enum word_kind {
	WORD_LOCKED,   /* guard: may CMD start? It waits for the answer */
	WORD_GO,       /* front: it may */
	WORD_STARTED,  /* guard: CMD runs; value: its process group, more: the marker */
	WORD_SIGNAL,   /* front: value is for CMD's group */
	WORD_STOPPED,  /* guard: CMD was stopped by the signal value */
	WORD_DONE,     /* guard: value: wait status, more: enum lease_loss */
	WORD_LET_GO,   /* guard: it has given the lock back; value 1: it stays for CMD's children */
	WORD_CONFLICT, /* guard: somebody has the lock, or did for too long */
	WORD_DECLINED, /* guard: before() */
	WORD_FAILED,   /* guard: has said why; value: exit status */
};

struct word {
	enum word_kind kind;
	int value;
	uint64_t more;
};

#define WORD_NO_STATUS (-1) /* of WORD_DONE: CMD was killed and could not be seen to end */

/* How the front was called, which CMD gets back. */
struct origin {
	sigset_t mask;
	struct sigaction on_child;
	pid_t group;
	bool lend; /* CMD gets the terminal from the start */
};

/* false: errno. Neither blocks for long: the other end reads, or is dead. */
bool word_send(int socket, enum word_kind kind, int value, uint64_t more);
/* 1: one came; 0: the other end is gone; -1: none now. */
int word_receive(int socket, struct word *out);

#endif
