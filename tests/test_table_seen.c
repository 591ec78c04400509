/* SPDX-License-Identifier: MIT */
/* Who has seen which name, and is told of its end (contract 2.4). */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/table_fixture.h"

/* The next news is for this client, of this name in the root. */
static struct table_news expect_news(struct table *t, uint64_t client, bool appeared,
				     const char *name)
{
	struct table_news news;

	table_check(t);
	assert_true(table_next_news(t, &news));
	assert_int_equal(news.client, client);
	assert_int_equal(news.appeared, appeared);
	assert_int_equal(news.parent, ROOT_INO);
	assert_string_equal(news.name, name);
	return news;
}

static void expect_no_news(struct table *t)
{
	struct table_news news;

	table_check(t);
	assert_false(table_next_news(t, &news));
}

static void drain_gone(struct table *t)
{
	uint64_t ino;

	while (table_next_gone(t, &ino))
		;
}

static void unlinked_by(struct table *t, uint64_t client, const char *name)
{
	struct attr attr;

	assert_ok(table_unlink(t, ROOT_INO, name, false, client, 0, at(1), &attr));
	drain_gone(t);
}

static void test_who_has_not_seen_it_or_asked_for_it_is_told(void **state)
{
	struct table *t = *state;
	uint64_t ino = file_in(t, 1, ROOT_INO, "f");
	struct table_news news;

	table_saw(t, 1, ROOT_INO, "f");
	table_saw(t, 2, ROOT_INO, "f");
	table_saw(t, 2, ROOT_INO, "f");
	table_saw(t, 3, ROOT_INO, "nothing");
	unlinked_by(t, 1, "f");
	news = expect_news(t, 2, false, "f");
	assert_int_equal(news.attr.ino, ino);
	assert_int_equal(news.attr.nlink, 0);
	assert_int_equal(news.attr.mode, S_IFREG | 0644);
	expect_no_news(t);
}

static void test_a_name_made_again_is_told_to_who_saw_the_first(void **state)
{
	struct table *t = *state;

	file_in(t, 1, ROOT_INO, "f");
	table_saw(t, 2, ROOT_INO, "f");
	unlinked_by(t, 1, "f");
	expect_news(t, 2, false, "f");
	file_in(t, 1, ROOT_INO, "f");
	unlinked_by(t, 1, "f");
	expect_no_news(t);
}

static void test_an_end_by_time_spares_the_maker(void **state)
{
	struct table *t = *state;

	plain_file(t, "f");
	table_saw(t, 1, ROOT_INO, "f");
	table_close(t, 1, 1, at(0));
	table_tick(t, at(61));
	expect_news(t, 1, false, "f");
	expect_no_news(t);
	drain_gone(t);
}

static void test_a_client_that_ends_is_told_or_leaves_something(void **state)
{
	struct table *t = *state;

	file_in(t, 1, ROOT_INO, "f");
	table_saw(t, 1, ROOT_INO, "f");
	table_saw(t, 2, ROOT_INO, "f");
	table_watch_all(t, 1);
	table_drop_client(t, 1, at(1));
	expect_news(t, 2, false, "f");
	drain_gone(t);
	file_in(t, 2, ROOT_INO, "g");
	expect_no_news(t);
}

/* The youngest are those that were seen last, however often. */
static void test_a_client_that_has_seen_much_forgets_the_youngest(void **state)
{
	struct table *t = *state;
	char name[16];

	for (int i = 0; i <= TABLE_SEEN_CLIENT_MAX; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		file_in(t, 1, ROOT_INO, name);
		table_saw(t, 2, ROOT_INO, name);
		if (i == TABLE_SEEN_CLIENT_MAX - 1)
			table_saw(t, 2, ROOT_INO, "f0"); /* again */
	}
	unlinked_by(t, 1, "f1");
	expect_no_news(t);
	unlinked_by(t, 1, "f0");
	expect_news(t, 2, false, "f0");
	unlinked_by(t, 1, "f2");
	expect_news(t, 2, false, "f2");
}

static void test_a_move_is_told_to_the_mover_or_by_half(void **state)
{
	struct table *t = *state;
	uint64_t from = file_in(t, 1, ROOT_INO, "from"), to = file_in(t, 1, ROOT_INO, "to");
	struct table_make make = make_of("to", 0);
	struct attr attr, replaced;

	for (uint64_t client = 1; client <= 2; client++) {
		table_saw(t, client, ROOT_INO, "from");
		table_saw(t, client, ROOT_INO, "to");
	}
	assert_ok(table_rename(t, ROOT_INO, "from", &make, false, at(1), &attr, &replaced));
	drain_gone(t);
	assert_int_equal(expect_news(t, 2, false, "to").attr.ino, to);
	attr = expect_news(t, 2, false, "from").attr;
	assert_true(attr.ino == from && attr.nlink == 1);
	expect_no_news(t);
}

/* In the root, and in directories that it has seen; and of each what it is told it has seen. */
static void test_a_watcher_of_all_is_told_of_its_own_or_of_the_unseen(void **state)
{
	struct table *t = *state;
	uint64_t before = dir_in(t, 1, ROOT_INO, "before"), seen, unseen;
	struct table_news news;

	table_watch_all(t, 2);
	table_watch_all(t, 2);
	unseen = dir_in(t, 1, ROOT_INO, "unseen");
	expect_news(t, 2, true, "unseen");
	seen = dir_in(t, 2, ROOT_INO, "seen");
	table_saw(t, 2, ROOT_INO, "seen");
	expect_no_news(t);
	file_in(t, 1, seen, "f");
	assert_true(table_next_news(t, &news));
	assert_true(news.appeared && news.parent == seen && !strcmp(news.name, "f"));
	file_in(t, 1, unseen, "g"); /* it was told of that one */
	assert_true(table_next_news(t, &news));
	dir_in(t, 3, unseen, "deep");
	assert_true(table_next_news(t, &news));
	file_in(t, 1, before, "h");
	expect_no_news(t);
}

static bool everybody(void *arg, uint64_t client)
{
	return true;
}

static void restore(struct table *t, uint64_t ino, const char *name)
{
	struct table_record record = {
		.attr = {.ino = ino, .version = 1, .mode = S_IFREG | 0644, .nlink = 1},
		.link_count = 1,
		.links = {{.parent = ROOT_INO, .token = ino, .holder = 1, .name = name}},
		.full = true,
	};

	assert_ok(table_restore_file(t, &record, at(0)));
}

/* Claims come before or after the file, and of names that nobody keeps. */
static void test_a_claim_is_looked_at_before_the_names_are_there(void **state)
{
	struct table *t = *state;
	uint64_t ino = EARLIER_EPOCH + 7;

	table_saw_before(t, 2, ROOT_INO, "kept", ino, true);
	table_saw_before(t, 2, ROOT_INO, "lost", ino + 1, true);
	restore(t, ino, "kept");
	restore(t, ino + 3, "other");
	table_saw_before(t, 2, ROOT_INO, "other", ino + 2, true);
	table_saw_before(t, 3, ROOT_INO, "lost", ino + 1, true);
	expect_no_news(t);
	table_drop_client(t, 3, at(1));
	table_restore_end(t, at(1), everybody, NULL);
	expect_news(t, 2, false, "lost");
	expect_news(t, 2, false, "other");
	expect_no_news(t);
	unlinked_by(t, 1, "kept");
	expect_news(t, 2, false, "kept");
}

static void test_a_claim_in_service_waits_for_a_restart(void **state)
{
	struct table *t = *state;
	uint64_t ino = file_in(t, 1, ROOT_INO, "f");

	table_saw_before(t, 2, ROOT_INO, "f", ino, false);
	table_saw_before(t, 2, ROOT_INO, "f", ino, false);
	expect_no_news(t);
	table_saw_before(t, 2, ROOT_INO, "f", ino - 1, false);
	expect_news(t, 2, false, "f");
	table_saw_before(t, 2, ROOT_INO, "g", ino, false);
	expect_news(t, 2, false, "g");
	unlinked_by(t, 1, "f");
	expect_news(t, 2, false, "f");
	expect_no_news(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_who_has_not_seen_it_or_asked_for_it_is_told),
		TABLE_TEST(test_a_name_made_again_is_told_to_who_saw_the_first),
		TABLE_TEST(test_an_end_by_time_spares_the_maker),
		TABLE_TEST(test_a_client_that_ends_is_told_or_leaves_something),
		TABLE_TEST(test_a_client_that_has_seen_much_forgets_the_youngest),
		TABLE_TEST(test_a_move_is_told_to_the_mover_or_by_half),
		TABLE_TEST(test_a_watcher_of_all_is_told_of_its_own_or_of_the_unseen),
		TABLE_TEST(test_a_claim_is_looked_at_before_the_names_are_there),
		TABLE_TEST(test_a_claim_in_service_waits_for_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
