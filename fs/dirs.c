/* SPDX-License-Identifier: MIT */
#include "fs/dirs.h"

#include <stdlib.h>
#include <sys/stat.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct dir {
	UT_hash_handle hh;
	struct attr attr;
	uint64_t times; /* told, and not forgotten */
};

struct dirs {
	struct dir *by_ino; /* attr.ino */
};

struct dirs *dirs_new(void)
{
	return calloc(1, sizeof(struct dirs));
}

static void drop(struct dirs *d, struct dir *dir)
{
	HASH_DEL(d->by_ino, dir);
	free(dir);
}

void dirs_free(struct dirs *d)
{
	while (d && d->by_ino)
		drop(d, d->by_ino);
	free(d);
}

static struct dir *find(const struct dirs *d, uint64_t ino)
{
	struct dir *dir;

	HASH_FIND(hh, d->by_ino, &ino, sizeof(ino), dir);
	return dir;
}

/* NULL: no memory, or no room. */
static struct dir *add(struct dirs *d, const struct attr *attr)
{
	struct dir *dir = HASH_COUNT(d->by_ino) < DIRS_MAX ? calloc(1, sizeof(*dir)) : NULL;

	if (!dir)
		return NULL;
	dir->attr = *attr;
	HASH_ADD(hh, d->by_ino, attr.ino, sizeof(dir->attr.ino), dir);
	if (dir->hh.tbl)
		return dir;
	free(dir);
	return NULL;
}

void dirs_told(struct dirs *d, const struct attr *attr)
{
	struct dir *dir = find(d, attr->ino);

	if (!dir && S_ISDIR(attr->mode))
		dir = add(d, attr);
	if (!dir)
		return;
	dir->attr = *attr;
	dir->times++;
}

void dirs_seen(struct dirs *d, const struct attr *attr)
{
	struct dir *dir = find(d, attr->ino);

	if (dir)
		dir->attr = *attr;
}

void dirs_forget(struct dirs *d, uint64_t ino, uint64_t times)
{
	struct dir *dir = find(d, ino);

	if (dir && dir->times > times)
		dir->times -= times;
	else if (dir)
		drop(d, dir);
}

bool dirs_gone(const struct dirs *d, uint64_t ino, struct attr *out)
{
	const struct dir *dir = find(d, ino);

	if (!dir)
		return false;
	*out = dir->attr;
	out->nlink = 0;
	return true;
}

bool dirs_change_gone(struct dirs *d, uint64_t ino, uint32_t set, const struct attr *to,
		      int64_t wall_ns, struct attr *out)
{
	struct dir *dir = find(d, ino);
	struct attr *attr = dir ? &dir->attr : NULL;

	if (!dir)
		return false;
	if (set & SET_MODE)
		attr->mode = (attr->mode & S_IFMT) | (to->mode & 07777);
	if (set & SET_UID)
		attr->uid = to->uid;
	if (set & SET_GID)
		attr->gid = to->gid;
	if (set & (SET_ATIME | SET_ATIME_NOW))
		attr->atime_ns = set & SET_ATIME_NOW ? wall_ns : to->atime_ns;
	if (set & (SET_MTIME | SET_MTIME_NOW))
		attr->mtime_ns = set & SET_MTIME_NOW ? wall_ns : to->mtime_ns;
	attr->ctime_ns = wall_ns;
	return dirs_gone(d, ino, out);
}
