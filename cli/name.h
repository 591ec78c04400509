/* SPDX-License-Identifier: MIT */
/* Name: from what a person types to the path of a lock below the mount. */
#ifndef CLI_NAME_H
#define CLI_NAME_H

/*
 * The path below the mount, without a leading slash, of
 *	dir/job			relative to the mount
 *	/mnt/dlock/dir/job	absolute, below the mount
 *	./job, ../job		relative to cwd, which then is in the mount
 * mounts are the names that the mount goes by, ended by NULL; cwd may be NULL: unknown. "." and ".."
 * are taken away by their text. NULL: none, and *why says it. The caller frees it.
 */
char *name_below(const char *const mounts[], const char *cwd, const char *name, const char **why);

#endif
