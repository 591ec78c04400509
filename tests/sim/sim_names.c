/* SPDX-License-Identifier: MIT */
/*
 * What programs heard of the root's names, explained without the core (I11).
 *
 * An answer is explained by the lives (sim_lives.h) that may have been at some moment of its call,
 * and refuted by those that were there all the while:
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

#include "sim_lives.h"

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
		if (l != own && l->ino == ino && !l->told && !life_is_over(s, l, r->begun))
			met = l;
		/* What was met before it was begun it has not made. */
		if (l != own && !l->ino && l->made_begun < own_was.made)
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
	l = life_seen(explain_found(s, n, r, r->reply->attr.ino), s->now);
	explain_absence(s, n, r, r->reply->attr.ino);
	if (l != own)
		life_drop(n, own);
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
	name_doubt_all(s, n);
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
		name_doubt_all(s, from);
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
	case MESSAGE_SYMLINK:
	case MESSAGE_LINK:
		made(s, n, r);
		break;
	case MESSAGE_RENAME:
		moved(s, n, name_get(s, r->message->name2), r);
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
		explain_existence(s, move ? name_get(s, r->message->name2) : n, r);
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
		if (i == reply->entry_count && life_lasted(s, n, l, r))
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
		explain_found(s, name_get(s, reply->entries[i].name), r, reply->entries[i].ino);
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
			if ((l->ino == r->message->ino || !l->ino) && !life_is_over(s, l, r->begun))
				return;
	sim_fail(s, "I11: node %zu opens %" PRIx64 ", which has no name any more", r->node,
		 r->message->ino);
}

/* ---- Requests ---- */

void names_begin(struct sim *s, struct request *r)
{
	const struct message *m = r->message;
	struct name *n;

	r->epoch = sim_epoch(s, r->node);
	if (m->kind == MESSAGE_SETATTR && (m->set & SET_TTL))
		lives_are_mortal(s, m->ino);
	if (m->parent != ROOT_INO || !m->name)
		return;
	n = name_get(s, m->name);
	if (m->kind == MESSAGE_CREATE)
		life_begins(n, r, (m->flags & OPEN_EXCL) != 0);
	if (m->kind == MESSAGE_MKDIR || m->kind == MESSAGE_SYMLINK)
		life_begins(n, r, true);
	if (m->kind == MESSAGE_LINK)
		life_begins(n, r, true)->ino = m->ino;
	if (m->kind == MESSAGE_UNLINK)
		name_may_lose(n, r, NULL);
	if (m->kind == MESSAGE_RENAME) {
		name_may_lose(n, r, NULL);
		n = name_get(s, m->name2);
		name_may_lose(n, r, life_begins(n, r, true));
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

static void over(struct sim *s, struct request *r, bool settled)
{
	const struct message *m = r->message;

	if (m->parent != ROOT_INO || !m->name)
		return;
	let_go(s, name_get(s, m->name), r, settled);
	name_forget_old(s, name_get(s, m->name));
	if (m->kind == MESSAGE_RENAME)
		let_go(s, name_get(s, m->name2), r, settled);
}

void names_end(struct sim *s, struct request *r)
{
	const struct message *m = r->message;

	if (r->status == STATUS_OK && m->kind == MESSAGE_READDIR)
		listed(s, r);
	else if (m->parent == ROOT_INO && m->name && r->status == STATUS_OK)
		succeeded(s, name_get(s, m->name), r);
	else if (m->parent == ROOT_INO && m->name)
		refused(s, name_get(s, m->name), r);
	if (r->status == STATUS_OK && m->kind == MESSAGE_OPEN)
		opened_by_number(s, r);
	if (r->status == STATUS_OK && r->handle)
		use_begins(s, r);
	over(s, r, is_settled(s, r));
}

void names_abandon(struct sim *s, struct request *r)
{
	over(s, r, false);
}
