/* SPDX-License-Identifier: MIT */
/*
 * The driver: client processes that call at random, round after round, and are idle in between.
 *
 * Clients write their calls down in memory shared with the driver, each call before it is made: so
 * those of a client that was killed are known, and the one it was killed in. The driver starts it
 * anew.
 */
#ifndef HISTORY_DRIVER_H
#define HISTORY_DRIVER_H

#include <stdio.h>

#include "history.h"

#define ROUND_CLIENT_MAX 128			/* calls of a client in a round */
#define CALL_DATA_MAX	 (CONTENT_LIMIT + 4096) /* bytes read by one */
#define MOUNT_PATH_MAX	 256

struct room { /* a client's calls of this round */
	uint64_t seed;
	uint64_t calls; /* ever */
	uint32_t count;
	bool may_die;
	struct op ops[ROUND_CLIENT_MAX];
	uint32_t data_len[ROUND_CLIENT_MAX];
	unsigned char data[ROUND_CLIENT_MAX][CALL_DATA_MAX];
};

struct order {		/* from the driver to a client */
	uint32_t count; /* go on until so many calls have been made */
	bool survey;	/* look at all there is, instead */
};

struct driver_config {
	uint64_t seed;
	int clients;
	const char *mounts[NODES];
	bool local;
};

struct driver;

/* NULL: it cannot be, and stderr says why. */
struct driver *driver_new(const struct driver_config *config);
void driver_free(struct driver *d);

/*
 * A round of about so many calls. *ops is the driver's until the next. False: a client hangs or has
 * ended by itself; stderr says which.
 */
bool driver_round(struct driver *d, size_t calls, struct op **ops, size_t *count);
/* All of one client: it looks at every name and content. */
bool driver_survey(struct driver *d, struct op **ops, size_t *count);

/* ---- client.c: a client's process ---- */

struct client {
	struct room *room;
	int number, node;
	int fd[SLOTS]; /* -1: none */
	bool local;
	uint64_t random;
};

/* In the directory of the mount; until `orders` ends. Writes a byte to `done` after each order. */
_Noreturn void client_main(struct room *room, int number, const struct driver_config *config,
			   int orders, int done);

/* ---- choose.c ---- */

/* What the client calls next, but for the call's time and result. */
void choose(struct client *c, struct op *op);
uint64_t random_next(uint64_t *state);

/* ---- call.c ---- */

/* Makes the call, and notes its time and result. */
void call(struct client *c, struct op *op);

#endif
