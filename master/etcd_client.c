/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lockcore/moment.h"
#include "master/etcd_client.h"
#include "master/etcd_verdict.h"

#define PATH_MAX_BYTES	40
#define TOKEN_MAX_BYTES 900 /* a JWT has 300 to 600 */

struct etcd_client {
	const struct etcd_client_config *config;
	struct etcd_http *http;
	size_t first;			     /* the endpoint that answered last */
	int64_t end_ns;			     /* of the budget, CLOCK_MONOTONIC */
	atomic_llong stop_ns;		     /* and of every budget; 0: not stopping */
	char cluster[ETCD_CLUSTER_ID_BYTES]; /* "": not known yet */
	char token[TOKEN_MAX_BYTES];	     /* "": none */
	struct etcd_error error;
};

/* ---- Time ---- */

/* Not the leases' clock: what it measures is how long the store's thread is away. */
static int64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

void etcd_client_begin(struct etcd_client *c, int64_t limit_ns)
{
	int64_t stop_ns = atomic_load(&c->stop_ns);

	c->end_ns = monotonic_ns() + limit_ns;
	if (stop_ns && stop_ns < c->end_ns)
		c->end_ns = stop_ns;
}

void etcd_client_stop(struct etcd_client *c, int64_t limit_ns)
{
	atomic_store(&c->stop_ns, monotonic_ns() + limit_ns);
}

static int64_t left_ns(const struct etcd_client *c)
{
	return c->end_ns - monotonic_ns();
}

/* ---- Errors ---- */

static void say(struct etcd_client *c, size_t endpoint, bool hopeless, const char *text)
{
	snprintf(c->error.text, sizeof(c->error.text), "%.150s: %.160s",
		 c->config->endpoints[endpoint], text);
	c->error.hopeless = hopeless;
}

const struct etcd_error *etcd_client_error(const struct etcd_client *c)
{
	return &c->error;
}

/* ---- One endpoint ---- */

static enum etcd_verdict judge(struct etcd_client *c, size_t endpoint,
			       const struct etcd_http_answer *http, json_t **answer)
{
	struct etcd_reason reason = {0};
	enum etcd_verdict verdict = etcd_judge(http, c->cluster, answer, &reason);

	if (verdict != ETCD_SAYS_GOOD)
		say(c, endpoint, reason.hopeless, reason.text);
	return verdict;
}

/*
 * share_ns is what this endpoint may have of the budget: a request that writes waits for its answer
 * until the budget is spent, since nobody else may be asked once it is sent.
 */
static enum etcd_verdict post(struct etcd_client *c, size_t endpoint, const char *path,
			      const char *body, int64_t share_ns, bool writes, json_t **answer)
{
	char url[ETCD_URL_MAX_BYTES + PATH_MAX_BYTES];
	struct etcd_http_request request = {
		.url = url,
		.body = body,
		.token = *c->token ? c->token : NULL,
		.limit_ns = left_ns(c),
	};
	struct etcd_http_answer http;

	assert(strlen(path) < PATH_MAX_BYTES);
	if (share_ns > request.limit_ns)
		share_ns = request.limit_ns;
	request.connect_ns = share_ns;
	if (!writes)
		request.limit_ns = share_ns;
	if (share_ns <= 0) {
		say(c, endpoint, false, "no answer in time");
		return ETCD_SAYS_NOT_EXECUTED;
	}
	snprintf(url, sizeof(url), "%s%s", c->config->endpoints[endpoint], path);
	switch (etcd_http_post(c->http, &request, &http)) {
	case ETCD_HTTP_ANSWERED:
		return judge(c, endpoint, &http, answer);
	case ETCD_HTTP_NOT_SENT:
		say(c, endpoint, http.hopeless, http.error);
		return ETCD_SAYS_NOT_EXECUTED;
	case ETCD_HTTP_LOST:
		break;
	}
	say(c, endpoint, http.hopeless, http.error);
	return ETCD_SAYS_LOST;
}

/* False: not now, and the error says why. */
static bool authenticate(struct etcd_client *c, size_t endpoint, int64_t share_ns)
{
	json_t *request =
		json_pack("{s:s, s:s}", "name", c->config->user, "password", c->config->password);
	char *body = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_t *answer = NULL;
	const char *token;

	*c->token = '\0';
	if (!body)
		say(c, endpoint, false, "no memory");
	else if (post(c, endpoint, "/v3/auth/authenticate", body, share_ns, false, &answer) ==
		 ETCD_SAYS_GOOD) {
		token = json_string_value(json_object_get(answer, "token"));
		if (token && strlen(token) < TOKEN_MAX_BYTES && !strpbrk(token, "\r\n"))
			strcpy(c->token, token);
		else
			say(c, endpoint, false, "authenticates without a token that can be used");
	}
	free(body);
	json_decref(request);
	json_decref(answer);
	return *c->token;
}

/* A token may have been forgotten, by a restart or for its age: then once more with another. */
static enum etcd_verdict ask(struct etcd_client *c, size_t endpoint, const char *path,
			     const char *body, int64_t share_ns, bool writes, json_t **answer)
{
	bool fresh = false;
	enum etcd_verdict verdict;

	if (c->config->user && !*c->token) {
		if (!authenticate(c, endpoint, share_ns))
			return ETCD_SAYS_NOT_EXECUTED;
		fresh = true;
	}
	verdict = post(c, endpoint, path, body, share_ns, writes, answer);
	if (verdict != ETCD_SAYS_NO_TOKEN || !c->config->user || fresh)
		return verdict;
	if (!authenticate(c, endpoint, share_ns))
		return ETCD_SAYS_NOT_EXECUTED;
	return post(c, endpoint, path, body, share_ns, writes, answer);
}

/* ---- All of them ---- */

/*
 * Of several endpoints that failed, the one that is first in the list is named, whichever was asked
 * first: so that a trouble that lasts is the same line each time.
 */
static void say_all_failed(struct etcd_client *c, const struct etcd_error *named)
{
	c->error.hopeless = named->hopeless;
	if (c->config->endpoint_count == 1)
		snprintf(c->error.text, sizeof(c->error.text), "%s", named->text);
	else
		snprintf(c->error.text, sizeof(c->error.text),
			 "none of %zu endpoints works; %.320s", c->config->endpoint_count,
			 named->text);
}

static enum etcd_result call(struct etcd_client *c, const char *path, const char *body, bool writes,
			     json_t **answer)
{
	size_t count = c->config->endpoint_count, first = c->first, told = count;
	struct etcd_error error = {0};

	for (size_t i = 0; i < count; i++) {
		size_t endpoint = (first + i) % count;
		int64_t share_ns = left_ns(c) / (int64_t)(count - i);
		enum etcd_verdict verdict = ask(c, endpoint, path, body, share_ns, writes, answer);

		if (verdict == ETCD_SAYS_GOOD) {
			c->first = endpoint;
			return ETCD_ANSWERED;
		}
		c->first = (endpoint + 1) % count;
		if (verdict == ETCD_SAYS_LOST && writes)
			return ETCD_UNKNOWN;
		if (endpoint < told) {
			told = endpoint;
			error = c->error;
		}
	}
	say_all_failed(c, &error);
	return writes ? ETCD_NOT_EXECUTED : ETCD_UNKNOWN;
}

enum etcd_result etcd_client_call(struct etcd_client *c, const char *path, const json_t *request,
				  bool writes, json_t **answer)
{
	char *body = json_dumps(request, JSON_COMPACT);
	enum etcd_result result;

	if (!body) {
		say(c, c->first, false, "no memory for the request");
		return ETCD_NOT_EXECUTED;
	}
	result = call(c, path, body, writes, answer);
	free(body);
	return result;
}

size_t etcd_client_probe(struct etcd_client *c, const char *path, const char *body)
{
	size_t count = c->config->endpoint_count, usable = 0;
	struct etcd_error trouble = {0};

	for (size_t i = 0; i < count; i++) {
		int64_t share_ns = left_ns(c) / (int64_t)(count - i);
		json_t *answer = NULL;
		enum etcd_verdict verdict = ask(c, i, path, body, share_ns, false, &answer);

		json_decref(answer);
		if (verdict == ETCD_SAYS_STRANGER)
			return 0;
		if (verdict == ETCD_SAYS_GOOD && !usable++)
			c->first = i;
		if (verdict != ETCD_SAYS_GOOD &&
		    (!*trouble.text || (c->error.hopeless && !trouble.hopeless)))
			trouble = c->error;
	}
	c->error = trouble;
	return usable;
}

/* ---- Life ---- */

struct etcd_client *etcd_client_new(const struct etcd_client_config *config)
{
	struct etcd_client *c = calloc(1, sizeof(*c));

	assert(config->endpoint_count > 0 && config->endpoint_count <= ETCD_ENDPOINTS_MAX);
	if (!c)
		return NULL;
	c->config = config;
	c->http = etcd_http_new(&config->tls, config->endpoint_count);
	if (c->http)
		return c;
	free(c);
	return NULL;
}

void etcd_client_free(struct etcd_client *c)
{
	if (!c)
		return;
	etcd_http_free(c->http);
	free(c);
}
