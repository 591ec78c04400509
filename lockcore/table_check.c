/* SPDX-License-Identifier: MIT */
/* Every invariant of the table, asserted: the manual of what table*.c may rely on. */
#include "lockcore/table_internal.h"

static void check_locks_of(const struct lockset *set, enum lock_kind kind)
{
	const struct range *a, *b;

	DL_FOREACH (set->granted[kind], a) {
		assert(a->kind == kind && a->mode != LOCK_NONE);
		assert(a->start >= 0 && a->start <= a->end && a->token);
		for (b = a->next; b; b = b->next) {
			if (a->ino != b->ino)
				continue; /* each was granted before they met */
			assert(!range_conflicts(a, b));
			assert(!range_same_owner(a, b) || !range_overlap(a, b));
		}
	}
}

/* First come, first served: who waits has somebody in the way, and tickets grow along the queue. */
static void check_queue(const struct table *t, const struct lockset *set)
{
	const struct waiter *w;
	uint64_t ticket = 0;
	size_t waiting[2] = {0};

	DL_FOREACH (set->queue, w) {
		waiting[w->want.kind]++;
		assert(w->owner && w->owner->key.kind == w->want.kind && w->owner->waiters);
		assert(w->may_hold || !lockset_owner_holds(set, &w->want));
		bool blocked = range_blocker(set->granted[w->want.kind], &w->want) != NULL;

		for (const struct waiter *e = set->queue; e != w && !blocked; e = e->next)
			blocked =
				e->want.kind == w->want.kind && range_conflicts(&e->want, &w->want);
		assert(blocked || t->restoring);
		assert(w->ticket > ticket || t->restoring);
		ticket = w->ticket;
	}
	assert(waiting[LOCK_FLOCK] == set->waiting[LOCK_FLOCK]);
	assert(waiting[LOCK_RANGE] == set->waiting[LOCK_RANGE]);
}

/* Names stand in the listing in the order of their cookies, and each once. */
static void check_dir(const struct inode *inode)
{
	const struct dir *dir = inode->dir;
	const struct dentry *lost;
	size_t live = 0;
	uint32_t subdirs = 0;

	assert(dir->count <= dir->room && inode->nlink <= 1 && !inode->handles && !inode->size);
	for (size_t i = 0; i < dir->count; i++) {
		const struct dentry *d = dir->slots[i].dentry;

		assert(i == 0 || dir->slots[i].cookie > dir->slots[i - 1].cookie);
		if (!d)
			continue;
		assert(d->parent == inode && d->cookie == dir->slots[i].cookie);
		live++;
		subdirs += d->inode->dir != NULL;
	}
	assert(live == dir->live && subdirs == dir->subdirs);
	DL_FOREACH2 (dir->lost, lost, inode_next)
		if (!lost->inode)
			attic_check(lost);
	assert(inode->ino == ROOT_INO || !inode->dentries ||
	       !inode_is_below(inode->dentries->parent, inode));
}

static void check_last_name(const struct inode *inode)
{
	const struct dentry *d = inode->last_name;
	const struct dentry *lost;

	if (!d)
		return;
	assert(!inode->nlink && !inode->dir && d->inode == inode && !d->holder);
	assert(!d->parent || !d->attic_of);
	if (!d->parent)
		return;
	DL_FOREACH2 (d->parent->dir->lost, lost, inode_next)
		if (lost == d)
			break;
	assert(lost && d->parent->ino == dentry_parent(d));
}

/* Kin have all their locks in one set, and each knows it. */
static void check_members(const struct inode *inode)
{
	const struct lockset *set = inode->locks;
	const struct inode *member;
	bool found = false;

	assert(set->granted[LOCK_FLOCK] || set->granted[LOCK_RANGE] || set->queue);
	DL_FOREACH2 (set->members, member, set_next) {
		assert(member->locks == set);
		found = found || member == inode;
	}
	assert(found);
}

static void check_inode(const struct table *t, const struct inode *inode)
{
	const struct dentry *d;
	const struct handle *h;
	size_t names = 0;

	assert((inode->size == 0) == (inode->content == NULL));
	assert(!inode->changed_prev || inode->dentries || inode->handles);
	assert(inode->dentries || inode->handles || inode->ino == ROOT_INO || t->restoring ||
	       (inode->dir && inode->dir->live));
	DL_FOREACH2 (inode->dentries, d, inode_next) {
		names++;
		assert(d->inode == inode);
		if (d->holder)
			assert(deadline_is_set(&d->life) == (d->ttl_ns != 0));
		else
			assert(deadline_is_set(&d->life) ==
			       (!inode->handles && !(inode->dir && inode->dir->live)));
	}
	assert(names == inode->nlink || inode->ino == ROOT_INO);
	assert(names <= LINKS_MAX && S_ISDIR(inode->mode) == (inode->dir != NULL));
	if (inode->dir)
		check_dir(inode);
	DL_FOREACH2 (inode->handles, h, inode_next)
		assert(h->inode == inode);
	check_last_name(inode);
	if (!inode->locks)
		return;
	check_members(inode);
	check_locks_of(inode->locks, LOCK_FLOCK);
	check_locks_of(inode->locks, LOCK_RANGE);
	check_queue(t, inode->locks);
}

/* Every waiter is known by its owner, every file with a waiter for a range as contended. */
static void check_owners(const struct table *t)
{
	size_t waiting = HASH_COUNT(t->waiters);
	const struct lockset *set;
	const struct owner *owner;
	const struct waiter *w;

	for (owner = t->owners; owner; owner = owner->hh.next)
		DL_FOREACH2 (owner->waiters, w, owner_next) {
			assert(w->owner == owner && owner->key.client == w->want.client);
			assert(owner->key.owner == w->want.owner);
			waiting--;
		}
	assert(waiting == 0);
	DL_FOREACH2 (t->contended, set, contended_next)
		assert(set->waiting[LOCK_RANGE]);
}

/* Whoever lists the locks finds every held name and every set of locks, and nothing else. */
static void check_taken(const struct table *t)
{
	size_t live = t->taken.live;
	const struct inode *inode;
	const struct dentry *d;
	uint64_t cookie = 0;

	for (size_t i = 0; i < t->taken.count; i++) {
		const struct roster_slot *slot = &t->taken.slots[i];

		assert(slot->cookie > cookie && slot->cookie <= t->cookies);
		cookie = slot->cookie;
		assert(!slot->entry || slot->entry->cookie == cookie);
	}
	for (d = t->dentries; d; d = d->hh.next) {
		assert((d->holder != NULL) == (d->taken.cookie != 0));
		live -= d->holder != NULL;
	}
	for (inode = t->inodes; inode; inode = inode->hh.next) {
		assert(!inode->locks || inode->locks->taken.cookie);
		live -= inode->locks && inode->locks->members == inode;
	}
	assert(live == 0);
}

void table_check(struct table *t)
{
	const struct inode *inode;
	const struct dentry *d;
	size_t files = 0, live = 0;
	uint64_t bytes = 0;

	for (inode = t->inodes; inode; inode = inode->hh.next) {
		check_inode(t, inode);
		files += inode->ino != ROOT_INO;
		live += inode->dir ? inode->dir->live : 0;
		bytes += inode->size;
	}
	for (d = t->dentries; d; d = d->hh.next)
		live--;
	assert(live == 0);
	seen_check(t);
	check_owners(t);
	check_taken(t);
	assert(files == t->files && bytes == t->content_bytes);
}
