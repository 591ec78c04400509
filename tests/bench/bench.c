/* SPDX-License-Identifier: MIT */
/*
 * dlock-bench: the same lock work on several folders, side by side.
 *
 * Every row is measured in rounds, and every round visits all targets in turn (A B C A B C ...), so
 * that a noisy minute on the machine hits all of them; results.h says what is made of them.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "crew.h"
#include "echo.h"
#include "results.h"

#define SECONDS_MAX 600.0
#define REPEAT_MAX  1000000
#define CEILING	    "null" /* the target that all ratios refer to, if it is there */

/* Time past its span after which a round counts as stuck, longer than what a crew is given. */
#define SLACK_S (2 * CREW_SLACK_S)

static void print_usage(FILE *out)
{
	fprintf(out,
		"usage: dlock-bench [--json] [--rounds N] [--seconds S] --dir "
		"NAME=PATH[,PATH2]...\n"
		"                   [--base NAME]...\n"
		"Measures lock operations in folders; PATH2 is the same folder through another\n"
		"mount. There are ratios to the target named \"" CEILING "\", and to the bases.\n"
		"  --json       one object per line instead of the table\n"
		"  --rounds N   rounds per row, of which the median counts (5)\n"
		"  --seconds S  length of one round on one target (1.0)\n"
		"  --base NAME  a target that a --dir before it names; at most two\n"
		"  --row ID     this row alone\n"
		"  --repeat N   only does the row's pair N times, in the first folder\n");
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

static int add_base(struct bench *o, const char *name)
{
	if (o->bases_count == BASES_MAX)
		return usage_error("too many bases, this one is over", name);
	for (int t = 0; t < o->targets_count; t++) {
		if (!strcmp(o->targets[t].name, name)) {
			o->bases[o->bases_count++] = t;
			return 0;
		}
	}
	return usage_error("not a target named before", name);
}

static int add_target(struct bench *o, char *arg)
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
	return strcmp(t->name, CEILING) ? 0 : add_base(o, CEILING);
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

static int choose_row(struct bench *o, const char *id)
{
	for (size_t i = 0; i < rows_count; i++) {
		if (!strcmp(rows[i].id, id)) {
			o->only = &rows[i];
			return 0;
		}
	}
	return usage_error("not a row", id);
}

static int take_option(struct bench *o, int opt)
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
	case 'b':
		return add_base(o, optarg);
	case 'o':
		return choose_row(o, optarg);
	case 'n':
		if (parse_number(optarg, 1, REPEAT_MAX, &v))
			return -1;
		o->repeat = (int)v;
		return 0;
	case 'h':
		print_usage(stdout);
		exit(0);
	default:
		return -1;
	}
}

static int parse_options(struct bench *o, int argc, char **argv)
{
	static const struct option known[] = {
		{"json", no_argument, NULL, 'j'},
		{"rounds", required_argument, NULL, 'r'},
		{"seconds", required_argument, NULL, 's'},
		{"dir", required_argument, NULL, 'd'},
		{"base", required_argument, NULL, 'b'},
		{"row", required_argument, NULL, 'o'},
		{"repeat", required_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
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
	if (o->repeat && (!o->only || !o->only->step))
		return usage_error("missing option", "--row with a row of one process");
	return 0;
}

/* A lock call that never returns must end the bench with a word, not hang it. */
static void on_alarm(int sig)
{
	static const char msg[] = "dlock-bench: a round is stuck in a lock call\n";

	if (write(STDERR_FILENO, msg, sizeof(msg) - 1) < 0)
		_exit(2);
	_exit(1);
}

/* Of what was measured: @row on @target. */
static int take_in(const struct row *row, const char *target, struct result *r, int round,
		   const struct latency *lat, int64_t took)
{
	alarm(0);
	if (took < 0)
		return -1;
	if (!lat->count && !row->may_be_empty) {
		fprintf(stderr, "dlock-bench: %s on %s: no pair in the whole round\n", row->title,
			target);
		return -1;
	}
	result_add(r, round, lat, took);
	return 0;
}

static int run_round(const struct bench *b, const struct row *row, int round,
		     struct result *results, struct result *nng)
{
	const uint64_t span_ns = (uint64_t)(b->seconds * 1e9);
	const unsigned int most_s = (unsigned int)b->seconds + SLACK_S;

	for (int t = 0; t < b->targets_count; t++) {
		struct latency lat = {0};
		int64_t took;

		alarm(most_s);
		took = row->run(row, &b->targets[t], span_ns, &lat);
		if (take_in(row, b->targets[t].name, &results[t], round, &lat, took))
			return -1;
	}
	if (row->beside_nng) {
		struct latency lat = {0};
		int64_t took;

		alarm(most_s);
		took = echo_run(span_ns, &lat);
		if (take_in(row, "nng", nng, round, &lat, took))
			return -1;
	}
	return 0;
}

static int repeat(const struct bench *b)
{
	alarm(SECONDS_MAX);
	return row_repeat(b->only, &b->targets[0], b->repeat) ? 1 : 0;
}

static int run_row(const struct bench *b, const struct row *row)
{
	static struct result results[TARGETS_MAX], nng;

	for (int round = 0; round < b->rounds; round++) {
		if (run_round(b, row, round, results, &nng))
			return -1;
	}
	results_print(b, row, results, row->beside_nng ? &nng : NULL);
	return 0;
}

int main(int argc, char **argv)
{
	struct bench b = {.rounds = 5, .seconds = 1.0};

	if (parse_options(&b, argc, argv)) {
		print_usage(stderr);
		return 64;
	}
	signal(SIGALRM, on_alarm);
	if (b.repeat)
		return repeat(&b);
	results_print_head(&b);
	for (size_t i = 0; i < rows_count; i++) {
		if ((!b.only || b.only == &rows[i]) && run_row(&b, &rows[i]))
			return 1;
	}
	results_print_foot(&b);
	return 0;
}
