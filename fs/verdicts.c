/* SPDX-License-Identifier: MIT */
#include "fs/verdicts.h"

#include <errno.h>
#include <stdlib.h>

#include "transport/loop.h"

static int by_sid(const void *a, const void *b)
{
	pid_t x = ((const struct verdict *)a)->sid, y = ((const struct verdict *)b)->sid;

	return x < y ? -1 : x > y;
}

/* The process that was found is to be watched. */
static void take_in_hand(struct verdict *v, pid_t member, uint64_t start)
{
	uint64_t leader;

	v->member = member;
	if (sids_leader(v->sid, &leader) && sids_start_ns(leader) > v->since_ns) {
		v->before_ns = sids_start_ns(leader); /* it is of a session that came later */
		return;
	}
	v->pidfd = sids_open(v->sid, member, start);
	v->err = v->pidfd < 0 ? errno : 0;
}

/* The leader, who mostly is the one that lives longest, is found without a look at all the others. */
static void look_for_leaders(struct verdict *verdicts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t start;

		if (sids_leader(verdicts[i].sid, &start))
			take_in_hand(&verdicts[i], verdicts[i].sid, start);
	}
}

/* Fills in the looks for those of whom nobody was found. */
static size_t sought(const struct verdict *verdicts, size_t count, struct sid_look *looks)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		if (!verdicts[i].member)
			looks[n++] = (struct sid_look){.sid = verdicts[i].sid};
	return n;
}

/* Both are in ascending order. */
static void take_found(struct verdict *verdicts, const struct sid_look *looks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		while (verdicts->sid != looks[i].sid)
			verdicts++;
		if (looks[i].member)
			take_in_hand(verdicts, looks[i].member, looks[i].start);
	}
}

/* The second look is for those of whom the first has found nobody. */
static void look_for_members(struct verdict *verdicts, size_t count, struct sid_look *looks)
{
	int64_t began_ns = loop_now().boot_ns;
	size_t left = sought(verdicts, count, looks);

	for (int i = 0; i < 2 && left; i++) {
		if (!sids_look(looks, left))
			return;
		take_found(verdicts, looks, left);
		left = sought(verdicts, count, looks);
	}
	for (size_t i = 0; i < count; i++)
		if (!verdicts[i].member)
			verdicts[i].before_ns = began_ns;
}

void verdicts_reach(struct verdict *verdicts, struct sid_look *looks, size_t count)
{
	if (count)
		qsort(verdicts, count, sizeof(*verdicts), by_sid);
	look_for_leaders(verdicts, count);
	look_for_members(verdicts, count, looks);
}
