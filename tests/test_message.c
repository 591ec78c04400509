/* SPDX-License-Identifier: MIT */
/* Fears about messages: a copy that still leans on the original, names that run out of step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/errors.h"
#include "lockcore/message.h"

#include <errno.h>

static void test_a_copy_owns_all_it_points_to(void **state)
{
	char name[] = "name", text[] = "text", data[] = {1, 2, 3}, first[] = "a", second[] = "bb";
	struct entry entries[] = {{.ino = 1, .name = first}, {.ino = 2, .name = second}};
	struct link links[] = {{.parent = 1, .name = second}, {.parent = 2, .name = first}};
	struct holder holders[] = {{.pid = 1, .node = second}, {.pid = 2, .node = first}};
	struct surveyed surveyed[] = {{.pid = 3, .name = first, .node = second},
				      {.pid = 4, .name = second, .node = first}};
	struct message m = {
		.kind = MESSAGE_REPLY,
		.name = name,
		.name2 = name + 1,
		.text = text,
		.data = data,
		.data_len = sizeof(data),
		.entries = entries,
		.entry_count = 2,
		.links = links,
		.link_count = 2,
		.holders = holders,
		.holder_count = 2,
		.surveyed = surveyed,
		.surveyed_count = 2,
	};
	struct message *copy = message_copy(&m);

	assert_non_null(copy);
	memset(name, 'x', 4);
	memset(text, 'x', 4);
	memset(data, 9, sizeof(data));
	second[0] = first[0] = 'x';
	entries[0].ino = links[1].parent = holders[1].pid = surveyed[1].pid = 99;
	assert_string_equal(copy->name, "name");
	assert_string_equal(copy->name2, "ame");
	assert_string_equal(copy->text, "text");
	assert_memory_equal(copy->data, ((char[]){1, 2, 3}), 3);
	assert_int_equal(copy->entries[0].ino, 1);
	assert_string_equal(copy->entries[1].name, "bb");
	assert_int_equal(copy->links[1].parent, 2);
	assert_string_equal(copy->links[0].name, "bb");
	assert_string_equal(copy->links[1].name, "a");
	assert_int_equal(copy->holders[1].pid, 2);
	assert_string_equal(copy->holders[0].node, "bb");
	assert_string_equal(copy->holders[1].node, "a");
	assert_int_equal(copy->surveyed[1].pid, 4);
	assert_string_equal(copy->surveyed[0].name, "a");
	assert_string_equal(copy->surveyed[0].node, "bb");
	assert_string_equal(copy->surveyed[1].name, "bb");
	assert_string_equal(copy->surveyed[1].node, "a");
	message_free(copy);
}

static void test_an_empty_message_has_no_tail(void **state)
{
	struct message *copy = message_copy(&(struct message){.kind = MESSAGE_CLOSE});

	assert_non_null(copy);
	assert_null(copy->name);
	assert_null(copy->data);
	assert_null(copy->entries);
	assert_null(copy->links);
	assert_null(copy->holders);
	assert_null(copy->surveyed);
	assert_null(copy->name2);
	message_free(copy);
}

static void test_every_kind_and_status_has_its_own_name(void **state)
{
	assert_string_equal(message_kind_name(MESSAGE_FAREWELL), "FAREWELL");
	assert_string_equal(message_kind_name(MESSAGE_LOOKUP), "LOOKUP");
	assert_string_equal(message_kind_name(MESSAGE_RECLAIM_DONE), "RECLAIM_DONE");
	assert_string_equal(message_kind_name(MESSAGE_FORGET), "FORGET");
	assert_string_equal(message_kind_name(MESSAGE_GETINFO), "GETINFO");
	assert_string_equal(message_kind_name(MESSAGE_LOCK), "LOCK");
	assert_string_equal(message_kind_name(MESSAGE_BREAK), "BREAK");
	assert_string_equal(message_kind_name(MESSAGE_WATCH), "WATCH");
	assert_string_equal(message_kind_name(MESSAGE_SURVEY), "SURVEY");
	assert_string_equal(message_kind_name(MESSAGE_REVOKED), "REVOKED");
	assert_string_equal(message_kind_name(MESSAGE_REVOKE), "REVOKE");
	assert_string_equal(message_kind_name(MESSAGE_CHANGE), "CHANGE");
	assert_string_equal(message_kind_name(MESSAGE_SEEN), "SEEN");
	assert_string_equal(message_kind_name(MESSAGE_KIND_END), "?");
	assert_string_equal(message_kind_name((enum message_kind)20), "?");
	assert_string_equal(status_name(STATUS_LAPSED), "LAPSED");
	assert_string_equal(status_name((enum status)99), "?");
}

/* EAGAIN and EACCES would say "somebody has it" (contract 6.3). */
static void test_only_a_held_lock_is_reported_as_held(void **state)
{
	for (int status = 0; status <= STATUS_MAX; status++) {
		int lock = errors_errno(MESSAGE_LOCK, (enum status)status);
		int other = errors_errno(MESSAGE_READ, (enum status)status);

		assert_true((lock == EAGAIN) == (status == STATUS_BUSY));
		assert_int_not_equal(lock, EACCES);
		assert_int_not_equal(other, EAGAIN);
		assert_int_not_equal(other, EACCES);
		assert_true((lock == 0) == (status == STATUS_OK));
		assert_true((other == 0) == (status == STATUS_OK));
	}
	assert_int_equal(errors_errno(MESSAGE_LOCK, STATUS_NO_MASTER), ENOLCK);
	assert_int_equal(errors_errno(MESSAGE_TESTLOCK, STATUS_NO_MASTER), ENOLCK);
	assert_int_equal(errors_errno(MESSAGE_LOOKUP, STATUS_NO_MASTER), EIO);
	assert_int_equal(errors_errno(MESSAGE_LOCK, STATUS_LAPSED), EIO);
	assert_int_equal(errors_errno(MESSAGE_GETINFO, STATUS_NO_MASTER), EIO);
}

/* setfattr -x of what is not there: the file is. */
static void test_a_missing_attribute_is_reported_as_a_missing_file(void **state)
{
	assert_int_equal(errors_errno(MESSAGE_SETATTR, STATUS_NO_ENTRY), ENODATA);
	assert_int_equal(errors_errno(MESSAGE_UNLINK, STATUS_NO_ENTRY), ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_copy_owns_all_it_points_to),
		cmocka_unit_test(test_an_empty_message_has_no_tail),
		cmocka_unit_test(test_every_kind_and_status_has_its_own_name),
		cmocka_unit_test(test_only_a_held_lock_is_reported_as_held),
		cmocka_unit_test(test_a_missing_attribute_is_reported_as_a_missing_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
