/* SPDX-License-Identifier: MIT */
/*
 * A moment: the time that every input of the core carries.
 *
 * The core never looks at a clock. Whoever calls it reads both clocks once for each batch of inputs
 * and passes them in. Only boot_ns decides anything (protocol.md, "Time": CLOCK_BOOTTIME, so that a
 * suspended machine's lease runs out); wall_ns is copied into the files' time stamps and nothing
 * else ever looks at it, so that setting the wall clock cannot touch a lock.
 */
#ifndef LOCKCORE_MOMENT_H
#define LOCKCORE_MOMENT_H

#include <stdint.h>

#define NS_PER_SEC   INT64_C(1000000000)
#define NS_PER_MS    INT64_C(1000000)
#define MOMENT_NEVER INT64_MAX /* the deadline of something that never falls due */

/* Beyond this nobody cares, and arithmetic with it stays within an int64_t: a hundred years. */
#define MOMENT_AGE_MAX_NS (INT64_C(100) * 365 * 24 * 3600 * NS_PER_SEC)

struct moment {
	int64_t boot_ns; /* CLOCK_BOOTTIME, nanoseconds */
	int64_t wall_ns; /* CLOCK_REALTIME, nanoseconds since 1970 */
};

/* An age as a peer says it, made one that can be; and that of what has been there since. */
static inline int64_t moment_age(int64_t age_ns)
{
	return age_ns < 0 ? 0 : age_ns > MOMENT_AGE_MAX_NS ? MOMENT_AGE_MAX_NS : age_ns;
}

static inline int64_t moment_age_since(int64_t since_ns, int64_t now_ns)
{
	return moment_age(now_ns - since_ns);
}

#endif
