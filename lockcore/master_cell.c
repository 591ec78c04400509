/* SPDX-License-Identifier: MIT */
/*
 * Leading: the leader cell and its lease, takeover, stepping down, handing over (protocol rules 1,
 * 3, 5, 10). Diagram in master.h.
 *
 * A leader serves until TL after it sent its last successful SWAP. A standby takes over once it has
 * seen the cell unchanged for W(TL), longer than that lease by any clock. A leader that hands over
 * first forgets its epoch, from where on nothing leaves it, and only then writes the cell without a
 * leader, which may be taken at once: whoever reads it so knows that nobody serves. The sessions
 * lose nothing by it, since each is reclaimed or waited for as after any takeover.
 */
#include "lockcore/master_internal.h"

int64_t master_wait_ns(int64_t lease_ns)
{
	if (!rule(RULE_MASTER_WAITS_LONGER))
		return lease_ns;
	return lease_ns / (100 - MASTER_DRIFT_PERCENT) * (100 + MASTER_DRIFT_PERCENT) +
	       MASTER_SLACK_NS;
}

/* ---- The lease ---- */

/* False: no memory. */
static bool swap(struct master *m, const struct engine_cell *next)
{
	struct op *op = master_op(m, ENGINE_SWAP, NULL);

	if (op)
		op->op.next = *next;
	return op != NULL;
}

static bool swap_to_lead(struct master *m, uint64_t epoch)
{
	return swap(m, &(struct engine_cell){
			       .instance = m->config.instance,
			       .epoch = epoch,
			       .sequence = m->cell.sequence + 1,
			       .lease_ns = m->store_old ? -m->config.lease_ns : m->config.lease_ns,
			       .leader_lease_ns = m->config.leader_lease_ns,
		       });
}

/* Without memory the next tick tries again; without success the lease ends in time. */
void cell_renew(struct master *m)
{
	m->swap_running = swap_to_lead(m, m->epoch);
}

/* Until when a SWAP that has succeeded lets it lead: the lease counts from the sending. */
static int64_t valid_until(const struct master *m, int64_t sent_ns)
{
	return rule(RULE_LEADS_WHILE_VALID) ? sent_ns + m->config.leader_lease_ns : MOMENT_NEVER;
}

static int64_t swap_gap(const struct master *m)
{
	int64_t share = m->config.lease_ns / MASTER_SWAP_GAP_SHARE;

	/* While all wait for the last to come back, their promises must not wait for each other. */
	if (m->state <= MASTER_GRACE)
		return MASTER_SWAP_GAP_GRACE_NS;
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

/* ---- Stepping down ---- */

void master_step_down(struct master *m, struct moment now, const char *why)
{
	if (m->epoch)
		master_tell(m, MASTER_EVENT_STEPPED_DOWN, NULL, 0, why);
	master_forget_epoch(m);
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

/* ---- Handing over ---- */

/* Executed after whatever SWAP is still under way; if that changes the cell, it is tried again. */
static void give_up_cell(struct master *m)
{
	struct engine_cell nobodys = m->cell;

	assert(m->state < MASTER_LOADING && nobodys.instance == m->config.instance);
	nobodys.instance = 0;
	nobodys.sequence++;
	nobodys.asked_by = 0;
	m->giving_up = swap(m, &nobodys);
}

static void hand_over(struct master *m, struct moment now, const char *why)
{
	master_step_down(m, now, why);
	if (!m->config.exclusive_store)
		give_up_cell(m);
}

void master_leave(struct master *m, struct moment now)
{
	master_check(m, now);
	if (m->state <= MASTER_LEAVING)
		return;
	if (m->state == MASTER_TAKING)
		m->giving_up = true; /* if it becomes ours */
	else if (m->state > MASTER_TAKING)
		hand_over(m, now, "it was asked to stop");
	m->state = MASTER_LEAVING;
	m->leave_end_ns = now.boot_ns + m->config.leader_lease_ns / MASTER_LEAVE_SHARE;
	cell_tick_leaving(m, now);
}

void cell_tick_leaving(struct master *m, struct moment now)
{
	if (m->state == MASTER_LEAVING && (!m->giving_up || now.boot_ns >= m->leave_end_ns))
		m->state = MASTER_LEFT;
}

bool master_has_left(const struct master *m)
{
	return m->state == MASTER_LEFT;
}

/*
 * A standby hears nodes that ask for a leader. While some session is heard here they may as well
 * have a fault of their own, and are not worth everybody's grace; if none is, the fault is ours.
 */
static void on_asked(struct master *m, struct moment now)
{
	if (now.boot_ns < m->heard_ns + m->config.lease_ns / MASTER_DEAF_SHARE)
		return;
	m->yielded_until_ns = now.boot_ns + m->config.leader_lease_ns;
	hand_over(m, now, "no node is heard here, and another master hears some");
}

/* ---- Asking for the lead ---- */

/* Nodes look for a leader: perhaps there is none any more, or they cannot reach it. */
void cell_hello(struct master *m, struct moment now)
{
	int64_t soon = m->looked_ns + MASTER_LOOK_GAP_NS;

	if (m->state != MASTER_READING)
		return;
	if (!m->hello_ns || now.boot_ns > m->hello_ns + MASTER_ASK_NS)
		m->hello_since_ns = now.boot_ns;
	m->hello_ns = now.boot_ns;
	if (soon < m->look_at_ns)
		m->look_at_ns = soon < now.boot_ns ? now.boot_ns : soon;
}

/* Nodes that begin find their leader sooner than that. */
static bool wants_to_ask(const struct master *m, struct moment now)
{
	return m->hello_ns && now.boot_ns <= m->hello_ns + MASTER_ASK_NS &&
	       m->hello_ns >= m->hello_since_ns + MASTER_ASK_NS && !m->cell.asked_by &&
	       now.boot_ns >= m->asked_ns + m->config.leader_lease_ns;
}

/* The leader's next SWAP is refused for it, and so it learns. */
static void ask(struct master *m, struct moment now)
{
	struct engine_cell asked = m->cell;

	asked.asked_by = m->config.instance;
	m->asked_ns = now.boot_ns;
	swap(m, &asked); /* no memory: another time */
}

/* ---- Taking over ---- */

/* The part that changes while a leader lives. */
static bool same_leader(const struct engine_cell *a, const struct engine_cell *b)
{
	return a->instance == b->instance && a->epoch == b->epoch && a->sequence == b->sequence;
}

/* The old leader may still serve until its own lease ends, unless it has handed over, or the store
 * says that it cannot exist. */
static bool may_take(const struct master *m, struct moment now)
{
	int64_t lease = m->cell.leader_lease_ns;

	if (lease < m->config.leader_lease_ns)
		lease = m->config.leader_lease_ns;
	if (!m->cell.instance)
		return now.boot_ns >= m->yielded_until_ns;
	return m->cell.instance == m->config.instance || m->config.exclusive_store ||
	       now.boot_ns >= m->seen_ns + master_wait_ns(lease);
}

static void take_over(struct master *m)
{
	uint64_t above = m->cell.epoch > m->epoch_floor ? m->cell.epoch : m->epoch_floor;

	if (!swap_to_lead(m, above + 1))
		return; /* no memory: the cell will be looked at again */
	m->swap_running = true;
	m->state = MASTER_TAKING;
	m->look_at_ns = MOMENT_NEVER;
}

/* Once for each leader: people want to know, and whoever restarts one master after the other. */
static void tell_stands_by(struct master *m)
{
	if (!m->cell.instance || m->stands_by_epoch == m->cell.epoch)
		return;
	m->stands_by_epoch = m->cell.epoch;
	master_tell(m, MASTER_EVENT_STANDS_BY, NULL, m->cell.epoch, NULL);
}

void cell_read(struct master *m, const struct engine_cell *cell, struct moment now)
{
	if (m->state != MASTER_READING)
		return;
	if (!m->seen_ns || !same_leader(cell, &m->cell))
		m->seen_ns = now.boot_ns;
	m->cell = *cell;
	m->looked_ns = now.boot_ns;
	m->look_at_ns = now.boot_ns + m->config.leader_lease_ns / MASTER_LOOKS;
	if (cell->lease_ns < 0)
		m->store_old = true;
	else if (cell->epoch > m->epoch_floor)
		m->store_old = false; /* another master has seen to it */
	if (may_take(m, now)) {
		take_over(m);
		return;
	}
	tell_stands_by(m);
	if (wants_to_ask(m, now))
		ask(m, now);
}

static void on_taken_over(struct master *m, const struct op *op, struct moment now)
{
	int64_t old_lease = m->cell.lease_ns < 0 ? -m->cell.lease_ns : m->cell.lease_ns;

	m->cell = op->op.next;
	m->epoch = m->cell.epoch;
	m->clock = m->epoch << TABLE_EPOCH_SHIFT;
	m->valid_ns = valid_until(m, op->sent_ns);
	m->heard_ns = now.boot_ns;
	m->state = MASTER_LOADING;
	/* Sessions that the old leader welcomed believe for as long as it said. */
	if (old_lease < m->config.lease_ns)
		old_lease = m->config.lease_ns;
	m->grace_end_ns = now.boot_ns + master_wait_ns(old_lease);
	if (!master_op(m, ENGINE_LOAD, NULL))
		m->doomed = true;
}

/* A takeover that failed is tried again as a standby would, not at once: the store may be in
 * trouble. */
static void try_again_later(struct master *m, struct moment now, const char *why)
{
	master_step_down(m, now, why);
	m->look_at_ns = now.boot_ns + m->config.leader_lease_ns / MASTER_LOOKS;
}

void cell_loaded(struct master *m, const struct engine_outcome *outcome, struct moment now)
{
	if (m->state != MASTER_LOADING)
		return;
	if (outcome->result != ENGINE_DONE) {
		try_again_later(m, now, "the registry could not be read");
		return;
	}
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

/* ---- The outcome of a SWAP ---- */

static bool is_ours(const struct master *m, const struct engine_cell *cell)
{
	return cell->instance == m->config.instance;
}

static void on_renewed(struct master *m, const struct op *op, const struct engine_outcome *outcome,
		       struct moment now)
{
	if (outcome->result == ENGINE_DONE) {
		m->cell = op->op.next;
		m->valid_ns = valid_until(m, op->sent_ns);
		m->swaps_done = m->swaps_sent;
		sessions_confirmed(m);
	} else if (outcome->result == ENGINE_UNKNOWN) {
		m->swap_at_ns = now.boot_ns + MASTER_STORE_RETRY_NS;
	} else if (!is_ours(m, &outcome->cell) || outcome->cell.epoch != m->epoch) {
		master_step_down(m, now, "another master leads");
	} else {
		/* An earlier one of unknown outcome was done after all, or a standby asks. */
		m->cell = outcome->cell;
		m->swap_at_ns = now.boot_ns;
		if (outcome->cell.asked_by)
			on_asked(m, now);
	}
}

/* While it does not lead: of a question, of giving up, or of what was begun while it led. */
static void on_other_swap(struct master *m, const struct op *op,
			  const struct engine_outcome *outcome)
{
	if (outcome->result == ENGINE_DONE)
		m->cell = op->op.next;
	else if (outcome->result == ENGINE_REFUSED)
		m->cell = outcome->cell;
	if (!m->giving_up)
		return;
	if (outcome->result != ENGINE_UNKNOWN && is_ours(m, &m->cell))
		give_up_cell(m);
	else
		m->giving_up = false;
}

void cell_swapped(struct master *m, const struct op *op, const struct engine_outcome *outcome,
		  struct moment now)
{
	m->swap_running = false;
	switch (m->state) {
	case MASTER_TAKING:
		if (outcome->result == ENGINE_DONE)
			on_taken_over(m, op, now);
		else
			try_again_later(m, now, "somebody else took over");
		break;
	case MASTER_LOADING:
	case MASTER_GRACE:
	case MASTER_SERVING:
		on_renewed(m, op, outcome, now);
		break;
	case MASTER_READING:
	case MASTER_LEAVING:
		on_other_swap(m, op, outcome);
		cell_tick_leaving(m, now);
		break;
	case MASTER_LEFT:
		break;
	}
}
