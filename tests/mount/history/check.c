/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

#include "check.h"
#include "model.h"

struct config {
	UT_hash_handle hh;
	struct state state;
};

struct checker {
	struct rules rules;
	struct config *now;  /* what the model may be in; a set */
	struct config *seen; /* of one search; a set */
	const struct op *current[CLIENTS_MAX];
	size_t states_max;
	/* Asking what the model would answer to a call. */
	const struct op *ask;
	void (*heard)(void *arg, const struct op *answer);
	void *heard_arg;
};

/* ---- Sets of states ---- */

/* Four sums side by side, since each step of one waits for the one before. */
#define LANES 4

static void hash_part(uint64_t lanes[LANES], const void *part, size_t size)
{
	const unsigned char *at = part;
	uint64_t word;

	for (size_t i = 0; i < size; i += sizeof(word)) {
		size_t rest = size - i < sizeof(word) ? size - i : sizeof(word);
		uint64_t *lane = &lanes[i / sizeof(word) % LANES];

		word = 0;
		memcpy(&word, at + i, rest);
		*lane = (*lane ^ word) * 0xff51afd7ed558ccdu;
		*lane ^= *lane >> 32;
	}
}

static unsigned hash_of(const struct state *s)
{
	uint64_t lanes[LANES] = {s->inodes, s->descs, s->ranges, 0};
	uint64_t hash = 0;

	hash_part(lanes, s->inode, s->inodes * sizeof(*s->inode));
	hash_part(lanes, s->desc, s->descs * sizeof(*s->desc));
	hash_part(lanes, s->range, s->ranges * sizeof(*s->range));
	hash_part(lanes, s->wait, sizeof(s->wait));
	hash_part(lanes, s->progress, sizeof(s->progress));
	hash_part(lanes, s->slot, sizeof(s->slot));
	hash_part(lanes, s->ghost, sizeof(s->ghost));
	for (int i = 0; i < LANES; i++)
		hash = (hash ^ lanes[i]) * 0xc4ceb9fe1a85ec53u;
	return (unsigned)(hash >> 32);
}

/* NULL: it is there already. */
static struct config *set_add(struct config **set, const struct state *s)
{
	unsigned hash = hash_of(s);
	struct config *c;

	HASH_FIND_BYHASHVALUE(hh, *set, s, sizeof(*s), hash, c);
	if (c)
		return NULL;
	c = malloc(sizeof(*c));
	if (!c)
		abort();
	c->state = *s;
	HASH_ADD_BYHASHVALUE(hh, *set, state, sizeof(*s), hash, c);
	return c;
}

static void set_free(struct config **set)
{
	struct config *c, *next;

	HASH_ITER (hh, *set, c, next) {
		HASH_DEL(*set, c);
		free(c);
	}
}

struct checker *checker_new(const struct rules *rules)
{
	struct checker *c = calloc(1, sizeof(*c));
	struct state *s = calloc(1, sizeof(*s));

	if (!c || !s)
		abort();
	c->rules = *rules;
	c->states_max = STATES_MAX;
	model_init(s);
	set_add(&c->now, s);
	free(s);
	return c;
}

void checker_free(struct checker *c)
{
	if (!c)
		return;
	set_free(&c->now);
	free(c);
}

size_t checker_states(const struct checker *c)
{
	return HASH_COUNT(c->now);
}

void checker_keep_blobs(const struct checker *c)
{
	for (const struct config *at = c->now; at; at = at->hh.next)
		for (uint32_t i = 0; i < at->state.inodes; i++)
			if (at->state.inode[i].type == TYPE_FILE)
				blob_keep(at->state.inode[i].content);
}

/* ---- Events ---- */

static void change_all(struct checker *c, unsigned clients, int fresh)
{
	struct config *at, *next, *old = c->now;

	c->now = NULL;
	HASH_ITER (hh, old, at, next) {
		model_force(&at->state, c->current, clients);
		if (fresh >= 0)
			memset(&at->state.progress[fresh], 0, sizeof(at->state.progress[fresh]));
		set_add(&c->now, &at->state);
	}
	set_free(&old);
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
		set_add(&s->ended, state);
		return;
	}
	config = set_add(&s->c->seen, state);
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

static void take_step(struct search *s, struct step *step)
{
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
	static struct state to[DESCS_MAX];
	size_t count;

	for (int c = 0; c < CLIENTS_MAX; c++)
		if (s->c->current[c] && from->progress[c].stage != STAGE_DONE &&
		    end_early(s, from, s->c->current[c]))
			return;
	count = model_background(from, to);
	for (size_t i = 0; i < count; i++)
		reached(s, &to[i], false);
	for (int c = 0; c < CLIENTS_MAX; c++)
		if (s->c->current[c] && from->progress[c].stage != STAGE_DONE)
			go_on(s, from, s->c->current[c]);
}

/* The call has ended: so must its steps. */
static enum verdict end(struct checker *c, const struct op *op)
{
	struct search s = {.c = c, .op = op};
	enum verdict verdict = VERDICT_FINE;
	struct config *at;

	for (at = c->now; at; at = at->hh.next)
		reached(&s, &at->state, at->state.progress[op->client].stage == STAGE_DONE);
	while (s.count && verdict == VERDICT_FINE) {
		at = s.open[--s.count];
		look_at(&s, &at->state);
		if (HASH_COUNT(c->seen) + HASH_COUNT(s.ended) > c->states_max)
			verdict = VERDICT_TOO_BIG;
	}
	free(s.open);
	set_free(&c->seen);
	set_free(&c->now);
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

static struct config *copy_of(const struct config *set)
{
	struct config *copy = NULL;

	for (; set; set = set->hh.next)
		set_add(&copy, &set->state);
	return copy;
}

enum verdict checker_try(struct checker *c, const struct op *ops, size_t count, size_t *stuck,
			 void (*heard)(void *arg, const struct op *answer), void *arg,
			 const struct op *ask)
{
	struct config *before = copy_of(c->now);
	enum verdict verdict;

	c->heard = heard;
	c->heard_arg = arg;
	c->ask = ask;
	c->states_max = TRY_STATES_MAX;
	verdict = run(c, ops, count, stuck);
	c->states_max = STATES_MAX;
	c->ask = NULL;
	set_free(&c->now);
	c->now = before;
	return verdict;
}

enum verdict checker_round(struct checker *c, const struct op *ops, size_t count, size_t *stuck)
{
	struct config *before = copy_of(c->now);
	enum verdict verdict = run(c, ops, count, stuck);

	if (verdict != VERDICT_FINE) {
		set_free(&c->now);
		c->now = before;
	} else {
		set_free(&before);
	}
	return verdict;
}
