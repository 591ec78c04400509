/* SPDX-License-Identifier: MIT */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "crew.h"
#include "echo.h"
#include "rows.h"

/* A round trip that takes as long as this, on a loopback interface, will never be over. */
#define ECHO_TIMEOUT_MS 5000

/* How often the server looks whether it is over. */
#define ECHO_LOOK_MS 50

struct arena {
	uint64_t span_ns;
	_Atomic int port;
	_Atomic bool done;
	int64_t took_ns;
	struct latency lat;
};

static int echo_fail(const char *what, int err)
{
	fprintf(stderr, "dlock-bench: nng round trip: %s: %s\n", what, nng_strerror(err));
	return -1;
}

static int bounded(nng_socket s, nng_duration recv_ms)
{
	int err = nng_socket_set_ms(s, NNG_OPT_RECVTIMEO, recv_ms);

	return err ? err : nng_socket_set_ms(s, NNG_OPT_SENDTIMEO, ECHO_TIMEOUT_MS);
}

/* At whatever port is free. */
static int listen_at(nng_socket s, int *port)
{
	nng_listener l;
	int err = nng_listen(s, "tcp://127.0.0.1:0", &l, 0);

	return err ? err : nng_listener_get_int(l, NNG_OPT_TCP_BOUND_PORT, port);
}

static int answer_all(nng_socket s, struct arena *a)
{
	nng_msg *m;
	int err;

	while (!atomic_load(&a->done)) {
		err = nng_recvmsg(s, &m, 0);
		if (err == NNG_ETIMEDOUT)
			continue;
		if (err)
			return err;
		err = nng_sendmsg(s, m, 0);
		if (err) {
			nng_msg_free(m);
			return err;
		}
	}
	return 0;
}

static int server_work(struct crew *crew, void *arg)
{
	struct arena *a = arg;
	nng_socket s;
	int port, err;

	err = nng_rep0_open(&s);
	if (!err)
		err = bounded(s, ECHO_LOOK_MS);
	if (!err)
		err = listen_at(s, &port);
	if (err)
		return echo_fail("listen", err);
	atomic_store(&a->port, port);
	if (crew_ready(crew))
		return -1;
	err = answer_all(s, a);
	return err ? echo_fail("answer", err) : 0;
}

static int round_trip(nng_socket s)
{
	char text[ECHO_BYTES] = "", back[ECHO_BYTES];
	size_t len = sizeof(back);
	int err = nng_send(s, text, sizeof(text), 0);

	if (!err)
		err = nng_recv(s, back, &len, 0);
	return err ? err : len == sizeof(text) ? 0 : NNG_EPROTO;
}

static int ask_for_span(nng_socket s, struct arena *a)
{
	const uint64_t start = now_ns();
	uint64_t before, now = start;
	int err;

	do {
		before = now;
		err = round_trip(s);
		if (err)
			return err;
		now = now_ns();
		latency_add(&a->lat, now - before);
	} while (now - start < a->span_ns);
	a->took_ns = (int64_t)(now - start);
	return 0;
}

static int client_work(struct crew *crew, void *arg)
{
	struct arena *a = arg;
	char url[64];
	nng_socket s;
	int err;

	if (crew_ready(crew))
		return -1;
	snprintf(url, sizeof(url), "tcp://127.0.0.1:%d", atomic_load(&a->port));
	err = nng_req0_open(&s);
	if (!err)
		err = bounded(s, ECHO_TIMEOUT_MS);
	if (!err)
		err = nng_dial(s, url, NULL, 0);
	/* The first one pays for what all share. */
	if (!err)
		err = round_trip(s);
	if (!err)
		err = ask_for_span(s, a);
	atomic_store(&a->done, true);
	return err ? echo_fail(url, err) : 0;
}

int64_t echo_run(uint64_t span_ns, struct latency *lat)
{
	struct arena *a = crew_memory(sizeof(*a));
	struct crew crew;
	int64_t took = -1;
	bool bad;

	if (!a)
		return -1;
	a->span_ns = span_ns;
	bad = crew_init(&crew);
	bad = bad || crew_start(&crew, server_work, a, span_ns);
	bad = bad || crew_start(&crew, client_work, a, span_ns);
	bad = bad || crew_go(&crew);
	bad |= crew_end(&crew, "nng round trip") != 0;
	if (!bad) {
		latency_merge(lat, &a->lat);
		took = a->took_ns;
	}
	crew_memory_free(a, sizeof(*a));
	return took;
}
