/* SPDX-License-Identifier: MIT */
/* Listing a directory in pages while its names come and go. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/table_fixture.h"

#define LASTING	     60
#define PASSING	     200
#define PAGE	     7
#define DEFAULT_SEED 1
#define ROUNDS	     200

/* A name for number i; the client is the handle as well. */
static void add(struct table *t, const char *kind, int i, uint64_t client)
{
	char name[32];

	snprintf(name, sizeof(name), "%s%d", kind, i);
	held_file(t, client, client, name);
	table_close(t, client, client, at(0));
}

static void remove_name(struct table *t, const char *kind, int i)
{
	struct attr attr;
	char name[32];

	snprintf(name, sizeof(name), "%s%d", kind, i);
	if (exists(t, name))
		assert_ok(table_unlink(t, ROOT_INO, name, false, 1, 0, at(0), &attr));
}

static void test_empty_directory_never_ends(void **state)
{
	struct entry entries[1];
	size_t count = 9;
	bool end = false;

	assert_ok(table_list(*state, ROOT_INO, 0, entries, 1, &count, &end));
	assert_int_equal(count, 0);
	assert_true(end);
	assert_int_equal(table_list(*state, 4711, 0, entries, 1, &count, &end), STATUS_STALE);
	assert_int_equal(table_list(*state, plain_file(*state, "f"), 0, entries, 1, &count, &end),
			 STATUS_NOT_DIR);
}

static void test_listing_loses_the_order_of_making(void **state)
{
	struct entry entries[10];
	size_t count;
	bool end;

	for (int i = 0; i < 5; i++)
		add(*state, "n", 9 - i, 1);
	assert_ok(table_list(*state, ROOT_INO, 0, entries, 10, &count, &end));
	assert_int_equal(count, 5);
	assert_true(end);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(entries[i].name[1], '9' - i);
		assert_int_equal(entries[i].mode, S_IFREG);
		assert_true(i == 0 || entries[i].cookie > entries[i - 1].cookie);
	}
}

/* Lists in pages; between two pages names that do not last are made and removed. */
static void list_in_a_storm(struct table *t, unsigned int *seed, int *seen)
{
	struct entry entries[PAGE];
	uint64_t cookie = 0;
	size_t count;
	bool end = false;

	while (!end) {
		size_t page = 1 + (size_t)rand_r(seed) % PAGE;

		assert_ok(table_list(t, ROOT_INO, cookie, entries, page, &count, &end));
		for (size_t i = 0; i < count; i++)
			if (entries[i].name[0] == 'L')
				seen[atoi(entries[i].name + 1)]++;
		cookie = count ? entries[count - 1].cookie : cookie;
		for (int i = rand_r(seed) % 40; i > 0; i--)
			remove_name(t, "p", rand_r(seed) % PASSING);
		for (int i = rand_r(seed) % 3; i > 0; i--) {
			int n = rand_r(seed) % PASSING;

			remove_name(t, "p", n);
			add(t, "p", n, 1);
		}
		table_check(t);
	}
}

static void test_lasting_name_is_listed_twice_or_never(void **state)
{
	const char *text = getenv("DLOCK_SEED");
	unsigned int seed = text ? (unsigned int)strtoul(text, NULL, 0) : DEFAULT_SEED;

	print_message("DLOCK_SEED=%u\n", seed);
	for (int i = 0; i < LASTING; i++) {
		add(*state, "L", i, 1);
		for (int n = 0; n < 5; n++)
			add(*state, "p", i + PASSING * (n + 1), 2);
	}
	for (int round = 0; round < ROUNDS; round++) {
		int seen[LASTING] = {0};

		list_in_a_storm(*state, &seed, seen);
		for (int i = 0; i < LASTING; i++)
			assert_int_equal(seen[i], 1);
		if (round == ROUNDS / 2)
			table_drop_client(*state, 2, at(0));
	}
}

static void test_cookie_of_a_removed_name_starts_over(void **state)
{
	struct entry entries[3];
	uint64_t second;
	size_t count;
	bool end;

	for (int i = 0; i < 3; i++)
		add(*state, "n", i, 1);
	assert_ok(table_list(*state, ROOT_INO, 0, entries, 2, &count, &end));
	assert_false(end);
	second = entries[1].cookie;
	remove_name(*state, "n", 0);
	remove_name(*state, "n", 1);
	assert_ok(table_list(*state, ROOT_INO, second, entries, 3, &count, &end));
	assert_int_equal(count, 1);
	assert_string_equal(entries[0].name, "n2");
	assert_true(end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_empty_directory_never_ends),
		TABLE_TEST(test_listing_loses_the_order_of_making),
		TABLE_TEST(test_lasting_name_is_listed_twice_or_never),
		TABLE_TEST(test_cookie_of_a_removed_name_starts_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
