/* SPDX-License-Identifier: MIT */
/* Fears about names: another lock is meant than the one that is taken, or none of the mount. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/name.h"

static const char *const mounts[] = {"/mnt/dlock", "/locks", NULL};

static void want(const char *cwd, const char *name, const char *wanted)
{
	const char *why = NULL;
	char *below = name_below(mounts, cwd, name, &why);

	if (!below)
		fail_msg("%s: %s", name, why);
	assert_string_equal(below, wanted);
	free(below);
}

static void refuse(const char *cwd, const char *name, const char *wanted)
{
	const char *why = NULL;

	assert_null(name_below(mounts, cwd, name, &why));
	assert_string_equal(why, wanted);
}

static void test_a_name_is_not_below_the_mount(void **state)
{
	want("/", "job", "job");
	want("/mnt/dlock/dir", "job", "job");
	want("/", "dir/job", "dir/job");
	want("/", "dir//./job/", "dir/job");
	want("/", "dir/../job", "job");
	want("/", "..job", "..job");
	want(NULL, "a b\n", "a b\n");
}

static void test_an_absolute_path_is_taken_as_relative(void **state)
{
	want(NULL, "/mnt/dlock/job", "job");
	want(NULL, "//mnt/./dlock/dir/job", "dir/job");
	want(NULL, "/mnt/x/../dlock/job", "job");
	want(NULL, "/locks/job", "job");
}

static void test_the_working_directory_is_forgotten(void **state)
{
	want("/mnt/dlock/dir", "./job", "dir/job");
	want("/mnt/dlock/dir", "../job", "job");
	want("/locks", "./dir/../job", "job");
	refuse("/home", "./job", "is not below the mount");
	refuse("/mnt/dlock/dir", "../../job", "is not below the mount");
	refuse(NULL, "./job", "the working directory is unknown");
}

static void test_a_name_leads_out(void **state)
{
	refuse("/", "dir/../../job", "leads out of the mount");
	refuse("/", "a/../..", "leads out of the mount");
	refuse(NULL, "/mnt/dlock/../job", "is not below the mount");
	refuse(NULL, "/mnt/dlock2/job", "is not below the mount");
	refuse(NULL, "/etc/passwd", "is not below the mount");
}

static void test_what_is_no_lock_is_taken_for_one(void **state)
{
	char name[NAME_MAX + 2];

	refuse("/", "", "is empty");
	refuse("/", "a/..", "is the mount itself, not a lock in it");
	refuse(NULL, "/mnt/dlock/", "is the mount itself, not a lock in it");
	refuse("/locks", ".", "is the mount itself, not a lock in it");
	refuse("/", ".dlock", ".dlock is reserved");
	refuse("/", "x/../.dlock/status", ".dlock is reserved");
	want("/", "dir/.dlock", "dir/.dlock");
	memset(name, 'x', NAME_MAX + 1);
	name[NAME_MAX + 1] = '\0';
	refuse("/", name, "is too long");
	name[NAME_MAX] = '\0';
	want("/", name, name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_is_not_below_the_mount),
		cmocka_unit_test(test_an_absolute_path_is_taken_as_relative),
		cmocka_unit_test(test_the_working_directory_is_forgotten),
		cmocka_unit_test(test_a_name_leads_out),
		cmocka_unit_test(test_what_is_no_lock_is_taken_for_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
