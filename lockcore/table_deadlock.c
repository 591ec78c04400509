/* SPDX-License-Identifier: MIT */
/*
 * Deadlocks among range locks, over all files and clients (contract 5.1, EDEADLK).
 *
 *	requester ──wants──> range ──held by──> owner ──waits for──> range ──held by──> … requester?
 *
 * Looked for when a request is about to wait: nobody who is granted something waits at that moment,
 * so a circle can only be closed by a new waiter. As in fcntl(2) an owner is a process, one that
 * waits in several threads waits for all of it, and flocks take no part.
 */
#include "lockcore/table_internal.h"

/* Longer chains of processes that wait for each other are taken for no circle. */
#define CHAIN_MAX 64

static bool leads_back(struct table *t, const struct lockset *set, const struct range *blocked,
		       const struct range *requester, int chain);

/* Does this owner wait for something that, at the end, waits for the requester? */
static bool owner_leads_back(struct table *t, const struct range *owner,
			     const struct range *requester, int chain)
{
	struct waiter *w;

	for (w = t->waiters; w; w = w->hh.next) {
		if (w->searched == t->searches || w->want.kind != LOCK_RANGE ||
		    !range_same_owner(&w->want, owner))
			continue;
		w->searched = t->searches;
		if (leads_back(t, w->handle->inode->locks, &w->want, requester, chain))
			return true;
	}
	return false;
}

static bool leads_back(struct table *t, const struct lockset *set, const struct range *blocked,
		       const struct range *requester, int chain)
{
	const struct range *held;

	if (chain == CHAIN_MAX)
		return false;
	DL_FOREACH (set->granted[LOCK_RANGE], held) {
		if (!range_conflicts(held, blocked))
			continue;
		if (range_same_owner(held, requester) ||
		    owner_leads_back(t, held, requester, chain + 1))
			return true;
	}
	return false;
}

bool would_deadlock(struct table *t, const struct lockset *set, const struct range *want)
{
	t->searches++;
	return want->kind == LOCK_RANGE && leads_back(t, set, want, want, 0);
}
