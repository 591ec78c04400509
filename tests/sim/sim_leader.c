/* SPDX-License-Identifier: MIT */
/* Several masters: what must hold of who leads (I5, I9), and a count of what has befallen them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lockcore/master_internal.h"
#include "sim.h"

/* ---- Who leads ---- */

size_t leader_of(const struct sim *s)
{
	size_t i;

	for (i = 0; i < s->config.masters; i++)
		if (s->masters[i].master && s->store.cell.instance &&
		    s->masters[i].master->config.instance == s->store.cell.instance)
			break;
	return i;
}

/* It leads, as far as it knows, and another has taken over since. */
static bool is_deposed(const struct sim *s, size_t master)
{
	const struct master *m = s->masters[master].master;

	return m && master_epoch(m) && master_epoch(m) < s->store.cell.epoch;
}

static bool reaches_a_node(const struct sim *s, size_t master)
{
	for (size_t n = 0; n < s->config.nodes; n++)
		if (s->nodes[n].node && s->links[n][master].up && !s->links[n][master].blocked[1])
			return true;
	return false;
}

/* ---- I9: a leader that has been deposed is silent, without having been told ---- */

/* One whose clock stood still cannot know; the nodes do (rule 10). */
void leader_speaks(struct sim *s, size_t master, const struct packet *p)
{
	if (p->epoch && p->epoch < s->store.cell.epoch && !s->masters[master].astray)
		sim_fail(s,
			 "I9: master %zu speaks in epoch %" PRIu64 ", and epoch %" PRIu64
			 " has begun",
			 master, p->epoch, s->store.cell.epoch);
}

void leader_is_heard(struct sim *s, size_t master, uint64_t epoch)
{
	if (epoch && epoch < s->store.cell.epoch && s->config.masters > 1)
		sim_did(DEED_SPOKE);
}

void leader_hears(struct sim *s, size_t master)
{
	if (is_deposed(s, master))
		sim_did(DEED_HEARD);
}

/* ---- I5: a leader and its registry ---- */

static bool is_led_by(const struct sim *s, const struct master *m)
{
	return m->epoch && m->epoch == s->store.cell.epoch && !m->doomed;
}

/* Whom it lets live, the next leader will know of. */
void leader_check(struct sim *s, size_t master)
{
	const struct master *m = s->masters[master].master;
	const struct session *session;

	if (!is_led_by(s, m))
		return;
	for (session = m->sessions; session; session = session->hh.next)
		if (session->state != SESSION_REGISTERING && session->state != SESSION_DYING &&
		    !engine_knows(s, session->node, session->instance))
			sim_fail(s, "I5: master %zu lets %s live, who is not registered", master,
				 session->node);
}

/* And whom the last one let live, it knows of. */
static void check_loaded(struct sim *s, struct master *m)
{
	if (!is_led_by(s, m) || s->store.late_put)
		return;
	for (size_t i = 0; i < s->store.count; i++)
		if (!session_find(m, s->store.registry[i].instance))
			sim_fail(s, "I5: epoch %" PRIu64 " begins without %s, who is registered",
				 m->epoch, s->store.registry[i].node);
}

void leader_event(struct sim *s, size_t master, const struct master_event *e)
{
	if (e->kind == MASTER_EVENT_LEADING)
		check_loaded(s, s->masters[master].master);
	if (e->kind == MASTER_EVENT_STEPPED_DOWN && strstr(e->text, "no node hears it"))
		sim_did(DEED_GAVE_WAY);
}

/* ---- What has happened, in all histories of this process ---- */

static const char *const words[DEED_COUNT] = {
	[DEED_STOPPED] = "a leader was stopped in order, and another took over",
	[DEED_DIED] = "a standby took over when the leader's lease was over",
	[DEED_WITH_STORE] = "a leader died while the store was down",
	[DEED_ALL_DOWN] = "the store and all of several masters were down",
	[DEED_REQUEST_LOST] = "what a leader asked of the store was lost",
	[DEED_ANSWER_LOST] = "it was done, and the answer was lost",
	[DEED_LATE] = "it was done later",
	[DEED_LATE_REFUSED] = "it was refused, for it came too late",
	[DEED_FENCED] = "a deposed leader's word on the registry was refused",
	[DEED_IN_TOUCH] = "a leader cut off from the store was deposed and reached nodes",
	[DEED_SPOKE] = "what an earlier leader had said reached a node",
	[DEED_HEARD] = "a leader that did not know that it was deposed was asked something",
	[DEED_UNSURE] = "a master had taken over and did not know",
	[DEED_UNREADABLE] = "a new leader could not read the registry",
	[DEED_ASKED] = "a standby asked for the lead",
	[DEED_GAVE_WAY] = "a leader that no node heard gave way",
	[DEED_SHORTER_LEASE] = "a leader had a shorter lease than the one before",
	[DEED_LONGER_PROMISE] = "and the one after it knew what that had promised",
	[DEED_OLD] = "several masters had their store put back",
	[DEED_TORN] = "and torn",
};

static uint64_t deeds[DEED_COUNT];

void sim_did(enum deed deed)
{
	deeds[deed]++;
}

bool sim_did_all(void)
{
	bool all = true;

	for (size_t i = 0; i < DEED_COUNT; i++) {
		printf("%8" PRIu64 " times %s\n", deeds[i], words[i]);
		all &= deeds[i] != 0;
	}
	return all;
}

/* ---- Counting ---- */

static size_t master_of(const struct sim *s, uint64_t instance)
{
	size_t i;

	for (i = 0; i < s->config.masters; i++)
		if (s->masters[i].master && s->masters[i].master->config.instance == instance)
			break;
	return i;
}

static void count_takeover(struct sim *s, const struct engine_cell *from,
			   const struct engine_cell *to)
{
	size_t old = master_of(s, from->instance), new = master_of(s, to->instance);

	if (from->epoch && !from->instance)
		sim_did(DEED_STOPPED);
	if (from->instance && to->instance != from->instance && s->config.masters > 1)
		sim_did(DEED_DIED);
	if (old < s->config.masters && old != new && (s->store.cut[old] || s->store.mute[old]) &&
	    reaches_a_node(s, old))
		sim_did(DEED_IN_TOUCH);
	if (new == s->config.masters || s->masters[new].master->config.lease_ns >= to->lease_ns)
		return;
	sim_did(DEED_SHORTER_LEASE);
	if (s->store.promise == to->lease_ns)
		sim_did(DEED_LONGER_PROMISE);
	s->store.promise = to->lease_ns;
}

void leader_swapped(struct sim *s, const struct engine_cell *from, const struct engine_cell *to)
{
	if (to->asked_by && !from->asked_by)
		sim_did(DEED_ASKED);
	if (to->epoch > from->epoch)
		count_takeover(s, from, to);
	else if (to->lease_ns < s->store.promise)
		s->store.promise = 0;
}

void leader_dies(struct sim *s, size_t master)
{
	size_t others = 0;

	if (!s->store.down)
		return;
	for (size_t i = 0; i < s->config.masters; i++)
		others += i != master && s->masters[i].master;
	if (leader_of(s) == master)
		sim_did(DEED_WITH_STORE);
	if (!others && s->config.masters > 1)
		sim_did(DEED_ALL_DOWN);
}
