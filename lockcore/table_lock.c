/* SPDX-License-Identifier: MIT */
/*
 * Lock requests and their queues: first come, first served (contract 5.2).
 *
 *	            table_lock                      settle
 *	request ────────────────> waiting (queue) ──────────> granted
 *	   │ no one in the way        │ table_cancel, close       │ unlock, close
 *	   └──────────> granted       └──> forgotten              └──> released, then settle
 *
 * A queue is settled whenever something was released or a waiter went. It is enough to walk it
 *once, from its head: a grant can only put more in the way of those behind.
 */
#include "lockcore/table_internal.h"

/*
 * Does an earlier waiter stand in front of this request? Not one that itself waits for the
 * requester's own lock: to wait for it would be to wait for oneself.
 */
static bool stands_before(const struct lockset *set, const struct lock *earlier,
			  const struct lock *want)
{
	const struct lock *held;

	if (earlier->kind != want->kind || !lock_conflicts(earlier, want))
		return false;
	DL_FOREACH (set->granted[want->kind], held)
		if (held->client == want->client && held->owner == want->owner &&
		    lock_conflicts(held, earlier))
			return false;
	return true;
}

/* Must the request wait, for a holder or for one of the waiters before `until` (NULL: all)? */
static bool must_wait(const struct lockset *set, const struct lock *want,
		      const struct waiter *until)
{
	const struct waiter *w;

	if (want->mode == LOCK_NONE)
		return false;
	if (range_blocker(set, want))
		return true;
	DL_FOREACH (set->queue, w) {
		if (w == until)
			break;
		if (stands_before(set, &w->want, want))
			return true;
	}
	return false;
}

void lockset_free_if_empty(struct inode *inode)
{
	struct lockset *set = inode->locks;

	if (!set || set->granted[0] || set->granted[1] || set->queue)
		return;
	free(set);
	inode->locks = NULL;
}

static void waiter_unlink(struct table *t, struct waiter *w)
{
	DL_DELETE(w->want.handle->inode->locks->queue, w);
	DL_DELETE2(w->want.handle->waiters, w, handle_prev, handle_next);
	HASH_DEL(t->waiters, w);
}

void waiter_free(struct table *t, struct waiter *w)
{
	waiter_unlink(t, w);
	range_unreserve(w->spares);
	free(w);
}

static void waiter_grant(struct table *t, struct lockset *set, struct waiter *w)
{
	waiter_unlink(t, w);
	w->want.token = table_next_token(t);
	range_set(t, set, &w->want, w->spares);
	range_unreserve(w->spares);
	DL_APPEND(t->granted, w);
}

void lockset_settle(struct table *t, struct inode *inode)
{
	struct lockset *set = inode->locks;
	struct waiter *w, *next;

	if (!set || t->restoring)
		return;
	DL_FOREACH_SAFE (set->queue, w, next)
		if (!must_wait(set, &w->want, w))
			waiter_grant(t, set, w);
	lockset_free_if_empty(inode);
}

static struct lock *flock_of(const struct lockset *set, const struct handle *h)
{
	struct lock *held;

	DL_FOREACH (set->granted[LOCK_FLOCK], held)
		if (held->handle == h)
			return held;
	return NULL;
}

/* The request as a lock, or why it cannot be one. */
static enum status want_lock(struct table *t, const struct table_want *want, struct lock *out)
{
	struct handle *h = table_handle(t, want->client, want->handle);

	if (!inode_find(t, want->ino))
		return STATUS_STALE;
	if (!h || h->inode->ino != want->ino)
		return STATUS_INVALID;
	if (want->start < 0 || want->end < want->start)
		return STATUS_INVALID;
	*out = (struct lock){
		.handle = h,
		.client = want->client,
		.owner = want->kind == LOCK_FLOCK ? want->handle : want->owner,
		.start = want->start,
		.end = want->end,
		.pid = want->pid,
		.kind = (uint8_t)want->kind,
		.mode = (uint8_t)want->mode,
	};
	return STATUS_OK;
}

static struct lockset *lockset_of(struct inode *inode)
{
	if (!inode->locks)
		inode->locks = calloc(1, sizeof(*inode->locks));
	return inode->locks;
}

/* Queues the request; its memory for the grant comes along. */
static struct waiter *enqueue(struct table *t, struct lockset *set, const struct lock *lock,
			      uint64_t req, struct lock *spares[RANGE_SPARES])
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->key.client = lock->client;
	w->key.req = req;
	HASH_ADD(hh, t->waiters, key, sizeof(w->key), w);
	if (!w->hh.tbl) {
		free(w);
		return NULL;
	}
	w->want = *lock;
	memcpy(w->spares, spares, sizeof(w->spares));
	memset(spares, 0, sizeof(w->spares));
	DL_APPEND(set->queue, w);
	DL_APPEND2(lock->handle->waiters, w, handle_prev, handle_next);
	return w;
}

static void grant_now(struct table *t, struct inode *inode, struct lock *lock,
		      struct lock *spares[RANGE_SPARES], struct table_got *got)
{
	if (lock->mode != LOCK_NONE)
		got->token = lock->token = table_next_token(t);
	range_set(t, inode->locks, lock, spares);
	/* A release, a downgrade or a conversion may have made way for others. */
	lockset_settle(t, inode);
	lockset_free_if_empty(inode);
}

/*
 * Somebody is in the way. The old lock of a flock that is converted goes first, since flock(2) does
 * not convert atomically; that may let others pass, and then the request stands last.
 */
static enum status wait_or_refuse(struct table *t, struct inode *inode, const struct lock *lock,
				  const struct table_want *want, struct lock *spares[RANGE_SPARES],
				  struct table_got *got)
{
	struct lock *old = lock->kind == LOCK_FLOCK ? flock_of(inode->locks, lock->handle) : NULL;
	struct waiter *w = NULL;
	enum status status = STATUS_BUSY;

	if (want->wait) {
		w = enqueue(t, inode->locks, lock, want->req, spares);
		status = w ? STATUS_OK : STATUS_NO_MEMORY;
	}
	if (w) {
		got->queued = true;
		got->ticket = w->ticket = t->epoch_base + ++t->tickets;
	}
	if (old && status != STATUS_NO_MEMORY) {
		range_remove(t, inode->locks, old);
		lockset_settle(t, inode);
	}
	lockset_free_if_empty(inode);
	return status;
}

enum status table_lock(struct table *t, const struct table_want *want, struct table_got *got)
{
	struct lock *spares[RANGE_SPARES] = {NULL};
	struct lock lock;
	struct inode *inode;
	enum status status = want_lock(t, want, &lock);

	assert(!t->restoring);
	*got = (struct table_got){0};
	if (status != STATUS_OK)
		return status;
	inode = lock.handle->inode;
	if (!lockset_of(inode) || !range_reserve(spares)) {
		lockset_free_if_empty(inode);
		return STATUS_NO_MEMORY;
	}
	if (range_covered(inode->locks, &lock, &got->token))
		status = STATUS_OK;
	else if (must_wait(inode->locks, &lock, NULL))
		status = wait_or_refuse(t, inode, &lock, want, spares, got);
	else
		grant_now(t, inode, &lock, spares, got);
	range_unreserve(spares);
	return status;
}

enum status table_test_lock(struct table *t, const struct table_want *want,
			    struct table_holder *out)
{
	struct lock lock;
	const struct lock *blocker = NULL;
	enum status status = want_lock(t, want, &lock);

	if (status != STATUS_OK)
		return status;
	if (lock.handle->inode->locks)
		blocker = range_blocker(lock.handle->inode->locks, &lock);
	*out = (struct table_holder){0};
	if (blocker)
		*out = (struct table_holder){
			.client = blocker->client,
			.mode = (enum lock_mode)blocker->mode,
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

void table_cancel(struct table *t, uint64_t client, uint64_t req)
{
	struct waiter *w = waiter_find(t, client, req);
	struct inode *inode;

	if (!w)
		return;
	inode = w->want.handle->inode;
	waiter_free(t, w);
	lockset_settle(t, inode);
	lockset_free_if_empty(inode);
}

void lockset_drop_handle(struct table *t, struct handle *h)
{
	while (h->waiters)
		waiter_free(t, h->waiters);
	while (h->locks)
		range_remove(t, h->inode->locks, h->locks);
	lockset_settle(t, h->inode);
	lockset_free_if_empty(h->inode);
}

/* ---- Restoring ---- */

enum status table_restore_lock(struct table *t, const struct table_want *want, uint64_t token)
{
	struct lock *spares[RANGE_SPARES] = {NULL};
	struct lock lock;
	enum status status = want_lock(t, want, &lock);

	assert(t->restoring);
	if (status != STATUS_OK)
		return status;
	if (want->mode == LOCK_NONE || token > t->epoch_base)
		return STATUS_INVALID;
	if (!lockset_of(lock.handle->inode) || !range_reserve(spares)) {
		lockset_free_if_empty(lock.handle->inode);
		return STATUS_NO_MEMORY;
	}
	if (range_blocker(lock.handle->inode->locks, &lock)) {
		status = STATUS_BUSY;
	} else {
		lock.token = token;
		range_set(t, lock.handle->inode->locks, &lock, spares);
	}
	range_unreserve(spares);
	return status;
}

enum status table_restore_wait(struct table *t, const struct table_want *want, uint64_t ticket)
{
	struct lock *spares[RANGE_SPARES] = {NULL};
	struct lock lock;
	struct waiter *w;
	enum status status = want_lock(t, want, &lock);

	assert(t->restoring);
	if (status != STATUS_OK)
		return status;
	if (want->mode == LOCK_NONE || ticket > t->epoch_base ||
	    waiter_find(t, want->client, want->req))
		return STATUS_INVALID;
	if (!lockset_of(lock.handle->inode) || !range_reserve(spares)) {
		lockset_free_if_empty(lock.handle->inode);
		return STATUS_NO_MEMORY;
	}
	w = enqueue(t, lock.handle->inode->locks, &lock, want->req, spares);
	range_unreserve(spares);
	if (!w)
		return STATUS_NO_MEMORY;
	w->ticket = ticket; /* table_restore_end sorts */
	return STATUS_OK;
}
