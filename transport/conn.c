/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "transport/conn.h"

#define HELLO_TIMEOUT_MS                                                                           \
	10000	   /* a peer that connects and says nothing, as nng's sockets have it              \
		    */
#define IOVS_MAX 8 /* of nng's, for one send */

struct outgoing {
	struct outgoing *prev, *next;
	size_t len;
	uint8_t bytes[];
};

static void on_received(void *arg);
static void on_sent(void *arg);

static void name_ip(char *name, int family, const void *address, uint16_t port)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	inet_ntop(family, address, ip, sizeof(ip));
	snprintf(name, CONN_NAME_MAX_SIZE, family == AF_INET ? "%s:%u" : "[%s]:%u", ip,
		 ntohs(port));
}

static void name_other_end(struct conn *c)
{
	nng_sockaddr a;
	uint64_t pid;

	snprintf(c->name, sizeof(c->name), "unknown");
	if (c->is_ipc) {
		if (nng_stream_get_uint64(c->stream, NNG_OPT_IPC_PEER_PID, &pid) == 0)
			snprintf(c->name, sizeof(c->name), "pid %llu", (unsigned long long)pid);
		return;
	}
	if (nng_stream_get_addr(c->stream, NNG_OPT_REMADDR, &a) != 0)
		return;
	if (a.s_family == NNG_AF_INET)
		name_ip(c->name, AF_INET, &a.s_in.sa_addr, a.s_in.sa_port);
	else if (a.s_family == NNG_AF_INET6)
		name_ip(c->name, AF_INET6, a.s_in6.sa_addr, a.s_in6.sa_port);
}

struct conn *conn_new(struct inbox *inbox, nng_stream *stream, bool is_server, bool is_ipc)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c) {
		nng_stream_free(stream);
		return NULL;
	}
	c->stream = stream;
	c->inbox = inbox;
	c->is_server = is_server;
	c->is_ipc = is_ipc;
	c->up = (struct parcel){.conn = c, .kind = ENDPOINT_UP};
	c->down = (struct parcel){.conn = c, .kind = ENDPOINT_DOWN};
	c->park = (struct parcel){.conn = c};
	pthread_mutex_init(&c->lock, NULL);
	reader_init(&c->reader, is_server ? FRAME_REQ : FRAME_REP, is_ipc);
	if (nng_aio_alloc(&c->receiving, on_received, c) != 0 ||
	    nng_aio_alloc(&c->sending, on_sent, c) != 0) {
		conn_free(c);
		return NULL;
	}
	name_other_end(c);
	return c;
}

/* nng_aio_free stops too, but the two must both be stopped before one is freed. */
void conn_free(struct conn *c)
{
	struct outgoing *o, *next;

	nng_stream_close(c->stream);
	if (c->receiving)
		nng_aio_stop(c->receiving);
	if (c->sending)
		nng_aio_stop(c->sending);
	nng_aio_free(c->receiving);
	nng_aio_free(c->sending);
	nng_stream_free(c->stream);
	inbox_forget(c->inbox, c);
	DL_FOREACH_SAFE (c->queue, o, next) {
		free(o);
	}
	free(c->pending);
	reader_deinit(&c->reader);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* Call with the lock held. */
static void close_stream(struct conn *c)
{
	c->is_closed = true;
	nng_stream_close(c->stream);
}

void conn_close(struct conn *c)
{
	pthread_mutex_lock(&c->lock);
	close_stream(c);
	pthread_mutex_unlock(&c->lock);
}

/* Receiving: all that follows is called with the token, and gives it away. */

static void end(struct conn *c)
{
	conn_close(c);
	inbox_put(c->inbox, &c->down);
}

static void receive(struct conn *c)
{
	struct iovec room[READER_IOVS];
	nng_iov iov[READER_IOVS];
	int count = reader_room(&c->reader, room);
	bool is_closed;

	for (int i = 0; i < count; i++)
		iov[i] = (nng_iov){.iov_buf = room[i].iov_base, .iov_len = room[i].iov_len};
	nng_aio_set_iov(c->receiving, (unsigned)count, iov);
	pthread_mutex_lock(&c->lock);
	is_closed = c->is_closed;
	if (!is_closed)
		nng_stream_recv(c->stream, c->receiving);
	pthread_mutex_unlock(&c->lock);
	if (is_closed)
		end(c);
}

/* False: the connection is parked, and the token gone. */
static bool deliver(struct conn *c, struct parcel *p)
{
	p->conn = c;
	c->pending = p; /* before the offer: after a refusal another thread may be at work here */
	if (!inbox_offer(c->inbox, p, &c->park))
		return false;
	c->pending = NULL;
	return true;
}

static void greet(struct conn *c)
{
	c->is_up = true;
	nng_aio_set_timeout(c->receiving, NNG_DURATION_INFINITE);
	inbox_put(c->inbox, &c->up);
}

static void read_on(struct conn *c)
{
	for (;;) {
		struct parcel *p;

		switch (reader_next(&c->reader, &p)) {
		case READER_HELLO:
			greet(c);
			break;
		case READER_MESSAGE:
			if (!deliver(c, p))
				return;
			break;
		case READER_MORE:
			receive(c);
			return;
		case READER_OVERSIZED:
			c->is_oversized = true;
			end(c);
			return;
		case READER_GARBAGE:
		case READER_NO_MEMORY:
			end(c);
			return;
		}
	}
}

static void on_received(void *arg)
{
	struct conn *c = arg;

	if (nng_aio_result(c->receiving) != 0) {
		end(c);
		return;
	}
	reader_filled(&c->reader, nng_aio_count(c->receiving));
	read_on(c);
}

void conn_resume(struct conn *c)
{
	struct parcel *p = c->pending;

	assert(p);
	if (deliver(c, p))
		read_on(c);
}

/* Sending. */

/* As much of the queue as one call takes. Call with the lock held. */
static void send_on(struct conn *c)
{
	nng_iov iov[IOVS_MAX];
	unsigned count = 0;
	size_t skip = c->sent;
	struct outgoing *o;

	DL_FOREACH (c->queue, o) {
		if (count == IOVS_MAX)
			break;
		iov[count++] = (nng_iov){.iov_buf = o->bytes + skip, .iov_len = o->len - skip};
		skip = 0;
	}
	c->is_sending = count > 0 && !c->is_closed;
	if (!c->is_sending)
		return;
	nng_aio_set_iov(c->sending, count, iov);
	nng_stream_send(c->stream, c->sending);
}

/* Call with the lock held. */
static void drop_sent(struct conn *c, size_t len)
{
	struct outgoing *o;

	c->sent += len;
	while ((o = c->queue) && c->sent >= o->len) {
		c->sent -= o->len;
		c->queued -= sizeof(*o) + o->len;
		DL_DELETE(c->queue, o);
		free(o);
	}
}

static void on_sent(void *arg)
{
	struct conn *c = arg;

	pthread_mutex_lock(&c->lock);
	if (nng_aio_result(c->sending) == 0) {
		drop_sent(c, nng_aio_count(c->sending));
		send_on(c);
	} else {
		close_stream(c); /* which is heard by who has the token */
	}
	pthread_mutex_unlock(&c->lock);
}

static bool enqueue(struct conn *c, const void *head, size_t head_len, const void *bytes,
		    size_t len)
{
	struct outgoing *o = malloc(sizeof(*o) + head_len + len);
	bool room;

	if (!o)
		return false;
	o->len = head_len + len;
	memcpy(o->bytes, head, head_len);
	memcpy(o->bytes + head_len, bytes, len);
	pthread_mutex_lock(&c->lock);
	room = !c->is_closed && c->queued < ENDPOINT_OUTBOX_BYTES;
	if (room) {
		DL_APPEND(c->queue, o);
		c->queued += sizeof(*o) + o->len;
		if (!c->is_sending)
			send_on(c);
	}
	pthread_mutex_unlock(&c->lock);
	if (!room)
		free(o);
	return room;
}

bool conn_send(struct conn *c, const void *bytes, size_t len)
{
	uint8_t head[FRAME_HEAD_MAX];

	return enqueue(c, head, frame_head(head, c->is_ipc, len), bytes, len);
}

void conn_start(struct conn *c)
{
	uint8_t hello[FRAME_HELLO_BYTES];

	frame_hello(hello, c->is_server ? FRAME_REP : FRAME_REQ);
	if (!enqueue(c, hello, sizeof(hello), "", 0)) {
		end(c);
		return;
	}
	nng_aio_set_timeout(c->receiving, HELLO_TIMEOUT_MS);
	receive(c);
}
