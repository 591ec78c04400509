/* SPDX-License-Identifier: MIT */
/* Fears about periods: a job that runs twice in one day, or not at all in another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/period.h"

#define DAY 86400

static time_t begins, ends;

static void in_zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

/* Central Europe, whose clocks change in March and October. */
static int europe(void **state)
{
	in_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	return 0;
}

static time_t local(int year, int month, int day, int hour, int minute)
{
	struct tm tm = {.tm_year = year - 1900,
			.tm_mon = month - 1,
			.tm_mday = day,
			.tm_hour = hour,
			.tm_min = minute,
			.tm_isdst = -1};

	return mktime(&tm);
}

static void want_day(time_t now, int64_t days, time_t from, time_t to)
{
	period_at(days * DAY, now, &begins, &ends);
	assert_int_equal(begins, from);
	assert_int_equal(ends, to);
}

static void test_a_day_begins_in_another_zone(void **state)
{
	want_day(local(2026, 7, 3, 0, 0), 1, local(2026, 7, 3, 0, 0), local(2026, 7, 4, 0, 0));
	want_day(local(2026, 7, 3, 23, 59), 1, local(2026, 7, 3, 0, 0), local(2026, 7, 4, 0, 0));
	in_zone("NZST-12NZDT,M9.5.0,M4.1.0/3");
	want_day(local(2026, 1, 1, 5, 0), 1, local(2026, 1, 1, 0, 0), local(2026, 1, 2, 0, 0));
	in_zone("PST8PDT,M3.2.0,M11.1.0");
	want_day(local(2026, 1, 1, 20, 0), 1, local(2026, 1, 1, 0, 0), local(2026, 1, 2, 0, 0));
}

static void test_a_day_of_23_or_25_hours_is_two_days(void **state)
{
	want_day(local(2026, 3, 29, 12, 0), 1, local(2026, 3, 29, 0, 0), local(2026, 3, 30, 0, 0));
	assert_int_equal(ends - begins, 23 * 3600);
	want_day(local(2026, 10, 25, 0, 30), 1, local(2026, 10, 25, 0, 0),
		 local(2026, 10, 26, 0, 0));
	assert_int_equal(ends - begins, 25 * 3600);
	want_day(local(2026, 10, 25, 23, 30), 1, local(2026, 10, 25, 0, 0),
		 local(2026, 10, 26, 0, 0));
}

static void test_a_week_begins_on_a_thursday(void **state)
{
	want_day(local(2026, 11, 24, 12, 0), 7, local(2026, 11, 23, 0, 0),
		 local(2026, 11, 30, 0, 0)); /* a Tuesday */
	want_day(local(2026, 11, 23, 0, 0), 7, local(2026, 11, 23, 0, 0),
		 local(2026, 11, 30, 0, 0));
	want_day(local(2026, 11, 22, 23, 59), 7, local(2026, 11, 16, 0, 0),
		 local(2026, 11, 23, 0, 0));
}

static void test_a_short_period_depends_on_the_zone(void **state)
{
	period_at(3600, 1795000000, &begins, &ends);
	assert_int_equal(begins, 1795000000 - 1795000000 % 3600);
	assert_int_equal(ends, begins + 3600);
	period_at(90, 1795000000, &begins, &ends);
	assert_true(begins <= 1795000000 && ends > 1795000000 && ends - begins == 90);
}

/* Whatever the period, each moment is in one, and the next begins where it ends. */
static void test_a_moment_is_in_two_periods(void **state)
{
	static const int64_t lengths[] = {1, 7, 900, 3600, DAY, 3 * DAY, 7 * DAY, DAY + 3600};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		time_t at = local(2026, 3, 27, 1, 17), end_before = 0;

		for (int n = 0; n < 20; n++) {
			period_at(lengths[i], at, &begins, &ends);
			assert_true(begins <= at && at < ends);
			assert_true(!end_before || begins == end_before);
			at = end_before = ends;
		}
	}
}

static void test_nonsense_is_a_period(void **state)
{
	static const char *const none[] = {"",	  "0",	  "d",	 "1x",	 "1dd",	       "-1d",
					   " 1d", "1.5h", "1d ", "367d", "99999999999"};
	int64_t s = -1;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(period_parse(none[i], &s));
	assert_int_equal(s, -1);
	assert_true(period_parse("90", &s) && s == 90);
	assert_true(period_parse("90s", &s) && s == 90);
	assert_true(period_parse("15m", &s) && s == 900);
	assert_true(period_parse("36h", &s) && s == 36 * 3600);
	assert_true(period_parse("1d", &s) && s == DAY);
	assert_true(period_parse("2w", &s) && s == 14 * DAY);
	assert_true(period_parse("366d", &s) && s == PERIOD_SECONDS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_day_begins_in_another_zone, europe),
		cmocka_unit_test_setup(test_a_day_of_23_or_25_hours_is_two_days, europe),
		cmocka_unit_test_setup(test_a_week_begins_on_a_thursday, europe),
		cmocka_unit_test_setup(test_a_short_period_depends_on_the_zone, europe),
		cmocka_unit_test_setup(test_a_moment_is_in_two_periods, europe),
		cmocka_unit_test(test_nonsense_is_a_period),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
