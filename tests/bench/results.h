/* SPDX-License-Identifier: MIT */
/*
 * Results: what the rounds of one row gave, put into a table for people or into lines of JSON for
 * programs.
 *
 * A result is the median of the rounds, and a ratio the median of the rounds' own ratios: absolute
 * figures do not last, ratios of neighbours do. Ratios are of pairs/s, to each of the bases.
 */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include <stdbool.h>
#include "rows.h"

#define TARGETS_MAX 8
#define ROUNDS_MAX  101
#define BASES_MAX   3

/* What is measured and how it is shown. */
struct bench {
	bool json;
	const struct row *only; /* NULL: all rows */
	int repeat;		/* not 0: so many pairs of that row, and no figures */
	int rounds;
	double seconds; /* length of a round on a target */
	int targets_count;
	struct target targets[TARGETS_MAX];
	int bases_count;
	int bases[BASES_MAX]; /* indices of targets */
};

/* Of one target, or of nng's round trip; what each round gave. All zeroes before the first. */
struct result {
	double pairs_per_s[ROUNDS_MAX];
	double p50_us[ROUNDS_MAX]; /* 0: it gave no pair */
	double p99_us[ROUNDS_MAX];
};

/* @lat and @took_ns are of one round. */
void result_add(struct result *r, int round, const struct latency *lat, int64_t took_ns);

void results_print_head(const struct bench *b);
/* @nng: if the row is measured beside it. */
void results_print(const struct bench *b, const struct row *row, const struct result *results,
		   const struct result *nng);
void results_print_foot(const struct bench *b);

#endif
