/* SPDX-License-Identifier: MIT */
/* The faults: when which of them happens, and each with its end. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define FAULT_GAP_NS	   (8 * NS_PER_SEC)
#define TROUBLE_MAX_NS	   (25 * NS_PER_SEC)
#define NODE_FREEZE_MIN_NS (5 * NS_PER_SEC)
#define PPM		   1000000
#define DIES_IN_GRACE	   150 /* per mille of the takeovers */
#define DIES_WHILE_SLOW	   300 /* and of the store's slow operations */
#define DEAF_MAX_NS	   (3 * NS_PER_SEC)
#define FAULT_LIST_BYTES   256

const char *const sim_fault_names[] = {
	"loss",	  "repeat",   "delay",	   "partition", "master", "node",
	"engine", "pause",    "freeze",	   "drift",	"twin",	  "nodefreeze",
	"memory", "oldstore", "tornstore", "leases",	NULL,
};

static unsigned fault_by_name(const char *word)
{
	if (!strcmp(word, "all"))
		return FAULT_ALL;
	if (!strcmp(word, "none"))
		return 0;
	for (size_t i = 0; sim_fault_names[i]; i++)
		if (!strcmp(word, sim_fault_names[i]))
			return 1u << i;
	return SIM_NO_SUCH_FAULT;
}

unsigned sim_faults(const char *list)
{
	char copy[FAULT_LIST_BYTES], *end;
	unsigned long number = strtoul(list, &end, 0);
	unsigned faults = 0;

	if (*list && !*end)
		return number <= FAULT_ALL ? (unsigned)number : SIM_NO_SUCH_FAULT;
	snprintf(copy, sizeof(copy), "%s", list);
	for (char *word = strtok(copy, ","); word; word = strtok(NULL, ",")) {
		unsigned fault = fault_by_name(word);

		if (fault == SIM_NO_SUCH_FAULT)
			return fault;
		faults |= fault;
	}
	return faults;
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

	if (sim_chance(s, 300)) { /* the orderly end */
		s->masters[i].comes_back = true;
		sim_stop_master(s, i);
		return;
	}
	sim_crash_master(s, i);
	sim_at(s, delay, SIM_NO_MACHINE, on_start_master, number(i));
}

void faults_master_left(struct sim *s, size_t i)
{
	bool comes_back = s->masters[i].comes_back;

	sim_crash_master(s, i);
	if (comes_back)
		sim_at(s, (int64_t)sim_below(s, NS_PER_SEC), SIM_NO_MACHINE, on_start_master,
		       number(i));
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

static void heal_store(struct sim *s)
{
	s->store.down = false;
	for (size_t i = 0; i < SIM_MASTERS_MAX; i++)
		s->store.cut[i] = s->store.mute[i] = false;
}

static void on_heal_store(struct sim *s, struct event *e)
{
	heal_store(s);
}

/* Whoever leads, as often as not. */
static size_t some_master(struct sim *s)
{
	size_t leader = leader_of(s);

	return leader < s->config.masters && sim_chance(s, 500) ? leader
								: sim_below(s, s->config.masters);
}

/* The store and the machines of masters lose their power at once, and have it back one by one. */
static void fault_blackout(struct sim *s)
{
	size_t first = some_master(s), count = sim_chance(s, 500) ? 1 : s->config.masters;

	s->store.down = true;
	sim_trace(s, "the store fails, and masters with it");
	sim_at(s, trouble_time(s), SIM_NO_MACHINE, on_heal_store, NULL);
	for (size_t n = 0; n < count; n++) {
		size_t i = (first + n) % s->config.masters;

		sim_crash_master(s, i);
		sim_at(s, trouble_time(s), SIM_NO_MACHINE, on_start_master, number(i));
	}
}

static void fault_engine(struct sim *s)
{
	size_t master = some_master(s);

	if ((s->faults & FAULT_MASTER_CRASH) && sim_chance(s, 200)) {
		fault_blackout(s);
		return;
	}
	if (sim_chance(s, 300))
		s->store.down = true;
	else if (sim_chance(s, 500))
		s->store.cut[master] = true;
	else
		s->store.mute[master] = true;
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
	if (!s->machines[i].alive || s->machines[i].paused)
		return;
	if (i < SIM_NODES_MAX)
		sim_node_loop(s, i);
	else
		sim_master_loop(s, i - SIM_NODES_MAX);
}

static void freeze(struct sim *s, size_t machine, int64_t ns)
{
	if (s->machines[machine].rate_ppm == 0)
		return;
	sim_trace(s, "the clock of machine %zu stops", machine);
	machine_set_rate(s, machine, 0);
	sim_at(s, ns, SIM_NO_MACHINE, on_thaw, number(machine));
}

static void fault_freeze(struct sim *s)
{
	size_t i = sim_below(s, s->config.masters);

	s->masters[i].astray = true;
	freeze(s, machine_of_master(i), trouble_time(s));
}

static void fault_node_freeze(struct sim *s)
{
	size_t i = sim_below(s, s->config.nodes);

	s->nodes[i].astray = true;
	/* For less than a lease nobody would notice. */
	freeze(s, machine_of_node(i), NODE_FREEZE_MIN_NS + 2 * trouble_time(s));
}

/* All masters are stopped for it. */
static void put_back(struct sim *s, bool torn)
{
	if (s->store.backup_count < SIM_BACKUPS)
		return;
	for (size_t i = 0; i < s->config.masters; i++) {
		sim_crash_master(s, i);
		sim_at(s, (int64_t)sim_below(s, NS_PER_SEC), SIM_NO_MACHINE, on_start_master,
		       number(i));
	}
	sim_trace(s, "the store is put back to an old state%s", torn ? ", torn" : "");
	engine_put_back(s, torn);
}

static void fault_old_store(struct sim *s)
{
	put_back(s, false);
}

static void fault_torn_store(struct sim *s)
{
	put_back(s, true);
}

static void on_die(struct sim *s, struct event *e)
{
	size_t i = *(size_t *)e->data;

	sim_crash_master(s, i);
	sim_at(s, (int64_t)sim_below(s, NS_PER_SEC), SIM_NO_MACHINE, on_start_master, number(i));
}

/* One node does not hear what a master has done for it while others see that; then it dies. */
static void fault_deaf(struct sim *s)
{
	size_t n = sim_below(s, s->config.nodes), m = sim_below(s, s->config.masters);
	int64_t ns = (int64_t)sim_below(s, DEAF_MAX_NS);

	if (!s->masters[m].master)
		return;
	sim_trace(s, "node %zu does not hear master %zu", n, m);
	s->links[n][m].blocked[1] = true;
	sim_at(s, ns, machine_of_master(m), on_die, number(m));
	sim_at(s, ns + 1, SIM_NO_MACHINE, on_heal_links, NULL);
}

/* ---- A master dies at the worst moment ---- */

bool faults_kill_master(struct sim *s, size_t i, unsigned one_in)
{
	if (!(s->faults & FAULT_MASTER_CRASH) || sim_below(s, one_in))
		return false;
	sim_crash_master(s, i);
	sim_at(s, (int64_t)sim_below(s, NS_PER_SEC), SIM_NO_MACHINE, on_start_master, number(i));
	return true;
}

void faults_may_die_within(struct sim *s, size_t master, int64_t ns)
{
	if ((s->faults & FAULT_MASTER_CRASH) && sim_chance(s, DIES_WHILE_SLOW))
		sim_at(s, (int64_t)sim_below(s, (uint64_t)ns + 1), machine_of_master(master),
		       on_die, number(master));
}

void faults_takeover(struct sim *s, size_t master)
{
	int64_t when = sim_chance(s, 500) ? 100 * NS_PER_MS : 10 * NS_PER_SEC;

	if ((s->faults & FAULT_MASTER_CRASH) && sim_chance(s, DIES_IN_GRACE))
		sim_at(s, (int64_t)sim_below(s, (uint64_t)when), machine_of_master(master), on_die,
		       number(master));
}

/* ---- When ---- */

static void one_fault(struct sim *s)
{
	static const struct {
		enum sim_fault fault;
		void (*happen)(struct sim *s);
	} all[] = {
		{FAULT_PARTITION, fault_partition},
		{FAULT_MASTER_CRASH, fault_master_crash},
		{FAULT_NODE_CRASH, fault_node_crash},
		{FAULT_ENGINE, fault_engine},
		{FAULT_PAUSE, fault_pause},
		{FAULT_FREEZE, fault_freeze},
		{FAULT_NODE_FREEZE, fault_node_freeze},
		{FAULT_OLD_STORE, fault_old_store},
		{FAULT_TORN_STORE, fault_torn_store},
		{FAULT_MASTER_CRASH, fault_deaf},
	};
	const size_t count = sizeof(all) / sizeof(*all);
	size_t first = sim_below(s, count);

	for (size_t i = 0; i < count; i++) {
		if (!(s->faults & all[(first + i) % count].fault))
			continue;
		all[(first + i) % count].happen(s);
		return;
	}
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

void faults_begin(struct sim *s)
{
	sim_at(s, 2 * NS_PER_SEC, SIM_NO_MACHINE, on_fault, NULL);
}

static void heal_machine(struct sim *s, size_t machine)
{
	machine_resume(s, machine);
	if (s->machines[machine].rate_ppm == 0)
		machine_set_rate(s, machine, PPM);
}

void faults_end(struct sim *s)
{
	s->faults = 0;
	heal_store(s);
	for (size_t i = 0; i < s->config.masters; i++) {
		heal_machine(s, machine_of_master(i));
		if (!s->masters[i].master)
			sim_start_master(s, i);
		sim_master_loop(s, i);
	}
	for (size_t i = 0; i < s->config.nodes; i++) {
		heal_machine(s, machine_of_node(i));
		if (!s->nodes[i].node)
			sim_start_node(s, i);
		sim_node_loop(s, i);
	}
	heal_links(s);
}
