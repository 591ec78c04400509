/* SPDX-License-Identifier: MIT */
#include "tests/history_fixture.h"

struct op ops[OPS_MAX];
size_t count;
struct rules rules;

int setup(void **state)
{
	memset(ops, 0, sizeof(ops));
	count = 0;
	rules = (struct rules){.content_limit = CONTENT_LIMIT};
	return 0;
}

struct op *add(int client, int64_t begin, int64_t end, enum op_kind kind, int err)
{
	struct op *op = &ops[count];

	assert_true(count < OPS_MAX);
	*op = (struct op){
		.id = FIRST_OP + (uint32_t)count,
		.client = client,
		.node = client % NODES,
		.begin = begin,
		.end = end,
		.kind = kind,
		.err = err,
		.slot = -1,
		.slot2 = -1,
		.place = PLACE_NONE,
		.place2 = PLACE_NONE,
	};
	count++;
	return op;
}

void opens(int client, int64_t begin, int64_t end, int place, int flags, int err, int ino)
{
	struct op *op = add(client, begin, end, OP_OPEN, err);

	op->slot = 0;
	op->place = place;
	op->arg[0] = flags;
	op->arg[1] = 0600;
	op->got[0] = ino;
}

void closes(int client, int64_t begin, int64_t end)
{
	add(client, begin, end, OP_CLOSE, 0)->slot = 0;
}

void makes(int client, int64_t begin, int64_t end, enum op_kind kind, int place, int err)
{
	struct op *op = add(client, begin, end, kind, err);

	op->place = place;
	op->arg[0] = kind == OP_SYMLINK ? 77 : 0600;
}

void unlinks(int client, int64_t begin, int64_t end, int place, int err)
{
	add(client, begin, end, OP_UNLINK, err)->place = place;
}

struct op *renames(int client, int64_t begin, int64_t end, int from, int to, int err)
{
	struct op *op = add(client, begin, end, OP_RENAME, err);

	op->place = from;
	op->place2 = to;
	return op;
}

void writes(int client, int64_t begin, int64_t end, int64_t at, const char *text)
{
	struct op *op = add(client, begin, end, OP_WRITE, 0);

	op->slot = 0;
	op->arg[0] = at;
	op->arg[1] = op->got[0] = (int64_t)strlen(text);
	op->data = blob_of(text, strlen(text));
	if (at < 0)
		op->got[1] = op->got[0];
}

void reads(int client, int64_t begin, int64_t end, const char *text)
{
	struct op *op = add(client, begin, end, OP_READ, 0);

	op->slot = 0;
	op->arg[1] = CONTENT_LIMIT;
	op->data = blob_of(text, strlen(text));
}

struct op *stats(int client, int64_t begin, int64_t end, int place, int err)
{
	struct op *op = add(client, begin, end, OP_STAT, err);

	op->place = place;
	if (err)
		return op;
	op->got[GOT_INO] = 100;
	op->got[GOT_TYPE] = TYPE_FILE;
	op->got[GOT_MODE] = 0600;
	op->got[GOT_NLINK] = 1;
	op->got[GOT_MTIME] = TOUCH_END;
	return op;
}

struct op *flocks(int client, int64_t begin, int64_t end, int mode, int wait, int err)
{
	struct op *op = add(client, begin, end, OP_FLOCK, err);

	op->slot = 0;
	op->arg[0] = mode;
	op->arg[1] = wait;
	return op;
}

struct op *ranges(int client, int64_t begin, int64_t end, int mode, int wait, int err)
{
	struct op *op = flocks(client, begin, end, mode, wait, err);

	op->kind = OP_RANGE;
	op->arg[2] = 0;
	op->arg[3] = 3;
	return op;
}

void bytes(struct op *op, int first, int last)
{
	op->arg[2] = first;
	op->arg[3] = last;
}

void dies(int client, int64_t begin, int64_t end)
{
	struct op *op = add(client, begin, end, OP_DIE, ERR_KILLED);

	for (int slot = 1; slot < SLOTS; slot++)
		op->got[slot] = -1;
}

void all_open(int last)
{
	opens(0, 0, 1, A, RW | OPEN_CREATE, 0, 100);
	for (int client = 1; client <= last; client++)
		opens(client, 1 + client, 2 + client, A, RW, 0, 100);
}

enum verdict verdict(void)
{
	struct checker *c = checker_new(&rules);
	size_t stuck;
	enum verdict v = checker_round(c, ops, count, &stuck);

	checker_free(c);
	return v;
}
