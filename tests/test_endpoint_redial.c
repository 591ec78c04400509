/* SPDX-License-Identifier: MIT */
/* Fears about connections that are dead without anybody saying so, and what is dialed beside them. */
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "endpoint_fixture.h"

/* ---- A master played by hand, whose connections hear and say what they are told ---- */

static int listen_at(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

	a.sin_port = htons((uint16_t)port);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* The next connection; it has said nothing yet. */
static int take(int listener)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};
	int fd;

	assert_int_equal(poll(&p, 1, HANG_MS), 1);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	return fd;
}

static void greet(int fd)
{
	uint8_t hello[8] = {0, 'S', 'P', 0, 0, PROTOCOL_REQ + 1, 0, 0};

	assert_int_equal(send(fd, hello, sizeof(hello), MSG_NOSIGNAL), sizeof(hello));
	assert_int_equal(recv(fd, hello, sizeof(hello), MSG_WAITALL), sizeof(hello));
}

#define REQUEST_ID_BYTES 4 /* in front of each message between REQ and REP (transport/frame.h) */

static void say(int fd, const char *text)
{
	char message[64] = {(char)0x80, 0, 0, 1};
	size_t len = REQUEST_ID_BYTES + strlen(text);

	memcpy(message + REQUEST_ID_BYTES, text, strlen(text));
	stranger_send(fd, len, message, len);
}

/* A message that the client has sent: a length of 8 bytes, the id and the text. */
static void expect_text(int fd, const char *text)
{
	char got[64];
	size_t head = 8 + REQUEST_ID_BYTES, len = head + strlen(text);

	assert_int_equal(recv(fd, got, len, MSG_WAITALL), len);
	assert_memory_equal(got + head, text, strlen(text));
}

/* A connection that is up, as one dies of which the kernel hears nothing more. */
static int connected(int listener, struct endpoint *client)
{
	int fd = take(listener);

	greet(fd);
	expect(client, ENDPOINT_UP);
	return fd;
}

/* One that comes of a redial: an earlier one may be on its way still, and is not begun twice. */
static int take_redialed(int listener, struct endpoint *client)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};

	for (int i = 0; i < HANG_MS / 20; i++) {
		endpoint_redial(client);
		if (poll(&p, 1, 20) == 1)
			break;
	}
	return take(listener);
}

/* ---- */

static void test_dead_connection_is_all_there_is(void **state)
{
	int port = free_port(), listener = listen_at(port), dead, fresh;
	struct endpoint *client = new_client(tcp_url(port));

	dead = connected(listener, client);
	endpoint_redial(client);
	fresh = connected(listener, client); /* another UP, and no DOWN in between */
	stranger_closed(dead);
	send_string(client, ENDPOINT_MASTER, "heard");
	expect_text(fresh, "heard");
	say(fresh, "answered");
	expect_data(client, "answered");
	close(fresh);
	expect(client, ENDPOINT_DOWN); /* of the new one, which is dialed anew as any */
	close(connected(listener, client));
	close(dead);
	close(listener);
	endpoint_free(client);
}

/* Rule 14: the master may be slow, and the old link the only one that works. */
static void test_redial_cuts_a_link_that_works(void **state)
{
	int port = free_port(), listener = listen_at(port), old, second, third;
	struct endpoint *client = new_client(tcp_url(port));
	struct endpoint_event event;

	old = connected(listener, client);
	second = take_redialed(listener, client); /* and nothing is said on it */
	send_string(client, ENDPOINT_MASTER, "one");
	expect_text(old, "one");
	third = take_redialed(listener, client);
	stranger_closed(second);
	send_string(client, ENDPOINT_MASTER, "two");
	expect_text(old, "two");
	say(old, "late");
	expect_data(client, "late");
	greet(third);
	expect(client, ENDPOINT_UP);
	stranger_closed(old);
	assert_false(endpoint_next(client, &event));
	close(old);
	close(second);
	close(third);
	close(listener);
	endpoint_free(client);
}

static void test_old_connection_ends_before_the_new_one_is_up(void **state)
{
	int port = free_port(), listener = listen_at(port), old, fresh;
	struct endpoint *client = new_client(tcp_url(port));

	old = connected(listener, client);
	endpoint_redial(client);
	fresh = take(listener);
	close(old);
	expect(client, ENDPOINT_DOWN);
	greet(fresh);
	expect(client, ENDPOINT_UP);
	send_string(client, ENDPOINT_MASTER, "heard");
	expect_text(fresh, "heard");
	close(fresh);
	expect(client, ENDPOINT_DOWN);
	close(connected(listener, client));
	close(listener);
	endpoint_free(client);
}

/* However often it is asked for: one connection is left, and the server is told of the others. */
static void test_redials_pile_up_connections(void **state)
{
	const char *url = tcp_url(free_port());
	struct endpoint *server = new_server(url), *client = new_client(url);
	struct endpoint_event event;
	int up = 0, down = 0;
	uint32_t last = 0;

	expect(client, ENDPOINT_UP);
	for (int i = 0; i < 20; i++) {
		endpoint_redial(client);
		endpoint_redial(client);
		expect(client, ENDPOINT_UP);
	}
	send_string(client, ENDPOINT_MASTER, "last");
	while (!last || up - down > 1) {
		assert_true(wait_event(server, &event, HANG_MS));
		up += event.kind == ENDPOINT_UP;
		down += event.kind == ENDPOINT_DOWN;
		if (event.kind == ENDPOINT_DATA)
			last = event.peer;
		endpoint_event_done(&event);
	}
	assert_true(up >= 21);
	send_string(server, last, "heard");
	expect_data(client, "heard");
	endpoint_free(client);
	endpoint_free(server);
}

static void test_redial_before_there_is_a_master(void **state)
{
	const char *url = tcp_url(free_port());
	struct endpoint *client = new_client(url), *server;

	for (int i = 0; i < 5; i++)
		endpoint_redial(client);
	server = new_server(url);
	expect(client, ENDPOINT_UP);
	expect(server, ENDPOINT_UP);
	endpoint_redial(client);
	endpoint_free(client); /* with a dial under way */
	endpoint_free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dead_connection_is_all_there_is),
		cmocka_unit_test(test_redial_cuts_a_link_that_works),
		cmocka_unit_test(test_old_connection_ends_before_the_new_one_is_up),
		cmocka_unit_test(test_redials_pile_up_connections),
		cmocka_unit_test(test_redial_before_there_is_a_master),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
