/* SPDX-License-Identifier: MIT */
/* Stop: a signal for all that CMD has become: its process group, and who has left it with the lock. */
#ifndef CLI_STOP_H
#define CLI_STOP_H

#include <stdint.h>
#include <sys/types.h>

/* The group's number must not be anybody else's: its leader has not been reaped. */
void stop_all(pid_t group, uint64_t marker, int signal);

#endif
