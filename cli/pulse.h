/* SPDX-License-Identifier: MIT */
/*
 * Pulse: .dlock/lease, read by a thread. A call on the mount hangs when its daemon is stopped, poll()
 * as well, and whoever guards a command must not: so what the thread reads comes out of a pipe.
 */
#ifndef CLI_PULSE_H
#define CLI_PULSE_H

/*
 * Takes lease_fd. Returns the pipe's end to read lines from, nonblocking, -1 with errno. At its end
 * the mount says no more. The thread ends with the process.
 */
int pulse_start(int lease_fd);

#endif
