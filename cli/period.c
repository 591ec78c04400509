/* SPDX-License-Identifier: MIT */
#include "cli/period.h"

#include <stdlib.h>
#include <string.h>

#define DAY_S	    86400
#define MONDAY_DAYS 4 /* 1970-01-05 was the first Monday; days are counted from it */

bool period_parse(const char *text, int64_t *seconds)
{
	static const struct {
		char letter;
		int64_t seconds;
	} units[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', DAY_S}, {'w', 7 * DAY_S}};
	size_t digits = strspn(text, "0123456789");
	int64_t count, unit = 0;

	if (!digits || digits > 9 || (text[digits] && text[digits + 1]))
		return false;
	count = strtoll(text, NULL, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].letter == text[digits])
			unit = units[i].seconds;
	if (!unit || !count || count > PERIOD_SECONDS_MAX / unit)
		return false;
	*seconds = count * unit;
	return true;
}

static int64_t floor_to(int64_t value, int64_t step)
{
	int64_t rest = value % step;

	return value - (rest < 0 ? rest + step : rest);
}

/* Days since the first Monday, of the local date. */
static int64_t local_day(time_t now)
{
	struct tm tm;

	localtime_r(&now, &tm);
	return (floor_to(now + tm.tm_gmtoff, DAY_S) / DAY_S) - MONDAY_DAYS;
}

/* Midnight where the clocks are: mktime knows when they change. */
static time_t local_midnight(int64_t day)
{
	struct tm tm = {
		.tm_year = 70,
		.tm_mday = (int)(day + MONDAY_DAYS + 1),
		.tm_isdst = -1,
	};

	return mktime(&tm);
}

void period_at(int64_t seconds, time_t now, time_t *begins, time_t *ends)
{
	int64_t days = seconds / DAY_S, first;

	if (seconds % DAY_S) {
		*begins = (time_t)floor_to(now, seconds);
		*ends = *begins + (time_t)seconds;
		return;
	}
	first = floor_to(local_day(now), days);
	*begins = local_midnight(first);
	*ends = local_midnight(first + days);
}
