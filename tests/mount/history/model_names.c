/* SPDX-License-Identifier: MIT */
/* The model's calls about names. */
#include <errno.h>
#include <string.h>

#include "model.h"

/* A directory that was made has one name in it. */
int place_name(int place)
{
	return PLACE_INNER(place) ? 0 : PLACE_NAME(place);
}

uint32_t child_of(struct state *s, uint32_t dir, int place)
{
	return inode_get(s, dir)->child[place_name(place)];
}

uint32_t step_walk(struct step *step, int which)
{
	int place = which ? step->op->place2 : step->op->place;
	uint32_t root = (uint32_t)PLACE_ROOT(place) + 1;
	uint32_t found = step->from->progress[step->op->client].dir[which];
	const struct inode *inode;
	struct state *s;

	if (!PLACE_INNER(place))
		return root;
	if (found)
		return found;
	s = step_copy(step);
	inode = inode_get(s, inode_get(s, root)->child[PLACE_NAME(place)]);
	if (!inode || inode->type == TYPE_LINK) {
		step_fail(step, s, ENOENT);
	} else if (inode->type == TYPE_FILE) {
		step_fail(step, s, ENOTDIR);
	} else {
		step_progress(step, s)->dir[which] = inode->id;
		step_on(step, s);
	}
	return 0;
}

struct inode *step_find(struct step *step, struct state *s, bool follow)
{
	struct progress *p = step_progress(step, s);
	struct inode *inode;
	uint32_t dir;

	if (step->op->slot >= 0) {
		struct desc *d = desc_of(s, step->op);

		return d ? inode_get(s, d->inode) : NULL;
	}
	if (p->pin)
		return inode_get(s, p->pin);
	dir = step_walk(step, 0);
	if (!dir)
		return NULL;
	inode = inode_get(s, child_of(s, dir, step->op->place));
	if (!inode || (follow && inode->type == TYPE_LINK)) {
		step_fail(step, s, ENOENT);
	} else {
		p->pin = inode->id;
		step_on(step, s);
	}
	return NULL;
}

void name_lose(const struct step *step, struct state *s, uint32_t dir, int place)
{
	struct inode *in = inode_get(s, dir);
	struct inode *inode = inode_get(s, in->child[place_name(place)]);

	in->child[place_name(place)] = 0;
	inode->nlink--;
	inode->parent = 0;
	if (inode->nlink)
		return;
	if (inode->type == TYPE_DIR)
		kin_lose_dir(s, inode->id, dir, place_name(place));
	if (inode->type == TYPE_FILE && step->rules->name_locks) {
		inode->lost_dir = dir;
		inode->lost_name = (uint8_t)place_name(place);
	}
}

void name_give(struct state *s, uint32_t dir, int place, struct inode *inode)
{
	inode_get(s, dir)->child[place_name(place)] = inode->id;
	inode->nlink++;
	if (inode->type == TYPE_DIR) {
		inode->parent = dir;
		kin_adopt(s, inode->id, dir, place_name(place));
	}
	kin_join(s, inode->id);
}

static struct inode *make(struct step *step, struct state *s, uint32_t dir, int type, int64_t mode)
{
	struct inode *inode = inode_add(s, step->op->id, type, mode);

	name_give(s, dir, step->op->place, inode);
	return inode;
}

/* ---- Opening ---- */

static void opened(struct step *step, struct state *s, struct inode *inode)
{
	const struct op *op = step->op;
	struct op answer = step_answer(step, 0);
	uint32_t at = s->descs;

	if (s->descs == DESCS_MAX)
		return; /* only open-ended calls come to that many */
	if (!op->err)
		inode_is(s, inode, op->got[0]);
	answer.got[0] = (int64_t)inode->real;
	while (at > 0 && s->desc[at - 1].id > op->id)
		at--;
	memmove(&s->desc[at + 1], &s->desc[at], (s->descs - at) * sizeof(*s->desc));
	s->descs++;
	s->desc[at] = (struct desc){
		.id = op->id,
		.inode = inode->id,
		.flags = (uint8_t)op->arg[0],
		.client = (uint8_t)op->client,
		.refs = 1,
	};
	s->slot[op->client][op->slot] = op->id;
	step_end(step, s, &answer);
}

static void open_nothing(struct step *step, struct state *s, uint32_t dir)
{
	if (!(step->op->arg[0] & OPEN_CREATE) || !inode_linked(inode_get(s, dir)))
		step_fail(step, s, ENOENT);
	else
		opened(step, s, make(step, s, dir, TYPE_FILE, step->op->arg[1]));
}

static void open_dir(struct step *step, struct state *s, int64_t flags, struct inode *inode)
{
	struct op answer = step_answer(step, 0);

	if (flags & OPEN_EXCL) {
		step_fail(step, s, EEXIST);
	} else if (flags & (OPEN_CREATE | OPEN_WRITE)) {
		step_fail(step, s, EISDIR);
	} else {
		if (!step->op->got[0] || inode_is(s, inode, step->op->got[0]))
			answer.got[0] = step->op->got[0];
		answer.got[1] = 1;
		step_end(step, s, &answer);
	}
}

/* The driver closes a directory that it has opened at once. */
void step_open(struct step *step)
{
	int64_t flags = step->op->arg[0];
	uint32_t dir = step_walk(step, 0);
	struct inode *inode;
	struct state *s;

	if (!dir)
		return;
	s = step_copy(step);
	if (step_progress(step, s)->pin) {
		inode = inode_get(s, step_progress(step, s)->pin);
		file_truncate(inode, 0);
		opened(step, s, inode);
		return;
	}
	inode = inode_get(s, child_of(s, dir, step->op->place));
	if (!inode) {
		open_nothing(step, s, dir);
	} else if (inode->type == TYPE_DIR) {
		open_dir(step, s, flags, inode);
	} else if (flags & OPEN_EXCL) {
		step_fail(step, s, EEXIST);
	} else if (inode->type == TYPE_LINK) {
		step_fail(step, s, ENOENT);
	} else if (flags & OPEN_TRUNC) {
		step_progress(step, s)->pin = inode->id;
		step_on(step, s);
	} else {
		opened(step, s, inode);
	}
}

/* ---- Making, linking, removing ---- */

/* mknod, mkdir, symlink */
void step_make(struct step *step)
{
	const struct op *op = step->op;
	uint32_t dir = step_walk(step, 0);
	struct state *s;

	if (!dir)
		return;
	s = step_copy(step);
	if (child_of(s, dir, op->place)) {
		step_fail(step, s, EEXIST);
		return;
	}
	if (!inode_linked(inode_get(s, dir))) {
		step_fail(step, s, ENOENT);
		return;
	}
	if (op->kind == OP_SYMLINK)
		make(step, s, dir, TYPE_LINK, 0777)->content = (uint32_t)op->arg[0];
	else
		make(step, s, dir, op->kind == OP_MKDIR ? TYPE_DIR : TYPE_FILE, op->arg[0]);
	step_fail(step, s, 0);
}

void step_link(struct step *step)
{
	const struct op *op = step->op;
	struct state *s = step_copy(step);
	struct inode *inode = step_find(step, s, false);
	uint32_t dir = inode ? step_walk(step, 1) : 0;

	if (!dir)
		return;
	s = step_copy(step);
	inode = inode_get(s, step_progress(step, s)->pin);
	if (child_of(s, dir, op->place2)) {
		step_fail(step, s, EEXIST);
	} else if (!inode_linked(inode_get(s, dir))) {
		step_fail(step, s, ENOENT);
	} else if (inode->type == TYPE_DIR) {
		step_fail(step, s, EPERM);
	} else if (!inode->nlink) {
		step_fail(step, s, ENOENT);
	} else {
		name_give(s, dir, op->place2, inode);
		step_fail(step, s, 0);
	}
}

static bool is_empty(const struct inode *dir)
{
	for (int name = 0; name < NAMES; name++)
		if (dir->child[name])
			return false;
	return true;
}

void step_remove(struct step *step)
{
	bool rmdir = step->op->kind == OP_RMDIR;
	uint32_t dir = step_walk(step, 0);
	const struct inode *inode;
	struct state *s;

	if (!dir)
		return;
	s = step_copy(step);
	inode = inode_get(s, child_of(s, dir, step->op->place));
	if (!inode) {
		step_fail(step, s, ENOENT);
	} else if (rmdir != (inode->type == TYPE_DIR)) {
		step_fail(step, s, rmdir ? ENOTDIR : EISDIR);
	} else if (rmdir && !is_empty(inode)) {
		step_fail(step, s, ENOTEMPTY);
	} else {
		name_lose(step, s, dir, step->op->place);
		step_fail(step, s, 0);
	}
}

void step_readlink(struct step *step)
{
	struct state *s = step_copy(step);
	struct inode *inode = step_find(step, s, false);
	struct op answer = step_answer(step, 0);

	if (!inode)
		return;
	answer.got[0] = inode->content;
	if (inode->type != TYPE_LINK)
		step_fail(step, s, EINVAL);
	else
		step_end(step, s, &answer);
}

/* ---- Listing ---- */

/* The entry of a listing with this name, and this number if it is known; -1: none. */
static int entry_find(const struct op *op, struct state *s, int name, struct inode *inode)
{
	for (int i = 0; i + 1 < GOTS_MAX && op->got[i] >= 0; i += 2)
		if (op->got[i] == name && inode_is(s, inode, op->got[i + 1]))
			return i / 2;
	return -1;
}

/* The entries that the directory has now, as a mask; false: it has one that is not listed. */
static bool entries_now(const struct op *op, struct state *s, uint32_t *mask)
{
	*mask = 0;
	for (int name = 0; name < NAMES; name++) {
		uint32_t id = inode_get(s, (uint32_t)op->arg[0] + 1)->child[name];
		int at = id ? entry_find(op, s, name, inode_get(s, id)) : 0;

		if (id && at < 0)
			return false;
		if (id)
			*mask |= 1u << at;
	}
	return true;
}

static uint32_t entries_all(const struct op *op)
{
	uint32_t mask = 0;

	for (int i = 0; i + 1 < GOTS_MAX && op->got[i] >= 0; i += 2)
		mask |= 1u << (i / 2);
	return mask;
}

/*
 * A listing takes two calls: the first must tell of every name that is there, the second may tell
 * of names that have come since.
 */
void step_list(struct step *step)
{
	const struct op *op = step->op;
	struct state *s = step_copy(step);
	struct progress *p = step_progress(step, s);
	uint32_t mask, all = entries_all(op);
	struct op answer = *op;
	bool complete = entries_now(op, s, &mask);

	if (op->open_ended || op->err) {
		step_fail(step, s, 0);
	} else if (p->aux) {
		if ((mask & p->aux) == p->aux)
			step_end(step, s, &answer);
	} else if (complete && mask == all) {
		step_end(step, s, &answer);
	} else if (complete) {
		p->aux = all & ~mask;
		step_on(step, s);
	}
}
