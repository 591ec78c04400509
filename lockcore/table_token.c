/* SPDX-License-Identifier: MIT */
/* Acquisitions by their tokens, which one wants for breaking them alone: so it is a search. */
#include "lockcore/table_internal.h"

static bool find_lock(const struct inode *inode, uint64_t token, struct table_acquired *out)
{
	const struct range *held;

	for (int kind = LOCK_FLOCK; inode->locks && kind <= LOCK_RANGE; kind++)
		DL_FOREACH (inode->locks->granted[kind], held) {
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

static bool find_name(const struct inode *inode, uint64_t token, struct table_acquired *out)
{
	const struct dentry *d;

	DL_FOREACH2 (inode->dentries, d, inode_next) {
		if (d->token != token || !d->holder)
			continue;
		*out = (struct table_acquired){.client = d->holder->id, .ino = inode->ino};
		return true;
	}
	return false;
}

bool table_find_token(const struct table *t, uint64_t token, struct table_acquired *out)
{
	const struct inode *inode;

	assert(!t->restoring && token);
	for (inode = t->inodes; inode; inode = inode->hh.next)
		if (find_lock(inode, token, out) || find_name(inode, token, out))
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

bool table_let_go(struct table *t, uint64_t parent, const char *name, uint64_t client, uint64_t req,
		  struct moment now)
{
	struct inode *dir;
	struct dentry *d;

	if (dir_find(t, parent, name, &dir, &d) != STATUS_OK || !d || !d->inode->dir ||
	    !d->inode->dir->live || !d->holder || d->holder->id != client || d->maker_req != req)
		return false;
	dentry_orphan(t, d, now);
	return true;
}
