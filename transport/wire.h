/* SPDX-License-Identifier: MIT */
/*
 * Wire: packets to bytes and back. wire.proto describes the format once, with a bound on every
 * field; nowhere else are bytes from a peer looked at.
 *
 * A wire holds the scratch memory of both directions (1.2 MiB, of which small packets touch a few
 * pages), so that of what a stranger sent a message is put on the heap only when it is known to be
 * well formed and within bounds. One wire serves one thread.
 *
 *	wire_encode(w, &packet, &bytes, &len); endpoint_send(e, peer, bytes, len);
 *	error = wire_decode(w, event.bytes, event.len, &packet); ...; packet_deinit(&packet);
 */
#ifndef TRANSPORT_WIRE_H
#define TRANSPORT_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "lockcore/message.h"

/* The format's number; a packet of another one is refused with WIRE_VERSION_UNKNOWN. */
#define WIRE_VERSION 1

/* The largest packet: who announces more is disconnected before any of it is read. */
#define WIRE_MAX_BYTES (1024 * 1024)

enum wire_error {
	WIRE_OK = 0,
	WIRE_MALFORMED, /* not a packet, a field past its bound, an impossible value */
	WIRE_OVERSIZED, /* more than WIRE_MAX_BYTES, or than PACKET_MAX_COUNT messages */
	WIRE_VERSION_UNKNOWN,
	WIRE_NO_MEMORY, /* treat as lost; the channel sends again */
};

struct wire;

/* NULL: no memory. */
struct wire *wire_new(void);
void wire_free(struct wire *w);

/*
 * Encodes p into a buffer of the wire, valid until the next wire_encode. The caller keeps p.
 * Asserts that p keeps the bounds of message.h and fits WIRE_MAX_BYTES, which it does when the
 * messages' bounds (message_wire_bound) add up to PACKET_MAX_BYTES at most; packets made by the
 * core do.
 */
void wire_encode(struct wire *w, const struct packet *p, const void **bytes, size_t *len);

/*
 * Decodes bytes into *p, whose messages are on the heap: free them with packet_deinit. On an error
 * *p is untouched, and nothing of the packet is used. Every string is NUL-terminated and within its
 * bound; a name is not empty, neither "." nor "..", and has no '/' inside; every enum is one of its
 * values. An empty text or data arrives as NULL. Numbers may be anything, negative offsets and
 * lengths included: what they mean is the core's to judge.
 */
enum wire_error wire_decode(struct wire *w, const void *bytes, size_t len, struct packet *p);

const char *wire_error_name(enum wire_error e);

#endif
