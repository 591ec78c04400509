/* SPDX-License-Identifier: MIT */
/* Directories, symbolic and hard links: making, removing, undoing, and how many names there are. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/table_fixture.h"

static enum status make_dir(struct table *t, struct table_make make)
{
	struct attr attr;

	return table_mkdir(t, &make, at(1), &attr);
}

static enum status make_symlink(struct table *t, struct table_make make, const char *target,
				size_t len)
{
	struct attr attr;

	return table_symlink(t, &make, target, len, at(1), &attr);
}

static enum status make_link(struct table *t, uint64_t ino, struct table_make make)
{
	struct attr attr;

	return table_link(t, ino, &make, at(1), &attr);
}

static enum status remove_as(struct table *t, uint64_t parent, const char *name, bool dir)
{
	struct attr attr;
	enum status status = table_unlink(t, parent, name, dir, 1, 0, at(2), &attr);

	table_check(t);
	return status;
}

static enum status undo(struct table *t, const char *name, uint64_t client, uint64_t req)
{
	struct attr attr;

	return table_unlink(t, ROOT_INO, name, false, client, req, at(2), &attr);
}

/* ---- Directories ---- */

static void test_directory_is_made_differently(void **state)
{
	struct table_make make = make_in(7, ROOT_INO, "d");
	struct attr attr;

	make.mode = S_IFREG | 02750;
	make.uid = 11;
	make.gid = 12;
	assert_ok(table_mkdir(*state, &make, at(1), &attr));
	assert_int_equal(attr.mode, S_IFDIR | 02750);
	assert_true(attr.uid == 11 && attr.gid == 12 && attr.nlink == 2 && attr.size == 0);
	assert_true(attr.mtime_ns == at(1).wall_ns);
	assert_int_equal(ino_at(*state, ROOT_INO, "d"), attr.ino);
	assert_int_equal(link_of(*state, attr.ino).holder, 7);
	assert_true(link_of(*state, attr.ino).token != 0);
	assert_int_equal(table_parent(*state, attr.ino), ROOT_INO);
	assert_int_equal(attr_of(*state, ROOT_INO).nlink, 3);
	assert_true(attr_of(*state, ROOT_INO).mtime_ns == at(1).wall_ns);
}

/* 2.2: the mutual exclusion of mkdir, ln -s and ln. */
static void test_two_makers_of_one_name_both_win(void **state)
{
	uint64_t ino = file_in(*state, 1, ROOT_INO, "other");

	for (int kind = 0; kind < 3; kind++) {
		struct table_make make = make_in(2, ROOT_INO, "lock");
		struct table_make loser = make_in(3, ROOT_INO, "lock");
		bool created;

		if (kind == 0)
			assert_ok(make_dir(*state, make));
		else if (kind == 1)
			assert_ok(make_symlink(*state, make, "x", 1));
		else
			assert_ok(make_link(*state, ino, make));
		assert_int_equal(make_dir(*state, loser), STATUS_EXISTS);
		assert_int_equal(make_symlink(*state, loser, "y", 1), STATUS_EXISTS);
		assert_int_equal(make_link(*state, ino, loser), STATUS_EXISTS);
		assert_int_equal(table_create(*state, &loser, at(1), &(struct attr){0}, &created),
				 STATUS_EXISTS);
		assert_ok(remove_as(*state, ROOT_INO, "lock", kind == 0));
	}
}

static void test_subdirectories_are_counted_wrong(void **state)
{
	uint64_t a = dir_in(*state, 1, ROOT_INO, "a"), b = dir_in(*state, 1, a, "b");

	file_in(*state, 1, a, "f");
	assert_int_equal(attr_of(*state, a).nlink, 3);
	dir_in(*state, 1, a, "c");
	dir_in(*state, 1, b, "deep");
	assert_int_equal(attr_of(*state, a).nlink, 4);
	assert_int_equal(attr_of(*state, b).nlink, 3);
	assert_ok(remove_as(*state, a, "c", true));
	assert_int_equal(attr_of(*state, a).nlink, 3);
	assert_int_equal(attr_of(*state, ROOT_INO).nlink, 3);
}

static void test_same_name_in_two_directories_is_one(void **state)
{
	uint64_t a = dir_in(*state, 1, ROOT_INO, "a"), b = dir_in(*state, 1, ROOT_INO, "b");
	uint64_t in_a = file_in(*state, 1, a, "f"), in_b = file_in(*state, 1, b, "f");

	assert_true(in_a != in_b);
	assert_int_equal(ino_at(*state, a, "f"), in_a);
	assert_int_equal(ino_at(*state, b, "f"), in_b);
	assert_false(exists(*state, "f"));
	assert_ok(remove_as(*state, a, "f", false));
	assert_int_equal(ino_at(*state, a, "f"), 0);
	assert_int_equal(ino_at(*state, b, "f"), in_b);
}

static void test_directory_goes_with_what_is_in_it(void **state)
{
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d");
	struct attr attr;

	file_in(*state, 1, d, "f");
	assert_int_equal(remove_as(*state, ROOT_INO, "d", true), STATUS_NOT_EMPTY);
	assert_ok(remove_as(*state, d, "f", false));
	assert_ok(table_unlink(*state, ROOT_INO, "d", true, 1, 0, at(2), &attr));
	assert_int_equal(attr.nlink, 0);
	assert_true(is_gone(*state, d));
	assert_int_equal(attr_of(*state, ROOT_INO).nlink, 2);
}

static void test_wrong_call_removes(void **state)
{
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d");

	file_in(*state, 1, ROOT_INO, "f");
	assert_ok(make_symlink(*state, make_in(1, ROOT_INO, "l"), "d", 1));
	assert_int_equal(remove_as(*state, ROOT_INO, "d", false), STATUS_IS_DIR);
	assert_int_equal(remove_as(*state, ROOT_INO, "f", true), STATUS_NOT_DIR);
	assert_int_equal(remove_as(*state, ROOT_INO, "l", true), STATUS_NOT_DIR);
	assert_int_equal(remove_as(*state, ROOT_INO, "none", true), STATUS_NO_ENTRY);
	assert_int_equal(remove_as(*state, d, "none", false), STATUS_NO_ENTRY);
	assert_int_equal(remove_as(*state, ROOT_INO, ".", true), STATUS_INVALID);
	assert_int_equal(remove_as(*state, d, "..", true), STATUS_INVALID);
	assert_true(exists(*state, "d") && exists(*state, "f") && exists(*state, "l"));
}

/* Whoever still stands in a removed directory makes nothing there. */
static void test_removed_directory_takes_names_in(void **state)
{
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d");
	struct table_make make = make_in(1, d, "x");
	struct attr attr;
	bool created;

	assert_ok(remove_as(*state, ROOT_INO, "d", true));
	assert_int_equal(make_dir(*state, make), STATUS_NO_ENTRY);
	assert_int_equal(table_create(*state, &make, at(1), &attr, &created), STATUS_NO_ENTRY);
	assert_int_equal(make_link(*state, file_in(*state, 1, ROOT_INO, "f"), make),
			 STATUS_NO_ENTRY);
}

static void test_directory_is_opened_written_or_truncated(void **state)
{
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d");
	struct table_make make = make_in(1, ROOT_INO, "d");
	struct attr attr = {0};
	int64_t offset;
	bool created;

	make.flags = 0;
	assert_int_equal(table_create(*state, &make, at(1), &attr, &created), STATUS_IS_DIR);
	assert_int_equal(table_open(*state, 1, 1, d, 0, at(1), &attr), STATUS_IS_DIR);
	assert_int_equal(table_write(*state, d, 0, 0, "x", 1, at(1), &attr, &offset),
			 STATUS_IS_DIR);
	assert_int_equal(table_setattr(*state, d, SET_SIZE, &attr, at(1), &attr), STATUS_IS_DIR);
}

static void test_nonsense_is_made(void **state)
{
	uint64_t f = file_in(*state, 1, ROOT_INO, "f");
	char longest[NAME_MAX_BYTES + 2] = {0};

	memset(longest, 'n', NAME_MAX_BYTES + 1);
	assert_int_equal(make_dir(*state, make_in(1, f, "d")), STATUS_NOT_DIR);
	assert_int_equal(make_symlink(*state, make_in(1, f, "l"), "x", 1), STATUS_NOT_DIR);
	assert_int_equal(make_link(*state, f, make_in(1, f, "l")), STATUS_NOT_DIR);
	assert_int_equal(make_dir(*state, make_in(1, 4711, "d")), STATUS_NO_ENTRY);
	assert_int_equal(make_dir(*state, make_in(1, ROOT_INO, "..")), STATUS_INVALID);
	assert_int_equal(make_symlink(*state, make_in(1, ROOT_INO, ""), "x", 1), STATUS_INVALID);
	assert_int_equal(make_link(*state, f, make_in(1, ROOT_INO, "a/b")), STATUS_INVALID);
	assert_int_equal(make_dir(*state, make_in(1, ROOT_INO, longest)), STATUS_NAME_TOO_LONG);
}

/* ---- Symbolic links ---- */

static void test_symlink_points_elsewhere(void **state)
{
	struct table_make make = make_in(7, ROOT_INO, "l");
	struct attr attr;
	const void *data;
	size_t len;

	assert_ok(table_symlink(*state, &make, "host:123 and more", 8, at(1), &attr));
	assert_int_equal(attr.mode, S_IFLNK | 0777);
	assert_true(attr.size == 8 && attr.nlink == 1);
	assert_ok(table_read(*state, attr.ino, 0, CONTENT_MAX_BYTES, &data, &len));
	assert_int_equal(len, 8);
	assert_memory_equal(data, "host:123", 8);
	assert_int_equal(link_of(*state, attr.ino).holder, 7);
	table_drop_client(*state, 7, at(1));
	assert_false(exists(*state, "l"));
}

static void test_symlink_passes_its_bounds(void **state)
{
	static char target[SYMLINK_MAX_BYTES + 1];
	struct table_make make = make_in(1, ROOT_INO, "l");
	struct table_counts counts;

	memset(target, 't', sizeof(target));
	assert_int_equal(make_symlink(*state, make, target, 0), STATUS_NO_ENTRY);
	assert_int_equal(make_symlink(*state, make, target, SYMLINK_MAX_BYTES + 1),
			 STATUS_NAME_TOO_LONG);
	table_counts(*state, &counts);
	assert_true(counts.files == 0 && counts.content_bytes == 0);
	assert_ok(make_symlink(*state, make, target, SYMLINK_MAX_BYTES));
	table_counts(*state, &counts);
	assert_true(counts.files == 1 && counts.content_bytes == SYMLINK_MAX_BYTES);
}

/* The kernel follows it by itself; O_CREAT must not make or open anything in its place. */
static void test_plain_create_opens_a_symlink(void **state)
{
	struct table_make make = make_in(2, ROOT_INO, "l");
	struct table_counts counts;
	bool created = true;

	assert_ok(make_symlink(*state, make, "x", 1));
	make.flags = 0;
	assert_int_equal(table_create(*state, &make, at(1), &(struct attr){0}, &created),
			 STATUS_STALE);
	assert_false(created);
	table_counts(*state, &counts);
	assert_int_equal(counts.handles, 0);
}

/* ---- Hard links ---- */

static void test_hard_link_is_another_file(void **state)
{
	uint64_t f = file_in(*state, 1, ROOT_INO, "f"), d = dir_in(*state, 1, ROOT_INO, "d");
	struct table_make make = make_in(2, d, "g");
	uint64_t version = attr_of(*state, f).version;
	struct table_record record;
	struct attr attr;

	assert_ok(table_link(*state, f, &make, at(3), &attr));
	assert_true(attr.ino == f && attr.nlink == 2 && attr.version > version);
	assert_true(attr.ctime_ns == at(3).wall_ns && attr.mtime_ns == at(0).wall_ns);
	assert_int_equal(ino_at(*state, d, "g"), f);
	assert_ok(table_record(*state, f, &record));
	assert_int_equal(record.link_count, 2);
	assert_int_equal(record.links[0].holder, 1);
	assert_true(record.links[1].holder == 2 && record.links[1].parent == d);
	assert_true(record.links[1].token > record.links[0].token);
	assert_int_equal(attr_of(*state, d).nlink, 2);
}

/* The link and nlink lock of old: who sees 2 has won, and the loser's attempt leaves no trace. */
static void test_one_name_less_is_a_file_less(void **state)
{
	uint64_t f = file_in(*state, 1, ROOT_INO, "tmp"), gone;
	struct attr attr;

	assert_ok(make_link(*state, f, make_in(1, ROOT_INO, "lock")));
	assert_ok(table_unlink(*state, ROOT_INO, "tmp", false, 1, 0, at(2), &attr));
	assert_int_equal(attr.nlink, 1);
	assert_int_equal(attr.version, attr_of(*state, f).version);
	assert_false(table_next_gone(*state, &gone));
	assert_true(exists(*state, "lock"));
	assert_ok(remove_as(*state, ROOT_INO, "lock", false));
	assert_true(table_next_gone(*state, &gone));
	assert_int_equal(gone, f);
}

static void test_dead_holder_takes_the_names_of_others_along(void **state)
{
	uint64_t f = file_in(*state, 1, ROOT_INO, "a");

	assert_ok(make_link(*state, f, make_in(2, ROOT_INO, "b")));
	table_drop_client(*state, 1, at(1));
	assert_false(exists(*state, "a"));
	assert_int_equal(ino_at(*state, ROOT_INO, "b"), f);
	assert_int_equal(attr_of(*state, f).nlink, 1);
	table_drop_client(*state, 2, at(1));
	assert_false(exists(*state, "b"));
}

static void test_names_of_a_file_have_no_end(void **state)
{
	uint64_t f = file_in(*state, 1, ROOT_INO, "f");
	struct table_record record;
	char name[16];

	for (int i = 1; i < LINKS_MAX; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_ok(make_link(*state, f, make_in(1, ROOT_INO, name)));
	}
	assert_int_equal(attr_of(*state, f).nlink, LINKS_MAX);
	assert_int_equal(make_link(*state, f, make_in(1, ROOT_INO, "x")), STATUS_TOO_MANY_LINKS);
	assert_false(exists(*state, "x"));
	assert_ok(table_record(*state, f, &record));
	assert_int_equal(record.link_count, LINKS_MAX);
	assert_ok(remove_as(*state, ROOT_INO, "n7", false));
	assert_ok(make_link(*state, f, make_in(1, ROOT_INO, "x")));
}

static void test_link_to_what_has_no_name(void **state)
{
	struct table_make make = make_in(1, ROOT_INO, "x");
	uint64_t f = held_file(*state, 1, 1, "f");

	assert_int_equal(make_link(*state, dir_in(*state, 1, ROOT_INO, "d"), make),
			 STATUS_NOT_PERMITTED);
	assert_int_equal(make_link(*state, ROOT_INO, make), STATUS_NOT_PERMITTED);
	assert_int_equal(make_link(*state, 4711, make), STATUS_STALE);
	assert_ok(remove_as(*state, ROOT_INO, "f", false));
	assert_int_equal(attr_of(*state, f).nlink, 0);
	assert_int_equal(make_link(*state, f, make), STATUS_STALE);
	table_close(*state, 1, 1, at(3));
	while (table_next_gone(*state, &(uint64_t){0}))
		;
	assert_false(is_gone(*state, f)); /* it can be looked at, and not more */
	assert_int_equal(make_link(*state, f, make), STATUS_STALE);
	assert_false(exists(*state, "x"));
}

/* ---- Bounds and undoing ---- */

static void test_limit_of_files_is_passed(void **state)
{
	struct table *t = table_new(1, 2, at(0));
	uint64_t f = file_in(t, 1, ROOT_INO, "f"), d = dir_in(t, 1, ROOT_INO, "d");

	assert_int_equal(make_dir(t, make_in(1, d, "x")), STATUS_NO_SPACE);
	assert_int_equal(make_symlink(t, make_in(1, d, "x"), "x", 1), STATUS_NO_SPACE);
	assert_ok(make_link(t, f, make_in(1, d, "x"))); /* no further file */
	assert_int_equal(make_dir(t, make_in(1, d, "x")), STATUS_EXISTS);
	assert_ok(remove_as(t, d, "x", false));
	assert_ok(remove_as(t, ROOT_INO, "d", true));
	assert_ok(make_symlink(t, make_in(1, ROOT_INO, "x"), "x", 1));
	assert_int_equal(make_dir(t, make_in(1, ROOT_INO, "y")), STATUS_NO_SPACE);
	table_free(t);
}

static void test_undo_removes_what_another_request_made(void **state)
{
	uint64_t f = file_in(*state, 1, ROOT_INO, "f"); /* by request 1, as all of these */

	dir_in(*state, 1, ROOT_INO, "d");
	assert_ok(make_symlink(*state, make_in(1, ROOT_INO, "s"), "x", 1));
	assert_ok(make_link(*state, f, make_in(1, ROOT_INO, "l")));
	for (const char *name = "dsl"; *name; name++) {
		char text[2] = {*name};

		assert_int_equal(undo(*state, text, 2, 1), STATUS_NO_ENTRY);
		assert_int_equal(undo(*state, text, 1, 2), STATUS_NO_ENTRY);
		assert_true(exists(*state, text));
		assert_ok(undo(*state, text, 1, 1));
		assert_false(exists(*state, text));
	}
	assert_int_equal(attr_of(*state, f).nlink, 1);
}

/* Somebody has made a name in the directory before it could be undone. */
static void test_undo_takes_the_names_of_others_along(void **state)
{
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d");

	file_in(*state, 2, d, "f");
	assert_int_equal(undo(*state, "d", 1, 1), STATUS_NOT_EMPTY);
	assert_true(ino_at(*state, d, "f") != 0);
}

/* mkdir(2): what is made in a set-group-ID directory has its group, directories its bit too. */
static void test_group_of_the_directory_is_forgotten(void **state)
{
	struct table *t = *state;
	struct table_make make = make_in(1, ROOT_INO, "d");
	struct attr attr;

	make.mode = S_ISGID | 0775;
	make.gid = 50;
	assert_ok(table_mkdir(t, &make, at(0), &attr));
	make = make_in(2, attr.ino, "inner");
	make.gid = 60;
	assert_ok(table_mkdir(t, &make, at(0), &attr));
	assert_int_equal(attr.gid, 50);
	assert_true(attr.mode & S_ISGID);
	assert_int_equal(attr_of(t, file_in(t, 2, attr.ino, "f")).gid, 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_directory_is_made_differently),
		TABLE_TEST(test_two_makers_of_one_name_both_win),
		TABLE_TEST(test_subdirectories_are_counted_wrong),
		TABLE_TEST(test_same_name_in_two_directories_is_one),
		TABLE_TEST(test_directory_goes_with_what_is_in_it),
		TABLE_TEST(test_wrong_call_removes),
		TABLE_TEST(test_removed_directory_takes_names_in),
		TABLE_TEST(test_directory_is_opened_written_or_truncated),
		TABLE_TEST(test_nonsense_is_made),
		TABLE_TEST(test_symlink_points_elsewhere),
		TABLE_TEST(test_symlink_passes_its_bounds),
		TABLE_TEST(test_plain_create_opens_a_symlink),
		TABLE_TEST(test_hard_link_is_another_file),
		TABLE_TEST(test_one_name_less_is_a_file_less),
		TABLE_TEST(test_dead_holder_takes_the_names_of_others_along),
		TABLE_TEST(test_names_of_a_file_have_no_end),
		TABLE_TEST(test_link_to_what_has_no_name),
		TABLE_TEST(test_limit_of_files_is_passed),
		TABLE_TEST(test_undo_removes_what_another_request_made),
		TABLE_TEST(test_undo_takes_the_names_of_others_along),
		TABLE_TEST(test_group_of_the_directory_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
