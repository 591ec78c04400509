/* SPDX-License-Identifier: MIT */
/* What a client does next, by its random numbers and by the descriptors that it has. */
#include <string.h>

#include "driver.h"

/* splitmix64 */
uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static int below(struct client *c, int limit)
{
	return (int)(random_next(&c->random) % (uint64_t)limit);
}

static bool one_in(struct client *c, int n)
{
	return below(c, n) == 0;
}

static int place(struct client *c)
{
	return (below(c, ROOTS) * NAMES + below(c, NAMES)) * 2 + one_in(c, 7);
}

static int slot(struct client *c, bool used)
{
	int at = below(c, SLOTS);

	for (int i = 0; i < SLOTS; i++, at = (at + 1) % SLOTS)
		if ((c->fd[at] >= 0) == used)
			return at;
	return -1;
}

/* How often, of the sum of all. */
static const int weights[OP_KINDS] = {
	[OP_OPEN] = 34,	   [OP_CLOSE] = 14,  [OP_DUP] = 3,	[OP_READ] = 10,	 [OP_WRITE] = 12,
	[OP_TRUNCATE] = 4, [OP_CHMOD] = 4,   [OP_TOUCH] = 4,	[OP_STAT] = 14,	 [OP_MKNOD] = 2,
	[OP_MKDIR] = 6,	   [OP_SYMLINK] = 4, [OP_READLINK] = 3, [OP_LINK] = 7,	 [OP_RENAME] = 9,
	[OP_UNLINK] = 10,  [OP_RMDIR] = 4,   [OP_LIST] = 4,	[OP_FLOCK] = 26, [OP_RANGE] = 30,
	[OP_TEST] = 8,	   [OP_DIE] = 2,
};

static enum op_kind kind(struct client *c)
{
	int sum = 0, at;

	for (int k = 0; k < OP_KINDS; k++)
		sum += weights[k];
	at = below(c, sum);
	for (int k = 0; k < OP_KINDS; k++) {
		at -= weights[k];
		if (at < 0)
			return (enum op_kind)k;
	}
	return OP_OPEN;
}

static bool needs_descriptor(enum op_kind kind)
{
	return kind == OP_CLOSE || kind == OP_DUP || kind == OP_READ || kind == OP_WRITE ||
	       kind == OP_FLOCK || kind == OP_RANGE || kind == OP_TEST;
}

static void choose_open(struct client *c, struct op *op)
{
	static const int flags[] = {
		OPEN_READ,
		OPEN_READ,
		OPEN_READ | OPEN_WRITE,
		OPEN_READ | OPEN_CREATE,
		OPEN_WRITE | OPEN_CREATE,
		OPEN_READ | OPEN_WRITE | OPEN_CREATE,
		OPEN_READ | OPEN_WRITE | OPEN_CREATE,
		OPEN_READ | OPEN_WRITE | OPEN_CREATE | OPEN_APPEND,
		OPEN_WRITE | OPEN_CREATE | OPEN_TRUNC,
		OPEN_READ | OPEN_WRITE | OPEN_TRUNC,
		OPEN_READ | OPEN_WRITE | OPEN_CREATE | OPEN_EXCL,
		OPEN_WRITE | OPEN_CREATE | OPEN_EXCL,
	};

	op->slot = slot(c, false);
	op->place = place(c);
	op->arg[0] = flags[below(c, (int)(sizeof(flags) / sizeof(*flags)))];
	op->arg[1] = 0600 + below(c, 64);
}

/* Mostly near the beginning; sometimes at the end of what a file may have. */
static int64_t offset(struct client *c)
{
	if (!c->local && one_in(c, 40))
		return CONTENT_LIMIT - 8 * below(c, 3);
	return 8 * below(c, 6);
}

static void choose_data(struct client *c, struct op *op)
{
	op->arg[0] = one_in(c, 2) ? -1 : offset(c);
	op->arg[1] = 1 + below(c, 16);
	if (op->kind == OP_READ && one_in(c, 3))
		op->arg[1] = CONTENT_LIMIT;
	if (op->kind == OP_WRITE) {
		unsigned char bytes[16];

		memset(bytes, 1 + below(c, 255), sizeof(bytes));
		op->data = blob_of(bytes, (size_t)op->arg[1]);
	}
}

static int64_t wait_or_not(struct client *c)
{
	if (one_in(c, 2))
		return WAIT_NOT;
	return c->room->may_die && one_in(c, 10) ? WAIT_KILL : WAIT_SIGNAL;
}

static void choose_lock(struct client *c, struct op *op)
{
	op->arg[0] = one_in(c, 4) ? MODE_NONE : MODE_SHARED + below(c, 2);
	op->arg[1] = op->arg[0] ? wait_or_not(c) : WAIT_NOT;
	if (op->kind == OP_FLOCK)
		return;
	if (op->kind == OP_TEST) {
		op->arg[0] = MODE_SHARED + below(c, 2);
		op->arg[1] = WAIT_NOT;
	}
	op->arg[2] = below(c, BYTES);
	op->arg[3] = op->arg[2] + below(c, BYTES - (int)op->arg[2]);
	op->arg[4] = one_in(c, 3);
}

/* A path, or a descriptor if there is one. */
static void choose_file(struct client *c, struct op *op)
{
	op->slot = one_in(c, 2) ? slot(c, true) : -1;
	op->place = op->slot < 0 ? place(c) : PLACE_NONE;
}

static void choose_rest(struct client *c, struct op *op)
{
	switch (op->kind) {
	case OP_STAT:
		choose_file(c, op);
		op->arg[0] = op->slot < 0 && one_in(c, 2);
		break;
	case OP_TRUNCATE:
		choose_file(c, op);
		op->arg[0] = !c->local && one_in(c, 30) ? CONTENT_LIMIT + 1 : offset(c);
		break;
	case OP_LIST:
		op->arg[0] = below(c, ROOTS);
		break;
	case OP_DIE:
		break;
	default: /* by path */
		op->place = place(c);
		break;
	}
	if (op->kind == OP_LINK || op->kind == OP_RENAME)
		op->place2 = place(c);
	if (op->kind == OP_RENAME)
		op->arg[0] = one_in(c, 3);
	if (op->kind == OP_CHMOD || op->kind == OP_MKNOD || op->kind == OP_MKDIR)
		op->arg[0] = 0600 + below(c, 64);
	if (op->kind == OP_TOUCH || op->kind == OP_SYMLINK)
		op->arg[0] = 1000 + below(c, TOUCH_END - 1000);
}

void choose(struct client *c, struct op *op)
{
	*op = (struct op){
		.client = c->number,
		.node = c->node,
		.slot = -1,
		.slot2 = -1,
		.place = PLACE_NONE,
		.place2 = PLACE_NONE,
	};
	do
		op->kind = kind(c);
	while ((needs_descriptor(op->kind) && slot(c, true) < 0) ||
	       ((op->kind == OP_OPEN || op->kind == OP_DUP) && slot(c, false) < 0) ||
	       (op->kind == OP_DIE && !c->room->may_die));
	if (needs_descriptor(op->kind))
		op->slot = slot(c, true);
	if (op->kind == OP_DUP)
		op->slot2 = slot(c, false);
	else if (op->kind == OP_OPEN)
		choose_open(c, op);
	else if (op->kind == OP_READ || op->kind == OP_WRITE)
		choose_data(c, op);
	else if (op->kind == OP_FLOCK || op->kind == OP_RANGE || op->kind == OP_TEST)
		choose_lock(c, op);
	else if (op->kind != OP_CLOSE)
		choose_rest(c, op);
}
