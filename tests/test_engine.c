/* SPDX-License-Identifier: MIT */
/*
 * What the core relies on, of every store: the operations, their outcomes, their order.
 * usage: test_engine sqlite|etcd
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/etcd_cluster.h"
#include "tests/store_place.h"

static struct etcd_cluster cluster; /* with "etcd" */
static bool on_etcd;

static void test_new_store_is_not_zero(void **state)
{
	struct store *s = open_place(*state);

	assert_cell(read_cell(s), cell(0, 0, 0));
	assert_sessions(s, "");
	store_close(s);
}

static void test_high_bits_are_lost_over_reopen(void **state)
{
	struct engine_cell high = {.instance = UINT64_MAX,
				   .epoch = UINT64_MAX - 1,
				   .sequence = 1ull << 63,
				   .lease_ns = INT64_MAX,
				   .leader_lease_ns = INT64_MAX - 1,
				   .asked_by = UINT64_MAX - 2};
	struct store *s = open_place(*state);

	assert_int_equal(swap(s, cell(0, 0, 0), high), ENGINE_DONE);
	assert_int_equal(write_session(s, ENGINE_PUT, high, "n", UINT64_MAX), ENGINE_DONE);
	store_close(s);
	s = open_place(*state);
	assert_cell(read_cell(s), high);
	assert_sessions(s, "n=18446744073709551615 ");
	assert_int_equal(swap(s, high, cell(1, 2, 3)), ENGINE_DONE);
	store_close(s);
}

static void test_swap_overlooks_a_difference(void **state)
{
	struct engine_cell now = cell(5, 6, 7);
	struct engine_cell others[] = {
		cell(4, 6, 7), cell(5, 5, 7), cell(5, 6, 8), cell(0, 0, 0), now, now, now};
	struct store *s = open_place(*state);
	struct engine_outcome out;

	others[4].lease_ns++;
	others[5].leader_lease_ns++;
	others[6].asked_by++;
	assert_int_equal(swap(s, cell(0, 0, 0), now), ENGINE_DONE);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		out = run(s, swap_op(others[i], cell(9, 9, 9)));
		assert_int_equal(out.result, ENGINE_REFUSED);
		assert_cell(out.cell, now);
	}
	assert_cell(read_cell(s), now);
	store_close(s);
}

/* A node that finds masters of two key spaces in its list tells them apart by it. */
static void test_key_spaces_have_one_number(void **state)
{
	struct store *s = open_place(*state);
	struct place *p = *state;
	const char *prefix = p->options.etcd_prefix;
	uint64_t first = run(s, (struct engine_op){.kind = ENGINE_READ}).cluster;
	struct engine_outcome out = run(s, (struct engine_op){.kind = ENGINE_LOAD});

	free(out.sessions);
	assert_true(first != 0);
	assert_true(out.cluster == first);
	store_close(s);
	s = open_place(p);
	assert_true(run(s, (struct engine_op){.kind = ENGINE_READ}).cluster == first);
	store_close(s);
	unlink(p->path);
	p->options.etcd_prefix = "/test/another/";
	s = open_place(p);
	assert_true(run(s, (struct engine_op){.kind = ENGINE_READ}).cluster != first);
	store_close(s);
	p->options.etcd_prefix = prefix;
}

static void test_fenced_master_writes(void **state)
{
	struct engine_cell now = cell(5, 6, 7);
	struct engine_cell fenced[] = {cell(5, 5, 7), cell(4, 6, 7), cell(0, 0, 0)};
	struct store *s = open_place(*state);

	assert_int_equal(swap(s, cell(0, 0, 0), now), ENGINE_DONE);
	assert_int_equal(write_session(s, ENGINE_PUT, now, "a", 1), ENGINE_DONE);
	for (size_t i = 0; i < sizeof(fenced) / sizeof(fenced[0]); i++) {
		assert_int_equal(write_session(s, ENGINE_PUT, fenced[i], "b", 2), ENGINE_REFUSED);
		assert_int_equal(write_session(s, ENGINE_DELETE, fenced[i], "a", 1),
				 ENGINE_REFUSED);
	}
	assert_sessions(s, "a=1 ");
	/* The sequence is no fence: a leader renews while its registry writes are under way. */
	assert_int_equal(write_session(s, ENGINE_PUT, cell(5, 6, 1), "b", 2), ENGINE_DONE);
	store_close(s);
}

static void test_delete_takes_another_instance(void **state)
{
	struct engine_cell none = cell(0, 0, 0);
	char longest[NODE_ID_MAX_BYTES + 1] = {0}, text[100];
	struct store *s = open_place(*state);

	memset(longest, 'n', NODE_ID_MAX_BYTES);
	assert_int_equal(write_session(s, ENGINE_PUT, none, longest, 1), ENGINE_DONE);
	assert_int_equal(write_session(s, ENGINE_PUT, none, longest, 2), ENGINE_DONE);
	assert_int_equal(write_session(s, ENGINE_DELETE, none, longest, 1), ENGINE_DONE);
	snprintf(text, sizeof(text), "%s=2 ", longest);
	assert_sessions(s, text);
	assert_int_equal(write_session(s, ENGINE_DELETE, none, "absent", 1), ENGINE_DONE);
	assert_int_equal(write_session(s, ENGINE_DELETE, none, longest, 2), ENGINE_DONE);
	assert_sessions(s, "");
	store_close(s);
}

/* The thread. */

static void test_close_drops_what_was_submitted(void **state)
{
	struct store *s = open_place(*state);

	for (uint64_t i = 0; i < 50; i++) {
		struct engine_op op = swap_op(cell(0, 0, i), cell(0, 0, i + 1));

		assert_int_equal(store_submit(s, &op), 0);
	}
	store_close(s);
	store_close(NULL);
	s = open_place(*state);
	assert_cell(read_cell(s), cell(0, 0, 50));
	store_close(s);
}

static void test_queue_grows_without_bound_or_out_of_order(void **state)
{
	struct engine_op op = {.kind = ENGINE_LOAD};
	struct store *s = open_place(*state);

	for (op.id = 1; op.id <= STORE_QUEUE_MAX; op.id++)
		assert_int_equal(store_submit(s, &op), 0);
	assert_int_equal(store_submit(s, &op), -ENOBUFS);
	for (uint64_t id = 1; id <= STORE_QUEUE_MAX / 2; id++) {
		struct engine_outcome out = collect(s);

		assert_int_equal(out.id, id);
		free(out.sessions);
	}
	assert_int_equal(store_submit(s, &op), 0);
	store_close(s); /* frees the registries that nobody collected */
}

/* The registry. */

#define MANY 2500 /* etcd's come in pages of 1000 */

static int compare_instances(const void *a, const void *b)
{
	const struct engine_session *x = a, *y = b;

	return x->instance < y->instance ? -1 : x->instance > y->instance;
}

static void test_registry_of_thousands_loses_some(void **state)
{
	struct store *s = open_place(*state);
	struct engine_outcome out;
	uint64_t sent = 0, done = 0;

	while (done < MANY) {
		struct engine_op op = {.id = sent + 1, .kind = ENGINE_PUT};

		snprintf(op.session.node, sizeof(op.session.node), "node-%d", (int)sent);
		op.session.instance = sent + 1;
		if (sent < MANY && store_submit(s, &op) == 0) {
			sent++;
			continue;
		}
		out = collect(s);
		assert_int_equal(out.id, ++done);
		assert_int_equal(out.result, ENGINE_DONE);
	}
	out = run(s, (struct engine_op){.kind = ENGINE_LOAD});
	assert_int_equal(out.result, ENGINE_DONE);
	assert_int_equal(out.session_count, MANY);
	qsort(out.sessions, MANY, sizeof(*out.sessions), compare_instances);
	for (uint64_t i = 0; i < MANY; i++) {
		char node[32];

		snprintf(node, sizeof(node), "node-%d", (int)i);
		assert_int_equal(out.sessions[i].instance, i + 1);
		assert_string_equal(out.sessions[i].node, node);
	}
	free(out.sessions);
	store_close(s);
}

static void test_node_with_a_strange_name_is_lost(void **state)
{
	static const char *const names[] = {"a",   "a.b",     "a/b", "a/0000000000000001",
					    "b c", "\xc3\xa9"};
	struct store *s = open_place(*state);
	struct engine_cell none = cell(0, 0, 0);
	char text[100];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text), "%s=1 ", names[i]);
		assert_int_equal(write_session(s, ENGINE_PUT, none, names[i], 1), ENGINE_DONE);
		assert_sessions(s, text);
		assert_int_equal(write_session(s, ENGINE_DELETE, none, names[i], 1), ENGINE_DONE);
	}
	assert_sessions(s, "");
	store_close(s);
}

static struct engine_op session_op(uint64_t id, enum engine_kind kind, struct engine_cell fence,
				   uint64_t instance)
{
	struct engine_op op = {.id = id, .kind = kind, .expect = fence};

	snprintf(op.session.node, sizeof(op.session.node), "n%d", (int)instance);
	op.session.instance = instance;
	return op;
}

/* They stand in the queue together, and may share a transaction. */
static void test_writes_in_the_queue_are_mixed_up(void **state)
{
	struct engine_cell now = cell(5, 6, 7), fenced = cell(5, 5, 7);
	const struct engine_op ops[] = {
		session_op(1, ENGINE_PUT, now, 1),
		session_op(2, ENGINE_PUT, now, 2),
		session_op(3, ENGINE_DELETE, now, 1),
		session_op(4, ENGINE_DELETE, now, 2),
		session_op(5, ENGINE_PUT, now, 2),
		session_op(6, ENGINE_PUT, fenced, 3),
		session_op(7, ENGINE_DELETE, fenced, 2),
		session_op(8, ENGINE_PUT, now, 4),
		swap_op(now, cell(5, 7, 8)),
		session_op(10, ENGINE_PUT, now, 5),
		session_op(11, ENGINE_PUT, cell(5, 7, 8), 6),
	};
	const uint64_t refused = 1 << 6 | 1 << 7 | 1 << 10;
	struct store *s = open_place(*state);

	for (int turn = 0; turn < 20; turn++) { /* they meet the thread at different points */
		struct engine_cell is = read_cell(s);

		assert_int_equal(swap(s, is, now), ENGINE_DONE);
		for (uint64_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
			struct engine_op op = ops[i];

			op.id = i + 1;
			assert_int_equal(store_submit(s, &op), 0);
		}
		for (uint64_t id = 1; id <= sizeof(ops) / sizeof(ops[0]); id++) {
			struct engine_outcome out = collect(s);

			assert_int_equal(out.id, id);
			assert_int_equal(out.result,
					 refused >> id & 1 ? ENGINE_REFUSED : ENGINE_DONE);
		}
		assert_sessions(s, "n2=2 n4=4 n6=6 ");
		assert_int_equal(write_session(s, ENGINE_DELETE, cell(5, 7, 8), "n2", 2),
				 ENGINE_DONE);
		assert_int_equal(write_session(s, ENGINE_DELETE, cell(5, 7, 8), "n4", 4),
				 ENGINE_DONE);
		assert_int_equal(write_session(s, ENGINE_DELETE, cell(5, 7, 8), "n6", 6),
				 ENGINE_DONE);
	}
	store_close(s);
}

/* Each test on etcd has a key space of its own. */
static int make_engine(void **state)
{
	static char prefix[32];
	static unsigned number;
	struct place *p;
	int rc = make_place(state);

	p = *state;
	if (rc || !on_etcd)
		return rc;
	snprintf(prefix, sizeof(prefix), "/test/%u/", ++number);
	etcd_spec(&cluster, p->spec, sizeof(p->spec));
	p->options.etcd_prefix = prefix;
	p->options.leader_lease_ns = ETCD_ROOMY_NS;
	return 0;
}

#define ENGINE_TEST(f) cmocka_unit_test_setup_teardown(f, make_engine, remove_place)

static int start_etcd(void **state)
{
	etcd_prepare(&cluster, 1);
	etcd_start(&cluster);
	return 0;
}

static int stop_etcd(void **state)
{
	etcd_remove(&cluster);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		ENGINE_TEST(test_new_store_is_not_zero),
		ENGINE_TEST(test_high_bits_are_lost_over_reopen),
		ENGINE_TEST(test_swap_overlooks_a_difference),
		ENGINE_TEST(test_key_spaces_have_one_number),
		ENGINE_TEST(test_fenced_master_writes),
		ENGINE_TEST(test_delete_takes_another_instance),
		ENGINE_TEST(test_close_drops_what_was_submitted),
		ENGINE_TEST(test_queue_grows_without_bound_or_out_of_order),
		ENGINE_TEST(test_registry_of_thousands_loses_some),
		ENGINE_TEST(test_writes_in_the_queue_are_mixed_up),
		ENGINE_TEST(test_node_with_a_strange_name_is_lost),
	};

	on_etcd = argc > 1 && !strcmp(argv[1], "etcd");
	if (!on_etcd)
		return cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
	need_etcd();
	return cmocka_run_group_tests_name("etcd", tests, start_etcd, stop_etcd);
}
