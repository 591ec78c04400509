/* SPDX-License-Identifier: MIT */
/*
 * Frame: messages on a stream, as nng's sockets of the protocols REQ and REP write them, so that
 * the other end may be one. Private to the transport; pure code over bytes.
 *
 *	hello, once, both ways:  0 'S' 'P' 0, the sender's protocol in 16 bits, 0 0
 *	each message:            over ipc:// a byte 1; the length in 64 bits; words of 32 bits, the
 *	                         last with its top bit set (REQ's number of a request); the message
 *
 * All big-endian; the length counts the words. We send one word, always the same.
 */
#ifndef TRANSPORT_FRAME_H
#define TRANSPORT_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "transport/inbox.h"

#define FRAME_HELLO_BYTES 8
#define FRAME_HEAD_MAX	  13 /* the byte, the length and our word */

enum frame_protocol { FRAME_REQ = 0x30, FRAME_REP = 0x31 };

void frame_hello(uint8_t hello[FRAME_HELLO_BYTES], enum frame_protocol self);
/* What stands before a message of len bytes; returns the head's length. */
size_t frame_head(uint8_t head[FRAME_HEAD_MAX], bool is_ipc, size_t len);

/*
 * A reader cuts what comes on a stream into parcels:
 *
 *	count = reader_room(&r, iov); n = readv(fd, iov, count); reader_filled(&r, n);
 *	while (reader_next(&r, &parcel) == READER_MESSAGE) ...;
 *
 * A message is read straight into its parcel, except for the bytes that came with its head.
 */
#define READER_BUFFER_BYTES 16384 /* many small messages for one read; one for each connection */
#define READER_IOVS	    2

struct reader {
	enum frame_protocol peer; /* what the other end must be */
	bool is_ipc;
	bool has_hello;
	struct parcel *parcel; /* begun, or NULL */
	size_t got;	       /* bytes of it */
	size_t start, end;     /* of what is in the buffer and not yet used */
	uint8_t buffer[READER_BUFFER_BYTES];
};

enum reader_result {
	READER_MORE,	  /* read on */
	READER_HELLO,	  /* the other end is what it should be; call again */
	READER_MESSAGE,	  /* *out is the caller's; call again */
	READER_OVERSIZED, /* a message past WIRE_MAX_BYTES is announced; there is no way to go on */
	READER_GARBAGE,	  /* not the protocol */
	READER_NO_MEMORY,
};

void reader_init(struct reader *r, enum frame_protocol peer, bool is_ipc);
void reader_deinit(struct reader *r);
/* Where to read to; returns the number of iovs. Only after READER_MORE. */
int reader_room(struct reader *r, struct iovec iov[READER_IOVS]);
void reader_filled(struct reader *r, size_t len);
enum reader_result reader_next(struct reader *r, struct parcel **out);

#endif
