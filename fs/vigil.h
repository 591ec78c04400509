/* SPDX-License-Identifier: MIT */
/*
 * Vigil: tells when a session (setsid(2)) has no process left, from a thread of its own, since a
 * look through /proc takes a while.
 *
 *	loop ──vigil_want(session)──> thread: a pidfd of one process of it; when that ends, a look for
 *	  ^                             │     another; when two looks find none
 *	  └── vigil_fd, vigil_next ─────┘
 *
 * Nobody looks through /proc as long as that one process runs, nor at the end of a session that
 * nothing is wanted of any more, as of a script that has cleaned up.
 */
#ifndef FS_VIGIL_H
#define FS_VIGIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lockcore/moment.h"

/* Sessions that are watched by a pidfd. Whatever is more, or finds no free descriptor, is looked for
 * in /proc every VIGIL_RETRY_NS. */
#define VIGIL_DESCRIPTORS_MAX 4096

/* From one look to the next at least: processes that end one after the other, each with the next of
 * the same session, keep nobody busy. */
#define VIGIL_PAUSE_NS (20 * NS_PER_MS)
#define VIGIL_RETRY_NS NS_PER_SEC

struct vigil;

/* NULL: errno says why. */
struct vigil *vigil_new(void);
void vigil_free(struct vigil *v);

/*
 * Something depends on the session of this number that was there at since_ns (CLOCK_BOOTTIME). Fine
 * if it is watched already, for something earlier. False: no memory.
 */
bool vigil_want(struct vigil *v, pid_t sid, int64_t since_ns);
/* Nothing does any more: no report follows. */
void vigil_unwant(struct vigil *v, pid_t sid);

/* Readable when there are reports. */
int vigil_fd(const struct vigil *v);
/*
 * The next report: whatever session of this number was there before before_ns has no process left.
 * It is not wanted any more by that; what depends on a later one has to say so again. False: none.
 */
bool vigil_next(struct vigil *v, pid_t *sid, int64_t *before_ns);

/* Sessions at hand, those included that nobody wants any more and that have not ended yet. */
size_t vigil_count(struct vigil *v);

#endif
