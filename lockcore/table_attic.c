/* SPDX-License-Identifier: MIT */
/*
 * Attics: last names in directories that were removed (contract 5.5).
 *
 *	open d/F, flock ── rm -r d ── mkdir d ── create d/F, flock: waits for the first
 *	                   attic d    d has F's last name again
 *
 * A directory that is removed while inodes in use had their last names in it leaves its own last
 * name behind: a dentry without an inode, which has those names. It is one of the lost names of the
 * directory that it was in, or, once that is removed as well, in its attic. The next directory under
 * the name gets all that is in it (of two: it may have been moved there and have had one itself). An
 * attic goes with the last of what is in it, and is not reclaimed: a master that starts anew keeps kin
 * apart that are only kin by it.
 */
#include "lockcore/table_internal.h"

static void put_in(struct dentry *attic, struct dentry *d)
{
	d->parent = NULL;
	d->attic_of = attic;
	DL_APPEND2(attic->attic, d, inode_prev, inode_next);
}

void attic_keep(struct inode *dir, struct dentry *d)
{
	struct dentry *lost, *next;

	assert(!dir->nlink && dir->dir->lost && d->parent);
	d->inode = NULL;
	d->holder = NULL;
	d->attic = d->attic_of = NULL;
	DL_FOREACH_SAFE2 (dir->dir->lost, lost, next, inode_next) {
		DL_DELETE2(dir->dir->lost, lost, inode_prev, inode_next);
		put_in(d, lost);
	}
	DL_APPEND2(d->parent->dir->lost, d, inode_prev, inode_next);
}

/* Empty attics go, and so may those that they are in. */
static void tidy(struct dentry *attic)
{
	while (attic && !attic->attic) {
		struct dentry *in = attic->attic_of;

		if (in)
			DL_DELETE2(in->attic, attic, inode_prev, inode_next);
		else
			DL_DELETE2(attic->parent->dir->lost, attic, inode_prev, inode_next);
		free(attic);
		attic = in;
	}
}

void attic_take(struct dentry *d)
{
	struct dentry *attic = d->attic_of;

	assert(attic && !d->parent);
	DL_DELETE2(attic->attic, d, inode_prev, inode_next);
	d->attic_of = NULL;
	tidy(attic);
}

static struct dentry *find(const struct inode *parent, const char *name)
{
	struct dentry *lost;

	DL_FOREACH2 (parent->dir->lost, lost, inode_next)
		if (!lost->inode && !strcmp(dentry_name(lost), name))
			return lost;
	return NULL;
}

void attic_adopt(struct inode *dir, const struct dentry *as)
{
	struct dentry *attic, *d, *next;

	while ((attic = find(as->parent, dentry_name(as)))) {
		DL_FOREACH_SAFE2 (attic->attic, d, next, inode_next) {
			DL_DELETE2(attic->attic, d, inode_prev, inode_next);
			d->attic_of = NULL;
			d->parent = dir;
			memcpy(d->key, &dir->ino, sizeof(dir->ino));
			DL_APPEND2(dir->dir->lost, d, inode_prev, inode_next);
		}
		tidy(attic);
	}
}

void attic_check(const struct dentry *attic)
{
	const struct dentry *d;

	assert(!attic->inode && attic->attic && !attic->parent == (attic->attic_of != NULL));
	DL_FOREACH2 (attic->attic, d, inode_next) {
		assert(d->attic_of == attic && !d->parent);
		if (!d->inode)
			attic_check(d);
	}
}
