/* SPDX-License-Identifier: MIT */
/* Machines: pauses, crashes, and the loops that nodes and masters run in. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lockcore/node_internal.h"
#include "sim.h"

#define MIDWAY_ONE_IN	   3000 /* loops of a machine that may be paused */
#define MASTER_DIES_ONE_IN 4000 /* loops, before and after its replies */
#define SPINS_MAX	   20	/* loops in a row that had nothing to do and yet were due at once */
#define MASTER_FILES_MAX   1000
#define PPM		   1000000

/* The true delay until the machine's clock shows this; MOMENT_NEVER. */
static int64_t true_delay(struct sim *s, size_t machine, int64_t local)
{
	const struct machine *m = &s->machines[machine];
	int64_t left = local - machine_now(s, machine).boot_ns;

	if (local == MOMENT_NEVER || m->rate_ppm == 0)
		return MOMENT_NEVER;
	if (left <= 0)
		return 1;
	return left / m->rate_ppm * PPM + left % m->rate_ppm * PPM / m->rate_ppm + 1;
}

/* ---- Machines ---- */

void machine_pause(struct sim *s, size_t machine)
{
	if (!s->machines[machine].paused)
		sim_trace(s, "machine %zu is paused", machine);
	s->machines[machine].paused = true;
}

void machine_resume(struct sim *s, size_t machine)
{
	struct machine *m = &s->machines[machine];
	struct event *e, *next;
	int64_t at = s->now;

	if (!m->paused)
		return;
	sim_trace(s, "machine %zu goes on", machine);
	m->paused = false;
	DL_FOREACH_SAFE (m->deferred, e, next) {
		DL_DELETE(m->deferred, e);
		deadline_set(&s->events, &e->at, ++at);
	}
}

static void machine_dies(struct sim *s, size_t machine)
{
	struct machine *m = &s->machines[machine];
	struct event *e, *next;

	m->alive = m->paused = false;
	m->life++;
	m->wake = NULL;
	DL_FOREACH_SAFE (m->deferred, e, next) {
		DL_DELETE(m->deferred, e);
		sim_event_free(s, e);
	}
}

static void machine_starts(struct sim *s, size_t machine)
{
	struct machine *m = &s->machines[machine];

	m->alive = true;
	m->life++;
	m->spins = 0;
}

static void on_wake(struct sim *s, struct event *e)
{
	if (e->machine < SIM_NODES_MAX)
		sim_node_loop(s, e->machine);
	else
		sim_master_loop(s, e->machine - SIM_NODES_MAX);
}

/* A deadline that the loop has just worked through must lie ahead, or the process would spin. */
static void set_wake(struct sim *s, size_t machine, int64_t local)
{
	struct machine *m = &s->machines[machine];
	int64_t delay = true_delay(s, machine, local);

	if (local <= machine_now(s, machine).boot_ns && ++m->spins > SPINS_MAX)
		sim_fail(s, "machine %zu spins: its deadline stays in the past", machine);
	if (local > machine_now(s, machine).boot_ns)
		m->spins = 0;
	if (m->wake)
		sim_event_free(s, m->wake);
	m->wake = NULL;
	if (delay != MOMENT_NEVER)
		m->wake = sim_at(s, delay, machine, on_wake, NULL);
}

static void on_resume(struct sim *s, struct event *e)
{
	machine_resume(s, *(size_t *)e->data);
}

static void resume_later(struct sim *s, size_t machine, int64_t ns)
{
	size_t *number = malloc(sizeof(*number));

	assert(number);
	*number = machine;
	sim_at(s, ns, SIM_NO_MACHINE, on_resume, number);
}

/* The process is stopped at the worst moment: it has looked at the time, and has yet to answer. */
static bool pause_midway(struct sim *s, size_t machine)
{
	bool by_story = s->machines[machine].stop_midway;

	if (!by_story && (!(s->faults & FAULT_PAUSE) || sim_below(s, MIDWAY_ONE_IN)))
		return false;
	s->machines[machine].stop_midway = false;
	sim_at(s, 1, machine, on_wake, NULL);
	machine_pause(s, machine);
	if (!by_story) /* which says itself when it goes on */
		resume_later(s, machine, (int64_t)sim_below(s, 15 * NS_PER_SEC));
	return true;
}

/* ---- Nodes ---- */

void sim_start_node(struct sim *s, size_t i)
{
	struct sim_node *n = &s->nodes[i];
	struct node_config config = {
		.masters = s->config.masters,
		.timeo_ns = s->config.timeo_ns,
		.idle_ns = s->config.idle_ns,
		.watch_all = i % 2 == 1,
		.fence = i % 2 == 1,
		.instance_base = ++s->instances << 20,
	};

	assert(!n->node);
	memcpy(config.id, n->id, sizeof(config.id));
	machine_starts(s, i);
	n->node = node_new(&config, machine_now(s, i));
	assert(n->node);
	if (!s->hold_ns) /* as if a program had been in the root */
		n->node->root = (struct attr){.ino = ROOT_INO, .mode = S_IFDIR};
	n->node->watching = s->config.breaks && i % 3 == 0;
	n->leaving = n->midway = false;
	n->epoch = 0;
	n->astray = s->machines[i].rate_ppm == 0;
	sim_trace(s, "node %zu starts as %s, instance %" PRIx64, i, n->id, config.instance_base);
	for (size_t m = 0; m < s->config.masters; m++)
		net_connect(s, i, m);
	programs_start(s, i);
	sim_node_loop(s, i);
}

void sim_crash_node(struct sim *s, size_t i)
{
	if (!s->nodes[i].node)
		return;
	sim_trace(s, "node %zu crashes", i);
	for (size_t m = 0; m < s->config.masters; m++)
		net_disconnect(s, i, m);
	machine_dies(s, i);
	programs_die(s, i);
	break_forget(s, i);
	requests_die(s, i);
	node_free(s->nodes[i].node);
	s->nodes[i].node = NULL;
	node_notice_free(s->nodes[i].notice);
	s->nodes[i].notice = NULL;
}

uint64_t sim_instance(const struct sim *s, size_t node)
{
	return node_instance(s->nodes[node].node);
}

uint64_t sim_epoch(const struct sim *s, size_t node)
{
	return s->nodes[node].node->epoch;
}

static void node_tells(struct sim *s, size_t i, const struct node_event *e)
{
	static const char *const names[] = {"opened", "resumed", "LAPSED", "taken",
					    "twin",   "SILENT",	 "left"};

	s->nodes[i].told[e->kind]++;
	s->nodes[i].last = *e;
	sim_trace(s, "node %zu: %s, epoch %" PRIu64 ", instance %" PRIx64 ", held %zu", i,
		  names[e->kind], e->epoch, node_instance(s->nodes[i].node), e->held);
}

/* Takes the notice over. */
static void node_notices(struct sim *s, size_t i, struct node_notice *notice)
{
	struct sim_node *n = &s->nodes[i];
	const struct node_step *last = node_notice_last(notice);

	sim_trace(s, "node %zu: %s of %" PRIx64 " %s, ino %" PRIx64, i,
		  notice->appeared ? "appeared" : "unseen", last->parent, last->name,
		  last->attr.ino);
	n->noticed[notice->appeared]++;
	node_notice_free(n->notice);
	n->notice = notice;
}

void sim_node_loop(struct sim *s, size_t i)
{
	struct node *n = s->nodes[i].node;
	struct moment now = machine_now(s, i);
	struct node_answer answer;
	struct node_event event;
	struct node_notice *notice;
	struct node_change change;
	struct node_revoke revoke;
	struct packet packet;
	size_t master;

	if (!n || s->machines[i].paused)
		return;
	sim_in_core = s;
	if (!s->nodes[i].midway)
		node_tick(n, now);
	sim_in_core = NULL;
	s->nodes[i].midway = !s->nodes[i].midway && pause_midway(s, i);
	if (s->nodes[i].midway)
		return;
	while (node_next_answer(n, now, &answer))
		request_answered(s, i, &answer);
	break_look(s, i);
	while (node_next_packet(n, now, &master, &packet))
		net_send_to_master(s, i, master, &packet);
	while (node_next_event(n, &event))
		node_tells(s, i, &event);
	while ((notice = node_next_notice(n)))
		node_notices(s, i, notice);
	while (node_next_change(n, &change))
		check_change(s, i, &change);
	while (node_next_revoke(n, &revoke))
		break_begins(s, i, &revoke);
	if (node_fence(n) == NODE_FENCE_LOST && !s->holders_stay)
		node_fenced(n, i != 1, now);
	set_wake(s, i, node_deadline(n));
}

/* ---- Masters ---- */

void sim_start_master(struct sim *s, size_t i)
{
	struct master_config config = {
		.instance = ++s->instances,
		.lease_ns = s->config.lease_ns,
		.leader_lease_ns = s->config.leader_lease_ns,
		.max_files = MASTER_FILES_MAX,
		.exclusive_store = s->config.exclusive_store,
	};
	size_t machine = machine_of_master(i);

	assert(!s->masters[i].master);
	s->masters[i].midway = s->masters[i].comes_back = false;
	s->masters[i].astray = s->machines[machine].rate_ppm == 0;
	machine_starts(s, machine);
	s->masters[i].master = master_new(&config, machine_now(s, machine));
	sim_trace(s, "master %zu starts, instance %" PRIx64, i, config.instance);
	for (size_t n = 0; n < s->config.nodes; n++)
		net_connect(s, n, i);
	sim_master_loop(s, i);
}

void sim_crash_master(struct sim *s, size_t i)
{
	if (!s->masters[i].master)
		return;
	sim_trace(s, "master %zu crashes", i);
	machine_dies(s, machine_of_master(i));
	engine_forget(s, i);
	master_free(s->masters[i].master);
	s->masters[i].master = NULL;
	for (size_t n = 0; n < s->config.nodes; n++)
		net_disconnect(s, n, i);
}

void sim_stop_master(struct sim *s, size_t i)
{
	struct master *m = s->masters[i].master;

	if (!m || s->machines[machine_of_master(i)].paused)
		return;
	sim_trace(s, "master %zu is asked to stop", i);
	sim_in_core = s;
	master_leave(m, machine_now(s, machine_of_master(i)));
	sim_in_core = NULL;
	sim_master_loop(s, i);
}

void sim_master_loop(struct sim *s, size_t i)
{
	struct master *m = s->masters[i].master;
	size_t machine = machine_of_master(i);
	struct moment now = machine_now(s, machine);
	struct master_event event;
	struct engine_op op;
	struct packet packet;
	uint32_t peer;

	if (!m || s->machines[machine].paused)
		return;
	sim_in_core = s;
	if (!s->masters[i].midway)
		master_tick(m, now);
	sim_in_core = NULL;
	s->masters[i].midway = !s->masters[i].midway && pause_midway(s, machine);
	if (s->masters[i].midway)
		return;
	while (master_next_op(m, now, &op))
		engine_start(s, i, &op);
	if (faults_kill_master(s, i, MASTER_DIES_ONE_IN)) /* before the replies */
		return;
	while (master_next_packet(m, now, &peer, &packet)) {
		check_master_packet(s, i, &packet);
		net_send_to_node(s, i, peer, &packet);
	}
	while (master_next_event(m, &event))
		check_master_event(s, i, &event);
	check_master(s, i);
	if (faults_kill_master(s, i, MASTER_DIES_ONE_IN)) /* and after them */
		return;
	if (master_has_left(m)) {
		faults_master_left(s, i);
		return;
	}
	/* Slow, so not every time. */
	if (++s->masters[i].steps % 16 == 0 && master_table(m))
		table_check(master_table(m));
	set_wake(s, machine, master_deadline(m));
}
