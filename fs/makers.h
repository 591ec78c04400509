/* SPDX-License-Identifier: MIT */
/*
 * Makers: which process a held name's maker was, and not only which number it had.
 *
 * The core keeps the maker's number with the name. Here stands when the process of that number
 * began that was the last to make one: if another process has the number by now, it is not taken
 * for the maker. To be noted before the maker's request is answered, while it cannot end.
 */
#ifndef FS_MAKERS_H
#define FS_MAKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Those that have ended are forgotten when there are twice as many as lived then, and this many. */
#define MAKERS_MIN 1024

struct makers;

/* NULL: no memory. */
struct makers *makers_new(void);
void makers_free(struct makers *m);

/* Without memory, or if /proc does not show the process, it is not noted: false. */
bool makers_note(struct makers *m, pid_t pid);
/* False: no process of this number has made anything. */
bool makers_find(const struct makers *m, pid_t pid, uint64_t *start);
size_t makers_count(const struct makers *m);

#endif
