/* SPDX-License-Identifier: MIT */
/*
 * Notify: makes the kernel tell inotify(7) of what other nodes did to names (contract 2.4).
 *
 * The kernel reports what happens on a mount, and to it nothing has happened here. So a thread of
 * ours does it once more, through our own mount: it removes the name that is gone, or makes the one
 * that has appeared. The requests that come of it are known by the thread's number and answered
 * from memory (own.c); no master hears of them.
 *
 *	master ──> node ──notice──> loop ──notify_add──> helper ──unlink(2)──┐
 *	                             ^                                      kernel ──> inotify
 *	                             └────────── LOOKUP, UNLINK ─────────────┘
 *
 * Such a call waits in the kernel, with nothing to interrupt it, while a create or mkdir in the same
 * directory is unanswered, which only the loop can answer. Therefore:
 *
 *  - Only the helper makes such calls, and nothing ever waits for the helper: the queue is bounded,
 *    its mutex is not held over any system call, and the end of the process does without it.
 *  - The helper has a table of descriptors of its own, without the device. When the process dies,
 *    however it does, the last descriptor of the device is closed, which ends every request of the
 *    mount and so frees the helper. With a shared one, the helper would keep the device open that it
 *    waits for, for ever.
 *  - The helper works in a private copy of the mount, and only while it has something to do, so that
 *    it never makes umount(8) fail with EBUSY, and never touches what is mounted above or below.
 */
#ifndef FS_NOTIFY_H
#define FS_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lockcore/node.h"

/* Notices that wait for the helper, and those it is done with until the next comes: more are
 * dropped. A node has seen no more names than this. */
#define NOTIFY_JOBS_MAX SEEN_NAMES_MAX

/* How long the end waits for a helper that is on its way out. */
#define NOTIFY_END_NS (2 * NS_PER_SEC)

/* Inode numbers from here on stand for one notice each: the table's are far below. */
#define NOTIFY_STAND_INS (UINT64_C(1) << 63)

struct notify;

struct notify_counts {
	uint64_t done;
	uint64_t vain;	  /* the kernel would not, or was not shown it: something else is there */
	uint64_t dropped; /* the queue was full */
};

/* The mount must be there, and need not serve yet: it is asked nothing. NULL: errno says why. */
struct notify *notify_new(const char *mountpoint);
/* Once the device is closed. A helper that hangs in the mountpoint's own path is left behind. */
void notify_free(struct notify *n);

/* Takes the notice over. */
void notify_add(struct notify *n, struct node_notice *notice);

/* Is this thread (as the kernel's requests name it) the helper? */
bool notify_is_helper(struct notify *n, pid_t tid);
/*
 * What the helper is at, with the number that may stand for the name's inode; valid until the next
 * notify_add. NULL: nothing.
 */
struct node_notice *notify_job(struct notify *n, uint64_t *stand_in);

void notify_counts(struct notify *n, struct notify_counts *out);

#endif
