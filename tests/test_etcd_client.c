/* SPDX-License-Identifier: MIT */
/* What a server can do to us, and which of it is a transaction that may have been executed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lockcore/moment.h"
#include "master/etcd_client.h"
#include "tests/fake_http.h"

#define GOOD	  "{\"header\":{\"cluster_id\":\"7\"},\"succeeded\":true}"
#define ELSE	  "{\"header\":{\"cluster_id\":\"7\"}}"
#define STRANGE	  "{\"header\":{\"cluster_id\":\"8\"}}"
#define STRANGER  "{\"header\":{\"cluster_id\":\"8\"},\"succeeded\":true}"
#define ERROR(e)  "{\"error\":\"" e "\",\"message\":\"" e "\",\"code\":14}"
#define TOKEN(t)  "{\"header\":{\"cluster_id\":\"7\"},\"token\":\"" t "\"}"
#define NO_LEADER ERROR("etcdserver: no leader")

/* Only a server that hangs meets the limit; where one is to, the test waits for it. */
#define ROOMY_NS (60 * NS_PER_SEC)
#define SHORT_NS (2 * NS_PER_SEC)

/* Two endpoints, asked in this order. */
struct pair {
	struct fake *a, *b;
	struct etcd_client_config config;
	struct etcd_client *client;
	json_t *request, *answer;
};

static int make_pair(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	p->a = fake_new();
	p->b = fake_new();
	strcpy(p->config.endpoints[0], fake_url(p->a));
	strcpy(p->config.endpoints[1], fake_url(p->b));
	p->config.endpoint_count = 2;
	p->client = etcd_client_new(&p->config);
	p->request = json_object();
	assert_non_null(p->client);
	*state = p;
	return 0;
}

static int free_pair(void **state)
{
	struct pair *p = *state;

	json_decref(p->answer);
	json_decref(p->request);
	etcd_client_free(p->client);
	fake_free(p->a);
	fake_free(p->b);
	free(p);
	return 0;
}

static enum etcd_result call_in(struct pair *p, bool writes, int64_t limit_ns)
{
	json_decref(p->answer);
	p->answer = NULL;
	etcd_client_begin(p->client, limit_ns);
	return etcd_client_call(p->client, "/v3/kv/txn", p->request, writes, &p->answer);
}

static enum etcd_result call(struct pair *p, bool writes)
{
	return call_in(p, writes, ROOMY_NS);
}

static void assert_says(struct pair *p, const char *words)
{
	const struct etcd_error *error = etcd_client_error(p->client);

	assert_null(strchr(error->text, '\n'));
	if (!strstr(error->text, words))
		fail_msg("\"%s\" has not \"%s\"", error->text, words);
}

/* ---- A request that writes ---- */

static const struct loss {
	enum fake_act act;
	int status;
	const char *body;
	const char *words;
} losses[] = {
	{FAKE_TORN, 200, GOOD, "partial"},
	{FAKE_RAW, 0, "not HTTP at all\r\n\r\n", "nsupported"},
	{FAKE_RAW, 0, "HTTP/1.1 200 OK\r\n\r\n{\"header\":{\"clu", "not JSON, or not all of it"},
	{FAKE_RAW, 0, "HTTP/1.1 200", "closed without"},
	{FAKE_CLOSE, 0, "", "closed without"},
	{FAKE_HUGE, 200, "", "longer than any"},
	{FAKE_HANG, 0, "", "no answer in time"},
	{FAKE_ANSWER, 200, "", "not JSON"},
	{FAKE_ANSWER, 200, "[]", "not JSON"},
	{FAKE_ANSWER, 200, "{}", "not as an etcd"},
	{FAKE_ANSWER, 200, GOOD GOOD, "not JSON"},
	{FAKE_ANSWER, 200, "{\"header\":{\"cluster_id\":7}}", "not as an etcd"},
	{FAKE_ANSWER, 301, "", "HTTP status 301"},
	{FAKE_ANSWER, 404, "Not Found", "no etcd 3.4"},
	{FAKE_ANSWER, 502, "<html>Bad Gateway</html>", "HTTP status 502"},
	{FAKE_ANSWER, 503, "", "HTTP status 503"},
	{FAKE_ANSWER, 503, ERROR("etcdserver: request timed out"), "request timed out"},
	{FAKE_ANSWER, 503, ERROR("etcdserver: leader changed"), "leader changed"},
	{FAKE_ANSWER, 500, ERROR("etcdserver: server stopped"), "server stopped"},
	{FAKE_ANSWER, 504, ERROR("context deadline exceeded"), "deadline"},
	/* etcd applies the transaction that runs into its quota, and answers it so. */
	{FAKE_ANSWER, 429, ERROR("etcdserver: mvcc: database space exceeded"), "space quota"},
	{FAKE_ANSWER, 418, "{\"message\":\"of\\nlater versions\",\"code\":2}", "of"},
};

#define LOSS_COUNT (sizeof(losses) / sizeof(losses[0]))

static int64_t limit_for(const struct loss *l)
{
	return l->act == FAKE_HANG ? SHORT_NS : ROOMY_NS;
}

static void test_write_that_may_be_done_is_sent_again(void **state)
{
	struct pair *p = *state;

	for (size_t i = 0; i < LOSS_COUNT; i++) {
		const struct loss *l = &losses[i];

		fake_tell(p->a, l->act, l->status, l->body);
		print_message("%s\n", l->words);
		assert_int_equal(call_in(p, true, limit_for(l)), ETCD_UNKNOWN);
		assert_says(p, l->words);
		assert_int_equal(fake_requests(p->b), i);
		/* And the next operation is for the other one. */
		fake_tell(p->b, FAKE_CLOSE, 0, "");
		assert_int_equal(call(p, true), ETCD_UNKNOWN);
		assert_int_equal(fake_requests(p->a), i + 1);
	}
}

static void test_read_gives_up_at_the_first_endpoint(void **state)
{
	struct pair *p = *state;

	for (size_t i = 0; i < LOSS_COUNT; i++) {
		const struct loss *l = &losses[i];

		fake_tell(p->a, l->act, l->status, l->body);
		fake_tell(p->b, FAKE_ANSWER, 200, GOOD);
		print_message("%s\n", l->words);
		assert_int_equal(call_in(p, false, l->act == FAKE_HANG ? 6 * NS_PER_SEC : ROOMY_NS),
				 ETCD_ANSWERED);
		/* So that the next one begins with a again. */
		fake_tell(p->b, FAKE_CLOSE, 0, "");
		assert_int_equal(call(p, true), ETCD_UNKNOWN);
	}
}

static void test_write_that_is_not_done_is_given_up(void **state)
{
	static const char *const errors[] = {
		NO_LEADER,
		ERROR("raft proposal dropped"),
		ERROR("etcdserver: too many requests"),
		ERROR("etcdserver: rpc not supported for learner"),
		ERROR("etcdserver: permission denied"),
		ERROR("etcdserver: user name is empty"),
		"{\"message\":\"etcdserver: no leader\",\"code\":14}",
	};
	struct pair *p = *state;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		fake_tell(p->a, FAKE_ANSWER, 503, errors[i]);
		fake_tell(p->b, FAKE_ANSWER, 200, ELSE);
		assert_int_equal(call(p, true), ETCD_ANSWERED);
		assert_int_equal(fake_requests(p->b), 2 * i + 1);
		fake_tell(p->b, FAKE_CLOSE, 0, "");
		assert_int_equal(call(p, true), ETCD_UNKNOWN);
	}
}

static void test_failure_of_all_is_called_unknown(void **state)
{
	struct pair *p = *state;

	fake_tell(p->a, FAKE_ANSWER, 503, NO_LEADER);
	fake_tell(p->b, FAKE_ANSWER, 503, ERROR("etcdserver: too many requests"));
	assert_int_equal(call(p, true), ETCD_NOT_EXECUTED);
	assert_says(p, "none of 2 endpoints works");
	assert_says(p, "no leader");
}

/*
 * libcurl sends a request again by itself when a connection that it kept is closed before the first
 * byte of the answer. The first time it may have been executed.
 */
static void test_kept_connection_dies_and_the_write_is_repeated(void **state)
{
	struct pair *p = *state;

	fake_tell(p->a, FAKE_ANSWER, 200, GOOD);
	assert_int_equal(call(p, true), ETCD_ANSWERED);
	fake_tell(p->a, FAKE_CLOSE, 0, "");
	assert_int_equal(call(p, true), ETCD_UNKNOWN);
	assert_int_equal(fake_requests(p->a), 2);
	assert_int_equal(fake_requests(p->b), 0);
}

/* ---- Which endpoint ---- */

static void test_working_endpoint_is_forgotten(void **state)
{
	struct pair *p = *state;

	fake_tell(p->a, FAKE_HANG, 0, "");
	fake_tell(p->b, FAKE_ANSWER, 200, GOOD);
	assert_int_equal(call_in(p, false, 6 * NS_PER_SEC), ETCD_ANSWERED);
	for (int i = 0; i < 5; i++) {
		fake_tell(p->b, FAKE_ANSWER, 200, GOOD);
		assert_int_equal(call(p, i % 2), ETCD_ANSWERED);
	}
	assert_int_equal(fake_requests(p->a), 1);
}

static void test_closed_port_costs_the_write(void **state)
{
	struct pair *p = *state;

	fake_free(p->a); /* nobody listens there now */
	fake_tell(p->b, FAKE_CHUNKED, 200, GOOD);
	assert_int_equal(call(p, true), ETCD_ANSWERED);
	p->a = fake_new();
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

/* Not that it is quick, which a busy machine decides, but that it ends. */
static void test_endpoints_that_hang_are_waited_for_without_end(void **state)
{
	struct pair *p = *state;
	int64_t began = now_ns();

	fake_tell(p->a, FAKE_HANG, 0, "");
	fake_tell(p->b, FAKE_HANG, 0, "");
	assert_int_equal(call_in(p, false, SHORT_NS), ETCD_UNKNOWN);
	assert_true(now_ns() - began >= SHORT_NS / 2);
	assert_says(p, "no answer in time");
}

static void test_stopped_client_begins_something_new(void **state)
{
	struct pair *p = *state;

	etcd_client_stop(p->client, 0);
	assert_int_equal(call(p, true), ETCD_NOT_EXECUTED);
	assert_int_equal(call(p, false), ETCD_UNKNOWN);
	assert_int_equal(fake_requests(p->a) + fake_requests(p->b), 0);
}

/* ---- Another cluster ---- */

static void test_stranger_is_believed(void **state)
{
	struct pair *p = *state;

	fake_tell(p->a, FAKE_ANSWER, 200, GOOD);
	assert_int_equal(call(p, false), ETCD_ANSWERED);
	/* It has certainly not done it: its comparison failed. */
	fake_tell(p->a, FAKE_ANSWER, 200, STRANGE);
	fake_tell(p->b, FAKE_ANSWER, 200, ELSE);
	assert_int_equal(call(p, true), ETCD_ANSWERED);
	/* It has done it, whatever it is. */
	fake_tell(p->b, FAKE_ANSWER, 200, STRANGER);
	assert_int_equal(call(p, true), ETCD_UNKNOWN);
	assert_says(p, "another etcd cluster");
	assert_true(etcd_client_error(p->client)->hopeless);
}

static void test_two_clusters_in_one_list(void **state)
{
	struct pair *p = *state;

	fake_tell(p->a, FAKE_ANSWER, 200, ELSE);
	fake_tell(p->b, FAKE_ANSWER, 200, STRANGE);
	etcd_client_begin(p->client, ROOMY_NS);
	assert_int_equal(etcd_client_probe(p->client, "/v3/kv/range", "{}"), 0);
	assert_true(etcd_client_error(p->client)->hopeless);
	assert_says(p, "another etcd cluster");
}

/* ---- User and password ---- */

static void give_user(struct pair *p)
{
	p->config.user = "me";
	strcpy(p->config.password, "se\"cret");
}

static void test_forgotten_token_fails_the_write(void **state)
{
	struct pair *p = *state;

	give_user(p);
	fake_tell(p->a, FAKE_ANSWER, 200, TOKEN("one"));
	fake_tell(p->a, FAKE_ANSWER, 200, GOOD);
	assert_int_equal(call(p, true), ETCD_ANSWERED);
	assert_non_null(strstr(fake_last(p->a), "Authorization: one\r\n"));
	fake_tell(p->a, FAKE_ANSWER, 401, ERROR("etcdserver: invalid auth token"));
	fake_tell(p->a, FAKE_ANSWER, 200, TOKEN("two"));
	fake_tell(p->a, FAKE_ANSWER, 200, ELSE);
	assert_int_equal(call(p, true), ETCD_ANSWERED);
	assert_non_null(strstr(fake_last(p->a), "Authorization: two\r\n"));
	assert_int_equal(fake_requests(p->b), 0);
}

static void test_token_that_is_never_good_is_asked_for_without_end(void **state)
{
	struct pair *p = *state;

	give_user(p);
	fake_tell(p->a, FAKE_ANSWER, 200, TOKEN("one"));
	fake_tell(p->a, FAKE_ANSWER, 401, ERROR("etcdserver: invalid auth token"));
	/* a's token may be b's too; when it is not, b gives another. */
	fake_tell(p->b, FAKE_ANSWER, 401, ERROR("etcdserver: invalid auth token"));
	fake_tell(p->b, FAKE_ANSWER, 200, TOKEN("two"));
	fake_tell(p->b, FAKE_ANSWER, 401, ERROR("etcdserver: invalid auth token"));
	assert_int_equal(call(p, true), ETCD_NOT_EXECUTED);
	assert_says(p, "invalid auth token");
}

static void test_wrong_password_is_not_told(void **state)
{
	struct pair *p = *state;

	give_user(p);
	for (int i = 0; i < 2; i++)
		fake_tell(i ? p->b : p->a, FAKE_ANSWER, 400,
			  ERROR("etcdserver: authentication failed, invalid user ID or password"));
	assert_int_equal(call(p, true), ETCD_NOT_EXECUTED);
	assert_says(p, "does not accept the user and password");
	assert_true(etcd_client_error(p->client)->hopeless);
	assert_non_null(strstr(fake_last(p->a), "se\\\"cret"));
}

static void test_token_adds_a_header(void **state)
{
	struct pair *p = *state;

	give_user(p);
	fake_tell(p->a, FAKE_ANSWER, 200, TOKEN("one\\r\\nHost: elsewhere"));
	fake_tell(p->b, FAKE_ANSWER, 200, "{\"header\":{\"cluster_id\":\"7\"}}");
	assert_int_equal(call(p, true), ETCD_NOT_EXECUTED);
	assert_says(p, "without a token");
}

#define PAIR_TEST(f) cmocka_unit_test_setup_teardown(f, make_pair, free_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(test_write_that_may_be_done_is_sent_again),
		PAIR_TEST(test_read_gives_up_at_the_first_endpoint),
		PAIR_TEST(test_write_that_is_not_done_is_given_up),
		PAIR_TEST(test_failure_of_all_is_called_unknown),
		PAIR_TEST(test_kept_connection_dies_and_the_write_is_repeated),
		PAIR_TEST(test_working_endpoint_is_forgotten),
		PAIR_TEST(test_closed_port_costs_the_write),
		PAIR_TEST(test_endpoints_that_hang_are_waited_for_without_end),
		PAIR_TEST(test_stopped_client_begins_something_new),
		PAIR_TEST(test_stranger_is_believed),
		PAIR_TEST(test_two_clusters_in_one_list),
		PAIR_TEST(test_forgotten_token_fails_the_write),
		PAIR_TEST(test_token_that_is_never_good_is_asked_for_without_end),
		PAIR_TEST(test_wrong_password_is_not_told),
		PAIR_TEST(test_token_adds_a_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
