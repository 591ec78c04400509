/* SPDX-License-Identifier: MIT */
/* Fears about the endpoint, between peers that mean well. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "endpoint_fixture.h"

static bool is_readable(const struct endpoint *e)
{
	struct pollfd p = {.fd = endpoint_fd(e), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void talk_to_two_clients(const char *url)
{
	struct endpoint *server = new_server(url);
	struct endpoint *a = new_client(url), *b;
	uint32_t peer_a, peer_b;

	peer_a = expect(server, ENDPOINT_UP);
	b = new_client(url);
	peer_b = expect(server, ENDPOINT_UP);
	assert_int_not_equal(peer_a, peer_b);
	assert_int_equal(expect(a, ENDPOINT_UP), ENDPOINT_MASTER);
	assert_int_equal(expect(b, ENDPOINT_UP), ENDPOINT_MASTER);

	send_string(a, ENDPOINT_MASTER, "from a");
	assert_int_equal(expect_data(server, "from a"), peer_a);
	send_string(b, ENDPOINT_MASTER, "from b");
	assert_int_equal(expect_data(server, "from b"), peer_b);

	/* Answers, and pushes that nobody asked for. */
	for (int i = 0; i < 3; i++) {
		send_string(server, peer_b, "to b");
		send_string(server, peer_a, "to a");
		assert_int_equal(expect_data(a, "to a"), ENDPOINT_MASTER);
		assert_int_equal(expect_data(b, "to b"), ENDPOINT_MASTER);
	}
	endpoint_free(a);
	endpoint_free(b);
	endpoint_free(server);
}

static void test_clients_mixed_up_over_tcp(void **state)
{
	talk_to_two_clients(tcp_url(free_port()));
}

static void test_clients_mixed_up_over_ipc(void **state)
{
	talk_to_two_clients(ipc_url());
}

static void test_two_urls_of_one_server(void **state)
{
	char why[256];
	int port = free_port();
	struct endpoint *server = new_server(tcp_url(port)), *a, *b;

	assert_int_equal(endpoint_listen(server, ipc_url(), why, sizeof(why)), 0);
	a = new_client(tcp_url(port));
	expect(server, ENDPOINT_UP);
	b = new_client(ipc_url());
	expect(server, ENDPOINT_UP);
	endpoint_free(a);
	expect(server, ENDPOINT_DOWN);
	endpoint_free(b);
	expect(server, ENDPOINT_DOWN);
	endpoint_free(server);
}

static void send_number(struct endpoint *e, uint32_t peer, uint32_t n)
{
	endpoint_send(e, peer, &n, sizeof(n));
}

static void expect_number(struct endpoint *e, uint32_t want)
{
	struct endpoint_event event;
	uint32_t got;

	assert_true(wait_event(e, &event, HANG_MS));
	assert_int_equal(event.kind, ENDPOINT_DATA);
	assert_int_equal(event.len, sizeof(got));
	memcpy(&got, event.bytes, sizeof(got));
	endpoint_event_done(&event);
	assert_int_equal(got, want);
}

/* Bursts of what nng queues for a peer, both ways. */
static void test_order_lost(void **state)
{
	const char *url = tcp_url(free_port());
	struct endpoint *server = new_server(url), *client = new_client(url);
	uint32_t peer = expect(server, ENDPOINT_UP);

	expect(client, ENDPOINT_UP);
	for (uint32_t burst = 0; burst < 5000; burst += 50) {
		for (uint32_t i = 0; i < 50; i++)
			send_number(client, ENDPOINT_MASTER, burst + i);
		for (uint32_t i = 0; i < 50; i++)
			expect_number(server, burst + i);
		for (uint32_t i = 0; i < 50; i++)
			send_number(server, peer, burst + i);
		for (uint32_t i = 0; i < 50; i++)
			expect_number(client, burst + i);
	}
	assert_int_equal(endpoint_dropped(client) + endpoint_dropped(server), 0);
	endpoint_free(client);
	endpoint_free(server);
}

/* Its last words must be heard, and before the news that it is gone. */
static void test_peer_gone_before_its_last_words(void **state)
{
	const char *url = tcp_url(free_port());
	struct endpoint *server = new_server(url);
	struct endpoint_event event;
	char name[64];

	for (int round = 0; round < 20; round++) {
		struct endpoint *client = new_client(url);
		uint32_t peer = expect(server, ENDPOINT_UP);

		expect(client, ENDPOINT_UP);
		send_string(client, ENDPOINT_MASTER, "one");
		expect_data(server, "one"); /* so that it has left the client */
		send_string(server, peer, "two");
		expect_data(client, "two");
		endpoint_free(client);
		assert_true(wait_event(server, &event, HANG_MS));
		assert_int_equal(event.kind, ENDPOINT_DOWN);
		assert_int_equal(event.peer, peer);
		assert_int_equal(event.received, 1);
		endpoint_peer_name(server, peer, name, sizeof(name));
		assert_memory_equal(name, "127.0.0.1:", 10);
	}
	endpoint_free(server);
}

static void test_send_to_nobody(void **state)
{
	const char *url = tcp_url(free_port());
	struct endpoint *server = new_server(url), *client = new_client(tcp_url(free_port()));
	char name[64];

	send_string(client, ENDPOINT_MASTER, "not connected");
	send_string(client, 7, "no such peer");
	send_string(server, 12345, "no such peer");
	assert_int_equal(endpoint_dropped(client), 2);
	assert_int_equal(endpoint_dropped(server), 1);
	endpoint_peer_name(server, 12345, name, sizeof(name));
	assert_string_equal(name, "unknown");
	endpoint_peer_name(server, 12345, name, 4);
	assert_string_equal(name, "unk");
	endpoint_free(client);
	endpoint_free(server);
}

static void test_peer_names(void **state)
{
	struct endpoint *server = new_server(ipc_url()), *client = new_client(ipc_url());
	char name[64], want[64];

	endpoint_peer_name(server, expect(server, ENDPOINT_UP), name, sizeof(name));
	snprintf(want, sizeof(want), "pid %d", (int)getpid());
	assert_string_equal(name, want);
	endpoint_free(client);
	endpoint_free(server);
}

static void test_server_restart_is_the_end(void **state)
{
	char url[64];
	struct endpoint *server, *client;

	snprintf(url, sizeof(url), "%s", tcp_url(free_port()));
	client = new_client(url); /* before there is a server at all */
	for (int life = 0; life < 3; life++) {
		server = new_server(url);
		assert_int_equal(expect(client, ENDPOINT_UP), ENDPOINT_MASTER);
		expect(server, ENDPOINT_UP);
		send_string(client, ENDPOINT_MASTER, "again");
		expect_data(server, "again");
		endpoint_free(server);
		assert_int_equal(expect(client, ENDPOINT_DOWN), ENDPOINT_MASTER);
	}
	endpoint_free(client);
}

static void test_dropped_peers_stay_away(void **state)
{
	const char *url = tcp_url(free_port());
	struct endpoint *server = new_server(url), *client = new_client(url);
	uint32_t peer = expect(server, ENDPOINT_UP);

	expect(client, ENDPOINT_UP);
	for (int i = 0; i < 3; i++) {
		endpoint_drop_peers(server);
		assert_int_equal(expect(server, ENDPOINT_DOWN), peer);
		expect(client, ENDPOINT_DOWN);
		expect(client, ENDPOINT_UP);
		peer = expect(server, ENDPOINT_UP);
		send_string(client, ENDPOINT_MASTER, "again");
		assert_int_equal(expect_data(server, "again"), peer);
	}
	endpoint_free(client);
	endpoint_free(server);
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* Sends until nothing has been taken for a while: every queue between the two is full. */
static uint32_t flood(struct endpoint *client, uint8_t *bytes, size_t len)
{
	uint32_t taken = 0;

	for (int refused = 0; refused < 200;) {
		uint64_t dropped = endpoint_dropped(client);

		memcpy(bytes, &taken, sizeof(taken));
		endpoint_send(client, ENDPOINT_MASTER, bytes, len);
		if (endpoint_dropped(client) == dropped) {
			taken++;
			refused = 0;
		} else {
			refused++;
			pause_ms(1);
		}
	}
	return taken;
}

static void test_flood_loses_what_was_taken(void **state)
{
	static uint8_t bytes[16384];
	const char *url = tcp_url(free_port());
	struct endpoint *server = new_server(url), *client = new_client(url);
	struct endpoint_event event;
	uint32_t sent, got;

	expect(client, ENDPOINT_UP);
	expect(server, ENDPOINT_UP);
	sent = flood(client, bytes, sizeof(bytes));
	assert_true(sent > ENDPOINT_INBOX_MAX &&
		    (size_t)sent * sizeof(bytes) > ENDPOINT_OUTBOX_BYTES);
	for (uint32_t i = 0; i < sent; i++) {
		assert_true(wait_event(server, &event, HANG_MS));
		assert_int_equal(event.len, sizeof(bytes));
		memcpy(&got, event.bytes, sizeof(got));
		endpoint_event_done(&event);
		assert_int_equal(got, i);
	}
	assert_false(endpoint_next(server, &event));
	endpoint_free(client);
	endpoint_free(server);
}

/* A flood that is not being taken must not starve another peer for good, nor hide who is gone. */
static void test_flood_hides_the_others(void **state)
{
	static uint8_t bytes[16384];
	const char *url = tcp_url(free_port());
	struct endpoint *server = new_server(url), *noisy = new_client(url), *quiet;
	struct endpoint_event event;
	uint32_t noisy_peer = expect(server, ENDPOINT_UP);
	int words = 0, gone = 0;

	expect(noisy, ENDPOINT_UP);
	flood(noisy, bytes, sizeof(bytes));
	quiet = new_client(url);
	expect(quiet, ENDPOINT_UP);
	send_string(quiet, ENDPOINT_MASTER, "a word");
	while (!words) {
		assert_true(wait_event(server, &event, HANG_MS));
		words += event.kind == ENDPOINT_DATA && event.peer != noisy_peer;
		endpoint_event_done(&event);
	}
	endpoint_free(quiet);
	while (!gone) {
		assert_true(wait_event(server, &event, HANG_MS));
		gone += event.kind == ENDPOINT_DOWN && event.peer != noisy_peer;
		endpoint_event_done(&event);
	}
	endpoint_free(noisy);
	endpoint_free(server);
}

/* A loop that polls must neither spin nor sleep through an event. */
static void test_descriptor_lies(void **state)
{
	const char *url = tcp_url(free_port());
	struct endpoint *server = new_server(url), *client = new_client(url);
	struct endpoint_event event;

	expect(server, ENDPOINT_UP);
	assert_false(endpoint_next(server, &event));
	assert_false(is_readable(server));
	expect(client, ENDPOINT_UP);
	send_string(client, ENDPOINT_MASTER, "one");
	send_string(client, ENDPOINT_MASTER, "two");
	expect_data(server, "one");
	expect_data(server, "two");
	assert_false(endpoint_next(server, &event));
	assert_false(is_readable(server));
	endpoint_free(client);
	expect(server, ENDPOINT_DOWN);
	assert_false(endpoint_next(server, &event));
	assert_false(is_readable(server));
	endpoint_free(server);
}

static void test_port_in_use(void **state)
{
	const char *url = tcp_url(free_port());
	struct endpoint *server = new_server(url), *second, *client;
	char why[256] = "";

	assert_int_equal(endpoint_new_server(&second), 0);
	assert_int_equal(endpoint_listen(second, url, why, sizeof(why)), -EADDRINUSE);
	assert_non_null(strstr(why, url));
	endpoint_free(second);
	client = new_client(url); /* the first one has not suffered */
	expect(server, ENDPOINT_UP);
	endpoint_free(client);
	endpoint_free(server);
}

/* A socket file that a killed master left behind. */
static void test_stale_socket_file(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct endpoint *server, *client;

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", ipc_url() + strlen("ipc://"));
	unlink(a.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
	server = new_server(ipc_url());
	client = new_client(ipc_url());
	expect(server, ENDPOINT_UP);
	endpoint_free(client);
	endpoint_free(server);
}

/* A bare system has no /etc/hosts. */
static bool localhost_resolves(void)
{
	struct addrinfo *found;

	if (getaddrinfo("localhost", NULL, NULL, &found))
		return false;
	freeaddrinfo(found);
	return true;
}

static void test_host_names(void **state)
{
	char url[64];
	int port = free_port();
	struct endpoint *server, *client;

	if (!localhost_resolves()) {
		print_message("localhost does not resolve here: not tested\n");
		skip();
	}
	server = new_server(tcp_url(port));
	snprintf(url, sizeof(url), "tcp://localhost:%d", port);
	client = new_client(url);
	expect(client, ENDPOINT_UP);
	endpoint_free(client);
	endpoint_free(server);
}

static void test_free_with_everything_pending(void **state)
{
	const char *url = tcp_url(free_port());
	struct endpoint *server = new_server(url), *client = new_client(url);

	expect(client, ENDPOINT_UP);
	for (int i = 0; i < 100; i++)
		send_string(client, ENDPOINT_MASTER, "never read");
	expect(server, ENDPOINT_UP);
	expect(server, ENDPOINT_DATA);
	endpoint_free(server);
	endpoint_free(client);
	endpoint_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients_mixed_up_over_tcp),
		cmocka_unit_test(test_clients_mixed_up_over_ipc),
		cmocka_unit_test(test_two_urls_of_one_server),
		cmocka_unit_test(test_order_lost),
		cmocka_unit_test(test_peer_gone_before_its_last_words),
		cmocka_unit_test(test_send_to_nobody),
		cmocka_unit_test(test_peer_names),
		cmocka_unit_test(test_server_restart_is_the_end),
		cmocka_unit_test(test_dropped_peers_stay_away),
		cmocka_unit_test(test_flood_loses_what_was_taken),
		cmocka_unit_test(test_flood_hides_the_others),
		cmocka_unit_test(test_descriptor_lies),
		cmocka_unit_test(test_port_in_use),
		cmocka_unit_test(test_stale_socket_file),
		cmocka_unit_test(test_host_names),
		cmocka_unit_test(test_free_with_everything_pending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
