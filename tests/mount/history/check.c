/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

#include "check.h"
#include "model.h"

/* A state, without what is not used of its lists. */
struct config {
	UT_hash_handle hh;
	size_t size;
	unsigned char bytes[];
};

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

/* ---- Sets of states ---- */

struct part {
	void *at;
	size_t size;
};

#define PARTS 5

/* The numbers of what is used, what is used, and all that follows the lists. */
static void parts_of(struct state *s, struct part parts[PARTS])
{
	const size_t lists_end = offsetof(struct state, wait);

	parts[0] = (struct part){s, offsetof(struct state, inode)};
	parts[1] = (struct part){s->inode, s->inodes * sizeof(*s->inode)};
	parts[2] = (struct part){s->desc, s->descs * sizeof(*s->desc)};
	parts[3] = (struct part){s->range, s->ranges * sizeof(*s->range)};
	parts[4] = (struct part){(unsigned char *)s + lists_end, sizeof(*s) - lists_end};
}

static size_t pack(const struct state *s, unsigned char *bytes)
{
	struct part parts[PARTS];
	size_t size = 0;

	parts_of((struct state *)(uintptr_t)s, parts);
	for (int i = 0; i < PARTS; i++) {
		memcpy(bytes + size, parts[i].at, parts[i].size);
		size += parts[i].size;
	}
	return size;
}

static void unpack(const struct config *c, struct state *s)
{
	struct part parts[PARTS];
	size_t at = 0;

	memset(s, 0, sizeof(*s));
	memcpy(s, c->bytes, offsetof(struct state, inode));
	parts_of(s, parts);
	for (int i = 0; i < PARTS; i++) {
		memcpy(parts[i].at, c->bytes + at, parts[i].size);
		at += parts[i].size;
	}
	assert(at == c->size);
}

/* Four sums side by side, since each step of one waits for the one before. */
#define LANES 4

static unsigned hash_of(const unsigned char *bytes, size_t size)
{
	uint64_t lanes[LANES] = {size}, hash = 0, word;

	static_assert(sizeof(struct state) % sizeof(word) == 0, "states are hashed by words");
	for (size_t i = 0; i + sizeof(word) <= size; i += sizeof(word)) {
		uint64_t *lane = &lanes[i / sizeof(word) % LANES];

		memcpy(&word, bytes + i, sizeof(word));
		*lane = (*lane ^ word) * 0xff51afd7ed558ccdu;
		*lane ^= *lane >> 32;
	}
	for (int i = 0; i < LANES; i++)
		hash = (hash ^ lanes[i]) * 0xc4ceb9fe1a85ec53u;
	return (unsigned)(hash >> 32);
}

static struct config *set_add_packed(struct config **set, const unsigned char *bytes, size_t size)
{
	unsigned hash = hash_of(bytes, size);
	struct config *c;

	HASH_FIND_BYHASHVALUE(hh, *set, bytes, size, hash, c);
	if (c)
		return NULL;
	c = malloc(sizeof(*c) + size);
	if (!c)
		abort();
	c->size = size;
	memcpy(c->bytes, bytes, size);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, *set, c->bytes, size, hash, c);
	return c;
}

/* NULL: it is there already. */
static struct config *set_add(struct config **set, const struct state *s)
{
	static unsigned char bytes[sizeof(*s)];
	size_t size = pack(s, bytes);

	return set_add_packed(set, bytes, size);
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
	static struct state s;

	for (const struct config *at = c->now; at; at = at->hh.next) {
		unpack(at, &s);
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
		unpack(at, &s);
		model_force(&s, c->current, clients);
		if (fresh >= 0)
			memset(&s.progress[fresh], 0, sizeof(s.progress[fresh]));
		set_add(&c->now, &s);
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
	static struct state state;
	struct search s = {.c = c, .op = op};
	enum verdict verdict = VERDICT_FINE;

	for (const struct config *at = c->now; at; at = at->hh.next) {
		unpack(at, &state);
		reached(&s, &state, state.progress[op->client].stage == STAGE_DONE);
	}
	while (s.count && verdict == VERDICT_FINE) {
		unpack(s.open[--s.count], &state);
		look_at(&s, &state);
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

static struct config *copy_of(const struct config *set)
{
	struct config *copy = NULL;

	for (; set; set = set->hh.next)
		set_add_packed(&copy, set->bytes, set->size);
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
