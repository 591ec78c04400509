/* SPDX-License-Identifier: MIT */
/* Calls as text: for a file, one line of numbers each, and for people. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"

/* ---- For people ---- */

static const char *const names[OP_KINDS] = {
	[OP_OPEN] = "open",	    [OP_CLOSE] = "close",   [OP_DUP] = "dup",
	[OP_READ] = "read",	    [OP_WRITE] = "write",   [OP_TRUNCATE] = "truncate",
	[OP_CHMOD] = "chmod",	    [OP_TOUCH] = "utimens", [OP_STAT] = "stat",
	[OP_MKNOD] = "mknod",	    [OP_MKDIR] = "mkdir",   [OP_SYMLINK] = "symlink",
	[OP_READLINK] = "readlink", [OP_LINK] = "link",	    [OP_RENAME] = "rename",
	[OP_UNLINK] = "unlink",	    [OP_RMDIR] = "rmdir",   [OP_LIST] = "readdir",
	[OP_FLOCK] = "flock",	    [OP_RANGE] = "fcntl",   [OP_TEST] = "getlk",
	[OP_DIE] = "dies",
};

const char *kind_name(enum op_kind kind)
{
	return names[kind];
}

void place_path(int place, char *path, size_t size)
{
	snprintf(path, size, "d%d/n%d%s", PLACE_ROOT(place), PLACE_NAME(place),
		 PLACE_INNER(place) ? "/x" : "");
}

struct line {
	char *text;
	size_t size, len;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *line, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line->text + line->len, line->size - line->len, format, args);
	va_end(args);
	line->len += n < 0 ? 0 : (size_t)n;
	if (line->len >= line->size)
		line->len = line->size - 1;
}

/* Runs of one byte, as "16*61". */
static void add_data(struct line *line, uint32_t blob)
{
	size_t len, end;
	const unsigned char *bytes = blob_bytes(blob, &len);

	if (!len)
		add(line, "-");
	for (size_t at = 0; at < len; at = end) {
		for (end = at; end < len && bytes[end] == bytes[at]; end++)
			;
		add(line, "%s%zu*%02x", at ? "," : "", end - at, bytes[at]);
	}
}

static void add_flags(struct line *line, int64_t flags)
{
	add(line, ", %s%s%s%s%s", flags & OPEN_READ ? "R" : "", flags & OPEN_WRITE ? "W" : "",
	    flags & OPEN_CREATE ? "|CREAT" : "", flags & OPEN_EXCL ? "|EXCL" : "",
	    flags & OPEN_TRUNC ? "|TRUNC" : "");
	add(line, "%s", flags & OPEN_APPEND ? "|APPEND" : "");
}

static void add_lock(struct line *line, const struct op *op)
{
	static const char *const modes[] = {"un", "sh", "ex"};
	static const char *const waits[] = {"", ", waits", ", waits (or is killed)"};

	add(line, ", %s", modes[op->arg[0]]);
	if (op->kind != OP_FLOCK)
		add(line, " %d-%d%s", (int)op->arg[2], (int)op->arg[3], op->arg[4] ? " ofd" : "");
	if (op->kind != OP_TEST)
		add(line, "%s", waits[op->arg[1]]);
}

static void add_call(struct line *line, const struct op *op)
{
	char path[32];

	add(line, "%s(", names[op->kind]);
	if (op->place >= 0) {
		place_path(op->place, path, sizeof(path));
		add(line, "%s", path);
	}
	if (op->slot >= 0)
		add(line, "%sfd%d", op->place >= 0 ? ", " : "", op->slot);
	if (op->place2 >= 0) {
		place_path(op->place2, path, sizeof(path));
		add(line, ", %s", path);
	}
	switch (op->kind) {
	case OP_OPEN:
		add_flags(line, op->arg[0]);
		break;
	case OP_DUP:
		add(line, ", fd%d", op->slot2);
		break;
	case OP_READ:
		add(line, ", at %" PRId64 ", %" PRId64 " bytes", op->arg[0], op->arg[1]);
		break;
	case OP_WRITE:
		add(line, ", at %" PRId64 ", ", op->arg[0]);
		add_data(line, op->data);
		break;
	case OP_CHMOD:
	case OP_MKNOD:
	case OP_MKDIR:
		add(line, ", 0%o", (unsigned)op->arg[0]);
		break;
	case OP_FLOCK:
	case OP_RANGE:
	case OP_TEST:
		add_lock(line, op);
		break;
	case OP_STAT:
		add(line, "%s", op->arg[0] ? ", follow" : "");
		break;
	case OP_RENAME:
		add(line, "%s", op->arg[0] ? ", NOREPLACE" : "");
		break;
	case OP_LIST:
	case OP_TRUNCATE:
	case OP_TOUCH:
	case OP_SYMLINK:
		add(line, "%s%" PRId64, op->kind == OP_LIST ? "d" : ", ", op->arg[0]);
		break;
	default:
		break;
	}
	add(line, ")");
}

static void add_stat(struct line *line, const int64_t *got)
{
	static const char *const types[] = {"?", "file", "dir", "link"};

	add(line, "inode %" PRId64 " %s %04o nlink %d size %d mtime %" PRId64, got[GOT_INO],
	    types[got[GOT_TYPE]], (unsigned)got[GOT_MODE], (int)got[GOT_NLINK], (int)got[GOT_SIZE],
	    got[GOT_MTIME]);
}

static void add_result(struct line *line, const struct op *op)
{
	add(line, " = ");
	if (op->err) {
		add(line, "%s", op->err == ERR_KILLED ? "killed" : strerrorname_np(op->err));
		return;
	}
	switch (op->kind) {
	case OP_OPEN:
		add(line, "inode %" PRId64 "%s", op->got[0], op->got[1] ? ", a directory" : "");
		break;
	case OP_READ:
		add_data(line, op->data);
		break;
	case OP_STAT:
		add_stat(line, op->got);
		break;
	case OP_LIST:
		for (int i = 0; i + 1 < GOTS_MAX && op->got[i] >= 0; i += 2)
			add(line, "n%d:%" PRId64 " ", (int)op->got[i], op->got[i + 1]);
		break;
	case OP_TEST:
		if (!op->got[0])
			add(line, "free");
		else if (op->got[1] < 0)
			add(line, "another lock, or another holder");
		else
			add(line, "%s %d-%d, client %d", op->got[0] == 1 ? "sh" : "ex",
			    (int)op->got[1], (int)op->got[2], (int)op->got[3]);
		break;
	case OP_READLINK:
		add(line, "%" PRId64, op->got[0]);
		break;
	default:
		add(line, "ok");
		break;
	}
	if (op->kind == OP_WRITE && op->got[0] < op->arg[1])
		add(line, ", %" PRId64 " bytes", op->got[0]);
	if (op->kind == OP_WRITE && op->arg[0] < 0)
		add(line, ", then at %" PRId64, op->got[1]);
}

void op_show(const struct op *op, char *text, size_t size)
{
	struct line line = {text, size, 0};

	*text = '\0';
	add_call(&line, op);
	add_result(&line, op);
}

/* ---- For a file ---- */

void op_write(const struct op *op, void *file)
{
	static char text[HISTORY_LINE_MAX];
	struct line line = {text, sizeof(text), 0};

	add(&line, "op %u %d %d %" PRId64 " %" PRId64 " %s %d %d %d %d %d", op->id, op->client,
	    op->node, op->begin, op->end, names[op->kind], op->slot, op->slot2, op->place,
	    op->place2, op->err);
	for (int i = 0; i < ARGS_MAX; i++)
		add(&line, " %" PRId64, op->arg[i]);
	for (int i = 0; i < GOTS_MAX; i++)
		add(&line, " %" PRId64, op->got[i]);
	add(&line, " ");
	add_data(&line, op->data);
	fprintf(file, "%s\n", text);
}

static bool number(char **rest, int64_t least, int64_t most, int64_t *out)
{
	char *word = strsep(rest, " "), *end;

	if (!word || !*word)
		return false;
	*out = strtoll(word, &end, 10);
	return !*end && *out >= least && *out <= most;
}

static bool small_number(char **rest, int least, int most, int *out)
{
	int64_t value;

	if (!number(rest, least, most, &value))
		return false;
	*out = (int)value;
	return true;
}

static bool read_kind(char **rest, enum op_kind *kind)
{
	const char *word = strsep(rest, " ");

	for (int k = 0; word && k < OP_KINDS; k++)
		if (!strcmp(word, names[k])) {
			*kind = (enum op_kind)k;
			return true;
		}
	return false;
}

static bool read_data(char *text, uint32_t *blob)
{
	static unsigned char bytes[LOCAL_LIMIT];
	size_t len = 0;
	char *run;

	if (!text)
		return false;
	while (strcmp(text, "-") != 0 && (run = strsep(&text, ","))) {
		unsigned long count, byte;

		if (sscanf(run, "%lu*%2lx", &count, &byte) != 2 || count > sizeof(bytes) - len)
			return false;
		memset(bytes + len, (int)byte, count);
		len += count;
		if (!text)
			break;
	}
	*blob = blob_of(bytes, len);
	return true;
}

/* The line without its "op ". */
bool op_read(struct op *op, char *line)
{
	int64_t id;
	bool good;

	line[strcspn(line, "\n")] = '\0';
	memset(op, 0, sizeof(*op));
	good = number(&line, FIRST_OP, UINT32_MAX, &id) &&
	       small_number(&line, 0, CLIENTS_MAX - 1, &op->client) &&
	       small_number(&line, 0, NODES - 1, &op->node) &&
	       number(&line, 0, INT64_MAX, &op->begin) && number(&line, 0, INT64_MAX, &op->end) &&
	       read_kind(&line, &op->kind) && small_number(&line, -1, SLOTS - 1, &op->slot) &&
	       small_number(&line, -1, SLOTS - 1, &op->slot2) &&
	       small_number(&line, -1, PLACES - 1, &op->place) &&
	       small_number(&line, -1, PLACES - 1, &op->place2) &&
	       small_number(&line, ERR_KILLED, INT32_MAX, &op->err);
	for (int i = 0; good && i < ARGS_MAX; i++)
		good = number(&line, INT64_MIN, INT64_MAX, &op->arg[i]);
	for (int i = 0; good && i < GOTS_MAX; i++)
		good = number(&line, INT64_MIN, INT64_MAX, &op->got[i]);
	op->id = good ? (uint32_t)id : 0;
	return good && read_data(line, &op->data);
}
