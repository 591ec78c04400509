/* SPDX-License-Identifier: MIT */
/*
 * EDEADLK against the future: every sequence of a few locks of three owners who, while they wait,
 * do nothing else.
 *
 * After each step the sequence is played once more and then on to its end: whoever does not wait
 * gives up all it holds, again and again. Whoever still waits then would have waited for ever.
 *  - If that is anybody, a request closed a circle and was not refused: it would hang.
 *  - For each request refused with EDEADLK the same is done with a table in which its owner waits
 *    none the less: the naive model's. If all are served there, the refusal was wrong.
 */
#include <stdio.h>
#include <string.h>

#include "lockcore/table_internal.h"
#include "tests/table_fixture.h"

#define OWNERS	   3
#define BYTES	   3
#define STEPS	   6
#define FILE_COUNT 2
#define KEEPER	   99

struct step {
	int owner, file;
	int first, last; /* bytes */
	enum lock_mode mode;
};

/* A naive table: bytes, and one queue of all files in the order of arrival. */
struct naive {
	enum lock_mode held[OWNERS][FILE_COUNT][BYTES];
	struct step queue[OWNERS];
	int waiting;
};

static struct table *table;
static uint64_t inos[FILE_COUNT];
static uint64_t tried, refused;
static struct step trace[STEPS];
static int depth;

static void expect(bool holds, const char *what)
{
	if (holds)
		return;
	for (int i = 0; i <= depth && i < STEPS; i++)
		fprintf(stderr, "\towner %d file %d bytes %d-%d mode %d\n", trace[i].owner,
			trace[i].file, trace[i].first, trace[i].last, trace[i].mode);
	fail_msg("%s", what);
}

/* ---- The naive table ---- */

static bool naive_waits(const struct naive *n, int owner)
{
	for (int i = 0; i < n->waiting; i++)
		if (n->queue[i].owner == owner)
			return true;
	return false;
}

static bool clash(enum lock_mode a, enum lock_mode b)
{
	return a && b && (a == LOCK_EXCLUSIVE || b == LOCK_EXCLUSIVE);
}

static bool held_against(const struct naive *n, const struct step *s, int owner)
{
	for (int byte = s->first; byte <= s->last; byte++)
		if (owner != s->owner && clash(n->held[owner][s->file][byte], s->mode))
			return true;
	return false;
}

static bool meet(const struct step *a, const struct step *b)
{
	return a->owner != b->owner && a->file == b->file && a->first <= b->last &&
	       b->first <= a->last && clash(a->mode, b->mode);
}

/* Does the waiter at this place wait, within its file, for what the owner of s holds? */
static bool depends(const struct naive *n, int place, const struct step *s)
{
	if (held_against(n, &n->queue[place], s->owner) && n->queue[place].file == s->file)
		return true;
	for (int i = 0; i < place; i++)
		if (meet(&n->queue[i], &n->queue[place]) && depends(n, i, s))
			return true;
	return false;
}

static bool naive_blocked(const struct naive *n, const struct step *s, int place)
{
	for (int owner = 0; owner < OWNERS; owner++)
		if (held_against(n, s, owner))
			return true;
	for (int i = 0; i < place; i++)
		if (meet(&n->queue[i], s) && !depends(n, i, s))
			return true;
	return false;
}

static void naive_take(struct naive *n, const struct step *s)
{
	for (int byte = s->first; byte <= s->last; byte++)
		n->held[s->owner][s->file][byte] = s->mode;
}

static void naive_settle(struct naive *n)
{
	for (int i = 0; i < n->waiting; i++) {
		struct step s = n->queue[i];

		if (naive_blocked(n, &s, i))
			continue;
		n->waiting--;
		memmove(&n->queue[i], &n->queue[i + 1],
			(size_t)(n->waiting - i) * sizeof(n->queue[0]));
		naive_take(n, &s);
		i = -1;
	}
}

/* True: granted. */
static bool naive_step(struct naive *n, const struct step *s)
{
	if (s->mode && naive_blocked(n, s, n->waiting)) {
		n->queue[n->waiting++] = *s;
		return false;
	}
	naive_take(n, s);
	naive_settle(n);
	return true;
}

/* How many still wait when all who can have gone on to their end? */
static int naive_future(const struct naive *now)
{
	struct naive n = *now;

	for (int round = 0; round < OWNERS; round++)
		for (int owner = 0; owner < OWNERS; owner++) {
			if (naive_waits(&n, owner))
				continue;
			memset(n.held[owner], 0, sizeof(n.held[owner]));
			naive_settle(&n);
		}
	return n.waiting;
}

/* ---- The table ---- */

static uint64_t client_of(int owner)
{
	return (uint64_t)owner + 1;
}

static void table_begin(void)
{
	struct attr attr;

	for (int owner = 0; owner < OWNERS; owner++) {
		table_drop_client(table, client_of(owner), at(0));
		for (uint64_t f = 0; f < FILE_COUNT; f++)
			assert_ok(table_open(table, client_of(owner), f + 1, inos[f], 0, at(0),
					     &attr));
	}
	while (table_next_grant(table, &(struct table_grant){0}))
		;
}

static enum status table_step(const struct step *s, bool *queued)
{
	struct table_want want = {
		.client = client_of(s->owner),
		.req = client_of(s->owner),
		.ino = inos[s->file],
		.handle = (uint64_t)s->file + 1,
		.owner = 7,
		.kind = LOCK_RANGE,
		.mode = s->mode,
		.start = s->first,
		.end = s->last,
		.wait = true,
	};
	struct table_got got;
	enum status status = table_lock(table, &want, &got);

	*queued = got.queued;
	return status;
}

/* ---- All sequences ---- */

struct alphabet {
	struct step steps[128];
	int count;
	int steps_max;
};

static void replay(int count)
{
	bool queued;

	table_begin();
	for (int i = 0; i < count; i++)
		table_step(&trace[i], &queued);
}

static void judge(struct naive *n, const struct step *s)
{
	bool queued, granted;
	enum status status;

	replay(depth);
	status = table_step(s, &queued);
	table_check(table);
	granted = naive_step(n, s);
	tried++;
	if (status == STATUS_DEADLOCK) {
		refused++;
		expect(!granted, "refused what is free");
		expect(naive_future(n) > 0, "EDEADLK where nobody would wait for ever");
	} else {
		expect(status == STATUS_OK && queued == !granted, "another outcome");
		expect(naive_future(n) == 0, "a circle that waits for ever");
	}
}

/* Owners are alike: the first step is owner 0's, and owner 2 does not come before owner 1. */
static bool is_new(const struct step *s)
{
	int most = -1;

	for (int i = 0; i < depth; i++)
		most = trace[i].owner > most ? trace[i].owner : most;
	return s->owner <= most + 1;
}

static void try_all(const struct alphabet *a, const struct naive *before)
{
	for (int i = 0; i < a->count; i++) {
		struct naive n = *before;

		trace[depth] = a->steps[i];
		if (!is_new(&trace[depth]) || naive_waits(&n, trace[depth].owner))
			continue;
		judge(&n, &trace[depth]);
		/* What changed nothing, or is refused, need not be followed. */
		if (depth + 1 == a->steps_max || !memcmp(&n, before, sizeof(n)) || naive_future(&n))
			continue;
		depth++;
		try_all(a, &n);
		depth--;
	}
}

static void add(struct alphabet *a, int files, int bytes, enum lock_mode mode)
{
	for (int owner = 0; owner < OWNERS; owner++)
		for (int file = 0; file < files; file++)
			for (int first = 0; first < bytes; first++)
				for (int last = first; last < bytes; last++)
					a->steps[a->count++] =
						(struct step){owner, file, first, last, mode};
}

static void run(const struct alphabet *a)
{
	const struct naive none = {0};

	tried = refused = 0;
	depth = 0;
	table = table_new(FIXTURE_EPOCH, TABLE_FILES_DEFAULT, at(0));
	inos[0] = held_file(table, KEEPER, 1, "f");
	inos[1] = held_file(table, KEEPER, 2, "g");
	try_all(a, &none);
	table_free(table);
	print_message("%lu requests, %lu refused\n", (unsigned long)tried, (unsigned long)refused);
	assert_true(refused > 0);
}

static void test_some_exclusive_ranges_of_a_file_circle(void **state)
{
	struct alphabet a = {.steps_max = STEPS};

	add(&a, 1, 3, LOCK_EXCLUSIVE);
	run(&a);
}

static void test_some_shared_and_exclusive_bytes_circle(void **state)
{
	struct alphabet a = {.steps_max = STEPS};

	add(&a, 1, 2, LOCK_EXCLUSIVE);
	add(&a, 1, 2, LOCK_SHARED);
	run(&a);
}

static void test_some_locks_over_two_files_circle(void **state)
{
	struct alphabet a = {.steps_max = STEPS};

	add(&a, 2, 2, LOCK_EXCLUSIVE);
	run(&a);
}

static void test_some_locks_with_releases_circle(void **state)
{
	struct alphabet a = {.steps_max = 5};

	add(&a, 1, 3, LOCK_EXCLUSIVE);
	add(&a, 1, 2, LOCK_SHARED);
	add(&a, 1, 3, LOCK_NONE);
	run(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_some_exclusive_ranges_of_a_file_circle),
		cmocka_unit_test(test_some_shared_and_exclusive_bytes_circle),
		cmocka_unit_test(test_some_locks_over_two_files_circle),
		cmocka_unit_test(test_some_locks_with_releases_circle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
