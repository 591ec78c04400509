/* SPDX-License-Identifier: MIT */
/* What leaves for the nodes: acknowledgements that a SWAP was waited for, and the ordered channel. */
#include "lockcore/master_internal.h"

void sessions_confirmed(struct master *m)
{
	struct session *s;

	for (s = m->sessions; s; s = s->hh.next)
		if ((s->welcome.due && s->welcome.need_swap <= m->swaps_done) ||
		    (s->renewed.due && s->renewed.need_swap <= m->swaps_done))
			session_ready(m, s);
}

static void add(struct master *m, struct packet *p, size_t slot, enum message_kind kind,
		struct owed *o)
{
	if (!o->due || o->need_swap > m->swaps_done)
		return;
	m->scratch[slot] = (struct message){
		.kind = kind,
		.stamp_ns = o->stamp_ns,
		.lease_ns = m->config.lease_ns,
		.cluster = m->cluster,
	};
	p->messages[p->count++] = &m->scratch[slot];
	o->due = o->next_due;
	o->stamp_ns = o->next_stamp_ns;
	o->need_swap = o->next_need_swap;
	o->next_due = false;
}

static void set_wake(struct master *m, struct session *s)
{
	int64_t at = channel_deadline(&s->channel);

	if (at == MOMENT_NEVER)
		deadline_clear(&m->wakes, &s->wake);
	else
		deadline_set(&m->wakes, &s->wake, at);
}

static bool fill_packet(struct master *m, struct session *s, struct packet *out, struct moment now)
{
	size_t bytes = 0;

	out->instance = s->instance;
	out->epoch = m->epoch;
	out->clock = m->clock;
	out->count = 0;
	if (!session_is_alive(s))
		return false;
	add(m, out, 0, MESSAGE_WELCOME, &s->welcome);
	add(m, out, 1, MESSAGE_RENEWED, &s->renewed);
	if (!out->count && !channel_wants_packet(&s->channel, now))
		return false;
	channel_fill(&s->channel, out, &bytes, now);
	return true;
}

bool session_next_packet(struct master *m, struct moment now, uint32_t *peer, struct packet *out)
{
	while (m->ready) {
		struct session *s = m->ready;

		if (fill_packet(m, s, out, now)) {
			*peer = s->peer;
			return true;
		}
		DL_DELETE2(m->ready, s, ready_prev, ready_next);
		s->ready = false;
		if (session_is_alive(s))
			set_wake(m, s);
	}
	return false;
}
