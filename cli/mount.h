/* SPDX-License-Identifier: MIT */
/* Mount: the dlock mount that a command is about, and the names of locks in it. */
#ifndef CLI_MOUNT_H
#define CLI_MOUNT_H

#include <stdbool.h>
#include <sys/types.h>

#define MOUNT_DEFAULT "/mnt/dlock"

struct mount {
	const char *path; /* as given */
	int fd;		  /* O_PATH: closing it asks the daemon nothing */
	dev_t dev;
};

/*
 * Opens the mount at path, NULL: $DLOCK_MOUNT or the default. False after one line on stderr: there
 * is none, it is no mount of dlock, or its daemon is dead.
 */
bool mount_open(struct mount *m, const char *path);
void mount_close(struct mount *m);

/* The path of the lock that a person calls name, see name.h. NULL after one line on stderr. */
char *mount_name(const struct mount *m, const char *name);

/* The path for calls that take no directory, of a file below the mount. The caller frees it. */
char *mount_path(const struct mount *m, const char *below);

#endif
