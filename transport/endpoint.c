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
#include "transport/dialer.h"
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

	/* A client has at least one of a connection that is not superseded and a busy dialer. */
	struct dialer dialer;

	/* For what follows: nng's threads add connections, and the owner removes them. */
	pthread_mutex_t lock;
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

static bool take_dialed(void *arg, nng_stream *stream);

static int endpoint_new(struct endpoint **out, bool is_server)
{
	struct endpoint *e = calloc(1, sizeof(*e));
	int error;

	if (!e)
		return -ENOMEM;
	e->is_server = is_server;
	e->dialer = (struct dialer){.take = take_dialed, .arg = e, .lock = &e->lock};
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
		dialer_arrived(&e->dialer);
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

/* Dialing */

static bool take_dialed(void *arg, nng_stream *stream)
{
	struct endpoint *e = arg;

	return take_stream(e, stream, e->dialer.is_ipc);
}

int endpoint_dial(struct endpoint *e, const char *url, char *why, size_t why_len)
{
	int error, rv;

	assert(!e->is_server && !e->dialer.url);
	error = url_check(url, why, why_len);
	if (error)
		return error;
	if (url_is_wildcard(url)) {
		snprintf(why, why_len, "%s: names no host to connect to", url);
		return -EINVAL;
	}
	rv = dialer_open(&e->dialer, url);
	if (rv != 0)
		return explain(rv, url, why, why_len);
	dialer_start(&e->dialer);
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
	dialer_close(&e->dialer);
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

/* All of a client's connections give way to one; NULL: to one that is to come. */
static void supersede(struct endpoint *e, const struct conn *keep)
{
	struct conn *c;

	pthread_mutex_lock(&e->lock);
	DL_FOREACH (e->conns, c) {
		if (c == keep || c->is_superseded)
			continue;
		c->is_superseded = true;
		conn_close(c);
	}
	pthread_mutex_unlock(&e->lock);
}

void endpoint_redial(struct endpoint *e)
{
	assert(!e->is_server && e->dialer.url);
	/* An earlier one's connection that has not come up is no better. */
	supersede(e, peer_of(e, ENDPOINT_MASTER));
	dialer_start_over(&e->dialer);
}

static void peer_up(struct endpoint *e, struct conn *c)
{
	struct conn *old = e->is_server ? NULL : peer_of(e, ENDPOINT_MASTER);

	if (old)
		HASH_DEL(e->peers, old);
	if (!e->is_server) {
		supersede(e, c);
		dialer_succeeded(&e->dialer);
	}
	c->number = new_number(e);
	HASH_ADD_INT(e->peers, number, c);
}

/* Is there a connection but c that may yet serve? */
static bool has_other(struct endpoint *e, const struct conn *c)
{
	const struct conn *other;

	pthread_mutex_lock(&e->lock);
	DL_FOREACH (e->conns, other)
		if (other != c && !other->is_superseded)
			break;
	pthread_mutex_unlock(&e->lock);
	return other != NULL;
}

/* Also for connections that were never up. */
static void peer_down(struct endpoint *e, struct conn *c)
{
	if (peer_of(e, c->number) == c)
		HASH_DEL(e->peers, c);
	e->leaving = c;
	if (!e->is_server && !c->is_superseded && !has_other(e, c))
		dialer_start_later(&e->dialer);
}

/* False: nothing to be told. */
static bool handle(struct endpoint *e, struct parcel *p)
{
	bool is_told = p->kind == ENDPOINT_DATA || (p->conn->is_up && !p->conn->is_superseded);

	if (p->kind == ENDPOINT_UP && !p->conn->is_superseded)
		peer_up(e, p->conn);
	else if (p->kind == ENDPOINT_DOWN)
		peer_down(e, p->conn);
	return is_told;
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
	} while (!handle(e, p));
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

void endpoint_drop_peers(struct endpoint *e)
{
	struct conn *c;

	assert(e->is_server);
	pthread_mutex_lock(&e->lock);
	DL_FOREACH (e->conns, c)
		conn_close(c);
	pthread_mutex_unlock(&e->lock);
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
