/* SPDX-License-Identifier: MIT */
/*
 * What a survey of all locks tells, against what the asking node knows: its own programs' locks, lock
 * files and waits that were there from the question to the answer are all in it, and no file is locked
 * by two who shut each other out.
 */
#include <inttypes.h>
#include <string.h>

#include "lockcore/node_internal.h"
#include "sim.h"

static const struct call *call_of(const struct sim *s, const struct request *r)
{
	struct call *c;

	HASH_FIND(hh, s->nodes[r->node].node->calls, &r->call, sizeof(r->call), c);
	return c;
}

/* As far as its node knows, and nobody has asked it to end. */
static bool waits(const struct sim *s, const struct request *r)
{
	return r->message->kind == MESSAGE_LOCK && !r->answered && !r->signalled &&
	       request_waits(s, r);
}

void survey_begin(struct sim *s, struct request *r)
{
	struct request *other;

	if (r->message->kind != MESSAGE_SURVEY)
		return;
	for (other = s->nodes[r->node].requests; other; other = other->next)
		if (waits(s, other))
			other->surveyed_by = r;
}

static bool shut_out(const struct surveyed *a, const struct surveyed *b)
{
	return a->ino == b->ino && a->kind == b->kind && a->session != b->session &&
	       a->start <= b->end && b->start <= a->end && a->kind != HOLDER_NAME &&
	       (a->mode == LOCK_EXCLUSIVE || b->mode == LOCK_EXCLUSIVE);
}

static void check_locks(struct sim *s, const struct message *reply)
{
	for (size_t i = 0; i < reply->surveyed_count; i++) {
		const struct surveyed *a = &reply->surveyed[i];

		if (!a->token == !a->ticket)
			sim_fail(s, "survey: %s is neither held nor waited for", a->name);
		if (!a->node[0])
			sim_fail(s, "survey: %s is of no node", a->name);
		if (a->age_ns < 0 || a->left_ns < 0)
			sim_fail(s, "survey: %s is %" PRId64 " ns old", a->name, a->age_ns);
		for (size_t n = 0; n < i; n++)
			if (a->token && reply->surveyed[n].token &&
			    shut_out(a, &reply->surveyed[n]))
				sim_fail(s, "survey: two hold %s", a->name);
	}
}

static void check_waits(struct sim *s, const struct request *r)
{
	uint64_t instance = node_instance(s->nodes[r->node].node);
	const struct request *other;
	size_t i;

	for (other = s->nodes[r->node].requests; other; other = other->next) {
		if (other->surveyed_by != r || other->instance != instance || !waits(s, other))
			continue;
		for (i = 0; i < r->reply->surveyed_count; i++)
			if (r->reply->surveyed[i].session == instance &&
			    r->reply->surveyed[i].ticket == call_of(s, other)->ticket)
				break;
		if (i == r->reply->surveyed_count)
			sim_fail(s, "survey: call %" PRIu64 " of node %zu waits and is not in it",
				 other->call, r->node);
	}
}

void survey_end(struct sim *s, struct request *r)
{
	if (r->message->kind != MESSAGE_SURVEY || r->status != STATUS_OK)
		return;
	if (!(r->reply->flags & REPLY_END)) /* there are not so many */
		sim_fail(s, "survey: it does not end");
	if (r->instance != node_instance(s->nodes[r->node].node))
		return;
	check_locks(s, r->reply);
	check_waits(s, r);
}

void survey_has(struct sim *s, const struct request *r, uint64_t token, uint32_t pid)
{
	uint64_t instance = node_instance(s->nodes[r->node].node);

	for (size_t i = 0; i < r->reply->surveyed_count; i++)
		if (r->reply->surveyed[i].token == token &&
		    r->reply->surveyed[i].session == instance && r->reply->surveyed[i].pid == pid)
			return;
	sim_fail(s, "survey: token %" PRIx64 " of node %zu is not in it", token, r->node);
}
