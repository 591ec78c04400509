/* SPDX-License-Identifier: MIT */
/*
 * What programs heard of their locks, explained without the core (I11, contract 5.2 and 5.3):
 *
 *	BUSY         somebody else had, or waited for, what was asked for at some moment of the call
 *	granted      nobody was passed over who had been in the queue before the call began
 *	INTERRUPTED  by the master's word: the master has no trace of the request (rule 13)
 *
 * A claim is a lock request for as long as it may stand for a lock or a place in a queue. It is
 * over for certain when its release is answered, when another is granted what excludes it, or when
 * its session is freed. The files of one name share their locks (contract 5.5), so claims are kept
 * by name; of a story's files, which have other names too, by number, and it is enough for a refusal
 * that one was opened by the same name.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lockcore/master_internal.h"
#include "lockcore/node_internal.h"
#include "lockcore/table_internal.h"
#include "sim.h"

#define NEVER INT64_MAX

struct claim {
	const struct request *request; /* NULL: answered, or its node died */
	size_t node;
	uint64_t instance, handle, owner;
	char key[SIM_KEY_BYTES];
	char name[SIM_KEY_BYTES]; /* by which a story opened the file; empty: not known */
	enum lock_kind kind;
	enum lock_mode mode;
	int64_t start, end;
	bool first;	/* its owner had claimed nothing here before */
	int64_t begun;	/* true time, as the others */
	int64_t queued; /* its node has heard so */
	int64_t granted;
	int64_t closed; /* by its own node: whatever that node asks for later comes later */
	int64_t over;
	struct claim *prev, *next;
};

/* ---- Who is in whose way ---- */

static bool same_owner(const struct claim *a, const struct claim *b)
{
	if (a->kind != b->kind || a->node != b->node || a->instance != b->instance)
		return false;
	return a->kind == LOCK_FLOCK ? a->handle == b->handle : a->owner == b->owner;
}

static bool same_place(const struct claim *a, const struct claim *b)
{
	return a->kind == b->kind && !strcmp(a->key, b->key);
}

static bool exclude(const struct claim *a, const struct claim *b)
{
	return !same_owner(a, b) && a->start <= b->end && b->start <= a->end &&
	       (a->mode == LOCK_EXCLUSIVE || b->mode == LOCK_EXCLUSIVE);
}

static bool conflict(const struct claim *a, const struct claim *b)
{
	return same_place(a, b) && exclude(a, b);
}

/* Files that may be, or have been, one name's. */
static bool may_be_kin(const struct claim *a, const struct claim *b)
{
	return a->kind == b->kind && *a->name && !strcmp(a->name, b->name);
}

static void drop_claim(struct sim *s, struct claim *c)
{
	DL_DELETE(s->claims, c);
	free(c);
}

/* What is long over explains nothing any more. */
static void forget_old(struct sim *s)
{
	int64_t oldest = s->now;
	struct claim *c, *next;

	DL_FOREACH (s->claims, c)
		if (c->request && c->begun < oldest)
			oldest = c->begun;
	DL_FOREACH_SAFE (s->claims, c, next)
		if (!c->request && c->over < oldest)
			drop_claim(s, c);
}

/* ---- Explaining ---- */

static void explain_busy(struct sim *s, const struct claim *c)
{
	const struct claim *q;

	DL_FOREACH (s->claims, q)
		if (q != c && (same_place(q, c) || may_be_kin(q, c)) && exclude(q, c) &&
		    q->over >= c->begun && !(q->node == c->node && q->closed <= c->begun))
			return;
	sim_fail(s, "I11: node %zu finds %s locked, and nobody has it or waits for it", c->node,
		 c->key);
}

/* Is the claim in the queue for all that its node knows? */
static bool waits(const struct sim *s, const struct claim *q)
{
	return q->request && q->granted == NEVER && !q->request->signalled &&
	       check_believes(s, q->node, q->instance);
}

static void check_fairness(struct sim *s, const struct claim *c)
{
	const struct claim *q;

	DL_FOREACH (s->claims, q)
		if (q != c && c->first && conflict(q, c) && waits(s, q) && q->queued < c->begun)
			sim_fail(s, "I11: node %zu is granted %s before node %zu, who waits longer",
				 c->node, c->key, q->node);
}

static bool covers(const struct claim *c, const struct claim *q)
{
	return c->start <= q->start && c->end >= q->end;
}

/* Whoever was granted before this call began, and excludes it, must have given it up by now. */
static void supersede(struct sim *s, const struct claim *c)
{
	struct claim *q;

	DL_FOREACH (s->claims, q)
		if (q != c && conflict(q, c) && covers(c, q) && q->granted < c->begun &&
		    q->over > s->now)
			q->over = s->now;
}

/*
 * The owner's earlier claims that this answer ends: the whole flock, or what an unlock covers. What
 * it has asked for since is executed after this, and is not ended by it.
 */
static void end_covered(struct sim *s, const struct claim *c)
{
	struct claim *q;

	for (q = s->claims; q != c; q = q->next)
		if (same_place(q, c) && same_owner(q, c) && q->over > s->now &&
		    (c->kind == LOCK_FLOCK || (c->mode == LOCK_NONE && covers(c, q))))
			q->over = s->now;
}

/* ---- No trace (rule 13) ---- */

static struct master *master_of_epoch(const struct sim *s, uint64_t epoch)
{
	for (size_t i = 0; i < s->config.masters; i++)
		if (s->masters[i].master && master_is_serving(s->masters[i].master) &&
		    master_epoch(s->masters[i].master) == epoch)
			return s->masters[i].master;
	return NULL;
}

static bool is_in_table(struct table *t, const struct claim *c, uint64_t call)
{
	struct handle *h = table_handle(t, c->instance, c->handle);
	const struct range *held;
	const struct waiter *w;

	if (!h)
		return false;
	DL_FOREACH2 (h->waiters, w, handle_next)
		if (w->key.req == call)
			return true;
	if (c->kind == LOCK_RANGE || !h->inode->locks)
		return false; /* parts of it may have been its owner's before */
	DL_FOREACH (h->inode->locks->granted[LOCK_FLOCK], held)
		if (held->client == c->instance && held->handle == c->handle)
			return true;
	return false;
}

/* Was it the master's word that ended the wait, and not the node's patience? */
static bool by_masters_word(const struct sim *s, const struct request *r)
{
	return r->patient_until_ns > machine_now(s, r->node).boot_ns;
}

static void check_no_trace(struct sim *s, const struct request *r, struct claim *c)
{
	struct master *m;

	if (!by_masters_word(s, r) || !check_believes(s, c->node, c->instance))
		return;
	m = master_of_epoch(s, s->nodes[c->node].node->epoch);
	if (m && is_in_table(master_table(m), c, r->call))
		sim_fail(s, "rule 13: call %" PRIu64 " of node %zu was interrupted and is not gone",
			 r->call, c->node);
	end_covered(s, c);
	c->over = s->now;
}

/* ---- Requests ---- */

/* The name in the request that opened this handle. */
static const char *name_of_handle(const struct sim *s, size_t node, uint64_t handle)
{
	const struct request *r;

	DL_FOREACH (s->nodes[node].requests, r)
		if (r->message->kind == MESSAGE_CREATE && r->answered && r->handle == handle)
			return r->message->name;
	return "";
}

void locks_begin(struct sim *s, struct request *r)
{
	const struct message *m = r->message;
	struct claim *c, *q;

	if (m->kind != MESSAGE_LOCK)
		return;
	c = calloc(1, sizeof(*c));
	assert(c);
	*c = (struct claim){
		.request = r,
		.node = r->node,
		.instance = r->instance,
		.handle = m->handle,
		.owner = m->owner,
		.kind = m->lock_kind,
		.mode = m->lock_mode,
		.start = m->start,
		.end = m->end,
		.first = true,
		.begun = s->now,
		.queued = NEVER,
		.granted = NEVER,
		.closed = NEVER,
		.over = NEVER,
	};
	memcpy(c->key, r->key, sizeof(c->key));
	if (!r->program)
		snprintf(c->name, sizeof(c->name), "%s", name_of_handle(s, r->node, m->handle));
	DL_FOREACH (s->claims, q)
		if (same_place(q, c) && same_owner(q, c))
			c->first = false;
	DL_APPEND(s->claims, c);
	r->claim = c;
}

static void granted(struct sim *s, struct claim *c)
{
	end_covered(s, c);
	if (c->mode == LOCK_NONE) {
		c->over = s->now;
		return;
	}
	c->granted = s->now;
	check_fairness(s, c);
	supersede(s, c);
}

void locks_end(struct sim *s, struct request *r)
{
	struct claim *c = r->claim;

	if (!c)
		return;
	c->request = NULL;
	r->claim = NULL;
	switch (r->status) {
	case STATUS_OK:
		granted(s, c);
		break;
	case STATUS_BUSY:
		explain_busy(s, c);
		end_covered(s, c); /* a flock that is converted is given up first */
		c->over = s->now;
		break;
	case STATUS_DEADLOCK:
	case STATUS_STALE:
	case STATUS_INVALID:
		c->over = s->now;
		break;
	case STATUS_INTERRUPTED:
		check_no_trace(s, r, c);
		break;
	default:
		break; /* what became of it nobody knows */
	}
	forget_old(s);
}

/* The node died, or its clock stands still: what becomes of the request nobody will hear. */
void locks_abandon(struct sim *s, struct request *r)
{
	if (r->claim)
		r->claim->request = NULL;
	r->claim = NULL;
}

void locks_closed(struct sim *s, size_t node, uint64_t handle)
{
	struct claim *c;

	DL_FOREACH (s->claims, c)
		if (c->node == node && c->handle == handle)
			c->closed = s->now;
}

/* Whose session is no longer registered holds nothing any more (I7). */
void locks_freed(struct sim *s, const char *id)
{
	struct claim *c;

	DL_FOREACH (s->claims, c)
		if (!c->request && !strcmp(s->nodes[c->node].id, id) && c->over > s->now &&
		    !engine_knows(s, id, c->instance))
			c->over = s->now;
}

/* Which of a node's requests are in the queue by now? */
void locks_look(struct sim *s, size_t node)
{
	struct claim *c;

	DL_FOREACH (s->claims, c)
		if (c->node == node && c->request && c->queued == NEVER &&
		    request_waits(s, c->request))
			c->queued = s->now;
}

void locks_free(struct sim *s)
{
	while (s->claims)
		drop_claim(s, s->claims);
}
