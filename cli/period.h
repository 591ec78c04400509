/* SPDX-License-Identifier: MIT */
/*
 * Period: the stretches of time of "dlock once". Those of whole days begin at local midnight, and of
 * whole weeks on Mondays, whatever summer time does; shorter ones are counted from midnight UTC.
 */
#ifndef CLI_PERIOD_H
#define CLI_PERIOD_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define PERIOD_SECONDS_MAX (366 * INT64_C(86400))

/* "90", "90s", "15m", "1h", "1d", "2w": whole seconds, 1 second to 366 days. */
bool period_parse(const char *text, int64_t *seconds);

/* The period of such a length that now is in: from *begins to before *ends. */
void period_at(int64_t seconds, time_t now, time_t *begins, time_t *ends);

#endif
