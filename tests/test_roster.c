/* SPDX-License-Identifier: MIT */
/* Listing in pages what comes and goes meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lockcore/roster.h"

#define ENTRIES	     300
#define LASTING	     40 /* of them, the first */
#define ROUNDS	     300
#define DEFAULT_SEED 1

static struct roster_entry entries[ENTRIES];
static uint64_t cookies;

static void add(struct roster *r, size_t i)
{
	assert_true(roster_reserve(r));
	roster_add(r, &entries[i], ++cookies);
}

static int begin(void **state)
{
	static struct roster r;

	for (size_t i = 0; i < ENTRIES; i++)
		entries[i] = (struct roster_entry){0};
	cookies = 0;
	*state = &r;
	return 0;
}

static int end(void **state)
{
	roster_deinit(*state);
	return 0;
}

static void test_an_empty_roster_has_something(void **state)
{
	uint64_t cookie = 0;
	size_t looks = 10;

	assert_null(roster_next(*state, &cookie, &looks));
	assert_int_equal(looks, 10);
	add(*state, 0);
	roster_remove(*state, &entries[0]);
	roster_remove(*state, &entries[0]); /* it is in none */
	cookie = 0;
	assert_null(roster_next(*state, &cookie, &looks));
}

static void come_and_go(struct roster *r, unsigned int *seed)
{
	for (int n = rand_r(seed) % 60; n > 0; n--) {
		size_t i = LASTING + (size_t)rand_r(seed) % (ENTRIES - LASTING);

		if (entries[i].cookie)
			roster_remove(r, &entries[i]);
		else
			add(r, i);
	}
}

static void test_what_lasts_is_met_twice_or_never(void **state)
{
	const char *text = getenv("DLOCK_SEED");
	unsigned int seed = text ? (unsigned int)strtoul(text, NULL, 0) : DEFAULT_SEED;
	struct roster *r = *state;

	print_message("DLOCK_SEED=%u\n", seed);
	for (size_t i = 0; i < LASTING; i++) {
		add(r, i);
		come_and_go(r, &seed);
	}
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t cookie = 0, limit = cookies;
		int met[ENTRIES] = {0};
		struct roster_entry *e;
		size_t looks;

		do {
			looks = 1 + (size_t)rand_r(&seed) % 9;
			while ((e = roster_next(r, &cookie, &looks)))
				met[e - entries]++;
			come_and_go(r, &seed);
		} while (!looks && cookie < limit);
		for (size_t i = 0; i < LASTING; i++)
			assert_int_equal(met[i], 1);
	}
	assert_true(r->count <= 2 * ENTRIES + 1); /* who left takes no room for ever */
}

/* Nobody left but the last of many: a page must not look at all who have gone. */
static void test_gaps_are_looked_at_without_end(void **state)
{
	struct roster *r = *state;
	uint64_t cookie = 0;
	size_t looks = 10, pages = 0;
	struct roster_entry *e = NULL;

	for (size_t i = 0; i < ENTRIES; i++)
		add(r, i);
	for (size_t i = 0; i < ENTRIES / 2 - 1; i++)
		roster_remove(r, &entries[i]);
	for (; !e; pages++) {
		looks = 10;
		e = roster_next(r, &cookie, &looks);
	}
	assert_ptr_equal(e, &entries[ENTRIES / 2 - 1]);
	assert_int_equal(pages, (ENTRIES / 2 - 1) / 10 + 1);
}

#define FEAR(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FEAR(test_an_empty_roster_has_something),
		FEAR(test_what_lasts_is_met_twice_or_never),
		FEAR(test_gaps_are_looked_at_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
