/* SPDX-License-Identifier: MIT */
/* Who gets a lock, in which order, and what an end of any kind leaves behind. */
#include "tests/table_fixture.h"

#define S LOCK_SHARED
#define X LOCK_EXCLUSIVE
#define U LOCK_NONE

/* A file that clients 1 to n have open. */
static uint64_t shared_file(struct table *t, uint64_t n)
{
	uint64_t ino = plain_file(t, "f");

	for (uint64_t client = 2; client <= n; client++)
		opened_by(t, ino, client);
	return ino;
}

static void unlock(struct table *t, uint64_t client, uint64_t ino)
{
	lock_granted(t, flock_want(client, ino, U, 0));
}

/* ---- The queue ---- */

static void test_second_writer_gets_in(void **state)
{
	uint64_t ino = shared_file(*state, 2);

	lock_granted(*state, flock_want(1, ino, X, 0));
	lock_refused(*state, flock_want(2, ino, X, 0));
	lock_refused(*state, flock_want(2, ino, S, 0));
	lock_queued(*state, flock_want(2, ino, X, 20));
	expect_no_grant(*state);
	unlock(*state, 1, ino);
	expect_grant(*state, 2, 20);
	lock_refused(*state, flock_want(1, ino, S, 0));
}

static void test_two_handles_of_a_client_share_a_flock(void **state)
{
	uint64_t ino = shared_file(*state, 1);
	struct table_want second = flock_want(1, ino, X, 0);
	struct attr attr;

	assert_ok(table_open(*state, 1, 9, ino, 0, at(0), &attr));
	second.handle = 9;
	lock_granted(*state, flock_want(1, ino, X, 0));
	lock_refused(*state, second);
}

static void test_late_waiter_overtakes(void **state)
{
	uint64_t ino = shared_file(*state, 4);

	lock_granted(*state, flock_want(1, ino, X, 0));
	for (uint64_t client = 2; client <= 4; client++)
		lock_queued(*state, flock_want(client, ino, X, client * 10));
	for (uint64_t client = 1; client <= 3; client++) {
		unlock(*state, client, ino);
		expect_grant(*state, client + 1, (client + 1) * 10);
		expect_no_grant(*state);
	}
}

static void test_late_reader_starves_a_writer(void **state)
{
	uint64_t ino = shared_file(*state, 3);

	lock_granted(*state, flock_want(1, ino, S, 0));
	lock_queued(*state, flock_want(2, ino, X, 20));
	lock_refused(*state, flock_want(3, ino, S, 0));
	lock_queued(*state, flock_want(3, ino, S, 30));
	unlock(*state, 1, ino);
	expect_grant(*state, 2, 20);
	expect_no_grant(*state);
	unlock(*state, 2, ino);
	expect_grant(*state, 3, 30);
}

static void test_release_grants_too_few_or_too_many(void **state)
{
	uint64_t ino = shared_file(*state, 6);

	lock_granted(*state, flock_want(1, ino, X, 0));
	lock_queued(*state, flock_want(2, ino, S, 20));
	lock_queued(*state, flock_want(3, ino, S, 30));
	lock_queued(*state, flock_want(4, ino, X, 40));
	lock_queued(*state, flock_want(5, ino, S, 50));
	unlock(*state, 1, ino);
	expect_grant(*state, 2, 20);
	expect_grant(*state, 3, 30);
	expect_no_grant(*state); /* the reader behind the writer is no neighbour */
	unlock(*state, 2, ino);
	expect_no_grant(*state);
	unlock(*state, 3, ino);
	expect_grant(*state, 4, 40);
	expect_no_grant(*state);
}

static void test_cancelled_writer_still_blocks_readers(void **state)
{
	uint64_t ino = shared_file(*state, 3);

	lock_granted(*state, flock_want(1, ino, S, 0));
	lock_queued(*state, flock_want(2, ino, X, 20));
	lock_queued(*state, flock_want(3, ino, S, 30));
	table_cancel(*state, 2, 20);
	table_cancel(*state, 2, 20); /* again */
	table_cancel(*state, 9, 99); /* nobody's */
	expect_grant(*state, 3, 30);
	unlock(*state, 1, ino);
	expect_no_grant(*state);
}

static void test_cancel_takes_the_request_of_another(void **state)
{
	uint64_t ino = shared_file(*state, 3);

	lock_granted(*state, flock_want(1, ino, X, 0));
	lock_queued(*state, flock_want(2, ino, X, 7));
	lock_queued(*state, flock_want(3, ino, X, 7)); /* numbers are per client */
	table_cancel(*state, 3, 7);
	unlock(*state, 1, ino);
	expect_grant(*state, 2, 7);
}

static void test_cancel_after_the_grant_takes_the_lock(void **state)
{
	uint64_t ino = shared_file(*state, 2);

	lock_granted(*state, flock_want(1, ino, X, 0));
	lock_queued(*state, flock_want(2, ino, X, 20));
	unlock(*state, 1, ino);
	table_cancel(*state, 2, 20);
	expect_grant(*state, 2, 20);
	lock_refused(*state, flock_want(1, ino, X, 0));
}

/* ---- Conversion of a flock ---- */

static void test_conversion_waits_for_itself(void **state)
{
	uint64_t ino = shared_file(*state, 2);
	uint64_t token = lock_granted(*state, flock_want(1, ino, S, 0));

	assert_true(lock_granted(*state, flock_want(1, ino, X, 0)) > token);
	lock_refused(*state, flock_want(2, ino, S, 0));
	lock_granted(*state, flock_want(1, ino, S, 0));
	lock_granted(*state, flock_want(2, ino, S, 0));
	assert_int_equal(lock_count(*state), 2);
}

static void test_downgrade_keeps_readers_waiting(void **state)
{
	uint64_t ino = shared_file(*state, 3);

	lock_granted(*state, flock_want(1, ino, X, 0));
	lock_queued(*state, flock_want(2, ino, S, 20));
	lock_queued(*state, flock_want(3, ino, X, 30));
	lock_granted(*state, flock_want(1, ino, S, 0));
	expect_grant(*state, 2, 20);
	expect_no_grant(*state);
}

static void test_failed_conversion_keeps_the_old_lock(void **state)
{
	uint64_t ino = shared_file(*state, 3);

	lock_granted(*state, flock_want(1, ino, S, 0));
	lock_granted(*state, flock_want(2, ino, S, 0));
	lock_refused(*state, flock_want(1, ino, X, 0)); /* its shared lock is lost, as on Linux */
	assert_int_equal(lock_count(*state), 1);
	lock_granted(*state, flock_want(2, ino, X, 0));
}

static void test_two_upgrades_deadlock(void **state)
{
	uint64_t ino = shared_file(*state, 2);

	lock_granted(*state, flock_want(1, ino, S, 0));
	lock_granted(*state, flock_want(2, ino, S, 0));
	lock_queued(*state, flock_want(1, ino, X, 10));
	lock_granted(*state, flock_want(2, ino, X, 20)); /* 1 gave up its lock and waits for 2 */
	expect_no_grant(*state);
	unlock(*state, 2, ino);
	expect_grant(*state, 1, 10);
}

static void test_waiting_conversion_jumps_the_queue(void **state)
{
	uint64_t ino = shared_file(*state, 3);

	lock_granted(*state, flock_want(1, ino, S, 0));
	lock_granted(*state, flock_want(2, ino, S, 0));
	lock_queued(*state, flock_want(3, ino, X, 30));
	lock_queued(*state, flock_want(1, ino, X, 10));
	unlock(*state, 2, ino);
	expect_grant(*state, 3, 30);
	expect_no_grant(*state);
	unlock(*state, 3, ino);
	expect_grant(*state, 1, 10);
}

static void test_same_mode_again_takes_a_new_token(void **state)
{
	uint64_t ino = shared_file(*state, 2);
	uint64_t token = lock_granted(*state, flock_want(1, ino, X, 0));

	lock_queued(*state, flock_want(2, ino, X, 20));
	assert_int_equal(lock_granted(*state, flock_want(1, ino, X, 0)), token);
	expect_no_grant(*state);
}

/* ---- Ends ---- */

static void test_close_leaves_a_lock_or_a_waiter(void **state)
{
	uint64_t ino = shared_file(*state, 3);
	struct table_counts counts;

	lock_granted(*state, flock_want(1, ino, X, 0));
	lock_granted(*state, range_want(1, ino, X, 0, 9, 0));
	lock_queued(*state, flock_want(2, ino, X, 20));
	lock_queued(*state, range_want(3, ino, S, 5, 5, 30));
	table_close(*state, 2, 2, at(0));
	table_close(*state, 1, 1, at(0));
	expect_grant(*state, 3, 30);
	expect_no_grant(*state);
	table_counts(*state, &counts);
	assert_int_equal(counts.locks, 1);
	assert_int_equal(counts.waiting, 0);
}

static void test_dying_client_is_granted_its_own_release(void **state)
{
	uint64_t ino = shared_file(*state, 3);
	struct table_want want;
	struct attr attr;

	lock_granted(*state, flock_want(2, ino, X, 0));
	for (uint64_t handle = 11; handle <= 14; handle++) {
		assert_ok(table_open(*state, 2, handle, ino, 0, at(0), &attr));
		want = flock_want(2, ino, handle % 2 ? X : S, handle);
		want.handle = handle;
		lock_queued(*state, want);
	}
	lock_queued(*state, flock_want(3, ino, X, 30));
	table_drop_client(*state, 2, at(0));
	expect_grant(*state, 3, 30);
	expect_no_grant(*state);
	assert_int_equal(lock_count(*state), 1);
}

static void test_lock_of_an_unlinked_file_is_lost(void **state)
{
	uint64_t ino = shared_file(*state, 2);
	struct attr attr;

	lock_granted(*state, flock_want(1, ino, X, 0));
	lock_queued(*state, flock_want(2, ino, X, 20));
	assert_ok(table_unlink(*state, ROOT_INO, "f", false, 2, 0, at(0), &attr));
	expect_no_grant(*state);
	table_close(*state, 1, 1, at(0));
	expect_grant(*state, 2, 20);
}

/* ---- Tokens and refusals ---- */

static void test_token_falls(void **state)
{
	uint64_t ino = shared_file(*state, 2);
	uint64_t last = lock_granted(*state, flock_want(1, ino, X, 0));
	struct table_grant grant;

	assert_true(last >> TABLE_EPOCH_SHIFT == FIXTURE_EPOCH);
	for (uint64_t i = 0; i < 100; i++) {
		lock_queued(*state, flock_want(2 - i % 2, ino, X, 100 + i));
		unlock(*state, 1 + i % 2, ino);
		assert_true(table_next_grant(*state, &grant));
		assert_true(grant.token > last);
		last = grant.token;
	}
}

static void test_ticket_falls(void **state)
{
	uint64_t ino = shared_file(*state, 2), last = 0;
	struct table_got got;

	lock_granted(*state, flock_want(1, ino, X, 0));
	for (uint64_t req = 1; req < 10; req++) {
		struct table_want want = range_want(2, ino, X, 0, 0, req);

		lock_granted(*state, range_want(1, ino, X, 0, 0, 0));
		assert_ok(table_lock(*state, &want, &got));
		assert_true(got.queued && got.ticket > last);
		last = got.ticket;
	}
}

static void test_flock_and_range_see_each_other(void **state)
{
	uint64_t ino = shared_file(*state, 3);

	lock_granted(*state, flock_want(1, ino, X, 0));
	lock_granted(*state, range_want(2, ino, X, 0, RANGE_END, 0));
	lock_queued(*state, flock_want(3, ino, X, 30));
	lock_granted(*state, range_want(2, ino, U, 0, RANGE_END, 0));
	lock_granted(*state, range_want(1, ino, X, 0, 9, 0));
	expect_no_grant(*state);
}

static void test_wrong_request_is_taken(void **state)
{
	uint64_t ino = shared_file(*state, 2), other = held_file(*state, 1, 9, "g");
	struct table_want want;
	struct table_got got;

	want = range_want(1, 4711, X, 0, 0, 0);
	assert_int_equal(table_lock(*state, &want, &got), STATUS_STALE);
	want = range_want(3, ino, X, 0, 0, 0); /* not open */
	assert_int_equal(table_lock(*state, &want, &got), STATUS_INVALID);
	want = range_want(1, other, X, 0, 0, 0); /* open by another handle */
	assert_int_equal(table_lock(*state, &want, &got), STATUS_INVALID);
	want = range_want(1, ino, X, 5, 4, 0);
	assert_int_equal(table_lock(*state, &want, &got), STATUS_INVALID);
	want = range_want(1, ino, X, -1, 4, 0);
	assert_int_equal(table_lock(*state, &want, &got), STATUS_INVALID);
	assert_int_equal(lock_count(*state), 0);
}

/* Rule 9: from when its end is decided on, not from when that is durable. */
static void test_doomed_client_holds_up_the_queue(void **state)
{
	struct table *t = *state;
	uint64_t ino = plain_file(t, "f");

	opened_by(t, ino, 2);
	opened_by(t, ino, 3);
	lock_granted(t, flock_want(1, ino, S, 0));
	lock_queued(t, flock_want(2, ino, X, 20));
	lock_queued(t, flock_want(3, ino, S, 30));
	table_drop_waiters(t, 2);
	expect_grant(t, 3, 30);
	table_drop_waiters(t, 1);
	expect_no_grant(t);
	lock_refused(t, flock_want(2, ino, X, 0));
	table_drop_waiters(t, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_second_writer_gets_in),
		TABLE_TEST(test_two_handles_of_a_client_share_a_flock),
		TABLE_TEST(test_late_waiter_overtakes),
		TABLE_TEST(test_late_reader_starves_a_writer),
		TABLE_TEST(test_release_grants_too_few_or_too_many),
		TABLE_TEST(test_cancelled_writer_still_blocks_readers),
		TABLE_TEST(test_cancel_takes_the_request_of_another),
		TABLE_TEST(test_cancel_after_the_grant_takes_the_lock),
		TABLE_TEST(test_conversion_waits_for_itself),
		TABLE_TEST(test_downgrade_keeps_readers_waiting),
		TABLE_TEST(test_failed_conversion_keeps_the_old_lock),
		TABLE_TEST(test_two_upgrades_deadlock),
		TABLE_TEST(test_waiting_conversion_jumps_the_queue),
		TABLE_TEST(test_same_mode_again_takes_a_new_token),
		TABLE_TEST(test_close_leaves_a_lock_or_a_waiter),
		TABLE_TEST(test_dying_client_is_granted_its_own_release),
		TABLE_TEST(test_doomed_client_holds_up_the_queue),
		TABLE_TEST(test_lock_of_an_unlinked_file_is_lost),
		TABLE_TEST(test_token_falls),
		TABLE_TEST(test_ticket_falls),
		TABLE_TEST(test_flock_and_range_see_each_other),
		TABLE_TEST(test_wrong_request_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
