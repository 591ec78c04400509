/* SPDX-License-Identifier: MIT */
/* Args: the command line of dlock (contract 7). */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stdint.h>

enum command {
	COMMAND_STATUS,
	COMMAND_LS,
	COMMAND_WHO,
	COMMAND_WAIT,
	COMMAND_WATCH,
	COMMAND_BREAK,
	COMMAND_RUN,
	COMMAND_ELECT,
	COMMAND_ONCE,
	COMMAND_END,
};

#define ARGS_WAIT_FOREVER (-1)

struct args {
	enum command command;
	const char *mount; /* NULL: the default */
	const char *name;  /* as typed; NULL: none */
	char **argv;	   /* CMD and its arguments, ended by NULL */
	bool json, more, quiet;
	bool shared, nonblock;
	int64_t wait_ns; /* or ARGS_WAIT_FOREVER */
	int conflict;	 /* exit status on conflict */
	int64_t period_s;
};

/*
 * Fills *a; its strings are argv's. Returns -1 to go on, or the status to exit with: 0 after --help
 * and --version, 64 (EX_USAGE) after one line on stderr.
 */
int args_parse(struct args *a, int argc, char **argv);

/* What --help prints. */
extern const char args_help[];

#endif
