/* SPDX-License-Identifier: MIT */
/*
 * The model's locks, and the closes that release them.
 *
 *	       nobody in the way
 *	FRESH ──────────────────> granted
 *	  │    signal
 *	  ├─────────> EINTR
 *	  │    kill
 *	  └─────────> DYING, descriptor by descriptor
 *
 * Who waits is in the way of those who would not wait (contract 5.2), but locally. When a call began
 * to wait nobody knows: it may do so all the time that it takes, and when it was given up, for a
 * while longer. A flock that is converted gives up the old lock when it cannot be granted at once
 * (SECOND); locally in any case.
 */
#include <errno.h>
#include <string.h>

#include "model.h"

#define ALL_BYTES ((1u << BYTES) - 1)

static bool conflict(int a, int b)
{
	return a && b && (a == MODE_EXCLUSIVE || b == MODE_EXCLUSIVE);
}

/* ---- What is held ---- */

static struct range *range_get(struct state *s, uint32_t lockset, uint32_t owner)
{
	for (uint32_t i = 0; i < s->ranges; i++)
		if (s->range[i].lockset == lockset && s->range[i].owner == owner)
			return &s->range[i];
	return NULL;
}

static bool range_before(const struct range *a, uint32_t lockset, uint32_t owner)
{
	return a->lockset < lockset || (a->lockset == lockset && a->owner < owner);
}

static void range_remove(struct state *s, struct range *r)
{
	uint32_t at = (uint32_t)(r - s->range);

	s->ranges--;
	memmove(r, r + 1, (s->ranges - at) * sizeof(*r));
	memset(&s->range[s->ranges], 0, sizeof(*r));
}

static struct range *range_add(struct state *s, uint32_t lockset, uint32_t owner)
{
	uint32_t at = s->ranges;

	while (at > 0 && !range_before(&s->range[at - 1], lockset, owner))
		at--;
	memmove(&s->range[at + 1], &s->range[at], (s->ranges - at) * sizeof(*s->range));
	s->ranges++;
	s->range[at] = (struct range){.lockset = lockset, .owner = owner};
	return &s->range[at];
}

static void range_set(struct state *s, const struct wait *want)
{
	struct range *r = range_get(s, want->lockset, want->owner);
	bool empty = true;

	if (!r)
		r = range_add(s, want->lockset, want->owner);
	for (int i = 0; i < BYTES; i++) {
		if (want->bytes >> i & 1)
			r->mode[i] = want->mode;
		empty = empty && !r->mode[i];
	}
	if (empty)
		range_remove(s, r);
}

static bool range_conflicts(const struct range *r, const struct wait *want)
{
	if (r->lockset != want->lockset || r->owner == want->owner)
		return false;
	for (int i = 0; i < BYTES; i++)
		if ((want->bytes >> i & 1) && conflict(r->mode[i], want->mode))
			return true;
	return false;
}

static bool flock_conflicts(struct state *s, const struct desc *d, const struct wait *want)
{
	return d->id != want->owner && conflict(d->flock, want->mode) &&
	       inode_get(s, d->inode)->lockset == want->lockset;
}

static bool is_held(struct state *s, const struct wait *want)
{
	for (uint32_t i = 0; want->range && i < s->ranges; i++)
		if (range_conflicts(&s->range[i], want))
			return true;
	for (uint32_t i = 0; !want->range && i < s->descs; i++)
		if (flock_conflicts(s, &s->desc[i], want))
			return true;
	return false;
}

/* Does the waiter wait for what this owner holds? */
static bool waits_for(struct state *s, const struct wait *waiter, uint32_t owner)
{
	const struct range *r = range_get(s, waiter->lockset, owner);
	const struct desc *d = desc_get(s, owner);

	if (waiter->range)
		return r && range_conflicts(r, waiter);
	return d && flock_conflicts(s, d, waiter);
}

static struct wait wanted(struct state *s, const struct op *op, const struct desc *d)
{
	bool range = op->kind != OP_FLOCK;
	uint32_t bytes = 0;

	for (int64_t i = op->arg[2]; range && i <= op->arg[3]; i++)
		bytes |= 1u << i;
	return (struct wait){
		.lockset = inode_get(s, d->inode)->lockset,
		.owner = range && !op->arg[4] ? (uint32_t)op->client + 1 : d->id,
		.active = 1,
		.range = range,
		.mode = (uint8_t)op->arg[0],
		.bytes = (uint8_t)(range ? bytes : ALL_BYTES),
	};
}

/* What this client waits for, or may have given up just now; not active: nothing. */
static struct wait wait_of(const struct step *step, struct state *s, int client)
{
	const struct op *op = step->current[client];
	uint32_t stage = s->progress[client].stage;
	struct desc *d;

	if (s->wait[client].active || !op || (op->kind != OP_FLOCK && op->kind != OP_RANGE) ||
	    op->arg[1] == WAIT_NOT || stage == STAGE_DONE || stage == STAGE_DYING)
		return s->wait[client];
	d = desc_of(s, op);
	return d ? wanted(s, op, d) : s->wait[client];
}

/* Is a waiter in the way, that need not itself wait for the one who asks? */
static bool is_wanted(const struct step *step, struct state *s, const struct wait *want)
{
	for (int c = 0; c < CLIENTS_MAX; c++) {
		struct wait w = wait_of(step, s, c);

		if (w.active && w.range == want->range && w.lockset == want->lockset &&
		    w.owner != want->owner && (w.bytes & want->bytes) &&
		    conflict(w.mode, want->mode) && !waits_for(s, &w, want->owner))
			return true;
	}
	return false;
}

/* Does somebody who holds what is wanted wait, and so on, for the one who wants it? */
static bool leads_back(const struct step *step, struct state *s, const struct wait *want,
		       uint32_t owner, int depth)
{
	if (depth > CLIENTS_MAX)
		return false;
	for (uint32_t i = 0; i < s->ranges; i++) {
		if (!range_conflicts(&s->range[i], want))
			continue;
		if (s->range[i].owner == owner)
			return true;
		for (int c = 0; c < CLIENTS_MAX; c++) {
			struct wait w = wait_of(step, s, c);

			if (w.active && w.range && w.owner == s->range[i].owner &&
			    leads_back(step, s, &w, owner, depth + 1))
				return true;
		}
	}
	return false;
}

/* ---- Closing ---- */

void desc_release(struct state *s, uint32_t id)
{
	uint32_t at = (uint32_t)(desc_get(s, id) - s->desc);

	for (uint32_t i = s->ranges; i-- > 0;)
		if (s->range[i].owner == id)
			range_remove(s, &s->range[i]);
	s->descs--;
	memmove(&s->desc[at], &s->desc[at + 1], (s->descs - at) * sizeof(*s->desc));
	memset(&s->desc[s->descs], 0, sizeof(*s->desc));
}

static bool has_locks(const struct state *s, const struct desc *d)
{
	bool ranges = false;

	for (uint32_t i = 0; i < s->ranges; i++)
		ranges = ranges || s->range[i].owner == d->id;
	return d->flock || ranges;
}

/* The process's ranges go at once, what belongs to the description with its last descriptor, a
 * little later. */
static void close_slot(struct state *s, const struct op *op, int slot)
{
	int client = op->client;
	struct desc *d = desc_get(s, s->slot[client][slot]);
	struct range *r;

	s->slot[client][slot] = 0;
	if (!d)
		return;
	r = range_get(s, inode_get(s, d->inode)->lockset, (uint32_t)client + 1);
	if (r)
		range_remove(s, r);
	d->refs--;
	if (!d->refs)
		d->closed = op->end;
	if (!d->refs && !has_locks(s, d))
		desc_release(s, d->id);
}

void step_close(struct step *step)
{
	struct state *s = step_copy(step);

	close_slot(s, step->op, step->op->slot);
	step_fail(step, s, 0);
}

void step_dup(struct step *step)
{
	struct state *s = step_copy(step);
	struct desc *d = desc_of(s, step->op);

	if (!d)
		return;
	d->refs++;
	s->slot[step->op->client][step->op->slot2] = d->id;
	step_fail(step, s, 0);
}

/* One descriptor after the other. */
void step_die(struct step *step)
{
	const struct op *op = step->op;
	struct state *s = step_copy(step);
	struct progress *p = step_progress(step, s);

	p->stage = STAGE_DYING;
	while (p->aux < SLOTS && (op->got[p->aux] < 0 || !s->slot[op->client][op->got[p->aux]]))
		p->aux++;
	if (p->aux < SLOTS) {
		close_slot(s, op, (int)op->got[p->aux++]);
		step_on(step, s);
	} else {
		step_fail(step, s, ERR_KILLED);
	}
}

/* ---- Asking ---- */

static void hold(struct state *s, const struct wait *want)
{
	if (want->range)
		range_set(s, want);
	else
		desc_get(s, want->owner)->flock = want->mode;
}

/* It has the lock: the call's success, unless it was killed before it could say so. */
static void grant(struct step *step, const struct wait *want)
{
	struct state *s = step_copy(step);

	hold(s, want);
	if (step->op->err == ERR_KILLED) {
		step_progress(step, s)->stage = STAGE_DYING;
		step_on(step, s);
	} else {
		step_fail(step, s, 0);
	}
}

/* A flock is refused, or waits: the old one is gone. */
static void drop(struct step *step, const struct wait *want)
{
	struct state *s = step_copy(step);

	desc_get(s, want->owner)->flock = MODE_NONE;
	step_progress(step, s)->stage = STAGE_SECOND;
	step_on(step, s);
}

static void refuse(struct step *step, const struct wait *want, int err)
{
	struct state *s = step_copy(step);

	if (!want->range)
		desc_get(s, want->owner)->flock = MODE_NONE;
	step_fail(step, s, err);
}

/* A signal ends the call, and what it left in the queue goes later. */
static void interrupt(struct step *step, const struct wait *want)
{
	struct state *s = step_copy(step);

	if (!step->rules->local) {
		s->wait[step->op->client] = *want;
		s->wait[step->op->client].ended = step->op->end;
	}
	if (step->op->err == ERR_KILLED) {
		step_progress(step, s)->stage = STAGE_DYING;
		step_on(step, s);
	} else {
		step_fail(step, s, EINTR);
	}
}

/* Looks at s first, for it lies where the next copy will. */
static void ask(struct step *step, struct state *s, const struct wait *want)
{
	bool held = is_held(s, want), may_wait = step->op->arg[1] != WAIT_NOT;
	bool in_the_way = held || (!step->rules->local && is_wanted(step, s, want));
	bool circle = held && want->range && leads_back(step, s, want, want->owner, 0);
	/* A call that a signal reached on its way was perhaps granted, and the lock given back. */
	bool may_drop = may_wait && (in_the_way || step->op->err == EINTR);
	bool converts = !want->range && desc_get(s, want->owner)->flock;

	if (!held)
		grant(step, want);
	if (in_the_way && !may_wait)
		refuse(step, want, EAGAIN);
	if (circle && may_wait)
		refuse(step, want, EDEADLK);
	if (may_drop && converts)
		drop(step, want);
	if (step->op->err == ERR_KILLED || step->op->arg[1] == WAIT_SIGNAL)
		interrupt(step, want);
}

void step_flock(struct step *step)
{
	struct state *s = step_copy(step);
	struct progress *p = step_progress(step, s);
	struct desc *d = p->stage == STAGE_DYING ? NULL : desc_of(s, step->op);
	struct wait want;

	if (p->stage == STAGE_DYING)
		step_die(step);
	if (!d)
		return;
	want = wanted(s, step->op, d);
	if (!want.mode || d->flock == want.mode) {
		grant(step, &want);
		if (step->op->arg[1] == WAIT_SIGNAL)
			interrupt(step, &want);
	} else if (step->rules->local && d->flock) {
		drop(step, &want);
	} else {
		ask(step, s, &want);
	}
}

void step_range(struct step *step)
{
	const struct op *op = step->op;
	struct state *s = step_copy(step);
	struct progress *p = step_progress(step, s);
	struct desc *d = p->stage == STAGE_DYING ? NULL : desc_of(s, op);
	struct wait want;

	if (p->stage == STAGE_DYING)
		step_die(step);
	if (!d)
		return;
	want = wanted(s, op, d);
	if (!want.mode)
		grant(step, &want);
	else if (!(d->flags & (want.mode == MODE_SHARED ? OPEN_READ : OPEN_WRITE)))
		step_fail(step, s, EBADF);
	else
		ask(step, s, &want);
}

/* ---- F_GETLK ---- */

/* All of what is reported, and in the way of what was asked for? */
static bool reports(const uint8_t mode[BYTES], const struct op *op, const struct wait *want)
{
	bool meets = false;

	for (int64_t i = op->got[1]; i <= op->got[2]; i++) {
		if (mode[i] != op->got[0])
			return false;
		meets = meets || (want->bytes >> i & 1);
	}
	return meets && conflict((int)op->got[0], want->mode);
}

/* A process is named on its own node only; OFD locks have none, and who asks with F_OFD_GETLK is
 * told none by the kernel's FUSE. */
static bool names_holder(const struct step *step, uint32_t owner, int64_t client)
{
	const struct op *op = step->op;
	int holder = (int)owner - 1;

	if (owner >= FIRST_OP)
		return true;
	if (!step->rules->local && op->arg[4])
		return client < 0;
	if (step->rules->local || holder % NODES == op->client % NODES)
		return client == holder;
	return client < 0;
}

/* A lock granted to one who is interrupted is given back a moment later. */
static bool is_fleeting(const struct step *step, struct state *s, const struct wait *want)
{
	for (int c = 0; c < CLIENTS_MAX; c++) {
		struct wait w = wait_of(step, s, c);
		const struct range *held = range_get(s, w.lockset, w.owner);
		uint8_t mode[BYTES];

		for (int i = 0; i < BYTES; i++)
			mode[i] = w.bytes >> i & 1 ? w.mode : held ? held->mode[i] : MODE_NONE;
		if (w.active && w.range && w.lockset == want->lockset && w.owner != want->owner &&
		    (s->wait[c].active || step->current[c]->err) && reports(mode, step->op, want))
			return true;
	}
	return false;
}

void step_test(struct step *step)
{
	const struct op *op = step->op;
	struct state *s = step_copy(step);
	struct desc *d = desc_of(s, op);
	struct op answer = step_answer(step, 0);
	struct wait want;
	bool seen = false;

	if (!d)
		return;
	want = wanted(s, op, d);
	for (uint32_t i = 0; i < s->ranges; i++) {
		const struct range *r = &s->range[i];

		if (!range_conflicts(r, &want))
			continue;
		answer.got[0] = MODE_EXCLUSIVE;
		answer.got[1] = -1; /* one of several, perhaps */
		seen = seen || (op->got[0] && reports(r->mode, op, &want) &&
				names_holder(step, r->owner, op->got[3]));
	}
	if (!seen && op->got[0] && !step->rules->local)
		seen = is_fleeting(step, s, &want);
	step_end(step, s, seen ? op : &answer);
}
