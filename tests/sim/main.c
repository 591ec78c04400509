/* SPDX-License-Identifier: MIT */
/* dlock-sim: runs seeds; a seed that breaks an invariant ends the run and says how to see it again.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"
#include "sim_rules.h"

#define EX_USAGE     64
#define REPLAY_BYTES 256

static const char usage[] =
	"usage: dlock-sim [--seeds N] [--from S] [--faults LIST] [--without RULE]...\n"
	"       dlock-sim --seed S [--faults LIST] [--without RULE]...    with a trace\n"
	"       dlock-sim --check-removals    each rule is left out once, and must be missed\n"
	"       dlock-sim --check-faults      all that is to befall several masters does\n"
	"       dlock-sim --list-rules\n"
	"LIST: all, none, or of these, with commas, or their number:\n"
	"     ";

struct options {
	uint64_t from, seeds;
	unsigned faults;
	bool trace;
};

static struct options options = {.from = 1, .seeds = 1, .faults = FAULT_ALL};

/* ---- A seed that fails, be it by an assertion of the core ---- */

static char replay[REPLAY_BYTES];

static void on_abort(int signal)
{
	ssize_t ignored = write(STDERR_FILENO, replay, strlen(replay));

	(void)ignored;
	raise(signal); /* SA_RESETHAND: this time it ends the process */
}

static void tell_replay_on_abort(void)
{
	struct sigaction action = {.sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGABRT, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

static void without_in_words(char *out, size_t size)
{
	size_t at = 0;

	*out = '\0';
	for (size_t i = 0; i < RULE_COUNT && at < size; i++)
		if (rule_left_out[i])
			at += (size_t)snprintf(out + at, size - at, " --without %s",
					       sim_rules[i].name);
}

void run_seeds(uint64_t from, uint64_t count, unsigned faults, bool trace)
{
	char without[REPLAY_BYTES / 2];

	without_in_words(without, sizeof(without));
	for (uint64_t seed = from; seed < from + count; seed++) {
		struct sim_config config = chaos_config(seed, faults, trace);

		snprintf(replay, sizeof(replay),
			 "replay: dlock-sim --seed %" PRIu64 " --faults %#x%s\n", seed, faults,
			 without);
		chaos_run(&config);
	}
}

/* ---- The command line ---- */

static int say_usage(FILE *to)
{
	fputs(usage, to);
	for (size_t i = 0; sim_fault_names[i]; i++)
		fprintf(to, " %s", sim_fault_names[i]);
	fputc('\n', to);
	return to == stdout ? 0 : EX_USAGE;
}

static int list_rules(void)
{
	for (size_t i = 0; i < RULE_COUNT; i++)
		printf("%-26s rule %s; missed within %" PRIu64 " seeds, faults: %s\n",
		       sim_rules[i].name, sim_rules[i].text, sim_rules[i].seeds,
		       sim_rules[i].faults);
	return 0;
}

static int check_removals(void)
{
	bool all = removals_are_noticed();

	printf(all ? "%d rules, and each is missed when it is left out\n"
		   : "not all of %d rules are missed when they are left out\n",
	       RULE_COUNT);
	return all ? 0 : 1;
}

static int run(void)
{
	run_seeds(options.from, options.seeds, options.faults, options.trace);
	printf("%" PRIu64 " seeds from %" PRIu64 ": no invariant broken\n", options.seeds,
	       options.from);
	return 0;
}

#define DEED_SEEDS 1000

static int check_faults(void)
{
	run_seeds(1, DEED_SEEDS, FAULT_ALL, false);
	return sim_did_all() ? 0 : 1;
}

/* The number of a word that is one, or EX_USAGE with a word on it. */
static int bad(const char *what, const char *word)
{
	fprintf(stderr, "dlock-sim: %s: %s (see --help)\n", what, word);
	return EX_USAGE;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"seeds", required_argument, NULL, 'n'},
		{"from", required_argument, NULL, 'f'},
		{"seed", required_argument, NULL, 's'},
		{"faults", required_argument, NULL, 'F'},
		{"without", required_argument, NULL, 'w'},
		{"list-rules", no_argument, NULL, 'l'},
		{"check-removals", no_argument, NULL, 'r'},
		{"check-faults", no_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option;

	tell_replay_on_abort();
	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (option) {
		case 'n':
			options.seeds = strtoull(optarg, NULL, 10);
			break;
		case 's':
			options.trace = true;
			/* fallthrough */
		case 'f':
			options.from = strtoull(optarg, NULL, 10);
			break;
		case 'F':
			options.faults = sim_faults(optarg);
			if (options.faults == SIM_NO_SUCH_FAULT)
				return bad("no such fault", optarg);
			break;
		case 'w':
			if (!sim_leave_out(optarg))
				return bad("no such rule", optarg);
			break;
		case 'l':
			return list_rules();
		case 'r':
			return check_removals();
		case 'd':
			return check_faults();
		default:
			return say_usage(option == 'h' ? stdout : stderr);
		}
	}
	if (optind != argc)
		return bad("what is this", argv[optind]);
	return run();
}
