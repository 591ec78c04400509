/* SPDX-License-Identifier: MIT */
/*
 * Deadlocks among range locks, over all files and clients (contract 5.1, EDEADLK).
 *
 *	             ┌──held by──────────────────> owner ──waits with──> request ──> …
 *	request ─────┤
 *	             └──asked for before it by───> request ──> …      … ──> the requester's lock?
 *
 * A request waits for whoever holds what it asks for, and for those before it in the queue whom it
 * may not overtake. It is looked for a circle when a request is about to wait: who is granted
 * something does not wait at that moment, so that a circle is closed by a new waiter. As in
 * fcntl(2) an owner is a process, and who holds something gives it up only when none of its threads
 * waits. Flocks take no part.
 *
 * Not looked for are the circles that come about when somebody may overtake a waiter no longer: by
 * what another thread of the same owner releases, or because the one in between, who waited for
 * that owner, was interrupted.
 *
 * Only those who hold something that is waited for can be part of a circle, which most requests
 * know at once. The search then looks at every request once.
 */
#include "lockcore/table_internal.h"

/*
 * Comparisons of ranges in one search, some 20 ms: the master must not be kept from its renewals.
 * Beyond, the request waits as if there were no circle. A thousand owners who hold and ask for one
 * range each of the same file stay well below, as do a million in files of their own.
 */
#define STEPS_MAX 4000000

struct search {
	struct table *t;
	const struct range *requester;
	struct waiter *todo; /* by search_next */
	uint64_t steps;
};

static void reach(struct search *s, struct waiter *w)
{
	if (w->searched == s->t->searches)
		return;
	w->searched = s->t->searches;
	w->search_next = s->todo;
	s->todo = w;
}

static void reach_all(struct search *s, const struct range *held)
{
	struct owner *owner = owner_find(s->t, held);
	struct waiter *w;

	if (owner)
		DL_FOREACH2 (owner->waiters, w, owner_next)
			reach(s, w);
}

/* Does whatever `want` at this place waits for belong to what the covering request waits for? */
static bool is_covered(const struct search *s, const struct lockset *set, const struct range *want,
		       uint64_t ticket)
{
	const struct range *by = &set->cover.want;

	return set->cover.search == s->t->searches && set->cover.ticket > ticket &&
	       by->start <= want->start && by->end >= want->end &&
	       (by->mode == LOCK_EXCLUSIVE || want->mode == LOCK_SHARED);
}

/* One whose owner has no other part in the file: nothing that it looks at is exempt for it, or its
 * own. */
static void note_cover(const struct search *s, struct lockset *set, const struct range *want,
		       uint64_t ticket)
{
	set->cover.search = s->t->searches;
	set->cover.want = *want;
	set->cover.ticket = ticket;
}

/*
 * Reaches all that a request waits for: w, or if it is NULL the requester, who is in no queue yet.
 * True: that is something of the requester's.
 */
static bool expand(struct search *s, struct lockset *set, const struct range *want,
		   struct waiter *w)
{
	uint64_t ticket = w ? w->ticket : UINT64_MAX;
	bool holds = w ? w->may_hold : lockset_owner_holds(set, want);
	const struct range *held;
	struct waiter *e;

	if (is_covered(s, set, want, ticket))
		return false;
	DL_FOREACH (set->granted[LOCK_RANGE], held) {
		s->steps++;
		if (!range_conflicts(held, want))
			continue;
		if (range_same_owner(held, s->requester))
			return true;
		reach_all(s, held);
	}
	lockset_mark_exempt(set, want, w, holds);
	for (e = set->queue; e != w; e = e->next) {
		s->steps++;
		if (e->want.kind == LOCK_RANGE && !e->exempt && range_conflicts(&e->want, want))
			reach(s, e);
	}
	if (!holds && (w ? w->owner->waiters == w && !w->owner_next : !owner_find(s->t, want)))
		note_cover(s, set, want, ticket);
	return false;
}

/* Does anybody wait where the requester holds something? */
static bool is_waited_for(struct search *s)
{
	const struct lockset *set;

	DL_FOREACH2 (s->t->contended, set, contended_next)
		if (lockset_owner_holds(set, s->requester))
			return true;
	return false;
}

bool would_deadlock(struct table *t, struct lockset *set, const struct range *want)
{
	struct search s = {.t = t, .requester = want};
	bool circle;

	if (want->kind != LOCK_RANGE || !is_waited_for(&s))
		return false;
	t->searches++;
	circle = expand(&s, set, want, NULL);
	while (!circle && s.todo && s.steps < STEPS_MAX) {
		struct waiter *w = s.todo;

		s.todo = w->search_next;
		circle = expand(&s, w->handle->inode->locks, &w->want, w);
	}
	return circle;
}
