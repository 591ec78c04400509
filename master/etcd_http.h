/* SPDX-License-Identifier: MIT */
/*
 * One HTTP exchange with an etcd, by libcurl: a POST of JSON, bounded in time and size, whose
 * failure says whether the request may have reached the server.
 *
 * A request is sent once. libcurl by itself would send it again when a kept connection dies before
 * the first byte of the answer, and a transaction that was executed the first time fails its
 * comparisons the second: it would be reported as never executed.
 *
 * For one thread at a time. Connections are kept. No proxy, no redirection, no HTTP/2, no files of
 * the user's (.netrc): the environment changes nothing.
 */
#ifndef MASTER_ETCD_HTTP_H
#define MASTER_ETCD_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A page of the registry has a quarter of a megabyte (store_etcd.h); more is not of etcd. */
#define ETCD_HTTP_ANSWER_MAX_BYTES (4u << 20)
#define ETCD_HTTP_ERROR_BYTES	   160

/* Files for https, PEM, each NULL for none; borrowed until etcd_http_free. */
struct etcd_tls {
	const char *ca; /* the only authority that is trusted; NULL: those of the system */
	const char *cert, *key;
};

enum etcd_http_result {
	ETCD_HTTP_ANSWERED, /* with whatever status, and whole */
	ETCD_HTTP_NOT_SENT, /* the server has not seen a byte of the request */
	ETCD_HTTP_LOST,	    /* it may have */
};

struct etcd_http_request {
	const char *url;
	const char *body;
	const char *token;  /* Authorization; NULL: none */
	int64_t connect_ns; /* for the connection, TLS included */
	int64_t limit_ns;   /* for all of it */
};

struct etcd_http_answer {
	long status;
	const char *body; /* of etcd_http's, until the next request; with a NUL behind it */
	size_t len;
	/* Not ANSWERED: why, in words that do not change from one try to the next. */
	char error[ETCD_HTTP_ERROR_BYTES];
	bool hopeless; /* certificates: trying again does not help */
};

struct etcd_http;

/* The first one must be made while the process has one thread. NULL: no memory. */
struct etcd_http *etcd_http_new(const struct etcd_tls *tls, size_t connections);
void etcd_http_free(struct etcd_http *h);

enum etcd_http_result etcd_http_post(struct etcd_http *h, const struct etcd_http_request *request,
				     struct etcd_http_answer *answer);

#endif
