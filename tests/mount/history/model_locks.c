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
 * to wait nobody knows: it may do so all the time that it takes. A flock that is converted gives up
 * the old lock when it cannot be granted at once (SECOND); locally in any case.
 */
#include <errno.h>
#include <string.h>

#include "model_held.h"

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

static bool is_the_only_one(const struct state *s, const struct desc *d)
{
	for (uint32_t i = 0; i < s->descs; i++)
		if (&s->desc[i] != d && s->desc[i].inode == d->inode)
			return false;
	return true;
}

/* Is it of any concern to others when the description is closed for good? It has locks, or keeps its
 * file among kin whose locks are put together. */
static bool has_part(struct state *s, const struct desc *d)
{
	return has_locks(s, d) || (is_the_only_one(s, d) && kin_shares(s, inode_get(s, d->inode)));
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
	r = range_get(s, d->inode, (uint32_t)client + 1);
	if (r)
		range_remove(s, r);
	d->refs--;
	if (!d->refs)
		d->closed = op->end;
	if (!d->refs && !has_part(s, d))
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

/* Closes a descriptor; true: others may notice. */
static bool close_noticed(struct state *s, const struct op *op, int slot)
{
	uint32_t id = s->slot[op->client][slot], ranges = s->ranges;
	const struct desc *d;

	close_slot(s, op, slot);
	d = desc_get(s, id);
	return s->ranges != ranges || (d && !d->refs);
}

/* One descriptor after the other; when those go that nobody misses is all the same. */
void step_die(struct step *step)
{
	const struct op *op = step->op;
	struct state *s = step_copy(step);
	struct progress *p = step_progress(step, s);

	p->stage = STAGE_DYING;
	while (p->aux < SLOTS) {
		int64_t slot = op->got[p->aux++];

		if (slot >= 0 && close_noticed(s, op, (int)slot)) {
			step_on(step, s);
			return;
		}
	}
	step_fail(step, s, ERR_KILLED);
}

/* ---- Asking ---- */

static void hold(struct state *s, const struct wait *want)
{
	if (want->range)
		range_set(s, want);
	else
		desc_get(s, want->owner)->flock = want->mode;
}

/* A copy in which the request has arrived: the file shares the locks of its kin. What releases all,
 * as a close does, is no reason for that. */
static struct state *arrive(struct step *step, const struct wait *want)
{
	struct state *s = step_copy(step);

	if (want->mode || want->bytes != ALL_BYTES)
		kin_join(s, want->inode);
	return s;
}

/* It has the lock: the call's success, unless it was killed before it could say so. */
static void grant(struct step *step, const struct wait *want)
{
	struct state *s = arrive(step, want);

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
	struct state *s = arrive(step, want);

	desc_get(s, want->owner)->flock = MODE_NONE;
	step_progress(step, s)->stage = STAGE_SECOND;
	step_on(step, s);
}

static void refuse(struct step *step, const struct wait *want, int err)
{
	struct state *s = arrive(step, want);

	if (!want->range)
		desc_get(s, want->owner)->flock = MODE_NONE;
	step_fail(step, s, err);
}

/* A signal ends the call, and what it may have left in the queue goes later. */
static void interrupt(struct step *step, const struct wait *want)
{
	struct state *s = step_copy(step);

	if (may_leave_something(step, step->op)) {
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
static void decide(struct step *step, struct state *s, const struct wait *want)
{
	bool held = is_held(s, want), may_wait = step->op->arg[1] != WAIT_NOT;
	bool in_the_way = held || (!step->rules->local && is_wanted(step, s, want));
	bool circle = in_the_way && want->range && is_circle(step, s, want);
	/* What was granted and given back was a conversion, too. */
	bool may_drop = may_wait && (in_the_way || may_leave_something(step, step->op));
	bool converts = !want->range && desc_get(s, want->owner)->flock;

	if (!held || has_already(s, want))
		grant(step, want);
	if (in_the_way && !may_wait)
		refuse(step, want, EAGAIN);
	if (circle && may_wait)
		refuse(step, want, EDEADLK);
	if (may_drop && converts)
		drop(step, want);
}

/* Who waits has arrived before he is granted anything, or nothing. */
static void ask(struct step *step, const struct wait *want)
{
	struct state *s = step_copy(step);

	if (!kin_join(s, want->inode) || step->op->arg[1] == WAIT_NOT)
		decide(step, s, want);
	else
		step_on(step, s);
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
		ask(step, &want);
	}
}

/* It has no part in locks; but a kill may have come before it was told so. */
static void be_told(struct step *step, int err)
{
	struct state *s = step_copy(step);

	if (step->op->err == ERR_KILLED) {
		step_progress(step, s)->stage = STAGE_DYING;
		step_on(step, s);
	} else {
		step_fail(step, s, err);
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
		be_told(step, EBADF);
	else
		ask(step, &want);
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
	struct waits waits;

	waits_of(step, s, &waits);
	for (size_t n = 0; n < waits.count; n++) {
		const struct wait *w = &waits.at[n];
		const struct range *held = range_get(s, w->inode, w->owner);
		uint8_t mode[BYTES];

		for (int i = 0; i < BYTES; i++)
			mode[i] = w->bytes >> i & 1 ? w->mode : held ? held->mode[i] : MODE_NONE;
		if (waits.fleeting[n] && w->range && w->owner != want->owner &&
		    share_locks(s, w->inode, want->inode) && reports(mode, step->op, want))
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
	kin_join(s, want.inode);
	for (uint32_t i = 0; i < s->ranges; i++) {
		const struct range *r = &s->range[i];

		if (!range_conflicts(s, r, &want))
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
