/* SPDX-License-Identifier: MIT */
/* Acquisitions by their tokens, which one wants for breaking them alone: so it is a search. */
#include "lockcore/table_internal.h"

static bool is_lock(const struct lockset *set, uint64_t token, struct table_acquired *out)
{
	const struct range *held;

	for (int kind = LOCK_FLOCK; kind <= LOCK_RANGE; kind++)
		DL_FOREACH (set->granted[kind], held) {
			if (held->token != token)
				continue;
			*out = (struct table_acquired){
				.client = held->client,
				.ino = held->ino,
				.handle = held->handle,
			};
			return true;
		}
	return false;
}

static bool is_name(const struct dentry *d, uint64_t token, struct table_acquired *out)
{
	if (d->token != token)
		return false;
	assert(d->holder);
	*out = (struct table_acquired){.client = d->holder->id, .ino = d->inode->ino};
	return true;
}

static bool is_it(const struct roster_entry *e, uint64_t token, struct table_acquired *out)
{
	return e->sort == ROSTER_NAME ? is_name(taken_name(e), token, out)
				      : is_lock(taken_locks(e), token, out);
}

bool table_find_token(const struct table *t, uint64_t token, struct table_acquired *out)
{
	const struct roster_entry *e;
	size_t looks = SIZE_MAX;
	uint64_t cookie = 0;

	assert(!t->restoring && token);
	while ((e = roster_next(&t->taken, &cookie, &looks)))
		if (is_it(e, token, out))
			return true;
	return false;
}

static void release(struct table *t, struct inode *inode, uint64_t token, uint64_t client)
{
	struct lockset *set = inode->locks;
	struct range *held, *next;

	for (int kind = LOCK_FLOCK; kind <= LOCK_RANGE; kind++)
		DL_FOREACH_SAFE (set->granted[kind], held, next) {
			if (held->token != token || held->client != client)
				continue;
			lockset_changed(set, held->kind, held->start, held->end);
			feed_range(t, CHANGE_BROKEN, held);
			DL_DELETE(set->granted[kind], held);
			free(held);
			t->locks--;
		}
	lockset_settle_changed(t, inode);
}

void table_release(struct table *t, uint64_t token, uint64_t client)
{
	struct table_acquired acquired;

	if (table_find_token(t, token, &acquired) && acquired.client == client && acquired.handle)
		release(t, inode_find(t, acquired.ino), token, client);
}
