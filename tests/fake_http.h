/* SPDX-License-Identifier: MIT */
/*
 * Fake HTTP: a server that answers as a test tells it, on a thread of its own, at a port of
 * 127.0.0.1 that the kernel chose. For one client that asks one thing at a time.
 *
 * Each request takes the next of the acts told; one that comes when there are none is a failure
 * that fake_free reports. All helpers fail the test when they fail.
 */
#ifndef TESTS_FAKE_HTTP_H
#define TESTS_FAKE_HTTP_H

#include <stddef.h>

enum fake_act {
	FAKE_ANSWER,  /* status and body, and the connection is kept */
	FAKE_CHUNKED, /* the same, in chunks of one byte */
	FAKE_TORN,    /* half of that, then closed */
	FAKE_RAW,     /* the body, and nothing before it, then closed */
	FAKE_CLOSE,   /* closed without a byte */
	FAKE_HANG,    /* nothing, until the client closes */
	FAKE_HUGE,    /* more than any answer may have */
};

struct fake;

struct fake *fake_new(void);
/* The acts told must all have been taken. */
void fake_free(struct fake *f);

/* "http://127.0.0.1:PORT" */
const char *fake_url(const struct fake *f);

/* body is copied. */
void fake_tell(struct fake *f, enum fake_act act, int status, const char *body);

/* How many requests have come, and the last of them, whole; valid until the next one. */
size_t fake_requests(struct fake *f);
const char *fake_last(struct fake *f);

#endif
