/* SPDX-License-Identifier: MIT */
/*
 * Kin: files that have, or had last, one name, and therefore one lock (contract 5.5).
 *
 *	open F, flock ── unlink F ── create F ── flock: waits for the first
 *	     inode 7      (lost)       inode 8
 *
 * An inode whose last name was removed keeps that name in mind (last_name, a dentry in no hash)
 * until it is gone itself; while it is in use the directory lists it. Kin share one lockset as soon
 * as one of them has a lock or a waiter, so that every request meets all of them. Locksets that
 * came about apart, of a file that was locked under another name and then moved here, are put
 * together: what was granted stays, and whoever comes next waits for all of it.
 * Only what can be locked is kin: a symbolic link that is moved ties no files together.
 *
 * A process is one owner on all of them, but what it locks on one file it unlocks there alone
 * (range.ino).
 */
#include "lockcore/table_internal.h"

/* ---- Last names ---- */

void lost_keep(struct table *t, struct inode *inode, struct dentry *d)
{
	assert(!inode->nlink && !inode->dir && !inode->last_name);
	inode->last_name = d;
	d->inode = inode;
	d->holder = NULL;
	d->attic = d->attic_of = NULL;
	d->parent = NULL;
	lost_list(t, inode);
}

void lost_list(struct table *t, struct inode *inode)
{
	struct dentry *d = inode->last_name;
	struct inode *parent = d ? inode_find(t, dentry_parent(d)) : NULL;

	if (!parent || !parent->dir || d->parent || d->attic_of)
		return;
	d->parent = parent;
	DL_APPEND2(parent->dir->lost, d, inode_prev, inode_next);
}

void lost_unlist(struct inode *inode)
{
	struct dentry *d = inode->last_name;

	if (d && d->attic_of)
		attic_take(d);
	if (!d || !d->parent)
		return;
	DL_DELETE2(d->parent->dir->lost, d, inode_prev, inode_next);
	d->parent = NULL;
}

void lost_unlist_all(struct dir *dir)
{
	while (dir->lost) {
		assert(dir->lost->inode); /* no attic: it has had no name since the table began */
		lost_unlist(dir->lost->inode);
	}
}

/* ---- Locksets ---- */

struct lockset *lockset_make(struct table *t, struct inode *inode)
{
	if (inode->locks)
		return inode->locks;
	inode->locks = roster_reserve(&t->taken) ? calloc(1, sizeof(*inode->locks)) : NULL;
	if (!inode->locks)
		return NULL;
	DL_APPEND2(inode->locks->members, inode, set_prev, set_next);
	taken_add(t, &inode->locks->taken, ROSTER_LOCKS);
	return inode->locks;
}

void lockset_leave(struct inode *inode)
{
	if (!inode->locks)
		return;
	DL_DELETE2(inode->locks->members, inode, set_prev, set_next);
	inode->locks = NULL;
}

void lockset_free_if_empty(struct table *t, struct inode *inode)
{
	struct lockset *set = inode->locks;

	if (!set || set->granted[0] || set->granted[1] || set->queue)
		return;
	while (set->members)
		lockset_leave(set->members);
	roster_remove(&t->taken, &set->taken);
	free(set);
}

static int by_ticket(const struct waiter *a, const struct waiter *b)
{
	return a->ticket < b->ticket ? -1 : a->ticket > b->ticket;
}

void lockset_sort(struct lockset *set)
{
	DL_SORT(set->queue, by_ticket);
}

/* First come, first served over both queues. An owner who waits in one may hold in the other. */
static void merge(struct table *t, struct lockset *into, struct lockset *from)
{
	struct inode *member;
	struct waiter *w;

	for (int kind = LOCK_FLOCK; kind <= LOCK_RANGE; kind++)
		range_concat(&into->granted[kind], from->granted[kind]);
	owners_move(t, into, from);
	DL_CONCAT(into->queue, from->queue);
	lockset_sort(into);
	DL_FOREACH (into->queue, w)
		w->may_hold = true;
	DL_FOREACH2 (from->members, member, set_next)
		member->locks = into;
	DL_CONCAT2(into->members, from->members, set_prev, set_next);
	roster_remove(&t->taken, &from->taken);
	free(from);
}

static void share(struct table *t, struct inode *inode, struct inode *kin)
{
	if (!kin || kin == inode || kin->locks == inode->locks)
		return;
	if (kin->locks && inode->locks) {
		merge(t, kin->locks, inode->locks);
		return;
	}
	if (inode->locks) {
		kin->locks = inode->locks;
		DL_APPEND2(kin->locks->members, kin, set_prev, set_next);
	} else {
		inode->locks = kin->locks;
		DL_APPEND2(inode->locks->members, inode, set_prev, set_next);
	}
}

static bool same_name(const struct dentry *a, const struct dentry *b)
{
	return a->key_len == b->key_len && !memcmp(a->key, b->key, a->key_len);
}

/* Those who had the name, and, for one that has lost it, who has it now. */
static void join_name(struct table *t, struct inode *inode, const struct dentry *name)
{
	struct dentry *lost, *now;

	if (!name->parent)
		return;
	DL_FOREACH2 (name->parent->dir->lost, lost, inode_next)
		if (lost->inode && same_name(lost, name))
			share(t, inode, lost->inode);
	if (name == inode->last_name) {
		now = dentry_find(t, name->parent->ino, dentry_name(name));
		share(t, inode, now && S_ISREG(now->inode->mode) ? now->inode : NULL);
	}
}

static void join_names(struct table *t, struct inode *inode)
{
	const struct dentry *d;

	if (!rule(RULE_LOCKS_BELONG_TO_NAMES))
		return;
	DL_FOREACH2 (inode->dentries, d, inode_next)
		join_name(t, inode, d);
	if (inode->last_name)
		join_name(t, inode, inode->last_name);
}

void lockset_join_kin(struct table *t, struct inode *inode)
{
	bool had_locks = inode->locks != NULL;

	if (!S_ISREG(inode->mode))
		return;
	join_names(t, inode);
	if (!had_locks && inode->locks)
		join_names(t, inode); /* and those who came before the first that has locks */
}
