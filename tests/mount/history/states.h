/* SPDX-License-Identifier: MIT */
/* Sets of the model's states. Without memory the program ends. */
#ifndef HISTORY_STATES_H
#define HISTORY_STATES_H

#define uthash_fatal(msg) abort()
#include <stdlib.h>
#include <uthash.h>

#include "model.h"

/* A state, without what is not used of its lists. */
struct config {
	UT_hash_handle hh;
	size_t size;
	unsigned char bytes[];
};

/* The new member; NULL: it is there already. An empty set is NULL. */
struct config *states_add(struct config **set, const struct state *s);
void state_unpack(const struct config *c, struct state *s);
struct config *states_copy(const struct config *set);
void states_free(struct config **set);

#endif
