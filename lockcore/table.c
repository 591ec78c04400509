/* SPDX-License-Identifier: MIT */
/* The table as a whole: clients, handles, and the end of both. */
#include "lockcore/table_internal.h"

#define ROOT_MODE 01777 /* contract 3.2 */

struct table *table_new(uint64_t epoch, uint64_t max_files, struct moment now)
{
	struct table *t = calloc(1, sizeof(*t));
	struct inode *root;

	assert(epoch < UINT64_C(1) << (63 - TABLE_EPOCH_SHIFT));
	if (!t)
		return NULL;
	t->epoch_base = epoch << TABLE_EPOCH_SHIFT;
	t->max_files = max_files;
	t->ends_by = CHANGE_RELEASED;
	t->now_ns = now.boot_ns;
	root = inode_new(t, ROOT_INO);
	if (!root)
		goto out_table;
	root->dir = calloc(1, sizeof(*root->dir));
	if (!root->dir)
		goto out_root;
	root->mode = S_IFDIR | ROOT_MODE;
	root->nlink = 1;
	root->version = 1;
	root->atime_ns = root->mtime_ns = root->ctime_ns = now.wall_ns;
	return t;

out_root:
	HASH_DEL(t->inodes, root);
	free(root);
out_table:
	free(t);
	return NULL;
}

static void free_inodes(struct table *t)
{
	struct inode *inode, *next;

	HASH_ITER (hh, t->inodes, inode, next) {
		HASH_DEL(t->inodes, inode);
		if (inode->dir)
			free(inode->dir->slots);
		free(inode->dir);
		free(inode->last_name);
		free(inode->content);
		free(inode);
	}
}

static void free_gone(struct table *t)
{
	uint64_t ino;

	while (table_next_gone(t, &ino))
		;
}

void table_free(struct table *t)
{
	struct client *client, *next;
	struct dentry *dentry, *next_dentry;
	struct table_grant grant;
	struct table_news news;

	if (!t)
		return;
	HASH_ITER (hh, t->clients, client, next)
		table_drop_client(t, client->id, (struct moment){0});
	if (t->restoring)
		table_restore_end(t, (struct moment){0}, NULL, NULL);
	while (table_next_grant(t, &grant))
		;
	while (table_next_news(t, &news))
		;
	free_gone(t);
	HASH_ITER (hh, t->dentries, dentry, next_dentry) {
		HASH_DEL(t->dentries, dentry);
		free(dentry);
	}
	feed_free(t);
	limbo_free(t);
	free_inodes(t);
	deadlines_deinit(&t->lives);
	roster_deinit(&t->taken);
	free(t->tombs);
	free(t);
}

void table_now(struct table *t, struct moment now)
{
	t->now_ns = now.boot_ns;
}

uint64_t table_next_token(struct table *t)
{
	uint64_t base = rule(RULE_TOKENS_GROW) ? t->epoch_base : UINT64_C(1) << TABLE_EPOCH_SHIFT;

	return base + ++t->tokens;
}

/* ---- Clients and handles ---- */

struct client *table_client(struct table *t, uint64_t id)
{
	struct client *client;

	HASH_FIND(hh, t->clients, &id, sizeof(id), client);
	if (client)
		return client;
	client = calloc(1, sizeof(*client));
	if (!client)
		return NULL;
	client->id = id;
	HASH_ADD(hh, t->clients, id, sizeof(id), client);
	if (!client->hh.tbl) {
		free(client);
		return NULL;
	}
	return client;
}

struct handle *table_handle(struct table *t, uint64_t client, uint64_t id)
{
	struct handle *h;
	struct {
		uint64_t client, id;
	} key = {client, id};

	HASH_FIND(hh, t->handles, &key, sizeof(key), h);
	return h;
}

enum status table_add_handle(struct table *t, uint64_t client, uint64_t id, struct inode *inode)
{
	struct client *owner = table_client(t, client);
	struct handle *h = calloc(1, sizeof(*h));

	if (!owner || !h)
		goto out_no_memory;
	if (table_handle(t, client, id)) {
		free(h);
		return STATUS_INVALID;
	}
	h->key.client = client;
	h->key.id = id;
	h->client = owner;
	h->inode = inode;
	HASH_ADD(hh, t->handles, key, sizeof(h->key), h);
	if (!h->hh.tbl)
		goto out_no_memory;
	DL_APPEND2(inode->handles, h, inode_prev, inode_next);
	DL_APPEND2(owner->handles, h, client_prev, client_next);
	return STATUS_OK;

out_no_memory:
	free(h);
	return STATUS_NO_MEMORY;
}

void table_remove_handle(struct table *t, struct handle *h)
{
	assert(!h->waiters);
	DL_DELETE2(h->inode->handles, h, inode_prev, inode_next);
	DL_DELETE2(h->client->handles, h, client_prev, client_next);
	HASH_DEL(t->handles, h);
	free(h);
}

static void handle_close(struct table *t, struct handle *h, struct moment now)
{
	struct inode *inode = h->inode;

	lockset_drop_handle(t, h);
	lockset_settle_changed(t, inode);
	table_remove_handle(t, h);
	inode_use_changed(t, inode, now);
	inode_put(t, inode, now);
}

void table_close(struct table *t, uint64_t client, uint64_t handle, struct moment now)
{
	struct handle *h = table_handle(t, client, handle);

	table_now(t, now);
	if (h)
		handle_close(t, h, now);
}

void table_drop_waiters(struct table *t, uint64_t id)
{
	struct client *client;
	struct handle *h;

	HASH_FIND(hh, t->clients, &id, sizeof(id), client);
	if (!client)
		return;
	DL_FOREACH2 (client->handles, h, client_next)
		handle_drop_waiters(t, h);
	DL_FOREACH2 (client->handles, h, client_next)
		lockset_settle(t, h->inode);
}

/*
 * The name goes, and with it the directories of the same holder that this empties. *next, a name
 * that was to be looked at next, is moved on if it goes too.
 */
static void drop_upwards(struct table *t, struct client *client, struct dentry *d,
			 struct dentry **next, struct moment now)
{
	while (d && d->holder == client && !(d->inode->dir && d->inode->dir->live)) {
		struct dentry *above = d->parent->dentries;

		if (*next == d)
			*next = d->held_next;
		dentry_unlink(t, d, now);
		d = above;
	}
}

/* What is in a directory goes before the directory; one that others have names in outlives its
 * holder. */
static void drop_held(struct table *t, struct client *client, struct moment now)
{
	struct dentry *d, *next;

	for (d = client->held; d; d = next) {
		next = d->held_next;
		drop_upwards(t, client, d, &next, now);
	}
	while (client->held)
		dentry_orphan(t, client->held, now);
}

/*
 * All its locks and waiters go before anyone is granted anything, so that a dying client is never
 * granted what it gives up (rule 9), and the others get theirs in the order of the queue.
 */
void table_drop_client(struct table *t, uint64_t id, struct moment now)
{
	struct client *client;
	struct handle *h, *next_handle;

	HASH_FIND(hh, t->clients, &id, sizeof(id), client);
	if (!client)
		return;
	table_now(t, now);
	t->ends_by = CHANGE_EXPIRED;
	DL_FOREACH2 (client->handles, h, client_next)
		lockset_drop_handle(t, h);
	seen_drop_client(t, client);
	drop_held(t, client, now);
	DL_FOREACH_SAFE2 (client->handles, h, next_handle, client_next)
		handle_close(t, h, now);
	HASH_DEL(t->clients, client);
	free(client);
	t->ends_by = CHANGE_RELEASED;
}

uint64_t table_opener(struct table *t, uint64_t ino, uint64_t but)
{
	struct inode *inode = inode_find(t, ino);
	struct handle *h;

	if (!inode)
		return 0;
	DL_FOREACH2 (inode->handles, h, inode_next)
		if (h->client->id != but)
			return h->client->id;
	return 0;
}

/* ---- Time ---- */

int64_t table_deadline(const struct table *t)
{
	int64_t life = deadlines_next(&t->lives);

	return t->limbo && t->limbo->limbo_end_ns < life ? t->limbo->limbo_end_ns : life;
}

static void changed_by_time(struct table *t, struct inode *inode)
{
	if (!inode->changed_prev)
		DL_APPEND2(t->changed, inode, changed_prev, changed_next);
}

void table_drop_changed(struct table *t, struct inode *inode)
{
	if (!inode->changed_prev)
		return;
	DL_DELETE2(t->changed, inode, changed_prev, changed_next);
	inode->changed_prev = NULL;
}

/* A held directory whose time-to-live is over may have names in it; a file may be open, or have
 * others. */
static void end_of_life(struct table *t, struct dentry *d, struct moment now)
{
	struct inode *inode = d->inode;

	assert(d->holder ? d->ttl_ns != 0 : !inode->handles);
	if (inode->dir && inode->dir->live) {
		dentry_orphan(t, d, now);
		inode_changed(inode, now);
	} else {
		dentry_unlink(t, d, now); /* counts as the change of the file */
	}
	if (inode->dentries || inode->handles)
		changed_by_time(t, inode);
}

void table_tick(struct table *t, struct moment now)
{
	struct deadline *due;

	table_now(t, now);
	limbo_tick(t, now);
	t->ends_by = CHANGE_EXPIRED;
	while ((due = deadlines_due(&t->lives, now.boot_ns))) {
		struct dentry *d =
			(struct dentry *)(void *)((char *)due - offsetof(struct dentry, life));

		end_of_life(t, d, now);
	}
	t->ends_by = CHANGE_RELEASED;
}

/* ---- What happened to others ---- */

bool table_next_grant(struct table *t, struct table_grant *out)
{
	struct waiter *w = t->granted;

	if (!w)
		return false;
	DL_DELETE(t->granted, w);
	*out = (struct table_grant){w->key.client, w->key.req, w->want.token};
	free(w);
	return true;
}

bool table_next_gone(struct table *t, uint64_t *ino)
{
	struct inode *inode = t->gone;

	if (!inode)
		return false;
	t->gone = inode->gone_next;
	*ino = inode->ino;
	limbo_add(t, inode);
	return true;
}

bool table_next_changed(struct table *t, uint64_t *ino)
{
	struct inode *inode = t->changed;

	if (!inode)
		return false;
	table_drop_changed(t, inode);
	*ino = inode->ino;
	return true;
}

void table_counts(const struct table *t, struct table_counts *out)
{
	*out = (struct table_counts){
		.files = t->files,
		.max_files = t->max_files,
		.handles = HASH_COUNT(t->handles),
		.locks = t->locks,
		.waiting = HASH_COUNT(t->waiters),
		.content_bytes = t->content_bytes,
	};
}
