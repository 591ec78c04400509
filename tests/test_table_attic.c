/* SPDX-License-Identifier: MIT */
/* A lock belongs to the name (contract 5.5), also when the directory was removed and made again. */
#include <string.h>
#include <sys/stat.h>

#include "tests/table_fixture.h"

#define S LOCK_SHARED
#define X LOCK_EXCLUSIVE

static uint64_t dir_of(struct table *t, uint64_t parent, const char *name)
{
	struct table_make make = make_in(9, parent, name);
	struct attr attr;

	assert_ok(table_mkdir(t, &make, at(0), &attr));
	table_check(t);
	return attr.ino;
}

/* A plain file, opened by the client with the handle of its number. */
static uint64_t opened_in(struct table *t, uint64_t client, uint64_t parent, const char *name)
{
	struct table_make make = make_in(client, parent, name);
	struct attr attr;
	bool created;

	make.handle = client;
	assert_ok(table_create(t, &make, at(0), &attr, &created));
	table_check(t);
	return attr.ino;
}

static void remove_from(struct table *t, uint64_t parent, const char *name, bool dir)
{
	struct attr attr;

	assert_ok(table_unlink(t, parent, name, dir, 9, 0, at(0), &attr));
	table_check(t);
}

static void close_of(struct table *t, uint64_t client)
{
	table_close(t, client, client, at(0));
	table_check(t);
}

/* d/e/f, locked by client 1, and all of it removed. */
static void tree_with_a_lock_goes(struct table *t)
{
	uint64_t d = dir_of(t, ROOT_INO, "d"), e = dir_of(t, d, "e"), f = opened_in(t, 1, e, "f");

	lock_granted(t, flock_want(1, f, X, 0));
	remove_from(t, e, "f", false);
	remove_from(t, d, "e", true);
	remove_from(t, ROOT_INO, "d", true);
}

/* Client 2's file of the same name is client 1's until that closes its own. */
static void waits_for_the_first(struct table *t, uint64_t f)
{
	lock_refused(t, flock_want(2, f, S, 0));
	close_of(t, 1);
	lock_granted(t, flock_want(2, f, S, 0));
}

static void test_directory_made_again_forgets_who_holds_its_names(void **state)
{
	struct table *t = *state;
	uint64_t d = dir_of(t, ROOT_INO, "d"), f = opened_in(t, 1, d, "f");

	lock_granted(t, flock_want(1, f, X, 0));
	remove_from(t, d, "f", false);
	remove_from(t, ROOT_INO, "d", true);
	f = opened_in(t, 2, dir_of(t, ROOT_INO, "d"), "f");
	lock_refused(t, flock_want(2, f, S, 0));
	lock_queued(t, flock_want(2, f, X, 20));
	close_of(t, 1);
	expect_grant(t, 2, 20);
}

static void test_tree_made_again_forgets_who_holds_its_names(void **state)
{
	struct table *t = *state;
	uint64_t f;

	tree_with_a_lock_goes(t);
	f = opened_in(t, 2, dir_of(t, dir_of(t, ROOT_INO, "d"), "e"), "f");
	waits_for_the_first(t, f);
}

/* And once more, the second one having been removed before the lock goes. */
static void test_directory_made_a_third_time_forgets(void **state)
{
	struct table *t = *state;
	uint64_t f;

	tree_with_a_lock_goes(t);
	dir_of(t, ROOT_INO, "d");
	remove_from(t, ROOT_INO, "d", true);
	f = opened_in(t, 2, dir_of(t, dir_of(t, ROOT_INO, "d"), "e"), "f");
	waits_for_the_first(t, f);
}

static void test_directory_moved_to_the_name_forgets(void **state)
{
	struct table *t = *state;
	uint64_t d = dir_of(t, ROOT_INO, "d"), f = opened_in(t, 1, d, "f");
	struct table_make make = make_in(9, ROOT_INO, "d");
	struct attr attr, replaced;

	lock_granted(t, flock_want(1, f, X, 0));
	remove_from(t, d, "f", false);
	d = dir_of(t, ROOT_INO, "new");
	assert_ok(table_rename(t, ROOT_INO, "new", &make, false, at(0), &attr, &replaced));
	table_check(t);
	f = opened_in(t, 2, d, "f");
	waits_for_the_first(t, f);
}

/* The directory that is moved there has had such a directory in it as well. */
static void test_one_of_two_removed_directories_of_a_name_is_forgotten(void **state)
{
	struct table *t = *state;
	struct table_make make = make_in(9, ROOT_INO, "d");
	struct attr attr, replaced;
	uint64_t d, e, f;

	tree_with_a_lock_goes(t);
	d = dir_of(t, ROOT_INO, "new");
	e = dir_of(t, d, "e");
	f = opened_in(t, 3, e, "g");
	lock_granted(t, flock_want(3, f, X, 0));
	remove_from(t, e, "g", false);
	remove_from(t, d, "e", true);
	assert_ok(table_rename(t, ROOT_INO, "new", &make, false, at(0), &attr, &replaced));
	table_check(t);
	e = dir_of(t, d, "e");
	f = opened_in(t, 4, e, "g");
	lock_refused(t, flock_want(4, f, S, 0));
	waits_for_the_first(t, opened_in(t, 2, e, "f"));
}

/* Other names are nobody's, and when the lock is gone nothing is left (which a sanitizer sees). */
static void test_names_beside_it_are_taken_for_it(void **state)
{
	struct table *t = *state;
	uint64_t f;

	tree_with_a_lock_goes(t);
	f = opened_in(t, 2, dir_of(t, ROOT_INO, "e"), "f");
	lock_granted(t, flock_want(2, f, X, 0));
	f = opened_in(t, 3, dir_of(t, ROOT_INO, "d"), "f");
	lock_granted(t, flock_want(3, f, X, 0));
	close_of(t, 1);
	close_of(t, 2);
	close_of(t, 3);
	assert_int_equal(lock_count(t), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_directory_made_again_forgets_who_holds_its_names),
		TABLE_TEST(test_tree_made_again_forgets_who_holds_its_names),
		TABLE_TEST(test_directory_made_a_third_time_forgets),
		TABLE_TEST(test_directory_moved_to_the_name_forgets),
		TABLE_TEST(test_one_of_two_removed_directories_of_a_name_is_forgotten),
		TABLE_TEST(test_names_beside_it_are_taken_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
