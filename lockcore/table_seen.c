/* SPDX-License-Identifier: MIT */
/*
 * Who has seen which name, and is told of its end (contract 2.4).
 *
 *	table_saw ──> attached to the name ──seen_end──> news, to be drained
 *	                      ^                             ^
 *	table_saw_before ──> claim ── no such name any more ┘
 *
 * An entry is allocated while a request is served, where it may fail without harm, and becomes the
 * news when the name ends: an end never allocates. It has a copy of the name, so that it does not
 * matter what becomes of the name's own struct.
 */
#include "lockcore/table_internal.h"

struct seen {
	UT_hash_handle hh; /* table.seens, by key, if dentry is set */
	struct {
		uint64_t client;
		uint64_t cookie; /* of the name: never used again */
	} key;
	struct client *client;			/* NULL: news */
	struct dentry *dentry;			/* NULL: a claim, or news */
	struct seen *prev, *next;		/* dentry.seen, table.claims or table.news */
	struct seen *client_prev, *client_next; /* client.seen */
	uint64_t parent;
	uint64_t ino;
	bool appeared; /* news */
	char name[];
};

/* ---- Entries ---- */

static struct seen *find(struct table *t, uint64_t client, const struct dentry *d)
{
	struct seen *s;
	struct {
		uint64_t client, cookie;
	} key = {client, d->cookie};

	HASH_FIND(hh, t->seens, &key, sizeof(key), s);
	return s;
}

static struct seen *seen_new(uint64_t client, uint64_t parent, const char *name, uint64_t ino)
{
	size_t size = strlen(name) + 1;
	struct seen *s = calloc(1, sizeof(*s) + size);

	if (!s)
		return NULL;
	s->key.client = client;
	s->parent = parent;
	s->ino = ino;
	memcpy(s->name, name, size);
	return s;
}

static void leave_client(struct seen *s)
{
	DL_DELETE2(s->client->seen, s, client_prev, client_next);
	s->client->seen_count--;
	s->client = NULL;
}

static void detach(struct table *t, struct seen *s)
{
	HASH_DEL(t->seens, s);
	DL_DELETE(s->dentry->seen, s);
	s->dentry = NULL;
	leave_client(s);
}

static void drop(struct table *t, struct seen *s)
{
	if (s->dentry) {
		detach(t, s);
	} else {
		DL_DELETE(t->claims, s);
		leave_client(s);
	}
	free(s);
}

/* False: the bounds are met, and the client has nothing that could give way. */
static bool make_room(struct table *t, struct client *client)
{
	if (client->seen_count < TABLE_SEEN_CLIENT_MAX && HASH_COUNT(t->seens) < TABLE_SEEN_MAX)
		return true;
	if (!client->seen)
		return false;
	drop(t, client->seen);
	return true;
}

static void join_client(struct seen *s, struct client *client)
{
	s->client = client;
	DL_APPEND2(client->seen, s, client_prev, client_next);
	client->seen_count++;
}

/* s is in no list yet; it is freed if it cannot be hashed. */
static void attach(struct table *t, struct seen *s, struct client *client, struct dentry *d)
{
	s->key.cookie = d->cookie;
	HASH_ADD(hh, t->seens, key, sizeof(s->key), s);
	if (!s->hh.tbl) {
		free(s);
		return;
	}
	s->dentry = d;
	DL_APPEND(d->seen, s);
	join_client(s, client);
}

/* ---- Seeing ---- */

static void saw(struct table *t, uint64_t id, struct dentry *d)
{
	struct seen *s = find(t, id, d);
	struct client *client = s ? s->client : table_client(t, id);

	if (!client)
		return;
	if (s) { /* the youngest from now on */
		leave_client(s);
		join_client(s, client);
		return;
	}
	if (!make_room(t, client))
		return;
	s = seen_new(id, d->parent->ino, dentry_name(d), d->inode->ino);
	if (s)
		attach(t, s, client, d);
}

void table_saw(struct table *t, uint64_t client, uint64_t parent, const char *name)
{
	struct dentry *d = name_check(name) == STATUS_OK ? dentry_find(t, parent, name) : NULL;

	if (d)
		saw(t, client, d);
}

void seen_forget(struct table *t, uint64_t client, struct dentry *d)
{
	struct seen *s = find(t, client, d);

	if (s)
		drop(t, s);
}

void seen_drop_client(struct table *t, struct client *client)
{
	while (client->seen)
		drop(t, client->seen);
	if (client->watches_all)
		DL_DELETE2(t->watchers, client, watcher_prev, watcher_next);
	client->watches_all = false;
}

/* ---- What is seen ends ---- */

void seen_end(struct table *t, struct dentry *d)
{
	while (d->seen) {
		struct seen *s = d->seen;

		assert(s->ino == d->inode->ino);
		detach(t, s);
		DL_APPEND(t->news, s);
	}
}

bool table_next_news(struct table *t, struct table_news *out)
{
	struct seen *s = t->news;

	if (!s)
		return false;
	DL_DELETE(t->news, s);
	*out = (struct table_news){
		.client = s->key.client,
		.appeared = s->appeared,
		.parent = s->parent,
	};
	strcpy(out->name, s->name);
	if (table_getattr(t, s->ino, &out->attr) != STATUS_OK)
		out->attr = (struct attr){.ino = s->ino};
	free(s);
	return true;
}

/* ---- What others make ---- */

void table_watch_all(struct table *t, uint64_t id)
{
	struct client *client = table_client(t, id);

	if (!client || client->watches_all)
		return;
	client->watches_all = true;
	DL_APPEND2(t->watchers, client, watcher_prev, watcher_next);
}

/* Who is told of the name is told of its end as well. */
static void tell_appeared(struct table *t, const struct client *client, struct dentry *d)
{
	struct seen *s = seen_new(client->id, d->parent->ino, dentry_name(d), d->inode->ino);

	if (!s)
		return;
	s->appeared = true;
	DL_APPEND(t->news, s);
	saw(t, client->id, d);
}

void seen_appeared(struct table *t, struct dentry *d, uint64_t maker)
{
	const struct dentry *place = d->parent->dentries; /* a directory has one name */
	const struct client *client;
	const struct seen *s, *next;

	if (!t->watchers)
		return;
	if (d->parent->ino == ROOT_INO)
		DL_FOREACH2 (t->watchers, client, watcher_next)
			if (client->id != maker)
				tell_appeared(t, client, d);
	for (s = place ? place->seen : NULL; s; s = next) {
		next = s->next; /* to tell may make s give way, and nothing else of this name */
		if (s->client->watches_all && s->client->id != maker)
			tell_appeared(t, s->client, d);
	}
}

/* ---- Seen before ---- */

/* Takes s over, which is in no list. */
static void settle(struct table *t, struct seen *s, struct client *client)
{
	struct dentry *d = dentry_find(t, s->parent, s->name);

	if (!d || d->inode->ino != s->ino)
		DL_APPEND(t->news, s);
	else if (find(t, client->id, d))
		free(s);
	else
		attach(t, s, client, d);
}

void table_saw_before(struct table *t, uint64_t id, uint64_t parent, const char *name, uint64_t ino,
		      bool restoring)
{
	struct client *client = table_client(t, id);
	struct seen *s = NULL;

	t->restoring = t->restoring || restoring;
	if (client && name_check(name) == STATUS_OK && make_room(t, client))
		s = seen_new(id, parent, name, ino);
	if (!s)
		return;
	if (t->restoring) {
		join_client(s, client);
		DL_APPEND(t->claims, s);
	} else {
		settle(t, s, client);
	}
}

void seen_settle_claims(struct table *t)
{
	while (t->claims) {
		struct seen *s = t->claims;
		struct client *client = s->client;

		DL_DELETE(t->claims, s);
		leave_client(s);
		settle(t, s, client);
	}
}

/* ---- Checking ---- */

void seen_check(const struct table *t)
{
	const struct client *client;
	const struct seen *s;
	size_t count = 0;

	for (s = t->seens; s; s = s->hh.next) {
		assert(s->client && s->client->id == s->key.client);
		assert(s->dentry->cookie == s->key.cookie && s->dentry->inode->ino == s->ino);
		assert(!strcmp(dentry_name(s->dentry), s->name));
		count++;
	}
	DL_FOREACH (t->claims, s)
		count++;
	for (client = t->clients; client; client = client->hh.next)
		count -= client->seen_count;
	assert(count == 0 && (!t->claims || t->restoring));
}
