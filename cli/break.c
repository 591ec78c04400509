/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/control.h"
#include "cli/entry.h"
#include "cli/say.h"
#include "cli/text.h"

/* Each acquisition is broken by a write of its own. 0: done; 1: it had ended; -1 after a line. */
static int break_one(const struct mount *m, const char *name, const char *token)
{
	int fd = control_open(m, "break", O_WRONLY), err;

	if (fd < 0)
		return -1;
	err = write(fd, token, strlen(token)) < 0 ? errno : 0;
	close(fd);
	if (err == ENOENT)
		return 1;
	if (!err)
		return 0;
	say_error("break %s: token %s: %s", name, token,
		  err == EIO ? "no master answers" : strerror(err));
	return -1;
}

static void tell(const char *name, const json_t *lock)
{
	char *shown = text_escape(name, strlen(name), TEXT_LINE), *holder = entry_holder(lock);
	char *kind = entry_word(lock, "kind"), *mode = entry_word(lock, "mode");

	printf("%s: %s %s of %s is broken\n", shown, mode, kind, holder);
	free(shown);
	free(holder);
	free(kind);
	free(mode);
}

/* The ranges of one owner are one acquisition, or several: a token that has gone was done with them.
 */
static int break_all(const struct mount *m, const char *name, const json_t *locks)
{
	int broken = 0, failed = 0;
	const json_t *lock;
	size_t i;

	json_array_foreach(locks, i, lock)
	{
		int result = break_one(m, name, entry_text(lock, "token"));

		if (!result)
			tell(name, lock);
		broken += !result;
		failed += result < 0;
	}
	if (!broken && !failed)
		say_error("%s: nobody has it", name);
	return broken && !failed ? 0 : 1;
}

int command_break(const struct args *a, const struct mount *m)
{
	char *name;
	json_t *all;
	int status = 1;

	if (geteuid() != 0) {
		say_error("break %s: only root may", a->name);
		return 1;
	}
	name = mount_name(m, a->name);
	all = name ? control_locks_of(m, name) : NULL;
	if (all)
		status = break_all(m, name, json_object_get(all, "locks"));
	json_decref(all);
	free(name);
	return status;
}
