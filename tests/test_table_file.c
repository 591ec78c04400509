/* SPDX-License-Identifier: MIT */
/* Content and attributes of files, and the handles that they are used through. */
#include <string.h>
#include <sys/stat.h>

#include "tests/table_fixture.h"

static enum status write_at(struct table *t, uint64_t ino, int64_t offset, const char *text)
{
	struct attr attr;
	int64_t where;

	return table_write(t, ino, offset, 0, text, strlen(text), at(1), &attr, &where);
}

static void set_size(struct table *t, uint64_t ino, uint64_t size)
{
	struct attr attr = {.size = size};

	assert_ok(table_setattr(t, ino, SET_SIZE, &attr, at(2), &attr));
	assert_int_equal(attr.size, size);
}

static void expect_content(struct table *t, uint64_t ino, const void *want, size_t len)
{
	const void *data;
	size_t got;

	assert_ok(table_read(t, ino, 0, CONTENT_MAX_BYTES + 1, &data, &got));
	assert_int_equal(got, len);
	if (len)
		assert_memory_equal(data, want, len);
}

/* ---- Content ---- */

static void test_hole_shows_old_memory(void **state)
{
	uint64_t ino = plain_file(*state, "f");

	assert_ok(write_at(*state, ino, 3, "abc"));
	expect_content(*state, ino, "\0\0\0abc", 6);
	set_size(*state, ino, 4);
	expect_content(*state, ino, "\0\0\0a", 4);
	set_size(*state, ino, 8);
	expect_content(*state, ino, "\0\0\0a\0\0\0\0", 8);
	set_size(*state, ino, 0);
	expect_content(*state, ino, "", 0);
	set_size(*state, ino, 2);
	expect_content(*state, ino, "\0\0", 2);
}

static void test_file_grows_past_its_limit(void **state)
{
	uint64_t ino = plain_file(*state, "f");
	struct attr attr = {.size = CONTENT_MAX_BYTES + 1};
	const void *data;
	size_t len;

	assert_ok(write_at(*state, ino, CONTENT_MAX_BYTES - 2, "ab"));
	assert_int_equal(attr_of(*state, ino).size, CONTENT_MAX_BYTES);
	assert_ok(write_at(*state, ino, CONTENT_MAX_BYTES - 1, "cd")); /* as much as fits */
	assert_int_equal(attr_of(*state, ino).size, CONTENT_MAX_BYTES);
	assert_ok(table_read(*state, ino, CONTENT_MAX_BYTES - 2, 9, &data, &len));
	assert_int_equal(len, 2);
	assert_memory_equal(data, "ac", 2);
	assert_int_equal(write_at(*state, ino, CONTENT_MAX_BYTES, "a"), STATUS_TOO_BIG);
	assert_int_equal(write_at(*state, ino, INT64_MAX, "a"), STATUS_TOO_BIG);
	assert_int_equal(write_at(*state, ino, -1, "a"), STATUS_INVALID);
	assert_int_equal(table_setattr(*state, ino, SET_SIZE, &attr, at(0), &attr), STATUS_TOO_BIG);
	attr.size = UINT64_MAX;
	assert_int_equal(table_setattr(*state, ino, SET_SIZE, &attr, at(0), &attr), STATUS_TOO_BIG);
	assert_int_equal(attr_of(*state, ino).size, CONTENT_MAX_BYTES);
}

static void test_append_writes_where_it_was_told(void **state)
{
	uint64_t ino = plain_file(*state, "f");
	struct attr attr;
	int64_t where;

	assert_ok(write_at(*state, ino, 0, "one"));
	assert_ok(table_write(*state, ino, 0, OPEN_APPEND, "two", 3, at(0), &attr, &where));
	assert_int_equal(where, 3);
	assert_int_equal(attr.size, 6);
	expect_content(*state, ino, "onetwo", 6);
	set_size(*state, ino, CONTENT_MAX_BYTES);
	assert_int_equal(table_write(*state, ino, 0, OPEN_APPEND, "x", 1, at(0), &attr, &where),
			 STATUS_TOO_BIG);
}

static void test_read_passes_the_end(void **state)
{
	uint64_t ino = plain_file(*state, "f");
	const void *data;
	size_t len;

	assert_ok(write_at(*state, ino, 0, "abcdef"));
	assert_ok(table_read(*state, ino, 4, 100, &data, &len));
	assert_int_equal(len, 2);
	assert_memory_equal(data, "ef", 2);
	assert_ok(table_read(*state, ino, 6, 100, &data, &len));
	assert_int_equal(len, 0);
	assert_ok(table_read(*state, ino, INT64_MAX, UINT64_MAX, &data, &len));
	assert_int_equal(len, 0);
	assert_int_equal(table_read(*state, ino, -1, 1, &data, &len), STATUS_INVALID);
}

static void test_open_truncates_unasked(void **state)
{
	uint64_t ino = plain_file(*state, "f");
	struct attr attr;

	assert_ok(write_at(*state, ino, 0, "abc"));
	assert_ok(table_open(*state, 1, 2, ino, 0, at(3), &attr));
	assert_int_equal(attr.size, 3);
	assert_ok(table_open(*state, 1, 3, ino, OPEN_TRUNC, at(4), &attr));
	assert_int_equal(attr.size, 0);
	assert_true(attr.mtime_ns == at(4).wall_ns);
}

static void test_content_is_counted_wrong(void **state)
{
	uint64_t ino = plain_file(*state, "f");
	struct table_counts counts;
	struct attr attr;

	assert_ok(write_at(*state, ino, 0, "abc"));
	set_size(*state, ino, 100);
	table_counts(*state, &counts);
	assert_int_equal(counts.content_bytes, 100);
	assert_ok(table_unlink(*state, ROOT_INO, "f", false, 1, 0, at(0), &attr));
	table_close(*state, 1, 1, at(0));
	table_counts(*state, &counts);
	assert_int_equal(counts.content_bytes, 0);
	assert_int_equal(counts.handles, 0);
}

/* ---- Attributes ---- */

static void test_change_leaves_the_version(void **state)
{
	uint64_t ino = plain_file(*state, "f");
	uint64_t version = attr_of(*state, ino).version;
	struct attr attr = {.mode = 0600, .uid = 5, .gid = 6};

	for (uint32_t bit = SET_MODE; bit <= SET_MTIME_NOW; bit <<= 1) {
		assert_ok(table_setattr(*state, ino, bit, &attr, at(1), &attr));
		assert_true(attr.version > version);
		version = attr.version;
	}
	assert_ok(write_at(*state, ino, 0, "a"));
	assert_true(attr_of(*state, ino).version > version);
	version = attr_of(*state, ino).version;
	assert_ok(table_open(*state, 1, 2, ino, OPEN_TRUNC, at(0), &attr));
	assert_true(attr.version > version);
	version = attr.version;
	assert_ok(table_unlink(*state, ROOT_INO, "f", false, 1, 0, at(0), &attr));
	assert_int_equal(attr.version, attr_of(*state, ino).version);
	assert_true(attr.version > version);
}

static void test_setattr_sets_more_than_asked(void **state)
{
	uint64_t ino = plain_file(*state, "f");
	struct attr to = {.mode = S_IFDIR | 04711, .uid = 5, .gid = 6, .size = 7}, attr;

	assert_ok(table_setattr(*state, ino, SET_MODE, &to, at(1), &attr));
	assert_int_equal(attr.mode, S_IFREG | 04711);
	assert_int_equal(attr.uid, 0);
	assert_ok(table_setattr(*state, ino, SET_UID, &to, at(1), &attr));
	assert_int_equal(attr.uid, 5);
	assert_int_equal(attr.gid, 0);
	assert_ok(table_setattr(*state, ino, SET_GID, &to, at(1), &attr));
	assert_int_equal(attr.gid, 6);
	assert_int_equal(attr.size, 0);
}

static void test_times_come_from_the_wrong_clock(void **state)
{
	uint64_t ino = plain_file(*state, "f");
	struct attr to = {.atime_ns = 11, .mtime_ns = 22}, attr = attr_of(*state, ino);

	assert_true(attr.atime_ns == at(0).wall_ns && attr.mtime_ns == at(0).wall_ns);
	assert_ok(table_setattr(*state, ino, SET_ATIME | SET_MTIME, &to, at(5), &attr));
	assert_true(attr.atime_ns == 11 && attr.mtime_ns == 22);
	assert_true(attr.ctime_ns == at(5).wall_ns);
	assert_ok(table_setattr(*state, ino, SET_ATIME | SET_ATIME_NOW, &to, at(6), &attr));
	assert_true(attr.atime_ns == at(6).wall_ns && attr.mtime_ns == 22);
	assert_ok(table_setattr(*state, ino, SET_MTIME | SET_MTIME_NOW, &to, at(7), &attr));
	assert_true(attr.mtime_ns == at(7).wall_ns);
	assert_ok(table_setattr(*state, ino, SET_MODE, &to, at(8), &attr));
	assert_true(attr.mtime_ns == at(7).wall_ns && attr.ctime_ns == at(8).wall_ns);
}

static void test_write_keeps_the_old_mtime(void **state)
{
	uint64_t ino = plain_file(*state, "f");
	struct attr attr;

	assert_ok(write_at(*state, ino, 0, "a"));
	attr = attr_of(*state, ino);
	assert_true(attr.mtime_ns == at(1).wall_ns && attr.ctime_ns == at(1).wall_ns);
	assert_true(attr.atime_ns == at(0).wall_ns);
	set_size(*state, ino, 0);
	assert_true(attr_of(*state, ino).mtime_ns == at(2).wall_ns);
}

static void test_directory_is_used_as_a_file(void **state)
{
	struct attr attr = {0};
	const void *data;
	size_t len;

	assert_int_equal(table_open(*state, 1, 1, ROOT_INO, 0, at(0), &attr), STATUS_IS_DIR);
	assert_int_equal(table_read(*state, ROOT_INO, 0, 1, &data, &len), STATUS_IS_DIR);
	assert_int_equal(write_at(*state, ROOT_INO, 0, "a"), STATUS_IS_DIR);
	assert_int_equal(table_setattr(*state, ROOT_INO, SET_SIZE, &attr, at(0), &attr),
			 STATUS_IS_DIR);
}

static void test_unknown_inode_is_served(void **state)
{
	struct attr attr = {0};
	const void *data;
	size_t len;

	assert_int_equal(table_getattr(*state, 4711, &attr), STATUS_STALE);
	assert_int_equal(table_open(*state, 1, 1, 4711, 0, at(0), &attr), STATUS_STALE);
	assert_int_equal(table_read(*state, 4711, 0, 1, &data, &len), STATUS_STALE);
	assert_int_equal(write_at(*state, 4711, 0, "a"), STATUS_STALE);
	assert_int_equal(table_setattr(*state, 4711, SET_MODE, &attr, at(0), &attr), STATUS_STALE);
}

/* ---- Handles ---- */

static void test_handle_number_is_taken_twice(void **state)
{
	uint64_t ino = plain_file(*state, "f");
	struct attr attr;

	assert_int_equal(table_open(*state, 1, 1, ino, 0, at(0), &attr), STATUS_INVALID);
	opened_by(*state, ino, 2);
	assert_ok(table_open(*state, 2, 1, ino, 0, at(0), &attr)); /* numbers are per client */
	table_close(*state, 2, 1, at(0));
	table_close(*state, 2, 1, at(0)); /* again, and of nobody */
	table_close(*state, 9, 9, at(0));
	assert_int_equal(table_opener(*state, ino, 1), 2);
}

static void test_opener_names_the_asker(void **state)
{
	uint64_t ino = plain_file(*state, "f");

	assert_int_equal(table_opener(*state, ino, 2), 1);
	assert_int_equal(table_opener(*state, ino, 1), 0);
	opened_by(*state, ino, 2);
	assert_int_equal(table_opener(*state, ino, 1), 2);
	assert_int_equal(table_opener(*state, 4711, 1), 0);
}

static void test_record_leaves_something_out(void **state)
{
	uint64_t ino = held_file(*state, 7, 1, "lock");
	struct table_record record;

	assert_ok(write_at(*state, ino, 0, "pid"));
	assert_ok(table_record(*state, ino, &record));
	assert_true(record.full && record.attr.size == 3 && record.attr.nlink == 1);
	assert_memory_equal(record.content, "pid", 3);
	assert_int_equal(record.link_count, 1);
	assert_string_equal(record.links[0].name, "lock");
	assert_int_equal(record.links[0].parent, ROOT_INO);
	assert_int_equal(record.links[0].holder, 7);
	assert_int_equal(record.links[0].maker_req, 1);
	assert_int_equal(record.links[0].maker_pid, FIXTURE_PID);
	assert_int_equal(record.links[0].idle_ns, FIXTURE_IDLE_NS);
	assert_true(record.links[0].token != 0);
	assert_int_equal(table_record(*state, 4711, &record), STATUS_STALE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_hole_shows_old_memory),
		TABLE_TEST(test_file_grows_past_its_limit),
		TABLE_TEST(test_append_writes_where_it_was_told),
		TABLE_TEST(test_read_passes_the_end),
		TABLE_TEST(test_open_truncates_unasked),
		TABLE_TEST(test_content_is_counted_wrong),
		TABLE_TEST(test_change_leaves_the_version),
		TABLE_TEST(test_setattr_sets_more_than_asked),
		TABLE_TEST(test_times_come_from_the_wrong_clock),
		TABLE_TEST(test_write_keeps_the_old_mtime),
		TABLE_TEST(test_directory_is_used_as_a_file),
		TABLE_TEST(test_unknown_inode_is_served),
		TABLE_TEST(test_handle_number_is_taken_twice),
		TABLE_TEST(test_opener_names_the_asker),
		TABLE_TEST(test_record_leaves_something_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
