/* SPDX-License-Identifier: MIT */
/*
 * Channel: one end of a session's ordered, exactly-once message stream over a transport that may
 * lose, repeat and reorder (protocol.md, "The session").
 *
 * Messages pushed are numbered from 1 and kept until the other end acknowledges them. Each packet
 * carries the highest number up to which everything has arrived (ack), so that an acknowledgement
 * costs nothing while there is traffic; without traffic it is sent ACK_DELAY later. What stays
 * unacknowledged is sent again, all of it in order, after RESEND_MIN, doubled up to RESEND_MAX, and
 * after a reconnect. The receiver takes only the next number: repeats and what follows a gap are
 * dropped. What is on its way is bounded by the window.
 *
 *	push ──> unsent ──channel_fill──> sent ──channel_acked──> freed
 *	            ^                       │
 *	            └──── channel_rewind ───┘
 *
 * Both ends start afresh with every (session instance, epoch).
 */
#ifndef LOCKCORE_CHANNEL_H
#define LOCKCORE_CHANNEL_H

#include "lockcore/message.h"
#include "lockcore/moment.h"

#define CHANNEL_ACK_DELAY_NS  (50 * NS_PER_MS)
#define CHANNEL_ACK_EVERY     64		/* messages received are acknowledged at once */
#define CHANNEL_RESEND_MIN_NS (500 * NS_PER_MS) /* well above ACK_DELAY and a round trip */
#define CHANNEL_RESEND_MAX_NS (4 * NS_PER_SEC)
/*
 * So many bytes are on their way unacknowledged at most, by message_wire_bound, and more are sent
 * as they are acknowledged: a transport holds a few megabytes for a peer and drops the rest, which
 * would then come to be sent again and again (all that a node reclaims, a hundred thousand files).
 */
#define CHANNEL_WINDOW_BYTES (2 * 1024 * 1024)

struct channel {
	struct message *kept;	/* sent and unsent, by seq */
	struct message *unsent; /* the first of them to be sent next; NULL: none */
	size_t count;		/* of kept */
	size_t bytes;		/* of kept, as message_wire_bound has it */
	size_t flight_bytes;	/* of those of kept that are sent */
	uint64_t last_seq;	/* of the message pushed last */
	uint64_t acked;		/* the other end has everything up to here */
	uint64_t received;	/* we have everything up to here */
	uint64_t ack_told;	/* and have said so up to here */
	int64_t resend_ns;	/* the wait before the next resend */
	int64_t resend_at_ns;	/* MOMENT_NEVER: nothing is on its way */
	int64_t ack_at_ns;	/* MOMENT_NEVER: no acknowledgement is owed */
};

void channel_init(struct channel *c);
void channel_deinit(struct channel *c);

/* Takes m over (heap). Cannot fail. */
void channel_push(struct channel *c, struct message *m);

/*
 * An ack that the other end sent. False: it acknowledges what was never sent, the packet is not to
 * be believed; nothing has changed.
 */
bool channel_acked(struct channel *c, uint64_t ack, struct moment now);

/* A message with this number has arrived. True: it is the next one, execute it now. */
bool channel_accept(struct channel *c, uint64_t seq, struct moment now);

/* The connection is new: send everything unacknowledged again. */
void channel_rewind(struct channel *c);

/* Is there something to send, an owed acknowledgement included? */
bool channel_wants_packet(const struct channel *c, struct moment now);

/*
 * Adds what is to be sent to the packet, up to its bounds of count and bytes (*bytes counts the
 * latter), and sets p->ack. The packet borrows the messages until the next call on the channel.
 */
void channel_fill(struct channel *c, struct packet *p, size_t *bytes, struct moment now);

/* Resends what has been on its way for too long. */
void channel_tick(struct channel *c, struct moment now);
int64_t channel_deadline(const struct channel *c);

#endif
