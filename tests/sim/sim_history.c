/* SPDX-License-Identifier: MIT */
/*
 * What programs saw, against what a file system may show: who holds a name or a flock (I1), tokens
 * (I2), and for contents that a completed change is seen by whatever begins later (I11). Names and
 * the queues of locks are in files of their own.
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
	uint64_t epoch;	      /* the last in which it was there for certain, if it was ever */
	int64_t begun, ended; /* UNKNOWN: it may have happened, and when is not known */
};

struct written {
	struct change change;
	int64_t seen; /* somebody had read it by then, be it answered or not; UNKNOWN */
	char value[VALUE_MAX];
	size_t len;
	struct written *prev, *next;
};

struct file {
	UT_hash_handle hh;
	uint64_t ino;
	struct written *writes;
	uint64_t token; /* the highest of an exclusive flock */
	size_t token_node;
};

struct hold {
	size_t node;
	uint64_t instance, handle, ino;
	char name[8];		 /* of a lock file; empty: a flock */
	char key[SIM_KEY_BYTES]; /* a flock: the name that it belongs to */
	enum lock_mode mode;
	bool deleted; /* its session has been in no registry at some time */
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

static void was_there(struct change *c, uint64_t epoch)
{
	if (epoch > c->epoch)
		c->epoch = epoch;
}

/* The only witness is gone, and its master was replaced. */
static bool forgotten(const struct sim *s, const struct change *c)
{
	return s->highest_epoch > c->epoch && !check_believes(s, c->node, c->instance);
}

/* ---- Holders ---- */

/*
 * I7: what a session holds nobody gets as long as it is registered, be its node dead or lapsed. A
 * store that was put back, or did a PUT late, registers sessions that are over; so does a HELLO that
 * comes after the end of its session, which then holds nothing.
 */
static bool is_registered(const struct sim *s, const struct hold *h)
{
	return !h->deleted && !s->store.lost_epoch && !s->store.late_put &&
	       engine_knows(s, s->nodes[h->node].id, h->instance);
}

void history_deleted(struct sim *s, uint64_t instance)
{
	struct hold *h;

	DL_FOREACH (history_of(s)->holds, h)
		h->deleted |= h->instance == instance;
}

static void check_free(struct sim *s, const struct request *r, const struct hold *h)
{
	if (check_believes(s, h->node, h->instance))
		sim_fail(s, "I1: node %zu was granted a %s that node %zu holds", r->node,
			 *h->name ? h->name : "flock", h->node);
	if (is_registered(s, h))
		sim_fail(s, "I7: node %zu was granted a %s of node %zu, which is still registered",
			 r->node, *h->name ? h->name : "flock", h->node);
}

static void forget_old_holds(struct sim *s)
{
	struct history *history = history_of(s);
	struct hold *h, *next;

	DL_FOREACH_SAFE (history->holds, h, next) {
		if (check_believes(s, h->node, h->instance) || is_registered(s, h))
			continue;
		DL_DELETE(history->holds, h);
		free(h);
	}
}

static void add_hold(struct sim *s, const struct request *r, uint64_t ino, uint64_t handle,
		     const char *name, enum lock_mode mode)
{
	struct hold *h = calloc(1, sizeof(*h));

	assert(h);
	forget_old_holds(s);
	if (!check_believes(s, r->node, node_instance(s->nodes[r->node].node)))
		sim_fail(s, "I1: node %zu tells of a grant and believes no more", r->node);
	h->node = r->node;
	h->instance = node_instance(s->nodes[r->node].node);
	h->handle = handle;
	h->ino = ino;
	h->mode = mode;
	strcpy(h->name, name);
	memcpy(h->key, r->key, sizeof(h->key));
	DL_APPEND(history_of(s)->holds, h);
}

static void name_made(struct sim *s, const struct request *r)
{
	struct named *n = name_of(s, r->message->name);
	const struct hold *h;
	uint64_t token = r->reply->links[0].token; /* the programs give a file one name */

	DL_FOREACH (history_of(s)->holds, h)
		if (!strcmp(h->name, n->name))
			check_free(s, r, h);
	if (token <= r->seen_token)
		sim_fail(s, "I2: token of %s fell", n->name);
	if (token > n->token)
		n->token = token;
	add_hold(s, r, r->reply->attr.ino, r->handle, n->name, LOCK_EXCLUSIVE);
}

static void flock_granted(struct sim *s, const struct request *r)
{
	const struct message *m = r->message;
	struct file *f = file_of(s, m->ino);
	const struct hold *h;

	DL_FOREACH (history_of(s)->holds, h)
		if (!h->name[0] && (h->ino == m->ino || !strcmp(h->key, r->key)) &&
		    (h->mode == LOCK_EXCLUSIVE || m->lock_mode == LOCK_EXCLUSIVE))
			check_free(s, r, h);
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

	if (closed) {
		locks_closed(s, node, handle);
		names_closed(s, node, handle);
	}
	DL_FOREACH_SAFE (history->holds, h, next) {
		if (h->node != node || h->handle != handle || (closed && h->name[0]))
			continue;
		DL_DELETE(history->holds, h);
		free(h);
	}
}

/* The name's file was made by one handle, the flock is of one: both are lost by now. */
void history_broken(struct sim *s, size_t node, const struct node_revoke *revoke)
{
	struct history *history = history_of(s);
	struct hold *h, *next;

	DL_FOREACH_SAFE (history->holds, h, next) {
		if (h->node != node || h->ino != revoke->ino ||
		    (!(h->name[0] && revoke->kind == HOLDER_NAME) &&
		     !break_let_go(s, node, h->handle)))
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
	w->change = (struct change){
		.node = r->node,
		.instance = r->instance,
		.epoch = s->nodes[r->node].node->highest_epoch,
		.begun = r->begun,
		.ended = UNKNOWN,
	};
	w->seen = UNKNOWN;
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

/*
 * Not done, for all that its program is told, it may have been done at any time since it was begun,
 * by the master of that time: what that one knew alone is forgotten with it.
 */
static void write_ended(struct sim *s, const struct request *r)
{
	struct file *f = file_of(s, r->message->ino);
	struct written *w = written_as(f, r->message->data, r->message->data_len);

	assert(w);
	if (r->status != STATUS_OK)
		return;
	was_there(&w->change, sim_epoch(s, r->node));
	w->change.ended = r->ended;
}

/* Who reads it tells that this epoch's master has it, who does not forget. */
static void was_seen(const struct sim *s, struct written *w, const struct request *r)
{
	if (r->ended < w->seen)
		w->seen = r->ended;
	was_there(&w->change, sim_epoch(s, r->node));
}

static void was_read(struct sim *s, const struct request *r)
{
	struct file *f = file_of(s, r->message->ino);
	struct written *seen = written_as(f, r->reply->data, r->reply->data_len);
	const struct written *w;

	if (!seen && r->reply->data_len) {
		/*
		 * At least one write was forgotten but for the size it left (rule 7), or is to be
		 * done again: of the retries of several nodes the read may have come first.
		 */
		DL_FOREACH (f->writes, w)
			if (w->change.ended == UNKNOWN || forgotten(s, &w->change) ||
			    (w->change.ended >= r->begun && sim_epoch(s, r->node) != r->epoch))
				return;
		sim_fail(s, "I11: node %zu read what nobody wrote to %" PRIx64, r->node, f->ino);
	}
	DL_FOREACH (f->writes, w)
		if ((w->change.ended < r->begun || w->seen < r->begun) &&
		    (!seen || w->change.begun > seen->change.ended) && !forgotten(s, &w->change))
			sim_fail(s, "I11: node %zu read %.*s from %" PRIx64 " after %.*s", r->node,
				 (int)r->reply->data_len, (const char *)r->reply->data, f->ino,
				 (int)w->len, w->value);
	if (seen)
		was_seen(s, seen, r);
}

/* Who has heard that it was done, and has told this master so. */
static bool vouches(const struct sim *s, const struct change *c, uint64_t epoch)
{
	return c->ended != UNKNOWN && check_believes(s, c->node, c->instance) &&
	       sim_epoch(s, c->node) == epoch;
}

void history_grace_over(struct sim *s, uint64_t epoch)
{
	struct file *f;
	struct written *w;

	for (f = history_of(s)->files; f; f = f->hh.next)
		DL_FOREACH (f->writes, w)
			if (vouches(s, &w->change, epoch))
				was_there(&w->change, epoch);
}

/* ---- Requests ---- */

void history_begin(struct sim *s, struct request *r)
{
	const struct message *m = r->message;

	r->seen_by = SIZE_MAX;
	if (m->kind == MESSAGE_CREATE && (m->flags & OPEN_EXCL))
		r->seen_token = name_of(s, m->name)->token;
	if (m->kind == MESSAGE_LOCK) {
		r->seen_token = file_of(s, m->ino)->token;
		r->seen_by = file_of(s, m->ino)->token_node;
	}
	if (m->kind == MESSAGE_WRITE)
		write_begun(s, r);
}

void history_end(struct sim *s, struct request *r)
{
	const struct message *m = r->message;

	/* Of a node whose clock stood still, and after a store's lie, anything may be said. */
	if (s->nodes[r->node].astray || s->lied_to) {
		locks_abandon(s, r);
		names_abandon(s, r);
		return;
	}
	locks_end(s, r);
	names_end(s, r);
	if (m->kind == MESSAGE_WRITE)
		write_ended(s, r);
	if (r->status != STATUS_OK)
		return;
	if (m->kind == MESSAGE_CREATE && (m->flags & OPEN_EXCL))
		name_made(s, r);
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
	struct hold *hold, *next_hold;

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
	DL_FOREACH_SAFE (h->holds, hold, next_hold)
		free(hold);
	free(h);
}
