/* SPDX-License-Identifier: MIT */
/* Holders: the processes that have the marker of a job, wherever they have gone. */
#ifndef CLI_HOLDERS_H
#define CLI_HOLDERS_H

#include <stdint.h>

/*
 * Sends the signal to each process that has the pipe of this inode open and is neither in the group
 * nor this process. Reads /proc alone, no file system that the files are of. Returns how many.
 */
int holders_signal(uint64_t pipe_ino, int group, int signal);

#endif
