/* SPDX-License-Identifier: MIT */
/* Patience: the end of a wait in calls that take no time of their own: SIGALRM ends them (EINTR). */
#ifndef CLI_PATIENCE_H
#define CLI_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#define PATIENCE_FOREVER (-1)

/* From now on for so long; 0: it is over already. One at a time in a process of one thread. */
void patience_begin(int64_t ns);
bool patience_over(void);
void patience_end(void);

#endif
