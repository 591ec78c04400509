/* SPDX-License-Identifier: MIT */
/* Requests: what programs ask a node, and that each is answered exactly once (I10). */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lockcore/node_internal.h"
#include "sim.h"

/* Later, as an answer that is drained at once could end the request under its submitter. */
static void on_kick(struct sim *s, struct event *e)
{
	sim_node_loop(s, e->machine);
}

static void end(struct sim *s, struct request *r, enum status status)
{
	r->answered = true;
	r->ended = s->now;
	r->status = status;
	history_end(s, r);
	survey_end(s, r);
	if (r->program)
		program_answered(s, r->program, r);
}

static void on_refused(struct sim *s, struct event *e)
{
	end(s, *(struct request **)e->data, STATUS_NO_MEMORY);
}

static struct request **cell_of(struct request *r)
{
	struct request **cell = malloc(sizeof(struct request *));

	assert(cell);
	*cell = r;
	return cell;
}

struct request *request_submit(struct sim *s, size_t node, const struct message *m,
			       struct program *program)
{
	struct request *r = calloc(1, sizeof(*r));

	assert(r && s->nodes[node].node);
	r->node = node;
	r->program = program;
	r->message = message_copy(m);
	r->begun = s->now;
	r->instance = node_instance(s->nodes[node].node);
	if (program)
		snprintf(r->key, sizeof(r->key), "%s", program_file(program));
	else
		snprintf(r->key, sizeof(r->key), "%" PRIx64, m->ino);
	DL_APPEND(s->nodes[node].requests, r);
	history_begin(s, r);
	locks_begin(s, r);
	names_begin(s, r);
	survey_begin(s, r);
	sim_in_core = s;
	r->call = node_submit(s->nodes[node].node, m, r, machine_now(s, node));
	sim_in_core = NULL;
	if (!r->call) { /* no memory, and no answer: the caller's ENOMEM */
		assert(s->faults & FAULT_MEMORY);
		sim_at(s, 1, machine_of_node(node), on_refused, cell_of(r));
		return r;
	}
	sim_trace(s, "node %zu call %" PRIu64 ": %s %s ino %" PRIx64 " handle %" PRIu64 " mode %d",
		  node, r->call, message_kind_name(m->kind), m->name ? m->name : "", m->ino,
		  m->handle, (int)m->lock_mode);
	sim_at(s, 1, machine_of_node(node), on_kick, NULL);
	return r;
}

static const struct call *call_of(const struct sim *s, const struct request *r)
{
	struct call *c;

	HASH_FIND(hh, s->nodes[r->node].node->calls, &r->call, sizeof(r->call), c);
	return c;
}

bool request_waits(const struct sim *s, const struct request *r)
{
	const struct call *c = call_of(s, r);

	return c && c->ticket;
}

/* A master that the node believes to be there has the waiting request. */
static bool may_hear(const struct sim *s, const struct request *r, const struct call *c)
{
	const struct node *n = s->nodes[r->node].node;

	return check_believes(s, r->node, r->instance) && c->sent && n->links[n->master].up &&
	       r->message->kind == MESSAGE_LOCK && (r->message->flags & LOCK_WAIT);
}

void request_interrupt(struct sim *s, struct request *r)
{
	const struct call *c = call_of(s, r);
	bool pending = c != NULL, could_hear = c && may_hear(s, r, c);

	sim_trace(s, "node %zu call %" PRIu64 ": a signal", r->node, r->call);
	r->signalled = true;
	sim_in_core = s;
	node_interrupt(s->nodes[r->node].node, r->call, machine_now(s, r->node));
	sim_in_core = NULL;
	c = call_of(s, r);
	if (c && c->cancelled)
		r->patient_until_ns =
			deadline_is_set(&c->deadline) ? c->deadline.at_ns : MOMENT_NEVER;
	else if (pending) /* at a later signal nobody may be there to hear of it any more */
		r->patient_until_ns = could_hear ? MOMENT_NEVER : 0;
	sim_at(s, 1, machine_of_node(r->node), on_kick, NULL);
}

void request_answered(struct sim *s, size_t node, const struct node_answer *answer)
{
	struct request *r = answer->cookie;

	if (r->answered)
		sim_fail(s, "I10: call %" PRIu64 " of node %zu is answered twice", r->call, node);
	r->handle = answer->handle;
	r->reply = answer->reply ? message_copy(answer->reply) : NULL;
	s->answers++;
	sim_trace(s,
		  "node %zu call %" PRIu64 ": %s answered %s, handle %" PRIu64 " ino %" PRIx64
		  " token %" PRIx64,
		  node, r->call, message_kind_name(answer->kind), status_name(answer->status),
		  r->handle, r->reply ? r->reply->attr.ino : 0, r->reply ? r->reply->token : 0);
	end(s, r, answer->status);
}

void request_free(struct sim *s, struct request *r)
{
	locks_abandon(s, r);
	if (!r->answered)
		names_abandon(s, r);
	DL_DELETE(s->nodes[r->node].requests, r);
	message_free(r->message);
	message_free(r->reply);
	free(r);
}

void requests_die(struct sim *s, size_t node)
{
	while (s->nodes[node].requests)
		request_free(s, s->nodes[node].requests);
}
