/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "states.h"

struct part {
	void *at;
	size_t size;
};

#define PARTS 5

/* The numbers of what is used, what is used, and all that follows the lists. */
static void parts_of(struct state *s, struct part parts[PARTS])
{
	const size_t lists_end = offsetof(struct state, wait);

	parts[0] = (struct part){s, offsetof(struct state, inode)};
	parts[1] = (struct part){s->inode, s->inodes * sizeof(*s->inode)};
	parts[2] = (struct part){s->desc, s->descs * sizeof(*s->desc)};
	parts[3] = (struct part){s->range, s->ranges * sizeof(*s->range)};
	parts[4] = (struct part){(unsigned char *)s + lists_end, sizeof(*s) - lists_end};
}

static size_t pack(const struct state *s, unsigned char *bytes)
{
	struct part parts[PARTS];
	size_t size = 0;

	parts_of((struct state *)(uintptr_t)s, parts);
	for (int i = 0; i < PARTS; i++) {
		memcpy(bytes + size, parts[i].at, parts[i].size);
		size += parts[i].size;
	}
	return size;
}

void state_unpack(const struct config *c, struct state *s)
{
	struct part parts[PARTS];
	size_t at = 0;

	memset(s, 0, sizeof(*s));
	memcpy(s, c->bytes, offsetof(struct state, inode));
	parts_of(s, parts);
	for (int i = 0; i < PARTS; i++) {
		memcpy(parts[i].at, c->bytes + at, parts[i].size);
		at += parts[i].size;
	}
	assert(at == c->size);
}

/* Four sums side by side, since each step of one waits for the one before. */
#define LANES 4

static unsigned hash_of(const unsigned char *bytes, size_t size)
{
	uint64_t lanes[LANES] = {size}, hash = 0, word;

	static_assert(sizeof(struct state) % sizeof(word) == 0, "states are hashed by words");
	for (size_t i = 0; i + sizeof(word) <= size; i += sizeof(word)) {
		uint64_t *lane = &lanes[i / sizeof(word) % LANES];

		memcpy(&word, bytes + i, sizeof(word));
		*lane = (*lane ^ word) * 0xff51afd7ed558ccdu;
		*lane ^= *lane >> 32;
	}
	for (int i = 0; i < LANES; i++)
		hash = (hash ^ lanes[i]) * 0xc4ceb9fe1a85ec53u;
	return (unsigned)(hash >> 32);
}

static struct config *add_packed(struct config **set, const unsigned char *bytes, size_t size)
{
	unsigned hash = hash_of(bytes, size);
	struct config *c;

	HASH_FIND_BYHASHVALUE(hh, *set, bytes, size, hash, c);
	if (c)
		return NULL;
	c = malloc(sizeof(*c) + size);
	if (!c)
		abort();
	c->size = size;
	memcpy(c->bytes, bytes, size);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, *set, c->bytes, size, hash, c);
	return c;
}

struct config *states_add(struct config **set, const struct state *s)
{
	static unsigned char bytes[sizeof(*s)];
	size_t size = pack(s, bytes);

	return add_packed(set, bytes, size);
}

void states_free(struct config **set)
{
	struct config *c, *next;

	HASH_ITER (hh, *set, c, next) {
		HASH_DEL(*set, c);
		free(c);
	}
}

struct config *states_copy(const struct config *set)
{
	struct config *copy = NULL;

	for (; set; set = set->hh.next)
		add_packed(&copy, set->bytes, set->size);
	return copy;
}
