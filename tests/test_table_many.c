/* SPDX-License-Identifier: MIT */
/*
 * Many names, and deep ones: what a table does with them must take a time in proportion to their
 * number. Four times as much may take so many times as long; what is quadratic takes sixteen. It is
 * the processor's time that is compared, of the best of three tries, so that a busy machine does
 * not matter.
 */
#include <stdio.h>
#include <time.h>

#include "tests/table_fixture.h"

#define FEW	  10000
#define RATIO_MAX 12
#define TRIES	  3
/* What takes less is not compared. */
#define BLINK_NS (2 * NS_PER_MS)
#define MAKER	 5

static int64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

/* Prepares as much as told, and returns how long what is feared took. */
typedef int64_t (*feared)(struct table *t, int count);

static int64_t best_of(feared what, int count)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		struct table *t = table_new(FIXTURE_EPOCH, TABLE_FILES_DEFAULT, at(0));
		int64_t took = what(t, count);

		best = took < best ? took : best;
		table_free(t);
	}
	return best;
}

static void assert_proportional(feared what)
{
	int64_t few = best_of(what, FEW), many = best_of(what, 4 * FEW);

	print_message("%d: %ld us, %d: %ld us\n", FEW, (long)few / 1000, 4 * FEW,
		      (long)many / 1000);
	assert_true(many < RATIO_MAX * (few > BLINK_NS ? few : BLINK_NS));
}

static void drain_gone(struct table *t)
{
	uint64_t ino;

	while (table_next_gone(t, &ino))
		;
}

static void name_of(char *name, size_t size, int i)
{
	snprintf(name, size, "name-%06d", i);
}

static uint64_t make_many(struct table *t, uint64_t parent, int count)
{
	char name[24];

	for (int i = 0; i < count; i++) {
		name_of(name, sizeof(name), i);
		file_in(t, MAKER, parent, name);
	}
	return parent;
}

static int64_t drop_many(struct table *t, int count)
{
	int64_t began;

	make_many(t, dir_in(t, 1, ROOT_INO, "wide"), count);
	began = cpu_ns();
	table_drop_client(t, MAKER, at(1));
	drain_gone(t);
	began = cpu_ns() - began;
	assert_int_equal(ino_at(t, ino_at(t, ROOT_INO, "wide"), "name-000000"), 0);
	return began;
}

static int64_t remove_many(struct table *t, int count)
{
	uint64_t parent = make_many(t, dir_in(t, 1, ROOT_INO, "wide"), count);
	int64_t began = cpu_ns();
	struct attr attr;
	char name[24];

	for (int i = 0; i < count; i++) {
		name_of(name, sizeof(name), i);
		assert_ok(table_unlink(t, parent, name, false, MAKER, 0, at(1), &attr));
		drain_gone(t);
	}
	return cpu_ns() - began;
}

/* A chain of directories, each in the one before; with `turned` the inner ones are the older. */
static uint64_t dig(struct table *t, int depth, bool turned)
{
	uint64_t at_top = ROOT_INO, inner = 0;
	struct attr attr, replaced;

	for (int i = 0; i < depth; i++) {
		uint64_t made = dir_in(t, MAKER, turned ? ROOT_INO : at_top, turned ? "new" : "d");

		if (turned && inner) {
			struct table_make make = make_in(MAKER, made, "d");

			assert_ok(table_rename(t, ROOT_INO, "d", &make, false, at(0), &attr,
					       &replaced));
		}
		if (turned) {
			struct table_make make = make_in(MAKER, ROOT_INO, "d");

			assert_ok(table_rename(t, ROOT_INO, "new", &make, false, at(0), &attr,
					       &replaced));
		}
		at_top = inner = made;
	}
	return inner;
}

static int64_t drop_deep(struct table *t, int depth, bool turned)
{
	int64_t began;

	dig(t, depth, turned);
	began = cpu_ns();
	table_drop_client(t, MAKER, at(1));
	drain_gone(t);
	began = cpu_ns() - began;
	assert_int_equal(ino_at(t, ROOT_INO, "d"), 0);
	return began;
}

static int64_t drop_dug(struct table *t, int depth)
{
	return drop_deep(t, depth, false);
}

static int64_t drop_turned(struct table *t, int depth)
{
	return drop_deep(t, depth, true);
}

static void test_names_of_a_client_take_too_long_to_go(void **state)
{
	assert_proportional(drop_many);
}

static void test_names_in_a_wide_directory_take_too_long_to_remove(void **state)
{
	assert_proportional(remove_many);
}

static void test_deep_held_directories_take_too_long_to_go(void **state)
{
	assert_proportional(drop_dug);
}

static void test_deep_directories_moved_into_newer_ones_take_too_long(void **state)
{
	assert_proportional(drop_turned);
}

/* A file of another client in the innermost keeps all above it. */
static void test_deep_directories_go_with_somebody_in_them(void **state)
{
	uint64_t inner = dig(*state, 50, false), parent = ROOT_INO;
	int left = 0;

	file_in(*state, 6, inner, "kept");
	table_drop_client(*state, MAKER, at(1));
	while ((parent = ino_at(*state, parent, "d")))
		left++;
	assert_int_equal(left, 50);
	assert_true(ino_at(*state, inner, "kept") != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_names_of_a_client_take_too_long_to_go),
		TABLE_TEST(test_names_in_a_wide_directory_take_too_long_to_remove),
		TABLE_TEST(test_deep_held_directories_take_too_long_to_go),
		TABLE_TEST(test_deep_directories_moved_into_newer_ones_take_too_long),
		TABLE_TEST(test_deep_directories_go_with_somebody_in_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
