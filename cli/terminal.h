/* SPDX-License-Identifier: MIT */
/*
 * Terminal: lent to CMD's process group, as a shell does for its jobs, and taken back. Without a
 * terminal nothing here does anything. SIGTTOU has to be blocked.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>

struct terminal {
	int fd; /* -1: none */
	pid_t own, lent;
};

void terminal_open(struct terminal *t);
void terminal_close(struct terminal *t);
/* CMD shall have it from the start: we have it, and our input and output are it. With a pipe in
 * either, another program of the pipeline may want it: then only when CMD asks (SIGTTIN). */
bool terminal_is_all(const struct terminal *t);
/* If it is ours to give. */
bool terminal_lend(struct terminal *t, pid_t group);
/* Back to the group that had it, unless somebody else has it now. */
void terminal_take(struct terminal *t);

#endif
