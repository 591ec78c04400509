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
	}
	return false;
}

static void collect(struct state *s)
{
	for (uint32_t i = s->inodes; i-- > 0;)
		if (!inode_linked(&s->inode[i]) && !inode_used(s, s->inode[i].id))
			inode_remove(s, i);
}

static bool lockset_used(struct state *s, uint32_t lockset)
{
	for (uint32_t i = 0; i < s->descs; i++)
		if (inode_get(s, s->desc[i].inode)->lockset == lockset)
			return true;
	return false;
}

static void collect_ghosts(struct state *s)
{
	for (int root = 0; root < ROOTS; root++)
		for (int name = 0; name < NAMES; name++)
			if (s->ghost[root][name] && !lockset_used(s, s->ghost[root][name]))
				s->ghost[root][name] = 0;
}

void model_init(struct state *s)
{
	memset(s, 0, sizeof(*s));
	for (uint32_t root = 0; root < ROOTS; root++)
		inode_add(s, root + 1, TYPE_DIR, 0755);
}

/* ---- Steps ---- */

struct state *step_copy(struct step *step)
{
	struct state *s = &step->to[step->count];

	assert(step->count < STEPS_MAX);
	*s = *step->from;
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
	collect_ghosts(s);
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
	steps[step->op->kind](step);
}

/* ---- The background ---- */

size_t model_background(const struct state *s, struct state *to)
{
	size_t count = 0;

	for (uint32_t i = 0; i < s->descs; i++) {
		if (s->desc[i].refs)
			continue;
		to[count] = *s;
		desc_release(&to[count], s->desc[i].id);
		collect(&to[count]);
		collect_ghosts(&to[count++]);
	}
	return count;
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
	collect_ghosts(s);
}
