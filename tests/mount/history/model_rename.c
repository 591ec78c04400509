/* SPDX-License-Identifier: MIT */
/* rename(2) */
#include <errno.h>

#include "model.h"

struct move {
	uint32_t old_dir, new_dir;
	struct inode *old, *new; /* NULL: no such name */
};

static bool is_below(struct state *s, uint32_t dir, const struct inode *inode)
{
	while (dir && dir != inode->id)
		dir = inode_get(s, dir)->parent;
	return dir != 0;
}

static bool has_names(const struct inode *dir)
{
	for (int name = 0; name < NAMES; name++)
		if (dir->child[name])
			return true;
	return false;
}

/* In the order in which Linux looks. */
static int verdict(struct state *s, const struct move *m, bool noreplace)
{
	if (!m->old || !inode_linked(inode_get(s, m->new_dir)))
		return ENOENT;
	if (m->new &&noreplace)
		return EEXIST;
	if (m->old->type == TYPE_DIR && is_below(s, m->new_dir, m->old))
		return EINVAL;
	if (m->new && m->new->type == TYPE_DIR && is_below(s, m->old_dir, m->new))
		return ENOTEMPTY;
	if (!m->new || m->new == m->old)
		return 0;
	if (m->old->type == TYPE_DIR && m->new->type != TYPE_DIR)
		return ENOTDIR;
	if (m->old->type != TYPE_DIR && m->new->type == TYPE_DIR)
		return EISDIR;
	return m->new->type == TYPE_DIR &&has_names(m->new) ? ENOTEMPTY : 0;
}

static void move(struct step *step, struct state *s, const struct move *m)
{
	if (m->new == m->old)
		return;
	if (m->new)
		name_lose(step, s, m->new_dir, step->op->place2);
	name_give(s, m->new_dir, step->op->place2, m->old);
	name_lose(step, s, m->old_dir, step->op->place); /* not its last one */
	m->old->moved = m->old->type == TYPE_DIR;
	m->old->parent = m->old->moved ? m->new_dir : 0;
}

static void move_at_once(struct step *step, uint32_t old_dir, uint32_t new_dir)
{
	const struct op *op = step->op;
	struct state *s = step_copy(step);
	struct move m = {
		old_dir,
		new_dir,
		inode_get(s, child_of(s, old_dir, op->place)),
		inode_get(s, child_of(s, new_dir, op->place2)),
	};
	int err = verdict(s, &m, op->arg[0] != 0);

	if (!err)
		move(step, s, &m);
	step_fail(step, s, err);
}

/*
 * A kernel that has the names from elsewhere looks up one after the other, and may decide by what it
 * found that there is nothing to do, or that it cannot be.
 */
static void decide_from_two_looks(struct step *step, uint32_t old_dir, uint32_t new_dir)
{
	struct state *s = step_copy(step);
	struct progress *p = step_progress(step, s);
	struct inode *old = inode_get(s, p->pin ? p->pin : child_of(s, old_dir, step->op->place));
	struct inode *new = inode_get(s, child_of(s, new_dir, step->op->place2));
	struct move m = {old_dir, new_dir, old, new};
	int err;

	if (!p->pin && old) {
		p->pin = old->id;
		step_on(step, s);
		return;
	}
	err = verdict(s, &m, step->op->arg[0] != 0);
	if (p->pin && (err || new == old))
		step_fail(step, s, err);
}

void step_rename(struct step *step)
{
	uint32_t old_dir = step_walk(step, 0);
	uint32_t new_dir = old_dir ? step_walk(step, 1) : 0;

	if (!new_dir)
		return;
	move_at_once(step, old_dir, new_dir);
	if (!step->rules->local && step->op->err != ENOENT)
		decide_from_two_looks(step, old_dir, new_dir);
}
