/* SPDX-License-Identifier: MIT */
/* Calls that end without their reply: signals, timeo, the end of the session (rule 13); and what
 * undoes them. */
#include "lockcore/node_internal.h"

/*
 * Nobody can tell any more which of its ranges the owner has in the file: better none, so that he
 * does not go on with what others may share. He is told so by this very answer, of whatever he asks
 * there. Nobody else loses anything.
 */
void call_lose_ranges(struct node *n, const struct message *m)
{
	struct call *c;

	while ((c = lock_first_asked(n, m)))
		call_answer(n, c, STATUS_LAPSED);
	kept_lose_ranges(n, m);
}

void call_undo(struct node *n, const struct call *c)
{
	const struct message *m = c->request;
	struct message close = {.kind = MESSAGE_CLOSE, .handle = m->handle};

	if (m->kind == MESSAGE_LOCK && c->weakened)
		call_lose_ranges(n, m);
	else if (m->kind == MESSAGE_LOCK)
		kept_undo_lock(n, m);
	if (request_makes_held_name(m)) {
		struct message unlink = {
			.kind = MESSAGE_UNLINK,
			.req = ++n->reqs,
			.parent = m->parent,
			.name = m->name,
			.target = m->req,
		};

		node_push(n, &unlink);
		call_leave_behind(n, &unlink, unlink.req, NULL);
	}
	if (request_opens(m))
		node_push(n, &close);
}

/* ---- The root ---- */

/*
 * The kernel looks at the root on the way to any file, also to those that need no master (.dlock/). So
 * while none answers its attributes are what they were: at once if that is known, else as soon as it
 * shows. Whatever else is asked for waits.
 */
static bool is_root_look(const struct node *n, const struct call *c)
{
	return c->request->kind == MESSAGE_GETATTR && c->request->ino == ROOT_INO && n->root.ino;
}

static void answer_root(struct node *n, struct call *c)
{
	struct message reply = {.kind = MESSAGE_REPLY, .attr = n->root};

	assert(!c->reply);
	c->reply = message_copy(&reply);
	call_answer(n, c, c->reply ? STATUS_OK : STATUS_NO_MEMORY);
}

bool call_root_from_memory(struct node *n, struct call *c)
{
	if (!is_root_look(n, c) ||
	    (n->state == NODE_OPEN && node_master_standing(n, n->master) == NODE_MASTER_LEADS))
		return false;
	answer_root(n, c);
	return true;
}

void node_calls_look_at_root(struct node *n)
{
	struct call *c, *next;

	DL_FOREACH_SAFE (n->order, c, next)
		if (is_root_look(n, c))
			answer_root(n, c);
}

/* ---- Giving up ---- */

/* Answers without waiting for the reply. */
void call_give_up(struct node *n, struct call *c, enum status status)
{
	struct call *next = c->next;

	if (n->state == NODE_OPEN && c->sent) {
		call_answer(n, c, c->weakened ? STATUS_LAPSED : status);
		if (request_changes_file(c->request))
			call_leave_behind(n, c->request, c->req, next);
		if (rule(RULE_GIVEN_UP_IS_UNDONE))
			call_undo(n, c);
	} else {
		call_answer(n, c, status);
	}
}

/* From now on the call goes on for NODE_PATIENCE at most. */
static void hurry(struct node *n, struct call *c, struct moment now)
{
	int64_t at = now.boot_ns + NODE_PATIENCE_NS;

	if (!deadline_is_set(&c->deadline) || c->deadline.at_ns > at)
		deadline_set(&n->deadlines, &c->deadline, at);
}

/*
 * Rule 13: what the master has decided by the time it hears of the signal stands, so that whoever is
 * told EINTR knows that the lock is free of him on every node (contract 2.1, 5.3). Whom no master
 * can hear gets his answer at once, and a silent one has NODE_PATIENCE. Without the verdict an owner
 * who would share what he has exclusively may do so already, and cannot be told EINTR: he loses his
 * ranges, which is what patience is worth having for in his case even if the link is down.
 */
static void interrupt_wait(struct node *n, struct call *c, struct moment now)
{
	if (n->state != NODE_OPEN || !c->sent || (!n->links[n->master].up && !c->weakened) ||
	    !rule(RULE_MASTERS_WORD_ON_SIGNALS)) {
		call_give_up(n, c, STATUS_INTERRUPTED);
		return;
	}
	if (!c->cancelled)
		call_ask_to_cancel(n, c);
	hurry(n, c, now);
}

/*
 * Whoever is told EINTR of a change that cannot be undone (a removal, a move, a write) does not know
 * whether it was done or will be: on every file system that has its files elsewhere. The alternative
 * is a process that nobody can end.
 */
void node_interrupt(struct node *n, uint64_t call, struct moment now)
{
	struct call *c;

	node_check_belief(n, now);
	c = call_find(n, call);
	if (!c || c->settled)
		return;
	c->late = STATUS_INTERRUPTED;
	if (c->request->kind == MESSAGE_LOCK && (c->request->flags & LOCK_WAIT))
		interrupt_wait(n, c, now);
	else
		hurry(n, c, now);
}

void node_calls_tick(struct node *n, struct moment now)
{
	struct deadline *due;

	while ((due = deadlines_due(&n->deadlines, now.boot_ns))) {
		struct call *c =
			(struct call *)(void *)((char *)due - offsetof(struct call, deadline));

		if (c->late == STATUS_NO_MASTER && is_root_look(n, c))
			answer_root(n, c);
		else
			call_give_up(n, c, c->late);
	}
}

/*
 * The session is gone. What only looks is asked again in the next one, and so is what was never
 * sent; the rest had an effect that died with the session, or that nobody will ever know of.
 */
void node_calls_lapse(struct node *n)
{
	struct call *c, *next;
	bool over = n->state == NODE_LEAVING;

	if (!over)
		node_calls_look_at_root(n);
	DL_FOREACH_SAFE (n->order, c, next) {
		if (c->settled) {
			call_forget(n, c);
			call_free(n, c);
		} else if (over ||
			   node_handle_is_lost(n, request_opens(c->request) ? 0
									    : c->request->handle) ||
			   (c->sent && !request_only_looks(c->request))) {
			call_answer(n, c, STATUS_LAPSED);
		} else {
			c->sent = false;
		}
	}
}
