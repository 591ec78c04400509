/* SPDX-License-Identifier: MIT */
/* Leading: the cell, its lease, takeover and stepping down (protocol rules 1, 3, 5). Diagram in
 * master.h. */
#include "lockcore/master_internal.h"

int64_t master_wait_ns(int64_t lease_ns)
{
	if (!rule(RULE_MASTER_WAITS_LONGER))
		return lease_ns;
	return lease_ns / (100 - MASTER_DRIFT_PERCENT) * (100 + MASTER_DRIFT_PERCENT) +
	       MASTER_SLACK_NS;
}

struct master *master_new(const struct master_config *config, struct moment now)
{
	struct master *m = calloc(1, sizeof(*m));

	assert(config->instance && config->lease_ns >= MASTER_LEASE_MIN_NS &&
	       config->lease_ns <= MASTER_LEASE_MAX_NS);
	if (!m)
		return NULL;
	m->config = *config;
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
static void forget_epoch(struct master *m)
{
	struct session *s, *next;

	vouch_free_all(m);
	HASH_ITER (hh, m->sessions, s, next)
		session_free(m, s);
	table_free(m->table);
	m->table = NULL;
	m->epoch = 0;
	m->unreclaimed = 0;
	m->swap_running = false;
	m->swap_at_ns = MOMENT_NEVER;
	free_ops(&m->ops);
}

void master_free(struct master *m)
{
	if (!m)
		return;
	forget_epoch(m);
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

static struct op *op_new(struct master *m, enum engine_kind kind)
{
	struct op *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	op->op.id = ++m->op_ids;
	op->op.kind = kind;
	op->op.expect = m->cell;
	DL_APPEND(m->ops, op);
	return op;
}

bool master_op(struct master *m, enum engine_kind kind, const struct session *s)
{
	struct op *op = op_new(m, kind);

	if (op && s) {
		memcpy(op->op.session.node, s->node, sizeof(s->node));
		op->op.session.instance = s->instance;
	}
	return op != NULL;
}

static void swap(struct master *m, uint64_t epoch)
{
	struct op *op = op_new(m, ENGINE_SWAP);

	if (!op)
		return; /* the next tick tries again; without success the lease ends in time */
	op->op.next = (struct engine_cell){
		.instance = m->config.instance,
		.epoch = epoch,
		.sequence = m->cell.sequence + 1,
		.lease_ns = m->store_old ? -m->config.lease_ns : m->config.lease_ns,
	};
	m->swap_running = true;
}

/* Until when a SWAP that has succeeded lets it lead: the lease counts from the sending. */
static int64_t valid_until(int64_t sent_ns)
{
	return rule(RULE_LEADS_WHILE_VALID) ? sent_ns + MASTER_LEADER_LEASE_NS : MOMENT_NEVER;
}

static int64_t swap_gap(const struct master *m)
{
	int64_t share = m->config.lease_ns / MASTER_SWAP_GAP_SHARE;

	return share < MASTER_SWAP_GAP_MAX_NS ? share : MASTER_SWAP_GAP_MAX_NS;
}

/* Somebody waits for a SWAP sent from now on; several who do share one. */
void master_want_swap(struct master *m, struct moment now)
{
	int64_t at = m->swap_sent_ns + swap_gap(m);

	if (at < now.boot_ns)
		at = now.boot_ns;
	if (at < m->swap_at_ns)
		m->swap_at_ns = at;
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
		m->swap_at_ns = now.boot_ns + MASTER_LEADER_RENEW_NS;
	}
	*out = op->op;
	return true;
}

/* ---- Stepping down and taking over ---- */

void master_step_down(struct master *m, struct moment now, const char *why)
{
	if (m->epoch)
		master_tell(m, MASTER_EVENT_STEPPED_DOWN, NULL, 0, why);
	forget_epoch(m);
	m->doomed = false;
	m->state = MASTER_READING;
	m->look_at_ns = now.boot_ns;
	m->seen_ns = 0;
}

/*
 * There may be sessions that the store has forgotten: they end in the grace of the next takeover,
 * which lasts all of W. Once the epoch is raised nobody will tell again, so the cell itself says so
 * until then, should this master die.
 */
void master_store_is_old(struct master *m, uint64_t epoch, struct moment now)
{
	m->epoch_floor = epoch;
	m->store_old = true;
	master_step_down(m, now, "the store was put back to an old state");
}

void master_check(struct master *m, struct moment now)
{
	if (m->state <= MASTER_TAKING)
		return;
	if (m->doomed)
		master_step_down(m, now, "out of memory");
	else if (now.boot_ns >= m->valid_ns)
		master_step_down(m, now, "the store did not confirm the leader's lease in time");
}

/* The old leader may still serve until its own lease ends, unless the store says that it cannot
 * exist. */
static void on_read(struct master *m, const struct engine_cell *cell, struct moment now)
{
	int64_t wait = master_wait_ns(MASTER_LEADER_LEASE_NS);
	uint64_t epoch;

	if (m->state != MASTER_READING)
		return;
	if (!m->seen_ns || memcmp(cell, &m->cell, sizeof(*cell)) != 0) {
		m->cell = *cell;
		m->seen_ns = now.boot_ns;
	}
	m->look_at_ns = now.boot_ns + MASTER_STANDBY_NS;
	if (cell->lease_ns < 0)
		m->store_old = true;
	else if (cell->epoch > m->epoch_floor)
		m->store_old = false; /* another master has seen to it */
	if (cell->instance && cell->instance != m->config.instance && !m->config.exclusive_store &&
	    now.boot_ns < m->seen_ns + wait)
		return;
	epoch = (cell->epoch > m->epoch_floor ? cell->epoch : m->epoch_floor) + 1;
	swap(m, epoch);
	if (!m->swap_running)
		return; /* no memory: the cell will be looked at again */
	m->state = MASTER_TAKING;
	m->look_at_ns = MOMENT_NEVER;
}

static void on_taken_over(struct master *m, const struct op *op, struct moment now)
{
	int64_t old_lease = m->cell.lease_ns < 0 ? -m->cell.lease_ns : m->cell.lease_ns;

	m->cell = op->op.next;
	m->epoch = m->cell.epoch;
	m->valid_ns = valid_until(op->sent_ns);
	m->state = MASTER_LOADING;
	/* Sessions that the old leader welcomed believe for as long as it said. */
	if (old_lease < m->config.lease_ns)
		old_lease = m->config.lease_ns;
	m->grace_end_ns = now.boot_ns + master_wait_ns(old_lease);
	if (!master_op(m, ENGINE_LOAD, NULL))
		m->doomed = true;
}

static void on_loaded(struct master *m, const struct engine_outcome *outcome, struct moment now)
{
	if (m->state != MASTER_LOADING)
		return;
	m->table = table_new(m->epoch, m->config.max_files, now);
	if (!m->table) {
		master_step_down(m, now, "out of memory");
		return;
	}
	for (size_t i = 0; i < outcome->session_count; i++)
		if (!session_new(m, outcome->sessions[i].node, outcome->sessions[i].instance,
				 SESSION_ABSENT))
			m->doomed = true;
	master_tell(m, MASTER_EVENT_LEADING, NULL, outcome->session_count, NULL);
	grace_begin(m, now);
}

/* ---- Outcomes ---- */

/* A takeover that failed is tried again as a standby would, not at once: the store may be in
 * trouble. */
static void try_again_later(struct master *m, struct moment now, const char *why)
{
	master_step_down(m, now, why);
	m->look_at_ns = now.boot_ns + MASTER_STANDBY_NS;
}

static void on_swap(struct master *m, const struct op *op, const struct engine_outcome *outcome,
		    struct moment now)
{
	m->swap_running = false;
	if (m->state == MASTER_TAKING) {
		if (outcome->result == ENGINE_DONE)
			on_taken_over(m, op, now);
		else
			try_again_later(m, now, "somebody else took over");
		return;
	}
	if (outcome->result == ENGINE_DONE) {
		m->cell = op->op.next;
		m->valid_ns = valid_until(op->sent_ns);
		m->swaps_done = m->swaps_sent;
		sessions_confirmed(m);
	} else if (outcome->result == ENGINE_REFUSED) {
		/* An earlier one of unknown outcome was done after all: go on from there. */
		if (outcome->cell.instance == m->config.instance && outcome->cell.epoch == m->epoch)
			m->cell = outcome->cell;
		else
			master_step_down(m, now, "another master leads");
		m->swap_at_ns = now.boot_ns;
	} else {
		m->swap_at_ns = now.boot_ns + MASTER_STORE_RETRY_NS;
	}
}

static void on_outcome(struct master *m, const struct op *op, const struct engine_outcome *outcome,
		       struct moment now)
{
	switch (op->op.kind) {
	case ENGINE_READ:
		if (outcome->result == ENGINE_DONE)
			on_read(m, &outcome->cell, now);
		break;
	case ENGINE_SWAP:
		on_swap(m, op, outcome, now);
		break;
	case ENGINE_LOAD:
		if (outcome->result == ENGINE_DONE)
			on_loaded(m, outcome, now);
		else
			try_again_later(m, now, "the registry could not be read");
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
		m->look_at_ns = now.boot_ns + MASTER_STANDBY_NS;
		master_op(m, ENGINE_READ, NULL);
	}
	if (m->state > MASTER_TAKING && now.boot_ns >= m->swap_at_ns && !m->swap_running)
		swap(m, m->epoch);
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
	if (m->state == MASTER_TAKING)
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
		out->count = 1;
		out->messages[0] = &m->lent.message;
		return true;
	}
	return master_leads(m) && session_next_packet(m, now, peer, out);
}
