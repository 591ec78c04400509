/* SPDX-License-Identifier: MIT */
/* Changes: what happens to the locks of the cluster, event by event, from .dlock/changes. */
#ifndef CLI_CHANGES_H
#define CLI_CHANGES_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/mount.h"

struct changes;

/* From now on. NULL after one line on stderr. */
struct changes *changes_open(const struct mount *m);
void changes_close(struct changes *c);

/*
 * Waits for the next event: a JSON object, and its line. Both are c's until the next call. NULL: none
 * will come, errno says why, EINTR for a signal.
 */
const json_t *changes_next(struct changes *c, const char **line);

/* The event is of this name, or tells that others were missed, which may have been. */
bool changes_about(const json_t *event, const char *name);
bool changes_missed(const json_t *event);

#endif
