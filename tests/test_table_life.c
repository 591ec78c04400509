/* SPDX-License-Identifier: MIT */
/* How long a name lives: times-to-live, idle times, dead holders' directories, and limbo. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/table_fixture.h"

#define TTL_S 100

/* A held file or directory of client 1 with a time-to-live, made at 0. */
static struct table_make mortal(uint64_t parent, const char *name)
{
	struct table_make make = make_in(1, parent, name);

	make.ttl_ns = TTL_S * NS_PER_SEC;
	return make;
}

static uint64_t mortal_file(struct table *t, const char *name)
{
	struct table_make make = mortal(ROOT_INO, name);
	struct attr attr;
	bool created;

	assert_ok(table_create(t, &make, at(0), &attr, &created));
	table_close(t, 1, 1, at(0));
	return attr.ino;
}

static uint64_t mortal_dir(struct table *t, uint64_t parent, const char *name)
{
	struct table_make make = mortal(parent, name);
	struct attr attr;

	assert_ok(table_mkdir(t, &make, at(0), &attr));
	return attr.ino;
}

static void touch(struct table *t, uint64_t ino, int64_t when)
{
	struct attr attr = {0};

	assert_ok(table_setattr(t, ino, SET_MTIME | SET_MTIME_NOW, &attr, at(when), &attr));
}

static void link_as(struct table *t, uint64_t ino, struct table_make make, int64_t when)
{
	struct attr attr;

	assert_ok(table_link(t, ino, &make, at(when), &attr));
}

static void remove_at(struct table *t, uint64_t parent, const char *name, bool dir, int64_t when)
{
	struct attr attr;

	assert_ok(table_unlink(t, parent, name, dir, 1, 0, at(when), &attr));
	table_check(t);
}

static void tick(struct table *t, int64_t when)
{
	table_tick(t, at(when));
	table_check(t);
}

/* ---- Times-to-live ---- */

static void test_time_to_live_ends_early_or_never(void **state)
{
	mortal_file(*state, "f");
	assert_true(table_deadline(*state) == at(TTL_S).boot_ns);
	tick(*state, TTL_S - 1);
	assert_true(exists(*state, "f"));
	tick(*state, TTL_S);
	assert_false(exists(*state, "f"));
}

/* 4.4: from the last touch or write. */
static void test_touch_or_write_does_not_renew(void **state)
{
	uint64_t f = mortal_file(*state, "f");
	struct attr attr = {.size = 3};
	int64_t offset;

	touch(*state, f, 10);
	assert_true(table_deadline(*state) == at(110).boot_ns);
	assert_ok(table_write(*state, f, 0, 0, "x", 1, at(20), &attr, &offset));
	assert_true(table_deadline(*state) == at(120).boot_ns);
	assert_ok(table_setattr(*state, f, SET_SIZE, &attr, at(30), &attr));
	assert_true(table_deadline(*state) == at(130).boot_ns);
	assert_ok(table_open(*state, 2, 2, f, OPEN_TRUNC, at(40), &attr));
	assert_true(table_deadline(*state) == at(140).boot_ns);
}

static void test_looking_renews(void **state)
{
	uint64_t f = mortal_file(*state, "f");
	struct attr attr;
	const void *data;
	size_t len;

	assert_ok(table_open(*state, 2, 2, f, 0, at(10), &attr));
	assert_ok(table_getattr(*state, f, &attr));
	assert_ok(table_read(*state, f, 0, 1, &data, &len));
	assert_ok(table_setattr(*state, f, SET_MODE | SET_UID | SET_GID, &attr, at(15), &attr));
	lock_granted(*state, flock_want(2, f, LOCK_EXCLUSIVE, 0));
	table_close(*state, 2, 2, at(20));
	assert_true(table_deadline(*state) == at(TTL_S).boot_ns);
	assert_ok(table_open(*state, 2, 2, f, 0, at(30), &attr));
	tick(*state, TTL_S); /* although it is open */
	assert_false(exists(*state, "f"));
	assert_int_equal(attr_of(*state, f).nlink, 0);
}

static void test_another_name_renews(void **state)
{
	uint64_t f = mortal_file(*state, "f");
	struct table_make to = mortal(ROOT_INO, "h");
	struct attr attr, replaced;

	link_as(*state, f, mortal(ROOT_INO, "g"), 10);
	tick(*state, 50);
	assert_ok(table_rename(*state, ROOT_INO, "g", &to, false, at(50), &attr, &replaced));
	assert_true(table_deadline(*state) == at(TTL_S).boot_ns);
	tick(*state, TTL_S);
	assert_false(exists(*state, "f"));
	assert_true(exists(*state, "h"));
	assert_true(table_deadline(*state) == at(150).boot_ns);
	touch(*state, f, 120);
	assert_true(table_deadline(*state) == at(220).boot_ns);
}

static void test_endless_life_overflows(void **state)
{
	struct table_make make = make_in(1, ROOT_INO, "f");
	struct attr attr;

	make.ttl_ns = INT64_MAX;
	assert_ok(table_mkdir(*state, &make, at(100), &attr));
	tick(*state, 1000000);
	assert_true(exists(*state, "f"));
}

static void test_directory_dies_under_its_names(void **state)
{
	uint64_t d = mortal_dir(*state, ROOT_INO, "d");

	file_in(*state, 1, d, "f");
	tick(*state, TTL_S);
	assert_true(exists(*state, "d"));
	assert_int_equal(link_of(*state, d).holder, 0);
	file_in(*state, 2, d, "g");
	remove_at(*state, d, "f", false, 200);
	tick(*state, 200);
	assert_true(exists(*state, "d"));
	remove_at(*state, d, "g", false, 300);
	assert_true(table_deadline(*state) == at(300).boot_ns);
	tick(*state, 300);
	assert_false(exists(*state, "d"));
}

/* It was empty for a moment only, and the tick came late. */
static void test_orphaned_directory_dies_under_a_new_name(void **state)
{
	uint64_t d = mortal_dir(*state, ROOT_INO, "d");

	file_in(*state, 1, d, "f");
	tick(*state, TTL_S);
	remove_at(*state, d, "f", false, 200);
	file_in(*state, 2, d, "g");
	tick(*state, 300);
	assert_true(ino_at(*state, d, "g") != 0);
}

static void test_names_within_renew_a_directory(void **state)
{
	uint64_t d = mortal_dir(*state, ROOT_INO, "d");

	file_in(*state, 1, d, "f");
	assert_true(table_deadline(*state) == at(TTL_S).boot_ns);
	remove_at(*state, d, "f", false, 50);
	tick(*state, 60);
	assert_true(table_deadline(*state) == at(TTL_S).boot_ns);
	touch(*state, d, 60);
	assert_true(table_deadline(*state) == at(160).boot_ns);
}

static void test_nested_directories_die_one_tick_at_a_time(void **state)
{
	uint64_t d = mortal_dir(*state, ROOT_INO, "d");

	mortal_dir(*state, mortal_dir(*state, d, "e"), "f");
	tick(*state, TTL_S);
	assert_false(exists(*state, "d"));
}

/* ---- Idle times ---- */

static void test_idle_name_takes_the_held_one_along(void **state)
{
	uint64_t f = plain_file(*state, "plain");

	link_as(*state, f, make_in(2, ROOT_INO, "held"), 5);
	assert_true(table_deadline(*state) == MOMENT_NEVER);
	table_close(*state, 1, 1, at(10));
	assert_true(table_deadline(*state) == at(70).boot_ns);
	opened_by(*state, f, 3);
	assert_true(table_deadline(*state) == MOMENT_NEVER);
	table_close(*state, 3, 3, at(20));
	tick(*state, 80);
	assert_false(exists(*state, "plain"));
	assert_int_equal(ino_at(*state, ROOT_INO, "held"), f);
	assert_int_equal(attr_of(*state, f).nlink, 1);
}

static void test_name_within_does_not_keep_a_plain_file(void **state)
{
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d");
	struct table_make make = make_in(2, d, "f");
	struct attr attr;
	bool created;

	make.flags = 0;
	assert_ok(table_create(*state, &make, at(0), &attr, &created));
	table_drop_client(*state, 1, at(5)); /* the directory's */
	table_close(*state, 2, 2, at(10));
	tick(*state, 69);
	assert_true(ino_at(*state, d, "f") != 0);
	tick(*state, 70);
	assert_false(exists(*state, "d"));
}

/* ---- Dead holders ---- */

static void test_dead_holders_directory_takes_others_along(void **state)
{
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d"), e = dir_in(*state, 1, d, "e");

	file_in(*state, 1, d, "own");
	file_in(*state, 2, e, "f");
	table_drop_client(*state, 1, at(10));
	table_check(*state);
	assert_int_equal(ino_at(*state, d, "own"), 0);
	tick(*state, 1000);
	assert_true(ino_at(*state, e, "f") != 0);
	table_drop_client(*state, 2, at(2000));
	tick(*state, 2000);
	assert_false(exists(*state, "d"));
	assert_true(is_gone(*state, d) && is_gone(*state, e));
}

/* Its names go inner ones first, in whatever order they were made or moved. */
static void test_dead_holder_leaves_something(void **state)
{
	uint64_t outer, young = dir_in(*state, 1, ROOT_INO, "young");
	struct table_make to;
	struct attr attr, replaced;
	struct table_counts counts;

	file_in(*state, 1, young, "f");
	outer = dir_in(*state, 1, ROOT_INO, "outer");
	to = make_in(1, outer, "moved");
	assert_ok(table_rename(*state, ROOT_INO, "young", &to, false, at(1), &attr, &replaced));
	link_as(*state, file_in(*state, 1, outer, "g"), make_in(1, young, "h"), 1);
	table_drop_client(*state, 1, at(2));
	table_check(*state);
	table_counts(*state, &counts);
	assert_int_equal(counts.files, 0);
}

static void test_orphaned_directory_is_not_held_by_its_mover(void **state)
{
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d");
	struct table_make to = make_in(3, ROOT_INO, "mine");
	struct attr attr, replaced;

	file_in(*state, 2, d, "f");
	table_drop_client(*state, 1, at(1));
	assert_ok(table_rename(*state, ROOT_INO, "d", &to, false, at(2), &attr, &replaced));
	remove_at(*state, d, "f", false, 3);
	tick(*state, 1000);
	assert_int_equal(ino_at(*state, ROOT_INO, "mine"), d);
}

/* ---- Limbo ---- */

static void drain(struct table *t)
{
	uint64_t ino;

	while (table_next_gone(t, &ino))
		;
}

/* A file with content that was removed at this second. */
static uint64_t removed_file(struct table *t, const char *name, int64_t when)
{
	uint64_t f = file_in(t, 1, ROOT_INO, name);
	struct attr attr;
	int64_t offset;

	assert_ok(table_write(t, f, 0, 0, "text", 4, at(when), &attr, &offset));
	remove_at(t, ROOT_INO, name, false, when);
	drain(t);
	return f;
}

static enum status open_as(struct table *t, uint64_t client, uint64_t ino, uint32_t flags)
{
	struct attr attr;
	enum status status = table_open(t, client, client, ino, flags, at(10), &attr);

	table_check(t);
	return status;
}

static void test_file_just_gone_is_stale(void **state)
{
	uint64_t f = removed_file(*state, "f", 10);
	struct table_counts counts;
	const void *data;
	size_t len;

	assert_true(attr_of(*state, f).nlink == 0 && attr_of(*state, f).size == 4);
	assert_ok(table_read(*state, f, 0, 100, &data, &len));
	assert_int_equal(len, 4);
	assert_memory_equal(data, "text", 4);
	table_counts(*state, &counts);
	assert_true(counts.files == 0 && counts.content_bytes == 0);
	assert_true(table_deadline(*state) == at(10).boot_ns + TABLE_LIMBO_NS);
	table_tick(*state, (struct moment){.boot_ns = at(10).boot_ns + TABLE_LIMBO_NS - 1});
	assert_false(is_gone(*state, f));
	table_tick(*state, (struct moment){.boot_ns = at(10).boot_ns + TABLE_LIMBO_NS});
	assert_true(is_gone(*state, f));
	assert_int_equal(table_read(*state, f, 0, 100, &data, &len), STATUS_STALE);
	assert_true(table_deadline(*state) == MOMENT_NEVER);
}

static void test_file_just_gone_is_changed(void **state)
{
	uint64_t f = removed_file(*state, "f", 10);
	struct attr attr = {0};
	int64_t offset;

	assert_int_equal(table_write(*state, f, 0, 0, "x", 1, at(10), &attr, &offset),
			 STATUS_STALE);
	assert_int_equal(table_setattr(*state, f, SET_MODE, &attr, at(10), &attr), STATUS_STALE);
	assert_int_equal(open_as(*state, 2, f, 0), STATUS_STALE);
	assert_int_equal(attr_of(*state, f).size, 4);
}

/* And closed again, it is gone again, for as long. */
static void test_file_just_gone_cannot_be_opened(void **state)
{
	uint64_t f = removed_file(*state, "f", 10), gone;
	struct table_counts counts;

	assert_ok(open_as(*state, 2, f, OPEN_UNLINKED));
	assert_ok(open_as(*state, 3, f, OPEN_UNLINKED));
	assert_int_equal(open_as(*state, 4, f, 0), STATUS_STALE);
	assert_true(attr_of(*state, f).size == 4 && attr_of(*state, f).nlink == 0);
	table_counts(*state, &counts);
	assert_true(counts.files == 1 && counts.content_bytes == 4);
	lock_granted(*state, flock_want(2, f, LOCK_EXCLUSIVE, 0));
	lock_refused(*state, flock_want(3, f, LOCK_EXCLUSIVE, 0));
	tick(*state, 100);
	table_drop_client(*state, 2, at(100));
	assert_false(table_next_gone(*state, &gone));
	table_close(*state, 3, 3, at(100));
	assert_true(table_next_gone(*state, &gone) && gone == f);
	assert_false(is_gone(*state, f));
	tick(*state, 101);
	assert_true(is_gone(*state, f));
	table_counts(*state, &counts);
	assert_true(counts.files == 0 && counts.content_bytes == 0 && counts.handles == 0);
}

static void test_refused_open_revives(void **state)
{
	uint64_t f = removed_file(*state, "f", 10), other = held_file(*state, 2, 2, "other");

	assert_int_equal(open_as(*state, 2, f, OPEN_UNLINKED), STATUS_INVALID); /* handle in use */
	drain(*state);
	assert_int_equal(attr_of(*state, f).size, 4);
	tick(*state, 11);
	assert_true(is_gone(*state, f));
	assert_false(is_gone(*state, other));
}

static void test_open_file_without_a_name_is_opened_by_accident(void **state)
{
	uint64_t f = held_file(*state, 1, 1, "f");

	remove_at(*state, ROOT_INO, "f", false, 5);
	assert_int_equal(open_as(*state, 2, f, 0), STATUS_STALE);
	assert_ok(open_as(*state, 2, f, OPEN_UNLINKED));
}

static void test_limbo_has_no_bound(void **state)
{
	uint64_t first = removed_file(*state, "f", 10), second = removed_file(*state, "f", 10);
	char name[16];

	for (int i = 0; i < TABLE_LIMBO_MAX - 1; i++) { /* and in one step */
		snprintf(name, sizeof(name), "n%d", i);
		file_in(*state, 7, ROOT_INO, name);
	}
	table_drop_client(*state, 7, at(10));
	drain(*state);
	assert_true(is_gone(*state, first));
	assert_false(is_gone(*state, second));
	tick(*state, 11);
	assert_true(is_gone(*state, second));
}

static void test_directory_just_gone_is_there(void **state)
{
	uint64_t d = dir_in(*state, 1, ROOT_INO, "d");

	remove_at(*state, ROOT_INO, "d", true, 10);
	drain(*state);
	assert_true(is_gone(*state, d));
	assert_true(table_deadline(*state) == MOMENT_NEVER);
}

static void test_table_is_freed_with_files_just_gone(void **state)
{
	uint64_t f = removed_file(*state, "f", 10);

	removed_file(*state, "g", 10);
	assert_ok(open_as(*state, 2, f, OPEN_UNLINKED));
	file_in(*state, 1, ROOT_INO, "h");
	remove_at(*state, ROOT_INO, "h", false, 10); /* and nobody has asked what is gone */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_time_to_live_ends_early_or_never),
		TABLE_TEST(test_touch_or_write_does_not_renew),
		TABLE_TEST(test_looking_renews),
		TABLE_TEST(test_another_name_renews),
		TABLE_TEST(test_endless_life_overflows),
		TABLE_TEST(test_directory_dies_under_its_names),
		TABLE_TEST(test_orphaned_directory_dies_under_a_new_name),
		TABLE_TEST(test_names_within_renew_a_directory),
		TABLE_TEST(test_nested_directories_die_one_tick_at_a_time),
		TABLE_TEST(test_idle_name_takes_the_held_one_along),
		TABLE_TEST(test_name_within_does_not_keep_a_plain_file),
		TABLE_TEST(test_dead_holders_directory_takes_others_along),
		TABLE_TEST(test_dead_holder_leaves_something),
		TABLE_TEST(test_orphaned_directory_is_not_held_by_its_mover),
		TABLE_TEST(test_file_just_gone_is_stale),
		TABLE_TEST(test_file_just_gone_is_changed),
		TABLE_TEST(test_file_just_gone_cannot_be_opened),
		TABLE_TEST(test_refused_open_revives),
		TABLE_TEST(test_open_file_without_a_name_is_opened_by_accident),
		TABLE_TEST(test_limbo_has_no_bound),
		TABLE_TEST(test_directory_just_gone_is_there),
		TABLE_TEST(test_table_is_freed_with_files_just_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
