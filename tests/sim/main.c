/* SPDX-License-Identifier: MIT */
/* dlock-sim: runs seeds; a seed that breaks an invariant ends the run and says how to see it again.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define EX_USAGE 64

static const char usage[] =
	"usage: dlock-sim [--seeds N] [--from S] [--faults LIST]\n"
	"       dlock-sim --seed S [--faults LIST]    with a trace\n"
	"faults: loss,repeat,delay,partition,master,node,engine,pause,freeze,drift,twin; none; "
	"all;\n"
	"        or their number\n";

static unsigned parse_faults(char *list)
{
	static const char *const names[] = {"loss",   "repeat", "delay",  "partition",
					    "master", "node",	"engine", "pause",
					    "freeze", "drift",	"twin"};
	unsigned faults = (unsigned)strtoul(list, NULL, 0);

	for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		if (!strcmp(word, "all"))
			faults = FAULT_ALL;
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (!strcmp(word, names[i]))
				faults |= 1u << i;
	}
	return faults;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seeds", required_argument, NULL, 'n'}, {"from", required_argument, NULL, 'f'},
		{"seed", required_argument, NULL, 's'},	 {"faults", required_argument, NULL, 'F'},
		{"help", no_argument, NULL, 'h'},	 {0},
	};
	uint64_t seeds = 1, from = 1;
	unsigned faults = FAULT_ALL;
	bool trace = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'n':
			seeds = strtoull(optarg, NULL, 10);
			break;
		case 'f':
			from = strtoull(optarg, NULL, 10);
			break;
		case 's':
			from = strtoull(optarg, NULL, 10);
			trace = true;
			break;
		case 'F':
			faults = parse_faults(optarg);
			break;
		default:
			fputs(usage, option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : EX_USAGE;
		}
	}
	for (uint64_t seed = from; seed < from + seeds; seed++) {
		struct sim_config config = chaos_config(seed, faults, trace);

		chaos_run(&config);
	}
	printf("%" PRIu64 " seeds from %" PRIu64 ": no invariant broken\n", seeds, from);
	return 0;
}
