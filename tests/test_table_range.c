/* SPDX-License-Identifier: MIT */
/* Byte ranges: split, merged, converted in place, and waited for without waiting for oneself. */
#include "tests/table_fixture.h"

#define S LOCK_SHARED
#define X LOCK_EXCLUSIVE
#define U LOCK_NONE

/* A file that clients 1 to 4 have open; each is a lock owner of its own. */
static uint64_t shared_file(struct table *t)
{
	uint64_t ino = plain_file(t, "f");

	for (uint64_t client = 2; client <= 4; client++)
		opened_by(t, ino, client);
	return ino;
}

static uint64_t grant(struct table *t, uint64_t client, uint64_t ino, enum lock_mode mode,
		      int64_t start, int64_t end)
{
	return lock_granted(t, range_want(client, ino, mode, start, end, 0));
}

/* What a stranger who wants to write there would have in his way. */
static struct table_holder in_the_way(struct table *t, uint64_t ino, int64_t start, int64_t end)
{
	struct table_want want = range_want(4, ino, X, start, end, 0);
	struct table_holder holder;

	assert_ok(table_test_lock(t, &want, &holder));
	return holder;
}

static void expect_lock(struct table *t, uint64_t ino, int64_t byte, enum lock_mode mode,
			int64_t start, int64_t end)
{
	struct table_holder holder = in_the_way(t, ino, byte, byte);

	assert_int_equal(holder.mode, mode);
	assert_true(holder.start == start && holder.end == end);
}

/* ---- Split and merge ---- */

static void test_hole_unlocks_its_neighbours(void **state)
{
	uint64_t ino = shared_file(*state);

	grant(*state, 1, ino, X, 0, 9);
	grant(*state, 1, ino, U, 4, 5);
	expect_lock(*state, ino, 0, X, 0, 3);
	expect_lock(*state, ino, 4, U, 0, 0);
	expect_lock(*state, ino, 9, X, 6, 9);
	assert_int_equal(lock_count(*state), 2);
	grant(*state, 2, ino, X, 4, 5);
}

/* Programs walk what is locked from one answer to the next. */
static void test_a_later_lock_is_told_before_the_first(void **state)
{
	uint64_t ino = shared_file(*state);
	struct table_holder holder;

	grant(*state, 1, ino, X, 40, 49);
	grant(*state, 2, ino, X, 20, 29);
	grant(*state, 1, ino, X, 60, 69);
	holder = in_the_way(*state, ino, 0, RANGE_END);
	assert_true(holder.start == 20 && holder.client == 2);
	holder = in_the_way(*state, ino, 30, RANGE_END);
	assert_true(holder.start == 40 && holder.client == 1);
}

static void test_neighbours_are_not_merged(void **state)
{
	uint64_t ino = shared_file(*state);

	grant(*state, 1, ino, S, 0, 3);
	grant(*state, 1, ino, S, 8, 9);
	grant(*state, 1, ino, S, 4, 7);
	expect_lock(*state, ino, 5, S, 0, 9);
	assert_int_equal(lock_count(*state), 1);
}

static void test_strangers_are_merged(void **state)
{
	uint64_t ino = shared_file(*state);

	grant(*state, 1, ino, S, 0, 3);
	grant(*state, 2, ino, S, 4, 7);
	grant(*state, 1, ino, X, 8, 9);	  /* another mode */
	grant(*state, 1, ino, S, 11, 12); /* a gap */
	assert_int_equal(lock_count(*state), 4);
	expect_lock(*state, ino, 0, S, 0, 3);
}

static void test_downgrade_in_the_middle_loses_the_ends(void **state)
{
	uint64_t ino = shared_file(*state);

	grant(*state, 1, ino, X, 0, 9);
	grant(*state, 1, ino, S, 3, 6);
	expect_lock(*state, ino, 0, X, 0, 2);
	expect_lock(*state, ino, 3, S, 3, 6);
	expect_lock(*state, ino, 9, X, 7, 9);
	grant(*state, 2, ino, S, 3, 6);
	lock_refused(*state, range_want(2, ino, S, 2, 3, 0));
	lock_refused(*state, range_want(1, ino, X, 3, 6, 0));
}

static void test_upgrade_over_a_patchwork_leaves_patches(void **state)
{
	uint64_t ino = shared_file(*state);

	grant(*state, 1, ino, S, 0, 1);
	grant(*state, 1, ino, X, 2, 3);
	grant(*state, 1, ino, S, 6, 20);
	grant(*state, 1, ino, X, 1, 10);
	expect_lock(*state, ino, 0, S, 0, 0);
	expect_lock(*state, ino, 5, X, 1, 10);
	expect_lock(*state, ino, 11, S, 11, 20);
	assert_int_equal(lock_count(*state), 3);
}

static void test_refused_upgrade_loses_the_lock(void **state)
{
	uint64_t ino = shared_file(*state);

	grant(*state, 1, ino, S, 0, 9);
	grant(*state, 2, ino, S, 5, 5);
	lock_refused(*state, range_want(1, ino, X, 0, 9, 0));
	lock_refused(*state, range_want(3, ino, X, 0, 0, 0)); /* fcntl keeps what it had */
	assert_int_equal(lock_count(*state), 2);
}

static void test_ends_of_the_range_overflow(void **state)
{
	uint64_t ino = shared_file(*state);

	grant(*state, 1, ino, X, 0, RANGE_END);
	grant(*state, 1, ino, U, RANGE_END, RANGE_END);
	grant(*state, 2, ino, X, RANGE_END, RANGE_END);
	expect_lock(*state, ino, 0, X, 0, RANGE_END - 1);
	grant(*state, 1, ino, U, 0, 0);
	grant(*state, 2, ino, X, 0, 0);
	expect_lock(*state, ino, 1, X, 1, RANGE_END - 1);
	assert_int_equal(lock_count(*state), 3);
	grant(*state, 2, ino, U, 0, RANGE_END);
	grant(*state, 1, ino, X, RANGE_END, RANGE_END);
	expect_lock(*state, ino, RANGE_END, X, 1, RANGE_END);
}

static void test_ranges_past_32_bits_are_one(void **state)
{
	uint64_t ino = shared_file(*state);

	grant(*state, 1, ino, X, INT64_C(1) << 32, INT64_C(1) << 32);
	grant(*state, 2, ino, X, 0, 0);
	grant(*state, 2, ino, X, INT64_C(1) << 62, INT64_C(1) << 62);
	lock_refused(*state, range_want(3, ino, S, 1, RANGE_END, 0));
}

/* ---- Owners and handles ---- */

static void test_owner_conflicts_with_itself_over_two_handles(void **state)
{
	uint64_t ino = shared_file(*state);
	struct table_want want = range_want(1, ino, X, 5, 14, 0);
	struct attr attr;

	assert_ok(table_open(*state, 1, 9, ino, 0, at(0), &attr));
	want.handle = 9;
	grant(*state, 1, ino, X, 0, 9);
	lock_granted(*state, want); /* the same process, by its other descriptor */
	expect_lock(*state, ino, 0, X, 0, 4);
	expect_lock(*state, ino, 9, X, 5, 14);
	table_close(*state, 1, 9, at(0));
	expect_lock(*state, ino, 9, U, 0, 0);
	expect_lock(*state, ino, 0, X, 0, 4);
}

static void test_two_processes_of_a_node_are_one_owner(void **state)
{
	uint64_t ino = shared_file(*state);
	struct table_want want = range_want(1, ino, X, 5, 5, 0);

	grant(*state, 1, ino, X, 0, 9);
	want.owner++;
	lock_refused(*state, want);
	want.client = want.handle = 2; /* owner numbers are per client */
	want.owner = range_want(1, ino, X, 0, 0, 0).owner;
	lock_refused(*state, want);
}

static void test_getlk_tells_the_wrong_lock(void **state)
{
	uint64_t ino = shared_file(*state);
	struct table_holder holder;

	assert_int_equal(in_the_way(*state, ino, 0, RANGE_END).mode, U);
	grant(*state, 1, ino, S, 10, 19);
	grant(*state, 4, ino, S, 0, 99);
	holder = in_the_way(*state, ino, 0, RANGE_END); /* of client 4, not its own */
	assert_int_equal(holder.client, 1);
	assert_int_equal(holder.mode, S);
	assert_true(holder.start == 10 && holder.end == 19);
	assert_int_equal(holder.pid, 1001);
	assert_int_equal(in_the_way(*state, ino, 20, 30).mode, U);
}

/* ---- Waiting ---- */

static void test_disjoint_range_waits(void **state)
{
	uint64_t ino = shared_file(*state);

	grant(*state, 1, ino, X, 0, 9);
	lock_queued(*state, range_want(2, ino, X, 0, 19, 20));
	grant(*state, 3, ino, X, 20, 29);
	lock_refused(*state, range_want(3, ino, X, 15, 15, 0)); /* free, but another waits for it */
	lock_granted(*state, range_want(3, ino, U, 20, 29, 0));
	expect_no_grant(*state);
	grant(*state, 1, ino, U, 0, 4);
	expect_no_grant(*state);
	grant(*state, 1, ino, U, 5, 9);
	expect_grant(*state, 2, 20);
}

static void test_upgrade_waits_for_a_writer_that_waits_for_it(void **state)
{
	uint64_t ino = shared_file(*state);

	grant(*state, 1, ino, S, 0, 9);
	lock_queued(*state, range_want(2, ino, X, 0, 9, 20));
	grant(*state, 1, ino, X, 0, 9);
	expect_no_grant(*state);
	grant(*state, 1, ino, U, 0, 9);
	expect_grant(*state, 2, 20);
}

static void test_upgrade_waits_for_a_reader_behind_that_writer(void **state)
{
	uint64_t ino = shared_file(*state);

	grant(*state, 1, ino, S, 0, 9);
	lock_queued(*state, range_want(2, ino, X, 0, 9, 20));
	lock_queued(*state, range_want(3, ino, S, 0, 9, 30)); /* behind 2, who waits for 1 */
	grant(*state, 1, ino, X, 0, 9);
	grant(*state, 1, ino, U, 0, 9);
	expect_grant(*state, 2, 20);
	expect_no_grant(*state);
}

static void test_waiting_upgrade_waits_for_a_reader_behind_a_writer(void **state)
{
	uint64_t ino = shared_file(*state);

	grant(*state, 1, ino, S, 0, 9);
	grant(*state, 4, ino, S, 0, 9);
	lock_queued(*state, range_want(2, ino, X, 0, 9, 20));
	lock_queued(*state, range_want(3, ino, S, 0, 9, 30));
	lock_queued(*state, range_want(1, ino, X, 0, 9, 10)); /* for 4 alone */
	grant(*state, 4, ino, U, 0, 9);
	expect_grant(*state, 1, 10);
	expect_no_grant(*state);
}

static void test_grant_that_downgrades_forgets_an_earlier_waiter(void **state)
{
	uint64_t ino = shared_file(*state);

	grant(*state, 1, ino, X, 0, 9);
	grant(*state, 2, ino, X, 10, 19);
	lock_queued(*state, range_want(3, ino, S, 0, 5, 30));  /* for 1 */
	lock_queued(*state, range_want(1, ino, S, 0, 19, 10)); /* for 2 */
	grant(*state, 2, ino, U, 10, 19);
	expect_grant(*state, 1, 10);
	expect_grant(*state, 3, 30);
	expect_no_grant(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_a_later_lock_is_told_before_the_first),
		TABLE_TEST(test_hole_unlocks_its_neighbours),
		TABLE_TEST(test_neighbours_are_not_merged),
		TABLE_TEST(test_strangers_are_merged),
		TABLE_TEST(test_downgrade_in_the_middle_loses_the_ends),
		TABLE_TEST(test_upgrade_over_a_patchwork_leaves_patches),
		TABLE_TEST(test_refused_upgrade_loses_the_lock),
		TABLE_TEST(test_ends_of_the_range_overflow),
		TABLE_TEST(test_ranges_past_32_bits_are_one),
		TABLE_TEST(test_owner_conflicts_with_itself_over_two_handles),
		TABLE_TEST(test_two_processes_of_a_node_are_one_owner),
		TABLE_TEST(test_getlk_tells_the_wrong_lock),
		TABLE_TEST(test_disjoint_range_waits),
		TABLE_TEST(test_upgrade_waits_for_a_writer_that_waits_for_it),
		TABLE_TEST(test_upgrade_waits_for_a_reader_behind_that_writer),
		TABLE_TEST(test_waiting_upgrade_waits_for_a_reader_behind_a_writer),
		TABLE_TEST(test_grant_that_downgrades_forgets_an_earlier_waiter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
