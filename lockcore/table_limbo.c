/* SPDX-License-Identifier: MIT */
/*
 * Limbo: inodes that are gone, remembered for a moment.
 *
 * The kernel asks by name (LOOKUP) and then by number (OPEN, GETATTR). On a local file system
 * nothing can go between the two, since the first holds the inode. Here it can; the kernel is told
 * STALE and looks the name up once more, but not twice: where a name is replaced all the time, as
 * by a writer that renames over it, a reader would get ESTALE. So a file that has just gone can
 * still be looked at, and be opened by one who has been told STALE before.
 */
#include "lockcore/table_internal.h"

static void inode_free(struct inode *inode)
{
	free(inode->last_name);
	free(inode->content);
	free(inode);
}

static void forget(struct table *t, struct inode *inode)
{
	HASH_DEL(t->limbo, inode);
	inode_free(inode);
}

void limbo_add(struct table *t, struct inode *inode)
{
	if (inode->limbo_end_ns == 0 || S_ISDIR(inode->mode)) {
		inode_free(inode);
		return;
	}
	if (HASH_COUNT(t->limbo) == TABLE_LIMBO_MAX)
		forget(t, t->limbo);
	HASH_ADD(hh, t->limbo, ino, sizeof(inode->ino), inode);
	if (!inode->hh.tbl)
		inode_free(inode);
}

struct inode *limbo_find(struct table *t, uint64_t ino)
{
	struct inode *inode;

	HASH_FIND(hh, t->limbo, &ino, sizeof(ino), inode);
	return inode;
}

struct inode *limbo_revive(struct table *t, uint64_t ino)
{
	struct inode *inode = limbo_find(t, ino);

	if (!inode)
		return NULL;
	HASH_DEL(t->limbo, inode);
	HASH_ADD(hh, t->inodes, ino, sizeof(inode->ino), inode);
	if (!inode->hh.tbl) {
		inode_free(inode);
		return NULL;
	}
	t->files++;
	t->content_bytes += inode->size;
	lost_list(t, inode);
	return inode;
}

void limbo_tick(struct table *t, struct moment now)
{
	while (t->limbo && t->limbo->limbo_end_ns <= now.boot_ns)
		forget(t, t->limbo);
}

void limbo_free(struct table *t)
{
	while (t->limbo)
		forget(t, t->limbo);
}
