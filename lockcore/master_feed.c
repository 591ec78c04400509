/* SPDX-License-Identifier: MIT */
/*
 * Who is told what becomes of acquisitions: the sessions that said WATCH. Nothing is kept for them
 * over the end of the master or of a session, after which the node tells its watchers that they have
 * missed something (node_feed.c).
 *
 * What a session has not acknowledged is bounded, far below what would end it: who is too slow misses
 * some, and is told how many once he has caught up.
 */
#include "lockcore/master_internal.h"

static bool is_behind(const struct session *s)
{
	return s->channel.bytes > MASTER_FEED_MAX_BYTES;
}

static void tell_missed(struct master *m, struct session *s)
{
	struct message msg = {
		.kind = MESSAGE_CHANGE,
		.change = CHANGE_MISSED,
		.length = s->missed,
	};

	s->missed = 0;
	session_push(m, s, &msg);
}

static void tell(struct master *m, struct session *s, struct table_change *change)
{
	struct message msg = {
		.kind = MESSAGE_CHANGE,
		.change = change->change,
		.length = change->missed,
	};
	const struct session *by = session_find(m, change->what.session);

	if (!session_is_alive(s))
		return;
	if (s->missed || is_behind(s)) {
		s->missed += change->missed ? change->missed : 1;
		return;
	}
	if (change->change != CHANGE_MISSED) {
		change->what.node = by ? by->node : "";
		msg.surveyed = &change->what;
		msg.surveyed_count = 1;
	}
	session_push(m, s, &msg);
}

void feed_drain(struct master *m)
{
	struct table_change change;
	struct session *s;

	while (m->watchers && table_next_change(m->table, &change))
		DL_FOREACH2 (m->watchers, s, watch_next)
			tell(m, s, &change);
}

void feed_watch(struct master *m, struct session *s, bool on)
{
	if (on && !s->watches)
		DL_APPEND2(m->watchers, s, watch_prev, watch_next);
	if (!on && s->watches)
		DL_DELETE2(m->watchers, s, watch_prev, watch_next);
	s->watches = on;
	s->missed = 0;
	if (m->table)
		table_watch_changes(m->table, m->watchers != NULL);
}

/* Not before much of it has been heard: else it would be behind again at once. */
void feed_acked(struct master *m, struct session *s)
{
	if (s->missed && s->channel.bytes < MASTER_FEED_MAX_BYTES / 2)
		tell_missed(m, s);
}
