/* SPDX-License-Identifier: MIT */
/*
 * Deadlines: a heap of the moments at which something falls due.
 *
 * A struct deadline is embedded in what it belongs to and never allocated by itself. Whoever owns
 * one reserves its place in the heap beforehand, when there is still a way to fail, and from then
 * on may set, move and clear it freely.
 */
#ifndef LOCKCORE_DEADLINE_H
#define LOCKCORE_DEADLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deadline {
	int64_t at_ns;	 /* CLOCK_BOOTTIME */
	size_t position; /* in the heap, from 1; 0: not set */
};

struct deadlines {
	struct deadline **slots;
	size_t count;	 /* deadlines that are set */
	size_t reserved; /* deadlines that may be */
	size_t room;
};

void deadlines_deinit(struct deadlines *h);

/* Reserves a place for one more deadline. False: no memory, and nothing has changed. */
bool deadline_reserve(struct deadlines *h);
/* Clears d and gives its place back. */
void deadline_release(struct deadlines *h, struct deadline *d);

/* Sets or moves d. */
void deadline_set(struct deadlines *h, struct deadline *d, int64_t at_ns);
/* Does nothing if d is not set. */
void deadline_clear(struct deadlines *h, struct deadline *d);

static inline bool deadline_is_set(const struct deadline *d)
{
	return d->position != 0;
}

/* When the earliest falls due; MOMENT_NEVER if none is set. */
int64_t deadlines_next(const struct deadlines *h);
/* The earliest one if it is due, no longer set; NULL if none is. */
struct deadline *deadlines_due(struct deadlines *h, int64_t now_ns);

#endif
