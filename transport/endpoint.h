/* SPDX-License-Identifier: MIT */
/*
 * Endpoint: nng for a program with one poll loop. It moves whole byte strings between peers and
 * knows nothing of what is in them. It may lose, repeat and reorder, which the core's channel
 * repairs.
 *
 * A server endpoint listens on any number of URLs and talks to many peers; a client endpoint dials
 * one URL and has one peer, numbered ENDPOINT_MASTER. nng's own threads only fill queues and make
 * endpoint_fd readable; everything else happens in the calls below, made by one thread. None of
 * them blocks, except where it says so.
 *
 *	endpoint_new_client(&e); endpoint_dial(e, url, why, sizeof(why));
 *	poll(endpoint_fd(e));
 *	while (endpoint_next(e, &event)) { ...; endpoint_event_done(&event); }
 *	endpoint_send(e, ENDPOINT_MASTER, bytes, len);
 *	endpoint_free(e);
 *
 * Built on nng's streams, tcp and ipc, and speaks on them what nng's sockets of the protocols REQ
 * and REP do (transport/frame.h), so that either end may be one of those, in raw mode; endpoint.c
 * says why. nng starts its threads with the first listen or dial of a process: a program that
 * forks into the background does so before.
 */
#ifndef TRANSPORT_ENDPOINT_H
#define TRANSPORT_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENDPOINT_MASTER 1u /* the number of a client's only peer */

/*
 * What has arrived and is not yet taken is bounded, by count and by bytes; past either, nothing
 * more is received until endpoint_next has made room, and TCP holds the senders back, so that
 * nothing is lost.
 */
#define ENDPOINT_INBOX_MAX   1024
#define ENDPOINT_INBOX_BYTES (32 * 1024 * 1024) /* and one message for each connection */
/* What waits to be sent to one peer, bytes, before messages are dropped: some of the largest. */
#define ENDPOINT_OUTBOX_BYTES (4 * 1024 * 1024)
/* Connections at a time; further ones are closed at once, and never become peers. */
#define ENDPOINT_PEERS_MAX 1024

/* How soon a client dials again: the first wait, doubled up to the second, milliseconds. */
#define ENDPOINT_REDIAL_MIN_MS 50
#define ENDPOINT_REDIAL_MAX_MS 1000
/*
 * For how long endpoint_redial lets a dial go on before it begins it anew, milliseconds. With a
 * host's name in the URL the resolver needs its time too, and may have to ask a second server.
 */
#define ENDPOINT_DIAL_MS	 1000
#define ENDPOINT_RESOLVE_DIAL_MS 10000

struct endpoint;

enum endpoint_event_kind {
	ENDPOINT_UP,   /* peer is connected; a client's also anew, see endpoint_redial */
	ENDPOINT_DOWN, /* peer is gone; its number is not used again soon */
	ENDPOINT_DATA, /* bytes, len: one message from peer, between its UP and its DOWN */
};

struct endpoint_event {
	enum endpoint_event_kind kind;
	uint32_t peer;
	const void *bytes; /* aligned for nothing; valid until endpoint_event_done */
	size_t len;
	uint64_t received; /* messages of this peer told so far, this one included */
	/*
	 * DOWN: the peer has announced a message of more than WIRE_MAX_BYTES, of which nothing was
	 * read, and was disconnected for it. Worth a line in the log, once for a peer.
	 */
	bool is_oversized;
	void *priv; /* the endpoint's */
};

/* 0 or -errno. A server listens and has many peers, a client dials and has one. */
int endpoint_new_server(struct endpoint **out);
int endpoint_new_client(struct endpoint **out);
/* Closes everything and waits for nng's callbacks to end. NULL is fine. */
void endpoint_free(struct endpoint *e);

/*
 * 0, or -errno with one line for people in why, which is otherwise untouched: -EINVAL (not a URL,
 * or a scheme other than tcp:// and ipc://; tls+tcp:// is refused by name, for want of a way to
 * give it certificates), -EADDRINUSE, ... tcp:// takes IPv4 and [IPv6] addresses and host names,
 * and "*" to listen on every address. ipc:// takes an absolute path.
 *
 * A listen is complete on return, and waits for the resolver if the URL has a host's name. A dial
 * goes on in the background for the endpoint's life, asking the resolver each time, so a master
 * need not be there, nor its name known yet; after a connection's end, as soon as endpoint_next has
 * come upon it. Once only for an endpoint.
 */
int endpoint_listen(struct endpoint *e, const char *url, char *why, size_t why_len);
int endpoint_dial(struct endpoint *e, const char *url, char *why, size_t why_len);

/*
 * For a client whose connection may be dead without the kernel knowing: the packets of a broken
 * network are tried again ever more rarely, and one that a firewall has forgotten, or whose other
 * end was switched off, is dead for a quarter of an hour before the kernel says so. Dials beside the
 * connection, which goes on meanwhile; when the new one is up it takes the old one's place, and the
 * owner is told by another ENDPOINT_UP, without a DOWN: what was on its way may be lost. A dial that
 * is under way in vain for long is begun anew. To be called now and then while a master is silent.
 */
void endpoint_redial(struct endpoint *e);

/* Checks a URL's form as the two above do, without touching the network. */
int endpoint_check_url(const char *url, char *why, size_t why_len);

/*
 * Readable while endpoint_next has something to say, or has not yet said that there is nothing
 * more. The endpoint's; do not close it.
 */
int endpoint_fd(const struct endpoint *e);

/*
 * The next event, in the order of arrival; false if there is none. Give each one back with
 * endpoint_event_done.
 */
bool endpoint_next(struct endpoint *e, struct endpoint_event *event);
void endpoint_event_done(struct endpoint_event *event);

/*
 * Copies bytes (at most WIRE_MAX_BYTES) and sends them. Never blocks and never fails visibly: what
 * a gone or full peer would get is dropped. Messages to one peer are sent in order.
 */
void endpoint_send(struct endpoint *e, uint32_t peer, const void *bytes, size_t len);

/*
 * Ends all connections of a server, whose peers are told so by it and connect anew; a DOWN of each
 * follows. For a server that has forgotten what it has promised them.
 */
void endpoint_drop_peers(struct endpoint *e);

/* How many messages endpoint_send has dropped, for statistics. */
uint64_t endpoint_dropped(const struct endpoint *e);

/*
 * The address of a peer for logs: "10.0.0.7:4211", "[::1]:4211", "pid 812" over ipc://, or
 * "unknown"; always terminated. Known from the peer's UP until the endpoint_next after its DOWN.
 */
void endpoint_peer_name(struct endpoint *e, uint32_t peer, char *name, size_t len);

#endif
