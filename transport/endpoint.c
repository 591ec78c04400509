/* SPDX-License-Identifier: MIT */
/*
 * Who does what:
 *
 *	nng's threads                                     the owner's thread
 *	listener's and dialer's callbacks -> struct conn
 *	conn's callbacks: read, cut -> inbox ----------> endpoint_next
 *	conn's callbacks: send the rest of the queue <-- endpoint_send (sends at once, if it can)
 *
 * Why streams and not nng's sockets, whose bytes these are: when one of nng 1.5.2 closes a
 * connection between a message's head and its body, a receive is left that never ends (nng's pull
 * request 1636 mended it later). nng's only thread that clears connections away waits for it, so
 * that none is ever cleared away again, nor dialed again, and a close never returns. To kill some
 * ten busy peers is enough. Here every operation is ours, and can be stopped. It also spares some
 * changes of threads for each message, and halves the round trip.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>

#include <uthash.h>
#include <utlist.h>

#include "transport/conn.h"
#include "transport/endpoint.h"
#include "transport/inbox.h"
#include "transport/url.h"
#include "transport/wire.h"

#define ACCEPT_PAUSE_MS 100 /* after a failed accept: most often for want of descriptors */

struct listener {
	struct endpoint *endpoint;
	nng_stream_listener *stream;
	nng_aio *accepting; /* or pausing */
	bool is_ipc;
	bool is_pausing;
	struct listener *next;
};

struct endpoint {
	struct inbox inbox;
	bool is_server;

	struct listener *listeners;

	nng_stream_dialer *dialer;
	nng_aio *dialing; /* or waiting to dial again; idle while there is a connection */
	bool is_ipc;
	bool is_waiting;
	int redial_ms;

	pthread_mutex_t
		lock; /* for the connections, which nng's threads add and the owner removes */
	struct conn *conns;
	unsigned conn_count;

	/* The owner's. */
	struct conn *peers; /* those that are up, by number */
	uint32_t last_number;
	struct conn *leaving; /* its DOWN was told; freed at the next call */
	uint64_t dropped;
};

static int error_of_nng(int rv)
{
	switch (rv) {
	case 0:
		return 0;
	case NNG_ENOMEM:
		return -ENOMEM;
	case NNG_EADDRINUSE:
		return -EADDRINUSE;
	case NNG_EADDRINVAL:
		return -EADDRNOTAVAIL;
	case NNG_EPERM:
		return -EACCES;
	case NNG_ENOENT:
		return -ENOENT;
	case NNG_ENOFILES:
		return -EMFILE;
	case NNG_ENOTSUP:
		return -EOPNOTSUPP;
	case NNG_EINVAL:
		return -EINVAL;
	default:
		return rv & NNG_ESYSERR ? -(rv & ~NNG_ESYSERR) : -EIO;
	}
}

static int endpoint_new(struct endpoint **out, bool is_server)
{
	struct endpoint *e = calloc(1, sizeof(*e));
	int error;

	if (!e)
		return -ENOMEM;
	e->is_server = is_server;
	e->redial_ms = ENDPOINT_REDIAL_MIN_MS;
	pthread_mutex_init(&e->lock, NULL);
	error = inbox_init(&e->inbox);
	if (error) {
		endpoint_free(e);
		return error;
	}
	*out = e;
	return 0;
}

int endpoint_new_server(struct endpoint **out)
{
	return endpoint_new(out, true);
}

int endpoint_new_client(struct endpoint **out)
{
	return endpoint_new(out, false);
}

/* Connections */

/* False: there are too many. */
static bool add_conn(struct endpoint *e, struct conn *c)
{
	bool room;

	pthread_mutex_lock(&e->lock);
	room = e->conn_count < ENDPOINT_PEERS_MAX;
	if (room) {
		DL_APPEND(e->conns, c);
		e->conn_count++;
	}
	pthread_mutex_unlock(&e->lock);
	return room;
}

static void remove_conn(struct endpoint *e, struct conn *c)
{
	pthread_mutex_lock(&e->lock);
	DL_DELETE(e->conns, c);
	e->conn_count--;
	pthread_mutex_unlock(&e->lock);
	conn_free(c);
}

/* A stream that was accepted or dialed becomes a connection. False: there is no room for it. */
static bool take_stream(struct endpoint *e, nng_stream *stream, bool is_ipc)
{
	struct conn *c = conn_new(&e->inbox, stream, e->is_server, is_ipc);

	if (!c)
		return false;
	if (!add_conn(e, c)) {
		conn_free(c);
		return false;
	}
	conn_start(c);
	return true;
}

/* Listening, in nng's threads */

static void on_accepted(void *arg)
{
	struct listener *l = arg;
	int rv = nng_aio_result(l->accepting);

	if (rv == NNG_ECLOSED || rv == NNG_ECANCELED)
		return;
	if (!l->is_pausing && rv != 0) {
		l->is_pausing = true;
		nng_sleep_aio(ACCEPT_PAUSE_MS, l->accepting);
		return;
	}
	if (!l->is_pausing)
		take_stream(l->endpoint, nng_aio_get_output(l->accepting, 0), l->is_ipc);
	l->is_pausing = false;
	nng_stream_listener_accept(l->stream, l->accepting);
}

static void listener_free(struct listener *l)
{
	if (l->stream)
		nng_stream_listener_close(l->stream);
	if (l->accepting) {
		nng_aio_stop(l->accepting);
		nng_aio_free(l->accepting);
	}
	if (l->stream)
		nng_stream_listener_free(l->stream);
	free(l);
}

/* 0 or nng's error. */
static int listener_open(struct listener *l, const char *url)
{
	int rv;

	rv = nng_stream_listener_alloc(&l->stream, url);
	if (rv != 0)
		return rv;
	rv = nng_aio_alloc(&l->accepting, on_accepted, l);
	if (rv != 0)
		return rv;
	if (!l->is_ipc) {
		/* A node that lost its power says nothing; the kernel then ends it some day. */
		(void)nng_stream_listener_set_bool(l->stream, NNG_OPT_TCP_KEEPALIVE, true);
		(void)nng_stream_listener_set_bool(l->stream, NNG_OPT_TCP_NODELAY, true);
	}
	return nng_stream_listener_listen(l->stream);
}

/* -errno for nng's error, and words for people about it. */
static int explain(int rv, const char *url, char *why, size_t why_len)
{
	if (rv != 0)
		snprintf(why, why_len, "%s: %s", url, nng_strerror(rv));
	return error_of_nng(rv);
}

int endpoint_listen(struct endpoint *e, const char *url, char *why, size_t why_len)
{
	struct listener *l;
	int error, rv;

	assert(e->is_server);
	error = url_check(url, why, why_len);
	if (error)
		return error;
	l = calloc(1, sizeof(*l));
	if (!l)
		return explain(NNG_ENOMEM, url, why, why_len);
	l->endpoint = e;
	l->is_ipc = url_is_ipc(url);
	rv = listener_open(l, url);
	if (rv != 0) {
		listener_free(l);
		return explain(rv, url, why, why_len);
	}
	LL_PREPEND(e->listeners, l);
	nng_stream_listener_accept(l->stream, l->accepting);
	return 0;
}

/* Dialing, in nng's threads, except for the first time and after a connection's end */

static void wait_and_dial(struct endpoint *e)
{
	e->is_waiting = true;
	nng_sleep_aio(e->redial_ms, e->dialing);
	e->redial_ms = e->redial_ms * 2 < ENDPOINT_REDIAL_MAX_MS ? e->redial_ms * 2
								 : ENDPOINT_REDIAL_MAX_MS;
}

static void dial_now(struct endpoint *e)
{
	e->is_waiting = false;
	nng_stream_dialer_dial(e->dialer, e->dialing);
}

static void on_dialed(void *arg)
{
	struct endpoint *e = arg;
	int rv = nng_aio_result(e->dialing);

	if (rv == NNG_ECLOSED || rv == NNG_ECANCELED)
		return;
	if (e->is_waiting)
		dial_now(e);
	else if (rv != 0 || !take_stream(e, nng_aio_get_output(e->dialing, 0), e->is_ipc))
		wait_and_dial(e);
}

/* 0 or nng's error. */
static int dialer_open(struct endpoint *e, const char *url)
{
	int rv;

	rv = nng_stream_dialer_alloc(&e->dialer, url);
	if (rv != 0)
		return rv;
	rv = nng_aio_alloc(&e->dialing, on_dialed, e);
	if (rv != 0)
		return rv;
	if (!e->is_ipc) {
		(void)nng_stream_dialer_set_bool(e->dialer, NNG_OPT_TCP_KEEPALIVE, true);
		(void)nng_stream_dialer_set_bool(e->dialer, NNG_OPT_TCP_NODELAY, true);
	}
	return 0;
}

static void dialer_close(struct endpoint *e)
{
	if (e->dialer)
		nng_stream_dialer_close(e->dialer);
	if (e->dialing) {
		nng_aio_stop(e->dialing);
		nng_aio_free(e->dialing);
	}
	if (e->dialer)
		nng_stream_dialer_free(e->dialer);
	e->dialer = NULL;
	e->dialing = NULL;
}

int endpoint_dial(struct endpoint *e, const char *url, char *why, size_t why_len)
{
	int error, rv;

	assert(!e->is_server && !e->dialer);
	error = url_check(url, why, why_len);
	if (error)
		return error;
	if (url_is_wildcard(url)) {
		snprintf(why, why_len, "%s: names no host to connect to", url);
		return -EINVAL;
	}
	e->is_ipc = url_is_ipc(url);
	rv = dialer_open(e, url);
	if (rv != 0) {
		dialer_close(e);
		return explain(rv, url, why, why_len);
	}
	dial_now(e);
	return 0;
}

int endpoint_check_url(const char *url, char *why, size_t why_len)
{
	return url_check(url, why, why_len);
}

/* First what makes connections, then the connections, then what they have left. */
void endpoint_free(struct endpoint *e)
{
	struct listener *l, *next_listener;
	struct conn *c, *next_conn;

	if (!e)
		return;
	LL_FOREACH_SAFE (e->listeners, l, next_listener) {
		listener_free(l);
	}
	dialer_close(e);
	HASH_CLEAR(hh, e->peers);
	DL_FOREACH_SAFE (e->conns, c, next_conn) {
		conn_free(c);
	}
	inbox_deinit(&e->inbox);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

int endpoint_fd(const struct endpoint *e)
{
	return e->inbox.wake;
}

/* Events, in the owner's thread */

static struct conn *peer_of(struct endpoint *e, uint32_t number)
{
	struct conn *c;

	HASH_FIND_INT(e->peers, &number, c);
	return c;
}

static uint32_t new_number(struct endpoint *e)
{
	if (!e->is_server)
		return ENDPOINT_MASTER;
	do
		e->last_number++;
	while (e->last_number == 0 || peer_of(e, e->last_number));
	return e->last_number;
}

static void forget_leaving(struct endpoint *e)
{
	if (e->leaving)
		remove_conn(e, e->leaving);
	e->leaving = NULL;
}

static void peer_up(struct endpoint *e, struct conn *c)
{
	c->number = new_number(e);
	e->redial_ms = ENDPOINT_REDIAL_MIN_MS;
	HASH_ADD_INT(e->peers, number, c);
}

/* Also for connections that were never up. */
static void peer_down(struct endpoint *e, struct conn *c)
{
	if (c->is_up)
		HASH_DEL(e->peers, c);
	e->leaving = c;
	if (!e->is_server)
		wait_and_dial(e);
}

static void handle(struct endpoint *e, struct parcel *p)
{
	if (p->kind == ENDPOINT_UP)
		peer_up(e, p->conn);
	else if (p->kind == ENDPOINT_DOWN)
		peer_down(e, p->conn);
}

static struct endpoint_event event_of(struct parcel *p)
{
	struct endpoint_event event = {.kind = p->kind, .peer = p->conn->number};

	if (p->kind == ENDPOINT_DATA) {
		p->conn->received++;
		event.bytes = p->bytes + p->start;
		event.len = p->len - p->start;
		event.priv = p;
	}
	event.received = p->conn->received;
	event.is_oversized = p->kind == ENDPOINT_DOWN && p->conn->is_oversized;
	return event;
}

static void resume_parked(struct endpoint *e)
{
	struct conn *c;

	while ((c = inbox_unpark(&e->inbox)))
		conn_resume(c);
}

bool endpoint_next(struct endpoint *e, struct endpoint_event *event)
{
	struct parcel *p;

	do {
		forget_leaving(e);
		p = inbox_take(&e->inbox);
		if (!p)
			return false;
		handle(e, p);
	} while (!p->conn->is_up);
	*event = event_of(p);
	if (p->kind == ENDPOINT_DATA)
		resume_parked(e);
	return true;
}

void endpoint_event_done(struct endpoint_event *event)
{
	free(event->priv);
	event->priv = NULL;
}

void endpoint_send(struct endpoint *e, uint32_t peer, const void *bytes, size_t len)
{
	struct conn *c = peer_of(e, peer);

	assert(len <= WIRE_MAX_BYTES);
	if (!c || !conn_send(c, bytes, len))
		e->dropped++;
}

uint64_t endpoint_dropped(const struct endpoint *e)
{
	return e->dropped;
}

void endpoint_peer_name(struct endpoint *e, uint32_t peer, char *name, size_t len)
{
	const struct conn *c = peer_of(e, peer);

	if (!c && e->leaving && e->leaving->number == peer)
		c = e->leaving;
	snprintf(name, len, "%s", c ? c->name : "unknown");
}
