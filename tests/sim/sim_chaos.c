/* SPDX-License-Identifier: MIT */
/* The whole history of a seed: trouble for a while, then peace, then the last check. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sim.h"

#define CHAOS_MIN_NS	(30 * NS_PER_SEC)
#define CHAOS_MORE_NS	(60 * NS_PER_SEC)
#define NAMES_OF_A_SORT 3
#define PEACE_NS	(60 * NS_PER_SEC) /* leases, grace and the idle time are over */

static const char *const crowds[] = {"f", "fk", "k", "e", "et", "tl", "m", "em", "d"};

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
		.leader_lease_ns = (2 + (int64_t)sim_below(&draw, 4)) * NS_PER_SEC,
		.idle_ns = 5 * NS_PER_SEC,
	};

	/* Half of the seeds are crowded: all programs are at the same few names. */
	config.names = 1 + sim_below(&draw, NAMES_OF_A_SORT);
	if (sim_below(&draw, 2))
		strcpy(config.sorts, crowds[sim_below(&draw, sizeof(crowds) / sizeof(*crowds))]);
	/* Half of the faults at once at most, so that something still works. */
	config.faults |= (unsigned)sim_random(&draw) & (unsigned)sim_random(&draw);
	config.faults &= config.allowed;
	if (sim_below(&draw, 4))
		config.faults &= ~(unsigned)FAULT_TWIN;
	if (sim_below(&draw, 4)) /* with it little can be said of the rest */
		config.faults &= ~(unsigned)(FAULT_OLD_STORE | FAULT_TORN_STORE);
	/* Who asks for some mostly wants them all. */
	if (config.allowed != FAULT_ALL && sim_below(&draw, 4))
		config.faults = config.allowed;
	config.exclusive_store = config.masters == 1 && sim_below(&draw, 2);
	config.fail_every = 100 + sim_below(&draw, 10000);
	config.timeo_ns = sim_below(&draw, 2) ? 3 * NS_PER_SEC : 0;
	config.breaks = sim_below(&draw, 3) == 0;
	return config;
}

/* ---- Peace ---- */

static void make_peace(struct sim *s)
{
	sim_trace(s, "peace");
	s->programs_stop = true;
	faults_end(s);
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
	faults_begin(s);
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
