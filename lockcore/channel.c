/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include <utlist.h>

#include "lockcore/channel.h"
#include "lockcore/rules.h"

void channel_init(struct channel *c)
{
	*c = (struct channel){
		.resend_ns = CHANNEL_RESEND_MIN_NS,
		.resend_at_ns = MOMENT_NEVER,
		.ack_at_ns = MOMENT_NEVER,
	};
}

void channel_deinit(struct channel *c)
{
	struct message *m, *next;

	DL_FOREACH_SAFE (c->kept, m, next) {
		DL_DELETE(c->kept, m);
		message_free(m);
	}
	channel_init(c);
}

void channel_push(struct channel *c, struct message *m)
{
	assert(message_is_ordered(m));
	m->seq = ++c->last_seq;
	DL_APPEND(c->kept, m);
	c->count++;
	c->bytes += message_wire_bound(m);
	if (!c->unsent)
		c->unsent = m;
}

static void send_one(struct channel *c)
{
	c->flight_bytes += message_wire_bound(c->unsent);
	c->unsent = c->unsent->next;
}

/* May the next message go? One always may. */
static bool has_room(const struct channel *c)
{
	return !c->flight_bytes ||
	       c->flight_bytes + message_wire_bound(c->unsent) <= CHANNEL_WINDOW_BYTES;
}

/* Nothing unsent is ever acknowledged: the head is what was sent first. */
bool channel_acked(struct channel *c, uint64_t ack, struct moment now)
{
	uint64_t sent = c->unsent ? c->unsent->seq - 1 : c->last_seq;

	if (ack > c->last_seq)
		return false;
	if (ack > sent) /* sent before a rewind */
		while (c->unsent && c->unsent->seq <= ack)
			send_one(c);
	if (ack <= c->acked)
		return true;
	while (c->kept && c->kept->seq <= ack) {
		struct message *m = c->kept;

		c->flight_bytes -= message_wire_bound(m);
		DL_DELETE(c->kept, m);
		c->count--;
		c->bytes -= message_wire_bound(m);
		message_free(m);
	}
	c->acked = ack;
	c->resend_ns = CHANNEL_RESEND_MIN_NS;
	c->resend_at_ns =
		c->kept && c->kept != c->unsent ? now.boot_ns + c->resend_ns : MOMENT_NEVER;
	return true;
}

static void owe_ack(struct channel *c, int64_t at_ns)
{
	if (at_ns < c->ack_at_ns)
		c->ack_at_ns = at_ns;
}

bool channel_accept(struct channel *c, uint64_t seq, struct moment now)
{
	bool next = seq == c->received + 1 || !rule(RULE_CHANNEL_IS_ORDERED);

	if (next && seq > c->received)
		c->received = seq;
	/* A repeat means that the other end has not heard the acknowledgement. */
	if (c->received - c->ack_told >= CHANNEL_ACK_EVERY || (!next && seq <= c->received))
		owe_ack(c, now.boot_ns);
	else if (next)
		owe_ack(c, now.boot_ns + CHANNEL_ACK_DELAY_NS);
	return next;
}

void channel_rewind(struct channel *c)
{
	c->unsent = c->kept;
	c->flight_bytes = 0;
	c->resend_at_ns = MOMENT_NEVER;
}

bool channel_wants_packet(const struct channel *c, struct moment now)
{
	return (c->unsent && has_room(c)) || c->ack_at_ns <= now.boot_ns;
}

void channel_fill(struct channel *c, struct packet *p, size_t *bytes, struct moment now)
{
	while (c->unsent && p->count < PACKET_MAX_COUNT && has_room(c)) {
		size_t more = message_wire_bound(c->unsent);

		if (p->count && *bytes + more > PACKET_MAX_BYTES)
			break;
		p->messages[p->count++] = c->unsent;
		*bytes += more;
		send_one(c);
		if (c->resend_at_ns == MOMENT_NEVER)
			c->resend_at_ns = now.boot_ns + c->resend_ns;
	}
	p->ack = c->received;
	c->ack_told = c->received;
	c->ack_at_ns = MOMENT_NEVER;
}

void channel_tick(struct channel *c, struct moment now)
{
	if (c->resend_at_ns > now.boot_ns)
		return;
	channel_rewind(c);
	c->resend_ns *= 2;
	if (c->resend_ns > CHANNEL_RESEND_MAX_NS)
		c->resend_ns = CHANNEL_RESEND_MAX_NS;
}

int64_t channel_deadline(const struct channel *c)
{
	return c->resend_at_ns < c->ack_at_ns ? c->resend_at_ns : c->ack_at_ns;
}
