/* SPDX-License-Identifier: MIT */
/* The table of the rules. A rule without faults of its own is missed with any of them. */
#include <string.h>

#include "sim.h"
#include "sim_rules.h"

bool rule_left_out[RULE_COUNT];

const struct sim_rule sim_rules[RULE_COUNT] = {
	[RULE_LEADS_WHILE_VALID] = {"leads-while-valid",
				    "1: a leader whose lease is over is silent", 2000, "all"},
	[RULE_REGISTERED_BEFORE_WELCOME] = {"registered-before-welcome",
					    "2: a session is durable before it is welcomed", 2000,
					    "all"},
	[RULE_NO_EARLY_TAKEOVER] = {"no-early-takeover",
				    "2: a node id with a live session is refused to others", 2000,
				    "all"},
	[RULE_ACKNOWLEDGED_AFTER_SWAP] = {"acknowledged-after-swap",
					  "3: a renewal is acknowledged by a later SWAP", 2000,
					  "all"},
	[RULE_MASTER_WAITS_LONGER] = {"master-waits-longer",
				      "4: a master waits longer than any node believes", 2000,
				      "all"},
	[RULE_DELETED_BEFORE_FREED] = {"deleted-before-freed",
				       "4: an expired session is deleted durably, then freed", 2000,
				       "all"},
	[RULE_DEAD_WAITERS_LEAVE] = {"dead-waiters-leave",
				     "9: a dying session waits for nothing any more", 2000, "all"},
	[RULE_NO_GRANT_IN_GRACE] = {"no-grant-in-grace", "5: requests are held back in grace", 2000,
				    "all"},
	[RULE_GRACE_WAITS_FOR_ALL] = {"grace-waits-for-all",
				      "5: grace ends when all have reclaimed or are dead", 2000,
				      "all"},
	[RULE_GRACE_WAITS_FOR_DELETES] = {"grace-waits-for-deletes",
					  "5: grace ends with the dead durably deleted", 2000,
					  "all"},
	[RULE_STRANGERS_DO_NOT_RECLAIM] = {"strangers-do-not-reclaim",
					   "6: an unregistered or late reclaim is refused", 2000,
					   "all"},
	[RULE_HIGHER_VERSION_WINS] = {"higher-version-wins",
				      "7: of two records of a file the newer counts", 2000, "all"},
	[RULE_RETRIES_GO_FIRST] = {"retries-go-first",
				   "7: after grace retries come before new requests", 6000,
				   "master"},
	[RULE_RETRIES_IN_ORDER] = {"retries-in-order",
				   "7: retries of several sessions go as they were caused", 6000,
				   "delay,partition,master"},
	[RULE_TOMBSTONES] = {"tombstones", "7: somebody remembers the end of a removed file", 2000,
			     "all"},
	[RULE_TOKENS_GROW] = {"tokens-grow", "8: tokens grow over restarts", 2000, "all"},
	[RULE_LOCKS_BELONG_TO_NAMES] = {"locks-belong-to-names",
					"8: a file made again under a name has its locks", 2000,
					"all"},
	[RULE_OLD_STORE_IS_REFUSED] = {"old-store-is-refused",
				       "10: a node that knows a higher epoch is believed", 2000,
				       "all"},
	[RULE_REVOKE_WAITS_FOR_HOLDER] = {"revoke-waits-for-holder",
					  "6: what is broken is freed once its node says so", 2000,
					  "all"},
	[RULE_LOWER_EPOCHS_ARE_REFUSED] = {"lower-epochs-are-refused",
					   "10: nothing is taken from an earlier epoch", 2000,
					   "all"},
	[RULE_BELIEF_FROM_SENDING] = {"belief-from-sending",
				      "11: belief counts from the renewal's sending", 2000, "all"},
	[RULE_LAPSE_BEFORE_INPUT] = {"lapse-before-input",
				     "11: the clock is looked at before a packet", 2000,
				     "pause,partition,delay,master"},
	[RULE_LAPSE_BEFORE_ANSWER] = {"lapse-before-answer",
				      "11: and again before a program is answered", 2000,
				      "pause,partition,delay,master"},
	[RULE_RELEASED_IS_NOT_RECLAIMED] = {"released-is-not-reclaimed",
					    "12: what was released is gone when it is sent", 2000,
					    "all"},
	[RULE_MASTERS_WORD_ON_SIGNALS] = {"masters-word-on-signals",
					  "13: an interrupted wait ends by the master's word", 2000,
					  "all"},
	[RULE_GIVEN_UP_IS_UNDONE] = {"given-up-is-undone",
				     "13: what a given-up request may have got is given back", 2000,
				     "all"},
	[RULE_LAST_WRITER_VOUCHES] = {"last-writer-vouches",
				      "7: the last writer's session keeps what it wrote", 2000,
				      "all"},
	[RULE_WAITERS_KEEP_THEIR_PLACES] = {"waiters-keep-their-places",
					    "7: waiters are reclaimed with their places", 2000,
					    "all"},
	[RULE_RETRIES_ARE_FLAGGED] = {"retries-are-flagged", "a request that is sent again says so",
				      2000, "all"},
	[RULE_CHANNEL_IS_ORDERED] = {"channel-is-ordered",
				     "repeats and what follows a gap are dropped", 2000, "all"},
};

bool sim_leave_out(const char *name)
{
	for (size_t i = 0; i < RULE_COUNT; i++) {
		if (strcmp(sim_rules[i].name, name) != 0)
			continue;
		rule_left_out[i] = true;
		return true;
	}
	return false;
}
