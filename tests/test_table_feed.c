/* SPDX-License-Identifier: MIT */
/* Fears about what the table tells of acquisitions, and about one that is found by its token. */
#include <stdio.h>
#include <string.h>

#include "tests/table_fixture.h"

#define S LOCK_SHARED
#define X LOCK_EXCLUSIVE

/* One line of all that has happened: "granted 0-9 f; released 3-4 f; ". */
static const char *told(struct table *t)
{
	static const char *const names[] = {"none",   "granted", "released", "expired",
					    "broken", "waits",	 "gave-up",  "missed"};
	static char text[1024];
	struct table_change c;
	size_t len = 0;

	text[0] = '\0';
	while (table_next_change(t, &c)) {
		assert_in_range(c.change, CHANGE_GRANTED, CHANGE_MAX);
		if (c.change == CHANGE_MISSED)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "missed %d; ",
						(int)c.missed);
		else if (c.what.kind == HOLDER_RANGE)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s %d-%d %s; ",
						names[c.change], (int)c.what.start, (int)c.what.end,
						c.what.name);
		else
			len += (size_t)snprintf(
				text + len, sizeof(text) - len, "%s %s%s; ", names[c.change],
				c.what.name, c.what.flags & SURVEYED_REMOVED ? " (removed)" : "");
		assert_true(len < sizeof(text));
	}
	return text;
}

static uint64_t watched_file(struct table *t, uint64_t clients)
{
	uint64_t ino = plain_file(t, "f");

	for (uint64_t client = 2; client <= clients; client++)
		opened_by(t, ino, client);
	table_watch_changes(t, true);
	return ino;
}

static void test_somebody_is_told_who_does_not_watch(void **state)
{
	uint64_t ino = watched_file(*state, 1);

	table_watch_changes(*state, false);
	lock_granted(*state, flock_want(1, ino, X, 0));
	table_watch_changes(*state, true);
	assert_string_equal(told(*state), "");
	lock_granted(*state, flock_want(1, ino, S, 0));
	table_watch_changes(*state, false);
	table_watch_changes(*state, true);
	assert_string_equal(told(*state), "");
}

/* An unlock says which bytes; a lock that replaces another of its owner says so by itself. */
static void test_ranges_are_told_of_wrongly(void **state)
{
	uint64_t ino = watched_file(*state, 2);

	lock_granted(*state, range_want(1, ino, X, 0, 9, 0));
	lock_granted(*state, range_want(1, ino, S, 5, 14, 0));
	lock_granted(*state, range_want(1, ino, S, 6, 7, 0)); /* it has it */
	assert_string_equal(told(*state), "granted 0-9 f; granted 5-14 f; ");
	lock_granted(*state, range_want(1, ino, LOCK_NONE, 3, 6, 0));
	assert_string_equal(told(*state), "released 3-4 f; released 5-6 f; ");
	lock_refused(*state, range_want(2, ino, X, 0, 0, 0));
	lock_queued(*state, range_want(2, ino, X, 0, 0, 7));
	assert_true(table_cancel(*state, 2, 7));
	assert_string_equal(told(*state), "waits 0-0 f; gave-up 0-0 f; ");
	table_close(*state, 1, 1, at(1));
	assert_string_equal(told(*state), "released 0-2 f; released 7-14 f; ");
}

/* flock(2) gives the old lock up first. */
static void test_a_conversion_keeps_what_it_gave_up(void **state)
{
	uint64_t ino = watched_file(*state, 2);

	lock_granted(*state, flock_want(1, ino, S, 0));
	lock_granted(*state, flock_want(2, ino, S, 0));
	lock_queued(*state, flock_want(1, ino, X, 7));
	assert_string_equal(told(*state), "granted f; granted f; waits f; released f; ");
	table_close(*state, 2, 2, at(1));
	expect_grant(*state, 1, 7);
	assert_string_equal(told(*state), "released f; granted f; ");
}

static void test_names_are_told_of_wrongly(void **state)
{
	uint64_t dir, ino;
	struct table_make to = make_in(2, ROOT_INO, "g");
	struct attr attr, replaced;

	table_watch_changes(*state, true);
	dir = dir_in(*state, 1, ROOT_INO, "d");
	ino = held_file(*state, 1, 1, "e");
	assert_ok(table_rename(*state, ROOT_INO, "e", &to, false, at(1), &attr, &replaced));
	assert_string_equal(told(*state), "granted d; granted e; granted g; released e; ");
	held_file(*state, 1, 2, "e");
	to = make_in(1, ROOT_INO, "g");
	assert_ok(table_rename(*state, ROOT_INO, "e", &to, false, at(1), &attr, &replaced));
	assert_string_equal(told(*state), "granted e; released g; granted g; released e; ");
	lock_granted(*state,
		     flock_want(1, ino, X, 0)); /* of the first, which has no name any more */
	assert_string_equal(told(*state), "granted g (removed); ");
	dir_in(*state, 1, dir, "in");
	told(*state);
	table_drop_client(*state, 1, at(2));
	assert_string_equal(told(*state),
			    "expired g (removed); expired g; expired d/in; expired d; ");
}

/* What is beyond the bound is counted, and nothing is told after a gap before the gap. */
static void test_too_many_changes_are_kept(void **state)
{
	uint64_t ino = watched_file(*state, 1);
	struct table_change c;

	for (int i = 0; i < TABLE_CHANGES_MAX; i++)
		lock_granted(*state, flock_want(1, ino, i % 2 ? S : X, 0));
	lock_granted(*state, flock_want(1, ino, LOCK_NONE, 0));
	for (int i = 0; i < TABLE_CHANGES_MAX; i++) {
		assert_true(table_next_change(*state, &c));
		assert_int_equal(c.change, CHANGE_GRANTED);
	}
	lock_granted(*state, flock_want(1, ino, X, 0));
	assert_string_equal(told(*state), "missed 2; ");
	lock_granted(*state, flock_want(1, ino, LOCK_NONE, 0));
	assert_string_equal(told(*state), "released f; ");
}

/* ---- By token ---- */

static void test_a_token_is_anothers(void **state)
{
	uint64_t ino = watched_file(*state, 2);
	struct table_acquired found;
	uint64_t flock = lock_granted(*state, flock_want(1, ino, S, 0));
	uint64_t range = lock_granted(*state, range_want(2, ino, X, 0, 9, 0));
	uint64_t name = link_of(*state, held_file(*state, 3, 3, "e")).token;

	assert_true(table_find_token(*state, flock, &found));
	assert_true(found.client == 1 && found.handle == 1 && found.ino == ino);
	assert_true(table_find_token(*state, range, &found));
	assert_true(found.client == 2 && found.handle == 2 && found.ino == ino);
	assert_true(table_find_token(*state, name, &found));
	assert_true(found.client == 3 && found.handle == 0);
	assert_false(table_find_token(*state, name + 1, &found));
	assert_false(table_find_token(*state, link_of(*state, ino).token, &found)); /* nobody's */
}

/* Just that lock, all its pieces, and whoever waits for it has it. */
static void test_too_much_is_released(void **state)
{
	uint64_t ino = watched_file(*state, 2);
	uint64_t token = lock_granted(*state, range_want(1, ino, X, 0, 9, 0));

	lock_granted(*state, range_want(1, ino, X, 20, 29, 0));
	lock_granted(*state, range_want(1, ino, LOCK_NONE, 4, 5, 0));
	lock_queued(*state, range_want(2, ino, X, 0, 15, 7));
	told(*state);
	table_release(*state, token, 2); /* which is not his */
	expect_no_grant(*state);
	table_release(*state, token, 1);
	expect_grant(*state, 2, 7);
	assert_string_equal(told(*state), "broken 0-3 f; broken 6-9 f; granted 0-15 f; ");
	lock_refused(*state, range_want(2, ino, X, 25, 25, 0));
	assert_int_equal(lock_count(*state), 2);
}

static void test_a_directory_that_was_let_go_is_held_on(void **state)
{
	uint64_t dir = dir_in(*state, 1, ROOT_INO, "d");
	struct link link = link_of(*state, dir);
	struct table_acquired found;
	struct attr attr;

	file_in(*state, 2, dir, "in");
	assert_true(table_find_token(*state, link.token, &found));
	assert_ok(table_let_go(*state, ROOT_INO, "d", 1, link.maker_req, at(1), &attr));
	assert_false(table_find_token(*state, link.token, &found));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_somebody_is_told_who_does_not_watch),
		TABLE_TEST(test_ranges_are_told_of_wrongly),
		TABLE_TEST(test_a_conversion_keeps_what_it_gave_up),
		TABLE_TEST(test_names_are_told_of_wrongly),
		TABLE_TEST(test_too_many_changes_are_kept),
		TABLE_TEST(test_a_token_is_anothers),
		TABLE_TEST(test_too_much_is_released),
		TABLE_TEST(test_a_directory_that_was_let_go_is_held_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
