/* SPDX-License-Identifier: MIT */
/* Processes that wait for each other in a circle, over files and clients (EDEADLK of fcntl(2)). */
#include <stdio.h>

#include "tests/table_fixture.h"

static struct table_want range_of(uint64_t client, uint64_t ino, int64_t start, int64_t end)
{
	return (struct table_want){
		.client = client,
		.req = client * 100 + (uint64_t)start,
		.ino = ino,
		.handle = ino * 10 + client,
		.owner = client,
		.kind = LOCK_RANGE,
		.mode = LOCK_EXCLUSIVE,
		.start = start,
		.end = end,
		.wait = true,
	};
}

static enum status lock_through(struct table *t, uint64_t client, uint64_t handle, uint64_t ino,
				int64_t byte, bool *queued)
{
	struct table_want want = range_of(client, ino, byte, byte);
	struct table_got got;
	enum status status;

	want.handle = handle;
	status = table_lock(t, &want, &got);
	*queued = got.queued;
	return status;
}

static enum status lock_byte(struct table *t, uint64_t client, uint64_t ino, int64_t byte,
			     bool *queued)
{
	return lock_through(t, client, ino * 10 + client, ino, byte, queued);
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

/* The client has a file of its own open, by its number, and holds or waits for all of it. */
static bool lock_file(struct table *t, uint64_t client, uint64_t ino)
{
	struct attr attr;
	bool queued;

	assert_ok(table_open(t, client, ino * 10000 + client, ino, 0, at(0), &attr));
	assert_ok(lock_through(t, client, ino * 10000 + client, ino, 0, &queued));
	return queued;
}

static uint64_t numbered_file(struct table *t, uint64_t number)
{
	char name[24];

	snprintf(name, sizeof(name), "f%lu", (unsigned long)number);
	return file_in(t, 9999, ROOT_INO, name);
}

/*
 * Client i has file i, and before client i + 1 asks for it, its waiter 1000 + i does, who holds
 * file i + 1000: a circle that goes from queue to queue.
 */
static void test_circle_through_many_queues_waits_for_ever(void **state)
{
	const uint64_t n = 200;
	uint64_t mine[201];
	bool queued;
	struct attr attr;

	for (uint64_t i = 0; i < n; i++) {
		mine[i] = numbered_file(*state, i);
		assert_false(lock_file(*state, i + 1, mine[i]));
	}
	for (uint64_t i = 1; i < n; i++) {
		assert_true(lock_file(*state, 1000 + i, mine[i - 1]));
		assert_true(lock_file(*state, i + 1, mine[i - 1]));
	}
	assert_ok(table_open(*state, 1, 5, mine[n - 1], 0, at(0), &attr));
	assert_int_equal(lock_through(*state, 1, 5, mine[n - 1], 0, &queued), STATUS_DEADLOCK);
}

/* A waits in the queue of g behind B, who waits for what A holds in f: nobody holds what A wants. */
static void test_circle_through_a_place_in_a_queue_waits_for_ever(void **state)
{
	uint64_t ino = ring_of(*state, "f", 4);
	struct table_want both = range_of(3, ino, 2, 4);
	struct table_got got;
	bool queued;

	/* 1 holds byte 1, 2 byte 2; 3 waits for 2 to 4, 4 has given up byte 4; 2 waits for 1. */
	assert_ok(table_lock(*state, &both, &got));
	assert_true(got.queued);
	table_close(*state, 4, ino * 10 + 4, at(0));
	assert_ok(lock_byte(*state, 2, ino, 1, &queued));
	assert_true(queued);
	assert_int_equal(lock_byte(*state, 1, ino, 4, &queued), STATUS_DEADLOCK);
}

/* The same, but 2 waits for nobody: 1 only has to wait. */
static void test_place_behind_a_waiter_is_taken_for_a_circle(void **state)
{
	uint64_t ino = ring_of(*state, "f", 4);
	struct table_want both = range_of(3, ino, 2, 4);
	struct table_got got;
	bool queued;

	assert_ok(table_lock(*state, &both, &got));
	table_close(*state, 4, ino * 10 + 4, at(0));
	assert_ok(lock_byte(*state, 1, ino, 4, &queued));
	assert_true(queued);
	table_close(*state, 2, ino * 10 + 2, at(0));
	assert_true(table_next_grant(*state, &(struct table_grant){0}));
}

/*
 * Two threads of client 1 wait in one queue, 2 between them. That is a queue and no circle: the
 * first thread will be served, and 2, and then the other.
 */
static void test_two_threads_in_one_queue_are_taken_for_a_circle(void **state)
{
	uint64_t ino = ring_of(*state, "f", 4);
	bool queued;

	assert_ok(lock_byte(*state, 4, ino, 1, &queued)); /* what 1 holds is waited for */
	assert_ok(lock_through(*state, 1, 1, ino, 3, &queued));
	assert_true(queued);
	assert_ok(lock_byte(*state, 2, ino, 3, &queued));
	assert_true(queued);
	assert_ok(lock_through(*state, 1, 1, ino, 2, &queued));
	assert_true(queued);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_circle_of_two_waits_for_ever),
		TABLE_TEST(test_circle_over_many_waits_for_ever),
		TABLE_TEST(test_chain_without_end_is_taken_for_a_circle),
		TABLE_TEST(test_refused_request_costs_what_is_held),
		TABLE_TEST(test_circle_through_many_queues_waits_for_ever),
		TABLE_TEST(test_circle_through_a_place_in_a_queue_waits_for_ever),
		TABLE_TEST(test_place_behind_a_waiter_is_taken_for_a_circle),
		TABLE_TEST(test_two_threads_in_one_queue_are_taken_for_a_circle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
