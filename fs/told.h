/* SPDX-License-Identifier: MIT */
/*
 * Told: which inode the kernel was told last for a name, by the thread that asked. With no entry cached
 * a thread looks a name up right before it removes or moves it, with the directory locked; so what it
 * was told is what the kernel has checked the caller's permission against, and what it will treat as
 * removed, or moved, when it hears of the success. It must not be told of one if the master has
 * removed another: a directory taken for removed takes nothing in any more, although it lives on
 * elsewhere. So the request says what was told, and the master compares:
 *
 *	LOOKUP d ── inode 5 ──> RMDIR d, known 5 ── CHANGED ──> ESTALE: the kernel looks again
 *	LOOKUP d ── a stand-in for inode 7 ──> RMDIR d, known 7 or any ──> done
 *
 * The kernel looks again once, and gives a second ESTALE to the program, which no local file system
 * does. Nor could the second try be left to chance: so the thread is shown a number that belongs to no
 * file. What the kernel does to that is of no consequence, and the request may take whatever
 * directory has the name by now. That is what a local file system does, with the one difference that
 * it holds the directory still; where the sticky bit protects a file, the master looks itself (KNOWN_ANY).
 * To move a directory to another one the kernel asks for its attributes once more, after it has looked
 * both names up: it gets those of the look. Should a thread ask anything else of a stand-in it gets
 * ESTALE, looks again, and is told the truth.
 *
 * The kernel looks twice where it has another file in mind, first to see that it is not that. The name
 * may be gone at the first of these looks, and a directory's at the second: that is one try. A call that
 * comes later begins with the attributes of the directory above (which are not cached).
 *
 * What is no directory has no state that would not show the truth at the next look: for that any file will do
 * at the first try already. Lock files that are replaced all the time cost nobody a second one.
 *
 * What is not remembered (two names a thread; of threads whose numbers fall together the last) is sent
 * as not known.
 */
#ifndef FS_TOLD_H
#define FS_TOLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lockcore/message.h"

#define TOLD_THREADS 1024 /* remembered, by number: some 800 KiB if all are in use */
#define TOLD_NAMES   2	  /* of each: a rename's */

/* Numbers from here on stand in for a directory: notify.h's and the table's are below. */
#define TOLD_STAND_INS (UINT64_C(3) << 62)

struct told;

/* NULL: no memory. */
struct told *told_new(void);
void told_free(struct told *t);

/* The thread looks a name up. Returns the number of this look, for its answer. */
uint64_t told_look(struct told *t, pid_t tid, uint64_t parent, const char *name);
/*
 * The answer: NULL: there is no such name. Returns the inode number that the kernel is to be told.
 */
uint64_t told_answer(struct told *t, pid_t tid, uint64_t look, const struct attr *attr);

/*
 * The attributes of a stand-in, as the thread was told them, if this is the question of a move that has
 * looked at its other name since; else false.
 */
bool told_attr(const struct told *t, pid_t tid, uint64_t ino, struct attr *attr);

/* Fills in what is known in an UNLINK or a RENAME of the thread. */
void told_fill(struct told *t, pid_t tid, struct message *m);
/* The thread asks this: a second try is over, unless it goes on looking for its names. */
void told_asks(struct told *t, pid_t tid, const struct message *m);
/* STATUS_CHANGED is answered to the thread's UNLINK or RENAME. */
void told_changed(struct told *t, pid_t tid);

#endif
