/* SPDX-License-Identifier: MIT */
/* Names: directories and what is in them. */
#include "lockcore/table_internal.h"

#define DIR_FIRST_ROOM 16

enum status name_check(const char *name)
{
	if (!name || !*name || !strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/'))
		return STATUS_INVALID;
	return strlen(name) > NAME_MAX_BYTES ? STATUS_NAME_TOO_LONG : STATUS_OK;
}

/* A name's key in the table: the directory's number and the name with its NUL. Returns its length.
 */
static size_t name_key(unsigned char *key, uint64_t parent, const char *name)
{
	size_t len = strlen(name) + 1;

	memcpy(key, &parent, sizeof(parent));
	memcpy(key + sizeof(parent), name, len);
	return sizeof(parent) + len;
}

struct dentry *dentry_find(struct table *t, uint64_t parent, const char *name)
{
	unsigned char key[sizeof(parent) + NAME_MAX_BYTES + 1];
	size_t len = name_key(key, parent, name);
	struct dentry *d;

	HASH_FIND(hh, t->dentries, key, len, d);
	return d;
}

/* ---- A directory's slots ---- */

/* Squeezes out the slots of removed names once they are half of all. */
static void dir_compact(struct dir *dir)
{
	size_t to = 0;

	if (dir->live * 2 > dir->count)
		return;
	for (size_t from = 0; from < dir->count; from++)
		if (dir->slots[from].dentry)
			dir->slots[to++] = dir->slots[from];
	assert(to == dir->live);
	dir->count = to;
}

static bool dir_reserve(struct dir *dir)
{
	size_t room = dir->room ? dir->room * 2 : DIR_FIRST_ROOM;
	struct dir_slot *slots;

	if (dir->count < dir->room)
		return true;
	slots = realloc(dir->slots, room * sizeof(*slots));
	if (!slots)
		return false;
	dir->slots = slots;
	dir->room = room;
	return true;
}

/* The first slot whose cookie is above this one. */
static size_t dir_seek(const struct dir *dir, uint64_t cookie)
{
	size_t low = 0, high = dir->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (dir->slots[middle].cookie <= cookie)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void dir_remove(struct dir *dir, const struct dentry *d)
{
	size_t at = dir_seek(dir, d->cookie - 1);

	assert(at < dir->count && dir->slots[at].dentry == d);
	dir->slots[at].dentry = NULL;
	dir->live--;
	dir_compact(dir);
}

/* ---- Names ---- */

struct dentry *dentry_link(struct table *t, struct inode *parent, const char *name,
			   struct inode *inode, struct client *holder)
{
	struct dentry *d = calloc(1, sizeof(*d) + sizeof(uint64_t) + strlen(name) + 1);

	assert(parent->dir && !dentry_find(t, parent->ino, name));
	if (!d || !dir_reserve(parent->dir) || !deadline_reserve(&t->idle))
		goto out_free;
	d->key_len = name_key(d->key, parent->ino, name);
	HASH_ADD_KEYPTR(hh, t->dentries, d->key, d->key_len, d);
	if (!d->hh.tbl)
		goto out_release;
	d->parent = parent;
	d->inode = inode;
	d->holder = holder;
	d->cookie = ++t->cookies;
	parent->dir->slots[parent->dir->count++] = (struct dir_slot){d->cookie, d};
	parent->dir->live++;
	DL_APPEND2(inode->dentries, d, inode_prev, inode_next);
	inode->nlink++;
	if (holder)
		DL_APPEND2(holder->held, d, held_prev, held_next);
	return d;

out_release:
	deadline_release(&t->idle, &d->idle);
out_free:
	free(d);
	return NULL;
}

void dentry_unlink(struct table *t, struct dentry *d, struct moment now)
{
	struct inode *inode = d->inode, *parent = d->parent;

	deadline_release(&t->idle, &d->idle);
	HASH_DEL(t->dentries, d);
	dir_remove(parent->dir, d);
	DL_DELETE2(inode->dentries, d, inode_prev, inode_next);
	if (d->holder)
		DL_DELETE2(d->holder->held, d, held_prev, held_next);
	assert(inode->nlink);
	inode->nlink--;
	inode_changed(inode, now);
	inode_changed(parent, now);
	parent->mtime_ns = now.wall_ns;
	free(d);
	inode_put(t, inode);
}

static enum status find_in(struct table *t, uint64_t parent, const char *name, struct dentry **out)
{
	struct inode *dir = inode_find(t, parent);
	enum status status = name_check(name);

	if (status != STATUS_OK)
		return status;
	if (!dir)
		return STATUS_STALE;
	if (!dir->dir)
		return STATUS_NOT_DIR;
	*out = dentry_find(t, parent, name);
	return *out ? STATUS_OK : STATUS_NO_ENTRY;
}

enum status table_lookup(struct table *t, uint64_t parent, const char *name, struct attr *out)
{
	struct dentry *d;
	enum status status = find_in(t, parent, name, &d);

	if (status == STATUS_OK)
		inode_attr(d->inode, out);
	return status;
}

enum status table_unlink(struct table *t, uint64_t parent, const char *name, uint64_t client,
			 uint64_t only_req, struct moment now, struct attr *out)
{
	struct dentry *d;
	enum status status = find_in(t, parent, name, &d);

	if (status != STATUS_OK)
		return status;
	if (only_req && (!d->holder || d->holder->id != client || d->maker_req != only_req))
		return STATUS_NO_ENTRY;
	if (d->inode->dir)
		return STATUS_IS_DIR;
	inode_attr(d->inode, out);
	out->nlink--;
	out->version++;
	out->ctime_ns = now.wall_ns;
	dentry_unlink(t, d, now);
	return STATUS_OK;
}

enum status table_list(struct table *t, uint64_t ino, uint64_t cookie, struct entry *entries,
		       size_t max, size_t *count, bool *end)
{
	struct inode *inode = inode_find(t, ino);
	size_t at, n = 0;

	if (!inode)
		return STATUS_STALE;
	if (!inode->dir)
		return STATUS_NOT_DIR;
	for (at = dir_seek(inode->dir, cookie); at < inode->dir->count && n < max; at++) {
		const struct dentry *d = inode->dir->slots[at].dentry;

		if (!d)
			continue;
		entries[n++] = (struct entry){
			.ino = d->inode->ino,
			.cookie = d->cookie,
			.mode = d->inode->mode & S_IFMT,
			.name = dentry_name(d),
		};
	}
	*count = n;
	*end = at == inode->dir->count;
	return STATUS_OK;
}
