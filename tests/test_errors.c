/* SPDX-License-Identifier: MIT */
/* The table of errno. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fs/errors.h"

/* The kernel does not look again when this is the answer to the look for a name to be made. */
static void test_a_directory_that_is_gone_is_a_stale_handle(void **state)
{
	const enum message_kind kinds[] = {MESSAGE_LOOKUP, MESSAGE_MKDIR,  MESSAGE_SYMLINK,
					   MESSAGE_UNLINK, MESSAGE_RENAME, MESSAGE_READDIR};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		assert_int_equal(errors_errno(kinds[i], STATUS_STALE), ENOENT);
}

/* The kernel looks the name up again, and may find another file. */
static void test_a_file_that_is_gone_is_not_looked_up_again(void **state)
{
	const enum message_kind kinds[] = {MESSAGE_OPEN, MESSAGE_CREATE, MESSAGE_LINK,
					   MESSAGE_GETATTR, MESSAGE_SETATTR};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		assert_int_equal(errors_errno(kinds[i], STATUS_STALE), ESTALE);
}

/* With any other answer the kernel would not look again. */
static void test_a_changed_name_is_not_looked_up_again(void **state)
{
	assert_int_equal(errors_errno(MESSAGE_UNLINK, STATUS_CHANGED), ESTALE);
	assert_int_equal(errors_errno(MESSAGE_RENAME, STATUS_CHANGED), ESTALE);
}

/* Contract 6.3: flock(1) takes EAGAIN and EACCES for "somebody has it". */
static void test_trouble_looks_like_a_lock_that_is_held(void **state)
{
	for (int status = 0; status <= STATUS_MAX; status++) {
		int err = errors_errno(MESSAGE_LOCK, (enum status)status);

		assert_int_equal(err == EAGAIN, status == STATUS_BUSY);
		assert_int_not_equal(err, EACCES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_directory_that_is_gone_is_a_stale_handle),
		cmocka_unit_test(test_a_file_that_is_gone_is_not_looked_up_again),
		cmocka_unit_test(test_a_changed_name_is_not_looked_up_again),
		cmocka_unit_test(test_trouble_looks_like_a_lock_that_is_held),
	};

	return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
