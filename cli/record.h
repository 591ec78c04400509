/* SPDX-License-Identifier: MIT */
/*
 * Record: that a job of "dlock once" has run. It has to outlive the process that ran it, and its node
 * if it can: in the directory NAME.once/ each node that has run the job, or has been told that it has
 * run, keeps a file of its own that says so, a held name. So it is known while one of those nodes
 * lives. Their time-to-live is the rest of the period.
 */
#ifndef CLI_RECORD_H
#define CLI_RECORD_H

#include <stdbool.h>
#include <time.h>

#include "cli/mount.h"

#define RECORD_NODE_BYTES 65 /* contract 7: 64 bytes at most */

struct record {
	char node[RECORD_NODE_BYTES];
	long long pid;
	time_t began; /* wall clock of its node */
	double took;  /* seconds */
};

/* A run that began at since or later. */
bool record_find(const struct mount *m, const char *name, time_t since, struct record *out);

/* Keeps the record for the node of this mount, until then. False with errno. */
bool record_keep(const struct mount *m, const char *name, const struct record *r, const char *node,
		 time_t until);

/* The node of this mount. False after a line on stderr. */
bool record_node(const struct mount *m, char node[RECORD_NODE_BYTES]);

#endif
