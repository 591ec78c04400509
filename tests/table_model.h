/* SPDX-License-Identifier: MIT */
/*
 * A naive model of one file's locks, for comparing the table with: every byte of a small domain on
 * its own, the queue a plain array, every question answered by looking at everything.
 *
 * The rules, from lockcore/table.h:
 *  - a request conflicts with another owner's bytes, and with an earlier waiter of another owner,
 *    if they share a byte and one of the two is exclusive;
 *  - it waits for both, but not for a waiter who depends on its owner: who conflicts with what the
 *    owner holds, or with an earlier waiter who depends on it;
 *  - after every step the first waiter who need not wait is granted, until there is none;
 *  - a range that would have to wait is refused if what it waits for, through holders (with all
 *    their waiting requests) and earlier waiters (with that one), comes to what its owner holds;
 *  - a flock that cannot be converted at once is given up.
 */
#ifndef TESTS_TABLE_MODEL_H
#define TESTS_TABLE_MODEL_H

#include "lockcore/message.h"

#define MODEL_BYTES   8 /* the last one stands for all to RANGE_END */
#define MODEL_CLIENTS 3
#define MODEL_HANDLES 2 /* of each client; also the owners of each, by number */
#define MODEL_QUEUE   256

struct model_request {
	enum lock_kind kind;
	enum lock_mode mode;
	int client, handle;
	int owner;	 /* LOCK_FLOCK: the handle */
	int first, last; /* bytes, inclusive; LOCK_FLOCK: all */
	bool wait;
	uint64_t req;
};

struct model_byte {
	uint8_t mode;	/* enum lock_mode */
	uint8_t handle; /* that it was taken through; 0 if the mode is LOCK_NONE */
};

struct model {
	bool open[MODEL_CLIENTS][MODEL_HANDLES];
	struct model_byte held[2][MODEL_CLIENTS][MODEL_HANDLES][MODEL_BYTES];
	struct model_request queue[MODEL_QUEUE];
	int waiting;
	struct model_request granted[MODEL_QUEUE]; /* out of the queue, by the last step */
	int grants;
};

enum status model_lock(struct model *m, const struct model_request *want, bool *queued);
void model_cancel(struct model *m, int client, uint64_t req);
void model_close(struct model *m, int client, int handle);
void model_drop(struct model *m, int client);
/* Into how many ranges the bytes fall if equal neighbours are one. */
int model_ranges(const struct model *m);

#endif
