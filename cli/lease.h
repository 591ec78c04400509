/* SPDX-License-Identifier: MIT */
/*
 * Lease: when a command that runs under a lock has to stop. The lines of .dlock/lease go in, what is
 * to be done comes out; time (CLOCK_BOOTTIME) is an argument. The timeline, of a lease of 10 s whose
 * last acknowledged renewal was sent at 0:
 *
 *	 0 s	the renewal is sent; the line that tells of it says "until": 10
 *	 6 s	60 %: SIGTERM	(LEASE_TERM)
 *	 8.5 s	85 %: SIGKILL	(LEASE_KILL)
 *	10 s	the node believes no more	(LEASE_OVER)
 *	later	the master gives the lock to another
 *
 * A renewal sets it back, up to the last moment. What cannot be taken back: the session has ended
 * (others may have the lock: SIGKILL at once), the lock is being broken (SIGTERM at once, SIGKILL
 * after an eighth of a lease, of the quarter that the mount gives), the command has lost whoever
 * waits for it (SIGTERM at once, SIGKILL after LEASE_ORPHAN_NS).
 */
#ifndef CLI_LEASE_H
#define CLI_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEASE_ORPHAN_NS (INT64_C(3) * 1000000000)
#define LEASE_NEVER	INT64_MAX

enum lease_stage { LEASE_GOOD, LEASE_TERM, LEASE_KILL, LEASE_OVER };

enum lease_loss {
	LOSS_NONE,
	LOSS_SILENCE, /* no master has renewed the lease */
	LOSS_SESSION, /* the session has ended */
	LOSS_BROKEN,  /* "dlock break" */
	LOSS_ORPHAN,  /* dlock itself was killed */
};

struct lease {
	uint64_t token; /* of our acquisition */
	int64_t until_ns, lease_ns;
	/* What is certain, and when it began. */
	enum lease_loss certain;
	int64_t certain_ns;
};

/* Until the first line the lease is over. */
void lease_init(struct lease *l, uint64_t token);
/* One line of .dlock/lease, without its end. False: it is none; the lease is as before. */
bool lease_line(struct lease *l, const char *line, size_t len, int64_t now_ns);
/* The command's dlock was killed. */
void lease_orphaned(struct lease *l, int64_t now_ns);

enum lease_stage lease_stage(const struct lease *l, int64_t now_ns);
/* When lease_stage will change by itself; LEASE_NEVER: it is over. */
int64_t lease_deadline(const struct lease *l, int64_t now_ns);
/* Why the stage is not good. */
enum lease_loss lease_loss(const struct lease *l, int64_t now_ns);

#endif
