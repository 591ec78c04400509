/* SPDX-License-Identifier: MIT */
/* Control: the files of the mount's .dlock/, and the attributes of its locks, read whole. */
#ifndef CLI_CONTROL_H
#define CLI_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/mount.h"

/* A table of all locks that a cluster can have is far from it: more is no answer. */
#define CONTROL_BYTES_MAX ((size_t)1 << 30)

/* Opens .dlock/FILE; -1 after one line on stderr. */
int control_open(const struct mount *m, const char *file, int flags);

/* All of .dlock/FILE, with a NUL after it; NULL after one line on stderr. The caller frees it. */
char *control_text(const struct mount *m, const char *file, size_t *len);

/* The same as JSON, whose version this program knows. The caller lets go of it. */
json_t *control_json(const struct mount *m, const char *file);

/* The file as it is, on stdout, for --json. False after one line on stderr. */
bool control_print(const struct mount *m, const char *file);

/* The attribute user.dlock.WHAT of a lock: its text, NULL with errno. The caller frees it. */
char *control_attribute(const struct mount *m, const char *name, const char *what);

/*
 * What locks.json says of one name; if the file is there through its attribute, which costs the
 * cluster less. NULL after one line on stderr. The caller lets go of it.
 */
json_t *control_locks_of(const struct mount *m, const char *name);

#endif
