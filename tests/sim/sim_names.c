/* SPDX-License-Identifier: MIT */
/*
 * What programs heard of the root's names, explained without the core (I11).
 *
 * A life is a name standing for a file: from the call that made it so to the one that ended it, or
 * to the end of whatever kept it. An answer is explained by the lives that may have been at some
 * moment of its call, and refuted by those that were there all the while:
 *
 *	found X      the name has such a life, which is not over for certain, and no other file's
 *	             life lasted all through the call
 *	no entry     no life lasted all through the call
 *	exists       some life may have been, other than what this very call made
 *	made         as no entry, of the other lives; a new life begins
 *	listed       each entry as found; what lasted all through the call is among them
 *
 * Names do not depend on each other but for moves, which end one life and begin another. So each is
 * looked at alone, and its history is linearizable if every answer is explained.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#include "sim.h"

#define NEVER	    INT64_MAX
#define LONG_AGO_NS (60 * NS_PER_SEC) /* nobody remembers a file that went so long ago */

/* When something was over for certain, and who knows it: some change may be forgotten (rule 7). */
struct end {
	int64_t at; /* true time; NEVER */
	uint64_t epoch;
	size_t node; /* SIZE_MAX: nobody in particular */
	uint64_t instance;
};

struct life {
	uint64_t ino;		  /* 0: the call that may have made it has not told */
	const struct request *by; /* under way */
	size_t node;		  /* of the maker */
	uint64_t instance;
	bool held;	    /* by the maker's session; else it lives on use */
	bool mortal;	    /* a time-to-live may end it at any moment (contract 4.4) */
	bool told;	    /* the maker's program has heard of it */
	uint64_t epoch;	    /* when it was begun */
	int64_t made_begun; /* true time */
	int64_t made;	    /* for certain by then; NEVER: maybe not at all */
	int64_t alive;	    /* it was there then, or later */
	struct end end;
	struct life *prev, *next;
};

/* A call that may end a life of the name: it is under way, or nobody heard what became of it. */
struct ending {
	const struct request *by; /* NULL: nobody hears any more */
	const struct life *but;	  /* a move does not end what it makes */
	size_t node;
	uint64_t instance;
	struct ending *prev, *next;
};

struct name {
	UT_hash_handle hh;
	char name[SIM_KEY_BYTES];
	struct life *lives;
	struct ending *endings;
	int64_t last_end; /* true time: of some life's, as its ender heard */
};

/* An open file keeps its names. */
struct use {
	size_t node;
	uint64_t instance, handle, ino;
	int64_t since; /* true time: its program has heard so */
	struct use *prev, *next;
};

/* ---- Names, lives and what may end them ---- */

static struct name *name_of(struct sim *s, const char *name)
{
	struct name *n;

	HASH_FIND_STR(s->names, name, n);
	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	assert(n && strlen(name) < sizeof(n->name));
	strcpy(n->name, name);
	HASH_ADD_STR(s->names, name, n);
	return n;
}

static struct life *life_begins(struct name *n, const struct request *r, bool held)
{
	struct life *l = calloc(1, sizeof(*l));

	assert(l);
	l->by = r;
	l->node = r->node;
	l->instance = r->instance;
	l->held = held;
	l->mortal = r->message->ttl_ns > 0;
	l->epoch = r->epoch;
	l->made_begun = r->begun;
	l->made = l->end.at = NEVER;
	DL_PREPEND(n->lives, l);
	return l;
}

static void may_end(struct name *n, const struct request *r, const struct life *but)
{
	struct ending *e = calloc(1, sizeof(*e));

	assert(e);
	e->by = r;
	e->but = but;
	e->node = r->node;
	e->instance = r->instance;
	DL_APPEND(n->endings, e);
}

static void life_drop(struct name *n, struct life *l)
{
	DL_DELETE(n->lives, l);
	free(l);
}

static void ending_drop(struct name *n, struct ending *e)
{
	DL_DELETE(n->endings, e);
	free(e);
}

static struct life *life_by(struct name *n, const struct request *r)
{
	struct life *l;

	DL_FOREACH (n->lives, l)
		if (l->by == r)
			return l;
	return NULL;
}

static struct end end_now(const struct sim *s, const struct request *r)
{
	return (struct end){s->now, sim_epoch(s, r->node), r->node, sim_instance(s, r->node)};
}

/* ---- What is certain, and what may be ---- */

static bool is_over(const struct sim *s, const struct life *l, int64_t before)
{
	const struct end *e = &l->end;
	bool forgotten = s->highest_epoch > e->epoch &&
			 (e->node == SIZE_MAX || !check_believes(s, e->node, e->instance));

	return e->at < before && !forgotten;
}

/* Somebody has had the file open since it was known to have this name. */
static bool is_used(const struct sim *s, const struct life *l)
{
	const struct use *u;

	DL_FOREACH (s->uses, u)
		if (u->ino == l->ino && u->since <= l->alive &&
		    check_believes(s, u->node, u->instance))
			return true;
	return false;
}

/* Was it there from before the call began until now? */
static bool lasted(const struct sim *s, const struct name *n, const struct life *l,
		   const struct request *r)
{
	const struct ending *e;

	if (!l->ino || !l->told || l->mortal || l->made >= r->begun || l->end.at != NEVER)
		return false;
	DL_FOREACH (n->endings, e)
		if (e->but != l && e->by != r)
			return false;
	return l->held ? check_believes(s, l->node, l->instance) : is_used(s, l);
}

static void explain_absence(struct sim *s, struct name *n, const struct request *r, uint64_t but)
{
	struct life *l;

	DL_FOREACH (n->lives, l) {
		if (l->by == r || (but && l->ino == but))
			continue;
		if (lasted(s, n, l, r))
			sim_fail(s, "I11: node %zu does not see %s (%" PRIx64 ") of node %zu",
				 r->node, n->name, l->ino, l->node);
		/* What was there before the call is over, at least for this epoch's master. */
		if (l->made < r->begun && !is_over(s, l, NEVER))
			l->end = (struct end){s->now, sim_epoch(s, r->node), SIZE_MAX, 0};
	}
}

static void explain_existence(struct sim *s, const struct name *n, const struct request *r)
{
	const struct life *l;

	DL_FOREACH (n->lives, l)
		if (l->by != r && !is_over(s, l, r->begun))
			return;
	sim_fail(s, "I11: node %zu is told that %s exists, and nobody has made it", r->node,
		 n->name);
}

/* What the first try made and others met, nobody remembers: a retry has made another file. */
static bool may_be_another(const struct sim *s, const struct life *l, const struct request *r)
{
	return !l->told && l->epoch < sim_epoch(s, r->node);
}

static struct life *is_alive(struct life *l, int64_t at)
{
	if (l->alive < at)
		l->alive = at;
	return l;
}

/* The life that was found: its own, or one whose maker was never told the number. */
static struct life *explain_found(struct sim *s, const struct name *n, const struct request *r,
				  uint64_t ino)
{
	struct life *l, *found = NULL;

	DL_FOREACH (n->lives, l) {
		if (l->ino == ino && !is_over(s, l, r->begun))
			return is_alive(l, r->begun);
		if (!found && (!l->ino || may_be_another(s, l, r)))
			found = l;
	}
	if (!found)
		sim_fail(s, "I11: node %zu finds %" PRIx64 " as %s, which it is not", r->node, ino,
			 n->name);
	found->ino = ino;
	found->made = s->now;
	found->end.at = NEVER;
	return is_alive(found, r->begun);
}

/* ---- Answers ---- */

/*
 * The call has made this file. Others may have met it already and taken it for what another call
 * made, and what they took for this call's was made by another: the two change places.
 */
static void take_over(struct sim *s, struct name *n, struct life *own, const struct request *r)
{
	uint64_t ino = r->reply->attr.ino;
	struct life *l, *met = NULL, *unheard = NULL, own_was = *own;

	DL_FOREACH (n->lives, l) {
		if (l != own && l->ino == ino && !l->told && !is_over(s, l, r->begun))
			met = l;
		if (l != own && !l->ino)
			unheard = l;
	}
	own->ino = ino;
	own->end.at = NEVER;
	if (met && met->end.epoch != UINT64_MAX) /* that was the end of another's session */
		own->end = met->end;
	if (!met)
		met = unheard;
	/* Unless a first try made it, in an epoch that nobody remembers. */
	if (!met && own_was.ino && sim_epoch(s, r->node) == r->epoch)
		sim_fail(s, "I11: nobody has made %" PRIx64 ", which was %s", own_was.ino, n->name);
	if (met && (own_was.ino || met->ino)) {
		met->ino = own_was.ino;
		met->made = own_was.ino ? own_was.made : NEVER;
		met->end = own_was.end;
	}
}

static void made(struct sim *s, struct name *n, const struct request *r)
{
	struct life *l = life_by(n, r);

	assert(l);
	explain_absence(s, n, r, r->reply->attr.ino);
	if (l->ino != r->reply->attr.ino)
		take_over(s, n, l, r);
	l->instance = sim_instance(s, r->node);
	l->made = l->alive = s->now; /* if it was opened, that keeps it */
	if (n->last_end < r->begun)
		l->told = true;
	else
		l->end.at = NEVER; /* what ended meanwhile may have been this one, or not */
	l->by = NULL;
}

/* It was there, or this call has made it. */
static void opened(struct sim *s, struct name *n, const struct request *r)
{
	struct life *own = life_by(n, r), *l;

	if ((r->reply->flags & REPLY_CREATED) || (r->message->flags & OPEN_EXCL)) {
		made(s, n, r);
		return;
	}
	l = is_alive(explain_found(s, n, r, r->reply->attr.ino), s->now);
	explain_absence(s, n, r, r->reply->attr.ino);
	if (l != own)
		life_drop(n, own);
}

/* Something may have ended any of them. */
static void doubt_all(struct sim *s, struct name *n)
{
	struct life *l;

	n->last_end = s->now;
	DL_FOREACH (n->lives, l)
		l->told = false;
}

/*
 * The name has lost this file. If it had it more than once (by link, unlink, link), it is the
 * earliest of these lives that ended, and which of the others lasts is not certain; nor whether one
 * that began meanwhile is what ended, if another ended meanwhile.
 */
static void end_one(struct sim *s, struct name *n, const struct request *r)
{
	struct life *l, *first = NULL;
	bool ended_meanwhile = false;

	DL_FOREACH (n->lives, l) {
		if (l->ino != r->reply->attr.ino)
			continue;
		ended_meanwhile |= l->end.at != NEVER && l->end.at >= r->begun;
		if (l->end.at != NEVER || l->made == NEVER)
			continue;
		if (first)
			first->told = false;
		first = l;
	}
	if (!first)
		first = explain_found(s, n, r, r->reply->attr.ino);
	if (ended_meanwhile && first->made >= r->begun)
		first->told = false;
	else
		first->end = end_now(s, r);
}

/* Without a number it was done by a first try whose answer was lost; which life, nobody knows. */
static void removed(struct sim *s, struct name *n, const struct request *r)
{
	n->last_end = s->now;
	if (r->reply->attr.ino) {
		end_one(s, n, r);
		return;
	}
	doubt_all(s, n);
}

/* What the new name stood for has lost it by this; a first try may have been answered nobody. */
static void moved(struct sim *s, struct name *from, struct name *to, const struct request *r)
{
	uint64_t ino = r->reply->attr.ino;
	struct life *l;

	if (from == to)
		return;
	from->last_end = s->now;
	DL_FOREACH (to->lives, l) {
		if (l->by == r || l->ino == ino || l->end.at != NEVER)
			continue;
		if (l->made < r->begun) /* by this, or its time was over already */
			l->end = (struct end){s->now, sim_epoch(s, r->node), SIZE_MAX, 0};
		else
			l->told = false; /* it came before or after */
	}
	if (sim_epoch(s, r->node) == r->epoch)
		end_one(s, from, r);
	else
		doubt_all(s, from);
	made(s, to, r);
	to->last_end = s->now;
}

static void succeeded(struct sim *s, struct name *n, struct request *r)
{
	switch (r->message->kind) {
	case MESSAGE_LOOKUP:
		explain_found(s, n, r, r->reply->attr.ino);
		explain_absence(s, n, r, r->reply->attr.ino);
		break;
	case MESSAGE_CREATE:
		opened(s, n, r);
		break;
	case MESSAGE_MKDIR:
	case MESSAGE_LINK:
		made(s, n, r);
		break;
	case MESSAGE_RENAME:
		moved(s, n, name_of(s, r->message->name2), r);
		break;
	case MESSAGE_UNLINK:
		removed(s, n, r);
		break;
	default:
		break;
	}
}

/*
 * A move or removal that was tried in an earlier epoch may have been done then, and be told NO_ENTRY
 * for it: two who are both told that they did it would be worse.
 */
static void refused(struct sim *s, struct name *n, struct request *r)
{
	bool move = r->message->kind == MESSAGE_RENAME;
	bool ends = move || r->message->kind == MESSAGE_UNLINK;

	if (r->status == STATUS_EXISTS)
		explain_existence(s, move ? name_of(s, r->message->name2) : n, r);
	if (r->status == STATUS_NO_ENTRY && (!ends || sim_epoch(s, r->node) == r->epoch))
		explain_absence(s, n, r, 0);
}

static void check_listed(struct sim *s, const struct name *n, const struct request *r)
{
	const struct message *reply = r->reply;
	const struct life *l;

	DL_FOREACH (n->lives, l) {
		size_t i;

		for (i = 0; i < reply->entry_count; i++)
			if (reply->entries[i].ino == l->ino &&
			    !strcmp(reply->entries[i].name, n->name))
				break;
		if (i == reply->entry_count && lasted(s, n, l, r))
			sim_fail(s, "I11: node %zu lists the root, and %s is not in it", r->node,
				 n->name);
	}
}

static void listed(struct sim *s, struct request *r)
{
	const struct message *reply = r->reply;
	struct name *n, *next;

	if (r->message->ino != ROOT_INO || r->message->start || !(reply->flags & REPLY_END))
		return;
	for (size_t i = 0; i < reply->entry_count; i++)
		explain_found(s, name_of(s, reply->entries[i].name), r, reply->entries[i].ino);
	HASH_ITER (hh, s->names, n, next)
		check_listed(s, n, r);
}

/* By number, which it was told with a name: some name may still have stood for it, or do so by a
 * move whose maker has not been told. */
static void opened_by_number(struct sim *s, const struct request *r)
{
	const struct name *n;
	const struct life *l;

	for (n = s->names; n; n = n->hh.next)
		DL_FOREACH (n->lives, l)
			if ((l->ino == r->message->ino || !l->ino) && !is_over(s, l, r->begun))
				return;
	sim_fail(s, "I11: node %zu opens %" PRIx64 ", which has no name any more", r->node,
		 r->message->ino);
}

static void add_use(struct sim *s, const struct request *r)
{
	struct use *u = calloc(1, sizeof(*u));

	assert(u);
	*u = (struct use){
		r->node, sim_instance(s, r->node), r->handle, r->reply->attr.ino, s->now, NULL,
		NULL};
	DL_APPEND(s->uses, u);
}

/* ---- Requests ---- */

static void is_mortal(struct sim *s, uint64_t ino)
{
	struct name *n, *next;
	struct life *l;

	HASH_ITER (hh, s->names, n, next)
		DL_FOREACH (n->lives, l)
			if (l->ino == ino)
				l->mortal = true;
}

void names_begin(struct sim *s, struct request *r)
{
	const struct message *m = r->message;
	struct name *n;

	r->epoch = sim_epoch(s, r->node);
	if (m->kind == MESSAGE_SETATTR && (m->set & SET_TTL))
		is_mortal(s, m->ino);
	if (m->parent != ROOT_INO || !m->name)
		return;
	n = name_of(s, m->name);
	if (m->kind == MESSAGE_CREATE)
		life_begins(n, r, (m->flags & OPEN_EXCL) != 0);
	if (m->kind == MESSAGE_MKDIR)
		life_begins(n, r, true);
	if (m->kind == MESSAGE_LINK)
		life_begins(n, r, true)->ino = m->ino;
	if (m->kind == MESSAGE_UNLINK)
		may_end(n, r, NULL);
	if (m->kind == MESSAGE_RENAME) {
		may_end(n, r, NULL);
		n = name_of(s, m->name2);
		may_end(n, r, life_begins(n, r, true));
	}
}

/* Did the call do what it was answered, and nothing else? */
static bool is_settled(const struct sim *s, const struct request *r)
{
	if (r->status == STATUS_OK)
		return r->message->kind == MESSAGE_RENAME || r->reply->attr.ino;
	return sim_epoch(s, r->node) == r->epoch &&
	       (r->status == STATUS_EXISTS || r->status == STATUS_NO_ENTRY ||
		r->status == STATUS_STALE || r->status == STATUS_NOT_EMPTY ||
		r->status == STATUS_IS_DIR || r->status == STATUS_NOT_DIR);
}

/* The call is over. Settled: nothing more comes of it; else that stays open. */
static void let_go(struct sim *s, struct name *n, const struct request *r, bool settled)
{
	struct ending *e, *next;
	struct life *l = life_by(n, r);

	DL_FOREACH_SAFE (n->endings, e, next) {
		if (e->by != r)
			continue;
		e->by = NULL;
		if (settled)
			ending_drop(n, e);
	}
	if (l && settled && r->status != STATUS_OK)
		life_drop(n, l);
	else if (l)
		l->by = NULL;
}

static void forget_old(struct sim *s, struct name *n)
{
	struct life *l, *next;

	DL_FOREACH_SAFE (n->lives, l, next)
		if (!l->by && l->end.at < s->now - LONG_AGO_NS)
			life_drop(n, l);
}

static void over(struct sim *s, struct request *r, bool settled)
{
	const struct message *m = r->message;

	if (m->parent != ROOT_INO || !m->name)
		return;
	let_go(s, name_of(s, m->name), r, settled);
	forget_old(s, name_of(s, m->name));
	if (m->kind == MESSAGE_RENAME)
		let_go(s, name_of(s, m->name2), r, settled);
}

void names_end(struct sim *s, struct request *r)
{
	const struct message *m = r->message;

	if (r->status == STATUS_OK && m->kind == MESSAGE_READDIR)
		listed(s, r);
	else if (m->parent == ROOT_INO && m->name && r->status == STATUS_OK)
		succeeded(s, name_of(s, m->name), r);
	else if (m->parent == ROOT_INO && m->name)
		refused(s, name_of(s, m->name), r);
	if (r->status == STATUS_OK && m->kind == MESSAGE_OPEN)
		opened_by_number(s, r);
	if (r->status == STATUS_OK && r->handle)
		add_use(s, r);
	over(s, r, is_settled(s, r));
}

void names_abandon(struct sim *s, struct request *r)
{
	over(s, r, false);
}

void names_closed(struct sim *s, size_t node, uint64_t handle)
{
	struct use *u, *next;

	DL_FOREACH_SAFE (s->uses, u, next)
		if (u->node == node && u->handle == handle) {
			DL_DELETE(s->uses, u);
			free(u);
		}
}

/* Nothing that a session held or was about to do is left when it is freed (I7). */
static void freed(struct sim *s, struct name *n, const char *id)
{
	struct ending *e, *next;
	struct life *l;

	DL_FOREACH (n->lives, l)
		if (l->held && !l->by && l->end.at == NEVER && !strcmp(s->nodes[l->node].id, id) &&
		    !engine_knows(s, id, l->instance))
			l->end = (struct end){s->now, UINT64_MAX, SIZE_MAX, 0};
	DL_FOREACH_SAFE (n->endings, e, next)
		if (!e->by && !strcmp(s->nodes[e->node].id, id) &&
		    !engine_knows(s, id, e->instance)) {
			doubt_all(s, n);
			ending_drop(n, e);
		}
}

void names_freed(struct sim *s, const char *id)
{
	struct name *n, *next;

	HASH_ITER (hh, s->names, n, next)
		freed(s, n, id);
}

void names_free(struct sim *s)
{
	struct name *n, *next;

	HASH_ITER (hh, s->names, n, next) {
		while (n->lives)
			life_drop(n, n->lives);
		while (n->endings)
			ending_drop(n, n->endings);
		HASH_DEL(s->names, n);
		free(n);
	}
	while (s->uses) {
		struct use *u = s->uses;

		DL_DELETE(s->uses, u);
		free(u);
	}
}
