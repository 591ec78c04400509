/* SPDX-License-Identifier: MIT */
/* Restoring the times of directories: of all who changed one, the last counts. The root has no record,
 * and before anybody has told of it the time at which the table began. */
#include "lockcore/table_internal.h"

struct changed {
	uint64_t ino;
	int64_t time_ns;
	struct changed *next;
};

enum status table_restore_time(struct table *t, uint64_t ino, int64_t time_ns)
{
	struct changed *c = malloc(sizeof(*c));

	t->restoring = true;
	if (!c)
		return STATUS_NO_MEMORY;
	*c = (struct changed){.ino = ino, .time_ns = time_ns};
	LL_PREPEND(t->changed_dirs, c);
	return STATUS_OK;
}

static void apply(struct table *t, const struct changed *c)
{
	struct inode *inode = inode_find(t, c->ino);

	if (!inode || !inode->dir)
		return;
	if (inode->mtime_ns < c->time_ns)
		inode->mtime_ns = c->time_ns;
	if (inode->ctime_ns < c->time_ns)
		inode->ctime_ns = c->time_ns;
}

void times_restored(struct table *t)
{
	struct inode *root = inode_find(t, ROOT_INO);
	int64_t began = root->mtime_ns;
	bool told = false;
	struct changed *c, *next;

	root->mtime_ns = root->ctime_ns = 0;
	LL_FOREACH_SAFE (t->changed_dirs, c, next) {
		told |= c->ino == ROOT_INO;
		apply(t, c);
		LL_DELETE(t->changed_dirs, c);
		free(c);
	}
	if (!told)
		root->mtime_ns = root->ctime_ns = began;
}
