/* SPDX-License-Identifier: MIT */
/* The heap of deadlines against a naive array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lockcore/deadline.h"
#include "lockcore/moment.h"

#define MANY	     100
#define ROUNDS	     200000
#define DEFAULT_SEED 1
#define SPAN_NS	     50 /* short, so that many fall due at the same moment */

static unsigned int seed_of_run(void)
{
	const char *text = getenv("DLOCK_SEED");
	unsigned int seed = text ? (unsigned int)strtoul(text, NULL, 0) : DEFAULT_SEED;

	print_message("DLOCK_SEED=%u\n", seed);
	return seed;
}

static int64_t naive_next(const struct deadline *all)
{
	int64_t next = MOMENT_NEVER;

	for (int i = 0; i < MANY; i++)
		if (deadline_is_set(&all[i]) && all[i].at_ns < next)
			next = all[i].at_ns;
	return next;
}

static size_t naive_count(const struct deadline *all)
{
	size_t count = 0;

	for (int i = 0; i < MANY; i++)
		count += deadline_is_set(&all[i]);
	return count;
}

static void random_step(struct deadlines *h, struct deadline *all, unsigned int *seed)
{
	struct deadline *d = &all[rand_r(seed) % MANY];
	int64_t next = naive_next(all);
	struct deadline *due;

	switch (rand_r(seed) % 4) {
	case 0:
		deadline_clear(h, d);
		assert_false(deadline_is_set(d));
		break;
	case 1:
		due = deadlines_due(h, next);
		assert_true(due ? due->at_ns == next : next == MOMENT_NEVER);
		assert_true(!due || !deadline_is_set(due));
		break;
	default:
		deadline_set(h, d, rand_r(seed) % SPAN_NS);
		assert_true(deadline_is_set(d));
	}
}

static void test_heap_forgets_the_earliest(void **state)
{
	struct deadlines h = {0};
	struct deadline all[MANY] = {0};
	unsigned int seed = seed_of_run();

	for (int i = 0; i < MANY; i++)
		assert_true(deadline_reserve(&h));
	for (int i = 0; i < ROUNDS; i++) {
		random_step(&h, all, &seed);
		assert_true(deadlines_next(&h) == naive_next(all));
		assert_int_equal(h.count, naive_count(all));
	}
	for (int i = 0; i < MANY; i++)
		deadline_release(&h, &all[i]);
	assert_int_equal(h.count, 0);
	assert_int_equal(h.reserved, 0);
	deadlines_deinit(&h);
}

static void test_due_before_its_time(void **state)
{
	struct deadlines h = {0};
	struct deadline d = {0};

	assert_true(deadlines_next(&h) == MOMENT_NEVER);
	assert_null(deadlines_due(&h, MOMENT_NEVER));
	assert_true(deadline_reserve(&h));
	deadline_set(&h, &d, 10);
	assert_null(deadlines_due(&h, 9));
	assert_ptr_equal(deadlines_due(&h, 10), &d);
	assert_null(deadlines_due(&h, MOMENT_NEVER));
	deadline_release(&h, &d);
	deadlines_deinit(&h);
}

static void test_move_later_keeps_the_old_time(void **state)
{
	struct deadlines h = {0};
	struct deadline a = {0}, b = {0};

	assert_true(deadline_reserve(&h) && deadline_reserve(&h));
	deadline_set(&h, &a, 10);
	deadline_set(&h, &b, 20);
	deadline_set(&h, &a, 30);
	assert_ptr_equal(deadlines_due(&h, 25), &b);
	assert_null(deadlines_due(&h, 25));
	deadline_release(&h, &a);
	deadline_release(&h, &b);
	deadlines_deinit(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_forgets_the_earliest),
		cmocka_unit_test(test_due_before_its_time),
		cmocka_unit_test(test_move_later_keeps_the_old_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
