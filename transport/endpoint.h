/* SPDX-License-Identifier: MIT */
/*
 * Endpoint: nng for a program with one poll loop. It moves whole byte strings between peers and
 * knows nothing of what is in them. It may lose, repeat and reorder; the core's channel repairs that.
 *
 * A server endpoint listens on any number of URLs and talks to many peers; a client endpoint dials
 * one URL and has one peer, numbered ENDPOINT_MASTER. nng's own threads only append to an inbox and
 * make endpoint_fd readable; everything else happens in the calls below, made by one thread, none of
 * which ever blocks.
 *
 *	endpoint_new_client(&e); endpoint_dial(e, url, why, sizeof(why));
 *	poll(endpoint_fd(e));
 *	while (endpoint_next(e, &event)) { ...; endpoint_event_done(&event); }
 *	endpoint_send(e, ENDPOINT_MASTER, bytes, len);
 *	endpoint_free(e);
 *
 * Built on nng's raw REQ and REP sockets: raw REP may answer or push to a peer whenever it likes. nng's
 * own request retries are thereby off.
 */
#ifndef TRANSPORT_ENDPOINT_H
#define TRANSPORT_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENDPOINT_MASTER 1u /* the number of a client's only peer */

/*
 * What has arrived and is not yet taken is bounded, by count; past it nothing more is received until
 * endpoint_next has made room, and TCP holds the senders back.
 */
#define ENDPOINT_INBOX_MAX 1024

/* How soon a client dials again: the first wait, doubled up to the second, milliseconds. */
#define ENDPOINT_REDIAL_MIN_MS 50
#define ENDPOINT_REDIAL_MAX_MS 1000

struct endpoint;

enum endpoint_event_kind {
	ENDPOINT_UP,   /* peer is connected */
	ENDPOINT_DOWN, /* peer is gone; its number is not used again soon */
	ENDPOINT_DATA, /* bytes, len: one message from peer */
};

struct endpoint_event {
	enum endpoint_event_kind kind;
	uint32_t peer;
	const void *bytes;
	size_t len;
	void *priv; /* the endpoint's */
};

/* 0, or -ENOMEM, or another -errno. */
int endpoint_new_server(struct endpoint **out);
int endpoint_new_client(struct endpoint **out);
/* Closes everything and waits for nng's callbacks to end. NULL is fine. */
void endpoint_free(struct endpoint *e);

/*
 * 0, or -errno with one line for people in why: -EINVAL (not a URL, or a scheme other than tcp:// and
 * ipc://; tls+tcp:// is refused by name, for want of a way to give it certificates), -EADDRINUSE, ...
 * A listen is complete on return; a dial goes on in the background for the endpoint's life.
 */
int endpoint_listen(struct endpoint *e, const char *url, char *why, size_t why_len);
int endpoint_dial(struct endpoint *e, const char *url, char *why, size_t why_len);

/* Checks a URL's form as the two above do, without touching the network. */
int endpoint_check_url(const char *url, char *why, size_t why_len);

/* Readable while endpoint_next has something to say. The endpoint's; do not close it. */
int endpoint_fd(const struct endpoint *e);

/*
 * The next event, in the order of arrival; false if there is none. Give each one back with
 * endpoint_event_done.
 */
bool endpoint_next(struct endpoint *e, struct endpoint_event *event);
void endpoint_event_done(struct endpoint_event *event);

/*
 * Copies bytes and sends them. Never blocks and never fails visibly: what a gone or full peer would
 * get is dropped.
 */
void endpoint_send(struct endpoint *e, uint32_t peer, const void *bytes, size_t len);

/* The address of a peer for logs, "10.0.0.7:4211" or "unknown"; always terminated. */
void endpoint_peer_name(struct endpoint *e, uint32_t peer, char *name, size_t len);

#endif
