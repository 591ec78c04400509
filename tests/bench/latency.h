/* SPDX-License-Identifier: MIT */
/*
 * A histogram of latencies: fixed size, no pointers, so that it can live in memory which two
 * processes share, and adding to it costs next to nothing beside what is measured.
 *
 * Buckets are linear below 64 ns and 1/64 of a power of two wide above: a quantile is wrong by
 * less than 1.6 %. All zeroes is an empty histogram.
 */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stdint.h>

#define LATENCY_SUB_BITS 6
#define LATENCY_MAX_BITS 37 /* nothing the bench waits for takes 137 s; longer counts as that */
#define LATENCY_BUCKETS	 ((LATENCY_MAX_BITS - LATENCY_SUB_BITS + 1) << LATENCY_SUB_BITS)

struct latency {
	uint64_t count;
	uint64_t bucket[LATENCY_BUCKETS];
};

void latency_add(struct latency *l, uint64_t ns);

/* Adds all of @from to @to. */
void latency_merge(struct latency *to, const struct latency *from);

/* The value, in nanoseconds, which a fraction @q (0 to 1) of all values does not exceed. 0 if
 * empty. */
double latency_quantile_ns(const struct latency *l, double q);

#endif
