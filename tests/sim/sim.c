/* SPDX-License-Identifier: MIT */
/* The time line: events, clocks, and the one source of chance. */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "sim.h"

#define PPM	     1000000
#define WALL_BASE_NS (INT64_C(1700000000) * NS_PER_SEC)

struct sim *sim_in_core;

/* ---- Randomness: one source (splitmix64) ---- */

uint64_t sim_random(struct sim *s)
{
	uint64_t z = (s->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t sim_below(struct sim *s, uint64_t bound)
{
	return bound ? sim_random(s) % bound : 0;
}

bool sim_chance(struct sim *s, unsigned in_thousand)
{
	return sim_below(s, 1000) < in_thousand;
}

/* ---- Saying ---- */

void sim_trace(struct sim *s, const char *format, ...)
{
	va_list args;

	if (!s->config.trace)
		return;
	printf("%10.6f ", (double)s->now / 1e9);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void sim_fail(struct sim *s, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "seed %" PRIu64 " at %.6f s: ", s->config.seed, (double)s->now / 1e9);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort(); /* main.c says how to see it again */
}

/* ---- Clocks ---- */

struct moment machine_now(const struct sim *s, size_t machine)
{
	const struct machine *m = &s->machines[machine];
	int64_t passed = s->now - m->base_true;
	int64_t local =
		m->base_local + passed / PPM * m->rate_ppm + passed % PPM * m->rate_ppm / PPM;

	return (struct moment){.boot_ns = local, .wall_ns = WALL_BASE_NS + s->now};
}

void machine_set_rate(struct sim *s, size_t machine, int64_t ppm)
{
	struct machine *m = &s->machines[machine];

	m->base_local = machine_now(s, machine).boot_ns;
	m->base_true = s->now;
	m->rate_ppm = ppm;
}

/* ---- Events ---- */

struct event *sim_at(struct sim *s, int64_t delay_ns, size_t machine,
		     void (*run)(struct sim *s, struct event *e), void *data)
{
	struct event *e = calloc(1, sizeof(*e));

	assert(e && deadline_reserve(&s->events));
	e->run = run;
	e->data = data;
	e->machine = machine;
	if (machine != SIM_NO_MACHINE)
		e->life = s->machines[machine].life;
	deadline_set(&s->events, &e->at, s->now + delay_ns);
	return e;
}

void sim_event_free(struct sim *s, struct event *e)
{
	deadline_release(&s->events, &e->at);
	if (e->drop)
		e->drop(e);
	else
		free(e->data);
	free(e);
}

static void event_happens(struct sim *s, struct event *e)
{
	struct machine *m = e->machine == SIM_NO_MACHINE ? NULL : &s->machines[e->machine];

	if (m && m->wake == e)
		m->wake = NULL;
	if (m && m->life == e->life && m->paused) {
		DL_APPEND(m->deferred, e);
		return;
	}
	if (!m || m->life == e->life)
		e->run(s, e);
	sim_event_free(s, e);
}

/* One event, and what it may have broken. */
static bool step(struct sim *s, int64_t until)
{
	struct deadline *due = deadlines_due(&s->events, until);
	struct event *e;
	size_t machine;

	if (!due)
		return false;
	assert(due->at_ns >= s->now);
	e = (struct event *)(void *)((char *)due - offsetof(struct event, at));
	machine = e->machine;
	s->now = due->at_ns;
	s->events_run++;
	check_before(s, machine);
	event_happens(s, e);
	check_after(s, machine);
	return true;
}

void sim_run_for(struct sim *s, int64_t ns)
{
	int64_t until = s->now + ns;

	while (step(s, until))
		;
	s->now = until;
}

bool sim_run_until(struct sim *s, bool (*holds)(struct sim *s, void *arg), void *arg, int64_t ns)
{
	int64_t until = s->now + ns;

	while (!holds(s, arg))
		if (!step(s, until)) {
			s->now = until;
			return holds(s, arg);
		}
	return true;
}

/* ---- Life ---- */

struct sim *sim_new(const struct sim_config *config)
{
	struct sim *s = calloc(1, sizeof(*s));

	assert(s && config->nodes <= SIM_NODES_MAX && config->masters <= SIM_MASTERS_MAX);
	s->config = *config;
	s->random = config->seed;
	s->faults = config->faults;
	for (size_t i = 0; i < SIM_MACHINES_MAX; i++) {
		s->machines[i].base_local = (int64_t)sim_below(s, 1000000) * NS_PER_SEC;
		s->machines[i].rate_ppm = PPM;
		if (config->faults & FAULT_DRIFT)
			s->machines[i].rate_ppm += (int64_t)sim_below(s, 20001) - 10000;
	}
	for (size_t i = 0; i < SIM_NODES_MAX; i++)
		snprintf(s->nodes[i].id, sizeof(s->nodes[i].id), "node%zu", i);
	return s;
}

void sim_free(struct sim *s)
{
	for (size_t i = 0; i < s->config.nodes; i++)
		sim_crash_node(s, i);
	for (size_t i = 0; i < s->config.masters; i++)
		sim_crash_master(s, i);
	while (s->events.count)
		event_happens(s, (struct event *)(void *)((char *)s->events.slots[0] -
							  offsetof(struct event, at)));
	deadlines_deinit(&s->events);
	engine_free(s);
	history_free(s);
	locks_free(s);
	names_free(s);
	free(s);
}
