/* SPDX-License-Identifier: MIT */
/*
 * Inbox: what nng's threads leave for the endpoint's owner, bounded, and the descriptor that tells
 * it. Private to the transport; each call is atomic.
 *
 * A connection whose message does not fit is parked: it reads nothing more, which holds its peer
 * back, until the owner has made room and resumes it.
 */
#ifndef TRANSPORT_INBOX_H
#define TRANSPORT_INBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/endpoint.h"

struct conn;

/* One event. Those of kind DATA are on the heap, the others in their connection. */
struct parcel {
	struct conn *conn;
	struct parcel *prev, *next;
	enum endpoint_event_kind kind;
	size_t start; /* DATA: where the message begins in bytes, */
	size_t len;   /* and where it ends */
	uint8_t *bytes;
};

/* Of kind DATA, for len bytes, to be freed by free. NULL: no memory. */
struct parcel *parcel_new(size_t len);

struct inbox {
	int wake; /* eventfd: readable while there may be something to take */
	pthread_mutex_t lock;
	struct parcel *parcels;
	struct parcel *parked; /* one for each parked connection */
	size_t count, bytes;   /* of kind DATA */
	bool raised;
};

/* 0 or -errno. inbox_deinit takes one that inbox_init has failed on, too, and frees what is left.
 */
int inbox_init(struct inbox *i);
void inbox_deinit(struct inbox *i);

/* A connection's coming or going, which is never refused. */
void inbox_put(struct inbox *i, struct parcel *p);

/*
 * A message. False: there is no room, the message is still the caller's, and park now stands among
 * the parked, so that another thread may resume its connection from here on.
 */
bool inbox_offer(struct inbox *i, struct parcel *p, struct parcel *park);

/* The oldest parcel, or NULL; the descriptor then is not readable until something comes. */
struct parcel *inbox_take(struct inbox *i);

/* A connection that is no longer parked because there is room again, or NULL. */
struct conn *inbox_unpark(struct inbox *i);

/* Drops all that stands there of a connection that has ended and is to be freed. */
void inbox_forget(struct inbox *i, const struct conn *c);

#endif
