/* SPDX-License-Identifier: MIT */
/* The model's lists, and how a call takes a step. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "model.h"

/* ---- Lists ---- */

struct inode *inode_get(struct state *s, uint32_t id)
{
	for (uint32_t i = 0; id && i < s->inodes; i++)
		if (s->inode[i].id == id)
			return &s->inode[i];
	return NULL;
}

struct inode *inode_add(struct state *s, uint32_t id, int type, int64_t mode)
{
	uint32_t at = s->inodes;

	assert(s->inodes < INODES_MAX);
	while (at > 0 && s->inode[at - 1].id > id)
		at--;
	memmove(&s->inode[at + 1], &s->inode[at], (s->inodes - at) * sizeof(*s->inode));
	s->inodes++;
	s->inode[at] = (struct inode){
		.id = id,
		.type = (uint8_t)type,
		.mode = (uint16_t)mode,
		.mtime = MTIME_CLOCK,
		.lockset = id,
	};
	return &s->inode[at];
}

static void inode_remove(struct state *s, uint32_t at)
{
	s->inodes--;
	memmove(&s->inode[at], &s->inode[at + 1], (s->inodes - at) * sizeof(*s->inode));
	memset(&s->inode[s->inodes], 0, sizeof(*s->inode));
}

bool inode_linked(const struct inode *inode)
{
	return inode->nlink || inode->id < FIRST_OP;
}

bool inode_is(struct state *s, struct inode *inode, int64_t real)
{
	if (inode->real)
		return inode->real == (uint64_t)real;
	for (uint32_t i = 0; i < s->inodes; i++)
		if (s->inode[i].real == (uint64_t)real)
			return false;
	inode->real = (uint64_t)real;
	return true;
}

struct desc *desc_get(struct state *s, uint32_t id)
{
	for (uint32_t i = 0; id && i < s->descs; i++)
		if (s->desc[i].id == id)
			return &s->desc[i];
	return NULL;
}

struct desc *desc_of(struct state *s, const struct op *op)
{
	return desc_get(s, s->slot[op->client][op->slot]);
}

/* Does a description or a call under way know the inode? */
static bool inode_used(const struct state *s, uint32_t id)
{
	for (uint32_t i = 0; i < s->descs; i++)
		if (s->desc[i].inode == id)
			return true;
	for (int c = 0; c < CLIENTS_MAX; c++) {
		const struct progress *p = &s->progress[c];

		if (p->dir[0] == id || p->dir[1] == id || p->pin == id)
			return true;
		if (s->wait[c].active && s->wait[c].inode == id)
			return true;
	}
	return false;
}

/* One that keeps last names may be kept by one that does not. */
static void collect(struct state *s)
{
	uint32_t before;

	do {
		before = s->inodes;
		for (uint32_t i = s->inodes; i-- > 0;)
			if (!inode_linked(&s->inode[i]) && !inode_used(s, s->inode[i].id) &&
			    !kin_keeps(s, s->inode[i].id))
				inode_remove(s, i);
	} while (s->inodes < before);
}

void model_init(struct state *s)
{
	memset(s, 0, sizeof(*s));
	for (uint32_t root = 0; root < ROOTS; root++)
		inode_add(s, root + 1, TYPE_DIR, 0755);
}

/* ---- Steps ---- */

/* Does the call reach the master for sure, and so after all that its node sent before? */
static bool is_ordered(const struct op *op)
{
	if (op->kind == OP_DUP || op->kind == OP_CLOSE || op->open_ended)
		return false;
	return op->err != EBADF && op->err != EINVAL && op->err != EINTR && op->err != ERR_KILLED;
}

/* What the node has closed and given up before the call began is gone before the call takes effect
 * (contract 2.3). */
static void settle(struct state *s, const struct op *op, const struct op *const *current)
{
	uint32_t before = s->descs;

	for (uint32_t i = s->descs; i-- > 0;) {
		const struct desc *d = &s->desc[i];

		if (!d->refs && d->client % NODES == op->node && d->closed < op->begin)
			desc_release(s, d->id);
	}
	for (int c = 0; c < CLIENTS_MAX; c++)
		if (s->wait[c].active && c % NODES == op->node && s->wait[c].ended < op->begin)
			memset(&s->wait[c], 0, sizeof(s->wait[c]));
	if (s->descs < before)
		kin_settle(s, current);
}

struct state *step_copy(struct step *step)
{
	struct state *s = &step->to[step->count];

	assert(step->count < STEPS_MAX);
	*s = *step->from;
	if (is_ordered(step->op))
		settle(s, step->op, step->current);
	return s;
}

struct progress *step_progress(struct step *step, struct state *s)
{
	return &s->progress[step->op->client];
}

void step_on(struct step *step, struct state *s)
{
	assert(s == &step->to[step->count]);
	collect(s);
	kin_settle(s, step->current);
	step->done[step->count++] = false;
}

struct op step_answer(const struct step *step, int err)
{
	struct op answer = *step->op;

	answer.err = err;
	memset(answer.got, 0, sizeof(answer.got));
	if (answer.kind != OP_WRITE)
		answer.data = 0;
	return answer;
}

static bool same_result(const struct op *a, const struct op *b)
{
	if (a->err != b->err)
		return false;
	return a->err || (!memcmp(a->got, b->got, sizeof(a->got)) && a->data == b->data);
}

/* An open-ended call may get anything, but a descriptor only if it got one. */
static bool may_end_so(const struct op *op, const struct op *answer)
{
	return op->open_ended && (op->kind != OP_OPEN || !op->err == !answer->err);
}

void step_end(struct step *step, struct state *s, const struct op *answer)
{
	struct progress *p = step_progress(step, s);

	if (step->heard)
		step->heard(step->heard_arg, answer);
	if (!same_result(answer, step->op) && !may_end_so(step->op, answer))
		return;
	memset(p, 0, sizeof(*p));
	p->stage = STAGE_DONE;
	step_on(step, s);
	step->done[step->count - 1] = true;
}

void step_fail(struct step *step, struct state *s, int err)
{
	struct op answer = step_answer(step, err);

	/* Who is killed tells nothing. */
	if (err == ERR_KILLED)
		memcpy(answer.got, step->op->got, sizeof(answer.got));
	step_end(step, s, &answer);
}

/* Is a moved directory at the place, or on the way to it? */
static bool is_at(struct state *s, int place)
{
	const struct inode *on_the_way, *last;

	if (place < 0)
		return false;
	on_the_way = inode_get(
		s, inode_get(s, (uint32_t)PLACE_ROOT(place) + 1)->child[PLACE_NAME(place)]);
	last = PLACE_INNER(place) && on_the_way ? inode_get(s, on_the_way->child[0]) : NULL;
	return (on_the_way && on_the_way->moved) || (last && last->moved);
}

/*
 * A directory that another node has moved is found by a node's kernel at its new place, while it
 * still remembers the old one. It puts that right if it gets two locks at once for it, of which one
 * is held by the rename itself in which this happens, and by others that are under way; if not, it
 * tells ESTALE, and the file system cannot do anything about it.
 */
static bool meets_moved_directory(const struct step *step)
{
	static struct state s;

	s = *step->from;
	return is_at(&s, step->op->place) || is_at(&s, step->op->place2);
}

/* What comes of the kernel's own picture of the names, rather than of the file system. */
static bool is_the_kernels(const struct step *step)
{
	if (step->rules->local)
		return false;
	/* A kernel that is told that a file has gone looks for its name again, but only once. */
	return step->op->err == ESTALE && (step->churned || meets_moved_directory(step));
}

void model_step(struct step *step)
{
	static void (*const steps[OP_KINDS])(struct step *) = {
		[OP_OPEN] = step_open,	       [OP_CLOSE] = step_close,
		[OP_DUP] = step_dup,	       [OP_READ] = step_read,
		[OP_WRITE] = step_write,       [OP_TRUNCATE] = step_truncate,
		[OP_CHMOD] = step_chmod,       [OP_TOUCH] = step_touch,
		[OP_STAT] = step_stat,	       [OP_MKNOD] = step_make,
		[OP_MKDIR] = step_make,	       [OP_SYMLINK] = step_make,
		[OP_READLINK] = step_readlink, [OP_LINK] = step_link,
		[OP_RENAME] = step_rename,     [OP_UNLINK] = step_remove,
		[OP_RMDIR] = step_remove,      [OP_LIST] = step_list,
		[OP_FLOCK] = step_flock,       [OP_RANGE] = step_range,
		[OP_TEST] = step_test,	       [OP_DIE] = step_die,
	};

	step->count = 0;
	assert(step->from->progress[step->op->client].stage != STAGE_DONE);
	if (is_the_kernels(step))
		step_fail(step, step_copy(step), step->op->err);
	else
		steps[step->op->kind](step);
}

/* ---- The background ---- */

size_t model_background(const struct rules *rules, const struct state *s,
			const struct op *const *current, struct state *to)
{
	size_t count = 0;

	for (uint32_t i = 0; i < s->descs; i++) {
		if (s->desc[i].refs)
			continue;
		to[count] = *s;
		desc_release(&to[count], s->desc[i].id);
		collect(&to[count]);
		kin_settle(&to[count++], current);
	}
	return count + kin_background(rules, s, current, &to[count]);
}

void model_force(struct state *s, const struct op *const *current, unsigned clients)
{
	for (uint32_t i = s->descs; i-- > 0;) {
		const struct desc *d = &s->desc[i];
		const struct op *op = current[d->client];
		bool closing = op && (op->kind == OP_CLOSE || op->err == ERR_KILLED);

		if (!d->refs && (clients >> d->client & 1) && !closing)
			desc_release(s, d->id);
	}
	for (int c = 0; c < CLIENTS_MAX; c++)
		if ((clients >> c & 1) && !current[c])
			memset(&s->wait[c], 0, sizeof(s->wait[c]));
	collect(s);
	kin_settle(s, current);
}
