/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of locked ranges: what conflicts, and how one owner's ranges split and merge
 * (fcntl(2), "Advisory record locking"). A flock is the same over the whole range, owned by its
 * handle.
 */
#include "lockcore/table_internal.h"

static bool same_owner(const struct lock *a, const struct lock *b)
{
	return a->client == b->client && a->owner == b->owner;
}

static bool overlap(const struct lock *a, const struct lock *b)
{
	return a->start <= b->end && b->start <= a->end;
}

/* Overlapping, or one begins right where the other ends. */
static bool touch(const struct lock *a, const struct lock *b)
{
	return overlap(a, b) || (a->end != RANGE_END && a->end + 1 == b->start) ||
	       (b->end != RANGE_END && b->end + 1 == a->start);
}

bool lock_conflicts(const struct lock *a, const struct lock *b)
{
	assert(a->kind == b->kind);
	return !same_owner(a, b) && overlap(a, b) &&
	       (a->mode == LOCK_EXCLUSIVE || b->mode == LOCK_EXCLUSIVE) && a->mode && b->mode;
}

const struct lock *range_blocker(const struct lockset *set, const struct lock *want)
{
	const struct lock *held;

	DL_FOREACH (set->granted[want->kind], held)
		if (lock_conflicts(held, want))
			return held;
	return NULL;
}

/* One owner's locks never overlap and touching ones of a mode and handle are merged. */
bool range_covered(const struct lockset *set, const struct lock *want, uint64_t *token)
{
	const struct lock *held;

	DL_FOREACH (set->granted[want->kind], held) {
		if (same_owner(held, want) && held->handle == want->handle &&
		    held->mode == want->mode && held->start <= want->start &&
		    held->end >= want->end) {
			*token = held->token;
			return true;
		}
	}
	return false;
}

bool range_reserve(struct lock *spares[RANGE_SPARES])
{
	for (int i = 0; i < RANGE_SPARES; i++)
		spares[i] = malloc(sizeof(*spares[i]));
	if (spares[0] && spares[1])
		return true;
	range_unreserve(spares);
	return false;
}

void range_unreserve(struct lock *spares[RANGE_SPARES])
{
	for (int i = 0; i < RANGE_SPARES; i++) {
		free(spares[i]);
		spares[i] = NULL;
	}
}

/* Puts a copy of `like` into the set, in memory taken from the spares. */
static struct lock *range_insert(struct table *t, struct lockset *set, const struct lock *like,
				 struct lock *spares[RANGE_SPARES])
{
	int i = spares[0] ? 0 : 1;
	struct lock *lock = spares[i];

	assert(lock);
	spares[i] = NULL;
	*lock = *like;
	DL_APPEND(set->granted[lock->kind], lock);
	DL_APPEND2(lock->handle->locks, lock, handle_prev, handle_next);
	t->locks++;
	return lock;
}

void range_remove(struct table *t, struct lockset *set, struct lock *lock)
{
	DL_DELETE(set->granted[lock->kind], lock);
	DL_DELETE2(lock->handle->locks, lock, handle_prev, handle_next);
	t->locks--;
	free(lock);
}

/* Cuts [start, end] out of an own lock that overlaps it. */
static void range_cut(struct table *t, struct lockset *set, struct lock *held, int64_t start,
		      int64_t end, struct lock *spares[RANGE_SPARES])
{
	bool left = held->start<start, right = held->end> end;

	if (left && right) {
		struct lock *half = range_insert(t, set, held, spares);

		half->start = end + 1;
		held->end = start - 1;
	} else if (left) {
		held->end = start - 1;
	} else if (right) {
		held->start = end + 1;
	} else {
		range_remove(t, set, held);
	}
}

void range_set(struct table *t, struct lockset *set, const struct lock *want,
	       struct lock *spares[RANGE_SPARES])
{
	struct lock merged = *want;
	struct lock *held, *next;

	DL_FOREACH_SAFE (set->granted[want->kind], held, next) {
		if (!same_owner(held, want))
			continue;
		if (held->mode == want->mode && held->handle == want->handle &&
		    touch(held, &merged)) {
			merged.start = held->start < merged.start ? held->start : merged.start;
			merged.end = held->end > merged.end ? held->end : merged.end;
			range_remove(t, set, held);
		} else if (overlap(held, want)) {
			range_cut(t, set, held, want->start, want->end, spares);
		}
	}
	if (want->mode != LOCK_NONE)
		range_insert(t, set, &merged, spares);
}
