/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "endpoint_fixture.h"

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int free_port(void)
{
	struct sockaddr_in a = loopback(0);
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

const char *tcp_url(int port)
{
	static char url[64];

	snprintf(url, sizeof(url), "tcp://127.0.0.1:%d", port);
	return url;
}

const char *ipc_url(void)
{
	static char url[64];

	snprintf(url, sizeof(url), "ipc:///tmp/dlock-test-endpoint.%d", (int)getpid());
	return url;
}

struct endpoint *new_server(const char *url)
{
	struct endpoint *e;
	char why[256] = "";

	assert_int_equal(endpoint_new_server(&e), 0);
	if (endpoint_listen(e, url, why, sizeof(why)) != 0)
		fail_msg("listen: %s", why);
	return e;
}

struct endpoint *new_client(const char *url)
{
	struct endpoint *e;
	char why[256] = "";

	assert_int_equal(endpoint_new_client(&e), 0);
	if (endpoint_dial(e, url, why, sizeof(why)) != 0)
		fail_msg("dial: %s", why);
	return e;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool wait_event(struct endpoint *e, struct endpoint_event *event, int ms)
{
	struct pollfd p = {.fd = endpoint_fd(e), .events = POLLIN};
	int64_t end = now_ms() + ms;

	while (!endpoint_next(e, event)) {
		int64_t left = end - now_ms();

		if (left <= 0)
			return false;
		poll(&p, 1, (int)left);
	}
	return true;
}

uint32_t expect(struct endpoint *e, enum endpoint_event_kind kind)
{
	struct endpoint_event event;

	if (!wait_event(e, &event, HANG_MS))
		fail_msg("no event of kind %d came", kind);
	endpoint_event_done(&event);
	assert_int_equal(event.kind, kind);
	return event.peer;
}

uint32_t expect_data(struct endpoint *e, const char *want)
{
	struct endpoint_event event;

	if (!wait_event(e, &event, HANG_MS))
		fail_msg("\"%s\" did not come", want);
	assert_int_equal(event.kind, ENDPOINT_DATA);
	assert_int_equal(event.len, strlen(want));
	assert_memory_equal(event.bytes, want, event.len);
	endpoint_event_done(&event);
	return event.peer;
}

void send_string(struct endpoint *e, uint32_t peer, const char *s)
{
	endpoint_send(e, peer, s, strlen(s));
}

int stranger(int port)
{
	struct sockaddr_in a = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

int stranger_as(int port, uint8_t protocol)
{
	uint8_t hello[8] = {0, 'S', 'P', 0, 0, protocol, 0, 0};
	int fd = stranger(port);

	assert_int_equal(send(fd, hello, sizeof(hello), MSG_NOSIGNAL), sizeof(hello));
	assert_int_equal(recv(fd, hello, sizeof(hello), MSG_WAITALL), sizeof(hello));
	return fd;
}

void stranger_send(int fd, uint64_t announced, const void *bytes, size_t len)
{
	uint8_t head[8];

	for (int i = 0; i < 8; i++)
		head[i] = (uint8_t)(announced >> (56 - 8 * i));
	assert_int_equal(send(fd, head, sizeof(head), MSG_NOSIGNAL), sizeof(head));
	if (len > 0)
		assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

void stranger_closed(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;

	while (poll(&p, 1, HANG_MS) == 1)
		if (recv(fd, &byte, 1, 0) <= 0)
			return;
	fail_msg("the connection is still open");
}
