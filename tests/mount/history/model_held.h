/* SPDX-License-Identifier: MIT */
/* What the model's locks look like at one moment: who holds them, and who may wait for what. */
#ifndef HISTORY_MODEL_HELD_H
#define HISTORY_MODEL_HELD_H

#include "model.h"

#define ALL_BYTES ((1u << BYTES) - 1)

/* Of two modes. */
bool conflict(int a, int b);
/* Do these two inodes? */
bool share_locks(struct state *s, uint32_t a, uint32_t b);

/* An owner's ranges of one file; NULL: none. */
struct range *range_get(struct state *s, uint32_t inode, uint32_t owner);
void range_remove(struct state *s, struct range *r);
void range_set(struct state *s, const struct wait *want);
bool range_conflicts(struct state *s, const struct range *r, const struct wait *want);
/* Does somebody hold what is in the way of this? */
bool is_held(struct state *s, const struct wait *want);
/*
 * Is it a range that the owner has? Then it is granted, whatever others have whose locks have been
 * put together with these; but perhaps not if it was taken through another descriptor.
 */
bool has_already(struct state *s, const struct wait *want);

/* What a call asks for by this description. */
struct wait wanted(struct state *s, const struct op *op, const struct desc *d);

struct waits {
	struct wait at[2 * CLIENTS_MAX];
	bool fleeting[2 * CLIENTS_MAX]; /* may have been granted, and be given back */
	size_t count;
};

/* What the others may wait for, and what all have given up just now. */
void waits_of(const struct step *step, struct state *s, struct waits *w);
/*
 * Whoever is told EINTR has waited until the master knew of it: nothing is left, and nothing was
 * granted. But a master that is silent for so long, or away, is not waited for.
 */
bool may_leave_something(const struct step *step, const struct op *op);
/* Is somebody before it in the queue? */
bool is_wanted(const struct step *step, struct state *s, const struct wait *want);
/*
 * Does one who holds what is wanted, or who stands before it in the queue, wait, and so on, for the
 * one who wants it? Who came first among those that wait nobody knows; a local file system knows no
 * queue.
 */
bool is_circle(const struct step *step, struct state *s, const struct wait *want);

#endif
