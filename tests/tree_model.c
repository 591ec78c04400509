/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "tests/tree_model.h"

static const struct tree_name no_name = {.parent = -1, .node = -1, .end_s = TREE_NEVER};

void tree_init(struct tree *m)
{
	memset(m, 0, sizeof(*m));
	m->type[0] = TREE_DIR;
	m->ino[0] = ROOT_INO;
	for (int i = 0; i < TREE_NAMES; i++)
		m->names[i] = no_name;
	for (int i = 0; i < TREE_HANDLES; i++)
		m->handles[i].node = -1;
}

/* ---- Questions ---- */

struct tree_name *tree_find(struct tree *m, int parent, char letter)
{
	for (int i = 0; i < TREE_NAMES; i++)
		if (m->names[i].parent == parent && m->names[i].letter == letter)
			return &m->names[i];
	return NULL;
}

static struct tree_name *free_name(struct tree *m)
{
	for (int i = 0; i < TREE_NAMES; i++)
		if (m->names[i].parent < 0)
			return &m->names[i];
	return NULL;
}

bool tree_has_room(const struct tree *m)
{
	for (int i = 0; i < TREE_NAMES; i++)
		if (m->names[i].parent < 0)
			return true;
	return false;
}

int tree_free_node(const struct tree *m)
{
	for (int i = 1; i < TREE_NODES; i++)
		if (m->type[i] == TREE_NONE)
			return i;
	return 0;
}

int tree_free_handle(const struct tree *m)
{
	for (int i = 0; i < TREE_HANDLES; i++)
		if (m->handles[i].node < 0)
			return i;
	return -1;
}

static bool has_names_in_it(const struct tree *m, int node)
{
	for (int i = 0; i < TREE_NAMES; i++)
		if (m->names[i].parent == node)
			return true;
	return false;
}

static bool in_use(const struct tree *m, int node)
{
	for (int i = 0; i < TREE_HANDLES; i++)
		if (m->handles[i].node == node)
			return true;
	return has_names_in_it(m, node);
}

static int names_of(const struct tree *m, int node)
{
	int count = 0;

	for (int i = 0; i < TREE_NAMES; i++)
		count += m->names[i].node == node;
	return count;
}

uint32_t tree_nlink(const struct tree *m, int node)
{
	uint32_t subdirectories = 0;

	if (m->type[node] != TREE_DIR)
		return (uint32_t)names_of(m, node);
	for (int i = 0; i < TREE_NAMES; i++)
		subdirectories +=
			m->names[i].parent == node && m->type[m->names[i].node] == TREE_DIR;
	return 2 + subdirectories;
}

static int parent_of(const struct tree *m, int dir)
{
	for (int i = 0; i < TREE_NAMES; i++)
		if (m->names[i].node == dir)
			return m->names[i].parent;
	return -1;
}

/* ---- Changes ---- */

/* The idle time of a file's names begins anew; it counts once the file is not in use. */
static void used(struct tree *m, int node)
{
	for (int i = 0; i < TREE_NAMES; i++)
		if (m->names[i].node == node && !m->names[i].holder)
			m->names[i].end_s = m->now_s + m->names[i].idle_s;
}

static void forget_unused(struct tree *m, int node)
{
	if (node == 0 || names_of(m, node) || in_use(m, node))
		return;
	m->type[node] = TREE_NONE;
	m->gone[node] = true;
}

static void remove_name(struct tree *m, struct tree_name *n)
{
	int node = n->node, parent = n->parent;

	*n = no_name;
	used(m, parent);
	forget_unused(m, node);
}

static void begin_life(struct tree *m, struct tree_name *n)
{
	n->end_s = n->ttl_s ? m->now_s + n->ttl_s : TREE_NEVER;
}

static void set_name(struct tree *m, struct tree_name *n, int node, const struct tree_make *make)
{
	*n = (struct tree_name){
		.fresh = true,
		.parent = make->parent,
		.node = node,
		.letter = make->letter,
		.holder = make->plain ? 0 : make->client,
		.ttl_s = make->plain ? 0 : make->ttl_s,
		.idle_s = TREE_IDLE_S,
	};
	begin_life(m, n);
	used(m, node);
	used(m, make->parent);
}

enum status tree_make(struct tree *m, enum tree_type type, const struct tree_make *make, int *node)
{
	if (tree_find(m, make->parent, make->letter))
		return STATUS_EXISTS;
	*node = tree_free_node(m);
	m->type[*node] = type;
	set_name(m, free_name(m), *node, make);
	return STATUS_OK;
}

void tree_open(struct tree *m, int handle, int node, uint64_t client)
{
	m->handles[handle] = (struct tree_handle){.node = node, .client = client};
	used(m, node);
}

void tree_close(struct tree *m, int handle)
{
	int node = m->handles[handle].node;

	m->handles[handle].node = -1;
	used(m, node);
	forget_unused(m, node);
}

void tree_touch(struct tree *m, int node)
{
	for (int i = 0; i < TREE_NAMES; i++)
		if (m->names[i].node == node && m->names[i].holder)
			begin_life(m, &m->names[i]);
	used(m, node);
}

enum status tree_link(struct tree *m, int node, const struct tree_make *make)
{
	if (m->type[node] == TREE_DIR)
		return STATUS_NOT_PERMITTED;
	if (!names_of(m, node))
		return STATUS_STALE;
	if (tree_find(m, make->parent, make->letter))
		return STATUS_EXISTS;
	set_name(m, free_name(m), node, make);
	return STATUS_OK;
}

static enum status removable(const struct tree *m, int node, bool dir)
{
	if (dir != (m->type[node] == TREE_DIR))
		return dir ? STATUS_NOT_DIR : STATUS_IS_DIR;
	return has_names_in_it(m, node) ? STATUS_NOT_EMPTY : STATUS_OK;
}

static enum status may_move(const struct tree *m, int node, const struct tree_make *make,
			    const struct tree_name *to, bool noreplace)
{
	for (int dir = make->parent; dir >= 0; dir = parent_of(m, dir))
		if (dir == node)
			return STATUS_INVALID;
	if (to && noreplace)
		return STATUS_EXISTS;
	return !to || to->node == node ? STATUS_OK
				       : removable(m, to->node, m->type[node] == TREE_DIR);
}

enum status tree_rename(struct tree *m, int parent, char letter, const struct tree_make *make,
			bool noreplace)
{
	struct tree_name *from = tree_find(m, parent, letter);
	struct tree_name *to = tree_find(m, make->parent, make->letter);
	int node = from ? from->node : -1, replaced = to ? to->node : -1;
	enum status status = from ? may_move(m, node, make, to, noreplace) : STATUS_NO_ENTRY;

	if (status != STATUS_OK || replaced == node)
		return status;
	*from = no_name;
	set_name(m, to ? to : free_name(m), node, make);
	used(m, parent);
	if (replaced >= 0)
		forget_unused(m, replaced);
	return STATUS_OK;
}

enum status tree_unlink(struct tree *m, int parent, char letter, bool dir)
{
	struct tree_name *n = tree_find(m, parent, letter);
	enum status status = n ? removable(m, n->node, dir) : STATUS_NO_ENTRY;

	if (status == STATUS_OK)
		remove_name(m, n);
	return status;
}

/* The end of what held the name. */
static void let_go(struct tree *m, struct tree_name *n)
{
	if (!has_names_in_it(m, n->node)) {
		remove_name(m, n);
		return;
	}
	n->holder = 0;
	n->ttl_s = n->idle_s = 0;
	used(m, n->node);
}

static bool drop_one(struct tree *m, uint64_t client)
{
	for (int i = 0; i < TREE_NAMES; i++) {
		struct tree_name *n = &m->names[i];

		if (n->parent < 0 || n->holder != client || has_names_in_it(m, n->node))
			continue;
		remove_name(m, n);
		return true;
	}
	return false;
}

void tree_drop(struct tree *m, uint64_t client)
{
	while (drop_one(m, client))
		;
	for (int i = 0; i < TREE_NAMES; i++)
		if (m->names[i].parent >= 0 && m->names[i].holder == client)
			let_go(m, &m->names[i]);
	for (int i = 0; i < TREE_HANDLES; i++)
		if (m->handles[i].node >= 0 && m->handles[i].client == client)
			tree_close(m, i);
}

static int64_t end_of(const struct tree *m, const struct tree_name *n)
{
	if (n->parent < 0 || (!n->holder && in_use(m, n->node)))
		return TREE_NEVER;
	return n->end_s;
}

void tree_tick(struct tree *m)
{
	for (int i = 0; i < TREE_NAMES; i++) {
		if (end_of(m, &m->names[i]) > m->now_s)
			continue;
		let_go(m, &m->names[i]);
		i = -1; /* from the first again: a directory may have become empty */
	}
}

int64_t tree_deadline(const struct tree *m)
{
	int64_t first = TREE_NEVER;

	for (int i = 0; i < TREE_NAMES; i++)
		if (end_of(m, &m->names[i]) < first)
			first = end_of(m, &m->names[i]);
	return first;
}
