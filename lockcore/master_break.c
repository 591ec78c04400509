/* SPDX-License-Identifier: MIT */
/*
 * Breaking: an acquisition is taken away from its holder (contract 7).
 *
 *	caller ── BREAK ──> master ── REVOKE ──> the holder's node
 *	                      │                        │ its programs are stopped or told (node.h)
 *	                      │ <── CLOSE, UNLINK ──── ┤ what is to be released
 *	                      │ <── REVOKED ────────── ┘
 *	caller <── REPLY ──── ┘ by now it is free, and the next in line has it
 *
 * Who may believe what. Until REVOKED is sent the holder's node believes in the acquisition, would
 * reclaim it, and the master keeps it: nobody else is granted anything by a BREAK as such. What the
 * node releases before REVOKED travels in the same channel before it, and is never reclaimed (rule
 * 12). So there is no moment at which two nodes believe, and the master frees nothing of its own.
 *
 * What it crosses with:
 *  - a release by the holder: REVOKE finds nothing at the node, which says so at once. What was
 *    acquired meanwhile, through the same descriptor even, has another token and is left alone.
 *  - a grant that nobody at the node has heard of, since its call was given up: of that too the node
 *    says that it has nothing, and the master takes it back.
 *  - another BREAK of the token: both wait for the same end.
 *  - the end of the holder's session, by lapse, BYE or silence: when it is durable and all of it is
 *    freed, the callers have what they wanted.
 *  - the end of this master: what was being broken is forgotten with it. The caller's node asks the
 *    next one again. That one has the acquisition if its node had not let go of it, and asks that
 *    node again, which goes on with what it is at (or has finished alone); else there is nothing of
 *    the token any more, which is what a repeated request wants to hear.
 */
#include "lockcore/master_internal.h"

struct caller {
	struct caller *next; /* breaking.callers */
	uint64_t session, req;
};

struct breaking {
	struct breaking *prev, *next; /* master.breaks */
	uint64_t token;
	uint64_t holder; /* session instance */
	struct caller *callers;
};

static struct breaking *find(const struct master *m, uint64_t token)
{
	struct breaking *b;

	DL_FOREACH (m->breaks, b)
		if (b->token == token)
			return b;
	return NULL;
}

static void answer(struct master *m, uint64_t session, uint64_t req, enum status status)
{
	struct session *s = session_find(m, session);
	struct message reply = {.kind = MESSAGE_REPLY, .req = req, .status = status};

	if (s && session_is_alive(s))
		session_push(m, s, &reply);
}

static void drop(struct master *m, struct breaking *b)
{
	struct caller *c, *next;

	LL_FOREACH_SAFE (b->callers, c, next)
		free(c);
	DL_DELETE(m->breaks, b);
	m->break_count--;
	free(b);
}

static void done(struct master *m, struct breaking *b)
{
	const struct caller *c;

	LL_FOREACH (b->callers, c)
		answer(m, c->session, c->req, STATUS_OK);
	drop(m, b);
}

/* NULL: no memory, or too many. */
static struct breaking *begin(struct master *m, uint64_t token, uint64_t holder)
{
	struct breaking *b = m->break_count < MASTER_BREAKS_MAX ? calloc(1, sizeof(*b)) : NULL;

	if (!b)
		return NULL;
	b->token = token;
	b->holder = holder;
	DL_APPEND(m->breaks, b);
	m->break_count++;
	return b;
}

/* A dying session is told nothing: what it holds goes when it is deleted. */
static void tell_holder(struct master *m, const struct breaking *b, const struct table_acquired *a)
{
	struct session *holder = session_find(m, b->holder);
	struct message revoke = {
		.kind = MESSAGE_REVOKE, .token = b->token, .ino = a->ino, .handle = a->handle};

	assert(holder);
	if (session_is_alive(holder))
		session_push(m, holder, &revoke);
}

/* It takes as long as it takes, so that the caller's timeo must not run. */
static void tell_caller(struct master *m, struct session *s, uint64_t req)
{
	struct message queued = {.kind = MESSAGE_QUEUED, .req = req};

	session_push(m, s, &queued);
}

static enum status may_ask(const struct message *msg)
{
	if (msg->uid != 0)
		return STATUS_NOT_PERMITTED;
	return msg->token ? STATUS_OK : STATUS_INVALID;
}

static enum status take(struct master *m, struct session *s, const struct message *msg,
			struct moment now)
{
	struct breaking *b = find(m, msg->token);
	struct table_acquired acquired;
	struct caller *c;

	if (!b && !table_find_token(m->table, msg->token, &acquired))
		return msg->flags & MESSAGE_RETRY ? STATUS_OK : STATUS_NO_ENTRY;
	c = calloc(1, sizeof(*c));
	if (!c)
		return STATUS_NO_MEMORY;
	if (!b) {
		b = begin(m, msg->token, acquired.client);
		if (!b) {
			free(c);
			return STATUS_NO_MEMORY;
		}
		tell_holder(m, b, &acquired);
		if (!rule(RULE_REVOKE_WAITS_FOR_HOLDER))
			table_close(m->table, acquired.client, acquired.handle, now);
	}
	c->session = s->instance;
	c->req = msg->req;
	LL_PREPEND(b->callers, c);
	tell_caller(m, s, msg->req);
	return STATUS_OK;
}

void break_request(struct master *m, struct session *s, const struct message *msg,
		   struct moment now)
{
	enum status status = may_ask(msg);

	if (status == STATUS_OK)
		status = take(m, s, msg, now);
	if (status != STATUS_OK || !find(m, msg->token))
		answer(m, s->instance, msg->req, status);
}

void break_revoked(struct master *m, struct session *s, const struct message *msg)
{
	struct breaking *b = find(m, msg->token);

	if (!b || b->holder != s->instance)
		return; /* of an earlier master's, or answered by now */
	table_release(m->table, msg->token, s->instance);
	done(m, b);
}

static void forget_caller(struct breaking *b, uint64_t session)
{
	struct caller *c, *next;

	LL_FOREACH_SAFE (b->callers, c, next) {
		if (c->session != session)
			continue;
		LL_DELETE(b->callers, c);
		free(c);
	}
}

void break_session_gone(struct master *m, const struct session *s)
{
	struct breaking *b, *next;

	DL_FOREACH_SAFE (m->breaks, b, next) {
		forget_caller(b, s->instance);
		if (b->holder == s->instance)
			done(m, b);
	}
}

void break_free_all(struct master *m)
{
	while (m->breaks)
		drop(m, m->breaks);
}
