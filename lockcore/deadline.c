/* SPDX-License-Identifier: MIT */
/* A binary heap in an array whose slot 0 holds position 1; every deadline knows its position. */
#include <assert.h>
#include <stdlib.h>

#include "lockcore/deadline.h"
#include "lockcore/moment.h"

#define FIRST_ROOM 16

void deadlines_deinit(struct deadlines *h)
{
	free(h->slots);
	*h = (struct deadlines){0};
}

bool deadline_reserve(struct deadlines *h)
{
	size_t room = h->room ? h->room * 2 : FIRST_ROOM;
	struct deadline **slots;

	if (h->reserved == h->room) {
		slots = realloc(h->slots, room * sizeof(struct deadline *));
		if (!slots)
			return false;
		h->slots = slots;
		h->room = room;
	}
	h->reserved++;
	return true;
}

void deadline_release(struct deadlines *h, struct deadline *d)
{
	deadline_clear(h, d);
	assert(h->reserved > h->count);
	h->reserved--;
}

static void place(struct deadlines *h, struct deadline *d, size_t position)
{
	h->slots[position - 1] = d;
	d->position = position;
}

static void rise(struct deadlines *h, struct deadline *d)
{
	size_t at = d->position;

	while (at > 1 && h->slots[at / 2 - 1]->at_ns > d->at_ns) {
		place(h, h->slots[at / 2 - 1], at);
		at /= 2;
	}
	place(h, d, at);
}

static void sink(struct deadlines *h, struct deadline *d)
{
	size_t at = d->position;

	for (;;) {
		size_t child = at * 2;

		if (child > h->count)
			break;
		if (child < h->count && h->slots[child]->at_ns < h->slots[child - 1]->at_ns)
			child++;
		if (h->slots[child - 1]->at_ns >= d->at_ns)
			break;
		place(h, h->slots[child - 1], at);
		at = child;
	}
	place(h, d, at);
}

void deadline_set(struct deadlines *h, struct deadline *d, int64_t at_ns)
{
	d->at_ns = at_ns;
	if (!deadline_is_set(d)) {
		assert(h->count < h->reserved);
		place(h, d, ++h->count);
	}
	rise(h, d);
	sink(h, d);
}

void deadline_clear(struct deadlines *h, struct deadline *d)
{
	size_t hole = d->position;
	struct deadline *last;

	if (!deadline_is_set(d))
		return;
	assert(hole <= h->count && h->slots[hole - 1] == d);
	last = h->slots[--h->count];
	d->position = 0;
	if (last == d)
		return;
	place(h, last, hole);
	rise(h, last);
	sink(h, last);
}

int64_t deadlines_next(const struct deadlines *h)
{
	return h->count ? h->slots[0]->at_ns : MOMENT_NEVER;
}

struct deadline *deadlines_due(struct deadlines *h, int64_t now_ns)
{
	struct deadline *first = h->count ? h->slots[0] : NULL;

	if (!first || first->at_ns > now_ns)
		return NULL;
	deadline_clear(h, first);
	return first;
}
