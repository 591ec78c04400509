/* SPDX-License-Identifier: MIT */
/* The master's life, the operations it asks of the store, and what is drained of it. */
#include "lockcore/master_internal.h"

struct master *master_new(const struct master_config *config, struct moment now)
{
	struct master *m = calloc(1, sizeof(*m));

	assert(config->instance && config->lease_ns >= MASTER_LEASE_MIN_NS &&
	       config->lease_ns <= MASTER_LEASE_MAX_NS);
	assert(config->leader_lease_ns >= MASTER_LEADER_LEASE_MIN_NS &&
	       config->leader_lease_ns <= MASTER_LEADER_LEASE_MAX_NS);
	if (!m)
		return NULL;
	m->config = *config;
	m->state = MASTER_READING;
	m->look_at_ns = now.boot_ns;
	m->swap_at_ns = MOMENT_NEVER;
	return m;
}

static void free_ops(struct op **list)
{
	struct op *op, *next;

	DL_FOREACH_SAFE (*list, op, next) {
		DL_DELETE(*list, op);
		free(op);
	}
}

/* Everything of an epoch goes. */
void master_forget_epoch(struct master *m)
{
	struct session *s, *next;

	vouch_free_all(m);
	break_free_all(m);
	HASH_ITER (hh, m->sessions, s, next)
		session_free(m, s);
	table_free(m->table);
	m->table = NULL;
	m->epoch = 0;
	m->doubted_count = 0;
	m->unreclaimed = 0;
	m->swap_running = false;
	m->swap_at_ns = MOMENT_NEVER;
	free_ops(&m->ops);
}

void master_free(struct master *m)
{
	if (!m)
		return;
	master_forget_epoch(m);
	free_ops(&m->running);
	deadlines_deinit(&m->expiries);
	deadlines_deinit(&m->wakes);
	free(m);
}

/* ---- Looking ---- */

bool master_leads(const struct master *m)
{
	return m->state == MASTER_GRACE || m->state == MASTER_SERVING;
}

enum master_role master_role(const struct master *m, uint64_t *epoch)
{
	*epoch = m->cell.epoch;
	switch (m->state) {
	case MASTER_LEFT:
	case MASTER_LEAVING:
		return MASTER_ROLE_ENDS;
	case MASTER_READING:
		return m->seen_ns ? MASTER_ROLE_STANDS_BY : MASTER_ROLE_WAITS;
	case MASTER_TAKING:
		return MASTER_ROLE_WAITS; /* for the store's word whether it may */
	case MASTER_LOADING:
	case MASTER_GRACE:
		return MASTER_ROLE_RESTORES;
	case MASTER_SERVING:
		return MASTER_ROLE_LEADS;
	}
	assert(false);
	return MASTER_ROLE_ENDS;
}

bool master_is_serving(const struct master *m)
{
	return m->state == MASTER_SERVING;
}

uint64_t master_epoch(const struct master *m)
{
	return m->epoch;
}

struct table *master_table(struct master *m)
{
	return m->table;
}

/* ---- Events ---- */

void master_tell(struct master *m, enum master_event_kind kind, const struct session *s,
		 uint64_t number, const char *text)
{
	struct master_event *e;

	if (m->event_count == MASTER_EVENTS_MAX) {
		m->event_first = (m->event_first + 1) % MASTER_EVENTS_MAX;
		m->event_count--;
	}
	e = &m->events[(m->event_first + m->event_count++) % MASTER_EVENTS_MAX];
	*e = (struct master_event){
		.kind = kind,
		.epoch = m->epoch,
		.count = number,
		.peer = s ? s->peer : 0,
	};
	if (s)
		memcpy(e->node, s->node, sizeof(e->node));
	if (text)
		strncpy(e->text, text, sizeof(e->text) - 1);
}

bool master_next_event(struct master *m, struct master_event *out)
{
	if (!m->event_count)
		return false;
	*out = m->events[m->event_first];
	m->event_first = (m->event_first + 1) % MASTER_EVENTS_MAX;
	m->event_count--;
	return true;
}

/* ---- Operations ---- */

struct op *master_op(struct master *m, enum engine_kind kind, const struct session *s)
{
	struct op *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	op->op.id = ++m->op_ids;
	op->op.kind = kind;
	op->op.expect = m->cell;
	if (s) {
		memcpy(op->op.session.node, s->node, sizeof(s->node));
		op->op.session.instance = s->instance;
	}
	DL_APPEND(m->ops, op);
	return op;
}

bool master_next_op(struct master *m, struct moment now, struct engine_op *out)
{
	struct op *op = m->ops;

	if (!op)
		return false;
	DL_DELETE(m->ops, op);
	DL_APPEND(m->running, op);
	op->sent_ns = now.boot_ns;
	if (op->op.kind == ENGINE_SWAP) {
		/* The earliest belief in a success counts from before it was sent. */
		m->swap_sent_ns = now.boot_ns;
		m->swaps_sent++;
		m->swap_at_ns = now.boot_ns + m->config.leader_lease_ns / MASTER_RENEWALS;
	}
	*out = op->op;
	return true;
}

/* ---- Outcomes ---- */

static void on_outcome(struct master *m, const struct op *op, const struct engine_outcome *outcome,
		       struct moment now)
{
	switch (op->op.kind) {
	case ENGINE_READ:
		if (outcome->result == ENGINE_DONE)
			cell_read(m, &outcome->cell, now);
		break;
	case ENGINE_SWAP:
		cell_swapped(m, op, outcome, now);
		break;
	case ENGINE_LOAD:
		cell_loaded(m, outcome, now);
		break;
	case ENGINE_PUT:
	case ENGINE_DELETE:
		if (outcome->result == ENGINE_REFUSED)
			master_step_down(m, now, "another master leads");
		else
			session_stored(m, &op->op, outcome, now);
		break;
	}
}

void master_engine_done(struct master *m, const struct engine_outcome *outcome, struct moment now)
{
	struct op *op;
	bool current;

	DL_FOREACH (m->running, op)
		if (op->op.id == outcome->id)
			break;
	if (!op)
		return;
	DL_DELETE(m->running, op);
	master_check(m, now);
	if (outcome->result == ENGINE_UNKNOWN)
		master_tell(m, MASTER_EVENT_STORE_TROUBLE, NULL, 0, outcome->error);
	/* An epoch's operations mean nothing to the next. */
	current = m->state <= MASTER_TAKING
			  ? op->op.kind <= ENGINE_SWAP
			  : op->op.expect.epoch == m->epoch || op->op.next.epoch == m->epoch;
	if (current)
		on_outcome(m, op, outcome, now);
	free(op);
}

/* ---- Time ---- */

static bool running(const struct master *m, enum engine_kind kind)
{
	const struct op *op;

	DL_FOREACH (m->running, op)
		if (op->op.kind == kind)
			return true;
	DL_FOREACH (m->ops, op)
		if (op->op.kind == kind)
			return true;
	return false;
}

void master_tick(struct master *m, struct moment now)
{
	master_check(m, now);
	if (m->state == MASTER_READING && now.boot_ns >= m->look_at_ns &&
	    !running(m, ENGINE_READ) && !running(m, ENGINE_SWAP)) {
		m->look_at_ns = now.boot_ns + m->config.leader_lease_ns / MASTER_LOOKS;
		master_op(m, ENGINE_READ, NULL);
	}
	if (m->state > MASTER_TAKING && now.boot_ns >= m->swap_at_ns && !m->swap_running)
		cell_renew(m);
	cell_tick_leaving(m, now);
	if (!master_leads(m))
		return;
	sessions_tick(m, now);
	if (m->state == MASTER_SERVING) {
		table_tick(m->table, now);
		exec_drain(m);
	}
	grace_check_end(m, now);
	master_check(m, now);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t master_deadline(const struct master *m)
{
	int64_t at;

	if (m->state == MASTER_READING) /* an answer that is on its way comes as an input */
		return running(m, ENGINE_READ) || running(m, ENGINE_SWAP) ? MOMENT_NEVER
									  : m->look_at_ns;
	if (m->state == MASTER_LEAVING)
		return m->leave_end_ns;
	if (m->state == MASTER_TAKING || m->state == MASTER_LEFT)
		return MOMENT_NEVER;
	at = earlier(m->valid_ns, m->swap_running ? MOMENT_NEVER : m->swap_at_ns);
	at = earlier(at, deadlines_next(&m->expiries));
	at = earlier(at, deadlines_next(&m->wakes));
	if (m->state == MASTER_GRACE)
		at = earlier(at, m->grace_end_ns);
	if (m->state == MASTER_SERVING)
		at = earlier(at, table_deadline(m->table));
	return at;
}

/* ---- Packets ---- */

/* Nothing leaves once the leader's lease is over, whatever was decided before (rule 1). */
bool master_next_packet(struct master *m, struct moment now, uint32_t *peer, struct packet *out)
{
	master_check(m, now);
	if (m->reply_count) {
		m->lent = m->replies[m->reply_first];
		m->reply_first = (m->reply_first + 1) % MASTER_REPLIES_MAX;
		m->reply_count--;
		*peer = m->lent.peer;
		out->instance = m->lent.instance;
		out->epoch = m->epoch;
		out->ack = 0;
		out->clock = 0;
		out->count = 1;
		out->messages[0] = &m->lent.message;
		return true;
	}
	return master_leads(m) && session_next_packet(m, now, peer, out);
}
