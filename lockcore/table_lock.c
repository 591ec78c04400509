/* SPDX-License-Identifier: MIT */
/*
 * Lock requests and their queues: first come, first served (contract 5.2).
 *
 *	            table_lock                      settle
 *	request ────────────────> waiting (queue) ──────────> granted
 *	   │ no one in the way        │ table_cancel, close       │ unlock, close
 *	   └──────────> granted       └──> forgotten              └──> released, then settle
 *
 * A queue is settled whenever something was released or a waiter went: the first who need not wait
 * is granted, and again from the head, since a grant that downgrades what its owner held makes way
 * for those before it too.
 */
#include "lockcore/table_internal.h"

bool lockset_owner_holds(const struct lockset *set, const struct range *want)
{
	const struct range *held;

	DL_FOREACH (set->granted[want->kind], held)
		if (range_same_owner(held, want))
			return true;
	return false;
}

/* What may be exempt: the hulls of what the requester holds, and of the exempt waiters so far. */
struct exemption {
	struct span held, exempt;
};

static void widen(struct span *s, int64_t start, int64_t end)
{
	if (!s->any)
		*s = (struct span){true, start, end};
	s->start = start < s->start ? start : s->start;
	s->end = end > s->end ? end : s->end;
}

static bool meets(const struct span *s, const struct range *r)
{
	return s->any && r->start <= s->end && r->end >= s->start;
}

static struct exemption exemption_of(const struct lockset *set, const struct range *want,
				     bool holds)
{
	struct exemption x = {0};
	const struct range *held;

	if (holds)
		DL_FOREACH (set->granted[want->kind], held)
			if (range_same_owner(held, want))
				widen(&x.held, held->start, held->end);
	return x;
}

/*
 * Does this waiter wait for the requester: for a range that its owner holds, or behind a waiter who
 * does? To wait for it would be to wait for oneself. The waiters before it are marked already.
 */
static bool waits_for(const struct lockset *set, const struct exemption *x, const struct waiter *w,
		      const struct range *want)
{
	const struct range *held;
	const struct waiter *e;

	if (meets(&x->held, &w->want))
		DL_FOREACH (set->granted[want->kind], held)
			if (range_same_owner(held, want) && range_conflicts(held, &w->want))
				return true;
	if (meets(&x->exempt, &w->want))
		for (e = set->queue; e != w; e = e->next)
			if (e->want.kind == want->kind && e->exempt &&
			    range_conflicts(&e->want, &w->want))
				return true;
	return false;
}

static void mark(const struct lockset *set, struct exemption *x, struct waiter *w,
		 const struct range *want)
{
	w->exempt = waits_for(set, x, w, want);
	if (w->exempt)
		widen(&x->exempt, w->want.start, w->want.end);
}

void lockset_mark_exempt(const struct lockset *set, const struct range *want,
			 const struct waiter *until, bool holds)
{
	struct exemption x = exemption_of(set, want, holds);
	struct waiter *w;

	for (w = set->queue; w != until; w = w->next)
		if (w->want.kind == want->kind)
			mark(set, &x, w, want);
}

/* Must a request of one who holds something wait for one of the waiters before `until` (NULL: all)? */
static bool stands_behind(const struct lockset *set, const struct range *want,
			  const struct waiter *until)
{
	struct exemption x = exemption_of(set, want, true);
	struct waiter *w;

	for (w = set->queue; w != until; w = w->next) {
		if (w->want.kind != want->kind)
			continue;
		mark(set, &x, w, want);
		if (!w->exempt && range_conflicts(&w->want, want))
			return true;
	}
	return false;
}

/* And one who holds nothing, for whomever? Either list may be long, and the other decide at once. */
static bool is_blocked(const struct lockset *set, const struct range *want,
		       const struct waiter *until)
{
	const struct range *held = set->granted[want->kind];
	const struct waiter *w = set->queue;

	while (held || w != until) {
		if (held && range_conflicts(held, want))
			return true;
		if (w != until && w->want.kind == want->kind && range_conflicts(&w->want, want))
			return true;
		held = held ? held->next : NULL;
		w = w != until ? w->next : until;
	}
	return false;
}

/* Must the request wait, for a holder or for one of the waiters before `until` (NULL: all)? */
static bool must_wait(const struct lockset *set, const struct range *want,
		      const struct waiter *until, bool holds)
{
	if (want->mode == LOCK_NONE)
		return false;
	if (!holds)
		return is_blocked(set, want, until);
	return range_blocker(set->granted[want->kind], want) || stands_behind(set, want, until);
}

void lockset_changed(struct lockset *set, enum lock_kind kind, int64_t start, int64_t end)
{
	widen(&set->changed[kind], start, end);
}

/* What the owner holds of these bytes is about to be released, or to become another lock. */
static void changed_by_owner(struct lockset *set, const struct range *want)
{
	const struct range *held;

	DL_FOREACH (set->granted[want->kind], held)
		if (range_same_owner(held, want) && range_overlap(held, want))
			lockset_changed(set, want->kind,
					held->start > want->start ? held->start : want->start,
					held->end < want->end ? held->end : want->end);
}

static void grow(struct table *t, int by)
{
	t->locks += (uint64_t)(int64_t)by;
}

static void waiter_unlink(struct table *t, struct waiter *w)
{
	struct lockset *set = w->handle->inode->locks;

	DL_DELETE(set->queue, w);
	owner_waits_no_more(t, set, w);
	lockset_changed(set, w->want.kind, w->want.start, w->want.end);
	DL_DELETE2(w->handle->waiters, w, handle_prev, handle_next);
	HASH_DEL(t->waiters, w);
}

static void waiter_free(struct table *t, struct waiter *w)
{
	feed_waiter(t, CHANGE_GAVE_UP, w);
	waiter_unlink(t, w);
	range_unreserve(w->spares);
	free(w);
}

static void waiter_grant(struct table *t, struct lockset *set, struct waiter *w)
{
	waiter_unlink(t, w);
	w->want.token = table_next_token(t);
	w->want.since_ns = t->now_ns;
	grow(t, range_set(&set->granted[w->want.kind], &w->want, w->spares));
	range_unreserve(w->spares);
	owner_gained(t, set, &w->want);
	feed_range(t, CHANGE_GRANTED, &w->want);
	DL_APPEND(t->granted, w);
}

/* The first in the queue that need not wait any longer. */
static struct waiter *first_due(const struct lockset *set)
{
	struct waiter *w;

	DL_FOREACH (set->queue, w)
		if (meets(&set->changed[w->want.kind], &w->want) &&
		    !must_wait(set, &w->want, w, w->may_hold))
			return w;
	return NULL;
}

void lockset_settle_changed(struct table *t, struct inode *inode)
{
	struct lockset *set = inode->locks;
	struct waiter *w;

	if (!set)
		return;
	if (!t->restoring && (set->changed[LOCK_FLOCK].any || set->changed[LOCK_RANGE].any))
		while ((w = first_due(set)))
			waiter_grant(t, set, w);
	memset(set->changed, 0, sizeof(set->changed));
	lockset_free_if_empty(t, inode);
}

void lockset_settle(struct table *t, struct inode *inode)
{
	if (!inode->locks)
		return;
	lockset_changed(inode->locks, LOCK_FLOCK, 0, RANGE_END);
	lockset_changed(inode->locks, LOCK_RANGE, 0, RANGE_END);
	lockset_settle_changed(t, inode);
}

/* The request as a range and the handle it goes through, or why it cannot be one. */
static enum status want_range(struct table *t, const struct table_want *want, struct range *out,
			      struct handle **handle)
{
	struct handle *h = table_handle(t, want->client, want->handle);

	if (!inode_find(t, want->ino))
		return STATUS_STALE;
	if (!h || h->inode->ino != want->ino)
		return STATUS_INVALID;
	if (want->start < 0 || want->end < want->start)
		return STATUS_INVALID;
	*handle = h;
	*out = (struct range){
		.client = want->client,
		.owner = want->kind == LOCK_FLOCK ? want->handle : want->owner,
		.handle = want->handle,
		.ino = want->ino,
		.start = want->start,
		.end = want->end,
		.since_ns = want->since_ns,
		.pid = want->pid,
		.uid = want->uid,
		.kind = want->kind,
		.mode = want->mode,
	};
	command_copy(out->command, want->command);
	return STATUS_OK;
}

/* The lockset of an inode, made if need be, and the memory for one range. */
static bool reserve(struct table *t, struct inode *inode, struct range *spares[RANGE_SPARES])
{
	if (lockset_make(t, inode) && range_reserve(spares))
		return true;
	lockset_free_if_empty(t, inode);
	return false;
}

/* Queues the request; its memory for the grant comes along. */
static struct waiter *enqueue(struct table *t, struct handle *h, const struct range *want,
			      uint64_t req, struct range *spares[RANGE_SPARES])
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->key.client = want->client;
	w->key.req = req;
	HASH_ADD(hh, t->waiters, key, sizeof(w->key), w);
	if (!w->hh.tbl) {
		free(w);
		return NULL;
	}
	w->handle = h;
	w->want = *want;
	w->may_hold = lockset_owner_holds(h->inode->locks, want);
	if (!owner_waits(t, h->inode->locks, w)) {
		HASH_DEL(t->waiters, w);
		free(w);
		return NULL;
	}
	memcpy(w->spares, spares, sizeof(w->spares));
	memset(spares, 0, sizeof(w->spares));
	DL_APPEND(h->inode->locks->queue, w);
	DL_APPEND2(h->waiters, w, handle_prev, handle_next);
	return w;
}

/* A release, a downgrade or a conversion may make way for others. */
static void grant_now(struct table *t, struct inode *inode, struct range *want,
		      struct range *spares[RANGE_SPARES], struct table_got *got)
{
	struct lockset *set = inode->locks;

	if (want->mode != LOCK_NONE) {
		got->token = want->token = table_next_token(t);
		got->since_ns = want->since_ns;
	}
	changed_by_owner(set, want);
	feed_release(t, set, want);
	grow(t, range_set(&set->granted[want->kind], want, spares));
	if (want->mode != LOCK_NONE) {
		owner_gained(t, set, want);
		feed_range(t, CHANGE_GRANTED, want);
	}
	lockset_settle_changed(t, inode);
}

/*
 * Somebody is in the way. The old lock of a flock that is converted goes first, since flock(2) does
 * not convert atomically; that may let others pass, and then the request stands last.
 */
static enum status wait_or_refuse(struct table *t, struct handle *h, const struct range *lock,
				  const struct table_want *want, struct range *spares[RANGE_SPARES],
				  struct table_got *got)
{
	struct lockset *set = h->inode->locks;
	struct waiter *w = NULL;

	if (want->wait && would_deadlock(t, set, lock))
		return STATUS_DEADLOCK;
	if (want->wait) {
		w = enqueue(t, h, lock, want->req, spares);
		if (!w)
			return STATUS_NO_MEMORY;
		got->queued = true;
		got->ticket = w->ticket = t->epoch_base + ++t->tickets;
		feed_waiter(t, CHANGE_WAITS, w);
	}
	if (lock->kind == LOCK_FLOCK) {
		changed_by_owner(set, lock);
		feed_release_handle(t, set, h);
		grow(t, -range_drop_handle(&set->granted[LOCK_FLOCK], lock->client, lock->handle));
		if (w)
			w->may_hold = false;
		lockset_settle_changed(t, h->inode);
	}
	return want->wait ? STATUS_OK : STATUS_BUSY;
}

/* Splits nothing, and so needs no memory: this release cannot fail. */
static bool unlocks_all(const struct range *want)
{
	return want->mode == LOCK_NONE && want->start == 0 && want->end == RANGE_END;
}

enum status table_lock(struct table *t, const struct table_want *want, struct table_got *got)
{
	struct range *spares[RANGE_SPARES] = {NULL};
	const struct range *covering;
	struct range lock;
	struct handle *h;
	enum status status = want_range(t, want, &lock, &h);

	assert(!t->restoring);
	*got = (struct table_got){0};
	t->now_ns = want->since_ns;
	if (status != STATUS_OK)
		return status;
	if (unlocks_all(&lock)) {
		if (h->inode->locks)
			grant_now(t, h->inode, &lock, spares, got);
		return STATUS_OK;
	}
	lockset_join_kin(t, h->inode);
	if (!reserve(t, h->inode, spares))
		return STATUS_NO_MEMORY;
	covering = range_covering(h->inode->locks->granted[lock.kind], &lock);
	if (covering)
		*got = (struct table_got){.token = covering->token, .since_ns = covering->since_ns};
	else if (must_wait(h->inode->locks, &lock, NULL,
			   lockset_owner_holds(h->inode->locks, &lock)))
		status = wait_or_refuse(t, h, &lock, want, spares, got);
	else
		grant_now(t, h->inode, &lock, spares, got);
	range_unreserve(spares);
	lockset_free_if_empty(t, h->inode);
	return status;
}

enum status table_test_lock(struct table *t, const struct table_want *want,
			    struct table_holder *out)
{
	const struct range *blocker = NULL;
	struct range lock;
	struct handle *h;
	enum status status = want_range(t, want, &lock, &h);

	if (status != STATUS_OK)
		return status;
	lockset_join_kin(t, h->inode);
	if (h->inode->locks)
		blocker = range_first_blocker(h->inode->locks->granted[lock.kind], &lock);
	*out = (struct table_holder){0};
	if (blocker)
		*out = (struct table_holder){
			.client = blocker->client,
			.mode = blocker->mode,
			.start = blocker->start,
			.end = blocker->end,
			.pid = blocker->pid,
		};
	return STATUS_OK;
}

static struct waiter *waiter_find(struct table *t, uint64_t client, uint64_t req)
{
	struct waiter *w;
	struct {
		uint64_t client, req;
	} key = {client, req};

	HASH_FIND(hh, t->waiters, &key, sizeof(key), w);
	return w;
}

bool table_cancel(struct table *t, uint64_t client, uint64_t req)
{
	struct waiter *w = waiter_find(t, client, req);
	struct inode *inode;

	if (!w)
		return false;
	inode = w->handle->inode;
	waiter_free(t, w);
	lockset_settle_changed(t, inode);
	return true;
}

void handle_drop_waiters(struct table *t, struct handle *h)
{
	while (h->waiters)
		waiter_free(t, h->waiters);
}

void lockset_drop_handle(struct table *t, struct handle *h)
{
	struct lockset *set = h->inode->locks;
	const struct range *held;

	handle_drop_waiters(t, h);
	if (!set)
		return;
	feed_release_handle(t, set, h);
	for (int kind = LOCK_FLOCK; kind <= LOCK_RANGE; kind++) {
		DL_FOREACH (set->granted[kind], held)
			if (held->client == h->key.client && held->handle == h->key.id)
				lockset_changed(set, held->kind, held->start, held->end);
		grow(t, -range_drop_handle(&set->granted[kind], h->key.client, h->key.id));
	}
}

/* ---- Restoring ---- */

enum status table_restore_lock(struct table *t, const struct table_want *want, uint64_t token)
{
	struct range *spares[RANGE_SPARES] = {NULL};
	struct range **granted;
	struct range lock;
	struct handle *h;
	enum status status = want_range(t, want, &lock, &h);

	t->restoring = true;
	if (status != STATUS_OK)
		return status;
	if (want->mode == LOCK_NONE || !token || token > t->epoch_base)
		return STATUS_INVALID;
	if (!reserve(t, h->inode, spares))
		return STATUS_NO_MEMORY;
	granted = &h->inode->locks->granted[lock.kind];
	lock.token = token;
	if (range_blocker(*granted, &lock))
		status = STATUS_BUSY;
	else
		grow(t, range_set(granted, &lock, spares));
	if (status == STATUS_OK)
		owner_gained(t, h->inode->locks, &lock);
	range_unreserve(spares);
	lockset_free_if_empty(t, h->inode);
	return status;
}

enum status table_restore_wait(struct table *t, const struct table_want *want, uint64_t ticket)
{
	struct range *spares[RANGE_SPARES] = {NULL};
	struct range lock;
	struct handle *h;
	struct waiter *w;
	enum status status = want_range(t, want, &lock, &h);

	t->restoring = true;
	if (status != STATUS_OK)
		return status;
	if (want->mode == LOCK_NONE || !ticket || ticket > t->epoch_base ||
	    waiter_find(t, want->client, want->req))
		return STATUS_INVALID;
	if (!reserve(t, h->inode, spares))
		return STATUS_NO_MEMORY;
	w = enqueue(t, h, &lock, want->req, spares);
	range_unreserve(spares);
	lockset_free_if_empty(t, h->inode);
	if (!w)
		return STATUS_NO_MEMORY;
	w->ticket = ticket; /* table_restore_end sorts */
	return STATUS_OK;
}
