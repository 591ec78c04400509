/* SPDX-License-Identifier: MIT */
/* Moving names: what is replaced, what may not be, and whose the new name is. */
#include <string.h>
#include <sys/stat.h>

#include "tests/table_fixture.h"

static struct attr replaced; /* by the last move */

static void expect_attr(struct table *t, uint64_t ino, const struct attr *want)
{
	struct attr attr = attr_of(t, ino);

	assert_memory_equal(&attr, want, sizeof(attr));
}

static enum status move(struct table *t, uint64_t from, const char *name, uint64_t to,
			const char *new_name)
{
	struct table_make make = make_in(5, to, new_name);
	struct attr attr;
	enum status status = table_rename(t, from, name, &make, false, at(3), &attr, &replaced);

	if (status == STATUS_OK) {
		assert_int_equal(ino_at(t, to, new_name), attr.ino);
		expect_attr(t, attr.ino, &attr);
	}
	table_check(t);
	return status;
}

static enum status move_in_root(struct table *t, const char *name, const char *new_name)
{
	return move(t, ROOT_INO, name, ROOT_INO, new_name);
}

static void write_text(struct table *t, uint64_t ino, const char *text)
{
	struct attr attr;
	int64_t offset;

	assert_ok(table_write(t, ino, 0, 0, text, strlen(text), at(1), &attr, &offset));
}

/* ---- Files ---- */

static void test_old_name_stays_after_a_move(void **state)
{
	uint64_t f = file_in(*state, 1, ROOT_INO, "f"), d = dir_in(*state, 1, ROOT_INO, "d");
	uint64_t version = attr_of(*state, f).version, token = link_of(*state, f).token;
	struct link link;

	assert_ok(move(*state, ROOT_INO, "f", d, "g"));
	assert_int_equal(replaced.ino, 0);
	assert_false(exists(*state, "f"));
	assert_true(attr_of(*state, f).nlink == 1 && attr_of(*state, f).version > version);
	assert_true(attr_of(*state, f).ctime_ns == at(3).wall_ns);
	assert_true(attr_of(*state, d).mtime_ns == at(3).wall_ns);
	assert_true(attr_of(*state, ROOT_INO).mtime_ns == at(3).wall_ns);
	link = link_of(*state, f);
	assert_true(link.holder == 5 && link.parent == d && link.token > token);
	assert_int_equal(link.maker_pid, FIXTURE_PID);
}

static void test_moved_name_goes_with_its_old_holder(void **state)
{
	file_in(*state, 1, ROOT_INO, "f");
	file_in(*state, 2, ROOT_INO, "over");
	assert_ok(move_in_root(*state, "f", "over"));
	table_drop_client(*state, 1, at(4)); /* who made the file */
	table_drop_client(*state, 2, at(4)); /* and who made the name it has replaced */
	assert_true(exists(*state, "over"));
	table_drop_client(*state, 5, at(4));
	assert_false(exists(*state, "over"));
}

static void test_replaced_file_stays_or_leaves_its_reader(void **state)
{
	uint64_t f = file_in(*state, 1, ROOT_INO, "f"), old = held_file(*state, 2, 2, "over"), gone;
	uint64_t token = link_of(*state, old).token;
	const void *data;
	size_t len;

	write_text(*state, old, "old");
	assert_ok(move_in_root(*state, "f", "over"));
	assert_true(replaced.ino == old && replaced.nlink == 0);
	expect_attr(*state, old, &replaced);
	assert_true(link_of(*state, f).token > token && link_of(*state, f).holder == 5);
	assert_ok(table_read(*state, old, 0, 100, &data, &len));
	assert_int_equal(len, 3);
	assert_memory_equal(data, "old", 3);
	assert_false(table_next_gone(*state, &gone));
	table_close(*state, 2, 2, at(4));
	assert_true(table_next_gone(*state, &gone));
	assert_int_equal(gone, old);
}

static void test_replaced_file_loses_its_other_name(void **state)
{
	uint64_t old = file_in(*state, 1, ROOT_INO, "a");
	struct table_make make = make_in(1, ROOT_INO, "b");
	struct attr attr;

	file_in(*state, 1, ROOT_INO, "f");
	assert_ok(table_link(*state, old, &make, at(1), &attr));
	assert_ok(move_in_root(*state, "f", "b"));
	assert_true(replaced.ino == old && replaced.nlink == 1);
	assert_int_equal(ino_at(*state, ROOT_INO, "a"), old);
}

/* rename(2): nothing happens, and the old name stays. */
static void test_move_onto_another_name_of_the_file_removes_one(void **state)
{
	uint64_t f = file_in(*state, 1, ROOT_INO, "a");
	struct table_make make = make_in(1, ROOT_INO, "b");
	struct attr before;

	assert_ok(table_link(*state, f, &make, at(1), &before));
	assert_ok(move_in_root(*state, "a", "b"));
	assert_ok(move_in_root(*state, "a", "a"));
	assert_int_equal(replaced.ino, 0);
	expect_attr(*state, f, &before);
	assert_int_equal(ino_at(*state, ROOT_INO, "a"), f);
	assert_int_equal(ino_at(*state, ROOT_INO, "b"), f);
}

static void test_noreplace_replaces(void **state)
{
	uint64_t f = file_in(*state, 1, ROOT_INO, "f");
	struct table_make make = make_in(5, ROOT_INO, "over");
	struct attr attr;

	file_in(*state, 2, ROOT_INO, "over");
	assert_int_equal(table_rename(*state, ROOT_INO, "f", &make, true, at(1), &attr, &replaced),
			 STATUS_EXISTS);
	assert_int_equal(replaced.ino, 0);
	make.name = "f";
	assert_int_equal(table_rename(*state, ROOT_INO, "f", &make, true, at(1), &attr, &replaced),
			 STATUS_EXISTS);
	make.name = "free";
	assert_ok(table_rename(*state, ROOT_INO, "f", &make, true, at(1), &attr, &replaced));
	assert_int_equal(ino_at(*state, ROOT_INO, "free"), f);
}

static void test_move_of_a_file_with_all_its_names_passes_their_bound(void **state)
{
	uint64_t f = file_in(*state, 1, ROOT_INO, "f");
	struct table_record record;
	struct attr attr;

	for (char name[2] = "A"; attr_of(*state, f).nlink < LINKS_MAX; name[0]++) {
		struct table_make make = make_in(1, ROOT_INO, name);

		assert_ok(table_link(*state, f, &make, at(1), &attr));
	}
	assert_ok(move_in_root(*state, "f", "new"));
	file_in(*state, 1, ROOT_INO, "over");
	assert_ok(move_in_root(*state, "new", "over"));
	assert_ok(table_record(*state, f, &record));
	assert_int_equal(record.link_count, LINKS_MAX);
}

static void test_move_onto_the_wrong_type(void **state)
{
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d");

	file_in(*state, 1, ROOT_INO, "f");
	assert_int_equal(move_in_root(*state, "f", "d"), STATUS_IS_DIR);
	assert_int_equal(move_in_root(*state, "d", "f"), STATUS_NOT_DIR);
	assert_int_equal(move_in_root(*state, "none", "f"), STATUS_NO_ENTRY);
	assert_int_equal(move(*state, ROOT_INO, "f", 4711, "x"), STATUS_STALE);
	assert_int_equal(move(*state, 4711, "f", ROOT_INO, "x"), STATUS_STALE);
	assert_int_equal(move(*state, d, "f", ROOT_INO, ".."), STATUS_INVALID);
	assert_int_equal(move(*state, ino_at(*state, ROOT_INO, "f"), "f", d, "x"), STATUS_NOT_DIR);
	assert_true(exists(*state, "d") && exists(*state, "f"));
}

/* ---- Directories ---- */

static void test_subdirectories_are_counted_wrong_after_a_move(void **state)
{
	uint64_t a = dir_in(*state, 1, ROOT_INO, "a"), b = dir_in(*state, 1, ROOT_INO, "b");
	uint64_t sub = dir_in(*state, 1, a, "sub");

	dir_in(*state, 1, b, "empty");
	file_in(*state, 1, sub, "f");
	assert_ok(move(*state, a, "sub", b, "moved"));
	assert_true(attr_of(*state, a).nlink == 2 && attr_of(*state, b).nlink == 4);
	assert_int_equal(table_parent(*state, sub), b);
	assert_ok(move(*state, b, "moved", b, "empty")); /* replaces it */
	assert_true(attr_of(*state, b).nlink == 3 && attr_of(*state, sub).nlink == 2);
	assert_ok(move(*state, b, "empty", ROOT_INO, "top"));
	assert_true(attr_of(*state, b).nlink == 2 && attr_of(*state, ROOT_INO).nlink == 5);
	assert_true(ino_at(*state, sub, "f") != 0);
}

static void test_move_replaces_a_full_directory(void **state)
{
	uint64_t a = dir_in(*state, 1, ROOT_INO, "a"), b = dir_in(*state, 1, ROOT_INO, "b");

	file_in(*state, 1, b, "f");
	assert_int_equal(move_in_root(*state, "a", "b"), STATUS_NOT_EMPTY);
	assert_ok(move_in_root(*state, "b", "a"));
	assert_true(replaced.ino == a && replaced.nlink == 0);
	assert_int_equal(ino_at(*state, ROOT_INO, "a"), b);
	assert_true(is_gone(*state, a));
	assert_int_equal(attr_of(*state, ROOT_INO).nlink, 3);
}

static void test_directory_moves_into_itself(void **state)
{
	uint64_t a = dir_in(*state, 1, ROOT_INO, "a"), b = dir_in(*state, 1, a, "b");
	uint64_t c = dir_in(*state, 1, b, "c");

	assert_int_equal(move(*state, ROOT_INO, "a", a, "x"), STATUS_INVALID);
	assert_int_equal(move(*state, ROOT_INO, "a", c, "x"), STATUS_INVALID);
	assert_int_equal(move(*state, ROOT_INO, "a", b, "c"), STATUS_INVALID);
	assert_int_equal(move(*state, a, "b", ROOT_INO, "a"), STATUS_NOT_EMPTY); /* over its own */
	assert_ok(move(*state, b, "c", ROOT_INO, "c"));
	assert_ok(move(*state, ROOT_INO, "a", c, "a"));
	assert_int_equal(table_parent(*state, b), a);
	assert_int_equal(table_parent(*state, a), c);
}

static void test_directory_onto_itself_is_refused(void **state)
{
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d");

	assert_ok(move_in_root(*state, "d", "d"));
	file_in(*state, 1, d, "f");
	assert_ok(move_in_root(*state, "d", "d"));
	assert_int_equal(link_of(*state, d).holder, 1); /* nothing has happened */
}

/* ---- Lives and undoing ---- */

/* The new name is the mover's, with his time-to-live; the replaced one's has ended. */
static void test_moved_name_keeps_the_old_life(void **state)
{
	struct table_make make = make_in(5, ROOT_INO, "over");
	uint64_t old = plain_file(*state, "over");
	struct attr attr;

	table_close(*state, 1, 1, at(0)); /* idle until 60 */
	file_in(*state, 1, ROOT_INO, "f");
	make.ttl_ns = 100 * NS_PER_SEC;
	assert_ok(table_rename(*state, ROOT_INO, "f", &make, false, at(10), &attr, &replaced));
	assert_int_equal(replaced.ino, old);
	assert_true(table_deadline(*state) == at(110).boot_ns);
	make.name = "again";
	make.ttl_ns = 0;
	assert_ok(table_rename(*state, ROOT_INO, "over", &make, false, at(20), &attr, &replaced));
	table_tick(*state, at(1000));
	assert_true(exists(*state, "again"));
}

static void test_undo_of_a_move_misses(void **state)
{
	struct attr attr;

	file_in(*state, 1, ROOT_INO, "f");
	file_in(*state, 2, ROOT_INO, "over");
	assert_ok(move_in_root(*state, "f", "over")); /* by client 5, request 1 */
	assert_int_equal(table_unlink(*state, ROOT_INO, "over", false, 2, 1, at(4), &attr),
			 STATUS_NO_ENTRY);
	assert_ok(table_unlink(*state, ROOT_INO, "over", false, 5, 1, at(4), &attr));
	assert_false(exists(*state, "over") || exists(*state, "f"));
}

/* A name that lives on use is held once it was moved (contract 4.1). */
static void test_plain_name_stays_plain_when_moved(void **state)
{
	uint64_t f = plain_file(*state, "f");

	table_close(*state, 1, 1, at(0));
	assert_ok(move_in_root(*state, "f", "g"));
	table_tick(*state, at(1000));
	assert_int_equal(ino_at(*state, ROOT_INO, "g"), f);
	assert_true(table_deadline(*state) == MOMENT_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_old_name_stays_after_a_move),
		TABLE_TEST(test_moved_name_goes_with_its_old_holder),
		TABLE_TEST(test_replaced_file_stays_or_leaves_its_reader),
		TABLE_TEST(test_replaced_file_loses_its_other_name),
		TABLE_TEST(test_move_onto_another_name_of_the_file_removes_one),
		TABLE_TEST(test_noreplace_replaces),
		TABLE_TEST(test_move_of_a_file_with_all_its_names_passes_their_bound),
		TABLE_TEST(test_move_onto_the_wrong_type),
		TABLE_TEST(test_subdirectories_are_counted_wrong_after_a_move),
		TABLE_TEST(test_move_replaces_a_full_directory),
		TABLE_TEST(test_directory_moves_into_itself),
		TABLE_TEST(test_directory_onto_itself_is_refused),
		TABLE_TEST(test_moved_name_keeps_the_old_life),
		TABLE_TEST(test_undo_of_a_move_misses),
		TABLE_TEST(test_plain_name_stays_plain_when_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
