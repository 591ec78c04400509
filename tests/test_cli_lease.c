/* SPDX-License-Identifier: MIT */
/* Fears about the time that a command has: it goes on when another may have the lock, or is stopped
 * for nothing. Times are in seconds here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/lease.h"

#define S(seconds) ((int64_t)((seconds)*1000) * 1000000)

static struct lease l;

static bool line(const char *text, double now)
{
	return lease_line(&l, text, strlen(text), S(now));
}

/* A lease of 10 s whose last renewal was sent at 100. */
static int good(void **state)
{
	lease_init(&l, 1099511627778);
	assert_true(line("{\"until\":110.000000,\"lease\":10.0}", 100));
	return 0;
}

static void want_timeline(double term, double kill, double over)
{
	assert_int_equal(lease_stage(&l, S(term) - 1), LEASE_GOOD);
	assert_int_equal(lease_stage(&l, S(term)), LEASE_TERM);
	assert_int_equal(lease_stage(&l, S(kill) - 1), LEASE_TERM);
	assert_int_equal(lease_stage(&l, S(kill)), LEASE_KILL);
	assert_int_equal(lease_stage(&l, S(over) - 1), LEASE_KILL);
	assert_int_equal(lease_stage(&l, S(over)), LEASE_OVER);
	assert_int_equal(lease_deadline(&l, S(term) - 1), S(term));
	assert_int_equal(lease_deadline(&l, S(term)), S(kill));
	assert_int_equal(lease_deadline(&l, S(kill)), S(over));
	assert_int_equal(lease_deadline(&l, S(over)), LEASE_NEVER);
}

static void test_a_holder_outlives_the_lease(void **state)
{
	want_timeline(106, 108.5, 110);
	assert_int_equal(lease_loss(&l, S(105)), LOSS_NONE);
	assert_int_equal(lease_loss(&l, S(106)), LOSS_SILENCE);
}

static void test_a_renewal_at_the_last_moment_does_not_count(void **state)
{
	assert_true(line("{\"until\":118.5,\"lease\":10.0}", 109));
	want_timeline(114.5, 117, 118.5);
}

static void test_a_lease_that_was_never_told_is_good(void **state)
{
	lease_init(&l, 1);
	assert_int_equal(lease_stage(&l, S(0.001)), LEASE_OVER);
}

static void test_a_lost_session_is_renewed(void **state)
{
	assert_true(line("{\"lost\":true}", 103));
	assert_int_equal(lease_stage(&l, S(103)), LEASE_OVER);
	assert_true(line("{\"until\":120,\"lease\":10.0}", 104));
	assert_int_equal(lease_stage(&l, S(104)), LEASE_OVER);
	assert_int_equal(lease_loss(&l, S(104)), LOSS_SESSION);
}

static void test_a_broken_lock_is_held_on(void **state)
{
	assert_true(line("{\"broken\":\"1099511627778\"}", 102));
	want_timeline(102, 103.25, 104.5);
	assert_int_equal(lease_loss(&l, S(102)), LOSS_BROKEN);
	assert_true(line("{\"until\":120,\"lease\":10.0}", 102.5));
	want_timeline(102, 103.25, 104.5);
	assert_true(line("{\"lost\":true}", 103));
	assert_int_equal(lease_stage(&l, S(103)), LEASE_OVER);
	assert_int_equal(lease_loss(&l, S(103)), LOSS_SESSION);
}

static void test_a_break_late_in_the_lease_gives_more_time_than_there_is(void **state)
{
	assert_true(line("{\"broken\":\"1099511627778\"}", 108));
	assert_int_equal(lease_deadline(&l, S(108)), S(108.5));
	assert_int_equal(lease_stage(&l, S(110)), LEASE_OVER);
}

static void test_somebody_elses_lock_was_broken(void **state)
{
	assert_true(line("{\"broken\":\"1099511627779\"}", 102));
	want_timeline(106, 108.5, 110);
}

static void test_an_orphan_goes_on(void **state)
{
	lease_orphaned(&l, S(101));
	assert_int_equal(lease_stage(&l, S(101)), LEASE_TERM);
	assert_int_equal(lease_deadline(&l, S(101)), S(101) + LEASE_ORPHAN_NS);
	assert_int_equal(lease_stage(&l, S(101) + LEASE_ORPHAN_NS), LEASE_KILL);
}

static void test_a_line_that_is_none_changes_something(void **state)
{
	static const char *const lines[] = {
		"",
		"{",
		"{}",
		"[1]",
		"{\"until\":1e300,\"lease\":10}",
		"{\"until\":-1,\"lease\":10}",
		"{\"until\":\"200\",\"lease\":10}",
		"{\"until\":200}",
		"{\"lost\":false}",
		"{\"broken\":1099511627778}",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_false(line(lines[i], 101));
	want_timeline(106, 108.5, 110);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_holder_outlives_the_lease, good),
		cmocka_unit_test_setup(test_a_renewal_at_the_last_moment_does_not_count, good),
		cmocka_unit_test(test_a_lease_that_was_never_told_is_good),
		cmocka_unit_test_setup(test_a_lost_session_is_renewed, good),
		cmocka_unit_test_setup(test_a_broken_lock_is_held_on, good),
		cmocka_unit_test_setup(test_a_break_late_in_the_lease_gives_more_time_than_there_is,
				       good),
		cmocka_unit_test_setup(test_somebody_elses_lock_was_broken, good),
		cmocka_unit_test_setup(test_an_orphan_goes_on, good),
		cmocka_unit_test_setup(test_a_line_that_is_none_changes_something, good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
