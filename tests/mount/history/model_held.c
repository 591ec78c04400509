/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "model_held.h"

/* How long a signal waits for a master that says nothing (NODE_PATIENCE_NS). */
#define PATIENCE_NS 250000000

bool conflict(int a, int b)
{
	return a && b && (a == MODE_EXCLUSIVE || b == MODE_EXCLUSIVE);
}

bool share_locks(struct state *s, uint32_t a, uint32_t b)
{
	return inode_get(s, a)->lockset == inode_get(s, b)->lockset;
}

/* ---- What is held ---- */

struct range *range_get(struct state *s, uint32_t inode, uint32_t owner)
{
	for (uint32_t i = 0; i < s->ranges; i++)
		if (s->range[i].inode == inode && s->range[i].owner == owner)
			return &s->range[i];
	return NULL;
}

static bool range_before(const struct range *a, uint32_t inode, uint32_t owner)
{
	return a->inode < inode || (a->inode == inode && a->owner < owner);
}

void range_remove(struct state *s, struct range *r)
{
	uint32_t at = (uint32_t)(r - s->range);

	s->ranges--;
	memmove(r, r + 1, (s->ranges - at) * sizeof(*r));
	memset(&s->range[s->ranges], 0, sizeof(*r));
}

static struct range *range_add(struct state *s, uint32_t inode, uint32_t owner)
{
	uint32_t at = s->ranges;

	while (at > 0 && !range_before(&s->range[at - 1], inode, owner))
		at--;
	memmove(&s->range[at + 1], &s->range[at], (s->ranges - at) * sizeof(*s->range));
	s->ranges++;
	s->range[at] = (struct range){.inode = inode, .owner = owner};
	return &s->range[at];
}

void range_set(struct state *s, const struct wait *want)
{
	struct range *r = range_get(s, want->inode, want->owner);
	bool empty = true;

	if (!r)
		r = range_add(s, want->inode, want->owner);
	for (int i = 0; i < BYTES; i++) {
		if (want->bytes >> i & 1)
			r->mode[i] = want->mode;
		empty = empty && !r->mode[i];
	}
	if (empty)
		range_remove(s, r);
}

bool range_conflicts(struct state *s, const struct range *r, const struct wait *want)
{
	if (r->owner == want->owner || !share_locks(s, r->inode, want->inode))
		return false;
	for (int i = 0; i < BYTES; i++)
		if ((want->bytes >> i & 1) && conflict(r->mode[i], want->mode))
			return true;
	return false;
}

static bool flock_conflicts(struct state *s, const struct desc *d, const struct wait *want)
{
	return d->id != want->owner && conflict(d->flock, want->mode) &&
	       share_locks(s, d->inode, want->inode);
}

bool is_held(struct state *s, const struct wait *want)
{
	for (uint32_t i = 0; want->range && i < s->ranges; i++)
		if (range_conflicts(s, &s->range[i], want))
			return true;
	for (uint32_t i = 0; !want->range && i < s->descs; i++)
		if (flock_conflicts(s, &s->desc[i], want))
			return true;
	return false;
}

bool has_already(struct state *s, const struct wait *want)
{
	const struct range *r = range_get(s, want->inode, want->owner);

	for (int i = 0; want->range && r && i < BYTES; i++)
		if ((want->bytes >> i & 1) && r->mode[i] != want->mode)
			return false;
	return want->range && r;
}

/* Does the waiter wait for what this owner holds? */
static bool waits_for(struct state *s, const struct wait *waiter, uint32_t owner)
{
	const struct desc *d = desc_get(s, owner);

	for (uint32_t i = 0; waiter->range && i < s->ranges; i++)
		if (s->range[i].owner == owner && range_conflicts(s, &s->range[i], waiter))
			return true;
	return !waiter->range && d && flock_conflicts(s, d, waiter);
}

struct wait wanted(struct state *s, const struct op *op, const struct desc *d)
{
	bool range = op->kind != OP_FLOCK;
	uint32_t bytes = 0;

	for (int64_t i = op->arg[2]; range && i <= op->arg[3]; i++)
		bytes |= 1u << i;
	return (struct wait){
		.inode = d->inode,
		.owner = range && !op->arg[4] ? (uint32_t)op->client + 1 : d->id,
		.active = 1,
		.range = range,
		.mode = (uint8_t)op->arg[0],
		.bytes = (uint8_t)(range ? bytes : ALL_BYTES),
	};
}

bool op_waits(struct state *s, const struct op *op, struct wait *want)
{
	uint32_t stage = s->progress[op->client].stage;
	struct desc *d;

	if ((op->kind != OP_FLOCK && op->kind != OP_RANGE) || op->arg[1] == WAIT_NOT ||
	    stage == STAGE_DONE || stage == STAGE_DYING)
		return false;
	d = desc_of(s, op);
	if (d)
		*want = wanted(s, op, d);
	return d != NULL;
}

bool may_leave_something(const struct step *step, const struct op *op)
{
	if (step->rules->local || (op->err != EINTR && op->err != ERR_KILLED && !op->open_ended))
		return false;
	return step->rules->restarts || op->open_ended || op->end - op->begin >= PATIENCE_NS;
}

void waits_of(const struct step *step, struct state *s, struct waits *w)
{
	w->count = 0;
	for (int c = 0; c < CLIENTS_MAX; c++) {
		const struct op *op = step->current[c];

		if (s->wait[c].active) {
			w->fleeting[w->count] = true;
			w->at[w->count++] = s->wait[c];
		}
		if (op && op != step->op && op_waits(s, op, &w->at[w->count]))
			w->fleeting[w->count++] = may_leave_something(step, op);
	}
}

/* Is this waiter in the way, and need not itself wait for the one who asks? */
static bool stands_before(struct state *s, const struct wait *w, const struct wait *want)
{
	return w->range == want->range && w->owner != want->owner && (w->bytes & want->bytes) &&
	       share_locks(s, w->inode, want->inode) && conflict(w->mode, want->mode) &&
	       !waits_for(s, w, want->owner);
}

bool is_wanted(const struct step *step, struct state *s, const struct wait *want)
{
	struct waits w;

	waits_of(step, s, &w);
	for (size_t i = 0; i < w.count; i++)
		if (stands_before(s, &w.at[i], want))
			return true;
	return false;
}

bool is_circle(const struct step *step, struct state *s, const struct wait *want)
{
	bool reached[2 * CLIENTS_MAX] = {false};
	const struct wait *todo[2 * CLIENTS_MAX + 1] = {want};
	size_t count = 1;
	struct waits w;

	waits_of(step, s, &w);
	while (count) {
		const struct wait *from = todo[--count];

		if (waits_for(s, from, want->owner))
			return true;
		for (size_t i = 0; i < w.count; i++) {
			const struct wait *to = &w.at[i];

			if (reached[i] || !to->range || to->owner == want->owner ||
			    (!waits_for(s, from, to->owner) &&
			     (step->rules->local || !stands_before(s, to, from))))
				continue;
			reached[i] = true;
			todo[count++] = to;
		}
	}
	return false;
}
