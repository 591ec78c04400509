/* SPDX-License-Identifier: MIT */
/* The checker of histories and its model, about locks: who may hold one, who may be refused, and what
 * a close or a death releases, and when. */
#include "tests/history_fixture.h"

/* What a signal waits for a silent master. */
#define PATIENCE 250000000

/* ---- Locks ---- */

static void test_a_flock_held_twice(void **state)
{
	all_open(1);
	flocks(0, 10, 20, MODE_EXCLUSIVE, WAIT_NOT, 0);
	flocks(1, 10, 20, MODE_SHARED, WAIT_NOT, 0);
	wrong();
	ops[3].err = EAGAIN;
	right();
	ops[2].arg[0] = MODE_SHARED;
	ops[3].err = 0;
	right();
}

static void test_a_free_lock_is_refused(void **state)
{
	all_open(1);
	flocks(0, 10, 20, MODE_EXCLUSIVE, WAIT_NOT, 0);
	flocks(0, 21, 30, MODE_NONE, WAIT_NOT, 0);
	flocks(1, 31, 40, MODE_EXCLUSIVE, WAIT_NOT, EAGAIN);
	wrong();
	ops[4].begin = 29;
	right();
}

static void test_a_waiter_overtakes_the_holder(void **state)
{
	all_open(1);
	flocks(0, 10, 20, MODE_EXCLUSIVE, WAIT_NOT, 0);
	flocks(1, 21, 30, MODE_EXCLUSIVE, WAIT_SIGNAL, 0);
	flocks(0, 31, 40, MODE_NONE, WAIT_NOT, 0);
	wrong();
	ops[3].end = 35;
	right();
}

static void test_ranges_held_twice(void **state)
{
	all_open(1);
	bytes(ranges(0, 10, 20, MODE_EXCLUSIVE, WAIT_NOT, 0), 0, 3);
	bytes(ranges(1, 10, 20, MODE_SHARED, WAIT_NOT, 0), 3, 5);
	wrong();
	bytes(&ops[3], 4, 5);
	right();
}

static void test_an_unlocked_piece_is_still_locked(void **state)
{
	all_open(1);
	bytes(ranges(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0), 0, 7);
	bytes(ranges(0, 12, 13, MODE_NONE, WAIT_NOT, 0), 2, 4);
	bytes(ranges(1, 14, 15, MODE_EXCLUSIVE, WAIT_NOT, EAGAIN), 2, 4);
	wrong();
	ops[4].err = 0;
	right();
}

static void test_the_wrong_holder_is_named(void **state)
{
	struct op *test;

	all_open(1);
	bytes(ranges(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0), 2, 4);
	test = ranges(1, 12, 13, MODE_EXCLUSIVE, WAIT_NOT, 0);
	test->kind = OP_TEST;
	bytes(test, 0, 7);
	wrong();
	memcpy(test->got, (int64_t[]){MODE_EXCLUSIVE, 2, 5, -1}, 4 * sizeof(int64_t));
	wrong();
	test->got[2] = 4;
	right();
}

/*
 * Who is told EINTR has never been granted anything, unless the master was silent: then a grant is
 * given back, and until then it is one lock with its neighbour.
 */
static void test_what_is_given_back_was_never_held(void **state)
{
	struct op *test;

	all_open(1);
	bytes(ranges(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0), 3, 7);
	bytes(ranges(0, 20, 40, MODE_EXCLUSIVE, WAIT_SIGNAL, EINTR), 0, 5);
	test = ranges(1, 25, 30, MODE_EXCLUSIVE, WAIT_NOT, 0);
	test->kind = OP_TEST;
	bytes(test, 6, 6);
	memcpy(test->got, (int64_t[]){MODE_EXCLUSIVE, 0, 7, -1}, 4 * sizeof(int64_t));
	wrong();
	ops[3].end = 20 + PATIENCE;
	right();
	ops[3].end = 40;
	rules.restarts = true;
	right();
	rules.local = true;
	wrong();
}

static void test_the_interrupted_stay_in_the_queue(void **state)
{
	all_open(2);
	flocks(0, 10, 11, MODE_SHARED, WAIT_NOT, 0);
	flocks(1, 20, 30, MODE_EXCLUSIVE, WAIT_SIGNAL, EINTR);
	flocks(2, PATIENCE + 30, PATIENCE + 35, MODE_SHARED, WAIT_NOT, EAGAIN);
	wrong();
	ops[4].end = PATIENCE + 20; /* the master was silent */
	right();
	ops[4].end = 30;
	rules.restarts = true;
	right();
	stats(1, 40, 41, A, 0); /* after which its node has given up all */
	wrong();
}

static void test_the_interrupted_lose_what_they_would_convert(void **state)
{
	all_open(1);
	flocks(0, 10, 11, MODE_SHARED, WAIT_NOT, 0);
	flocks(0, 20, 30, MODE_EXCLUSIVE, WAIT_SIGNAL, EINTR);
	flocks(1, 40, 45, MODE_EXCLUSIVE, WAIT_NOT, 0);
	wrong();
	rules.restarts = true; /* granted, and given back */
	right();
	rules.restarts = false;
	ops[4].err = EAGAIN;
	right();
}

static void test_a_deadlock_where_there_is_none(void **state)
{
	all_open(1);
	bytes(ranges(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0), 0, 0);
	bytes(ranges(1, 12, 13, MODE_EXCLUSIVE, WAIT_NOT, 0), 1, 1);
	bytes(ranges(0, 20, 40, MODE_EXCLUSIVE, WAIT_SIGNAL, EINTR), 1, 1);
	bytes(ranges(1, 21, 30, MODE_EXCLUSIVE, WAIT_SIGNAL, EDEADLK), 0, 0);
	right();
	bytes(&ops[4], 2, 2);
	wrong();
}

/* Of the three who wait, the second waits for nobody but one who is before it in the queue. */
static void test_a_deadlock_through_the_queue_is_none(void **state)
{
	all_open(2);
	bytes(ranges(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0), 0, 0);
	bytes(ranges(2, 12, 13, MODE_EXCLUSIVE, WAIT_NOT, 0), 5, 5);
	bytes(ranges(1, 20, 50, MODE_EXCLUSIVE, WAIT_SIGNAL, EINTR), 0, 1);
	bytes(ranges(2, 21, 51, MODE_EXCLUSIVE, WAIT_SIGNAL, EINTR), 1, 1);
	bytes(ranges(0, 30, 40, MODE_EXCLUSIVE, WAIT_SIGNAL, EDEADLK), 5, 5);
	right();
	bytes(&ops[6], 2, 2); /* nobody is in its way */
	wrong();
	bytes(&ops[6], 1, 1);
	rules.local = true; /* there is no queue */
	wrong();
}

/* And where there is a circle already, the last one need not wait for whoever waits for it. */
static void test_a_deadlock_with_who_waits_for_oneself(void **state)
{
	all_open(2);
	bytes(ranges(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0), 0, 0);
	bytes(ranges(1, 20, 50, MODE_EXCLUSIVE, WAIT_SIGNAL, EINTR), 0, 1);
	bytes(ranges(0, 30, 40, MODE_EXCLUSIVE, WAIT_SIGNAL, EDEADLK), 1, 1);
	wrong();
	ops[5].err = 0;
	right();
}

/* Contract 5.2: who would not wait is refused for the sake of those who wait; locally not. */
static void test_a_waiter_is_overtaken(void **state)
{
	all_open(2);
	flocks(0, 10, 11, MODE_SHARED, WAIT_NOT, 0);
	flocks(1, 20, 40, MODE_EXCLUSIVE, WAIT_SIGNAL, EINTR);
	flocks(2, 30, 35, MODE_SHARED, WAIT_NOT, EAGAIN);
	right();
	rules.local = true;
	wrong();
}

/* ---- Closing ---- */

static void test_a_close_does_not_release(void **state)
{
	all_open(1);
	flocks(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0);
	closes(0, 12, 13);
	stats(0, 14, 15, A, 0);
	flocks(1, 16, 17, MODE_EXCLUSIVE, WAIT_NOT, EAGAIN);
	wrong();
	ops[5].err = 0;
	right();
}

/* On other nodes a little later; on its own, and locally, at once. */
static void test_a_close_releases_later(void **state)
{
	all_open(3);
	flocks(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0);
	closes(0, 12, 13);
	flocks(1, 14, 15, MODE_EXCLUSIVE, WAIT_NOT, EAGAIN);
	right();
	rules.local = true;
	wrong();
	rules.local = false;
	ops[6].client = 3; /* on node 0 too */
	ops[6].node = 0;
	wrong();
}

static void test_a_close_keeps_the_process_s_ranges(void **state)
{
	all_open(1);
	ranges(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0);
	closes(0, 12, 13);
	ranges(1, 14, 15, MODE_EXCLUSIVE, WAIT_NOT, EAGAIN);
	wrong();
	ops[4].err = 0;
	right();
}

static void test_the_dead_keep_their_locks(void **state)
{
	all_open(3);
	flocks(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0);
	dies(0, 12, 13);
	flocks(3, 14, 15, MODE_EXCLUSIVE, WAIT_NOT, EAGAIN);
	wrong();
	ops[6].err = 0;
	right();
}

static void test_who_is_killed_before_the_call_lives_on(void **state)
{
	opens(0, 0, 1, A, OPEN_READ | OPEN_CREATE, 0, 100);
	opens(1, 2, 3, A, RW, 0, 100);
	ranges(0, 10, 20, MODE_EXCLUSIVE, WAIT_KILL, ERR_KILLED);
	memcpy(ops[2].got, (int64_t[]){0, -1, -1, -1}, 4 * sizeof(int64_t));
	right();
	ops[2].err = 0; /* not writable */
	wrong();
	ops[2].err = EBADF;
	right();
}

static void test_a_killed_waiter_keeps_what_it_got(void **state)
{
	all_open(3);
	flocks(0, 10, 20, MODE_EXCLUSIVE, WAIT_KILL, ERR_KILLED);
	memcpy(ops[4].got, (int64_t[]){0, -1, -1, -1}, 4 * sizeof(int64_t));
	flocks(3, 21, 30, MODE_EXCLUSIVE, WAIT_NOT, 0);
	flocks(1, 15, 16, MODE_EXCLUSIVE, WAIT_NOT, EAGAIN);
	right();
	ops[5].err = EAGAIN;
	wrong();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_flock_held_twice),
		TEST(test_a_free_lock_is_refused),
		TEST(test_a_waiter_overtakes_the_holder),
		TEST(test_ranges_held_twice),
		TEST(test_an_unlocked_piece_is_still_locked),
		TEST(test_the_wrong_holder_is_named),
		TEST(test_what_is_given_back_was_never_held),
		TEST(test_the_interrupted_stay_in_the_queue),
		TEST(test_the_interrupted_lose_what_they_would_convert),
		TEST(test_a_deadlock_where_there_is_none),
		TEST(test_a_deadlock_through_the_queue_is_none),
		TEST(test_a_deadlock_with_who_waits_for_oneself),
		TEST(test_a_waiter_is_overtaken),
		TEST(test_a_close_does_not_release),
		TEST(test_a_close_releases_later),
		TEST(test_a_close_keeps_the_process_s_ranges),
		TEST(test_the_dead_keep_their_locks),
		TEST(test_who_is_killed_before_the_call_lives_on),
		TEST(test_a_killed_waiter_keeps_what_it_got),
	};

	return cmocka_run_group_tests_name("history_locks", tests, NULL, NULL);
}
