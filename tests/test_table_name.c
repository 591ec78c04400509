/* SPDX-License-Identifier: MIT */
/* Names: who may make one, what keeps it, when it goes, and how a directory is listed. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/table_fixture.h"

static enum status create(struct table *t, struct table_make make, bool *created)
{
	struct attr attr;

	return table_create(t, &make, at(0), &attr, created);
}

static enum status unlink_name(struct table *t, const char *name, struct attr *out)
{
	return table_unlink(t, ROOT_INO, name, false, 1, 0, at(1), out);
}

/* ---- Making ---- */

static void test_two_exclusive_creates_both_win(void **state)
{
	struct table_make second = make_of("lock", OPEN_EXCL);
	bool created;

	held_file(*state, 1, 1, "lock");
	second.client = 2;
	assert_int_equal(create(*state, second, &created), STATUS_EXISTS);
	second.client = 1;
	second.handle = 2;
	assert_int_equal(create(*state, second, &created), STATUS_EXISTS);
}

static void test_plain_create_makes_a_second_file(void **state)
{
	struct table_make make = make_of("f", 0);
	uint64_t ino = plain_file(*state, "f");
	struct attr attr;
	bool created;

	make.client = make.handle = 2;
	assert_ok(table_create(*state, &make, at(0), &attr, &created));
	assert_false(created);
	assert_int_equal(attr.ino, ino);
	assert_int_equal(attr.nlink, 1);
}

static void test_create_opens_what_the_mode_forbids(void **state)
{
	struct table_make make = make_of("f", 0);
	bool created;

	make.uid = 1000;
	make.mode = 0600;
	assert_ok(create(*state, make, &created));
	make.client = 2;
	make.uid = 1001;
	assert_int_equal(create(*state, make, &created), STATUS_STALE);
	make.uid = 0;
	assert_ok(create(*state, make, &created));
	assert_false(created);
}

static void test_owner_opens_a_file_that_he_may_not_write(void **state)
{
	struct table_make make = make_of("f", 0);
	bool created;

	make.uid = 1000;
	make.mode = 0400;
	assert_ok(create(*state, make, &created)); /* O_CREAT may, whatever the mode */
	make.handle = 2;
	assert_int_equal(create(*state, make, &created), STATUS_STALE);
}

static void test_bad_names_get_in(void **state)
{
	char longest[NAME_MAX_BYTES + 2];
	const char *bad[] = {"", ".", "..", "a/b"};
	bool created;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(create(*state, make_of(bad[i], 0), &created), STATUS_INVALID);
	memset(longest, 'n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(create(*state, make_of(longest, 0), &created), STATUS_NAME_TOO_LONG);
	longest[NAME_MAX_BYTES] = 0;
	assert_ok(create(*state, make_of(longest, 0), &created));
	assert_true(exists(*state, longest));
}

static void test_file_serves_as_a_directory(void **state)
{
	uint64_t ino = plain_file(*state, "f");
	struct table_make make = make_of("g", 0);
	bool created;

	make.parent = ino;
	assert_int_equal(create(*state, make, &created), STATUS_NOT_DIR);
	make.parent = 4711;
	assert_int_equal(create(*state, make, &created), STATUS_NO_ENTRY);
}

static void test_limit_of_files_is_passed(void **state)
{
	struct table *t = table_new(1, 1, at(0));
	struct attr attr;
	bool created;

	held_file(t, 1, 1, "a");
	assert_int_equal(create(t, make_of("b", 0), &created), STATUS_NO_SPACE);
	assert_ok(unlink_name(t, "a", &attr));
	/* Still open, so still there. */
	assert_int_equal(create(t, make_of("b", 0), &created), STATUS_NO_SPACE);
	table_close(t, 1, 1, at(1));
	assert_ok(create(t, make_of("b", 0), &created));
	table_free(t);
}

static void test_refused_create_reports_a_file_gone(void **state)
{
	struct table_make make = make_of("b", 0);
	uint64_t ino;
	bool created;

	plain_file(*state, "a");
	assert_int_equal(create(*state, make, &created), STATUS_INVALID); /* handle 1 is in use */
	assert_false(table_next_gone(*state, &ino));
}

static void test_inode_numbers_come_again(void **state)
{
	uint64_t first = held_file(*state, 1, 1, "a"), second;

	table_drop_client(*state, 1, at(0));
	second = held_file(*state, 1, 1, "a");
	assert_true(second > first);
	assert_true(first >> TABLE_EPOCH_SHIFT == FIXTURE_EPOCH);
}

/* ---- Living and going ---- */

static void test_held_name_outlives_its_client(void **state)
{
	held_file(*state, 1, 1, "lock");
	table_close(*state, 1, 1, at(0));
	table_tick(*state, at(1000000));
	assert_true(exists(*state, "lock"));
	table_drop_client(*state, 1, at(1000000));
	assert_false(exists(*state, "lock"));
}

static void test_held_name_stays_while_another_has_it_open(void **state)
{
	uint64_t ino = held_file(*state, 1, 1, "lock"), gone;

	opened_by(*state, ino, 2);
	table_drop_client(*state, 1, at(0));
	assert_false(exists(*state, "lock"));
	assert_int_equal(attr_of(*state, ino).nlink, 0);
	assert_false(table_next_gone(*state, &gone));
	table_close(*state, 2, 2, at(0));
	assert_true(table_next_gone(*state, &gone));
	assert_int_equal(gone, ino);
}

static void test_idle_name_goes_early_or_never(void **state)
{
	plain_file(*state, "f");
	assert_true(table_deadline(*state) == MOMENT_NEVER);
	table_close(*state, 1, 1, at(10));
	assert_true(table_deadline(*state) == at(70).boot_ns);
	table_tick(*state, at(69));
	assert_true(exists(*state, "f"));
	table_tick(*state, at(70));
	assert_false(exists(*state, "f"));
	assert_true(table_deadline(*state) == MOMENT_NEVER);
}

static void test_idle_name_goes_while_in_use(void **state)
{
	uint64_t ino = plain_file(*state, "f");

	table_close(*state, 1, 1, at(10));
	opened_by(*state, ino, 2);
	table_tick(*state, at(1000));
	assert_true(exists(*state, "f"));
	table_drop_client(*state, 2, at(1000));
	assert_true(table_deadline(*state) == at(1060).boot_ns);
}

static void test_touch_and_write_do_not_prolong(void **state)
{
	uint64_t ino = plain_file(*state, "f");
	struct attr attr = {0};
	int64_t offset;

	table_close(*state, 1, 1, at(0));
	assert_ok(table_setattr(*state, ino, SET_MTIME | SET_MTIME_NOW, &attr, at(30), &attr));
	assert_true(table_deadline(*state) == at(90).boot_ns);
	assert_ok(table_write(*state, ino, 0, 0, "x", 1, at(50), &attr, &offset));
	assert_true(table_deadline(*state) == at(110).boot_ns);
	assert_ok(table_getattr(*state, ino, &attr)); /* looking is not using */
	assert_true(table_deadline(*state) == at(110).boot_ns);
}

static void test_endless_idle_time_overflows(void **state)
{
	struct table_make make = make_of("f", 0);
	bool created;

	make.idle_ns = INT64_MAX;
	assert_ok(create(*state, make, &created));
	table_close(*state, 1, 1, at(100));
	table_tick(*state, at(1000000));
	assert_true(exists(*state, "f"));
}

static void test_unlink_breaks_an_open_file(void **state)
{
	uint64_t ino = plain_file(*state, "f"), gone;
	struct attr attr;
	const void *data;
	size_t len;
	int64_t offset;

	assert_ok(table_write(*state, ino, 0, 0, "kept", 4, at(0), &attr, &offset));
	assert_ok(unlink_name(*state, "f", &attr));
	assert_int_equal(attr.nlink, 0);
	assert_false(exists(*state, "f"));
	assert_ok(table_read(*state, ino, 0, 100, &data, &len));
	assert_int_equal(len, 4);
	assert_int_equal(table_open(*state, 2, 2, ino, 0, at(0), &attr), STATUS_STALE);
	table_close(*state, 1, 1, at(0));
	assert_true(table_next_gone(*state, &gone));
	assert_int_equal(table_getattr(*state, ino, &attr), STATUS_STALE);
}

static void test_inode_without_name_and_handle_stays(void **state)
{
	uint64_t ino = plain_file(*state, "f"), gone;
	struct table_counts counts;
	struct attr attr;

	table_close(*state, 1, 1, at(0));
	assert_ok(unlink_name(*state, "f", &attr));
	assert_true(table_next_gone(*state, &gone));
	assert_int_equal(gone, ino);
	assert_false(table_next_gone(*state, &gone));
	table_counts(*state, &counts);
	assert_int_equal(counts.files, 0);
	assert_int_equal(unlink_name(*state, "f", &attr), STATUS_NO_ENTRY);
}

static void test_undo_removes_the_name_of_another(void **state)
{
	struct attr attr;

	held_file(*state, 1, 1, "lock"); /* by request 1 */
	assert_int_equal(table_unlink(*state, ROOT_INO, "lock", false, 2, 1, at(0), &attr),
			 STATUS_NO_ENTRY);
	assert_int_equal(table_unlink(*state, ROOT_INO, "lock", false, 1, 2, at(0), &attr),
			 STATUS_NO_ENTRY);
	assert_true(exists(*state, "lock"));
	assert_ok(table_unlink(*state, ROOT_INO, "lock", false, 1, 1, at(0), &attr));
	assert_false(exists(*state, "lock"));
}

static void test_names_token_falls(void **state)
{
	uint64_t first = link_of(*state, held_file(*state, 1, 1, "a")).token;
	uint64_t second = link_of(*state, held_file(*state, 1, 2, "b")).token;
	struct attr attr;

	assert_true(first >> TABLE_EPOCH_SHIFT == FIXTURE_EPOCH && second > first);
	assert_ok(unlink_name(*state, "a", &attr));
	assert_true(link_of(*state, held_file(*state, 1, 3, "a")).token > second);
}

/*
 * A name is in the record of its file, not of its directory: were the directory's version to grow,
 * the record of whoever vouches for it would be old with every name made in it.
 */
static void test_name_makes_the_directorys_record_old(void **state)
{
	struct attr before = attr_of(*state, ROOT_INO), after, attr;

	assert_int_equal(before.mode, S_IFDIR | 01777);
	plain_file(*state, "f");
	assert_ok(unlink_name(*state, "f", &attr));
	after = attr_of(*state, ROOT_INO);
	assert_int_equal(after.version, before.version);
	assert_true(after.mtime_ns == at(1).wall_ns && after.ctime_ns == at(1).wall_ns);
	assert_ok(table_setattr(*state, ROOT_INO, SET_MTIME, &attr, at(2), &attr));
	assert_true(attr.version > before.version);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_two_exclusive_creates_both_win),
		TABLE_TEST(test_plain_create_makes_a_second_file),
		TABLE_TEST(test_create_opens_what_the_mode_forbids),
		TABLE_TEST(test_owner_opens_a_file_that_he_may_not_write),
		TABLE_TEST(test_bad_names_get_in),
		TABLE_TEST(test_file_serves_as_a_directory),
		TABLE_TEST(test_limit_of_files_is_passed),
		TABLE_TEST(test_refused_create_reports_a_file_gone),
		TABLE_TEST(test_inode_numbers_come_again),
		TABLE_TEST(test_held_name_outlives_its_client),
		TABLE_TEST(test_held_name_stays_while_another_has_it_open),
		TABLE_TEST(test_idle_name_goes_early_or_never),
		TABLE_TEST(test_idle_name_goes_while_in_use),
		TABLE_TEST(test_touch_and_write_do_not_prolong),
		TABLE_TEST(test_endless_idle_time_overflows),
		TABLE_TEST(test_unlink_breaks_an_open_file),
		TABLE_TEST(test_inode_without_name_and_handle_stays),
		TABLE_TEST(test_undo_removes_the_name_of_another),
		TABLE_TEST(test_names_token_falls),
		TABLE_TEST(test_name_makes_the_directorys_record_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
