/* SPDX-License-Identifier: MIT */
/* The command line of dlock-master (contract 7). */
#ifndef MASTER_OPTIONS_H
#define MASTER_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "master/store.h"

#define OPTIONS_LISTEN_MAX 16 /* --listen may be given so often */

#define OPTIONS_LISTEN_DEFAULT "tcp://127.0.0.1:4477"
#define OPTIONS_STORE_DEFAULT  "sqlite:/var/lib/dlock/master.db"

struct options {
	const char *listen[OPTIONS_LISTEN_MAX];
	size_t listens;
	const char *store;
	struct store_options store_options;
	const char *name; /* for the log */
	int64_t lease_ns;
	int64_t leader_lease_ns; /* TL */
};

/*
 * Fills *o from the command line; its strings are argv's. Returns -1 to go on, or the status to
 * exit with: 0 after --help and --version, 64 (EX_USAGE) after one line on stderr.
 */
int options_parse(struct options *o, int argc, char **argv);

#endif
