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

static void attach(struct dentry *d, struct inode *inode)
{
	d->inode = inode;
	DL_APPEND2(inode->dentries, d, inode_prev, inode_next);
	inode->nlink++;
	if (inode->dir)
		d->parent->dir->subdirs++;
}

void dentry_set_holder(struct table *t, struct dentry *d, struct client *holder)
{
	if (d->holder)
		DL_DELETE2(d->holder->held, d, held_prev, held_next);
	roster_remove(&t->taken, &d->taken);
	d->holder = holder;
	if (!holder)
		return;
	DL_APPEND2(holder->held, d, held_prev, held_next);
	taken_add(t, &d->taken, ROSTER_NAME);
}

struct dentry *dentry_link(struct table *t, struct inode *parent, const char *name,
			   struct inode *inode, struct client *holder)
{
	struct dentry *d = calloc(1, sizeof(*d) + sizeof(uint64_t) + strlen(name) + 1);

	assert(parent->dir && !dentry_find(t, parent->ino, name));
	if (!d || !dir_reserve(parent->dir) || (holder && !roster_reserve(&t->taken)) ||
	    !deadline_reserve(&t->lives))
		goto out_free;
	d->key_len = (uint32_t)name_key(d->key, parent->ino, name);
	HASH_ADD_KEYPTR(hh, t->dentries, d->key, d->key_len, d);
	if (!d->hh.tbl)
		goto out_release;
	d->parent = parent;
	d->cookie = ++t->cookies;
	parent->dir->slots[parent->dir->count++] = (struct dir_slot){d->cookie, d};
	parent->dir->live++;
	attach(d, inode);
	dentry_set_holder(t, d, holder);
	return d;

out_release:
	deadline_release(&t->lives, &d->life);
out_free:
	free(d);
	return NULL;
}

void command_copy(char to[COMMAND_MAX_BYTES + 1], const char *from)
{
	memset(to, 0, COMMAND_MAX_BYTES + 1);
	if (from)
		memcpy(to, from, strnlen(from, COMMAND_MAX_BYTES));
}

/* A time-to-live that was given to the file, and not by a mount's option, is that of all its names.
 */
static void inherit_ttl(struct dentry *d)
{
	const struct dentry *other;

	d->ttl_set = false;
	DL_FOREACH2 (d->inode->dentries, other, inode_next) {
		if (!other->ttl_set)
			continue;
		d->ttl_ns = other->ttl_ns;
		d->ttl_set = true;
		return;
	}
}

void dentry_set_maker(struct table *t, struct dentry *d, const struct table_make *make,
		      struct client *holder, struct moment now)
{
	dentry_set_holder(t, d, holder);
	d->maker_req = make->req;
	d->maker_pid = make->pid;
	d->maker_uid = make->uid;
	d->idle_ns = make->idle_ns;
	d->ttl_ns = make->ttl_ns;
	inherit_ttl(d);
	command_copy(d->maker_command, make->command);
	d->since_ns = now.boot_ns;
	d->token = table_next_token(t);
	feed_name_made(t, d);
}

/* What was granted under the name while other files had it counts for this one. */
static void take_over_locks(struct table *t, struct inode *inode)
{
	lockset_join_kin(t, inode);
	lockset_settle(t, inode);
}

struct dentry *dentry_make(struct table *t, struct inode *parent, const struct table_make *make,
			   struct inode *inode, bool plain, struct moment now)
{
	struct client *client = table_client(t, make->client);
	struct dentry *d = NULL;

	if (client && (plain || roster_reserve(&t->taken)))
		d = dentry_link(t, parent, make->name, inode, NULL);
	if (!d)
		return NULL;
	dentry_set_maker(t, d, make, plain ? NULL : client, now);
	dentry_touched(t, d, now);
	if (inode->dir)
		attic_adopt(inode, d);
	take_over_locks(t, inode);
	inode_use_changed(t, inode, now);
	dir_touched(parent, now);
	inode_use_changed(t, parent, now);
	seen_appeared(t, d, client->id);
	return d;
}

/* The inode no longer has this name. */
static void detach(struct dentry *d, struct moment now)
{
	struct inode *inode = d->inode;

	DL_DELETE2(inode->dentries, d, inode_prev, inode_next);
	assert(inode->nlink);
	inode->nlink--;
	if (inode->dir)
		d->parent->dir->subdirs--;
	inode_changed(inode, now);
	dir_touched(d->parent, now);
}

void dentry_unlink(struct table *t, struct dentry *d, struct moment now)
{
	struct inode *inode = d->inode, *parent = d->parent;

	/* A directory that is moved has two names for a moment. */
	assert(!inode->dir || !inode->dir->live || inode->nlink > 1);
	feed_name_ends(t, d);
	seen_end(t, d);
	deadline_release(&t->lives, &d->life);
	HASH_DEL(t->dentries, d);
	detach(d, now);
	dir_remove(parent->dir, d);
	dentry_set_holder(t, d, NULL);
	if (inode->dir && !inode->nlink && inode->dir->lost)
		attic_keep(inode, d);
	else if (inode->nlink || inode->dir)
		free(d);
	else
		lost_keep(t, inode, d);
	inode_use_changed(t, parent, now);
	inode_put(t, inode, now);
	inode_put(t, parent, now);
}

struct dentry *dentry_lost(size_t name_len)
{
	return calloc(1, sizeof(struct dentry) + sizeof(uint64_t) + name_len + 1);
}

void dentry_set_key(struct dentry *d, uint64_t parent, const char *name)
{
	d->key_len = (uint32_t)name_key(d->key, parent, name);
}

void dentry_replace(struct table *t, struct dentry *d, struct inode *inode, struct dentry *spare,
		    struct moment now)
{
	struct inode *old = d->inode;

	assert(!old->dir || !old->dir->live);
	feed_name_ends(t, d);
	deadline_clear(&t->lives, &d->life);
	seen_end(t, d);
	detach(d, now);
	dentry_set_key(spare, d->parent->ino, dentry_name(d));
	spare->token = d->token;
	spare->parent = d->parent;
	if (old->dir && !old->nlink && old->dir->lost)
		attic_keep(old, spare);
	else if (old->nlink || old->dir)
		free(spare);
	else
		lost_keep(t, old, spare);
	attach(d, inode);
	if (inode->dir)
		attic_adopt(inode, d);
	inode_put(t, old, now); /* what nobody uses is no kin */
	take_over_locks(t, inode);
}

/* Only a directory with names in it outlives its holder, until it is empty. */
void dentry_orphan(struct table *t, struct dentry *d, struct moment now)
{
	feed_name_ends(t, d);
	dentry_set_holder(t, d, NULL);
	d->idle_ns = 0;
	deadline_clear(&t->lives, &d->life);
	inode_use_changed(t, d->inode, now);
}

/* The directory, and the name in it: NULL if there is none. */
enum status dir_find(struct table *t, uint64_t parent, const char *name, struct inode **dir,
		     struct dentry **d)
{
	enum status status = name_check(name);

	*dir = inode_find(t, parent);
	if (status != STATUS_OK)
		return status;
	if (!*dir)
		return STATUS_STALE;
	if (!(*dir)->dir)
		return STATUS_NOT_DIR;
	*d = dentry_find(t, parent, name);
	return STATUS_OK;
}

enum status table_lookup(struct table *t, uint64_t parent, const char *name, struct attr *out)
{
	struct inode *dir;
	struct dentry *d;
	enum status status = dir_find(t, parent, name, &dir, &d);

	if (status != STATUS_OK)
		return status;
	if (!d)
		return STATUS_NO_ENTRY;
	inode_attr(d->inode, out);
	return STATUS_OK;
}

uint64_t table_name_token(struct table *t, uint64_t parent, const char *name)
{
	const struct dentry *d =
		name_check(name) == STATUS_OK ? dentry_find(t, parent, name) : NULL;

	return d ? d->token : 0;
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
