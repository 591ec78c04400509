/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "results.h"

#define RATIO_WIDTH 12

void result_add(struct result *r, int round, const struct latency *lat, int64_t took_ns)
{
	r->pairs_per_s[round] = (double)lat->count * 1e9 / (double)took_ns;
	r->p50_us[round] = latency_quantile_ns(lat, 0.50) / 1000;
	r->p99_us[round] = latency_quantile_ns(lat, 0.99) / 1000;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *values, int n)
{
	double v[ROUNDS_MAX];

	memcpy(v, values, (size_t)n * sizeof(*v));
	qsort(v, (size_t)n, sizeof(*v), compare_doubles);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Of the rounds in which both have a value; NAN: there is none. */
static double median_ratio(const double *of, const double *to, int n)
{
	double ratio[ROUNDS_MAX];
	int count = 0;

	for (int i = 0; i < n; i++) {
		if (of[i] > 0 && to[i] > 0)
			ratio[count++] = of[i] / to[i];
	}
	return count ? median(ratio, count) : (double)NAN;
}

/* NAN: as a hyphen. */
static void print_cell(int width, int decimals, double v)
{
	if (isnan(v))
		printf(" %*s", width, "-");
	else
		printf(" %*.*f", width, decimals, v);
}

static double or_none(double v)
{
	return v > 0 ? v : (double)NAN;
}

static void print_figures(const char *title, const char *target, const struct result *r, int n)
{
	printf("%-23s %-10.10s %11.0f", title, target, median(r->pairs_per_s, n));
	print_cell(10, 1, or_none(median(r->p50_us, n)));
	print_cell(10, 1, or_none(median(r->p99_us, n)));
}

static void print_rows(const struct bench *b, const struct row *row, const struct result *results,
		       const struct result *nng)
{
	int n = b->rounds;

	for (int t = 0; t < b->targets_count; t++) {
		const struct result *r = &results[t];

		print_figures(t ? "" : row->title, b->targets[t].name, r, n);
		for (int i = 0; i < b->bases_count; i++)
			print_cell(
				RATIO_WIDTH, 3,
				median_ratio(r->pairs_per_s, results[b->bases[i]].pairs_per_s, n));
		if (nng)
			print_cell(RATIO_WIDTH, 2, median_ratio(r->p50_us, nng->p50_us, n));
		printf("\n");
	}
	if (nng) {
		print_figures("", "nng", nng, n);
		printf("\n");
	}
}

/* NAN: null. */
static void print_member(const char *prefix, const char *name, int decimals, double v)
{
	if (isnan(v))
		printf(",\"%s%s\":null", prefix, name);
	else
		printf(",\"%s%s\":%.*f", prefix, name, decimals, v);
}

static void print_object(const struct row *row, const char *target, const struct result *r, int n)
{
	printf("{\"row\":\"%s\",\"target\":\"%s\"", row->id, target);
	print_member("", "pairs_per_s", 1, median(r->pairs_per_s, n));
	print_member("", "p50_us", 3, or_none(median(r->p50_us, n)));
	print_member("", "p99_us", 3, or_none(median(r->p99_us, n)));
}

static void print_json(const struct bench *b, const struct row *row, const struct result *results,
		       const struct result *nng)
{
	int n = b->rounds;

	for (int t = 0; t < b->targets_count; t++) {
		const struct result *r = &results[t];

		print_object(row, b->targets[t].name, r, n);
		for (int i = 0; i < b->bases_count; i++)
			print_member(
				"ratio_to_", b->targets[b->bases[i]].name, 4,
				median_ratio(r->pairs_per_s, results[b->bases[i]].pairs_per_s, n));
		if (nng)
			print_member("", "p50_round_trips", 4,
				     median_ratio(r->p50_us, nng->p50_us, n));
		printf("}\n");
	}
	if (nng) {
		print_object(row, "nng", nng, n);
		printf("}\n");
	}
}

void results_print(const struct bench *b, const struct row *row, const struct result *results,
		   const struct result *nng)
{
	if (b->json)
		print_json(b, row, results, nng);
	else
		print_rows(b, row, results, nng);
	fflush(stdout);
}

void results_print_head(const struct bench *b)
{
	char to[64];

	if (b->json)
		return;
	printf("%-23s %-10s %11s %10s %10s", "row", "target", "pairs/s", "p50 us", "p99 us");
	for (int i = 0; i < b->bases_count; i++) {
		snprintf(to, sizeof(to), "to %s", b->targets[b->bases[i]].name);
		printf(" %*s", RATIO_WIDTH, to);
	}
	printf(" %*s\n", RATIO_WIDTH, "round trips");
}

void results_print_foot(const struct bench *b)
{
	if (b->json)
		return;
	printf("\nMedian of %d rounds of %g s each, the targets in turn within a round. A column\n"
	       "\"to X\" is pairs/s over that of X in the same round; round trips are p50 over "
	       "that\n"
	       "of nng in the same round: 64 bytes, REQ to REP and back, TCP loopback.\n"
	       "hand-over: two processes, the second on the second mount if there is one. Time\n"
	       "is from the call that unlocks to the return of the call that already waits; the\n"
	       "lock is held until the other side waits, and pairs/s leaves that time out.\n"
	       "contended: both want the lock all the time and hold it for none; pairs are\n"
	       "acquisitions whose forerunner was the other side's, their time is as above.\n",
	       b->rounds, b->seconds);
}
