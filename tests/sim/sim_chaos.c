/* SPDX-License-Identifier: MIT */
/* When which fault happens, and the whole history of a seed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

#define CHAOS_MIN_NS   (30 * NS_PER_SEC)
#define CHAOS_MORE_NS  (60 * NS_PER_SEC)
#define PEACE_NS       (60 * NS_PER_SEC) /* leases, grace and the idle time are over */
#define FAULT_GAP_NS   (8 * NS_PER_SEC)
#define TROUBLE_MAX_NS (25 * NS_PER_SEC)
#define PPM	       1000000

struct sim_config chaos_config(uint64_t seed, unsigned faults, bool trace)
{
	struct sim draw = {.random = seed ^ UINT64_C(0x5eed)};
	struct sim_config config = {
		.seed = seed,
		.nodes = 2 + sim_below(&draw, SIM_NODES_MAX - 1),
		.masters = 1 + sim_below(&draw, SIM_MASTERS_MAX),
		.faults = (unsigned)sim_random(&draw) & (unsigned)sim_random(&draw),
		.allowed = faults & FAULT_ALL,
		.trace = trace,
		.lease_ns = 10 * NS_PER_SEC,
		.idle_ns = 5 * NS_PER_SEC,
	};

	/* Half of the faults at once at most, so that something still works. */
	config.faults |= (unsigned)sim_random(&draw) & (unsigned)sim_random(&draw);
	config.faults &= config.allowed;
	if (sim_below(&draw, 4))
		config.faults &= ~(unsigned)FAULT_TWIN;
	config.exclusive_store = config.masters == 1 && sim_below(&draw, 2);
	config.timeo_ns = sim_below(&draw, 2) ? 3 * NS_PER_SEC : 0;
	return config;
}

static size_t *number(size_t n)
{
	size_t *p = malloc(sizeof(*p));

	if (!p)
		abort();
	*p = n;
	return p;
}

static int64_t trouble_time(struct sim *s)
{
	uint64_t most = sim_chance(s, 500) ? TROUBLE_MAX_NS : 2 * NS_PER_SEC;

	return (int64_t)sim_below(s, most) + 1;
}

/* ---- Faults, each with its end ---- */

static void heal_links(struct sim *s)
{
	for (size_t n = 0; n < s->config.nodes; n++)
		for (size_t m = 0; m < s->config.masters; m++) {
			struct net_link *l = &s->links[n][m];

			l->blocked[0] = l->blocked[1] = false;
			if (s->nodes[n].node)
				net_connect(s, n, m);
		}
}

static void on_heal_links(struct sim *s, struct event *e)
{
	sim_trace(s, "links heal");
	heal_links(s);
}

static void fault_partition(struct sim *s)
{
	bool connections = sim_chance(s, 300), everybody = sim_chance(s, 200);

	for (size_t n = 0; n < s->config.nodes; n++)
		for (size_t m = 0; m < s->config.masters; m++) {
			if (!everybody && sim_chance(s, 600))
				continue;
			s->links[n][m].blocked[0] = sim_chance(s, 600);
			s->links[n][m].blocked[1] = sim_chance(s, 600);
			if (connections)
				net_disconnect(s, n, m);
		}
	sim_trace(s, "partition");
	sim_at(s, trouble_time(s), SIM_NO_MACHINE, on_heal_links, NULL);
}

static void on_start_master(struct sim *s, struct event *e)
{
	size_t i = *(size_t *)e->data;

	if (!s->masters[i].master)
		sim_start_master(s, i);
}

static void fault_master_crash(struct sim *s)
{
	size_t i = sim_below(s, s->config.masters);
	int64_t delay = sim_chance(s, 600) ? (int64_t)sim_below(s, NS_PER_SEC) : trouble_time(s);

	sim_crash_master(s, i);
	sim_at(s, delay, SIM_NO_MACHINE, on_start_master, number(i));
}

static void on_start_node(struct sim *s, struct event *e)
{
	size_t i = *(size_t *)e->data;

	if (!s->nodes[i].node)
		sim_start_node(s, i);
}

static void fault_node_crash(struct sim *s)
{
	size_t i = sim_below(s, s->config.nodes);

	sim_crash_node(s, i);
	sim_at(s, trouble_time(s), SIM_NO_MACHINE, on_start_node, number(i));
}

static void on_heal_store(struct sim *s, struct event *e)
{
	s->store.down = false;
	for (size_t i = 0; i < SIM_MASTERS_MAX; i++)
		s->store.cut[i] = false;
}

static void fault_engine(struct sim *s)
{
	if (sim_chance(s, 300))
		s->store.down = true;
	else
		s->store.cut[sim_below(s, s->config.masters)] = true;
	sim_trace(s, "the store fails");
	sim_at(s, trouble_time(s), SIM_NO_MACHINE, on_heal_store, NULL);
}

static void on_resume(struct sim *s, struct event *e)
{
	machine_resume(s, *(size_t *)e->data);
}

static size_t any_master_machine(struct sim *s)
{
	return machine_of_master(sim_below(s, s->config.masters));
}

static void fault_pause(struct sim *s)
{
	size_t i = sim_chance(s, 400) ? any_master_machine(s)
				      : machine_of_node(sim_below(s, s->config.nodes));

	if (!s->machines[i].alive || s->machines[i].paused)
		return;
	machine_pause(s, i);
	sim_at(s, trouble_time(s), SIM_NO_MACHINE, on_resume, number(i));
}

static void on_thaw(struct sim *s, struct event *e)
{
	size_t i = *(size_t *)e->data;

	machine_set_rate(s, i, PPM);
	if (s->machines[i].alive && !s->machines[i].paused)
		sim_master_loop(s, i - SIM_NODES_MAX);
}

static void fault_freeze(struct sim *s)
{
	size_t i = any_master_machine(s);

	if (s->machines[i].rate_ppm == 0)
		return;
	sim_trace(s, "the clock of machine %zu stops", i);
	machine_set_rate(s, i, 0);
	sim_at(s, trouble_time(s), SIM_NO_MACHINE, on_thaw, number(i));
}

static void one_fault(struct sim *s)
{
	static const struct {
		enum sim_fault fault;
		void (*happen)(struct sim *s);
	} all[] = {
		{FAULT_PARTITION, fault_partition},   {FAULT_MASTER_CRASH, fault_master_crash},
		{FAULT_NODE_CRASH, fault_node_crash}, {FAULT_ENGINE, fault_engine},
		{FAULT_PAUSE, fault_pause},	      {FAULT_FREEZE, fault_freeze},
	};
	size_t i = sim_below(s, sizeof(all) / sizeof(*all));

	if (s->faults & all[i].fault)
		all[i].happen(s);
}

static void on_fault(struct sim *s, struct event *e)
{
	if (!s->faults)
		return;
	one_fault(s);
	if (sim_chance(s, 200)) /* troubles come together */
		one_fault(s);
	sim_at(s, (int64_t)sim_below(s, FAULT_GAP_NS), SIM_NO_MACHINE, on_fault, NULL);
}

/* ---- Peace ---- */

static void make_peace(struct sim *s)
{
	sim_trace(s, "peace");
	s->faults = 0;
	s->programs_stop = true;
	on_heal_store(s, NULL);
	for (size_t i = 0; i < s->config.masters; i++) {
		machine_resume(s, machine_of_master(i));
		if (s->machines[machine_of_master(i)].rate_ppm == 0)
			machine_set_rate(s, machine_of_master(i), PPM);
		if (!s->masters[i].master)
			sim_start_master(s, i);
		sim_master_loop(s, i);
	}
	for (size_t i = 0; i < s->config.nodes; i++) {
		machine_resume(s, i);
		if (!s->nodes[i].node)
			sim_start_node(s, i);
	}
	heal_links(s);
}

static bool all_idle(struct sim *s, void *arg)
{
	return programs_idle(s);
}

/* Whatever is still there, all nodes see the same of it. */
static void check_names(struct sim *s)
{
	struct message m = {.kind = MESSAGE_LOOKUP, .parent = ROOT_INO};
	struct request *answers[SIM_NODES_MAX];
	size_t first = 0; /* a twin has no session */

	while (first + 1 < s->config.nodes && !node_is_open(s->nodes[first].node))
		first++;
	for (const char *c = "e0e1e2f0t0t1t2"; *c; c += 2) {
		char name[] = {c[0], c[1], '\0'};

		m.name = name;
		for (size_t i = 0; i < s->config.nodes; i++)
			answers[i] = request_submit(s, i, &m, NULL);
		sim_run_for(s, 15 * NS_PER_SEC);
		for (size_t i = 0; i < s->config.nodes; i++) {
			if (!answers[i]->answered)
				sim_fail(s, "I8: node %zu does not answer", i);
			if (node_is_open(s->nodes[i].node) &&
			    answers[i]->status != answers[first]->status)
				sim_fail(s, "I8: nodes %zu and %zu disagree on %s", first, i, name);
		}
		for (size_t i = 0; i < s->config.nodes; i++)
			request_free(s, answers[i]);
	}
}

void chaos_run(const struct sim_config *config)
{
	struct sim *s = sim_new(config);

	if (config->faults & FAULT_TWIN)
		s->nodes[1].id[4] = '0';
	for (size_t i = 0; i < config->masters; i++)
		sim_start_master(s, i);
	for (size_t i = 0; i < config->nodes; i++)
		sim_start_node(s, i);
	sim_at(s, 2 * NS_PER_SEC, SIM_NO_MACHINE, on_fault, NULL);
	sim_run_for(s, CHAOS_MIN_NS + (int64_t)sim_below(s, CHAOS_MORE_NS));
	make_peace(s);
	if (!sim_run_until(s, all_idle, NULL, PEACE_NS + 60 * NS_PER_SEC))
		sim_fail(s, "I8: a program still waits for an answer");
	sim_run_for(s, PEACE_NS);
	check_end(s);
	check_names(s);
	if (config->trace)
		printf("%" PRIu64 " events, %" PRIu64 " packets, %" PRIu64 " answers, %" PRIu64
		       " takeovers\n",
		       s->events_run, s->packets, s->answers, s->takeovers);
	sim_free(s);
}
