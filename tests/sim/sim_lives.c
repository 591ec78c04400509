/* SPDX-License-Identifier: MIT */
/* The lives of names: what is certain of them, what may be, and what ends them (sim_lives.h). */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim_lives.h"

#define LONG_AGO_NS (60 * NS_PER_SEC) /* nobody remembers a file that went so long ago */

/* ---- Names, lives and what may end them ---- */

struct name *name_get(struct sim *s, const char *name)
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

struct life *life_begins(struct name *n, const struct request *r, bool held)
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

void name_may_lose(struct name *n, const struct request *r, const struct life *but)
{
	struct ending *e = calloc(1, sizeof(*e));

	assert(e);
	e->by = r;
	e->but = but;
	e->node = r->node;
	e->instance = r->instance;
	DL_APPEND(n->endings, e);
}

void life_drop(struct name *n, struct life *l)
{
	DL_DELETE(n->lives, l);
	free(l);
}

void ending_drop(struct name *n, struct ending *e)
{
	DL_DELETE(n->endings, e);
	free(e);
}

struct life *life_by(struct name *n, const struct request *r)
{
	struct life *l;

	DL_FOREACH (n->lives, l)
		if (l->by == r)
			return l;
	return NULL;
}

struct end end_now(const struct sim *s, const struct request *r)
{
	return (struct end){s->now, sim_epoch(s, r->node), r->node, sim_instance(s, r->node)};
}

/* ---- What is certain, and what may be ---- */

bool life_is_over(const struct sim *s, const struct life *l, int64_t before)
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
bool life_lasted(const struct sim *s, const struct name *n, const struct life *l,
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

void explain_absence(struct sim *s, struct name *n, const struct request *r, uint64_t but)
{
	struct life *l;

	DL_FOREACH (n->lives, l) {
		if (l->by == r || (but && l->ino == but))
			continue;
		if (life_lasted(s, n, l, r))
			sim_fail(s, "I11: node %zu does not see %s (%" PRIx64 ") of node %zu",
				 r->node, n->name, l->ino, l->node);
		/* What was there before the call is over, at least for this epoch's master. */
		if (l->made < r->begun && !life_is_over(s, l, NEVER))
			l->end = (struct end){s->now, sim_epoch(s, r->node), SIZE_MAX, 0};
	}
}

void explain_existence(struct sim *s, const struct name *n, const struct request *r)
{
	const struct life *l;

	DL_FOREACH (n->lives, l)
		if (l->by != r && !life_is_over(s, l, r->begun))
			return;
	sim_fail(s, "I11: node %zu is told that %s exists, and nobody has made it", r->node,
		 n->name);
}

/* What the first try made and others met, nobody remembers: a retry has made another file. */
static bool may_be_another(const struct sim *s, const struct life *l, const struct request *r)
{
	return !l->told && l->epoch < sim_epoch(s, r->node);
}

struct life *life_seen(struct life *l, int64_t at)
{
	if (l->alive < at)
		l->alive = at;
	return l;
}

/* The life that was found: its own, or one whose maker was never told the number. */
struct life *explain_found(struct sim *s, const struct name *n, const struct request *r,
			   uint64_t ino)
{
	struct life *l, *found = NULL;

	DL_FOREACH (n->lives, l) {
		if (l->ino == ino && !life_is_over(s, l, r->begun))
			return life_seen(l, r->begun);
		if (!found && (!l->ino || may_be_another(s, l, r)))
			found = l;
	}
	if (!found)
		sim_fail(s, "I11: node %zu finds %" PRIx64 " as %s, which it is not", r->node, ino,
			 n->name);
	found->ino = ino;
	found->made = s->now;
	found->end.at = NEVER;
	return life_seen(found, r->begun);
}

/* ---- Doubt, and oblivion ---- */

/* Something may have ended any of them. */
void name_doubt_all(struct sim *s, struct name *n)
{
	struct life *l;

	n->last_end = s->now;
	DL_FOREACH (n->lives, l)
		l->told = false;
}

void lives_are_mortal(struct sim *s, uint64_t ino)
{
	struct name *n, *next;
	struct life *l;

	HASH_ITER (hh, s->names, n, next)
		DL_FOREACH (n->lives, l)
			if (l->ino == ino)
				l->mortal = true;
}

void name_forget_old(struct sim *s, struct name *n)
{
	struct life *l, *next;

	DL_FOREACH_SAFE (n->lives, l, next)
		if (!l->by && l->end.at < s->now - LONG_AGO_NS)
			life_drop(n, l);
}

/* ---- Open files ---- */

void use_begins(struct sim *s, const struct request *r)
{
	struct use *u = calloc(1, sizeof(*u));

	assert(u);
	*u = (struct use){
		r->node, sim_instance(s, r->node), r->handle, r->reply->attr.ino, s->now, NULL,
		NULL};
	DL_APPEND(s->uses, u);
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

void names_lost(struct sim *s, size_t node, uint64_t ino)
{
	struct use *u, *next;

	DL_FOREACH_SAFE (s->uses, u, next) {
		if (u->node != node || u->ino != ino || !break_let_go(s, node, u->handle))
			continue;
		locks_closed(s, node, u->handle);
		DL_DELETE(s->uses, u);
		free(u);
	}
}

/* ---- The end of sessions, and of all ---- */

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
			name_doubt_all(s, n);
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
