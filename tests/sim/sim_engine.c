/* SPDX-License-Identifier: MIT */
/*
 * The store: one linearizable cell and a registry fenced by its epoch. Operations of one master run
 * in their order; one of unknown outcome may have been done, not done, or be done later.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "sim.h"

#define TROUBLE_PER_MILLE 60
#define SLOW_PER_MILLE	  40
#define SLOW_MAX_NS	  (6 * NS_PER_SEC)
#define LATE_MAX_NS	  (20 * NS_PER_SEC)
#define TIMEOUT_NS	  NS_PER_SEC

struct sim_op {
	struct engine_op op;
	size_t master;
	uint64_t life; /* of the master's process; what it started dies with it, or is done at once
			*/
	struct sim_op *prev, *next;
};

/* ---- What an operation does ---- */

static bool fence_holds(const struct store *st, const struct engine_op *op)
{
	return st->cell.epoch == op->expect.epoch && st->cell.instance == op->expect.instance;
}

static size_t registry_at(const struct store *st, const char *node, uint64_t instance)
{
	size_t i;

	for (i = 0; i < st->count; i++)
		if (st->registry[i].instance == instance && !strcmp(st->registry[i].node, node))
			break;
	return i;
}

bool engine_knows(const struct sim *s, const char *node, uint64_t instance)
{
	return registry_at(&s->store, node, instance) < s->store.count;
}

static void put(struct store *st, const struct engine_session *session)
{
	size_t i = registry_at(st, session->node, session->instance);

	assert(i < SIM_REGISTRY_MAX);
	st->registry[i] = *session;
	if (i == st->count)
		st->count++;
}

static void delete (struct sim *s, const struct engine_session *session)
{
	struct store *st = &s->store;
	size_t i = registry_at(st, session->node, session->instance);

	if (i < st->count)
		st->registry[i] = st->registry[--st->count];
	check_deleted(s, session->instance);
}

static void back_up(struct store *st)
{
	memmove(st->backups + 1, st->backups, (SIM_BACKUPS - 1) * sizeof(*st->backups));
	st->backups[0].cell = st->cell;
	memcpy(st->backups[0].registry, st->registry, sizeof(st->registry));
	st->backups[0].count = st->count;
	if (st->backup_count < SIM_BACKUPS)
		st->backup_count++;
}

/*
 * To what the oldest backup says; the masters are down. Torn, the registry is of a later one: it may
 * know sessions that the cell's time did not, and dead ones. (A new cell with an old registry nobody
 * can tell, and no store does that which is atomic.)
 */
void engine_put_back(struct sim *s, bool torn)
{
	struct store *st = &s->store;
	const struct sim_backup *old = &st->backups[SIM_BACKUPS - 1];
	const struct sim_backup *part = torn ? &st->backups[sim_below(s, SIM_BACKUPS - 1)] : old;

	assert(st->backup_count == SIM_BACKUPS);
	if (st->cell.epoch > st->lost_epoch)
		st->lost_epoch = st->cell.epoch;
	st->cell = old->cell;
	memcpy(st->registry, part->registry, sizeof(st->registry));
	st->count = part->count;
	st->backup_count = 0;
}

static enum engine_result apply(struct sim *s, const struct engine_op *op)
{
	struct store *st = &s->store;

	switch (op->kind) {
	case ENGINE_READ:
	case ENGINE_LOAD:
		return ENGINE_DONE;
	case ENGINE_SWAP:
		if (memcmp(&st->cell, &op->expect, sizeof(st->cell)) != 0)
			return ENGINE_REFUSED;
		check_swap(s, &st->cell, &op->next);
		if (op->next.epoch != st->cell.epoch)
			back_up(st);
		st->cell = op->next;
		return ENGINE_DONE;
	case ENGINE_PUT:
		if (!fence_holds(st, op))
			return ENGINE_REFUSED;
		put(st, &op->session);
		return ENGINE_DONE;
	case ENGINE_DELETE:
		if (!fence_holds(st, op))
			return ENGINE_REFUSED;
		delete (s, &op->session);
		return ENGINE_DONE;
	}
	abort();
}

/* ---- Outcomes on their way back ---- */

static void outcome_drop(struct event *e)
{
	struct engine_outcome *o = e->data;

	free(o->sessions);
	free(o);
}

static void start_next(struct sim *s, size_t master);

static void on_outcome(struct sim *s, struct event *e)
{
	size_t i = e->machine - SIM_NODES_MAX;

	sim_in_core = s;
	master_engine_done(s->masters[i].master, e->data, machine_now(s, e->machine));
	sim_in_core = NULL;
	start_next(s, i);
	sim_master_loop(s, i);
}

static void fill(struct store *st, struct engine_outcome *o)
{
	o->cell = st->cell;
	o->sessions = calloc(st->count + 1, sizeof(*o->sessions));
	assert(o->sessions);
	memcpy(o->sessions, st->registry, st->count * sizeof(*o->sessions));
	o->session_count = st->count;
}

static void send_outcome(struct sim *s, size_t master, uint64_t id, enum engine_result result,
			 int64_t delay)
{
	struct engine_outcome *o = calloc(1, sizeof(*o));
	struct event *e;

	assert(o);
	o->id = id;
	o->result = result;
	fill(&s->store, o);
	if (result == ENGINE_UNKNOWN)
		strcpy(o->error, "no answer");
	e = sim_at(s, delay, machine_of_master(master), on_outcome, o);
	e->drop = outcome_drop;
}

/* ---- Running ---- */

/* What happens seldom is what trouble is to meet. */
static bool is_rare(const struct engine_op *op)
{
	return op->kind != ENGINE_READ && op->kind != ENGINE_SWAP;
}

static unsigned dies_one_in(const struct engine_op *op)
{
	return is_rare(op) ? 50 : 4000;
}

/* How much longer the operation takes than it should; the master may well die meanwhile. */
static int64_t slowness(struct sim *s, size_t master, const struct engine_op *op)
{
	int64_t ns;

	if (!(s->faults & FAULT_ENGINE) ||
	    !sim_chance(s, is_rare(op) ? 3 * SLOW_PER_MILLE : SLOW_PER_MILLE))
		return 0;
	ns = (int64_t)sim_below(s, SLOW_MAX_NS);
	if (is_rare(op))
		faults_may_die_within(s, master, ns);
	return ns;
}

static void apply_late(struct sim *s, struct event *e)
{
	struct engine_op *op = e->data;
	enum engine_result result = apply(s, op);

	if (op->kind == ENGINE_PUT && result == ENGINE_DONE)
		s->store.late_put = true;
	sim_trace(s, "store: op %" PRIu64 " of kind %d late: %d", op->id, op->kind, result);
}

/* What became of an operation that nobody heard of. */
enum lost { LOST_UNDONE, LOST_DONE, LOST_LATE, LOST_WAYS };

static void outcome_unknown(struct sim *s, size_t master, const struct engine_op *op, enum lost how)
{
	if (how == LOST_DONE) {
		apply(s, op);
	} else if (how == LOST_LATE && !s->config.exclusive_store) {
		struct engine_op *copy = malloc(sizeof(*copy));

		assert(copy);
		*copy = *op;
		sim_at(s, (int64_t)sim_below(s, LATE_MAX_NS), SIM_NO_MACHINE, apply_late, copy);
	}
	sim_trace(s, "store: op %" PRIu64 " of kind %d, unknown (%d)", op->id, op->kind, (int)how);
	send_outcome(s, master, op->id, ENGINE_UNKNOWN, TIMEOUT_NS);
}

/* The operation reaches the store; its master may be paused by now. */
static void execute(struct sim *s, struct event *e)
{
	struct sim_op *o = e->data;
	struct store *st = &s->store;
	enum engine_result result;
	int64_t delay = (int64_t)sim_below(s, NS_PER_MS) + 1;

	if (o->life != s->machines[machine_of_master(o->master)].life)
		return;
	if (faults_kill_master(s, o->master, dies_one_in(&o->op)))
		return; /* done or not (engine_forget) */
	if (st->down || st->cut[o->master] || st->mute[o->master]) {
		outcome_unknown(s, o->master, &o->op,
				st->mute[o->master] && !st->down ? LOST_DONE : LOST_UNDONE);
		return;
	}
	if ((s->faults & FAULT_ENGINE) && sim_chance(s, TROUBLE_PER_MILLE)) {
		outcome_unknown(s, o->master, &o->op, (enum lost)sim_below(s, LOST_WAYS));
		return;
	}
	result = apply(s, &o->op);
	delay += slowness(s, o->master, &o->op);
	sim_trace(s, "store: master %zu op %" PRIu64 " of kind %d: %d, cell e%" PRIu64 " #%" PRIu64,
		  o->master, o->op.id, o->op.kind, result, st->cell.epoch, st->cell.sequence);
	send_outcome(s, o->master, o->op.id, result, delay);
}

/* After the next in the queue, if it is not at work. */
static void start_next(struct sim *s, size_t master)
{
	struct sim_op *o = s->store.queue[master];
	int64_t delay = (int64_t)sim_below(s, NS_PER_MS) + 1;

	s->masters[master].running.id = 0;
	if (!o)
		return;
	DL_DELETE(s->store.queue[master], o);
	s->masters[master].running = o->op;
	delay += slowness(s, master, &o->op);
	sim_at(s, delay, SIM_NO_MACHINE, execute, o);
}

void engine_start(struct sim *s, size_t master, const struct engine_op *op)
{
	struct sim_op *o = calloc(1, sizeof(*o));

	assert(o);
	o->op = *op;
	o->master = master;
	o->life = s->machines[machine_of_master(master)].life;
	DL_APPEND(s->store.queue[master], o);
	if (!s->masters[master].running.id)
		start_next(s, master);
}

/* What was under way when the process died may be done or not. */
void engine_forget(struct sim *s, size_t master)
{
	struct sim_op *o, *next;

	if (s->masters[master].running.id && sim_chance(s, 500))
		apply(s, &s->masters[master].running);
	s->masters[master].running.id = 0;
	DL_FOREACH_SAFE (s->store.queue[master], o, next) {
		DL_DELETE(s->store.queue[master], o);
		free(o);
	}
}

void engine_free(struct sim *s)
{
	for (size_t i = 0; i < SIM_MASTERS_MAX; i++)
		engine_forget(s, i);
}
