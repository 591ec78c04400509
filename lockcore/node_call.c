/* SPDX-License-Identifier: MIT */
/*
 * The programs' requests: one request, one answer, however reply, signal, outage and lapse cross
 * (rule 13).
 *
 *	            session              QUEUED (locks)
 *	submitted ─────────> sent ───────────────────────> waiting
 *	    │                 │  REPLY                        │ REPLY
 *	    │ deadline,       ├──────────────> answered <─────┤
 *	    │ lapse           │ deadline, lapse, signal       │ lapse, signal
 *	    └─────────────────┴──────────────> answered <─────┘ and given back (undo)
 *
 * A request that is answered before its reply is in, and that may have changed a file, stays behind
 * `settled` until the reply tells what became of the record.
 */
#include "lockcore/node_internal.h"

/* ---- Life of a call ---- */

bool node_calls_init(struct node *n)
{
	struct call *call = &n->keeps.call;
	struct lock_owner *owner = &n->keeps.owner;

	owner->key.kind = UINT64_MAX;
	HASH_ADD(hh, n->calls, req, sizeof(call->req), call);
	if (call->hh.tbl)
		HASH_ADD(hh, n->lock_owners, key, sizeof(owner->key), owner);
	return call->hh.tbl && owner->hh.tbl;
}

size_t calls_count(const struct node *n)
{
	return HASH_COUNT(n->calls) - 1;
}

size_t lock_owners_count(const struct node *n)
{
	return HASH_COUNT(n->lock_owners) - 1;
}

struct call *call_find(struct node *n, uint64_t req)
{
	struct call *c;

	HASH_FIND(hh, n->calls, &req, sizeof(req), c);
	return c == &n->keeps.call ? NULL : c;
}

void call_free(struct node *n, struct call *c)
{
	lock_answered(n, c);
	deadline_release(&n->deadlines, &c->deadline);
	message_free(c->request);
	message_free(c->reply);
	range_drop_all(&c->weakened);
	free(c);
}

/* No more expected under its number. */
void call_forget(struct node *n, struct call *c)
{
	DL_DELETE(n->order, c);
	HASH_DEL(n->calls, c);
	lock_answered(n, c);
}

void call_answer(struct node *n, struct call *c, enum status status)
{
	call_forget(n, c);
	deadline_clear(&n->deadlines, &c->deadline);
	c->status = status;
	c->instance = n->instance;
	DL_APPEND(n->answers, c);
}

void call_leave_behind(struct node *n, const struct message *request, uint64_t req,
		       struct call *next)
{
	struct call *rest = calloc(1, sizeof(*rest));

	if (!rest || !deadline_reserve(&n->deadlines)) {
		free(rest);
		n->doomed = true; /* the record could no longer be vouched for */
		return;
	}
	rest->req = req;
	rest->request = message_copy(request);
	rest->sent = rest->settled = true;
	HASH_ADD(hh, n->calls, req, sizeof(rest->req), rest);
	if (!rest->request || !rest->hh.tbl) {
		if (rest->hh.tbl)
			HASH_DEL(n->calls, rest);
		call_free(n, rest);
		n->doomed = true;
		return;
	}
	rest->request->req = req;
	rest->request->clock = n->clock;
	DL_PREPEND_ELEM(n->order, next, rest);
}

/* ---- Sending ---- */

static void send(struct node *n, struct call *c)
{
	struct message m;

	/* A retry must not remove or move what got the name after the first try. */
	if ((c->request->kind == MESSAGE_UNLINK || c->request->kind == MESSAGE_RENAME) && !c->sent)
		c->request->token = n->token_seen;
	if (!c->sent)
		c->request->clock = n->clock;
	m = *c->request;
	if (c->sent && !request_shows_nothing(&m) && rule(RULE_RETRIES_ARE_FLAGGED))
		m.flags |= MESSAGE_RETRY;
	else
		m.clock = 0;
	m.version = kept_version(n, m.ino);
	kept_release(n, &m, &c->weakened);
	node_push(n, &m);
	c->sent = true;
}

void call_ask_to_cancel(struct node *n, struct call *c)
{
	c->cancelled = true;
	node_push(n, &(struct message){.kind = MESSAGE_CANCEL, .target = c->req});
}

/*
 * In a new epoch locks that waited keep their places, all else goes again in its order (rules 5,
 * 7): others may have seen its effect, of what was given up too. So it all stands before
 * RECLAIM_DONE, for grace not to end without it. Only what a given-up request opened is not opened
 * again.
 */
void node_calls_start(struct node *n)
{
	struct message done = {.kind = MESSAGE_RECLAIM_DONE};
	struct call *c, *next;

	DL_FOREACH (n->order, c) {
		struct message wait = *c->request;

		if (!rule(RULE_WAITERS_KEEP_THEIR_PLACES))
			c->ticket = 0;
		if (!c->ticket)
			continue;
		wait.kind = MESSAGE_RECLAIM_WAIT;
		wait.ticket = c->ticket;
		wait.age_ns = moment_age_since(c->since_ns, n->now_ns);
		node_push(n, &wait);
	}
	DL_FOREACH_SAFE (n->order, c, next) {
		if (c->settled && request_opens(c->request)) {
			call_forget(n, c);
			call_free(n, c);
		} else if (!c->ticket) {
			c->reclaimed_weak = c->weakened != NULL;
			send(n, c);
		}
	}
	node_push(n, &done);
	DL_FOREACH (n->order, c)
		if (c->cancelled)
			call_ask_to_cancel(n, c);
}

/* ---- Submitting ---- */

static struct call *call_new(struct node *n, const struct message *request, void *cookie)
{
	struct call *c = malloc(sizeof(*c)); /* no calloc: glibc's is slower than this */

	if (!c)
		return NULL;
	if (!deadline_reserve(&n->deadlines)) {
		free(c);
		return NULL;
	}
	*c = (struct call){.cookie = cookie, .req = ++n->reqs, .since_ns = n->now_ns};
	c->request = message_copy(request);
	HASH_ADD(hh, n->calls, req, sizeof(c->req), c);
	if (!c->request || !c->hh.tbl || (request->kind == MESSAGE_LOCK && !lock_asked(n, c))) {
		if (c->hh.tbl)
			HASH_DEL(n->calls, c);
		call_free(n, c);
		return NULL;
	}
	DL_APPEND(n->order, c);
	c->request->req = c->req;
	c->request->idle_ns = n->config.idle_ns;
	if (request->kind != MESSAGE_SETATTR) /* a ttl for one file is the program's choice */
		c->request->ttl_ns = n->config.ttl_ns;
	return c;
}

/* fstat of a descriptor whose lease is gone works from memory, as of an unlinked file
 * (contract 6.1). */
static bool answer_from_memory(struct node *n, struct call *c)
{
	struct message reply = {.kind = MESSAGE_REPLY};
	struct node_handle *h;

	if (c->request->kind != MESSAGE_GETATTR)
		return false;
	DL_FOREACH (n->lapsed, h)
		if (h->ino == c->request->ino)
			break;
	if (!h || kept_find(n, h->ino))
		return false;
	reply.attr = h->attr;
	reply.attr.nlink = 0;
	message_free(c->reply);
	c->reply = message_copy(&reply);
	call_answer(n, c, c->reply ? STATUS_OK : STATUS_NO_MEMORY);
	return true;
}

bool node_handle_is_lost(struct node *n, uint64_t id)
{
	struct node_handle *h = id ? node_handle_find(n, id) : NULL;

	return id && (!h || h->lapsed || h->broken);
}

bool node_handle_lapsed(struct node *n, uint64_t handle, struct moment now)
{
	node_check_belief(n, now);
	return node_handle_is_lost(n, handle);
}

static int64_t timeo(const struct node *n)
{
	return n->config.timeo_ns ? n->config.timeo_ns
	       : n->lease_ns	  ? n->lease_ns
				  : 10 * NS_PER_SEC;
}

static void start(struct node *n, struct call *c, struct moment now)
{
	struct message *m = c->request;

	if (request_opens(m)) {
		m->handle = ++n->handles_made;
	} else if (node_handle_is_lost(n, m->handle)) {
		call_answer(n, c, STATUS_LAPSED);
		return;
	}
	if (n->state == NODE_LEAVING || n->state == NODE_LEFT) {
		call_answer(n, c, STATUS_LAPSED);
		return;
	}
	if (m->kind == MESSAGE_LOCK && kept_has_no_room(n, m)) {
		call_answer(n, c, STATUS_NO_SPACE);
		return;
	}
	if (call_root_from_memory(n, c) || (n->state != NODE_OPEN && answer_from_memory(n, c)))
		return;
	c->late = STATUS_NO_MASTER;
	deadline_set(&n->deadlines, &c->deadline, now.boot_ns + timeo(n));
	if (n->state == NODE_OPEN)
		send(n, c);
}

uint64_t node_submit(struct node *n, const struct message *request, void *cookie, struct moment now)
{
	struct call *c;

	assert(request->kind >= MESSAGE_LOOKUP && request->kind <= MESSAGE_TESTLOCK);
	node_check_belief(n, now);
	changes_asked(n, request);
	c = call_new(n, request, cookie);
	if (!c)
		return 0;
	if (calls_count(n) > NODE_REQUESTS_MAX)
		call_answer(n, c, STATUS_NO_MEMORY);
	else
		start(n, c, now);
	return c->req;
}

/* ---- What the master says ---- */

void node_queued(struct node *n, const struct message *m)
{
	struct call *c = call_find(n, m->req);

	if (!c || c->settled)
		return;
	if (c->request->kind == MESSAGE_LOCK)
		c->ticket = m->ticket;
	else if (c->request->kind != MESSAGE_BREAK || c->late == STATUS_INTERRUPTED)
		return;
	deadline_clear(&n->deadlines, &c->deadline); /* it waits as long as it has to */
}

/* Names got by this time have no higher token. */
static void note_tokens(struct node *n, const struct message *m)
{
	if (m->token > n->token_seen)
		n->token_seen = m->token;
	for (size_t i = 0; i < m->link_count; i++)
		if (m->links[i].token > n->token_seen)
			n->token_seen = m->links[i].token;
}

/*
 * What was to be downgraded stays as it was, if the master still knows it so. If it was reclaimed as
 * done, others may have it by now, and all is lost, this call being answered by it.
 */
static void refused(struct node *n, struct call *c)
{
	if (c->reclaimed_weak && !c->settled)
		call_lose_ranges(n, c->request);
	else
		kept_strengthen(n, c->request, c->weakened);
}

void node_reply(struct node *n, struct message **slot, struct moment now)
{
	const struct message *m = *slot;
	struct call *c = call_find(n, m->req);

	if (!c)
		return;
	note_tokens(n, m);
	if (m->status == STATUS_OK)
		kept_apply(n, c->request, m);
	else
		refused(n, c);
	if (!call_find(n, m->req))
		return; /* answered by that */
	times_reply(n, c->request, m);
	sight_reply(n, c->request, m, c->settled);
	if (c->settled) {
		kept_trim(n, m->attr.ino);
		call_forget(n, c);
		call_free(n, c);
		return;
	}
	if (m->status == STATUS_OK && request_opens(c->request) &&
	    !kept_add_handle(n, c->request, m)) {
		call_undo(n, c);
		call_answer(n, c, STATUS_NO_MEMORY);
		return;
	}
	if (m->status == STATUS_STALE && answer_from_memory(n, c))
		return;
	c->reply = *slot;
	*slot = NULL;
	call_answer(n, c, m->status);
}

/* ---- Answers ---- */

/* The look at the clock right before a program is told (rule 11): a success of a session that has
 * lapsed or said BYE is none. */
static void check_answer(struct node *n, struct call *c)
{
	bool over = c->instance != n->instance || n->state == NODE_LEAVING || n->state == NODE_LEFT;

	if (c->status == STATUS_OK && over &&
	    (request_opens(c->request) || !request_only_looks(c->request)))
		c->status = STATUS_LAPSED;
	if (c->status == STATUS_LAPSED && request_opens(c->request)) {
		struct node_handle *h = node_handle_find(n, c->request->handle);

		if (h)
			kept_close(n, h);
	}
}

bool node_next_answer(struct node *n, struct moment now, struct node_answer *out)
{
	struct call *c;

	if (rule(RULE_LAPSE_BEFORE_ANSWER))
		node_check_belief(n, now);
	if (n->drained)
		call_free(n, n->drained);
	n->drained = c = n->answers;
	if (!c)
		return false;
	DL_DELETE(n->answers, c);
	check_answer(n, c);
	*out = (struct node_answer){
		.cookie = c->cookie,
		.kind = c->request->kind,
		.status = c->status,
		.handle = request_opens(c->request) && c->status == STATUS_OK ? c->request->handle
									      : 0,
		.reply = c->status == STATUS_OK ? c->reply : NULL,
	};
	return true;
}

void node_calls_free(struct node *n)
{
	struct call *c, *next;

	DL_FOREACH_SAFE (n->order, c, next) {
		call_forget(n, c);
		call_free(n, c);
	}
	DL_FOREACH_SAFE (n->answers, c, next) {
		DL_DELETE(n->answers, c);
		call_free(n, c);
	}
	if (n->drained)
		call_free(n, n->drained);
	HASH_CLEAR(hh, n->calls);
	HASH_CLEAR(hh, n->lock_owners);
}
