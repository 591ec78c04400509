/* SPDX-License-Identifier: MIT */
/* Processes that wait for each other in a circle, over files and clients (EDEADLK of fcntl(2)). */
#include "tests/table_fixture.h"

static enum status lock_byte(struct table *t, uint64_t client, uint64_t ino, int64_t byte,
			     bool *queued)
{
	struct table_want want = {
		.client = client,
		.req = client * 100 + (uint64_t)byte,
		.ino = ino,
		.handle = ino * 10 + client,
		.owner = client,
		.kind = LOCK_RANGE,
		.mode = LOCK_EXCLUSIVE,
		.start = byte,
		.end = byte,
		.wait = true,
	};
	struct table_got got;
	enum status status = table_lock(t, &want, &got);

	*queued = got.queued;
	return status;
}

/* Clients 1 to n have the file open and each holds the byte of its number. */
static uint64_t ring_of(struct table *t, const char *name, uint64_t n)
{
	uint64_t ino = plain_file(t, name);
	struct attr attr;
	bool queued;

	for (uint64_t client = 1; client <= n; client++) {
		assert_ok(table_open(t, client, ino * 10 + client, ino, 0, at(0), &attr));
		assert_ok(lock_byte(t, client, ino, (int64_t)client, &queued));
		assert_false(queued);
	}
	return ino;
}

static void test_circle_of_two_waits_for_ever(void **state)
{
	uint64_t ino = ring_of(*state, "f", 2);
	bool queued;

	assert_ok(lock_byte(*state, 1, ino, 2, &queued));
	assert_true(queued);
	assert_int_equal(lock_byte(*state, 2, ino, 1, &queued), STATUS_DEADLOCK);
	assert_false(queued);
}

static void test_circle_over_many_waits_for_ever(void **state)
{
	const uint64_t n = 20;
	uint64_t ino = ring_of(*state, "f", n);
	bool queued;

	for (uint64_t client = 1; client < n; client++) {
		assert_ok(lock_byte(*state, client, ino, (int64_t)client + 1, &queued));
		assert_true(queued);
	}
	assert_int_equal(lock_byte(*state, n, ino, 1, &queued), STATUS_DEADLOCK);
}

static void test_chain_without_end_is_taken_for_a_circle(void **state)
{
	uint64_t ino = ring_of(*state, "f", 3);
	bool queued;

	assert_ok(lock_byte(*state, 1, ino, 2, &queued));
	assert_ok(lock_byte(*state, 2, ino, 3, &queued));
	assert_true(queued);
	table_close(*state, 3, ino * 10 + 3, at(0));
	assert_ok(lock_byte(*state, 1, ino, 1, &queued));
	assert_false(queued);
}

static void test_refused_request_costs_what_is_held(void **state)
{
	uint64_t ino = ring_of(*state, "f", 2);
	struct table_grant grant;
	bool queued;

	assert_ok(lock_byte(*state, 1, ino, 2, &queued));
	assert_int_equal(lock_byte(*state, 2, ino, 1, &queued), STATUS_DEADLOCK);
	assert_false(table_next_grant(*state, &grant));
	table_close(*state, 2, ino * 10 + 2, at(0));
	assert_true(table_next_grant(*state, &grant));
	assert_int_equal(grant.client, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_circle_of_two_waits_for_ever),
		TABLE_TEST(test_circle_over_many_waits_for_ever),
		TABLE_TEST(test_chain_without_end_is_taken_for_a_circle),
		TABLE_TEST(test_refused_request_costs_what_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
