/* SPDX-License-Identifier: MIT */
/*
 * Rules: the protocol's rules by name, so that the simulator can leave each of them out and show
 * that it would notice (protocol.md, the numbers in brackets).
 *
 * Where the core keeps a rule it asks rule(RULE_…). In the product that is the constant true: no
 * code, no symbol, no way to say otherwise. The simulator links a build of its own of the same
 * sources, with DLOCK_RULES_CAN_BE_LEFT_OUT, and owns the array that says which one is left out
 * (tests/sim/sim_rules.c has the names for people, and how each removal is found).
 */
#ifndef LOCKCORE_RULES_H
#define LOCKCORE_RULES_H

#include <stdbool.h>

enum rule {
	/* The master */
	RULE_LEADS_WHILE_VALID,		/* (1) its own lease over, it says nothing more */
	RULE_REGISTERED_BEFORE_WELCOME, /* (2) the session is durable first */
	RULE_NO_EARLY_TAKEOVER,		/* (2) a live session keeps its node id */
	RULE_ACKNOWLEDGED_AFTER_SWAP,	/* (3) by a SWAP sent after the renewal came */
	RULE_MASTER_WAITS_LONGER,	/* (4) than any node believes, whatever the clocks' rates */
	RULE_DELETED_BEFORE_FREED,	/* (4) durably */
	RULE_DEAD_WAITERS_LEAVE,	/* (9) as soon as their session is dying */
	RULE_NO_GRANT_IN_GRACE,		/* (5) requests are held back */
	RULE_GRACE_WAITS_FOR_ALL,	/* (5) who is registered reclaims, or is dead */
	RULE_GRACE_WAITS_FOR_DELETES,	/* (5) dead means: durably deleted */
	RULE_STRANGERS_DO_NOT_RECLAIM,	/* (6) nor anybody after grace */
	RULE_HIGHER_VERSION_WINS,	/* (7) of two records of a file */
	RULE_RETRIES_GO_FIRST,		/* (7) at the end of grace */
	RULE_RETRIES_IN_ORDER,		/* (7) of several sessions, as they were caused */
	RULE_TOMBSTONES,		/* (7) of a removed file somebody remembers the end */
	RULE_TOKENS_GROW,		/* (8) over restarts */
	RULE_LOCKS_BELONG_TO_NAMES,	/* (8) contract 5.5 */
	RULE_OLD_STORE_IS_REFUSED,	/* (10) a node knows a higher epoch than the store */
	RULE_REVOKE_WAITS_FOR_HOLDER,	/* (6) what is broken is freed once its node says so */
	/* The node */
	RULE_LOWER_EPOCHS_ARE_REFUSED,	/* (10) */
	RULE_BELIEF_FROM_SENDING,	/* (11) not from the acknowledgement's arrival */
	RULE_LAPSE_BEFORE_INPUT,	/* (11) the clock is looked at first */
	RULE_LAPSE_BEFORE_ANSWER,	/* (11) and once more before a program is told */
	RULE_RELEASED_IS_NOT_RECLAIMED, /* (12) even if nobody has acknowledged it */
	RULE_MASTERS_WORD_ON_SIGNALS,	/* (13) a wait ends by it, if it can be had in time */
	RULE_GIVEN_UP_IS_UNDONE,	/* (13) what may have been granted is given back */
	RULE_LAST_WRITER_VOUCHES,	/* (7) its session keeps what it wrote */
	RULE_WAITERS_KEEP_THEIR_PLACES, /* (7) over a restart */
	RULE_RETRIES_ARE_FLAGGED,	/* a request sent once more says so */
	/* Both */
	RULE_CHANNEL_IS_ORDERED, /* repeats and what follows a gap are dropped */
	RULE_COUNT,
};

#ifdef DLOCK_RULES_CAN_BE_LEFT_OUT
extern bool rule_left_out[RULE_COUNT];

static inline bool rule(enum rule rule)
{
	return !rule_left_out[rule];
}
#else
static inline bool rule(enum rule rule)
{
	return true;
}
#endif

#endif
