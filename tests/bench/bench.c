/* SPDX-License-Identifier: MIT */
/*
 * dlock-bench: the same lock work on several folders, side by side.
 *
 * Every row is measured in rounds, and every round visits all targets in turn (A B C A B C ...), so
 * that a noisy minute on the machine hits all of them. What is reported is the median of the
 * rounds, and for the ratio the median of the rounds' own ratios: absolute figures do not last,
 * ratios of neighbours do.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "rows.h"

#define TARGETS_MAX 8
#define ROUNDS_MAX  101
#define SECONDS_MAX 600.0
#define CEILING	    "null" /* the target that all ratios refer to */

/* Time past its span after which a round counts as stuck, longer than what handover.c allows. */
#define SLACK_S 30

struct options {
	bool json;
	int rounds;
	double seconds;
	int targets_count;
	struct target targets[TARGETS_MAX];
};

/* Medians over rounds and, while a row is measured, what each round gave. */
struct result {
	double pairs_per_s[ROUNDS_MAX];
	double p50_us[ROUNDS_MAX];
	double p99_us[ROUNDS_MAX];
	double ratio[ROUNDS_MAX];
};

static void print_usage(FILE *out)
{
	fprintf(out,
		"usage: dlock-bench [--json] [--rounds N] [--seconds S] --dir NAME=PATH[,PATH2] "
		"...\n"
		"Measures lock operations in folders; PATH2 is the same folder through another\n"
		"mount. Ratios refer to the target named \"" CEILING "\".\n"
		"  --json       one object per line instead of the table\n"
		"  --rounds N   rounds per row, of which the median counts (5)\n"
		"  --seconds S  length of one round on one target (1.0)\n");
}

static int usage_error(const char *what, const char *value)
{
	fprintf(stderr, "dlock-bench: %s: %s\n", what, value);
	return -1;
}

/* Names go into the table and into JSON as they are. */
static bool name_is_plain(const char *name)
{
	return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789_-")];
}

static int add_target(struct options *o, char *arg)
{
	struct target *t = &o->targets[o->targets_count];
	char *path = strchr(arg, '=');
	char *path2;

	if (o->targets_count == TARGETS_MAX)
		return usage_error("too many targets, this one is over", arg);
	if (!path || !path[1])
		return usage_error("not NAME=PATH[,PATH2]", arg);
	*path++ = '\0';
	if (!name_is_plain(arg))
		return usage_error("not a plain target name", arg);
	path2 = strchr(path, ',');
	if (path2)
		*path2++ = '\0';
	t->name = arg;
	t->dir[0] = path;
	t->dir[1] = path2 && *path2 ? path2 : path;
	o->targets_count++;
	return 0;
}

static int parse_number(const char *arg, double min, double max, double *out)
{
	char *end;
	double v = strtod(arg, &end);

	if (end == arg || *end || !(v >= min && v <= max))
		return usage_error("number out of range", arg);
	*out = v;
	return 0;
}

static int take_option(struct options *o, int opt)
{
	double v;

	switch (opt) {
	case 'j':
		o->json = true;
		return 0;
	case 'r':
		if (parse_number(optarg, 1, ROUNDS_MAX, &v))
			return -1;
		o->rounds = (int)v;
		return 0;
	case 's':
		return parse_number(optarg, 0.001, SECONDS_MAX, &o->seconds);
	case 'd':
		return add_target(o, optarg);
	case 'h':
		print_usage(stdout);
		exit(0);
	default:
		return -1;
	}
}

static int parse_options(struct options *o, int argc, char **argv)
{
	static const struct option known[] = {
		{"json", no_argument, NULL, 'j'},	   {"rounds", required_argument, NULL, 'r'},
		{"seconds", required_argument, NULL, 's'}, {"dir", required_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},	   {NULL, 0, NULL, 0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (take_option(o, opt))
			return -1;
	}
	if (optind < argc)
		return usage_error("unexpected argument", argv[optind]);
	if (!o->targets_count)
		return usage_error("missing option", "--dir NAME=PATH");
	return 0;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts @v. */
static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), compare_doubles);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static int ceiling_index(const struct options *o)
{
	for (int t = 0; t < o->targets_count; t++) {
		if (!strcmp(o->targets[t].name, CEILING))
			return t;
	}
	return -1;
}

/* A lock call that never returns must end the bench with a word, not hang it. */
static void on_alarm(int sig)
{
	static const char msg[] = "dlock-bench: a round is stuck in a lock call\n";

	if (write(STDERR_FILENO, msg, sizeof(msg) - 1) < 0)
		_exit(2);
	_exit(1);
}

static int run_round(const struct row *row, const struct options *o, int target, int round,
		     struct result *res)
{
	const uint64_t span_ns = (uint64_t)(o->seconds * 1e9);
	struct latency lat = {0};
	int64_t took;

	alarm((unsigned int)o->seconds + SLACK_S);
	took = row->run(row, &o->targets[target], span_ns, &lat);
	alarm(0);
	if (took < 0)
		return -1;
	if (!lat.count) {
		fprintf(stderr, "dlock-bench: %s on %s: no pair within %g s\n", row->title,
			o->targets[target].name, o->seconds);
		return -1;
	}
	res->pairs_per_s[round] = (double)lat.count * 1e9 / (double)took;
	res->p50_us[round] = latency_quantile_ns(&lat, 0.50) / 1000;
	res->p99_us[round] = latency_quantile_ns(&lat, 0.99) / 1000;
	return 0;
}

static int run_rounds(const struct row *row, const struct options *o, struct result *results)
{
	int null = ceiling_index(o);

	for (int round = 0; round < o->rounds; round++) {
		for (int t = 0; t < o->targets_count; t++) {
			if (run_round(row, o, t, round, &results[t]))
				return -1;
		}
		for (int t = 0; null >= 0 && t < o->targets_count; t++)
			results[t].ratio[round] =
				results[t].pairs_per_s[round] / results[null].pairs_per_s[round];
	}
	return 0;
}

static void print_json(const struct row *row, const struct options *o, struct result *results)
{
	bool have_null = ceiling_index(o) >= 0;
	int n = o->rounds;

	for (int t = 0; t < o->targets_count; t++) {
		struct result *r = &results[t];

		printf("{\"row\":\"%s\",\"target\":\"%s\",\"pairs_per_s\":%.1f,\"p50_us\":%.3f,"
		       "\"p99_us\":%.3f,\"ratio_to_null\":",
		       row->id, o->targets[t].name, median(r->pairs_per_s, n), median(r->p50_us, n),
		       median(r->p99_us, n));
		if (have_null)
			printf("%.4f}\n", median(r->ratio, n));
		else
			printf("null}\n");
	}
	fflush(stdout);
}

static void print_table_part(const struct row *row, const struct options *o, struct result *results)
{
	bool have_null = ceiling_index(o) >= 0;
	int n = o->rounds;

	for (int t = 0; t < o->targets_count; t++) {
		struct result *r = &results[t];

		printf("%-23s %-10.10s %11.0f %10.1f %10.1f ", t ? "" : row->title,
		       o->targets[t].name, median(r->pairs_per_s, n), median(r->p50_us, n),
		       median(r->p99_us, n));
		if (have_null)
			printf("%9.3f\n", median(r->ratio, n));
		else
			printf("%9s\n", "-");
	}
	fflush(stdout);
}

static void print_table_head(void)
{
	printf("%-23s %-10s %11s %10s %10s %9s\n", "row", "target", "pairs/s", "p50 us", "p99 us",
	       "to " CEILING);
}

static void print_table_foot(const struct options *o)
{
	printf("\nMedian of %d rounds of %g s each, the targets in turn within a round. The last\n"
	       "column is pairs/s over that of \"" CEILING
	       "\" in the same round (1 is the ceiling).\n"
	       "Hand-over: two processes, the second on the second mount if there is one. Time\n"
	       "is from the call that unlocks to the return of the call that already waits; the\n"
	       "lock is held until the other side waits, and pairs/s leaves that time out.\n",
	       o->rounds, o->seconds);
}

int main(int argc, char **argv)
{
	struct options o = {.rounds = 5, .seconds = 1.0};
	static struct result results[TARGETS_MAX];

	if (parse_options(&o, argc, argv)) {
		print_usage(stderr);
		return 64;
	}
	signal(SIGALRM, on_alarm);
	if (!o.json)
		print_table_head();
	for (size_t i = 0; i < rows_count; i++) {
		if (run_rounds(&rows[i], &o, results))
			return 1;
		if (o.json)
			print_json(&rows[i], &o, results);
		else
			print_table_part(&rows[i], &o, results);
	}
	if (!o.json)
		print_table_foot(&o);
	return 0;
}
