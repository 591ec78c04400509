/* SPDX-License-Identifier: MIT */
/*
 * Loop: what a daemon's poll loop takes from the system besides its peers: the clocks, one timer
 * for the core's deadline, and the signals that end it, as descriptors to poll.
 *
 *	loop_init(&loop);
 *	for (;;) {
 *		loop_arm(&loop, core_deadline());
 *		poll(… loop.timer_fd, loop.signal_fd …);
 *		…
 *	}
 *	loop_deinit(&loop);
 */
#ifndef TRANSPORT_LOOP_H
#define TRANSPORT_LOOP_H

#include <stdbool.h>

#include "lockcore/moment.h"

struct loop {
	int timer_fd;	  /* readable when the deadline has passed, and now and then before */
	int signal_fd;	  /* readable when SIGTERM, SIGINT or SIGHUP has come */
	int64_t armed_ns; /* what the timer is set for; MOMENT_NEVER: nothing */
};

struct moment loop_now(void);

/*
 * Blocks the ending signals for the thread, and so for all threads made afterwards: call it before
 * the first of them starts. Ignores SIGPIPE. 0 or -errno.
 */
int loop_init(struct loop *loop);
void loop_deinit(struct loop *loop);

/*
 * CLOCK_BOOTTIME, ns; MOMENT_NEVER: not at all; in the past: at once. To be called before every wait:
 * a timer that is set for earlier stays so, and is set anew once it has come. Deadlines that are
 * mostly put off, as with every request, so cost a system call each time that the first has passed,
 * instead of each time that one changes.
 */
void loop_arm(struct loop *loop, int64_t deadline_ns);
/* The timer has been seen; the next loop_arm sets it anew. The deadline may be later than this. */
void loop_timer_seen(struct loop *loop);
/* The number of a signal that has come, 0: none. */
int loop_signal(struct loop *loop);

/*
 * "10", "2.5", "0": a number of seconds with decimals, to ns. False: not one, negative, or more
 * than a hundred years.
 */
bool loop_parse_seconds(const char *text, int64_t *ns);

#endif
