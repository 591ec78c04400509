/* SPDX-License-Identifier: MIT */
/*
 * Thousands who wait for one file: every one is served once and in order, whatever the mixture, and
 * none of it takes for ever. What is feared are rules that look at all of the queue for each of the
 * queue for each of the queue: minutes, where it should be a fraction of a second.
 */
#include <stdio.h>
#include <time.h>

#include "lockcore/table_internal.h"
#include "tests/table_fixture.h"

#define CROWD	5000
#define CLIENTS 5 /* nodes; each has as many open files as it has requests */
#define HOLDER	9
#define EVER_NS (30 * NS_PER_SEC)

struct crowd {
	struct table *t;
	uint64_t ino;
	bool granted[CROWD];
	bool closed[CROWD];
	int grants;
	int last; /* granted */
	int64_t began;
};

static int64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static uint64_t client_of(int i)
{
	return (uint64_t)(i % CLIENTS) + 1;
}

static uint64_t handle_of(int i)
{
	return (uint64_t)i + 100;
}

/* The lock that request number i is for. */
typedef struct table_want (*mixture)(const struct crowd *c, int i);

static struct table_want want_of(const struct crowd *c, int i, enum lock_kind kind,
				 enum lock_mode mode)
{
	return (struct table_want){
		.client = client_of(i),
		.req = (uint64_t)i + 1,
		.ino = c->ino,
		.handle = handle_of(i),
		.owner = handle_of(i),
		.kind = kind,
		.mode = mode,
		.end = RANGE_END,
		.wait = true,
	};
}

static struct table_want exclusive(const struct crowd *c, int i)
{
	return want_of(c, i, LOCK_FLOCK, LOCK_EXCLUSIVE);
}

static struct table_want shared(const struct crowd *c, int i)
{
	return want_of(c, i, LOCK_FLOCK, LOCK_SHARED);
}

static struct table_want mixed(const struct crowd *c, int i)
{
	return want_of(c, i, LOCK_FLOCK, i % 7 == 3 ? LOCK_EXCLUSIVE : LOCK_SHARED);
}

static struct table_want same_range(const struct crowd *c, int i)
{
	return want_of(c, i, LOCK_RANGE, LOCK_EXCLUSIVE);
}

/* Every second one waits for the one before it. */
static struct table_want bytes(const struct crowd *c, int i)
{
	struct table_want want = want_of(c, i, LOCK_RANGE, LOCK_EXCLUSIVE);

	want.start = want.end = i / 2;
	return want;
}

/* Each waits for its neighbours. */
static struct table_want overlapping(const struct crowd *c, int i)
{
	struct table_want want = want_of(c, i, LOCK_RANGE, LOCK_EXCLUSIVE);

	want.start = i * 10;
	want.end = i * 10 + 15;
	return want;
}

static void drain(struct crowd *c)
{
	struct table_grant grant;

	while (table_next_grant(c->t, &grant)) {
		int i = (int)grant.req - 1;

		assert_false(c->granted[i] || c->closed[i]);
		c->granted[i] = true;
		c->grants++;
		c->last = i;
	}
}

/* All ask, while somebody else holds the whole file if `held`. */
static void gather(struct crowd *c, struct table *t, mixture mix, bool held)
{
	struct attr attr;

	*c = (struct crowd){.t = t, .began = cpu_ns()};
	c->ino = held_file(t, HOLDER, 1, "f");
	if (held) {
		struct table_want all = want_of(c, 0, mix(c, 0).kind, LOCK_EXCLUSIVE);

		all.client = HOLDER;
		all.handle = 1;
		lock_granted(t, all);
	}
	for (int i = 0; i < CROWD; i++) {
		struct table_want want = mix(c, i);
		struct table_got got;

		assert_ok(table_open(t, client_of(i), handle_of(i), c->ino, 0, at(0), &attr));
		assert_ok(table_lock(t, &want, &got));
		assert_true(!held || got.queued);
		c->granted[i] = !got.queued;
		c->grants += !got.queued;
	}
}

static void done(struct crowd *c)
{
	struct table_counts counts;

	table_counts(c->t, &counts);
	assert_int_equal(counts.waiting, 0);
	print_message("%ld ms\n", (long)((cpu_ns() - c->began) / NS_PER_MS));
	assert_true(cpu_ns() - c->began < EVER_NS);
}

/* Whoever is granted closes its file, which is the next one's grant, until all have been served. */
static void serve_all(struct table *t, mixture mix, bool held)
{
	struct crowd c;

	gather(&c, t, mix, held);
	table_close(t, HOLDER, 1, at(0));
	for (int i = 0; i < CROWD; i++) {
		drain(&c);
		assert_true(c.granted[i]); /* whatever is before it is gone */
		table_close(t, client_of(i), handle_of(i), at(0));
		c.closed[i] = true;
	}
	assert_int_equal(c.grants, CROWD);
	done(&c);
}

/* The requests are interrupted, the last first, and then the nodes die. */
static void end_all(struct table *t, mixture mix, bool held)
{
	struct crowd c;
	int before;

	gather(&c, t, mix, held);
	before = c.grants;
	for (int i = CROWD - 1; i > 0; i -= 2)
		table_cancel(t, client_of(i), (uint64_t)i + 1);
	for (uint64_t client = 1; client <= CLIENTS; client++)
		table_drop_client(t, client, at(0));
	while (table_next_grant(t, &(struct table_grant){0}))
		assert_false(held && before == 0);
	done(&c);
}

#define CROWD_TESTS(what, held)                                                                    \
	static void test_crowd_of_##what##_is_not_served(void **state)                             \
	{                                                                                          \
		serve_all(*state, what, held);                                                     \
	}                                                                                          \
	static void test_crowd_of_##what##_does_not_end(void **state)                              \
	{                                                                                          \
		end_all(*state, what, held);                                                       \
	}

CROWD_TESTS(exclusive, true)
CROWD_TESTS(shared, true)
CROWD_TESTS(mixed, true)
CROWD_TESTS(same_range, true)
CROWD_TESTS(bytes, false)
CROWD_TESTS(overlapping, false)

/* Each grant of one that is exclusive is one grant, and of the next in the queue. */
static void test_release_wakes_more_than_the_next(void **state)
{
	struct crowd c;

	gather(&c, *state, exclusive, true);
	table_close(*state, HOLDER, 1, at(0));
	for (int i = 0; i < CROWD; i++) {
		drain(&c);
		assert_int_equal(c.grants, i + 1);
		assert_int_equal(c.last, i);
		table_close(*state, client_of(i), handle_of(i), at(0));
		c.closed[i] = true;
	}
}

/*
 * Each process has a lock in a file of its own, for which somebody waits, and waits for a common
 * one: each might be part of a circle, and none is.
 */
static void test_crowd_of_holders_looks_for_circles_for_ever(void **state)
{
	const int crowd = CROWD / 5;
	struct crowd c;
	struct attr attr;

	c = (struct crowd){.t = *state, .began = cpu_ns()};
	c.ino = held_file(*state, HOLDER, 1, "f");
	for (int i = 0; i < crowd; i++) {
		struct table_want want = same_range(&c, i);
		struct table_got got;
		char name[24];

		snprintf(name, sizeof(name), "own%d", i);
		want.ino = file_in(*state, HOLDER, ROOT_INO, name);
		assert_ok(table_open(*state, want.client, want.handle, want.ino, 0, at(0), &attr));
		assert_ok(table_lock(*state, &want, &got));
		assert_ok(table_open(*state, 7, handle_of(i), want.ino, 0, at(0), &attr));
		want.client = 7;
		assert_ok(table_lock(*state, &want, &got));
		assert_true(got.queued);
		want = same_range(&c, i);
		want.handle += CROWD;
		want.req += CROWD;
		assert_ok(table_open(*state, want.client, want.handle, c.ino, 0, at(0), &attr));
		assert_ok(table_lock(*state, &want, &got));
		assert_int_equal(got.queued, i > 0);
	}
	for (uint64_t client = 1; client <= CLIENTS; client++)
		table_drop_client(*state, client, at(0));
	table_drop_client(*state, 7, at(0));
	done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_crowd_of_exclusive_is_not_served),
		TABLE_TEST(test_crowd_of_exclusive_does_not_end),
		TABLE_TEST(test_crowd_of_shared_is_not_served),
		TABLE_TEST(test_crowd_of_shared_does_not_end),
		TABLE_TEST(test_crowd_of_mixed_is_not_served),
		TABLE_TEST(test_crowd_of_mixed_does_not_end),
		TABLE_TEST(test_crowd_of_same_range_is_not_served),
		TABLE_TEST(test_crowd_of_same_range_does_not_end),
		TABLE_TEST(test_crowd_of_bytes_is_not_served),
		TABLE_TEST(test_crowd_of_bytes_does_not_end),
		TABLE_TEST(test_crowd_of_overlapping_is_not_served),
		TABLE_TEST(test_crowd_of_overlapping_does_not_end),
		TABLE_TEST(test_release_wakes_more_than_the_next),
		TABLE_TEST(test_crowd_of_holders_looks_for_circles_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
