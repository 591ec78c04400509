/* SPDX-License-Identifier: MIT */
/*
 * Wakes: what the loop waits for, registered once.
 *
 * It waits once for nearly every request of the kernel. To poll(2) each descriptor has to be named
 * each time, and looked at twice: a timer, the signals and an inbox that have nothing to say cost a
 * request 0.2 us. Here only those are looked at that were readable just now.
 *
 *	for (size_t n = wakes_wait(w, ids), i = 0; i < n; i++) … ids[i] …
 *
 * A descriptor that is closed is not waited for any more, provided that no copy of it is open.
 */
#ifndef FS_WAKES_H
#define FS_WAKES_H

#include <stddef.h>
#include <stdint.h>

#define WAKES_MAX 32 /* told at a time; others are the next time */

struct wakes {
	int fd;
};

/* Each 0 or -errno. */
int wakes_init(struct wakes *w);
/* The id is what wakes_wait tells it by; several may share one. */
int wakes_add(struct wakes *w, int fd, uint32_t id);

void wakes_deinit(struct wakes *w);

/*
 * Waits until one is readable, or has failed. Returns how many are, and their ids; 0: a debugger
 * came in between. They are told again and again until they have been read.
 */
size_t wakes_wait(struct wakes *w, uint32_t ids[WAKES_MAX]);

#endif
