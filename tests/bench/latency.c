/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include "latency.h"

#define SUB (1u << LATENCY_SUB_BITS)

static unsigned int bucket_of(uint64_t ns)
{
	const uint64_t max_ns = ((uint64_t)1 << LATENCY_MAX_BITS) - 1;
	unsigned int shift;

	if (ns > max_ns)
		ns = max_ns;
	if (ns < SUB)
		return (unsigned int)ns;
	shift = 63 - (unsigned int)__builtin_clzll(ns) - LATENCY_SUB_BITS;
	return shift * SUB + (unsigned int)(ns >> shift);
}

static double middle_ns(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < 2 * SUB)
		return bucket;
	shift = bucket / SUB - 1;
	return ((double)(bucket - shift * SUB) + 0.5) * (double)((uint64_t)1 << shift);
}

void latency_add(struct latency *l, uint64_t ns)
{
	unsigned int b = bucket_of(ns);

	assert(b < LATENCY_BUCKETS);
	l->bucket[b]++;
	l->count++;
}

void latency_merge(struct latency *to, const struct latency *from)
{
	for (unsigned int b = 0; b < LATENCY_BUCKETS; b++)
		to->bucket[b] += from->bucket[b];
	to->count += from->count;
}

double latency_quantile_ns(const struct latency *l, double q)
{
	double below = 0;

	assert(q >= 0 && q <= 1);
	if (!l->count)
		return 0;
	for (unsigned int b = 0; b < LATENCY_BUCKETS; b++) {
		below += (double)l->bucket[b];
		if (l->bucket[b] && below >= q * (double)l->count)
			return middle_ns(b);
	}
	/* The buckets add up to the count, so that one of them was it. */
	abort();
}
