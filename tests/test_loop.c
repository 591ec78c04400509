/* SPDX-License-Identifier: MIT */
/* Fears about the loop's clocks, timer and signals, and about numbers that people type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>

#include "transport/loop.h"

/* Generous: it only bounds how long a broken timer holds the test up. */
#define PATIENCE_MS 20000

static void test_seconds_with_decimals_are_exact(void **state)
{
	int64_t ns = 0;

	assert_true(loop_parse_seconds("10", &ns));
	assert_int_equal(ns, 10 * NS_PER_SEC);
	assert_true(loop_parse_seconds("2.5", &ns));
	assert_int_equal(ns, 2500 * NS_PER_MS);
	assert_true(loop_parse_seconds(".25", &ns));
	assert_int_equal(ns, 250 * NS_PER_MS);
	assert_true(loop_parse_seconds("0", &ns));
	assert_int_equal(ns, 0);
}

static void test_what_is_no_number_of_seconds_is_refused(void **state)
{
	static const char *const bad[] = {"",	 "-1",	"+1",	" 1",  "1s", "1 ",
					  "inf", "nan", "1e99", "ten", ".",  "1,5"};
	int64_t ns = 42;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(loop_parse_seconds(bad[i], &ns));
	assert_int_equal(ns, 42);
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

static void test_a_deadline_in_the_past_is_due_at_once(void **state)
{
	struct loop *loop = *state;

	loop_arm(loop, loop_now().boot_ns - NS_PER_SEC);
	assert_true(readable(loop->timer_fd, PATIENCE_MS));
	loop_timer_seen(loop);
	assert_false(readable(loop->timer_fd, 0));
	loop_arm(loop, 0);
	assert_true(readable(loop->timer_fd, PATIENCE_MS));
}

static bool is_due(const struct loop *loop)
{
	return readable(loop->timer_fd, 0);
}

static void test_an_alarm_that_came_early_swallows_the_deadline(void **state)
{
	struct loop *loop = *state;
	int64_t deadline = loop_now().boot_ns + NS_PER_MS;

	loop_arm(loop, 1);
	loop_arm(loop, deadline); /* put off */
	assert_true(readable(loop->timer_fd, PATIENCE_MS));
	loop_timer_seen(loop);
	loop_arm(loop, deadline);
	assert_true(readable(loop->timer_fd, PATIENCE_MS));
	assert_true(loop_now().boot_ns >= deadline);
}

static void test_a_deadline_that_came_nearer_is_slept_through(void **state)
{
	struct loop *loop = *state;

	loop_arm(loop, loop_now().boot_ns + 1000 * NS_PER_SEC);
	assert_false(is_due(loop));
	loop_arm(loop, loop_now().boot_ns + NS_PER_MS);
	assert_true(readable(loop->timer_fd, PATIENCE_MS));
}

static void test_an_alarm_nobody_wants_comes_again(void **state)
{
	struct loop *loop = *state;

	loop_arm(loop, 1);
	assert_true(readable(loop->timer_fd, PATIENCE_MS));
	loop_timer_seen(loop);
	loop_arm(loop, MOMENT_NEVER);
	assert_false(is_due(loop));
}

static void test_a_signal_is_told_once_and_kills_nobody(void **state)
{
	struct loop *loop = *state;

	assert_int_equal(loop_signal(loop), 0);
	raise(SIGTERM);
	assert_true(readable(loop->signal_fd, PATIENCE_MS));
	assert_int_equal(loop_signal(loop), SIGTERM);
	assert_int_equal(loop_signal(loop), 0);
}

static struct loop the_loop;

static int setup(void **state)
{
	*state = &the_loop;
	return loop_init(&the_loop);
}

static int teardown(void **state)
{
	loop_deinit(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seconds_with_decimals_are_exact),
		cmocka_unit_test(test_what_is_no_number_of_seconds_is_refused),
		cmocka_unit_test_setup_teardown(test_a_deadline_in_the_past_is_due_at_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_an_alarm_that_came_early_swallows_the_deadline,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_deadline_that_came_nearer_is_slept_through,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_alarm_nobody_wants_comes_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_signal_is_told_once_and_kills_nobody, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
