/* SPDX-License-Identifier: MIT */
/* Inodes: making, opening, reading, writing, attributes, and when they cease to be. */
#include "lockcore/table_internal.h"

/* Where a table's inode numbers begin: the root is 1 whatever the epoch. */
#define FIRST_INO 1

struct inode *inode_find(struct table *t, uint64_t ino)
{
	struct inode *inode;

	HASH_FIND(hh, t->inodes, &ino, sizeof(ino), inode);
	return inode;
}

struct inode *inode_new(struct table *t, uint64_t ino)
{
	struct inode *inode = calloc(1, sizeof(*inode));

	if (!inode)
		return NULL;
	inode->ino = ino;
	HASH_ADD(hh, t->inodes, ino, sizeof(ino), inode);
	if (!inode->hh.tbl) {
		free(inode);
		return NULL;
	}
	return inode;
}

/* A directory counts its own "." and its subdirectories' "..". */
static uint32_t nlink_shown(const struct inode *inode)
{
	return inode->dir && inode->nlink ? 2 + inode->dir->subdirs : inode->nlink;
}

void inode_attr(const struct inode *inode, struct attr *out)
{
	*out = (struct attr){
		.ino = inode->ino,
		.version = inode->version,
		.mode = inode->mode,
		.uid = inode->uid,
		.gid = inode->gid,
		.nlink = nlink_shown(inode),
		.size = inode->size,
		.atime_ns = inode->atime_ns,
		.mtime_ns = inode->mtime_ns,
		.ctime_ns = inode->ctime_ns,
	};
}

void inode_discard(struct table *t, struct inode *inode)
{
	assert(!inode->dentries && !inode->handles && !inode->size);
	HASH_DEL(t->inodes, inode);
	t->files--;
	free(inode->restore);
	free(inode->dir);
	free(inode);
}

void inode_changed(struct inode *inode, struct moment now)
{
	inode->version++;
	inode->ctime_ns = now.wall_ns;
}

void dir_touched(struct inode *dir, struct moment now)
{
	dir->mtime_ns = dir->ctime_ns = now.wall_ns;
}

/* In use: a program has it open, or a name is in it (contract 4.2, 4.3). */
static bool in_use(const struct inode *inode)
{
	return inode->handles || (inode->dir && inode->dir->live);
}

void inode_put(struct table *t, struct inode *inode, struct moment now)
{
	if (inode->dentries || in_use(inode) || inode->ino == ROOT_INO || inode->restore)
		return;
	assert(!inode->nlink);
	table_drop_changed(t, inode);
	lockset_leave(inode);
	lost_unlist(inode);
	HASH_DEL(t->inodes, inode);
	t->files--;
	t->content_bytes -= inode->size;
	if (inode->dir) {
		lost_unlist_all(inode->dir);
		free(inode->dir->slots);
	}
	free(inode->dir);
	inode->dir = NULL;
	inode->limbo_end_ns = now.boot_ns ? now.boot_ns + TABLE_LIMBO_NS : 0;
	inode->gone_next = t->gone;
	t->gone = inode;
}

/* A life longer than the clock will run is for ever. */
static int64_t ends_at(int64_t life_ns, struct moment now)
{
	return life_ns < MOMENT_NEVER - now.boot_ns ? now.boot_ns + life_ns : MOMENT_NEVER;
}

void inode_use_changed(struct table *t, struct inode *inode, struct moment now)
{
	struct dentry *d;

	DL_FOREACH2 (inode->dentries, d, inode_next) {
		if (d->holder)
			continue;
		if (in_use(inode))
			deadline_clear(&t->lives, &d->life);
		else
			deadline_set(&t->lives, &d->life, ends_at(d->idle_ns, now));
	}
}

void dentry_touched(struct table *t, struct dentry *d, struct moment now)
{
	if (d->holder && d->ttl_ns)
		deadline_set(&t->lives, &d->life, ends_at(d->ttl_ns, now));
	else if (d->holder)
		deadline_clear(&t->lives, &d->life);
}

void inode_touched(struct table *t, struct inode *inode, struct moment now)
{
	struct dentry *d;

	DL_FOREACH2 (inode->dentries, d, inode_next)
		dentry_touched(t, d, now);
	inode_use_changed(t, inode, now);
}

enum status inode_resize(struct table *t, struct inode *inode, uint64_t size)
{
	unsigned char *content;

	if (size > CONTENT_MAX_BYTES)
		return STATUS_TOO_BIG;
	if (size == inode->size)
		return STATUS_OK;
	if (size == 0) {
		free(inode->content);
		content = NULL;
	} else {
		content = realloc(inode->content, size);
		if (!content && size > inode->size)
			return STATUS_NO_MEMORY;
		if (!content)
			content = inode->content; /* larger than it need be */
		if (size > inode->size)
			memset(content + inode->size, 0, size - inode->size);
	}
	t->content_bytes += size - inode->size;
	inode->content = content;
	inode->size = size;
	return STATUS_OK;
}

/* For looking: it exists, or did a moment ago. */
static struct inode *find_or_limbo(struct table *t, uint64_t ino)
{
	struct inode *inode = inode_find(t, ino);

	return inode ? inode : limbo_find(t, ino);
}

enum status table_getattr(struct table *t, uint64_t ino, struct attr *out)
{
	struct inode *inode = find_or_limbo(t, ino);

	if (!inode)
		return STATUS_STALE;
	inode_attr(inode, out);
	return STATUS_OK;
}

static void truncate_now(struct table *t, struct inode *inode, struct moment now)
{
	enum status status = inode_resize(t, inode, 0);

	assert(status == STATUS_OK);
	inode_changed(inode, now);
	inode->mtime_ns = now.wall_ns;
}

/* Opens what exists, for table_open and table_create. */
/* As the kernel does where it can: a set-group bit without execution means something else. */
static void drop_privileges(struct inode *inode, uint32_t flags)
{
	if (!(flags & OPEN_UNPRIVILEGED) || !S_ISREG(inode->mode))
		return;
	inode->mode &= ~(uint32_t)S_ISUID;
	if (inode->mode & S_IXGRP)
		inode->mode &= ~(uint32_t)S_ISGID;
}

static enum status open_inode(struct table *t, uint64_t client, uint64_t handle,
			      struct inode *inode, uint32_t flags, struct moment now,
			      struct attr *out)
{
	enum status status;

	if (inode->dir)
		return STATUS_IS_DIR;
	status = table_add_handle(t, client, handle, inode);
	if (status != STATUS_OK)
		return status;
	if (flags & OPEN_TRUNC) {
		drop_privileges(inode, flags);
		truncate_now(t, inode, now);
		inode_touched(t, inode, now);
	}
	inode_use_changed(t, inode, now);
	inode_attr(inode, out);
	return STATUS_OK;
}

/*
 * Whoever opens a file without a name has looked the name up before it went, and shall look again;
 * who has done so in vain (OPEN_UNLINKED) gets the file, as if the open had come before the
 * removal.
 */
enum status table_open(struct table *t, uint64_t client, uint64_t handle, uint64_t ino,
		       uint32_t flags, struct moment now, struct attr *out)
{
	struct inode *inode = inode_find(t, ino);
	enum status status;

	if (!inode && (flags & OPEN_UNLINKED))
		inode = limbo_revive(t, ino);
	if (!inode || (!inode->nlink && !(flags & OPEN_UNLINKED)))
		return STATUS_STALE;
	status = open_inode(t, client, handle, inode, flags, now, out);
	inode_put(t, inode, now); /* back to limbo if that failed */
	return status;
}

/* Would the kernel let anybody with this uid open the file, whichever way? */
static bool plainly_allowed(const struct inode *inode, uint32_t uid)
{
	const uint32_t read_write = S_IRUSR | S_IWUSR;

	return uid == 0 || (uid == inode->uid && (inode->mode & read_write) == read_write);
}

struct inode *inode_make(struct table *t, uint32_t type, const struct table_make *make,
			 const struct inode *parent, struct moment now)
{
	struct inode *inode = inode_new(t, t->epoch_base + FIRST_INO + t->inos + 1);

	if (!inode)
		return NULL;
	t->inos++;
	t->files++;
	inode->version = 1;
	inode->mode = type | (make->mode & 07777);
	inode->uid = make->uid;
	inode->gid = parent->mode & S_ISGID ? parent->gid : make->gid;
	if (type == S_IFDIR)
		inode->mode |= parent->mode & S_ISGID;
	inode->atime_ns = inode->mtime_ns = inode->ctime_ns = now.wall_ns;
	return inode;
}

static enum status make_file(struct table *t, struct inode *parent, const struct table_make *make,
			     struct moment now, struct attr *out)
{
	struct inode *inode = inode_make(t, S_IFREG, make, parent, now);
	enum status status;

	if (!inode)
		return STATUS_NO_MEMORY;
	status = table_add_handle(t, make->client, make->handle, inode);
	if (status != STATUS_OK)
		goto out_inode;
	if (!dentry_make(t, parent, make, inode, !(make->flags & OPEN_EXCL), now)) {
		status = STATUS_NO_MEMORY;
		goto out_handle;
	}
	inode_attr(inode, out);
	return STATUS_OK;

out_handle:
	table_remove_handle(t, inode->handles);
out_inode:
	inode_discard(t, inode);
	return status;
}

enum status table_create(struct table *t, const struct table_make *make, struct moment now,
			 struct attr *out, bool *created)
{
	struct inode *parent;
	struct dentry *d;
	enum status status = dir_find(t, make->parent, make->name, &parent, &d);

	assert(!t->restoring);
	if (status == STATUS_STALE)
		return STATUS_NO_ENTRY; /* nothing in a directory that is gone, if looked for again */
	if (status != STATUS_OK)
		return status;
	*created = !d;
	if (d && (make->flags & OPEN_EXCL))
		return STATUS_EXISTS;
	if (d && d->inode->dir)
		return STATUS_IS_DIR; /* whoever looked again would be told the same, if not too late */
	if (d && !S_ISREG(d->inode->mode))
		return STATUS_STALE; /* the kernel follows links */
	if (d && !plainly_allowed(d->inode, make->uid))
		return STATUS_STALE;
	if (d)
		return open_inode(t, make->client, make->handle, d->inode, make->flags, now, out);
	if (!parent->nlink)
		return STATUS_NO_ENTRY; /* as for whatever else would be made in it */
	if (t->files >= t->max_files)
		return STATUS_NO_SPACE;
	return make_file(t, parent, make, now, out);
}

enum status table_read(struct table *t, uint64_t ino, int64_t offset, uint64_t length,
		       const void **data, size_t *len)
{
	struct inode *inode = find_or_limbo(t, ino);
	uint64_t rest;

	if (!inode)
		return STATUS_STALE;
	if (inode->dir)
		return STATUS_IS_DIR;
	if (offset < 0)
		return STATUS_INVALID;
	rest = (uint64_t)offset < inode->size ? inode->size - (uint64_t)offset : 0;
	*len = length < rest ? length : rest;
	*data = *len ? inode->content + offset : NULL;
	return STATUS_OK;
}

enum status table_write(struct table *t, uint64_t ino, int64_t offset, uint32_t flags,
			const void *data, size_t len, struct moment now, struct attr *out,
			int64_t *at)
{
	struct inode *inode = inode_find(t, ino);
	enum status status = STATUS_OK;

	if (!inode)
		return STATUS_STALE;
	if (inode->dir)
		return STATUS_IS_DIR;
	if (!S_ISREG(inode->mode))
		return STATUS_INVALID;
	if (offset < 0)
		return STATUS_INVALID;
	if (flags & OPEN_APPEND)
		offset = (int64_t)inode->size;
	if (len && !write_fits(offset, len))
		return STATUS_TOO_BIG;
	len = write_fits(offset, len);
	if (len && (uint64_t)offset + len > inode->size)
		status = inode_resize(t, inode, (uint64_t)offset + len);
	if (status != STATUS_OK)
		return status;
	if (len)
		memcpy(inode->content + offset, data, len);
	drop_privileges(inode, len ? flags : 0);
	inode_changed(inode, now);
	inode->mtime_ns = now.wall_ns;
	inode_touched(t, inode, now);
	inode_attr(inode, out);
	*at = offset;
	return STATUS_OK;
}

static void set_times(struct inode *inode, uint32_t set, const struct attr *to, struct moment now)
{
	if (set & SET_ATIME)
		inode->atime_ns = set & SET_ATIME_NOW ? now.wall_ns : to->atime_ns;
	if (set & SET_MTIME)
		inode->mtime_ns = set & SET_MTIME_NOW ? now.wall_ns : to->mtime_ns;
}

/* What touch(1) and writing set; a change of mode or owner is no sign of the holder's life. */
#define TOUCHES (SET_SIZE | SET_ATIME | SET_MTIME)

/* A touch is a use: it starts the idle time and the time-to-live anew (contract 4.3, 4.4). */
enum status table_setattr(struct table *t, uint64_t ino, uint32_t set, const struct attr *to,
			  struct moment now, struct attr *out)
{
	struct inode *inode = inode_find(t, ino);
	enum status status;

	if (!inode)
		return STATUS_STALE;
	if ((set & SET_SIZE) && inode->dir)
		return STATUS_IS_DIR;
	if ((set & SET_SIZE) && !S_ISREG(inode->mode))
		return STATUS_INVALID;
	if (set & SET_SIZE) {
		status = inode_resize(t, inode, to->size);
		if (status != STATUS_OK)
			return status;
		inode->mtime_ns = now.wall_ns;
	}
	if (set & SET_MODE)
		inode->mode = (inode->mode & S_IFMT) | (to->mode & 07777);
	if (set & SET_UID)
		inode->uid = to->uid;
	if (set & SET_GID)
		inode->gid = to->gid;
	set_times(inode, set, to, now);
	inode_changed(inode, now);
	if (set & TOUCHES)
		inode_touched(t, inode, now);
	else
		inode_use_changed(t, inode, now);
	inode_attr(inode, out);
	return STATUS_OK;
}
