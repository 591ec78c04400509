/* SPDX-License-Identifier: MIT */
#include "lockcore/roster.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_ROOM 16

void roster_deinit(struct roster *r)
{
	free(r->slots);
	*r = (struct roster){0};
}

/* Squeezes out the slots of those who have left, once they are half of all. */
static void compact(struct roster *r)
{
	size_t to = 0;

	if (r->live * 2 > r->count)
		return;
	for (size_t from = 0; from < r->count; from++)
		if (r->slots[from].entry)
			r->slots[to++] = r->slots[from];
	assert(to == r->live);
	r->count = to;
}

bool roster_reserve(struct roster *r)
{
	size_t room = r->room ? r->room * 2 : FIRST_ROOM;
	struct roster_slot *slots;

	assert(r->count <= r->room);
	if (r->count < r->room)
		return true;
	slots = realloc(r->slots, room * sizeof(*slots));
	if (!slots)
		return false;
	r->slots = slots;
	r->room = room;
	return true;
}

void roster_add(struct roster *r, struct roster_entry *e, uint64_t cookie)
{
	assert(!e->cookie && cookie && r->count < r->room);
	assert(!r->count || cookie > r->slots[r->count - 1].cookie);
	e->cookie = cookie;
	r->slots[r->count++] = (struct roster_slot){cookie, e};
	r->live++;
}

/* The first slot whose cookie is above this one. */
static size_t seek(const struct roster *r, uint64_t cookie)
{
	size_t low = 0, high = r->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->slots[middle].cookie <= cookie)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void roster_remove(struct roster *r, struct roster_entry *e)
{
	size_t at;

	if (!e->cookie)
		return;
	at = seek(r, e->cookie - 1);
	assert(at < r->count && r->slots[at].entry == e);
	r->slots[at].entry = NULL;
	r->live--;
	e->cookie = 0;
	compact(r);
}

struct roster_entry *roster_next(const struct roster *r, uint64_t *cookie, size_t *looks)
{
	for (size_t at = seek(r, *cookie); at < r->count && *looks; at++) {
		(*looks)--;
		*cookie = r->slots[at].cookie;
		if (r->slots[at].entry)
			return r->slots[at].entry;
	}
	return NULL;
}
