/* SPDX-License-Identifier: MIT */
/*
 * The model's kin: files that have, or had last, one name, and share their locks (contract 5.5).
 *
 * An open file that has lost its last name keeps that in mind (lost_dir, lost_name). Kin are put
 * together when one gets a name or is asked for a lock, if one of them has locks, and then stay
 * together whatever becomes of the names, until there is no lock left among them all.
 *
 * A removed directory in which open files had their last names has a last name itself, with which they
 * come into the next directory that gets it; it is kept for that without being a directory any more.
 * A master that starts anew may know of that (moved_on), or not.
 *
 * Who waits has something to wait for, so that a set is empty when nothing is held in it; but when
 * something is released and a waiter granted it in the same moment, the model is between the two
 * for a while. Since nobody knows when a call began to wait, such a set may stay, or not.
 */
#include <string.h>

#include "model.h"

static bool is_used(const struct state *s, uint32_t inode)
{
	for (uint32_t i = 0; i < s->descs; i++)
		if (s->desc[i].inode == inode)
			return true;
	return false;
}

static bool is_held(struct state *s, uint32_t lockset)
{
	for (uint32_t i = 0; i < s->descs; i++)
		if (s->desc[i].flock && inode_get(s, s->desc[i].inode)->lockset == lockset)
			return true;
	for (uint32_t i = 0; i < s->ranges; i++)
		if (inode_get(s, s->range[i].inode)->lockset == lockset)
			return true;
	return false;
}

static bool is_waited_for(struct state *s, const struct op *const *current, uint32_t lockset)
{
	struct wait want;

	for (int c = 0; c < CLIENTS_MAX; c++) {
		const struct wait *left = &s->wait[c];

		if (left->active && inode_get(s, left->inode)->lockset == lockset)
			return true;
		if (current[c] && op_waits(s, current[c], &want) &&
		    inode_get(s, want.inode)->lockset == lockset)
			return true;
	}
	return false;
}

bool kin_shares(const struct state *s, const struct inode *inode)
{
	for (uint32_t i = 0; i < s->inodes; i++)
		if (&s->inode[i] != inode && s->inode[i].lockset == inode->lockset)
			return true;
	return false;
}

/* ---- Together ---- */

static bool has_lost(struct state *s, const struct inode *a, const struct inode *b)
{
	const struct inode *dir = inode_get(s, a->lost_dir);

	return dir && inode_linked(dir) && is_used(s, a->id) &&
	       (dir->child[a->lost_name] == b->id ||
		(b->lost_dir == a->lost_dir && b->lost_name == a->lost_name));
}

static void merge(struct state *s, uint32_t a, uint32_t b)
{
	for (uint32_t i = 0; i < s->inodes; i++)
		if (s->inode[i].lockset == a || s->inode[i].lockset == b)
			s->inode[i].lockset = a < b ? a : b;
}

static bool join_once(struct state *s, const struct inode *inode)
{
	bool joined = false;

	for (uint32_t i = 0; i < s->inodes && inode->type == TYPE_FILE; i++) {
		const struct inode *kin = &s->inode[i];

		if (kin->type != TYPE_FILE || kin->lockset == inode->lockset ||
		    (!has_lost(s, kin, inode) && !has_lost(s, inode, kin)) ||
		    (!is_held(s, kin->lockset) && !is_held(s, inode->lockset)))
			continue;
		merge(s, kin->lockset, inode->lockset);
		joined = true;
	}
	return joined;
}

bool kin_join(struct state *s, uint32_t inode)
{
	bool joined = join_once(s, inode_get(s, inode));

	if (joined) /* with one that has locks: and those before it */
		join_once(s, inode_get(s, inode));
	return joined;
}

/* ---- Apart ---- */

/* Those who leave are given their own number; what stays is called after the least. */
static void take_out(struct state *s, struct inode *inode)
{
	uint32_t lockset = inode->lockset, least = 0;

	inode->lockset = inode->id;
	if (lockset != inode->id)
		return;
	for (uint32_t i = 0; i < s->inodes; i++) {
		if (&s->inode[i] == inode || s->inode[i].lockset != lockset)
			continue;
		least = least ? least : s->inode[i].id;
		s->inode[i].lockset = least;
	}
}

static void fall_apart(struct state *s, uint32_t lockset)
{
	for (uint32_t i = 0; i < s->inodes; i++)
		if (s->inode[i].lockset == lockset)
			s->inode[i].lockset = s->inode[i].id;
}

static void forget_name(struct inode *inode)
{
	inode->lost_dir = inode->lost_name = inode->moved_on = 0;
}

static void forget_unused(struct state *s)
{
	for (uint32_t i = 0; i < s->inodes; i++) {
		struct inode *inode = &s->inode[i];

		if (inode->type != TYPE_FILE || inode->nlink || is_used(s, inode->id))
			continue;
		forget_name(inode);
		take_out(s, inode);
	}
}

/* Removed directories without last names in them are not kept, and so perhaps others are not. */
static void forget_empty(struct state *s)
{
	for (bool again = true; again;) {
		again = false;
		for (uint32_t i = 0; i < s->inodes; i++) {
			struct inode *dir = &s->inode[i];

			if (dir->type != TYPE_DIR || !dir->lost_dir || kin_keeps(s, dir->id))
				continue;
			forget_name(dir);
			again = true;
		}
	}
}

/* The set's name is the number of one that may be gone. */
static void name_anew(struct state *s)
{
	for (uint32_t i = 0; i < s->inodes; i++) {
		uint32_t lockset = s->inode[i].lockset;

		if (lockset >= s->inode[i].id || inode_get(s, lockset))
			continue;
		for (uint32_t j = s->inodes; j-- > i;)
			if (s->inode[j].lockset == lockset)
				s->inode[j].lockset = s->inode[i].id;
	}
}

void kin_settle(struct state *s, const struct op *const *current)
{
	forget_unused(s);
	forget_empty(s);
	name_anew(s);
	for (uint32_t i = 0; i < s->inodes; i++) {
		uint32_t lockset = s->inode[i].lockset;

		if (lockset != s->inode[i].id && !is_held(s, lockset) &&
		    !is_waited_for(s, current, lockset))
			fall_apart(s, lockset);
	}
}

/* ---- Removed directories ---- */

bool kin_keeps(const struct state *s, uint32_t dir)
{
	for (uint32_t i = 0; i < s->inodes; i++)
		if (s->inode[i].lost_dir == dir &&
		    (s->inode[i].type == TYPE_DIR || is_used(s, s->inode[i].id)))
			return true;
	return false;
}

void kin_lose_dir(struct state *s, uint32_t dir, uint32_t parent, int name)
{
	struct inode *inode = inode_get(s, dir);

	for (uint32_t i = 0; i < s->inodes; i++)
		if (s->inode[i].lost_dir == dir)
			s->inode[i].moved_on = 1;
	if (!kin_keeps(s, dir))
		return;
	inode->lost_dir = parent;
	inode->lost_name = (uint8_t)name;
}

void kin_adopt(struct state *s, uint32_t dir, uint32_t parent, int name)
{
	for (uint32_t i = 0; i < s->inodes; i++) {
		struct inode *removed = &s->inode[i];

		if (removed->type != TYPE_DIR || removed->lost_dir != parent ||
		    removed->lost_name != name)
			continue;
		for (uint32_t j = 0; j < s->inodes; j++)
			if (s->inode[j].lost_dir == removed->id)
				s->inode[j].lost_dir = dir;
		forget_name(removed);
	}
}

/* ---- Meanwhile ---- */

/* A new master is told of all locks, and knows only of those names that count now. */
static bool restart(struct state *s)
{
	static struct state before;

	before = *s;
	for (uint32_t i = 0; i < s->inodes; i++)
		s->inode[i].lockset = s->inode[i].id;
	for (uint32_t i = s->inodes; i-- > 0;)
		kin_join(s, s->inode[i].id);
	return memcmp(before.inode, s->inode, sizeof(s->inode)) != 0;
}

size_t kin_background(const struct rules *rules, const struct state *from,
		      const struct op *const *current, struct state *to)
{
	size_t count = 0;

	for (uint32_t i = 0; i < from->inodes; i++) {
		struct state *s = &to[count];

		if (from->inode[i].lockset != from->inode[i].id ||
		    !kin_shares(from, &from->inode[i]))
			continue;
		*s = *from;
		if (is_held(s, s->inode[i].lockset))
			continue;
		fall_apart(s, s->inode[i].lockset);
		count++;
	}
	if (!rules->restarts)
		return count;
	for (uint32_t i = 0; i < from->inodes; i++) {
		if (!from->inode[i].moved_on)
			continue;
		to[count] = *from;
		forget_name(&to[count++].inode[i]);
	}
	to[count] = *from;
	return count + restart(&to[count]);
}
