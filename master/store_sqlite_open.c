/* SPDX-License-Identifier: MIT */
/*
 * What is under PATH: is it ours, is it whole?
 *
 * Beside PATH lie PATH.lock (store_file.h) and, while the store is open or was not closed, SQLite's
 * PATH-wal. A store is made whole as PATH.creating and then renamed, so that a crash leaves no half
 * store. What is found under PATH is first looked at with read(2): SQLite, once let at it, would
 * repair and checkpoint databases that are not ours.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/store_sqlite.h"

#define APPLICATION_ID 0x646c636b /* "dlck" */
#define STORE_VERSION  1

/* SQLite's file format, "The Database Header". */
#define HEADER_BYTES	      100
#define HEADER_MAGIC	      "SQLite format 3" /* with its NUL */
#define HEADER_USER_VERSION   60
#define HEADER_APPLICATION_ID 68

#define STRINGIFY(x) #x
#define NUMBER(x)    STRINGIFY(x)

/*
 * 64-bit numbers are kept as the int64 of the same bits, which is all that SQLite has. The journal
 * mode is set here, not at the first use, so that the header of PATH itself always has the two ids.
 */
/* clang-format off */
static const char schema[] =
	"PRAGMA synchronous = FULL;"
	"BEGIN;"
	"CREATE TABLE leader (only INTEGER PRIMARY KEY CHECK (only = 1), instance INTEGER NOT NULL,"
	" epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, lease_ns INTEGER NOT NULL) STRICT;"
	"INSERT INTO leader VALUES (1, 0, 0, 0, 0);"
	"CREATE TABLE session (node TEXT PRIMARY KEY, instance INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"PRAGMA application_id = " NUMBER(APPLICATION_ID) ";"
	"PRAGMA user_version = " NUMBER(STORE_VERSION) ";"
	"COMMIT;"
	"PRAGMA journal_mode = WAL;";

/*
 * What the first stores of this version did not have, so that an old program, which passes over it,
 * can still use a store that a new one had. The cluster's number is never 0.
 */
static const char additions[] =
	"ALTER TABLE leader ADD COLUMN leader_lease_ns INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE leader ADD COLUMN asked_by INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE cluster (only INTEGER PRIMARY KEY CHECK (only = 1), id INTEGER NOT NULL) STRICT;"
	"INSERT INTO cluster VALUES (1, random() | 1);";

static const char *const statement_text[STATEMENT_COUNT] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[READ_CELL] = "SELECT instance, epoch, sequence, lease_ns, leader_lease_ns, asked_by"
		" FROM leader",
	[WRITE_CELL] = "UPDATE leader SET instance = ?, epoch = ?, sequence = ?, lease_ns = ?,"
		" leader_lease_ns = ?, asked_by = ?",
	[COUNT_SESSIONS] = "SELECT count(*) FROM session",
	[READ_SESSIONS] = "SELECT node, instance FROM session",
	[PUT_SESSION] = "INSERT OR REPLACE INTO session VALUES (?, ?)",
	[DELETE_SESSION] = "DELETE FROM session WHERE node = ? AND instance = ?",
};
/* clang-format on */

static int refuse_damaged(struct reason *why, const char *path, const char *what)
{
	return refuse(why, -EBADMSG, "%s is damaged (%s); left as it is: put a backup in its place",
		      path, what);
}

/* What an error of SQLite means to the people who start a master. */
static int refuse_sqlite(struct reason *why, const char *path, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return refuse(why, -ENOSPC, "no space left for %s", path);
	case SQLITE_BUSY:
		return refuse(why, -EBUSY, "%s is in use by another program", path);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR: /* a table or a column that should be there is not */
		return refuse_damaged(why, path, sqlite3_errstr(rc));
	case SQLITE_NOMEM:
		return refuse(why, -ENOMEM, "no memory to open %s", path);
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return refuse(why, -EACCES, "%s cannot be opened: %s", path, sqlite3_errstr(rc));
	default:
		return refuse(why, -EIO, "%s cannot be used: %s (SQLite code %d)", path,
			      sqlite3_errstr(rc), rc);
	}
}

/*
 * What SQLite would play into whatever lies under PATH: a rollback journal in any case, since a
 * store never has one; a WAL if its store is gone.
 */
static int check_leftovers(const char *path, bool exists, struct reason *why)
{
	char name[STORE_NAME_MAX];

	store_file_name(name, path, "-journal");
	if (access(name, F_OK) == 0)
		return refuse(
			why, -EBADMSG,
			"%s lies beside the store: another program wrote to it; left as it is",
			name);
	store_file_name(name, path, "-wal");
	if (!exists && access(name, F_OK) == 0)
		return refuse(why, -EBADMSG,
			      "%s is gone but %s is there: put the store back, or remove that too",
			      path, name);
	return 0;
}

static int check_identity(const char *path, uint32_t application, uint32_t version,
			  struct reason *why)
{
	if (application != APPLICATION_ID)
		return refuse(
			why, -EBADMSG,
			"%s is a database of another program, not a dlock store; left as it is",
			path);
	if (version > STORE_VERSION)
		return refuse(
			why, -EPROTO,
			"%s was made by a newer dlock (version %u; this one knows %d); left as "
			"it is",
			path, version, STORE_VERSION);
	if (version < STORE_VERSION)
		return refuse_damaged(why, path, "it has no version");
	return 0;
}

static uint32_t big_endian(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/*
 * An empty file is refused too: no store is ever empty, so it is what is left of one, and to start
 * anew in it would forget sessions that still believe.
 */
static int check_header(const char *path, struct reason *why)
{
	unsigned char header[HEADER_BYTES] = {0};
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return refuse(why, -errno, "%s cannot be opened for writing: %s", path,
			      strerror(errno));
	n = pread(fd, header, sizeof(header), 0);
	close(fd);
	if (n < 0)
		return refuse(why, -EIO, "%s cannot be read", path);
	if (n == 0)
		return refuse(why, -EBADMSG,
			      "%s is empty, which no store is; remove it to start a new one", path);
	if (n < HEADER_BYTES || memcmp(header, HEADER_MAGIC, sizeof(HEADER_MAGIC)) != 0)
		return refuse(why, -EBADMSG, "%s is not a dlock store; left as it is", path);
	return check_identity(path, big_endian(header + HEADER_APPLICATION_ID),
			      big_endian(header + HEADER_USER_VERSION), why);
}

int sqlite_store_peek(const struct store_file *f, struct reason *why)
{
	char lock[STORE_NAME_MAX];

	store_file_name(lock, f->path, ".lock");
	if (access(f->path, F_OK) < 0 || access(lock, F_OK) == 0)
		return 0;
	return check_header(f->path, why);
}

static void remove_unfinished(const char *path)
{
	static const char *const suffixes[] = {".creating", ".creating-journal", ".creating-wal",
					       ".creating-shm"};
	char name[STORE_NAME_MAX];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		store_file_name(name, path, suffixes[i]);
		unlink(name);
	}
}

static int fill_new(const char *name)
{
	sqlite3 *db;
	int rc = sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, schema, NULL, NULL, NULL);
	sqlite3_close(db);
	return rc;
}

static int create(const char *path, struct reason *why)
{
	char name[STORE_NAME_MAX];
	int fd, rc, err = 0;

	remove_unfinished(path); /* of a creator that died: its lock is ours now */
	store_file_name(name, path, ".creating");
	fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return refuse(why, -errno, "%s cannot be made: %s", path, strerror(errno));
	close(fd); /* it is made here for its mode, which SQLite gives to the WAL too */
	rc = fill_new(name);
	if (rc != SQLITE_OK)
		err = refuse_sqlite(why, path, rc);
	else if (rename(name, path) < 0)
		err = refuse(why, -errno, "%s cannot be made: %s", path, strerror(errno));
	if (err)
		remove_unfinished(path);
	return err;
}

/* The first column of the only row. */
static int query_number(sqlite3 *db, const char *sql, uint64_t *value)
{
	sqlite3_stmt *statement;
	int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		*value = (uint64_t)sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* SQLITE_CORRUPT: the answer is another. */
static int query_expect(sqlite3 *db, const char *sql, const char *expected)
{
	const unsigned char *text = NULL;
	sqlite3_stmt *statement;
	int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW) {
		text = sqlite3_column_text(statement, 0);
		rc = text && strcmp((const char *)text, expected) == 0 ? SQLITE_OK : SQLITE_CORRUPT;
	}
	sqlite3_finalize(statement);
	return rc;
}

/* Within the caller's transaction. */
static int add_what_is_missing(sqlite3 *db)
{
	uint64_t has = 0;
	int rc = query_number(
		db, "SELECT count(*) FROM pragma_table_info('leader') WHERE name = 'asked_by'",
		&has);

	if (rc == SQLITE_OK && !has)
		rc = sqlite3_exec(db, additions, NULL, NULL, NULL);
	return rc;
}

static int use_tables(struct sqlite_store *s)
{
	struct engine_cell cell;
	int rc = add_what_is_missing(s->db);

	for (int i = 0; rc == SQLITE_OK && i < STATEMENT_COUNT; i++)
		rc = sqlite3_prepare_v3(s->db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
					&s->statements[i], NULL);
	if (rc == SQLITE_OK)
		rc = sqlite_store_read_cell(s, &cell);
	if (rc == SQLITE_OK)
		rc = query_number(s->db, "SELECT id FROM cluster", &s->cluster);
	return rc == SQLITE_OK && !s->cluster ? SQLITE_CORRUPT : rc;
}

/* A store that is refused is left as it was. */
static int use_tables_or_none(struct sqlite_store *s)
{
	int rc = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	if (rc == SQLITE_OK)
		rc = use_tables(s);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
	if (rc != SQLITE_OK && !sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

/* Again, now as the WAL has it: a newer version may have died before its WAL was checkpointed. */
static int check_content(struct sqlite_store *s, struct reason *why)
{
	uint64_t application = 0, version = 0;
	int rc = query_number(s->db, "PRAGMA application_id", &application);
	int err;

	if (rc == SQLITE_OK)
		rc = query_number(s->db, "PRAGMA user_version", &version);
	if (rc != SQLITE_OK)
		return refuse_sqlite(why, s->file.path, rc);
	err = check_identity(s->file.path, (uint32_t)application, (uint32_t)version, why);
	if (err)
		return err;
	rc = query_expect(s->db, "PRAGMA quick_check(1)", "ok");
	if (rc == SQLITE_OK)
		rc = use_tables_or_none(s);
	return rc == SQLITE_OK ? 0 : refuse_sqlite(why, s->file.path, rc);
}

/*
 * SQLite's own exclusive lock is the second line after PATH.lock, which somebody may remove. Until
 * the store is accepted, closing does not checkpoint, so that SQLite only reads.
 */
static int open_database(struct sqlite_store *s, struct reason *why)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
	int rc = sqlite3_open_v2(s->file.path, &s->db, flags, NULL);
	int err;

	if (rc != SQLITE_OK)
		return refuse_sqlite(why, s->file.path, rc);
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	rc = query_expect(s->db, "PRAGMA locking_mode = EXCLUSIVE", "exclusive");
	if (rc != SQLITE_OK)
		return refuse_sqlite(why, s->file.path, rc);
	err = check_content(s, why);
	if (err)
		return err;
	rc = query_expect(s->db, "PRAGMA journal_mode = WAL", "wal");
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return refuse_sqlite(why, s->file.path, rc);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return 0;
}

void sqlite_store_close(struct sqlite_store *s)
{
	int rc;

	for (int i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(s->statements[i]);
	rc = sqlite3_close(s->db);
	assert(rc == SQLITE_OK);
}

/* SQLite makes an empty WAL when it looks at a store; a refused one is left as it was. */
static void remove_empty_wal(const char *path)
{
	char name[STORE_NAME_MAX];
	struct stat st;

	store_file_name(name, path, "-wal");
	if (stat(name, &st) == 0 && st.st_size == 0)
		unlink(name);
}

/* The directory is synced at every opening: a creator may have died just before it did. */
int sqlite_store_open(struct sqlite_store *s, struct reason *why)
{
	const char *path = s->file.path;
	bool exists = access(path, F_OK) == 0;
	int err = check_leftovers(path, exists, why);

	if (!err)
		err = exists ? check_header(path, why) : create(path, why);
	if (err)
		return err;
	err = store_file_sync_directory(path);
	if (err)
		return refuse(why, err, "%s cannot be made durable: %s", path, strerror(-err));
	err = open_database(s, why);
	if (err) {
		sqlite_store_close(s);
		remove_empty_wal(path);
	}
	return err;
}
