/* SPDX-License-Identifier: MIT */
/* Fears about the names that are bound to sessions: one given up for another, or for good kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fs/holdings.h"

#define SID   41
#define OTHER 42

static pid_t begins, ends;
static uint64_t calls;

static int setup(void **state)
{
	calls = 0;
	*state = holdings_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	holdings_free(*state);
	return 0;
}

static struct holding *bound_to(struct holdings *hs, const char *name, pid_t sid, int64_t made_ns)
{
	struct holding *h = holding_new(1, name);

	assert_non_null(h);
	h->call = ++calls;
	h->ino = 100 + calls;
	h->sid = sid;
	h->made_ns = made_ns;
	h->bound = sid != 0;
	assert_true(holdings_add(hs, h, &begins, &ends));
	return h;
}

static const char *next_over(struct holdings *hs)
{
	struct holding *h = holdings_next_over(hs);

	return h ? holding_name(h) : "";
}

static void test_a_name_is_found_as_another(void **state)
{
	struct holding *h = bound_to(*state, "a", 0, 1);

	assert_ptr_equal(holdings_find(*state, 1, "a"), h);
	assert_null(holdings_find(*state, 2, "a"));
	assert_null(holdings_find(*state, 1, "ab"));
	assert_ptr_equal(holdings_find_call(*state, h->call), h);
	assert_null(holdings_find_call(*state, h->call + 1));
	assert_int_equal(holding_parent(h), 1);
	assert_string_equal(holding_name(h), "a");
}

static void test_a_session_begins_or_ends_twice(void **state)
{
	struct holding *a = bound_to(*state, "a", SID, 1), *b;

	assert_true(begins == SID && ends == 0);
	b = bound_to(*state, "b", SID, 2);
	assert_true(begins == 0 && ends == 0);
	bound_to(*state, "c", OTHER, 2);
	assert_true(begins == OTHER && ends == 0);
	assert_int_equal(holdings_drop(*state, a), 0);
	assert_int_equal(holdings_drop(*state, b), SID);
}

/* Whoever takes a lock again and again has it under one name. */
static void test_a_name_made_anew_ends_its_session(void **state)
{
	bound_to(*state, "a", SID, 1);
	bound_to(*state, "a", SID, 2);
	assert_true(begins == 0 && ends == 0);
	assert_int_equal(holdings_count(*state), 1);
	assert_null(holdings_find_call(*state, 1));
	bound_to(*state, "a", OTHER, 3);
	assert_true(begins == OTHER && ends == SID);
	bound_to(*state, "a", 0, 4);
	assert_true(begins == 0 && ends == OTHER);
}

static void test_the_dead_take_the_names_of_the_living_along(void **state)
{
	int64_t since_ns = 0;

	bound_to(*state, "a", SID, 10);
	bound_to(*state, "b", OTHER, 10);
	bound_to(*state, "c", 0, 10);
	assert_false(holdings_over(*state, SID, 20, &since_ns));
	assert_string_equal(next_over(*state), "a");
	holdings_leaving(*state, holdings_next_over(*state));
	assert_string_equal(next_over(*state), "");
	assert_false(holdings_over(*state, SID, 20, &since_ns));
	assert_string_equal(next_over(*state), "");
}

/* The number has been used again meanwhile. */
static void test_a_later_session_is_taken_for_the_earlier(void **state)
{
	int64_t since_ns = 0;

	bound_to(*state, "a", SID, 10);
	bound_to(*state, "c", SID, 30);
	bound_to(*state, "b", SID, 20);
	assert_true(holdings_over(*state, SID, 20, &since_ns));
	assert_int_equal(since_ns, 20);
	assert_string_equal(next_over(*state), "a");
	bound_to(*state, "d", SID, 40);
	assert_int_equal(begins, 0);
	assert_false(holdings_over(*state, SID, 50, &since_ns));
	bound_to(*state, "e", SID, 60);
	assert_int_equal(begins, SID);
}

static void test_a_directory_goes_before_what_is_in_it(void **state)
{
	static const char *const names[] = {"3", "2", "1"};
	int64_t since_ns;

	bound_to(*state, "1", SID, 1);
	bound_to(*state, "2", SID, 2);
	bound_to(*state, "3", SID, 3);
	holdings_over(*state, SID, 10, &since_ns);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(next_over(*state), names[i]);
		holdings_leaving(*state, holdings_next_over(*state));
		assert_int_equal(holdings_leaving_count(*state), i + 1);
	}
}

static void test_a_removal_that_failed_is_forgotten(void **state)
{
	struct holding *h = bound_to(*state, "a", SID, 1);
	int64_t since_ns;

	holdings_over(*state, SID, 10, &since_ns);
	holdings_leaving(*state, h);
	holdings_again(*state, h);
	assert_int_equal(holdings_leaving_count(*state), 0);
	assert_string_equal(next_over(*state), "a");
	holdings_leaving(*state, h);
	assert_int_equal(holdings_drop(*state, h), 0);
	assert_int_equal(holdings_leaving_count(*state), 0);
	assert_int_equal(holdings_count(*state), 0);
}

/* Once it is over, nobody takes that back: the removal may be under way. */
static void test_what_is_over_is_bound_again(void **state)
{
	struct holding *h = bound_to(*state, "a", SID, 1);
	int64_t since_ns;

	holdings_over(*state, SID, 10, &since_ns);
	assert_true(holdings_bind(*state, h, false, &begins, &ends));
	assert_true(begins == 0 && ends == 0);
	assert_string_equal(next_over(*state), "a");
}

static void test_binding_leaves_the_wrong_ones_bound(void **state)
{
	struct holding *h = bound_to(*state, "a", SID, 1);
	int64_t since_ns;

	assert_true(holdings_bind(*state, h, true, &begins, &ends));
	assert_true(begins == 0 && ends == 0 && h->bound);
	assert_true(holdings_bind(*state, h, false, &begins, &ends));
	assert_true(begins == 0 && ends == SID && !h->bound);
	assert_false(holdings_over(*state, SID, 10, &since_ns));
	assert_string_equal(next_over(*state), "");
	assert_true(holdings_bind(*state, h, true, &begins, &ends));
	assert_true(begins == SID && ends == 0 && h->bound);
}

static bool is_even(void *arg, const struct holding *h)
{
	return h->call % 2 == 0;
}

static void count_end(void *arg, pid_t sid)
{
	size_t *count = arg;

	assert_int_equal(sid, OTHER);
	++*count;
}

/* Names that other nodes have removed are told to nobody. */
static void test_what_others_removed_is_kept_for_ever(void **state)
{
	size_t ended = 0;
	char name[16];

	bound_to(*state, "odd", OTHER, 1);
	while (!holdings_full(*state)) {
		snprintf(name, sizeof(name), "%zu", holdings_count(*state));
		bound_to(*state, name, SID, 1);
	}
	assert_int_equal(holdings_count(*state), HOLDINGS_MIN);
	holdings_sweep(*state, is_even, count_end, &ended);
	assert_int_equal(holdings_count(*state), HOLDINGS_MIN / 2);
	assert_int_equal(ended, 1);
	assert_false(holdings_full(*state));
}

#define HOLDINGS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOLDINGS_TEST(test_a_name_is_found_as_another),
		HOLDINGS_TEST(test_a_session_begins_or_ends_twice),
		HOLDINGS_TEST(test_a_name_made_anew_ends_its_session),
		HOLDINGS_TEST(test_the_dead_take_the_names_of_the_living_along),
		HOLDINGS_TEST(test_a_later_session_is_taken_for_the_earlier),
		HOLDINGS_TEST(test_a_directory_goes_before_what_is_in_it),
		HOLDINGS_TEST(test_a_removal_that_failed_is_forgotten),
		HOLDINGS_TEST(test_what_is_over_is_bound_again),
		HOLDINGS_TEST(test_binding_leaves_the_wrong_ones_bound),
		HOLDINGS_TEST(test_what_others_removed_is_kept_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
