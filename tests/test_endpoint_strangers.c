/* SPDX-License-Identifier: MIT */
/* Fears about the endpoint: peers on plain sockets that do what ours would not. */
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

#include "endpoint_fixture.h"
#include "transport/wire.h"

static const uint8_t request[] = {0x80, 0, 0, 1, 'h', 'i'};

/* The server still serves. */
static void assert_alive(struct endpoint *server, int port)
{
	struct endpoint *client = new_client(tcp_url(port));
	uint32_t peer = expect(server, ENDPOINT_UP);

	expect(client, ENDPOINT_UP);
	send_string(client, ENDPOINT_MASTER, "ping");
	assert_int_equal(expect_data(server, "ping"), peer);
	send_string(server, peer, "pong");
	expect_data(client, "pong");
	endpoint_free(client);
	assert_int_equal(expect(server, ENDPOINT_DOWN), peer);
}

static void expect_down(struct endpoint *server, uint32_t peer, bool is_oversized)
{
	struct endpoint_event event;

	assert_true(wait_event(server, &event, HANG_MS));
	assert_int_equal(event.kind, ENDPOINT_DOWN);
	assert_int_equal(event.peer, peer);
	assert_int_equal(event.is_oversized, is_oversized);
}

static void test_oversized_message_kills_the_server(void **state)
{
	static const uint64_t lengths[] = {WIRE_MAX_BYTES + 5, 1ull << 33, 1ull << 63, UINT64_MAX};
	int port = free_port();
	struct endpoint *server = new_server(tcp_url(port));

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		int fd = stranger_as(port, PROTOCOL_REQ);
		uint32_t peer = expect(server, ENDPOINT_UP);

		stranger_send(fd, lengths[i], "", 0);
		stranger_closed(fd);
		close(fd);
		expect_down(server, peer, true);
	}
	assert_alive(server, port);
	endpoint_free(server);
}

static void test_largest_message_is_refused(void **state)
{
	static uint8_t bytes[WIRE_MAX_BYTES];
	const char *url = tcp_url(free_port());
	struct endpoint *server = new_server(url), *client = new_client(url);
	struct endpoint_event event;

	expect(client, ENDPOINT_UP);
	expect(server, ENDPOINT_UP);
	bytes[sizeof(bytes) - 1] = 0x5a;
	endpoint_send(client, ENDPOINT_MASTER, bytes, sizeof(bytes));
	assert_true(wait_event(server, &event, HANG_MS));
	assert_int_equal(event.kind, ENDPOINT_DATA);
	assert_int_equal(event.len, sizeof(bytes));
	assert_memory_equal(event.bytes, bytes, sizeof(bytes));
	endpoint_event_done(&event);
	endpoint_free(client);
	endpoint_free(server);
}

static void test_empty_message(void **state)
{
	const char *url = tcp_url(free_port());
	struct endpoint *server = new_server(url), *client = new_client(url);

	expect(client, ENDPOINT_UP);
	expect(server, ENDPOINT_UP);
	send_string(client, ENDPOINT_MASTER, "");
	expect_data(server, "");
	endpoint_free(client);
	endpoint_free(server);
}

/* Without nng's own header, or with one that never ends. */
static void test_broken_header(void **state)
{
	static const uint8_t endless[64];
	int port = free_port(), fd;
	struct endpoint *server = new_server(tcp_url(port));
	uint32_t peer;

	fd = stranger_as(port, PROTOCOL_REQ);
	peer = expect(server, ENDPOINT_UP);
	stranger_send(fd, 2, "hi", 2);
	stranger_closed(fd);
	close(fd);
	expect_down(server, peer, false);

	fd = stranger_as(port, PROTOCOL_REQ);
	peer = expect(server, ENDPOINT_UP);
	stranger_send(fd, sizeof(endless), endless, sizeof(endless));
	close(fd);
	expect_down(server, peer, false);
	assert_alive(server, port);
	endpoint_free(server);
}

static void test_another_protocol(void **state)
{
	int port = free_port(), fd;
	struct endpoint *server = new_server(tcp_url(port));

	fd = stranger(port);
	assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
	stranger_closed(fd);
	close(fd);
	fd = stranger_as(port, 0x20); /* PUB */
	stranger_closed(fd);
	close(fd);
	assert_alive(server, port);
	endpoint_free(server);
}

/* All at once and gone: the three events must come, and in this order. */
static void test_hasty_peer_is_told_out_of_order(void **state)
{
	int port = free_port();
	struct endpoint *server = new_server(tcp_url(port));

	for (int round = 0; round < 200; round++) {
		int fd = stranger_as(port, PROTOCOL_REQ);
		uint32_t peer;

		stranger_send(fd, sizeof(request), request, sizeof(request));
		close(fd);
		peer = expect(server, ENDPOINT_UP);
		assert_int_equal(expect_data(server, "hi"), peer);
		expect_down(server, peer, false);
	}
	endpoint_free(server);
}

/* The same of many at a time, which nobody looks at until all are gone. */
static void test_crowd_of_hasty_peers(void **state)
{
	enum { CROWD = 200 };
	int port = free_port(), fds[CROWD], up = 0, data = 0, down = 0;
	struct endpoint *server = new_server(tcp_url(port));
	struct endpoint_event event;

	for (int i = 0; i < CROWD; i++) {
		fds[i] = stranger_as(port, PROTOCOL_REQ);
		stranger_send(fds[i], sizeof(request), request, sizeof(request));
	}
	for (int i = 0; i < CROWD; i++)
		close(fds[i]);
	while (down < CROWD) {
		assert_true(wait_event(server, &event, HANG_MS));
		up += event.kind == ENDPOINT_UP;
		data += event.kind == ENDPOINT_DATA;
		down += event.kind == ENDPOINT_DOWN;
		endpoint_event_done(&event);
	}
	assert_int_equal(up, CROWD);
	assert_int_equal(data, CROWD);
	endpoint_free(server);
}

static bool allow_descriptors(rlim_t count)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < count)
		return false;
	limit.rlim_cur = limit.rlim_cur < count ? count : limit.rlim_cur;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void test_too_many_connections(void **state)
{
	int port = free_port(), fds[ENDPOINT_PEERS_MAX + 1];
	struct endpoint_event event;
	struct endpoint *server;
	uint32_t first = 0;

	if (!allow_descriptors(3 * ENDPOINT_PEERS_MAX))
		skip();
	server = new_server(tcp_url(port));
	for (int i = 0; i < ENDPOINT_PEERS_MAX; i++) {
		uint32_t peer;

		fds[i] = stranger_as(port, PROTOCOL_REQ);
		peer = expect(server, ENDPOINT_UP);
		first = i == 0 ? peer : first;
	}
	fds[ENDPOINT_PEERS_MAX] = stranger(port);
	stranger_closed(fds[ENDPOINT_PEERS_MAX]);
	close(fds[0]);
	expect_down(server, first, false);
	assert_false(endpoint_next(server, &event)); /* makes room, now that it is heard */
	assert_alive(server, port);
	for (int i = 1; i <= ENDPOINT_PEERS_MAX; i++)
		close(fds[i]);
	endpoint_free(server);
}

/* A peer that sends and never reads must cost a bounded amount, and nobody else anything. */
static void test_peer_that_never_reads(void **state)
{
	static uint8_t bytes[65536];
	int port = free_port();
	struct endpoint *server = new_server(tcp_url(port));
	int fd = stranger_as(port, PROTOCOL_REQ);
	uint32_t peer = expect(server, ENDPOINT_UP);

	for (int i = 0; i < 2000; i++)
		endpoint_send(server, peer, bytes, sizeof(bytes));
	assert_alive(server, port);
	close(fd);
	expect_down(server, peer, false);
	endpoint_free(server);
}

/*
 * Killed in the middle of a busy talk: what it sent is still being read when the answers already
 * fail. nng's own sockets wedge here; then no DOWN ever comes again, and the free never returns.
 */
static void test_busy_peer_is_killed(void **state)
{
	struct linger reset = {.l_onoff = 1};
	int port = free_port();
	struct endpoint *server = new_server(tcp_url(port));
	struct endpoint_event event;

	for (int round = 0; round < 300; round++) {
		int fd = stranger_as(port, PROTOCOL_REQ);

		expect(server, ENDPOINT_UP); /* else a reset may overtake its hello */
		for (int i = 0; i < 64; i++)
			stranger_send(fd, sizeof(request), request, sizeof(request));
		if (round % 2)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
		do {
			assert_true(wait_event(server, &event, HANG_MS));
			if (event.kind == ENDPOINT_DATA)
				endpoint_send(server, event.peer, event.bytes, event.len);
			endpoint_event_done(&event);
		} while (event.kind != ENDPOINT_DOWN);
	}
	assert_alive(server, port);
	endpoint_free(server);
}

/* A program that talks to a master with nng's own socket must be understood, and understand. */
static void talk_to_nng(const char *url)
{
	struct endpoint *server = new_server(url);
	nng_socket s;
	nng_msg *m;

	assert_int_equal(nng_req0_open_raw(&s), 0);
	assert_int_equal(nng_socket_set_ms(s, NNG_OPT_RECVTIMEO, HANG_MS), 0);
	assert_int_equal(nng_dial(s, url, NULL, 0), 0);
	assert_int_equal(nng_msg_alloc(&m, 0), 0);
	assert_int_equal(nng_msg_append(m, "ping", 4), 0);
	assert_int_equal(nng_msg_header_append_u32(m, 0x80000007u), 0);
	assert_int_equal(nng_sendmsg(s, m, 0), 0);
	expect(server, ENDPOINT_UP);
	send_string(server, expect_data(server, "ping"), "pong");
	assert_int_equal(nng_recvmsg(s, &m, 0), 0);
	assert_int_equal(nng_msg_len(m), 4);
	assert_memory_equal(nng_msg_body(m), "pong", 4);
	nng_msg_free(m);
	nng_close(s);
	expect(server, ENDPOINT_DOWN);
	endpoint_free(server);
}

static void test_nng_socket_is_not_understood(void **state)
{
	talk_to_nng(tcp_url(free_port()));
	talk_to_nng(ipc_url());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oversized_message_kills_the_server),
		cmocka_unit_test(test_largest_message_is_refused),
		cmocka_unit_test(test_empty_message),
		cmocka_unit_test(test_broken_header),
		cmocka_unit_test(test_another_protocol),
		cmocka_unit_test(test_hasty_peer_is_told_out_of_order),
		cmocka_unit_test(test_crowd_of_hasty_peers),
		cmocka_unit_test(test_too_many_connections),
		cmocka_unit_test(test_peer_that_never_reads),
		cmocka_unit_test(test_busy_peer_is_killed),
		cmocka_unit_test(test_nng_socket_is_not_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
