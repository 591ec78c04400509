/* SPDX-License-Identifier: MIT */
/*
 * etcd client: calls of etcd's HTTP/JSON gateway (3.4 and later) over several endpoints of one
 * cluster, within one budget of time.
 *
 *	etcd_client_begin(c, limit_ns);            one operation's budget
 *	etcd_client_call(c, path, request, …);     as often as the operation needs
 *
 * The endpoint that answered last is asked first. One that fails is followed by the next, if the
 * request certainly was not executed, or only reads; until the budget is spent or all have failed.
 * A request that writes and may have been executed is never sent again: what a second answer would
 * say of the first try nobody could tell.
 *
 * With a user, it authenticates by itself, and again when etcd has forgotten the token.
 *
 * For one thread at a time, but for etcd_client_stop.
 */
#ifndef MASTER_ETCD_CLIENT_H
#define MASTER_ETCD_CLIENT_H

#include <jansson.h>

#include "master/etcd_http.h"

#define ETCD_ENDPOINTS_MAX   16
#define ETCD_URL_MAX_BYTES   300 /* "https://", a name of 255 bytes, a port */
#define ETCD_USER_MAX_BYTES  256 /* of names and passwords */
#define ETCD_ERROR_MAX_BYTES 500

struct etcd_client_config {
	char endpoints[ETCD_ENDPOINTS_MAX][ETCD_URL_MAX_BYTES]; /* "http://HOST:PORT" */
	size_t endpoint_count;
	struct etcd_tls tls;
	const char *user; /* NULL: etcd is to ask for none */
	char password[ETCD_USER_MAX_BYTES];
};

enum etcd_result {
	ETCD_ANSWERED,	   /* as asked */
	ETCD_NOT_EXECUTED, /* and never will be */
	ETCD_UNKNOWN,	   /* executed, or not, or it may yet be */
};

/* Of the last call or probe that was not ANSWERED. */
struct etcd_error {
	char text[ETCD_ERROR_MAX_BYTES]; /* one line; the same for the same trouble */
	bool hopeless;			 /* people must act: trying again does not help */
};

struct etcd_client;

/* config is borrowed until etcd_client_free. NULL: no memory. */
struct etcd_client *etcd_client_new(const struct etcd_client_config *config);
void etcd_client_free(struct etcd_client *c);

void etcd_client_begin(struct etcd_client *c, int64_t limit_ns);
/* All budgets that begin from now on end together, this much later. From any thread. */
void etcd_client_stop(struct etcd_client *c, int64_t limit_ns);

/*
 * POSTs the request to path ("/v3/kv/txn"). writes: it may change something. *answer, on ANSWERED,
 * is the caller's (json_decref): an object whose header says that it is of our cluster.
 */
enum etcd_result etcd_client_call(struct etcd_client *c, const char *path, const json_t *request,
				  bool writes, json_t **answer);

/*
 * Sends this request, which reads, to every endpoint, and tells how many can be used. Fewer than
 * all: the error says why, of one that is hopeless if there is one. An endpoint of another cluster
 * than the others counts for all: 0, and hopeless.
 */
size_t etcd_client_probe(struct etcd_client *c, const char *path, const char *body);

const struct etcd_error *etcd_client_error(const struct etcd_client *c);

#endif
