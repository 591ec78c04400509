/* SPDX-License-Identifier: MIT */
#include "cli/name.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"

/*
 * Takes ".", ".." and needless slashes out, in place. An absolute path cannot leave the root; false: a
 * relative one leaves where it begins.
 */
static bool normalise(char *path)
{
	bool absolute = path[0] == '/';
	char *from = path, *to = path, *part;

	while ((part = strsep(&from, "/"))) {
		size_t len = strlen(part);

		if (!len || !strcmp(part, "."))
			continue;
		if (!strcmp(part, "..")) {
			if (to == path && !absolute)
				return false;
			while (to > path && *--to != '/')
				;
			continue;
		}
		if (absolute || to != path)
			*to++ = '/';
		memmove(to, part, len);
		to += len;
	}
	*to = '\0';
	return true;
}

/* The rest of path below mount, NULL if it is elsewhere. Both are normal. */
static const char *rest_below(const char *mount, const char *path)
{
	size_t len = strlen(mount);

	if (strncmp(path, mount, len) != 0 || (path[len] && path[len] != '/'))
		return NULL;
	return path[len] ? path + len + 1 : path + len;
}

static char *absolute_below(const char *const mounts[], char *path)
{
	const char *rest = NULL;

	normalise(path);
	for (size_t i = 0; mounts[i] && !rest; i++) {
		char *mount = text_dup(mounts[i]);

		normalise(mount);
		rest = rest_below(mount, path);
		free(mount);
	}
	return rest ? text_dup(rest) : NULL;
}

static char *check(char *below, const char **why)
{
	const char *part = strrchr(below, '/');

	part = part ? part + 1 : below;
	if (!*below)
		*why = "is the mount itself, not a lock in it";
	else if (!strcmp(below, ".dlock") || !strncmp(below, ".dlock/", 7))
		*why = ".dlock is reserved";
	else if (strlen(part) > NAME_MAX || strlen(below) >= PATH_MAX / 2)
		*why = "is too long";
	else
		return below;
	free(below);
	return NULL;
}

static bool is_from_cwd(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..") || !strncmp(name, "./", 2) ||
	       !strncmp(name, "../", 3);
}

char *name_below(const char *const mounts[], const char *cwd, const char *name, const char **why)
{
	char *path, *below = NULL;

	if (!*name) {
		*why = "is empty";
		return NULL;
	}
	if (name[0] != '/' && !is_from_cwd(name)) {
		path = text_dup(name);
		if (normalise(path))
			return check(path, why);
		*why = "leads out of the mount";
		free(path);
		return NULL;
	}
	if (name[0] != '/' && !cwd) {
		*why = "the working directory is unknown";
		return NULL;
	}
	path = name[0] == '/' ? text_dup(name) : text_printf("%s/%s", cwd, name);
	below = absolute_below(mounts, path);
	free(path);
	if (below)
		return check(below, why);
	*why = "is not below the mount";
	return NULL;
}
