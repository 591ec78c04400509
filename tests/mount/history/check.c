/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "states.h"

struct checker {
	struct rules rules;
	struct config *now;  /* what the model may be in; a set */
	struct config *seen; /* of one search; a set */
	const struct op *current[CLIENTS_MAX];
	const struct op *ops; /* of the round */
	size_t count;
	size_t states_max;
	/* Asking what the model would answer to a call. */
	const struct op *ask;
	void (*heard)(void *arg, const struct op *answer);
	void *heard_arg;
};

struct checker *checker_new(const struct rules *rules)
{
	struct checker *c = calloc(1, sizeof(*c));
	struct state *s = calloc(1, sizeof(*s));

	if (!c || !s)
		abort();
	c->rules = *rules;
	c->states_max = STATES_MAX;
	model_init(s);
	states_add(&c->now, s);
	free(s);
	return c;
}

void checker_free(struct checker *c)
{
	if (!c)
		return;
	states_free(&c->now);
	free(c);
}

size_t checker_states(const struct checker *c)
{
	return HASH_COUNT(c->now);
}

void checker_keep_blobs(const struct checker *c)
{
	static struct state s;

	for (const struct config *at = c->now; at; at = at->hh.next) {
		state_unpack(at, &s);
		for (uint32_t i = 0; i < s.inodes; i++)
			if (s.inode[i].type == TYPE_FILE)
				blob_keep(s.inode[i].content);
	}
}

/* ---- Events ---- */

static void change_all(struct checker *c, unsigned clients, int fresh)
{
	static struct state s;
	struct config *at, *old = c->now;

	c->now = NULL;
	for (at = old; at; at = at->hh.next) {
		state_unpack(at, &s);
		model_force(&s, c->current, clients);
		if (fresh >= 0)
			memset(&s.progress[fresh], 0, sizeof(s.progress[fresh]));
		states_add(&c->now, &s);
	}
	states_free(&old);
}

static void begin(struct checker *c, const struct op *op)
{
	assert(!c->current[op->client]);
	c->current[op->client] = op;
}

struct search {
	struct checker *c;
	const struct op *op; /* that is to end */
	struct config *ended;
	struct config **open; /* still to be looked at */
	size_t count, room;
};

static void reached(struct search *s, const struct state *state, bool ended)
{
	struct config *config;

	if (ended) {
		states_add(&s->ended, state);
		return;
	}
	config = states_add(&s->c->seen, state);
	if (!config)
		return;
	if (s->count == s->room) {
		s->room = s->room ? s->room * 2 : 256;
		s->open = realloc(s->open, s->room * sizeof(*s->open));
		if (!s->open)
			abort();
	}
	s->open[s->count++] = config;
}

static bool changes_names(const struct op *op)
{
	switch (op->kind) {
	case OP_OPEN:
		return op->arg[0] & OPEN_CREATE;
	case OP_MKNOD:
	case OP_MKDIR:
	case OP_SYMLINK:
	case OP_LINK:
	case OP_RENAME:
	case OP_UNLINK:
	case OP_RMDIR:
		return true;
	default:
		return false;
	}
}

/* The same name in a root, or the one within it. */
static bool same_name(int a, int b)
{
	return a >= 0 && b >= 0 && a / 2 == b / 2;
}

static bool meet(const struct op *a, const struct op *b)
{
	return a->begin <= b->end && b->begin <= a->end &&
	       (same_name(a->place, b->place) || same_name(a->place, b->place2) ||
		same_name(a->place2, b->place) || same_name(a->place2, b->place2));
}

static bool is_churned(const struct checker *c, const struct op *op)
{
	size_t changes = 0;

	for (size_t i = 0; i < c->count; i++) {
		const struct op *other = &c->ops[i];

		changes += other != op && !other->err && changes_names(other) && meet(op, other);
	}
	return changes >= 2;
}

static void take_step(struct search *s, struct step *step)
{
	step->churned = step->op->err == ESTALE && is_churned(s->c, step->op);
	step->rules = &s->c->rules;
	step->current = s->c->current;
	model_step(step);
}

static bool same_locks(const struct state *a, const struct state *b)
{
	return !memcmp(a->range, b->range, sizeof(a->range));
}

static bool same_files(const struct state *a, const struct state *b)
{
	return a->inodes == b->inodes && !memcmp(a->inode, b->inode, sizeof(a->inode));
}

static bool has_closed(const struct state *s, int client)
{
	for (uint32_t i = 0; i < s->descs; i++)
		if (s->desc[i].client == client && !s->desc[i].refs)
			return true;
	return false;
}

/*
 * A call that changes nothing, whenever it is made, and has nothing to do with what is not known yet
 * (which number a file has). What nobody else can see may change: an offset, a descriptor.
 */
static bool is_look(const struct op *op, const struct state *from, const struct state *to)
{
	if (op->kind == OP_CLOSE)
		return same_locks(from, to) && !has_closed(to, op->client);
	if (!same_files(from, to))
		return false;
	if (op->kind == OP_READ || op->kind == OP_DUP)
		return true;
	if (op->kind == OP_OPEN && !op->err)
		return !(op->arg[0] & OPEN_TRUNC);
	if (op->err == EINTR || op->err == ERR_KILLED)
		return false;
	return (op->err || op->kind == OP_STAT || op->kind == OP_READLINK || op->kind == OP_LIST ||
		op->kind == OP_TEST || op->kind == OP_FLOCK || op->kind == OP_RANGE) &&
	       same_locks(from, to) && !memcmp(from->desc, to->desc, sizeof(from->desc));
}

/*
 * A look that can have its result now need not be tried at any later moment: what would be possible
 * then is possible after it too.
 */
static bool end_early(struct search *s, const struct state *from, const struct op *op)
{
	static struct state to[STEPS_MAX], next[STEPS_MAX];
	struct step step = {.from = from, .op = op, .to = to};
	struct step second = {.op = op, .to = next};

	if (op->open_ended || op == s->c->ask)
		return false;
	take_step(s, &step);
	for (size_t i = 0; i < step.count; i++) {
		if (step.done[i] && is_look(op, from, &to[i])) {
			reached(s, &to[i], op == s->op);
			return true;
		}
		if (step.done[i])
			continue;
		second.from = &to[i]; /* found it: and now? */
		take_step(s, &second);
		for (size_t j = 0; j < second.count; j++) {
			if (second.done[j] && is_look(op, from, &next[j])) {
				reached(s, &next[j], op == s->op);
				return true;
			}
		}
	}
	return false;
}

static void go_on(struct search *s, const struct state *from, const struct op *op)
{
	static struct state to[STEPS_MAX];
	struct checker *c = s->c;
	struct step step = {.from = from, .op = op, .to = to};

	if (c->ask == op && op == s->op) {
		step.heard = c->heard;
		step.heard_arg = c->heard_arg;
	}
	take_step(s, &step);
	for (size_t i = 0; i < step.count; i++)
		reached(s, &to[i], step.done[i] && op == s->op);
	if (op->open_ended) {
		to[0] = *from;
		memset(&to[0].progress[op->client], 0, sizeof(to[0].progress[0]));
		to[0].progress[op->client].stage = STAGE_DONE;
		reached(s, &to[0], op == s->op);
	}
}

static void look_at(struct search *s, const struct state *from)
{
	static struct state to[BACKGROUND_MAX];
	size_t count;

	for (int c = 0; c < CLIENTS_MAX; c++)
		if (s->c->current[c] && from->progress[c].stage != STAGE_DONE &&
		    end_early(s, from, s->c->current[c]))
			return;
	count = model_background(&s->c->rules, from, s->c->current, to);
	for (size_t i = 0; i < count; i++)
		reached(s, &to[i], false);
	for (int c = 0; c < CLIENTS_MAX; c++)
		if (s->c->current[c] && from->progress[c].stage != STAGE_DONE)
			go_on(s, from, s->c->current[c]);
}

/* The call has ended: so must its steps. */
static enum verdict end(struct checker *c, const struct op *op)
{
	static struct state state;
	struct search s = {.c = c, .op = op};
	enum verdict verdict = VERDICT_FINE;

	for (const struct config *at = c->now; at; at = at->hh.next) {
		state_unpack(at, &state);
		reached(&s, &state, state.progress[op->client].stage == STAGE_DONE);
	}
	while (s.count && verdict == VERDICT_FINE) {
		state_unpack(s.open[--s.count], &state);
		look_at(&s, &state);
		if (HASH_COUNT(c->seen) + HASH_COUNT(s.ended) > c->states_max)
			verdict = VERDICT_TOO_BIG;
	}
	free(s.open);
	states_free(&c->seen);
	states_free(&c->now);
	c->now = s.ended;
	c->current[op->client] = NULL;
	if (verdict == VERDICT_FINE && !c->now)
		return VERDICT_WRONG;
	change_all(c, c->rules.local ? 1u << op->client : 0, op->client);
	return verdict;
}

/* ---- Rounds ---- */

struct event {
	int64_t at;
	bool ends;
	const struct op *op;
};

/* What begins at the moment in which another ends was there at the same time. */
static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	if (x->ends != y->ends)
		return x->ends ? 1 : -1;
	return x->op < y->op ? -1 : x->op > y->op;
}

static struct event *events_of(const struct op *ops, size_t count)
{
	struct event *events = calloc(2 * count + 1, sizeof(*events));

	if (!events)
		abort();
	for (size_t i = 0; i < count; i++) {
		events[2 * i] = (struct event){ops[i].begin, false, &ops[i]};
		events[2 * i + 1] = (struct event){ops[i].end, true, &ops[i]};
	}
	qsort(events, 2 * count, sizeof(*events), by_time);
	return events;
}

static enum verdict run(struct checker *c, const struct op *ops, size_t count, size_t *stuck)
{
	struct event *events = events_of(ops, count);
	enum verdict verdict = VERDICT_FINE;

	memset(c->current, 0, sizeof(c->current));
	c->ops = ops;
	c->count = count;
	for (size_t i = 0; i < 2 * count && verdict == VERDICT_FINE; i++) {
		if (!events[i].ends)
			begin(c, events[i].op);
		else
			verdict = end(c, events[i].op);
		if (verdict != VERDICT_FINE)
			*stuck = (size_t)(events[i].op - ops);
	}
	free(events);
	if (verdict == VERDICT_FINE)
		change_all(c, ~0u, -1);
	return verdict;
}

enum verdict checker_try(struct checker *c, const struct op *ops, size_t count, size_t *stuck,
			 void (*heard)(void *arg, const struct op *answer), void *arg,
			 const struct op *ask)
{
	struct config *before = states_copy(c->now);
	enum verdict verdict;

	c->heard = heard;
	c->heard_arg = arg;
	c->ask = ask;
	c->states_max = TRY_STATES_MAX;
	verdict = run(c, ops, count, stuck);
	c->states_max = STATES_MAX;
	c->ask = NULL;
	states_free(&c->now);
	c->now = before;
	return verdict;
}

enum verdict checker_round(struct checker *c, const struct op *ops, size_t count, size_t *stuck)
{
	struct config *before = states_copy(c->now);
	enum verdict verdict = run(c, ops, count, stuck);

	if (verdict != VERDICT_FINE) {
		states_free(&c->now);
		c->now = before;
	} else {
		states_free(&before);
	}
	return verdict;
}
