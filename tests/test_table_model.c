/* SPDX-License-Identifier: MIT */
/*
 * The table's locks against the naive model: every sequence of five operations of two clients, and
 * long random ones of more.
 *
 * DLOCK_SEED and DLOCK_ROUNDS choose the random runs. A failure prints the steps that led to it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lockcore/table_internal.h"
#include "tests/table_fixture.h"
#include "tests/table_model.h"

#define DEPTH	       5
#define RANDOM_STEPS   300
#define DEFAULT_ROUNDS 200
#define DEFAULT_SEED   1
#define KEEPER	       99 /* a client that only keeps the file */

enum what { STEP_LOCK, STEP_CANCEL_OLDEST, STEP_CLOSE, STEP_DROP, STEP_OPEN };

struct step {
	enum what what;
	struct model_request want; /* CLOSE, DROP, OPEN: client and handle */
};

struct pair {
	struct table *table;
	struct model model;
	uint64_t ino;
	uint64_t last_token;
	struct step trace[RANDOM_STEPS];
	int steps;
};

static struct pair pair; /* one at a time; static so that a failing assert can print its trace */

/* ---- What led to a failure ---- */

static void print_step(const struct step *s)
{
	static const char *names[] = {"lock", "cancel oldest", "close", "drop client", "open"};
	static const char *modes[] = {"none", "shared", "exclusive"};
	const struct model_request *w = &s->want;

	fprintf(stderr, "\t%s client %d handle %d", names[s->what], w->client, w->handle);
	if (s->what == STEP_LOCK)
		fprintf(stderr, " owner %d %s %s bytes %d-%d%s", w->owner,
			w->kind == LOCK_FLOCK ? "flock" : "range", modes[w->mode], w->first,
			w->last, w->wait ? " wait" : "");
	fprintf(stderr, "\n");
}

static void print_trace(int signal)
{
	for (int i = 0; i < pair.steps; i++)
		print_step(&pair.trace[i]);
}

static void expect(bool holds, const char *what)
{
	if (holds)
		return;
	print_trace(0);
	fail_msg("%s after step %d", what, pair.steps);
}

/* ---- The two side by side ---- */

static void compare_range(struct model_byte held[2][MODEL_CLIENTS][MODEL_HANDLES][MODEL_BYTES],
			  const struct range *r)
{
	int64_t last = r->end == RANGE_END ? MODEL_BYTES - 1 : r->end;
	uint64_t owner = r->kind == LOCK_FLOCK ? r->handle : r->owner;

	for (int64_t byte = r->start; byte <= last; byte++) {
		struct model_byte *b = &held[r->kind][r->client - 1][owner - 1][byte];

		expect(b->mode == LOCK_NONE, "a byte locked twice");
		*b = (struct model_byte){(uint8_t)r->mode, (uint8_t)(r->handle - 1)};
	}
}

static void compare_queue(const struct lockset *set)
{
	const struct model *m = &pair.model;
	const struct waiter *w;
	int place = 0;

	DL_FOREACH (set->queue, w) {
		expect(place < m->waiting, "too long a queue");
		expect(w->key.client - 1 == (uint64_t)m->queue[place].client &&
			       w->key.req == m->queue[place].req,
		       "another order of the queue");
		place++;
	}
	expect(place == m->waiting, "too short a queue");
}

static void compare(void)
{
	const struct lockset none = {0}, *set = inode_find(pair.table, pair.ino)->locks;
	struct model_byte held[2][MODEL_CLIENTS][MODEL_HANDLES][MODEL_BYTES] = {0};
	const struct range *r;

	set = set ? set : &none;
	for (int kind = 0; kind < 2; kind++)
		DL_FOREACH (set->granted[kind], r)
			compare_range(held, r);
	expect(!memcmp(held, pair.model.held, sizeof(held)), "other bytes locked");
	expect((int)lock_count(pair.table) == model_ranges(&pair.model), "ranges not merged");
	compare_queue(set);
	table_check(pair.table);
}

static void compare_grants(void)
{
	struct table_grant grant;
	int n = 0;

	while (table_next_grant(pair.table, &grant)) {
		const struct model_request *due = &pair.model.granted[n];

		expect(n < pair.model.grants, "too many grants");
		expect(grant.client - 1 == (uint64_t)due->client && grant.req == due->req,
		       "another grant");
		expect(grant.token > pair.last_token, "a token that does not grow");
		pair.last_token = grant.token;
		n++;
	}
	expect(n == pair.model.grants, "too few grants");
	memset(pair.model.granted, 0, (size_t)n * sizeof(pair.model.granted[0]));
	pair.model.grants = 0;
}

static void step_lock(const struct model_request *w)
{
	struct table_want want = {
		.client = (uint64_t)w->client + 1,
		.req = w->req,
		.ino = pair.ino,
		.handle = (uint64_t)w->handle + 1,
		.owner = (uint64_t)w->owner + 1,
		.kind = w->kind,
		.mode = w->mode,
		.start = w->first,
		.end = w->last == MODEL_BYTES - 1 ? RANGE_END : w->last,
		.wait = w->wait,
	};
	struct table_got got;
	bool queued;
	enum status status = table_lock(pair.table, &want, &got);

	expect(status == model_lock(&pair.model, w, &queued), "another status");
	expect(got.queued == queued, "queued in one alone");
}

static void step_cancel(void)
{
	struct model_request oldest = pair.model.queue[0];

	if (!pair.model.waiting)
		return;
	table_cancel(pair.table, (uint64_t)oldest.client + 1, oldest.req);
	model_cancel(&pair.model, oldest.client, oldest.req);
}

static void step_open(int client, int handle)
{
	uint64_t c = (uint64_t)client + 1, h = (uint64_t)handle + 1;
	struct attr attr;

	if (pair.model.open[client][handle])
		return;
	pair.model.open[client][handle] = true;
	expect(!table_open(pair.table, c, h, pair.ino, 0, at(0), &attr), "cannot open");
}

static void do_step(const struct step *s)
{
	uint64_t client = (uint64_t)s->want.client + 1;

	pair.trace[pair.steps++] = *s;
	switch (s->what) {
	case STEP_LOCK:
		step_lock(&s->want);
		break;
	case STEP_CANCEL_OLDEST:
		step_cancel();
		break;
	case STEP_CLOSE:
		table_close(pair.table, client, (uint64_t)s->want.handle + 1, at(0));
		model_close(&pair.model, s->want.client, s->want.handle);
		break;
	case STEP_DROP:
		table_drop_client(pair.table, client, at(0));
		model_drop(&pair.model, s->want.client);
		break;
	case STEP_OPEN:
		step_open(s->want.client, s->want.handle);
		break;
	}
	compare_grants();
}

/* Back to a file without locks that clients 0 to clients - 1 have open. */
static void restart(int clients, int handles)
{
	for (int client = 0; client < MODEL_CLIENTS; client++)
		table_drop_client(pair.table, (uint64_t)client + 1, at(0));
	while (table_next_grant(pair.table, &(struct table_grant){0}))
		;
	memset(&pair.model, 0, sizeof(pair.model));
	for (int client = 0; client < clients; client++)
		for (int handle = 0; handle < handles; handle++)
			step_open(client, handle);
	pair.steps = 0;
}

static int pair_setup(void **state)
{
	memset(&pair, 0, sizeof(pair));
	pair.table = table_new(FIXTURE_EPOCH, TABLE_FILES_DEFAULT, at(0));
	pair.ino = held_file(pair.table, KEEPER, 1, "f");
	return 0;
}

static int pair_teardown(void **state)
{
	table_free(pair.table);
	return 0;
}

/* ---- Every short sequence ---- */

struct alphabet {
	struct step steps[32];
	int count;
};

static void add_locks(struct alphabet *a, enum lock_kind kind, int client, int first, int last)
{
	for (int mode = LOCK_NONE; mode <= LOCK_EXCLUSIVE; mode++)
		for (int wait = 0; wait <= (mode != LOCK_NONE); wait++)
			a->steps[a->count++] = (struct step){
				.what = STEP_LOCK,
				.want = {.kind = kind,
					 .mode = (enum lock_mode)mode,
					 .client = client,
					 .first = first,
					 .last = last,
					 .wait = wait},
			};
}

static void add_ends(struct alphabet *a)
{
	a->steps[a->count++] = (struct step){.what = STEP_CANCEL_OLDEST};
	for (int client = 0; client < 2; client++) {
		a->steps[a->count++] = (struct step){.what = STEP_CLOSE, .want.client = client};
		a->steps[a->count++] = (struct step){.what = STEP_DROP, .want.client = client};
	}
}

static void replay(const struct step *steps, int count)
{
	restart(2, 1);
	for (int i = 0; i < count; i++)
		do_step(&steps[i]);
}

/*
 * A step that changed nothing is not followed: what comes after it has been tried without it. The
 * clients are alike, so that the first step is client 0's.
 */
static uint64_t try_all(const struct alphabet *a, struct step *steps, int depth)
{
	static struct model before;
	uint64_t tried = 0;

	for (int i = 0; i < a->count; i++) {
		if (depth == 0 && a->steps[i].want.client != 0)
			continue;
		replay(steps, depth);
		before = pair.model;
		steps[depth] = a->steps[i];
		steps[depth].want.req = (uint64_t)depth + 1;
		do_step(&steps[depth]);
		compare();
		tried++;
		if (depth + 1 < DEPTH && memcmp(&before, &pair.model, sizeof(before)))
			tried += try_all(a, steps, depth + 1);
	}
	return tried;
}

static void try_ranges(int first_a, int last_a, int first_b, int last_b)
{
	struct alphabet a = {.count = 0};
	struct step steps[DEPTH];

	for (int client = 0; client < 2; client++) {
		add_locks(&a, LOCK_RANGE, client, first_a, last_a);
		add_locks(&a, LOCK_RANGE, client, first_b, last_b);
	}
	add_ends(&a);
	print_message("%lu sequences\n", (unsigned long)try_all(&a, steps, 0));
}

static void test_some_five_steps_of_nested_ranges_go_wrong(void **state)
{
	try_ranges(0, MODEL_BYTES - 1, 3, 4);
}

static void test_some_five_steps_of_crossing_ranges_go_wrong(void **state)
{
	try_ranges(0, 4, 3, MODEL_BYTES - 1);
}

static void test_some_five_steps_of_flocks_go_wrong(void **state)
{
	struct alphabet a = {.count = 0};
	struct step steps[DEPTH];

	for (int client = 0; client < 2; client++)
		add_locks(&a, LOCK_FLOCK, client, 0, MODEL_BYTES - 1);
	add_ends(&a);
	print_message("%lu sequences\n", (unsigned long)try_all(&a, steps, 0));
}

/* ---- Long random sequences ---- */

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static struct model_request random_want(unsigned int *seed)
{
	struct model_request want = {
		.kind = rand_r(seed) % 4 ? LOCK_RANGE : LOCK_FLOCK,
		.mode = (enum lock_mode)(rand_r(seed) % 3),
		.client = rand_r(seed) % MODEL_CLIENTS,
		.handle = rand_r(seed) % MODEL_HANDLES,
		.owner = rand_r(seed) % MODEL_HANDLES,
		.first = rand_r(seed) % MODEL_BYTES,
		.wait = rand_r(seed) % 3 != 0,
		.req = (uint64_t)pair.steps + 1,
	};

	want.last = want.first + rand_r(seed) % (MODEL_BYTES - want.first);
	if (want.kind == LOCK_FLOCK) {
		want.owner = want.handle;
		want.first = 0;
		want.last = MODEL_BYTES - 1;
	}
	return want;
}

static struct step random_step(unsigned int *seed)
{
	struct step step = {.want = random_want(seed)};
	int dice = rand_r(seed) % 100;

	step.what = dice < 75	? STEP_LOCK
		    : dice < 82 ? STEP_CANCEL_OLDEST
		    : dice < 86 ? STEP_CLOSE
		    : dice < 88 ? STEP_DROP
				: STEP_OPEN;
	return step;
}

static void test_some_long_sequence_goes_wrong(void **state)
{
	unsigned int first = (unsigned int)setting("DLOCK_SEED", DEFAULT_SEED);
	uint64_t rounds = setting("DLOCK_ROUNDS", DEFAULT_ROUNDS);

	print_message("DLOCK_SEED=%u DLOCK_ROUNDS=%lu\n", first, (unsigned long)rounds);
	for (uint64_t round = 0; round < rounds; round++) {
		unsigned int seed = first + (unsigned int)round;

		restart(MODEL_CLIENTS, MODEL_HANDLES);
		while (pair.steps < RANDOM_STEPS) {
			struct step step = random_step(&seed);

			do_step(&step);
			compare();
		}
	}
}

#define PAIR_TEST(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(test_some_five_steps_of_flocks_go_wrong),
		PAIR_TEST(test_some_five_steps_of_nested_ranges_go_wrong),
		PAIR_TEST(test_some_five_steps_of_crossing_ranges_go_wrong),
		PAIR_TEST(test_some_long_sequence_goes_wrong),
	};

	signal(SIGABRT, print_trace);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
