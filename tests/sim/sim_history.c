/* SPDX-License-Identifier: MIT */
/*
 * What programs saw, against what a file system may show: who holds a name or a flock (I1), tokens
 * (I2), and for names and contents that a completed change is seen by whatever begins later (I11).
 *
 * One thing is beyond the protocol: a change that was told to one session alone, of which the
 * session and the master died together (protocol rule 7). It is excused.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lockcore/node_internal.h"
#include "sim.h"

#define VALUE_MAX 16
#define UNKNOWN	  INT64_MAX

/* Who made a change, to tell later if the change may be forgotten. */
struct change {
	size_t node;
	uint64_t instance;
	uint64_t epoch;	      /* of the master that made it */
	int64_t begun, ended; /* UNKNOWN: it may have happened, and when is not known */
};

struct written {
	struct change change;
	char value[VALUE_MAX];
	size_t len;
	struct written *prev, *next;
};

struct file {
	UT_hash_handle hh;
	uint64_t ino;
	struct written *writes;
	struct change removal;
	bool removed;
	uint64_t token; /* the highest of an exclusive flock */
	size_t token_node;
};

struct hold {
	uint64_t serial;
	size_t node;
	uint64_t instance, handle, ino;
	char name[8]; /* of a lock file; empty: a flock */
	enum lock_mode mode;
	struct hold *prev, *next;
};

struct named {
	UT_hash_handle hh;
	char name[8];
	uint64_t token;
	size_t token_node;
};

struct history {
	struct file *files;
	struct hold *holds;
	struct named *names;
	uint64_t serial;
};

static struct history *history_of(struct sim *s)
{
	if (!s->history)
		s->history = calloc(1, sizeof(*s->history));
	assert(s->history);
	return s->history;
}

static struct file *file_of(struct sim *s, uint64_t ino)
{
	struct history *h = history_of(s);
	struct file *f;

	HASH_FIND(hh, h->files, &ino, sizeof(ino), f);
	if (f)
		return f;
	f = calloc(1, sizeof(*f));
	assert(f);
	f->ino = ino;
	HASH_ADD(hh, h->files, ino, sizeof(ino), f);
	return f;
}

static struct named *name_of(struct sim *s, const char *name)
{
	struct history *h = history_of(s);
	struct named *n;

	HASH_FIND_STR(h->names, name, n);
	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	assert(n && strlen(name) < sizeof(n->name));
	strcpy(n->name, name);
	HASH_ADD_STR(h->names, name, n);
	return n;
}

static struct change change_of(const struct sim *s, const struct request *r)
{
	return (struct change){
		.node = r->node,
		.instance = r->instance,
		.epoch = s->nodes[r->node].node->epoch,
		.begun = r->begun,
		.ended = r->status == STATUS_OK && r->answered ? r->ended : UNKNOWN,
	};
}

/* The only witness is gone, and its master was replaced. */
static bool forgotten(const struct sim *s, const struct change *c)
{
	return s->highest_epoch > c->epoch && !check_believes(s, c->node, c->instance);
}

/* ---- Holders ---- */

static struct hold *holder_of(struct sim *s, const char *name)
{
	struct hold *h;

	DL_FOREACH (history_of(s)->holds, h)
		if (!strcmp(h->name, name) && check_believes(s, h->node, h->instance))
			return h;
	return NULL;
}

static void add_hold(struct sim *s, const struct request *r, uint64_t ino, uint64_t handle,
		     const char *name, enum lock_mode mode)
{
	struct hold *h = calloc(1, sizeof(*h));

	assert(h);
	if (!check_believes(s, r->node, node_instance(s->nodes[r->node].node)))
		sim_fail(s, "I1: node %zu tells of a grant and believes no more", r->node);
	h->serial = ++history_of(s)->serial;
	h->node = r->node;
	h->instance = node_instance(s->nodes[r->node].node);
	h->handle = handle;
	h->ino = ino;
	h->mode = mode;
	strcpy(h->name, name);
	DL_APPEND(s->history->holds, h);
}

static void name_made(struct sim *s, const struct request *r)
{
	struct named *n = name_of(s, r->message->name);
	const struct hold *other = holder_of(s, r->message->name);
	uint64_t token = r->reply->links[0].token; /* the programs give a file one name */

	if (other)
		sim_fail(s, "I1: node %zu made %s, which node %zu holds", r->node, n->name,
			 other->node);
	if (token <= r->seen_token)
		sim_fail(s, "I2: token of %s fell", n->name);
	if (token > n->token)
		n->token = token;
	add_hold(s, r, r->reply->attr.ino, r->handle, n->name, LOCK_EXCLUSIVE);
}

/* Who holds it acts on it until he believes no more, or is told EIO by his descriptor (contract 6.1). */
static bool acts_on(struct sim *s, const struct hold *h)
{
	const struct node_handle *handle;

	if (!check_believes(s, h->node, h->instance))
		return false;
	handle = node_handle_find(s->nodes[h->node].node, h->handle);
	return !handle || !handle->lapsed;
}

static void flock_granted(struct sim *s, const struct request *r)
{
	const struct message *m = r->message;
	struct file *f = file_of(s, m->ino);
	const struct hold *h;

	DL_FOREACH (history_of(s)->holds, h)
		if (!h->name[0] && h->ino == m->ino && acts_on(s, h) &&
		    (h->mode == LOCK_EXCLUSIVE || m->lock_mode == LOCK_EXCLUSIVE))
			sim_fail(s, "I1: node %zu was granted a flock that node %zu holds", r->node,
				 h->node);
	if (m->lock_mode == LOCK_EXCLUSIVE && r->seen_by != r->node &&
	    r->reply->token <= r->seen_token)
		sim_fail(s, "I2: token of %" PRIx64 " fell", m->ino);
	if (m->lock_mode == LOCK_EXCLUSIVE && r->reply->token > f->token) {
		f->token = r->reply->token;
		f->token_node = r->node;
	}
	add_hold(s, r, m->ino, m->handle, "", m->lock_mode);
}

/* A closed lock file stays held: only its flocks go with the handle. */
void history_release(struct sim *s, size_t node, uint64_t handle, bool closed)
{
	struct history *history = history_of(s);
	struct hold *h, *next;

	DL_FOREACH_SAFE (history->holds, h, next) {
		if (h->node != node || h->handle != handle || (closed && h->name[0]))
			continue;
		DL_DELETE(history->holds, h);
		free(h);
	}
}

void history_node_died(struct sim *s, size_t node)
{
	struct history *history = history_of(s);
	struct hold *h, *next;

	DL_FOREACH_SAFE (history->holds, h, next) {
		if (h->node != node)
			continue;
		DL_DELETE(history->holds, h);
		free(h);
	}
}

/* ---- Contents ---- */

static void write_begun(struct sim *s, struct request *r)
{
	struct file *f = file_of(s, r->message->ino);
	struct written *w = calloc(1, sizeof(*w));

	assert(w && r->message->data_len <= VALUE_MAX);
	w->change = change_of(s, r);
	w->len = r->message->data_len;
	if (w->len)
		memcpy(w->value, r->message->data, w->len);
	DL_APPEND(f->writes, w);
}

static struct written *written_as(struct file *f, const void *value, size_t len)
{
	struct written *w;

	DL_FOREACH (f->writes, w)
		if (w->len == len && (!len || !memcmp(w->value, value, len)))
			return w;
	return NULL;
}

static void write_ended(struct sim *s, const struct request *r)
{
	struct file *f = file_of(s, r->message->ino);
	struct written *w = written_as(f, r->message->data, r->message->data_len);

	assert(w);
	w->change = change_of(s, r);
}

static void was_read(struct sim *s, const struct request *r)
{
	struct file *f = file_of(s, r->message->ino);
	const struct written *seen = written_as(f, r->reply->data, r->reply->data_len), *w;

	if (!seen && r->reply->data_len) {
		/* At least one write was forgotten but for the size it left (rule 7). */
		DL_FOREACH (f->writes, w)
			if (w->change.ended == UNKNOWN || forgotten(s, &w->change))
				return;
		sim_fail(s, "I11: node %zu read what nobody wrote to %" PRIx64, r->node, f->ino);
	}
	DL_FOREACH (f->writes, w)
		if (w->change.ended < r->begun && (!seen || w->change.begun > seen->change.ended) &&
		    !forgotten(s, &w->change))
			sim_fail(s, "I11: node %zu read %.*s from %" PRIx64 " after %.*s", r->node,
				 (int)r->reply->data_len, (const char *)r->reply->data, f->ino,
				 (int)w->len, w->value);
}

/* ---- Names ---- */

static void was_seen(struct sim *s, const struct request *r, uint64_t ino)
{
	const struct file *f = file_of(s, ino);

	if (f->removed && f->removal.ended < r->begun && !forgotten(s, &f->removal))
		sim_fail(s, "I11: node %zu saw %" PRIx64 " by name after its removal", r->node,
			 ino);
}

static void was_removed(struct sim *s, const struct request *r)
{
	struct file *f = file_of(s, r->reply->attr.ino);

	if (!f->ino) /* by a first try whose answer was lost */
		return;
	if (f->removed && !forgotten(s, &f->removal))
		sim_fail(s, "I11: %" PRIx64 " was removed twice", f->ino);
	f->removed = true;
	f->removal = change_of(s, r);
}

/* Whose name it was all the while must have been found. */
static void was_looked_up(struct sim *s, const struct request *r)
{
	const struct hold *h = holder_of(s, r->message->name);

	if (r->status == STATUS_OK)
		was_seen(s, r, r->reply->attr.ino);
	if (!h || h->serial != r->hold)
		return;
	if (r->status == STATUS_NO_ENTRY ||
	    (r->status == STATUS_OK && r->reply->attr.ino != h->ino))
		sim_fail(s, "I11: node %zu does not see %s of node %zu", r->node, h->name, h->node);
}

/* ---- Requests ---- */

void history_begin(struct sim *s, struct request *r)
{
	const struct message *m = r->message;
	const struct hold *h;

	r->seen_by = SIZE_MAX;
	if (m->kind == MESSAGE_LOOKUP && (h = holder_of(s, m->name)))
		r->hold = h->serial;
	if (m->kind == MESSAGE_CREATE && (m->flags & OPEN_EXCL))
		r->seen_token = name_of(s, m->name)->token;
	if (m->kind == MESSAGE_LOCK) {
		r->seen_token = file_of(s, m->ino)->token;
		r->seen_by = file_of(s, m->ino)->token_node;
	}
	if (m->kind == MESSAGE_WRITE)
		write_begun(s, r);
}

static void list_seen(struct sim *s, const struct request *r)
{
	for (size_t i = 0; i < r->reply->entry_count; i++)
		was_seen(s, r, r->reply->entries[i].ino);
}

void history_end(struct sim *s, struct request *r)
{
	const struct message *m = r->message;

	if (m->kind == MESSAGE_LOOKUP)
		was_looked_up(s, r);
	if (m->kind == MESSAGE_WRITE)
		write_ended(s, r);
	if (r->status != STATUS_OK)
		return;
	if (m->kind == MESSAGE_CREATE || m->kind == MESSAGE_OPEN)
		was_seen(s, r, r->reply->attr.ino);
	if (m->kind == MESSAGE_CREATE && (m->flags & OPEN_EXCL))
		name_made(s, r);
	if (m->kind == MESSAGE_UNLINK)
		was_removed(s, r);
	if (m->kind == MESSAGE_READDIR)
		list_seen(s, r);
	if (m->kind == MESSAGE_READ)
		was_read(s, r);
	if (m->kind == MESSAGE_LOCK && m->lock_kind == LOCK_FLOCK && m->lock_mode != LOCK_NONE)
		flock_granted(s, r);
}

void history_free(struct sim *s)
{
	struct history *h = history_of(s);
	struct file *f, *next_file;
	struct named *n, *next_name;
	struct written *w, *next;

	HASH_ITER (hh, h->files, f, next_file) {
		HASH_DEL(h->files, f);
		DL_FOREACH_SAFE (f->writes, w, next)
			free(w);
		free(f);
	}
	HASH_ITER (hh, h->names, n, next_name) {
		HASH_DEL(h->names, n);
		free(n);
	}
	for (size_t i = 0; i < s->config.nodes; i++)
		history_node_died(s, i);
	free(h);
}
