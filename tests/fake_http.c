/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fake_http.h"

#define ACTS_MAX    64
#define REQUEST_MAX 65536
#define HUGE_BYTES  (8u << 20)
#define CLIENTS_MAX 8

struct told {
	enum fake_act act;
	int status;
	char *body;
};

struct fake {
	int listener;
	int stop[2]; /* a pipe: closed at this end, the thread ends */
	char url[64];
	pthread_t thread;
	int clients[CLIENTS_MAX]; /* connections, -1: none */
	/* Under the mutex. */
	pthread_mutex_t mutex;
	struct told told[ACTS_MAX];
	size_t told_count, taken;
	size_t requests;
	char last[REQUEST_MAX];
};

/* ---- Answers ---- */

static void put(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* the client has had enough */
		bytes += n;
		len -= (size_t)n;
	}
}

static void put_text(int fd, const char *text)
{
	put(fd, text, strlen(text));
}

static void put_head(int fd, const struct told *t, size_t len)
{
	char head[200];

	snprintf(
		head, sizeof(head),
		"HTTP/1.1 %d Told\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		t->status, len);
	put_text(fd, head);
}

static void put_chunks(int fd, const struct told *t)
{
	char chunk[16];

	snprintf(chunk, sizeof(chunk), "HTTP/1.1 %d", t->status);
	put_text(fd, chunk);
	put_text(fd, " Told\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (const char *c = t->body; *c; c++) {
		snprintf(chunk, sizeof(chunk), "1\r\n%c\r\n", *c);
		put_text(fd, chunk);
	}
	put_text(fd, "0\r\n\r\n");
}

static void put_huge(int fd, const struct told *t)
{
	char *bytes = malloc(HUGE_BYTES);

	memset(bytes, ' ', HUGE_BYTES);
	put_head(fd, t, HUGE_BYTES);
	put(fd, bytes, HUGE_BYTES);
	free(bytes);
}

/* False: the connection is to be closed. */
static bool play(int fd, const struct told *t)
{
	switch (t->act) {
	case FAKE_ANSWER:
		put_head(fd, t, strlen(t->body));
		put_text(fd, t->body);
		return true;
	case FAKE_CHUNKED:
		put_chunks(fd, t);
		return true;
	case FAKE_TORN:
		put_head(fd, t, strlen(t->body));
		put(fd, t->body, strlen(t->body) / 2);
		return false;
	case FAKE_RAW:
		put_text(fd, t->body);
		return false;
	case FAKE_CLOSE:
		return false;
	case FAKE_HANG:
		return true;
	case FAKE_HUGE:
		put_huge(fd, t);
		return false;
	}
	abort();
}

/* ---- Requests ---- */

/* Reads one whole request; false: the client has closed. */
static bool take_request(struct fake *f, int fd)
{
	static const char length[] = "Content-Length: ";
	size_t len = 0, need = 0;
	char *end, *field;

	while (!need || len < need) {
		ssize_t n = recv(fd, f->last + len, sizeof(f->last) - len - 1, 0);

		if (n <= 0)
			return false;
		len += (size_t)n;
		f->last[len] = '\0';
		end = strstr(f->last, "\r\n\r\n");
		field = strstr(f->last, length);
		if (end && field)
			need = (size_t)(end + 4 - f->last) +
			       strtoul(field + strlen(length), NULL, 10);
	}
	return true;
}

static bool serve(struct fake *f, int fd)
{
	struct told told = {.act = FAKE_CLOSE};
	bool kept = false;

	pthread_mutex_lock(&f->mutex);
	if (take_request(f, fd)) {
		f->requests++;
		if (f->taken < f->told_count)
			told = f->told[f->taken];
		f->taken++;
		kept = play(fd, &told);
	}
	pthread_mutex_unlock(&f->mutex);
	return kept;
}

static void admit(struct fake *f)
{
	int fd = accept(f->listener, NULL, NULL);

	for (size_t i = 0; fd >= 0 && i < CLIENTS_MAX; i++) {
		if (f->clients[i] < 0) {
			f->clients[i] = fd;
			return;
		}
	}
	close(fd);
}

static void *work(void *arg)
{
	struct fake *f = arg;
	struct pollfd fds[2 + CLIENTS_MAX] = {{.fd = f->stop[0], .events = POLLIN},
					      {.fd = f->listener, .events = POLLIN}};

	for (;;) {
		for (size_t i = 0; i < CLIENTS_MAX; i++)
			fds[2 + i] = (struct pollfd){.fd = f->clients[i], .events = POLLIN};
		poll(fds, 2 + CLIENTS_MAX, -1);
		if (fds[0].revents)
			return NULL;
		for (size_t i = 0; i < CLIENTS_MAX; i++) {
			if (fds[2 + i].revents && !serve(f, f->clients[i])) {
				close(f->clients[i]);
				f->clients[i] = -1;
			}
		}
		if (fds[1].revents)
			admit(f);
	}
}

/* ---- Life ---- */

struct fake *fake_new(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);
	struct fake *f = calloc(1, sizeof(*f));

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(f->listener, CLIENTS_MAX), 0);
	assert_int_equal(getsockname(f->listener, (struct sockaddr *)&at, &len), 0);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d", ntohs(at.sin_port));
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		f->clients[i] = -1;
	assert_int_equal(pipe(f->stop), 0);
	pthread_mutex_init(&f->mutex, NULL);
	assert_int_equal(pthread_create(&f->thread, NULL, work, f), 0);
	return f;
}

void fake_free(struct fake *f)
{
	size_t told, taken;

	close(f->stop[1]);
	pthread_join(f->thread, NULL);
	told = f->told_count;
	taken = f->taken;
	close(f->stop[0]);
	close(f->listener);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (f->clients[i] >= 0)
			close(f->clients[i]);
	for (size_t i = 0; i < told; i++)
		free(f->told[i].body);
	pthread_mutex_destroy(&f->mutex);
	free(f);
	assert_int_equal(taken, told);
}

const char *fake_url(const struct fake *f)
{
	return f->url;
}

void fake_tell(struct fake *f, enum fake_act act, int status, const char *body)
{
	pthread_mutex_lock(&f->mutex);
	assert_true(f->told_count < ACTS_MAX);
	f->told[f->told_count++] = (struct told){act, status, strdup(body)};
	pthread_mutex_unlock(&f->mutex);
}

size_t fake_requests(struct fake *f)
{
	size_t n;

	pthread_mutex_lock(&f->mutex);
	n = f->requests;
	pthread_mutex_unlock(&f->mutex);
	return n;
}

const char *fake_last(struct fake *f)
{
	return f->last;
}
