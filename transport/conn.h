/* SPDX-License-Identifier: MIT */
/*
 * Conn: one connection, a stream of nng with a reader behind it and a queue before it. Private to
 * the transport.
 *
 *	              hello read               any error, or end of the stream
 *	conn_start ---> UP in the inbox, DATA ... ---> DOWN in the inbox ---> conn_free
 *	           \______________ any error _________/ (without UP: nobody ever knew it)
 *
 * Receiving is a token: it is with nng while a receive is pending, then with the callback's thread,
 * and with the owner while the connection is parked. Only who has it touches the reader, and ends
 * the connection, so that DOWN is the last that comes. A failed send just closes the stream, which
 * makes the pending receive fail. The lock keeps that close apart from the start of a
 * receive or a send: one that is started on a stream closed already would never come back.
 */
#ifndef TRANSPORT_CONN_H
#define TRANSPORT_CONN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <nng/nng.h>
#include <uthash.h>

#include "transport/frame.h"
#include "transport/inbox.h"

#define CONN_NAME_MAX_SIZE 64 /* bytes: the longest IPv6 address, brackets and a port */

struct outgoing;

struct conn {
	nng_stream *stream;
	struct inbox *inbox;
	bool is_server, is_ipc;
	char name[CONN_NAME_MAX_SIZE]; /* of the other end, for logs */
	struct parcel up, down, park;  /* its own, so that no news is lost for want of memory */

	/* With the token. */
	nng_aio *receiving;
	struct reader reader;
	struct parcel *pending; /* a message that found no room */
	bool is_up;
	bool is_oversized;

	pthread_mutex_t lock; /* for the following, and for starting and closing */
	nng_aio *sending;
	struct outgoing *queue;
	size_t queued; /* bytes, the overhead included */
	size_t sent;   /* bytes of the first in the queue */
	bool is_sending;
	bool is_closed;

	/* The endpoint's. */
	uint32_t number;    /* 0: its UP is not told, or not yet */
	bool is_superseded; /* another one stands for the peer: its UP and DOWN are not told */
	uint64_t received;  /* messages told */
	UT_hash_handle hh;
	struct conn *prev, *next;
};

/* Takes the stream over, also on failure. NULL: no memory. Nothing happens until conn_start. */
struct conn *conn_new(struct inbox *inbox, nng_stream *stream, bool is_server, bool is_ipc);
void conn_start(struct conn *c);

/* Waits for its callbacks, which never wait, and takes what is left of it from the inbox. */
void conn_free(struct conn *c);

/* Copies and queues a message; sends at once what the stream takes. False: dropped. */
bool conn_send(struct conn *c, const void *bytes, size_t len);

/* Ends it: its DOWN comes to the inbox. What it has received stays there. */
void conn_close(struct conn *c);

/* Goes on receiving; for one that inbox_unpark has returned. */
void conn_resume(struct conn *c);

#endif
