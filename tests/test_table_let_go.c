/* SPDX-License-Identifier: MIT */
/* Fears about a directory that its holder lets go while names are in it. */
#include "tests/table_fixture.h"

/* All that the fixture makes is made by request 1. */
static enum status let_go(struct table *t, const char *name, uint64_t client, uint64_t req,
			  struct attr *out)
{
	enum status status = table_let_go(t, ROOT_INO, name, client, req, at(2), out);

	table_check(t);
	return status;
}

static void remove_from(struct table *t, uint64_t dir, const char *name)
{
	struct attr attr;

	assert_ok(table_unlink(t, dir, name, false, 2, 0, at(3), &attr));
	table_check(t);
}

static void test_it_goes_with_what_is_in_it_or_never(void **state)
{
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d");
	struct attr attr;

	file_in(*state, 2, d, "f");
	file_in(*state, 2, d, "g");
	assert_ok(let_go(*state, "d", 1, 1, &attr));
	assert_int_equal(attr.ino, d);
	assert_int_equal(link_of(*state, d).holder, 0);
	remove_from(*state, d, "f");
	assert_true(exists(*state, "d"));
	remove_from(*state, d, "g");
	table_tick(*state, at(3));
	assert_false(exists(*state, "d"));
}

/* Of two records the higher version wins: the earlier one says that it is held. */
static void test_an_older_record_holds_it_again(void **state)
{
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d");
	uint64_t version;
	struct attr attr;

	file_in(*state, 2, d, "f");
	version = attr_of(*state, d).version;
	assert_ok(let_go(*state, "d", 1, 1, &attr));
	assert_true(attr.version > version);
	assert_int_equal(attr.version, attr_of(*state, d).version);
}

static void test_what_another_request_made_is_let_go(void **state)
{
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d");
	struct attr attr;

	file_in(*state, 2, d, "f");
	assert_int_equal(let_go(*state, "d", 2, 1, &attr), STATUS_NO_ENTRY);
	assert_int_equal(let_go(*state, "d", 1, 2, &attr), STATUS_NO_ENTRY);
	assert_int_equal(let_go(*state, "none", 1, 1, &attr), STATUS_NO_ENTRY);
	assert_int_equal(link_of(*state, d).holder, 1);
	assert_ok(let_go(*state, "d", 1, 1, &attr));
	assert_int_equal(let_go(*state, "d", 1, 1, &attr), STATUS_NO_ENTRY); /* again */
}

/* A file is used, or not: that is another matter. */
static void test_a_file_is_let_go(void **state)
{
	struct attr attr;

	file_in(*state, 1, ROOT_INO, "f");
	assert_int_equal(let_go(*state, "f", 1, 1, &attr), STATUS_NOT_DIR);
	assert_true(exists(*state, "f"));
}

/* The time-to-live was that of a held name. */
static void test_its_time_to_live_goes_on(void **state)
{
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d");
	struct attr attr;

	assert_ok(table_set_ttl(*state, d, 10 * NS_PER_SEC, 0, 0, at(1), &attr));
	file_in(*state, 2, d, "f");
	assert_ok(let_go(*state, "d", 1, 1, &attr));
	table_tick(*state, at(100));
	table_check(*state);
	assert_true(exists(*state, "d"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_it_goes_with_what_is_in_it_or_never),
		TABLE_TEST(test_an_older_record_holds_it_again),
		TABLE_TEST(test_what_another_request_made_is_let_go),
		TABLE_TEST(test_a_file_is_let_go),
		TABLE_TEST(test_its_time_to_live_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
