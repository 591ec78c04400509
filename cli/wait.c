/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/control.h"
#include "cli/patience.h"
#include "cli/say.h"

enum state { IS_FREE, IS_HELD, IS_UNKNOWN };

static enum state look(const struct mount *m, const char *name)
{
	json_t *all = control_locks_of(m, name);
	size_t count = json_array_size(json_object_get(all, "locks"));

	if (!all)
		return IS_UNKNOWN;
	json_decref(all);
	return count ? IS_HELD : IS_FREE;
}

/* Something has happened to the name, or may have. */
static bool next(struct changes *c, const char *name)
{
	const json_t *event;
	const char *line;

	do {
		event = changes_next(c, &line);
	} while (event && !changes_about(event, name));
	return event != NULL;
}

/* What is looked at after the stream was opened cannot change without a line in it. */
static int wait_for(const struct mount *m, const char *name, struct changes *c)
{
	enum state state;

	while ((state = look(m, name)) == IS_HELD) {
		if (!patience_over() && next(c, name))
			continue;
		if (patience_over())
			return 1;
		if (errno != EINTR) {
			say_error("%s/.dlock/changes: %s", m->path, strerror(errno));
			return 1;
		}
	}
	return state == IS_FREE ? 0 : 1;
}

int command_wait(const struct args *a, const struct mount *m)
{
	char *name = mount_name(m, a->name);
	struct changes *c = name ? changes_open(m) : NULL;
	int status = 1;

	if (c) {
		patience_begin(a->wait_ns);
		status = wait_for(m, name, c);
	}
	changes_close(c);
	free(name);
	return status;
}
