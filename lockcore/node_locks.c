/* SPDX-License-Identifier: MIT */
/*
 * The locks that a session keeps, file by file: what was granted, less what has been released.
 *
 * What is released is struck out before the release is sent (protocol rule 12), and what a given-up
 * request may have got is put back to what was ours before.
 */
#include "lockcore/node_internal.h"

static struct range as_range(const struct message *m)
{
	struct range range = {
		.owner = m->lock_kind == LOCK_FLOCK ? m->handle : m->owner,
		.handle = m->handle,
		.start = m->start,
		.end = m->end,
		.token = m->token,
		.pid = m->pid,
		.uid = m->uid,
		.kind = m->lock_kind,
		.mode = m->lock_mode,
	};

	memcpy(range.command, m->command, sizeof(range.command));
	return range;
}

/* ---- Who asks ---- */

static struct lock_owner *asks(struct node *n, uint64_t ino, const struct range *like)
{
	struct lock_owner *owner;
	struct {
		uint64_t ino, owner, kind;
	} key = {ino, like->owner, like->kind};

	HASH_FIND(hh, n->lock_owners, &key, sizeof(key), owner);
	return owner;
}

static struct lock_owner *asks_now(struct node *n, uint64_t ino, const struct range *like)
{
	struct lock_owner *owner = asks(n, ino, like);

	if (owner)
		return owner;
	owner = malloc(sizeof(*owner));
	if (!owner)
		return NULL;
	*owner = (struct lock_owner){.key = {ino, like->owner, like->kind}};
	HASH_ADD(hh, n->lock_owners, key, sizeof(owner->key), owner);
	if (!owner->hh.tbl) {
		free(owner);
		return NULL;
	}
	return owner;
}

bool lock_asked(struct node *n, struct call *c)
{
	struct range want = as_range(c->request);

	c->owner = asks_now(n, c->request->ino, &want);
	if (c->owner)
		DL_APPEND2(c->owner->calls, c, owner_prev, owner_next);
	return c->owner != NULL;
}

void lock_answered(struct node *n, struct call *c)
{
	if (!c->owner)
		return;
	DL_DELETE2(c->owner->calls, c, owner_prev, owner_next);
	if (!c->owner->calls) {
		HASH_DEL(n->lock_owners, c->owner);
		free(c->owner);
	}
	c->owner = NULL;
}

/* The first request of the owner that is not answered; NULL: there is none. */
static struct call *asked_by(struct node *n, uint64_t ino, const struct range *like)
{
	struct lock_owner *owner = asks(n, ino, like);

	return owner ? owner->calls : NULL;
}

/* ---- What is ours ---- */

static void set_range(struct node *n, struct kept *k, const struct range *range)
{
	struct range *spares[RANGE_SPARES];

	if (!range_reserve(spares)) {
		n->doomed = true;
		return;
	}
	range_set(&k->locks[range->kind], range, spares);
	range_unreserve(spares);
}

/*
 * Exclusive parts of what is asked for shared count as shared from now on, since others may be
 * granted them at once; *weakened remembers them, should the request be refused.
 */
static void weaken(struct node *n, struct kept *k, const struct range *want,
		   struct range **weakened)
{
	struct range *held, *copy;

	do {
		DL_FOREACH (k->locks[want->kind], held)
			if (range_same_owner(held, want) && range_overlap(held, want) &&
			    held->mode == LOCK_EXCLUSIVE)
				break;
		copy = held ? malloc(sizeof(*copy)) : NULL;
		if (held && !copy)
			n->doomed = true;
		if (!copy)
			break;
		*copy = *held;
		copy->start = held->start > want->start ? held->start : want->start;
		copy->end = held->end < want->end ? held->end : want->end;
		DL_APPEND(*weakened, copy);
		copy->mode = LOCK_SHARED;
		set_range(n, k, copy);
		copy->mode = LOCK_EXCLUSIVE;
	} while (!n->doomed);
}

void kept_strengthen(struct node *n, const struct message *request, const struct range *weakened)
{
	struct node_handle *h = node_handle_find(n, request->handle);
	const struct range *range;

	DL_FOREACH (weakened, range)
		if (h && h->kept)
			set_range(n, h->kept, range);
}

/* A flock that is converted is given up first, as the table does. */
void kept_release(struct node *n, const struct message *request, struct range **weakened)
{
	struct kept *k = kept_find(n, request->ino);
	struct range want = as_range(request);

	if (request->kind != MESSAGE_LOCK || !k)
		return;
	if (want.mode == LOCK_NONE && !rule(RULE_RELEASED_IS_NOT_RECLAIMED))
		return;
	if (want.mode == LOCK_NONE)
		set_range(n, k, &want);
	else if (want.kind == LOCK_RANGE && want.mode == LOCK_SHARED)
		weaken(n, k, &want, weakened);
	else if (want.kind == LOCK_FLOCK && !range_covering(k->locks[LOCK_FLOCK], &want))
		range_drop_handle(&k->locks[LOCK_FLOCK], 0, want.handle);
}

/* A grant is in; what was sent after the request may have released it again already. */
void kept_apply_lock(struct node *n, const struct message *request, const struct message *reply)
{
	struct node_handle *h = node_handle_find(n, request->handle);
	struct range range = as_range(request);
	struct call *c;

	if (!h || !h->kept)
		return;
	if (request->lock_mode == LOCK_NONE && rule(RULE_RELEASED_IS_NOT_RECLAIMED))
		return; /* kept_release has struck it out */
	range.token = reply->token;
	range.since_ns = n->now_ns - moment_age(reply->age_ns);
	set_range(n, h->kept, &range);
	for (c = asked_by(n, request->ino, &range); c; c = c->owner_next)
		if (c->sent && c->req > request->req)
			kept_release(n, c->request, &c->weakened);
}

bool node_owns_ranges(struct node *n, uint64_t handle, uint64_t owner)
{
	struct node_handle *h = node_handle_find(n, handle);
	const struct range like = {.owner = owner, .kind = LOCK_RANGE};
	const struct range *held;

	if (!h || !h->kept)
		return false;
	DL_FOREACH (h->kept->locks[LOCK_RANGE], held)
		if (held->owner == owner)
			return true;
	return asks(n, h->ino, &like) != NULL;
}

static void push_lock(struct node *n, const struct message *like, int64_t start, int64_t end,
		      enum lock_mode mode)
{
	struct message m = *like;

	m.req = 0;
	m.flags = 0;
	m.start = start;
	m.end = end;
	m.lock_mode = mode;
	node_push(n, &m);
}

/* The own lock that covers `at`, or where the next one begins: the piece of [at, end] with one
 * mode. */
static enum lock_mode piece_at(const struct kept *k, const struct range *want, int64_t at,
			       int64_t *end)
{
	const struct range *held;
	enum lock_mode mode = LOCK_NONE;

	*end = want->end;
	DL_FOREACH (k->locks[want->kind], held) {
		if (!range_same_owner(held, want) || held->end < at || held->start > *end)
			continue;
		if (held->start > at) {
			*end = held->start - 1;
		} else {
			mode = held->mode;
			*end = held->end < *end ? held->end : *end;
		}
	}
	return mode;
}

bool kept_has_no_room(struct node *n, const struct message *request)
{
	const struct kept *k = kept_find(n, request->ino);
	struct range want = as_range(request);
	const struct range *held;
	size_t count = 0;
	bool splits = false;

	if (want.kind != LOCK_RANGE || !k)
		return false;
	DL_FOREACH (k->locks[LOCK_RANGE], held) {
		count++;
		splits |= range_same_owner(held, &want) && held->start < want.start &&
			  held->end > want.end;
	}
	return count >= NODE_RANGES_MAX && (want.mode != LOCK_NONE || splits);
}

struct call *lock_first_asked(struct node *n, const struct message *like)
{
	struct range want = as_range(like);

	return asked_by(n, like->ino, &want);
}

void kept_lose_ranges(struct node *n, const struct message *request)
{
	struct message cancel = {.kind = MESSAGE_CANCEL, .target = request->req};
	struct kept *k = kept_find(n, request->ino);
	struct range all = as_range(request);

	all.mode = LOCK_NONE;
	all.start = 0;
	all.end = RANGE_END;
	if (k)
		set_range(n, k, &all);
	node_push(n, &cancel);
	push_lock(n, request, 0, RANGE_END, LOCK_NONE);
}

/*
 * The request no longer waits; if it was granted, every piece of its range goes back to what we
 * had. With another request of the same owner for some of it under way (threads), what is ours is
 * not known yet: then a grant, if there was one, stays until the file is closed.
 */
void kept_undo_lock(struct node *n, const struct message *request)
{
	struct message cancel = {.kind = MESSAGE_CANCEL, .target = request->req};
	struct kept *k = kept_find(n, request->ino);
	struct range want = as_range(request);
	const struct call *c;
	int64_t at = want.start, end;

	node_push(n, &cancel);
	if (!k || want.mode == LOCK_NONE)
		return;
	for (c = asked_by(n, request->ino, &want); c; c = c->owner_next)
		if (c->sent && c->req != request->req && c->request->start <= want.end &&
		    c->request->end >= want.start)
			return;
	for (;;) {
		enum lock_mode mode = piece_at(k, &want, at, &end);

		push_lock(n, request, at, end, mode);
		if (end >= want.end)
			break;
		at = end + 1;
	}
}
