/* SPDX-License-Identifier: MIT */
/* Fears about the time-to-live of one file (contract 4.4): that it ends what it should not, or does
 * not end what it should. */
#include <string.h>

#include "tests/table_fixture.h"

#define FIVE (5 * NS_PER_SEC)

static enum status set_ttl(struct table *t, uint64_t ino, int64_t ttl_ns, uint32_t flags)
{
	struct attr attr;
	enum status status = table_set_ttl(t, ino, ttl_ns, flags, 0, at(0), &attr);

	table_check(t);
	return status;
}

/* Lives until `seconds`, and not longer. */
static void ends_at(struct table *t, const char *name, int64_t seconds)
{
	struct moment before = at(seconds);

	before.boot_ns--;
	table_tick(t, before);
	assert_true(exists(t, name));
	table_tick(t, at(seconds));
	assert_false(exists(t, name));
}

static void test_a_ttl_ends_nothing(void **state)
{
	uint64_t ino = held_file(*state, 1, 1, "e");

	assert_ok(set_ttl(*state, ino, FIVE, 0));
	assert_true(table_ttl(*state, ino) == FIVE);
	ends_at(*state, "e", 5);
}

static void test_a_touch_or_write_does_not_renew_it(void **state)
{
	uint64_t ino = held_file(*state, 1, 1, "e");
	struct attr attr, to = {0};
	int64_t where;

	assert_ok(set_ttl(*state, ino, FIVE, 0));
	assert_ok(table_setattr(*state, ino, SET_MTIME | SET_MTIME_NOW, &to, at(3), &attr));
	table_tick(*state, at(7));
	assert_ok(table_write(*state, ino, 0, 0, "x", 1, at(7), &attr, &where));
	ends_at(*state, "e", 12);
}

static void test_none_ends_it(void **state)
{
	uint64_t ino = held_file(*state, 1, 1, "e");

	assert_ok(set_ttl(*state, ino, FIVE, 0));
	assert_ok(set_ttl(*state, ino, 0, 0));
	table_tick(*state, at(1000000));
	assert_true(exists(*state, "e"));
	assert_true(table_deadline(*state) == MOMENT_NEVER);
}

static void test_the_change_is_in_no_record(void **state)
{
	uint64_t ino = held_file(*state, 1, 1, "e");
	uint64_t version = attr_of(*state, ino).version;
	struct attr attr;

	assert_ok(table_set_ttl(*state, ino, FIVE, 0, 0, at(1), &attr));
	assert_int_equal(attr.version, version + 1);
	assert_true(link_of(*state, ino).ttl_ns == FIVE);
	assert_true(link_of(*state, ino).flags & LINK_TTL_SET);
}

/* create, setfattr, link or rename into place: the usual way to make a lock file with content. */
static void test_a_new_name_loses_it(void **state)
{
	uint64_t ino = plain_file(*state, "tmp");
	struct table_make make = make_in(2, ROOT_INO, "linked");
	struct attr attr, replaced;

	assert_ok(set_ttl(*state, ino, FIVE, 0));
	assert_ok(table_link(*state, ino, &make, at(1), &attr));
	make.name = "moved";
	assert_ok(table_rename(*state, ROOT_INO, "tmp", &make, false, at(2), &attr, &replaced));
	held_file(*state, 1, 5, "there");
	make.name = "there";
	assert_ok(table_rename(*state, ROOT_INO, "moved", &make, false, at(3), &attr, &replaced));
	table_check(*state);
	ends_at(*state, "linked", 6);
	ends_at(*state, "there", 8);
}

/* A mount's option is for the names that are made through it. */
static void test_a_mounts_ttl_moves_along(void **state)
{
	struct table_make make = make_of("e", OPEN_EXCL);
	struct attr attr, replaced;
	bool created;

	make.ttl_ns = FIVE;
	assert_ok(table_create(*state, &make, at(0), &attr, &created));
	make.ttl_ns = 0;
	make.name = "moved";
	assert_ok(table_rename(*state, ROOT_INO, "e", &make, false, at(1), &attr, &replaced));
	assert_true(table_ttl(*state, attr.ino) == 0);
	table_tick(*state, at(100));
	assert_true(exists(*state, "moved"));
}

/* It is for held names: use and idle time decide of others. */
static void test_an_unheld_name_ends_by_it(void **state)
{
	uint64_t ino = plain_file(*state, "f");

	assert_ok(set_ttl(*state, ino, FIVE, 0));
	table_tick(*state, at(6));
	assert_true(exists(*state, "f"));
	assert_true(table_ttl(*state, ino) == FIVE);
}

static void test_create_and_replace_are_mixed_up(void **state)
{
	uint64_t ino = held_file(*state, 1, 1, "e");

	assert_int_equal(set_ttl(*state, ino, FIVE, TTL_REPLACE), STATUS_NO_ENTRY);
	assert_true(table_ttl(*state, ino) == 0);
	assert_ok(set_ttl(*state, ino, FIVE, TTL_CREATE));
	assert_int_equal(set_ttl(*state, ino, 1, TTL_CREATE), STATUS_EXISTS);
	assert_ok(set_ttl(*state, ino, 0, TTL_REPLACE));
	assert_int_equal(set_ttl(*state, ino, 0, TTL_REPLACE), STATUS_NO_ENTRY);
}

/* In a sticky directory nobody but its owner may remove a file that all may write. */
static void test_a_stranger_ends_a_file_that_he_may_write(void **state)
{
	struct table_make make = make_of("e", OPEN_EXCL);
	struct attr attr;
	bool created;

	make.uid = 7;
	make.mode = 0666;
	assert_ok(table_create(*state, &make, at(0), &attr, &created));
	assert_int_equal(table_set_ttl(*state, attr.ino, 1, 0, 8, at(0), &attr),
			 STATUS_NOT_PERMITTED);
	assert_ok(table_set_ttl(*state, attr.ino, 1, 0, 7, at(0), &attr));
	assert_ok(table_set_ttl(*state, attr.ino, 1, 0, 0, at(0), &attr));
}

static void test_nonsense_is_taken(void **state)
{
	uint64_t ino = held_file(*state, 1, 1, "e");
	struct attr attr;

	assert_int_equal(set_ttl(*state, ino, -1, 0), STATUS_INVALID);
	assert_int_equal(set_ttl(*state, ino + 1, FIVE, 0), STATUS_STALE);
	assert_int_equal(set_ttl(*state, ROOT_INO, FIVE, 0), STATUS_NOT_PERMITTED);
	assert_ok(set_ttl(*state, ino, INT64_MAX, 0));
	assert_true(table_deadline(*state) == MOMENT_NEVER);
	assert_ok(table_unlink(*state, ROOT_INO, "e", false, 1, 0, at(1), &attr));
	assert_int_equal(set_ttl(*state, ino, FIVE, 0), STATUS_NOT_PERMITTED);
}

/* Somebody must hear of it who would bring the name back. */
static void test_what_outlives_its_name_changes_in_silence(void **state)
{
	uint64_t e = held_file(*state, 1, 2, "e"), f = plain_file(*state, "f"), told;
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d"), version = attr_of(*state, d).version;
	struct table_make make = make_in(1, ROOT_INO, "g");
	struct attr attr;

	dir_in(*state, 2, d, "x");
	assert_ok(table_link(*state, f, &make, at(0), &attr));
	assert_ok(set_ttl(*state, e, FIVE, 0));
	assert_ok(set_ttl(*state, f, FIVE + 1, 0));
	assert_ok(set_ttl(*state, d, FIVE + 2, 0));
	table_tick(*state, at(4));
	assert_false(table_next_changed(*state, &told));
	table_tick(*state, at(6));
	assert_true(table_next_changed(*state, &told) && told == e);
	assert_true(table_next_changed(*state, &told) && told == f);
	assert_true(table_next_changed(*state, &told) && told == d);
	assert_false(table_next_changed(*state, &told));
	assert_int_equal(attr_of(*state, d).version, version + 2); /* the ttl, and its end */
	assert_true(link_of(*state, d).holder == 0);
}

/* A file with two names, of which the first ends a moment before the other. */
static void test_what_is_gone_is_told_to_have_changed(void **state)
{
	struct table_make make = make_in(2, ROOT_INO, "g");
	uint64_t e = held_file(*state, 1, 1, "e"), told;
	struct attr attr;

	make.ttl_ns = FIVE;
	assert_ok(table_link(*state, e, &make, at(0), &attr));
	assert_ok(set_ttl(*state, e, FIVE + 1, 0));
	table_close(*state, 1, 1, at(1));
	table_tick(*state, at(6));
	assert_false(table_next_changed(*state, &told));
	assert_true(table_next_gone(*state, &told) && told == e);
	table_check(*state);
}

#define FEAR(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FEAR(test_a_ttl_ends_nothing),
		FEAR(test_a_touch_or_write_does_not_renew_it),
		FEAR(test_none_ends_it),
		FEAR(test_the_change_is_in_no_record),
		FEAR(test_a_new_name_loses_it),
		FEAR(test_a_mounts_ttl_moves_along),
		FEAR(test_an_unheld_name_ends_by_it),
		FEAR(test_create_and_replace_are_mixed_up),
		FEAR(test_a_stranger_ends_a_file_that_he_may_write),
		FEAR(test_nonsense_is_taken),
		FEAR(test_what_outlives_its_name_changes_in_silence),
		FEAR(test_what_is_gone_is_told_to_have_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
