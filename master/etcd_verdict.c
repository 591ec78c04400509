/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "master/etcd_verdict.h"

static enum etcd_verdict say(struct etcd_reason *reason, enum etcd_verdict verdict, bool hopeless,
			     const char *text)
{
	snprintf(reason->text, sizeof(reason->text), "%.*s", (int)strcspn(text, "\r\n"), text);
	reason->hopeless = hopeless;
	return verdict;
}

/* ---- Errors ---- */

/*
 * What etcd says when it has not executed a request and will not. Each was looked up in etcd: it is
 * said before a request is proposed, or by the check of rights before it is applied. Everything
 * that is not here may have been executed. That is so of "mvcc: database space exceeded" too: the
 * transaction that runs into the quota is applied, and then answered so.
 */
static const struct refusal {
	const char *text;
	enum etcd_verdict verdict;
	bool hopeless;
} refusals[] = {
	{"etcdserver: no leader", ETCD_SAYS_NOT_EXECUTED, false},
	{"raft proposal dropped", ETCD_SAYS_NOT_EXECUTED, false},
	{"etcdserver: too many requests", ETCD_SAYS_NOT_EXECUTED, false},
	{"etcdserver: rpc not supported for learner", ETCD_SAYS_NOT_EXECUTED, false},
	{"etcdserver: request is too large", ETCD_SAYS_NOT_EXECUTED, false},
	{"etcdserver: too many operations in txn request", ETCD_SAYS_NOT_EXECUTED, true},
	{"etcdserver: permission denied", ETCD_SAYS_NOT_EXECUTED, true},
	{"etcdserver: authentication failed, invalid user ID or password", ETCD_SAYS_NOT_EXECUTED,
	 true},
	{"etcdserver: authentication is not enabled", ETCD_SAYS_NOT_EXECUTED, true},
	{"etcdserver: user name is empty", ETCD_SAYS_NO_TOKEN, true},
	{"etcdserver: invalid auth token", ETCD_SAYS_NO_TOKEN, false},
	{"etcdserver: revision of auth store is old", ETCD_SAYS_NO_TOKEN, false},
	{"auth: revision in header is old", ETCD_SAYS_NO_TOKEN, false},
};

#define REFUSAL_COUNT (sizeof(refusals) / sizeof(refusals[0]))

/* In other words, where etcd's own do not tell people what to do. */
static const char *explain(const char *text)
{
	static const char *const words[][2] = {
		{"etcdserver: mvcc: database space exceeded",
		 "etcd's space quota is exceeded: compact and defragment it, then disarm its "
		 "alarm"},
		{"etcdserver: too many operations in txn request",
		 "etcd's --max-txn-ops is less than its default, 128"},
		{"etcdserver: user name is empty", "etcd asks for a user and password"},
		{"etcdserver: authentication is not enabled",
		 "a user is given, but etcd's authentication is not enabled"},
		{"etcdserver: authentication failed, invalid user ID or password",
		 "etcd does not accept the user and password"},
		{"etcdserver: permission denied", "etcd does not permit its user to do this"},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text, words[i][0]) == 0)
			return words[i][1];
	return text;
}

static enum etcd_verdict judge_error(const char *text, struct etcd_reason *reason)
{
	for (size_t i = 0; i < REFUSAL_COUNT; i++)
		if (strcmp(text, refusals[i].text) == 0)
			return say(reason, refusals[i].verdict, refusals[i].hopeless,
				   explain(text));
	return say(reason, ETCD_SAYS_LOST, false, explain(text));
}

/* Not of etcd's gateway, but of a web server: its own, or what else is there. */
static enum etcd_verdict judge_web_server(const struct etcd_http_answer *http,
					  struct etcd_reason *reason)
{
	char line[ETCD_HTTP_ERROR_BYTES];

	if (strstr(http->body, "HTTP request to an HTTPS server"))
		return say(reason, ETCD_SAYS_LOST, true, "it serves https, not http");
	snprintf(line, sizeof(line), "HTTP status %ld, as of no etcd 3.4 or later", http->status);
	return say(reason, ETCD_SAYS_LOST, http->status >= 300 && http->status < 500, line);
}

/* The words are in "error", and from etcd 3.6 on in "message" alone. */
static enum etcd_verdict judge_status(const struct etcd_http_answer *http,
				      struct etcd_reason *reason)
{
	json_t *body = json_loadb(http->body, http->len, 0, NULL);
	const char *text = json_string_value(json_object_get(body, "error"));
	enum etcd_verdict verdict;

	if (!text)
		text = json_string_value(json_object_get(body, "message"));
	verdict = text && *text ? judge_error(text, reason) : judge_web_server(http, reason);
	json_decref(body);
	return verdict;
}

/* ---- Answers ---- */

/*
 * A stranger's answer to a transaction that did not succeed has changed nothing: all of ours
 * compare something that only our cluster has.
 */
static enum etcd_verdict judge_header(const json_t *answer, char cluster[ETCD_CLUSTER_ID_BYTES],
				      struct etcd_reason *reason)
{
	const json_t *header = json_object_get(answer, "header");
	const char *id = json_string_value(json_object_get(header, "cluster_id"));

	if (!id || !*id || strlen(id) >= ETCD_CLUSTER_ID_BYTES)
		return say(reason, ETCD_SAYS_LOST, true, "answers, but not as an etcd");
	if (!*cluster)
		strcpy(cluster, id);
	if (strcmp(cluster, id) == 0)
		return ETCD_SAYS_GOOD;
	return say(reason,
		   json_is_true(json_object_get(answer, "succeeded")) ? ETCD_SAYS_LOST
								      : ETCD_SAYS_STRANGER,
		   true, "is of another etcd cluster than the other endpoints, or than at start");
}

enum etcd_verdict etcd_judge(const struct etcd_http_answer *http,
			     char cluster[ETCD_CLUSTER_ID_BYTES], json_t **answer,
			     struct etcd_reason *reason)
{
	enum etcd_verdict verdict;
	json_t *body;

	if (http->status != 200)
		return judge_status(http, reason);
	body = json_loadb(http->body, http->len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(body)) {
		json_decref(body);
		return say(reason, ETCD_SAYS_LOST, false,
			   "the answer is not JSON, or not all of it");
	}
	verdict = judge_header(body, cluster, reason);
	if (verdict == ETCD_SAYS_GOOD)
		*answer = body;
	else
		json_decref(body);
	return verdict;
}
