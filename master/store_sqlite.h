/* SPDX-License-Identifier: MIT */
/*
 * The two halves of "sqlite:PATH": store_sqlite.c runs operations, store_sqlite_open.c finds out
 * whether what is under PATH is a store. For these two files only.
 */
#ifndef MASTER_STORE_SQLITE_H
#define MASTER_STORE_SQLITE_H

#include <sqlite3.h>

#include "lockcore/engine.h"
#include "master/store_file.h"

/* clang-format off */
enum statement {
	BEGIN, COMMIT, ROLLBACK, READ_CELL, WRITE_CELL, COUNT_SESSIONS, READ_SESSIONS, PUT_SESSION,
	DELETE_SESSION, STATEMENT_COUNT,
};
/* clang-format on */

struct sqlite_store {
	struct store_file file;
	sqlite3 *db; /* locked by SQLite, too, while open */
	sqlite3_stmt *statements[STATEMENT_COUNT];
	uint64_t cluster; /* of the store: engine.h */
};

/*
 * Refuses what is plainly not a store, before a lock file is made beside somebody's file. Where
 * there is a lock file already, it leaves the look to sqlite_store_open, under the lock: closing a
 * file that this process has open as a store would drop SQLite's own locks.
 */
int sqlite_store_peek(const struct store_file *f, struct reason *why);

/*
 * Opens the store at s->file, which holds its lock, and makes it if there is none: fills the rest
 * of s. 0, or -errno with the reason; what was refused is then as it was.
 */
int sqlite_store_open(struct sqlite_store *s, struct reason *why);
void sqlite_store_close(struct sqlite_store *s);

/* The cell as it is, and SQLite's result code: SQLITE_OK, or SQLITE_CORRUPT when there is none. */
int sqlite_store_read_cell(struct sqlite_store *s, struct engine_cell *cell);

#endif
