/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "driver.h"

#define EXIT_UNDECIDED 3
#define EXIT_USAGE     64

/* Beyond so many states at the end of a round, one client looks at everything, which leaves few. */
#define STATES_SURVEY 8

struct options {
	struct driver_config driver;
	struct rules rules;
	size_t ops, round;
	const char *record, *check;
	bool progress;
};

struct run {
	struct options options;
	struct checker *checker;
	FILE *record;
	size_t round, ops, most_states;
	size_t made[OP_KINDS], good[OP_KINDS];
	double checking; /* seconds */
	bool undecided;
};

static const char usage[] =
	"usage: history --mount DIR --mount DIR --mount DIR [OPTION]...\n"
	"       history --check FILE [--local] [--name-locks] [--restarts]\n"
	"\n"
	"Processes on three mounts of one file system open, write, lock, link, move, remove\n"
	"and die at random. Every call and its result is recorded, and checked against a\n"
	"naive model of files and locks: is there an order of the calls that explains all\n"
	"results? If not, the seed and the calls that contradict each other are printed, and\n"
	"the status is 1; 3 if there were too many orders to look at all of them, which\n"
	"says nothing. The mounts must not have d0 and d1 in them.\n"
	"\n"
	"  --mount DIR    a mount; given three times (the same directory with --local)\n"
	"  --seed N       of the random numbers (default: the time). The same seed makes the\n"
	"                 same choices, but not the same history: when what happens is up to\n"
	"                 the machine, so a failure comes again only with luck. What can be\n"
	"                 had again is the record.\n"
	"  --ops N        calls in all (default 10000)\n"
	"  --round N      calls between two moments at which all are idle (default 150)\n"
	"  --clients N    processes (default 6, at most 9)\n"
	"  --record FILE  write the history there; for --check\n"
	"  --check FILE   check that history, and run nothing\n"
	"  --local        a local file system: no limit of 64 KiB, a close releases at once\n"
	"  --name-locks   a file made in the place of a removed one shares its locks\n"
	"  --restarts     whoever answers the mounts is killed and started again meanwhile\n"
	"  --progress     say \"round N\" when one begins\n"
	"  --help         this text\n";

/* ---- Checking ---- */

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void count_ops(struct run *run, const struct op *ops, size_t count)
{
	run->ops += count;
	for (size_t i = 0; i < count; i++) {
		run->made[ops[i].kind]++;
		run->good[ops[i].kind] += ops[i].err == 0 || ops[i].err == ERR_KILLED;
	}
}

static void write_round(struct run *run, const struct op *ops, size_t count)
{
	if (!run->record)
		return;
	fprintf(run->record, "round %zu\n", run->round);
	for (size_t i = 0; i < count; i++)
		op_write(&ops[i], run->record);
	fflush(run->record);
}

static bool check_round(struct run *run, struct op *ops, size_t count)
{
	double began = seconds();
	size_t stuck = 0;
	enum verdict verdict;

	count_ops(run, ops, count);
	verdict = checker_round(run->checker, ops, count, &stuck);
	run->checking += seconds() - began;
	if (checker_states(run->checker) > run->most_states)
		run->most_states = checker_states(run->checker);
	if (verdict == VERDICT_FINE) {
		checker_keep_blobs(run->checker);
		blob_sweep();
		return true;
	}
	printf("round %zu of seed %" PRIu64 ": %s\n", run->round, run->options.driver.seed,
	       verdict == VERDICT_WRONG ? "no order of these calls explains their results"
					: "too many states to check");
	run->undecided = verdict != VERDICT_WRONG;
	if (verdict == VERDICT_WRONG)
		checker_explain(run->checker, ops, count, stuck, stdout);
	if (run->options.record)
		printf("history --check %s%s%s%s checks it again\n", run->options.record,
		       run->options.rules.local ? " --local" : "",
		       run->options.rules.name_locks ? " --name-locks" : "",
		       run->options.rules.restarts ? " --restarts" : "");
	return false;
}

static void summary(const struct run *run)
{
	printf("%zu calls in %zu rounds, checked in %.2f s, at most %zu states after a round\n",
	       run->ops, run->round, run->checking, run->most_states);
	for (int kind = 0; kind < OP_KINDS; kind++)
		printf("%s%s %zu/%zu", kind ? ", " : "", kind_name((enum op_kind)kind),
		       run->good[kind], run->made[kind]);
	printf(" (successful/all)\n");
}

/* ---- A history from a file ---- */

static bool check_file(struct run *run)
{
	static struct op ops[CLIENTS_MAX * ROUND_CLIENT_MAX];
	static char line[HISTORY_LINE_MAX];
	FILE *file = fopen(run->options.check, "r");
	size_t count = 0;
	bool good = file != NULL;

	if (!file)
		fprintf(stderr, "history: %s: %s\n", run->options.check, strerror(errno));
	while (good && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "op ", 3) && count < sizeof(ops) / sizeof(*ops)) {
			good = op_read(&ops[count++], line + 3);
		} else if (!strncmp(line, "round ", 6)) {
			good = check_round(run, ops, count);
			run->round = strtoul(line + 6, NULL, 10);
			count = 0;
		} else {
			good = !strncmp(line, "# ", 2);
		}
		if (!good && strncmp(line, "round ", 6) != 0)
			fprintf(stderr, "history: %s: not a line of a history: %.60s\n",
				run->options.check, line);
	}
	good = good && check_round(run, ops, count);
	if (file)
		fclose(file);
	return good;
}

/* ---- A history of now ---- */

static bool one_round(struct run *run, struct driver *d, bool survey)
{
	struct op *ops;
	size_t count;
	bool good;

	run->round++;
	if (run->options.progress) {
		printf("round %zu\n", run->round);
		fflush(stdout);
	}
	good = survey ? driver_survey(d, &ops, &count)
		      : driver_round(d, run->options.round, &ops, &count);
	write_round(run, ops, count);
	if (!good)
		printf("round %zu of seed %" PRIu64 " did not end\n", run->round,
		       run->options.driver.seed);
	return good && check_round(run, ops, count);
}

static bool open_record(struct run *run)
{
	const struct options *o = &run->options;

	if (!o->record)
		return true;
	run->record = fopen(o->record, "w");
	if (!run->record) {
		fprintf(stderr, "history: %s: %s\n", o->record, strerror(errno));
		return false;
	}
	fprintf(run->record, "# seed %" PRIu64 ", %d clients%s%s%s\n", o->driver.seed,
		o->driver.clients, o->rules.local ? ", --local" : "",
		o->rules.name_locks ? ", --name-locks" : "",
		o->rules.restarts ? ", --restarts" : "");
	return true;
}

static bool make_history(struct run *run)
{
	struct driver *d;
	bool good = open_record(run);

	if (!good)
		return false;
	printf("seed %" PRIu64 "\n", run->options.driver.seed);
	fflush(stdout);
	d = driver_new(&run->options.driver);
	good = d != NULL;
	while (good && run->ops < run->options.ops)
		good = one_round(run, d, checker_states(run->checker) > STATES_SURVEY);
	driver_free(d);
	if (run->record)
		fclose(run->record);
	return good;
}

/* ---- The command line ---- */

static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *out >= least && *out <= most;
}

static bool take_number(struct options *o, int option, const char *text)
{
	uint64_t value = 0;
	bool good = option == 's'   ? number(text, 0, UINT64_MAX, &value)
		    : option == 'c' ? number(text, 1, CLIENTS_MAX, &value)
				    : number(text, 1, 1000000000, &value);

	if (option == 's')
		o->driver.seed = value;
	else if (option == 'c')
		o->driver.clients = (int)value;
	else if (option == 'o')
		o->ops = value;
	else
		o->round = value;
	return good;
}

static bool take_option(struct options *o, int option, int *mounts)
{
	switch (option) {
	case 'm':
		if (*mounts == NODES || strlen(optarg) >= MOUNT_PATH_MAX)
			return false;
		o->driver.mounts[(*mounts)++] = optarg;
		return true;
	case 's':
	case 'o':
	case 'n':
	case 'c':
		return take_number(o, option, optarg);
	case 'r':
		o->record = optarg;
		return true;
	case 'k':
		o->check = optarg;
		return true;
	case 'l':
		o->rules.local = o->driver.local = true;
		o->rules.content_limit = LOCAL_LIMIT;
		return true;
	case 'L':
		o->rules.name_locks = true;
		return true;
	case 'R':
		o->rules.restarts = true;
		return true;
	case 'p':
		o->progress = true;
		return true;
	default:
		return false;
	}
}

static bool read_options(struct options *o, int argc, char **argv)
{
	static const struct option long_options[] = {
		{"mount", required_argument, NULL, 'm'},
		{"seed", required_argument, NULL, 's'},
		{"ops", required_argument, NULL, 'o'},
		{"round", required_argument, NULL, 'n'},
		{"clients", required_argument, NULL, 'c'},
		{"record", required_argument, NULL, 'r'},
		{"check", required_argument, NULL, 'k'},
		{"local", no_argument, NULL, 'l'},
		{"name-locks", no_argument, NULL, 'L'},
		{"restarts", no_argument, NULL, 'R'},
		{"progress", no_argument, NULL, 'p'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option, mounts = 0;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			exit(0);
		}
		if (!take_option(o, option, &mounts))
			return false;
	}
	return optind == argc && (o->check ? mounts == 0 : mounts == NODES);
}

int main(int argc, char **argv)
{
	static struct run run = {
		.options =
			{
				.driver = {.clients = 6},
				.rules = {.content_limit = CONTENT_LIMIT},
				.ops = 10000,
				.round = 150,
			},
	};
	bool good;

	run.options.driver.seed = (uint64_t)time(NULL);
	if (!read_options(&run.options, argc, argv)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	signal(SIGPIPE, SIG_IGN);
	run.checker = checker_new(&run.options.rules);
	good = run.options.check ? check_file(&run) : make_history(&run);
	summary(&run);
	checker_free(run.checker);
	return good ? 0 : run.undecided ? EXIT_UNDECIDED : 1;
}
