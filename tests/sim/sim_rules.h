/* SPDX-License-Identifier: MIT */
/*
 * The rules of the protocol as the simulator knows them: names, what it takes to notice that one is
 * left out, and the proof that this is so.
 */
#ifndef TESTS_SIM_SIM_RULES_H
#define TESTS_SIM_SIM_RULES_H

#include "lockcore/rules.h"

struct sim_rule {
	const char *name;   /* for --without */
	const char *text;   /* protocol.md's number, and what it says */
	uint64_t seeds;	    /* its removal is noticed in one of the first so many seeds */
	const char *faults; /* of these faults alone, as --faults takes them */
};

extern const struct sim_rule sim_rules[RULE_COUNT];

/* False: there is no such rule. */
bool sim_leave_out(const char *name);

/*
 * Leaves out one rule after the other, each in processes of its own, and prints which seed noticed
 * it and how. False: one went unnoticed.
 */
bool removals_are_noticed(void);

/* Runs seeds from..from + count - 1; a broken invariant ends the process (sim_fail). */
void run_seeds(uint64_t from, uint64_t count, unsigned faults, bool trace);

#endif
