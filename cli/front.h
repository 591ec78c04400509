/* SPDX-License-Identifier: MIT */
/*
 * Front: the process that was called, while a job runs (see job.h). It passes signals on, lends the
 * terminal, and waits.
 *
 *	front_open(&f);				from here on signals come through f alone
 *	front_run(&f, &job, &outcome);		as often as you like
 *	front_close(&f);
 */
#ifndef CLI_FRONT_H
#define CLI_FRONT_H

#include <stdint.h>

#include "cli/job.h"
#include "cli/lease.h"
#include "cli/terminal.h"

enum ending {
	ENDED_ITSELF,  /* CMD has: status */
	ENDED_LOST,    /* the lock was lost, or had to be taken as lost: loss, line told */
	ENDED_NOT_HAD, /* somebody has the lock, or did for too long */
	ENDED_DECLINED,
	ENDED_FAILED,	 /* a line has said why; status to exit with */
	ENDED_BY_SIGNAL, /* before CMD began: asked */
};

struct outcome {
	enum ending ending;
	int status; /* to exit with, as a shell has it */
	int asked;  /* the signal that asked dlock to end, passed on to CMD or not; 0: none */
};

struct front {
	struct origin origin;
	struct terminal terminal;
	int signal_fd;
	int socket;
	pid_t guard, cmd; /* 0: none */
	uint64_t marker;
	int asked;
	bool going;	    /* the guard was told that CMD may start */
	bool done;	    /* how it ended is in out */
	bool let_go, stays; /* the guard has; and stays for CMD's children */
	struct outcome out;
};

/* False after a line on stderr. */
bool front_open(struct front *f);
void front_close(struct front *f);
void front_run(struct front *f, const struct job *job, struct outcome *out);

/* Sleeps so long, or until a signal asks dlock to end: which; 0: none. */
int front_pause(struct front *f, int64_t ns);

/* Ends this process by the signal, as it would have ended without us. Comes back if it is ignored. */
void front_die(int signal);

#endif
