/* SPDX-License-Identifier: MIT */
/* An etcd whose answers are well-formed and cannot be: no outcome but UNKNOWN follows from them. */
#include <errno.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lockcore/moment.h"
#include "tests/fake_http.h"
#include "tests/store_place.h"

#define IDENTITY "format=1 cluster=dlock id=00112233445566778899aabbccddeeff"
#define HEADER	 "\"header\":{\"cluster_id\":\"7\",\"revision\":\"5\"}"
#define LEADER                                                                                     \
	"epoch=1 instance=0000000000000001 sequence=1 lease_ns=7 "                                 \
	"leader_lease_ns=11 asked_by=000000000000000d"
#define FENCE "epoch=1 instance=0000000000000001"

struct lie {
	struct place *place;
	struct fake *fake;
	struct store *store;
};

/* One response_range with a key and its value; NULL: with none. */
static const char *one(const char *key, const char *value)
{
	static char texts[8][600];
	static unsigned next;
	char *text = texts[next++ % 8], k[200], v[200];

	if (!key)
		return "{\"response_range\":{}}";
	b64_ntop((const unsigned char *)key, strlen(key), k, sizeof(k));
	b64_ntop((const unsigned char *)value, strlen(value), v, sizeof(v));
	snprintf(text, 600, "{\"response_range\":{\"kvs\":[{\"key\":\"%s\",\"value\":\"%s\"}]}}", k,
		 v);
	return text;
}

static void tell(struct lie *l, bool succeeded, const char *a, const char *b, const char *c)
{
	char body[2000];

	snprintf(body, sizeof(body), "{" HEADER "%s,\"responses\":[%s%s%s%s%s]}",
		 succeeded ? ",\"succeeded\":true" : "", a ? a : "", b ? "," : "", b ? b : "",
		 c ? "," : "", c ? c : "");
	fake_tell(l->fake, FAKE_ANSWER, 200, body);
}

/* The store is open: it has asked who is there, and looked at the key space. */
static int make_lie(void **state)
{
	struct lie *l = calloc(1, sizeof(*l));
	void *place;

	if (make_place(&place))
		return -1;
	l->place = place;
	l->fake = fake_new();
	snprintf(l->place->spec, sizeof(l->place->spec), "etcd:%s", fake_url(l->fake));
	l->place->options.leader_lease_ns = 240 * NS_PER_SEC;
	fake_tell(l->fake, FAKE_ANSWER, 200, "{" HEADER "}");
	tell(l, true, one("/dlock/dlock", IDENTITY), one("/dlock/dlock", ""), NULL);
	l->store = open_place(l->place);
	*state = l;
	return 0;
}

static int free_lie(void **state)
{
	struct lie *l = *state;
	void *place = l->place;

	store_close(l->store);
	fake_free(l->fake);
	remove_place(&place);
	free(l);
	return 0;
}

static void assert_unknown(struct lie *l, struct engine_op op, const char *words)
{
	struct engine_outcome out = run(l->store, op);

	assert_int_equal(out.result, ENGINE_UNKNOWN);
	if (!strstr(out.error, words))
		fail_msg("\"%s\" has not \"%s\"", out.error, words);
}

static const struct engine_op read_op = {.kind = ENGINE_READ}, load_op = {.kind = ENGINE_LOAD};

static struct engine_op from(uint64_t sequence)
{
	return swap_op(cell(1, 1, sequence), cell(1, 1, sequence + 1));
}

static void test_truth_is_not_believed(void **state)
{
	struct lie *l = *state;
	struct engine_outcome out;

	tell(l, true, one("/dlock/leader", LEADER), one("/dlock/fence", FENCE), NULL);
	assert_cell(read_cell(l->store), cell(1, 1, 1));
	tell(l, false, one("/dlock/dlock", IDENTITY), one("/dlock/leader", LEADER),
	     one("/dlock/fence", FENCE));
	out = run(l->store, from(2));
	assert_int_equal(out.result, ENGINE_REFUSED);
	assert_cell(out.cell, cell(1, 1, 1));
}

/* The comparison is said to have failed, with nothing that differs. */
static void test_refusal_without_a_reason_is_believed(void **state)
{
	struct lie *l = *state;
	struct engine_op put = {.kind = ENGINE_PUT, .expect = cell(1, 1, 9), .session = {"n", 1}};

	tell(l, false, one("/dlock/dlock", IDENTITY), one("/dlock/leader", LEADER),
	     one("/dlock/fence", FENCE));
	assert_unknown(l, from(1), "contradicts itself");
	tell(l, false, one("/dlock/dlock", IDENTITY), one("/dlock/leader", LEADER),
	     one("/dlock/fence", FENCE));
	assert_unknown(l, put, "contradicts itself");
	tell(l, false, one("/dlock/dlock", IDENTITY), NULL, NULL);
	assert_unknown(l, read_op, "contradicts itself");
	tell(l, false, one("/dlock/dlock", IDENTITY), NULL, NULL);
	assert_unknown(l, load_op, "contradicts itself");
}

static void test_refusal_without_the_cell_is_believed(void **state)
{
	struct lie *l = *state;

	fake_tell(l->fake, FAKE_ANSWER, 200, "{" HEADER "}");
	assert_unknown(l, from(2), "without what was asked for");
	tell(l, false, one("/dlock/dlock", IDENTITY), NULL, NULL);
	assert_unknown(l, from(2), "without what was asked for");
	tell(l, false, one("/dlock/dlock", IDENTITY), one(NULL, NULL), one(NULL, NULL));
	assert_unknown(l, from(2), "leader is missing");
	tell(l, false, one(NULL, NULL), one("/dlock/leader", LEADER), one("/dlock/fence", FENCE));
	assert_unknown(l, from(2), "dlock is missing");
	fake_tell(l->fake, FAKE_ANSWER, 200,
		  "{" HEADER
		  ",\"responses\":[{\"response_range\":{\"kvs\":[{\"value\":\"!!\"}]}}]}");
	assert_unknown(l, from(2), "dlock is missing");
}

static void test_read_of_half_a_cell_is_believed(void **state)
{
	struct lie *l = *state;

	fake_tell(l->fake, FAKE_ANSWER, 200, "{" HEADER ",\"succeeded\":true}");
	assert_unknown(l, read_op, "without what was asked for");
	tell(l, true, one("/dlock/leader", LEADER), NULL, NULL);
	assert_unknown(l, read_op, "without what was asked for");
	tell(l, true, one("/dlock/leader", LEADER), "{\"response_put\":{}}", NULL);
	assert_unknown(l, read_op, "without what was asked for");
	tell(l, true, one("/dlock/leader", "epoch=1"), one("/dlock/fence", FENCE), NULL);
	assert_unknown(l, read_op, "leader is missing or");
	tell(l, true, one("/dlock/leader", LEADER), one("/dlock/fence", "epoch=2"), NULL);
	assert_unknown(l, read_op, "fence is missing or");
}

#define PAGE(more, key)                                                                            \
	"{" HEADER ",\"succeeded\":true,\"responses\":[{\"response_range\":{" more                 \
	"\"kvs\":[{\"key\":\"" key "\"}]}}]}"
/* "/dlock/session/n/0000000000000001" */
#define SESSION_KEY "L2Rsb2NrL3Nlc3Npb24vbi8wMDAwMDAwMDAwMDAwMDAx"

static void test_registry_is_read_in_part_or_without_end(void **state)
{
	struct lie *l = *state;

	/* More that is not there: the same page could be asked for without end. */
	fake_tell(l->fake, FAKE_ANSWER, 200,
		  "{" HEADER
		  ",\"succeeded\":true,\"responses\":[{\"response_range\":{\"more\":true}}]}");
	assert_unknown(l, load_op, "cannot be followed");
	/* The second page fails. */
	fake_tell(l->fake, FAKE_ANSWER, 200, PAGE("\"more\":true,", SESSION_KEY));
	fake_tell(l->fake, FAKE_ANSWER, 400,
		  "{\"error\":\"etcdserver: mvcc: required revision has been "
		  "compacted\",\"code\":11}");
	assert_unknown(l, load_op, "compacted");
	/* It begins behind the first one's last key, and is as of its revision. */
	assert_non_null(strstr(fake_last(l->fake), "\"revision\":5"));
	assert_non_null(strstr(fake_last(l->fake), SESSION_KEY "AA==\""));
	fake_tell(l->fake, FAKE_ANSWER, 200, "{" HEADER ",\"succeeded\":true}");
	assert_unknown(l, load_op, "without what was asked for");
	fake_tell(l->fake, FAKE_ANSWER, 200, PAGE("", "Z"));
	assert_unknown(l, load_op, "no dlock wrote");
	fake_tell(l->fake, FAKE_ANSWER, 200, PAGE("", SESSION_KEY));
	assert_sessions(l->store, "n=1 ");
}

#define LIE_TEST(f) cmocka_unit_test_setup_teardown(f, make_lie, free_lie)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIE_TEST(test_truth_is_not_believed),
		LIE_TEST(test_refusal_without_a_reason_is_believed),
		LIE_TEST(test_refusal_without_the_cell_is_believed),
		LIE_TEST(test_read_of_half_a_cell_is_believed),
		LIE_TEST(test_registry_is_read_in_part_or_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
