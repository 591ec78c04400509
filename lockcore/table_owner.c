/* SPDX-License-Identifier: MIT */
/*
 * Who waits: the waiting requests by their owner, and the files in which somebody waits for a
 * range. Both exist so that nobody has to look through all queues of the table.
 */
#include "lockcore/table_internal.h"

struct owner *owner_find(struct table *t, const struct range *like)
{
	struct owner *owner;
	struct {
		uint64_t client, owner, kind;
	} key = {like->client, like->owner, like->kind};

	HASH_FIND(hh, t->owners, &key, sizeof(key), owner);
	return owner;
}

static struct owner *owner_make(struct table *t, const struct range *like)
{
	struct owner *owner = owner_find(t, like);

	if (owner)
		return owner;
	owner = calloc(1, sizeof(*owner));
	if (!owner)
		return NULL;
	owner->key.client = like->client;
	owner->key.owner = like->owner;
	owner->key.kind = like->kind;
	HASH_ADD(hh, t->owners, key, sizeof(owner->key), owner);
	if (!owner->hh.tbl) {
		free(owner);
		return NULL;
	}
	return owner;
}

bool owner_waits(struct table *t, struct lockset *set, struct waiter *w)
{
	w->owner = owner_make(t, &w->want);
	if (!w->owner)
		return false;
	DL_APPEND2(w->owner->waiters, w, owner_prev, owner_next);
	if (set->waiting[w->want.kind]++ == 0 && w->want.kind == LOCK_RANGE)
		DL_APPEND2(t->contended, set, contended_prev, contended_next);
	return true;
}

void owner_waits_no_more(struct table *t, struct lockset *set, struct waiter *w)
{
	assert(set->waiting[w->want.kind]);
	if (--set->waiting[w->want.kind] == 0 && w->want.kind == LOCK_RANGE)
		DL_DELETE2(t->contended, set, contended_prev, contended_next);
	DL_DELETE2(w->owner->waiters, w, owner_prev, owner_next);
	if (!w->owner->waiters) {
		HASH_DEL(t->owners, w->owner);
		free(w->owner);
	}
	w->owner = NULL;
}

void owners_move(struct table *t, struct lockset *into, struct lockset *from)
{
	if (from->waiting[LOCK_RANGE])
		DL_DELETE2(t->contended, from, contended_prev, contended_next);
	if (from->waiting[LOCK_RANGE] && !into->waiting[LOCK_RANGE])
		DL_APPEND2(t->contended, into, contended_prev, contended_next);
	for (int kind = LOCK_FLOCK; kind <= LOCK_RANGE; kind++)
		into->waiting[kind] += from->waiting[kind];
}

void owner_gained(struct table *t, struct lockset *set, const struct range *got)
{
	struct owner *owner = owner_find(t, got);
	struct waiter *w;

	if (!owner)
		return;
	DL_FOREACH2 (owner->waiters, w, owner_next) {
		if (w->handle->inode->locks != set)
			continue;
		w->may_hold = true;
		lockset_changed(set, w->want.kind, w->want.start, w->want.end);
	}
}
