/* SPDX-License-Identifier: MIT */
/*
 * "sqlite:PATH": a store in one SQLite file, for one machine. Each operation is one transaction,
 * with its comparison inside, and synced before it is DONE (WAL, synchronous = FULL).
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/store.h"
#include "master/store_sqlite.h"

/*
 * The functions up to sqlite_run return SQLite's (extended) result code, and reset a statement
 * before they return, since one left open would keep its transaction open.
 */

static int run_statement(struct sqlite_store *s, enum statement which)
{
	int rc = sqlite3_step(s->statements[which]);

	sqlite3_reset(s->statements[which]);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* SQLite has rolled back by itself after some errors, and not after others. */
static void roll_back(struct sqlite_store *s)
{
	if (!sqlite3_get_autocommit(s->db))
		run_statement(s, ROLLBACK);
}

int sqlite_store_read_cell(struct sqlite_store *s, struct engine_cell *cell)
{
	sqlite3_stmt *row = s->statements[READ_CELL];
	int rc = sqlite3_step(row);

	if (rc == SQLITE_ROW) {
		cell->instance = (uint64_t)sqlite3_column_int64(row, 0);
		cell->epoch = (uint64_t)sqlite3_column_int64(row, 1);
		cell->sequence = (uint64_t)sqlite3_column_int64(row, 2);
		cell->lease_ns = sqlite3_column_int64(row, 3);
		cell->leader_lease_ns = sqlite3_column_int64(row, 4);
		cell->asked_by = (uint64_t)sqlite3_column_int64(row, 5);
	}
	sqlite3_reset(row);
	return rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

static int write_cell(struct sqlite_store *s, const struct engine_cell *cell)
{
	sqlite3_stmt *update = s->statements[WRITE_CELL];

	sqlite3_bind_int64(update, 1, (sqlite3_int64)cell->instance);
	sqlite3_bind_int64(update, 2, (sqlite3_int64)cell->epoch);
	sqlite3_bind_int64(update, 3, (sqlite3_int64)cell->sequence);
	sqlite3_bind_int64(update, 4, cell->lease_ns);
	sqlite3_bind_int64(update, 5, cell->leader_lease_ns);
	sqlite3_bind_int64(update, 6, (sqlite3_int64)cell->asked_by);
	return run_statement(s, WRITE_CELL);
}

static int write_session(struct sqlite_store *s, enum statement which,
			 const struct engine_session *session)
{
	sqlite3_stmt *statement = s->statements[which];
	int rc = sqlite3_bind_text(statement, 1, session->node, -1, SQLITE_TRANSIENT);

	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_int64(statement, 2, (sqlite3_int64)session->instance);
	return run_statement(s, which);
}

static bool may_write(const struct engine_op *op, const struct engine_cell *cell)
{
	if (op->kind == ENGINE_SWAP)
		return memcmp(cell, &op->expect, sizeof(*cell)) == 0;
	return cell->instance == op->expect.instance && cell->epoch == op->expect.epoch;
}

static int write_what(struct sqlite_store *s, const struct engine_op *op)
{
	switch (op->kind) {
	case ENGINE_SWAP:
		return write_cell(s, &op->next);
	case ENGINE_PUT:
		return write_session(s, PUT_SESSION, &op->session);
	case ENGINE_DELETE:
		return write_session(s, DELETE_SESSION, &op->session);
	case ENGINE_READ:
	case ENGINE_LOAD:
		break;
	}
	abort(); /* sqlite_run sends only writing operations here */
}

static int run_write(struct sqlite_store *s, const struct engine_op *op, struct engine_outcome *out)
{
	struct engine_cell cell;
	int rc = run_statement(s, BEGIN);

	assert(rc != SQLITE_OK || !sqlite3_get_autocommit(s->db));
	if (rc == SQLITE_OK)
		rc = sqlite_store_read_cell(s, &cell);
	if (rc == SQLITE_OK && !may_write(op, &cell)) {
		roll_back(s);
		out->result = ENGINE_REFUSED;
		out->cell = cell;
		return SQLITE_OK;
	}
	if (rc == SQLITE_OK)
		rc = write_what(s, op);
	if (rc == SQLITE_OK)
		rc = run_statement(s, COMMIT);
	return rc;
}

static int count_sessions(struct sqlite_store *s, size_t *count)
{
	int rc = sqlite3_step(s->statements[COUNT_SESSIONS]);

	if (rc == SQLITE_ROW)
		*count = (size_t)sqlite3_column_int64(s->statements[COUNT_SESSIONS], 0);
	sqlite3_reset(s->statements[COUNT_SESSIONS]);
	return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int copy_session(sqlite3_stmt *row, struct engine_session *session)
{
	const unsigned char *node = sqlite3_column_text(row, 0);
	int len = sqlite3_column_bytes(row, 0);

	if (!node)
		return SQLITE_NOMEM;
	if (len > NODE_ID_MAX_BYTES)
		return SQLITE_CORRUPT;
	memcpy(session->node, node, (size_t)len); /* and the array has its NUL already */
	session->instance = (uint64_t)sqlite3_column_int64(row, 1);
	return SQLITE_ROW;
}

/* The store is exclusive, so nobody changes the registry between the two statements. */
static int load(struct sqlite_store *s, struct engine_outcome *out)
{
	sqlite3_stmt *row = s->statements[READ_SESSIONS];
	struct engine_session *sessions;
	size_t count = 0, i = 0;
	int rc = count_sessions(s, &count);

	if (rc != SQLITE_OK)
		return rc;
	sessions = calloc(count + 1, sizeof(*sessions)); /* + 1: never zero bytes */
	if (!sessions)
		return SQLITE_NOMEM;
	while ((rc = sqlite3_step(row)) == SQLITE_ROW) {
		rc = i < count ? copy_session(row, &sessions[i++]) : SQLITE_CORRUPT;
		if (rc != SQLITE_ROW)
			break;
	}
	sqlite3_reset(row);
	if (rc != SQLITE_DONE || i != count) {
		free(sessions);
		return rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
	}
	out->sessions = sessions;
	out->session_count = count;
	return SQLITE_OK;
}

/* After an error the disk may have it or not: the commit record may stand, unsynced, in the WAL. */
static void sqlite_run(void *priv, const struct engine_op *op, struct engine_outcome *out)
{
	struct sqlite_store *s = priv;
	int rc;

	out->result = ENGINE_DONE;
	out->cluster = s->cluster;
	if (op->kind == ENGINE_READ)
		rc = sqlite_store_read_cell(s, &out->cell);
	else if (op->kind == ENGINE_LOAD)
		rc = load(s, out);
	else
		rc = run_write(s, op, out);
	if (rc == SQLITE_OK)
		return;
	roll_back(s);
	out->result = ENGINE_UNKNOWN;
	snprintf(out->error, sizeof(out->error), "%s (SQLite code %d)", sqlite3_errstr(rc), rc);
}

static int sqlite_open(const char *rest, const struct store_options *options, void **priv,
		       char *why_text, size_t why_len)
{
	struct reason why = {why_text, why_len};
	struct sqlite_store *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return refuse(&why, -ENOMEM, "no memory for the store");
	err = store_file_find(&s->file, rest, &why);
	if (!err)
		err = sqlite_store_peek(&s->file, &why);
	if (!err)
		err = store_file_lock(&s->file, &why);
	if (err)
		goto out_free;
	err = sqlite_store_open(s, &why);
	if (err)
		goto out_lock;
	store_file_claim(&s->file);
	*priv = s;
	return 0;

out_lock:
	store_file_unlock(&s->file);
out_free:
	free(s);
	return err;
}

/* The lock goes last: the next master must find the store checkpointed. */
static void sqlite_close(void *priv)
{
	struct sqlite_store *s = priv;

	sqlite_store_close(s);
	store_file_unlock(&s->file);
	free(s);
}

const struct store_driver store_sqlite = {
	.scheme = "sqlite",
	.exclusive = true,
	.open = sqlite_open,
	.run = sqlite_run,
	.close = sqlite_close,
};
