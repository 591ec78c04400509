/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>

#include <utlist.h>

#include "lockcore/range.h"

bool range_same_owner(const struct range *a, const struct range *b)
{
	return a->client == b->client && a->owner == b->owner;
}

bool range_overlap(const struct range *a, const struct range *b)
{
	return a->start <= b->end && b->start <= a->end;
}

/* Overlapping, or one begins right where the other ends. */
static bool touch(const struct range *a, const struct range *b)
{
	return range_overlap(a, b) || (a->end != RANGE_END && a->end + 1 == b->start) ||
	       (b->end != RANGE_END && b->end + 1 == a->start);
}

bool range_conflicts(const struct range *a, const struct range *b)
{
	assert(a->kind == b->kind);
	return (a->mode == LOCK_EXCLUSIVE || b->mode == LOCK_EXCLUSIVE) && a->mode && b->mode &&
	       range_overlap(a, b) && !range_same_owner(a, b);
}

const struct range *range_blocker(const struct range *list, const struct range *want)
{
	const struct range *held;

	DL_FOREACH (list, held)
		if (range_conflicts(held, want))
			return held;
	return NULL;
}

const struct range *range_first_blocker(const struct range *list, const struct range *want)
{
	const struct range *held, *first = NULL;

	DL_FOREACH (list, held)
		if (range_conflicts(held, want) && (!first || held->start < first->start))
			first = held;
	return first;
}

static bool same_lock(const struct range *a, const struct range *b)
{
	return range_same_owner(a, b) && a->ino == b->ino && a->handle == b->handle &&
	       a->mode == b->mode;
}

const struct range *range_covering(const struct range *list, const struct range *want)
{
	const struct range *held;

	DL_FOREACH (list, held)
		if (same_lock(held, want) && held->start <= want->start && held->end >= want->end)
			return held;
	return NULL;
}

bool range_reserve(struct range *spares[RANGE_SPARES])
{
	for (int i = 0; i < RANGE_SPARES; i++)
		spares[i] = malloc(sizeof(*spares[i]));
	if (spares[0] && spares[1])
		return true;
	range_unreserve(spares);
	return false;
}

void range_unreserve(struct range *spares[RANGE_SPARES])
{
	for (int i = 0; i < RANGE_SPARES; i++) {
		free(spares[i]);
		spares[i] = NULL;
	}
}

/* Appends a copy of `like`, in memory taken from the spares. */
static struct range *insert(struct range **list, const struct range *like,
			    struct range *spares[RANGE_SPARES])
{
	int i = spares[0] ? 0 : 1;
	struct range *range = spares[i];

	assert(range);
	spares[i] = NULL;
	*range = *like;
	range->serial = *list ? (*list)->prev->serial + 1 : 1;
	DL_APPEND(*list, range);
	return range;
}

static void remove_one(struct range **list, struct range *range)
{
	DL_DELETE(*list, range);
	free(range);
}

/* Cuts [start, end] out of an own range that overlaps it. Returns the list's growth. */
static int cut(struct range **list, struct range *held, int64_t start, int64_t end,
	       struct range *spares[RANGE_SPARES])
{
	bool left = held->start<start, right = held->end> end;

	if (left && right) {
		struct range *half = insert(list, held, spares);

		half->start = end + 1;
		held->end = start - 1;
		return 1;
	}
	if (left) {
		held->end = start - 1;
	} else if (right) {
		held->start = end + 1;
	} else {
		remove_one(list, held);
		return -1;
	}
	return 0;
}

int range_set(struct range **list, const struct range *want, struct range *spares[RANGE_SPARES])
{
	struct range merged = *want;
	struct range *held, *next;
	int growth = 0;

	DL_FOREACH_SAFE (*list, held, next) {
		if (!range_same_owner(held, want) || held->ino != want->ino)
			continue;
		if (same_lock(held, want) && touch(held, &merged)) {
			merged.start = held->start < merged.start ? held->start : merged.start;
			merged.end = held->end > merged.end ? held->end : merged.end;
			remove_one(list, held);
			growth--;
		} else if (range_overlap(held, want)) {
			growth += cut(list, held, want->start, want->end, spares);
		}
	}
	if (want->mode != LOCK_NONE) {
		insert(list, &merged, spares);
		growth++;
	}
	return growth;
}

int range_drop_handle(struct range **list, uint64_t client, uint64_t handle)
{
	struct range *held, *next;
	int dropped = 0;

	DL_FOREACH_SAFE (*list, held, next) {
		if (held->client == client && held->handle == handle) {
			remove_one(list, held);
			dropped++;
		}
	}
	return dropped;
}

void range_concat(struct range **list, struct range *other)
{
	uint64_t serial = *list ? (*list)->prev->serial : 0;
	struct range *range;

	DL_FOREACH (other, range)
		range->serial = ++serial;
	DL_CONCAT(*list, other);
}

void range_drop_all(struct range **list)
{
	while (*list)
		remove_one(list, *list);
}
