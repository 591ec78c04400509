/* SPDX-License-Identifier: MIT */
/* Directories that the kernel knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "fs/dirs.h"

static int setup(void **state)
{
	*state = dirs_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	dirs_free(*state);
	return 0;
}

static struct attr dir(uint64_t ino, uint32_t mode)
{
	return (struct attr){.ino = ino, .mode = S_IFDIR | mode, .nlink = 2};
}

static void told(struct dirs *d, uint64_t ino, uint32_t mode)
{
	struct attr attr = dir(ino, mode);

	dirs_told(d, &attr);
}

static bool is_known(struct dirs *d, uint64_t ino)
{
	struct attr attr;

	return dirs_gone(d, ino, &attr);
}

static void test_a_directory_is_gone_as_it_once_was(void **state)
{
	struct attr attr = dir(5, 0750);

	told(*state, 5, 0755);
	told(*state, 5, 0700);
	assert_true(dirs_gone(*state, 5, &attr));
	assert_int_equal(attr.mode, S_IFDIR | 0700);
	assert_int_equal(attr.nlink, 0);
	attr = dir(5, 0711);
	dirs_seen(*state, &attr);
	assert_true(dirs_gone(*state, 5, &attr));
	assert_int_equal(attr.mode, S_IFDIR | 0711);
	attr.ino = 6;
	dirs_seen(*state, &attr);
	assert_false(is_known(*state, 6));
}

static void test_what_is_changed_of_a_gone_directory_is_lost(void **state)
{
	struct attr to = {
		.mode = S_IFREG | 01700, .uid = 1, .gid = 2, .atime_ns = 3, .mtime_ns = 4};
	struct attr attr;

	assert_false(dirs_change_gone(*state, 5, SET_MODE, &to, 9, &attr));
	told(*state, 5, 0755);
	assert_true(dirs_change_gone(*state, 5, SET_MODE | SET_UID | SET_ATIME, &to, 9, &attr));
	assert_true(
		dirs_change_gone(*state, 5, SET_GID | SET_MTIME | SET_MTIME_NOW, &to, 10, &attr));
	assert_true(dirs_gone(*state, 5, &attr));
	assert_int_equal(attr.mode, S_IFDIR | 01700);
	assert_true(attr.uid == 1 && attr.gid == 2 && attr.nlink == 0);
	assert_true(attr.atime_ns == 3 && attr.mtime_ns == 10 && attr.ctime_ns == 10);
}

/* It is told how often it was told, at once or bit by bit. */
static void test_a_directory_is_forgotten_too_early_or_never(void **state)
{
	for (int i = 0; i < 5; i++)
		told(*state, 5, 0755);
	dirs_forget(*state, 5, 2);
	dirs_forget(*state, 5, 2);
	assert_true(is_known(*state, 5));
	dirs_forget(*state, 5, 1);
	assert_false(is_known(*state, 5));
	dirs_forget(*state, 5, 1);
	told(*state, 5, 0755);
	dirs_forget(*state, 5, UINT64_MAX);
	assert_false(is_known(*state, 5));
}

static void test_a_file_is_taken_for_a_directory(void **state)
{
	struct attr attr = {.ino = 7, .mode = S_IFREG | 0644};

	dirs_told(*state, &attr);
	dirs_seen(*state, &attr);
	assert_false(is_known(*state, 7));
}

static void test_directories_have_no_end(void **state)
{
	for (uint64_t ino = 1; ino <= DIRS_MAX + 1; ino++)
		told(*state, ino, 0755);
	assert_true(is_known(*state, DIRS_MAX));
	assert_false(is_known(*state, DIRS_MAX + 1));
	dirs_forget(*state, 1, 1);
	told(*state, DIRS_MAX + 1, 0755);
	assert_true(is_known(*state, DIRS_MAX + 1));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_directory_is_gone_as_it_once_was),
		TEST(test_what_is_changed_of_a_gone_directory_is_lost),
		TEST(test_a_directory_is_forgotten_too_early_or_never),
		TEST(test_a_file_is_taken_for_a_directory),
		TEST(test_directories_have_no_end),
	};

	return cmocka_run_group_tests_name("dirs", tests, NULL, NULL);
}
