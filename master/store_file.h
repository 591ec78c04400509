/* SPDX-License-Identifier: MIT */
/*
 * Store file: the place of a store that is one local file. Finds it, and holds the lock beside it
 * that makes the store exclusive (store.h). Knows nothing of what is in the file.
 */
#ifndef MASTER_STORE_FILE_H
#define MASTER_STORE_FILE_H

#include <limits.h>
#include <stddef.h>

/* Room for the longest suffix that is put behind a path, ".creating-journal". */
#define STORE_SUFFIX_MAX 20
#define STORE_NAME_MAX	 (PATH_MAX + STORE_SUFFIX_MAX)

/* Where to say, in one line, why a store is refused. Borrowed from store_open's caller. */
struct reason {
	char *text;
	size_t len;
};

/* Fills in the reason and returns err, a -errno. */
int refuse(struct reason *why, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

struct store_file {
	char path[PATH_MAX]; /* absolute, without links */
	int lock_fd;	     /* of PATH.lock */
};

/*
 * In this order: find, lock, and once the store is accepted, claim; unlock in the end. find and
 * lock read and change nothing of PATH itself, and return 0, or -errno with the reason filled in.
 *
 * find: the file need not exist yet, its directory must (STORE_DEFAULT_DIR is made).
 * lock: makes PATH.lock if need be.
 * claim: writes our pid there, for the next master's refusal.
 */
int store_file_find(struct store_file *f, const char *given, struct reason *why);
int store_file_lock(struct store_file *f, struct reason *why);
void store_file_claim(struct store_file *f);
void store_file_unlock(struct store_file *f);

/* Path and suffix in one. */
void store_file_name(char name[STORE_NAME_MAX], const char *path, const char *suffix);

/* Makes what was renamed or made in path's directory durable. 0 or -errno. */
int store_file_sync_directory(const char *path);

#endif
