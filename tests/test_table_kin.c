/* SPDX-License-Identifier: MIT */
/* A lock belongs to the name (contract 5.5): files removed and made again under it share it. */
#include <string.h>
#include <sys/stat.h>

#include "tests/table_fixture.h"

#define S LOCK_SHARED
#define X LOCK_EXCLUSIVE

static void unlink_name(struct table *t, const char *name)
{
	struct attr attr;

	assert_ok(table_unlink(t, ROOT_INO, name, false, 9, 0, at(0), &attr));
}

/* A plain file of this name, opened by the client with the handle of its number. */
static uint64_t file_of(struct table *t, uint64_t client, const char *name)
{
	struct table_make make = make_of(name, 0);
	struct attr attr;
	bool created;

	make.client = make.handle = client;
	assert_ok(table_create(t, &make, at(0), &attr, &created));
	return attr.ino;
}

static void rename_to(struct table *t, uint64_t client, const char *from, const char *to)
{
	struct table_make make = make_in(client, ROOT_INO, to);
	struct attr attr, replaced;

	assert_ok(table_rename(t, ROOT_INO, from, &make, false, at(0), &attr, &replaced));
}

static void test_file_made_anew_forgets_who_holds_its_name(void **state)
{
	struct table *t = *state;
	uint64_t old = file_of(t, 1, "f"), new;

	lock_granted(t, flock_want(1, old, X, 0));
	unlink_name(t, "f");
	new = file_of(t, 2, "f");
	assert_true(new != old);
	lock_refused(t, flock_want(2, new, S, 0));
	lock_queued(t, flock_want(2, new, X, 20));
	lock_granted(t, flock_want(1, old, LOCK_NONE, 0));
	expect_grant(t, 2, 20);
}

static void test_close_of_the_old_file_wakes_nobody(void **state)
{
	struct table *t = *state;
	uint64_t old = file_of(t, 1, "f"), new;

	lock_granted(t, flock_want(1, old, X, 0));
	unlink_name(t, "f");
	new = file_of(t, 2, "f");
	lock_queued(t, flock_want(2, new, X, 20));
	table_close(t, 1, 1, at(0));
	assert_true(is_gone(t, old));
	expect_grant(t, 2, 20);
	assert_int_equal(lock_count(t), 1);
}

/* The unlink race: who opened the file before its removal locks it after it was made again. */
static void test_late_locker_of_the_old_file_is_alone_with_it(void **state)
{
	struct table *t = *state;
	uint64_t old = file_of(t, 1, "f"), new;

	unlink_name(t, "f");
	new = file_of(t, 2, "f");
	lock_granted(t, flock_want(2, new, X, 0));
	lock_refused(t, flock_want(1, old, X, 0));
	lock_queued(t, flock_want(1, old, X, 10));
	table_drop_client(t, 2, at(0));
	expect_grant(t, 1, 10);
}

static void test_two_old_files_exclude_nobody(void **state)
{
	struct table *t = *state;
	uint64_t first = file_of(t, 1, "f"), second;

	unlink_name(t, "f");
	second = file_of(t, 2, "f");
	unlink_name(t, "f");
	lock_granted(t, flock_want(1, first, X, 0));
	lock_refused(t, flock_want(2, second, X, 0));
	lock_refused(t, flock_want(3, file_of(t, 3, "f"), X, 0));
}

static void test_waiters_of_both_files_are_served_out_of_order(void **state)
{
	struct table *t = *state;
	uint64_t old = file_of(t, 1, "f"), new;

	opened_by(t, old, 2);
	opened_by(t, old, 4);
	lock_granted(t, flock_want(1, old, X, 0));
	lock_queued(t, flock_want(2, old, X, 20));
	unlink_name(t, "f");
	new = file_of(t, 3, "f");
	lock_queued(t, flock_want(3, new, X, 30));
	lock_queued(t, flock_want(4, old, X, 40));
	for (uint64_t client = 1; client < 4; client++) {
		table_close(t, client, client, at(0));
		expect_grant(t, client + 1, (client + 1) * 10);
		expect_no_grant(t);
		table_check(t);
	}
}

static void test_replaced_file_gives_its_lock_away(void **state)
{
	struct table *t = *state;
	uint64_t old = file_of(t, 1, "f"), new = file_of(t, 2, "g");

	lock_granted(t, flock_want(1, old, X, 0));
	rename_to(t, 2, "g", "f");
	lock_refused(t, flock_want(2, new, X, 0));
	table_close(t, 1, 1, at(0));
	lock_granted(t, flock_want(2, new, X, 0));
}

/* Each was granted under a name of its own: both stay, and whoever comes waits for both. */
static void test_locked_file_moved_over_a_locked_one_frees_one(void **state)
{
	struct table *t = *state;
	uint64_t old = file_of(t, 1, "f"), new = file_of(t, 2, "g");

	lock_granted(t, flock_want(1, old, X, 0));
	lock_granted(t, flock_want(2, new, X, 0));
	rename_to(t, 2, "g", "f");
	opened_by(t, new, 3);
	table_check(t);
	lock_queued(t, flock_want(3, new, X, 30));
	table_close(t, 2, 2, at(0));
	expect_no_grant(t);
	table_close(t, 1, 1, at(0));
	expect_grant(t, 3, 30);
}

/* What a symbolic link of this name meets, it has no part in. */
static void test_moved_symbolic_link_ties_strangers_together(void **state)
{
	struct table *t = *state;
	uint64_t f = file_of(t, 1, "f"), g = file_of(t, 2, "g");
	struct table_make make = make_in(3, ROOT_INO, "f");
	struct attr attr;

	lock_granted(t, flock_want(1, f, X, 0));
	unlink_name(t, "f");
	unlink_name(t, "g");
	assert_ok(table_symlink(t, &make, "nowhere", 7, at(0), &attr));
	rename_to(t, 3, "f", "g");
	lock_granted(t, flock_want(2, g, X, 0));
	table_check(t);
}

/* Nobody has the replaced file open, and it has met the locks of another name than this. */
static void test_replaced_file_that_nobody_uses_brings_locks_along(void **state)
{
	struct table *t = *state;
	uint64_t lost = file_of(t, 1, "f"), old = file_of(t, 2, "g"), new = file_of(t, 3, "h");
	struct table_make make = make_in(2, ROOT_INO, "f");
	struct attr attr;

	lock_granted(t, flock_want(1, lost, X, 0));
	unlink_name(t, "f");
	assert_ok(table_link(t, old, &make, at(0), &attr));
	unlink_name(t, "f");
	table_close(t, 2, 2, at(0));
	rename_to(t, 3, "h", "g");
	lock_granted(t, flock_want(3, new, X, 0));
	lock_refused(t, flock_want(4, file_of(t, 4, "f"), X, 0));
}

/* Of two names the one that was made first has old files, but no locks yet. */
static void test_kin_without_locks_is_left_behind(void **state)
{
	struct table *t = *state;
	uint64_t f = file_of(t, 1, "f"), g = file_of(t, 2, "g"), both;
	struct table_make make = make_in(3, ROOT_INO, "g");
	struct attr attr;

	unlink_name(t, "f");
	lock_granted(t, flock_want(2, g, X, 0));
	unlink_name(t, "g");
	both = file_of(t, 3, "f");
	assert_ok(table_link(t, both, &make, at(0), &attr));
	unlink_name(t, "f");
	lock_refused(t, flock_want(1, f, X, 0));
	table_check(t);
}

static void test_link_of_another_file_forgets_the_holder(void **state)
{
	struct table *t = *state;
	struct table_make make = make_in(2, ROOT_INO, "f");
	uint64_t old = file_of(t, 1, "f"), other = file_of(t, 2, "g");
	struct attr attr;

	lock_granted(t, flock_want(1, old, X, 0));
	unlink_name(t, "f");
	assert_ok(table_link(t, other, &make, at(0), &attr));
	lock_refused(t, flock_want(2, other, X, 0));
}

static void test_other_names_share_the_lock(void **state)
{
	struct table *t = *state;
	uint64_t old = file_of(t, 1, "f"), dir = dir_in(t, 2, ROOT_INO, "d");
	struct table_make make = make_in(3, dir, "f");
	struct attr attr;
	bool created;

	lock_granted(t, flock_want(1, old, X, 0));
	unlink_name(t, "f");
	lock_granted(t, flock_want(2, file_of(t, 2, "ff"), X, 0));
	make.handle = 3;
	assert_ok(table_create(t, &make, at(0), &attr, &created));
	lock_granted(t, flock_want(3, attr.ino, X, 0));
}

/* What a process locks on one file it does not unlock on the other, and it is in nobody's way. */
static void test_one_process_on_both_files_unlocks_too_much(void **state)
{
	struct table *t = *state;
	uint64_t old = file_of(t, 1, "f"), new;
	struct table_want mine, theirs;

	lock_granted(t, range_want(1, old, X, 0, 9, 0));
	unlink_name(t, "f");
	new = file_of(t, 2, "f");
	mine = range_want(1, new, X, 0, 9, 0);
	mine.handle = 5;
	assert_ok(table_open(t, 1, 5, new, 0, at(0), &(struct attr){0}));
	lock_granted(t, mine);
	mine.mode = LOCK_NONE;
	lock_granted(t, mine);
	theirs = range_want(2, new, X, 0, 9, 0);
	lock_refused(t, theirs);
	lock_granted(t, range_want(1, old, LOCK_NONE, 0, 9, 0));
	lock_granted(t, theirs);
}

static void test_getlk_does_not_see_the_old_file(void **state)
{
	struct table *t = *state;
	uint64_t old = file_of(t, 1, "f");
	struct table_want want;
	struct table_holder holder;

	lock_granted(t, range_want(1, old, X, 3, 9, 0));
	unlink_name(t, "f");
	want = range_want(2, file_of(t, 2, "f"), X, 0, 99, 0);
	assert_ok(table_test_lock(t, &want, &holder));
	assert_int_equal(holder.mode, X);
	assert_int_equal(holder.start, 3);
}

/* Between a look at the name and the open the file may go; the open finds it in limbo. */
static void test_file_opened_on_its_way_out_is_alone(void **state)
{
	struct table *t = *state;
	uint64_t old = file_of(t, 1, "f"), gone, new;
	struct attr attr;

	table_close(t, 1, 1, at(1));
	assert_ok(table_unlink(t, ROOT_INO, "f", false, 9, 0, at(1), &attr));
	assert_true(table_next_gone(t, &gone));
	new = file_of(t, 2, "f");
	lock_granted(t, flock_want(2, new, X, 0));
	assert_ok(table_open(t, 3, 3, old, OPEN_UNLINKED, at(1), &attr));
	lock_refused(t, flock_want(3, old, X, 0));
}

static void test_removed_directory_leaves_names_behind(void **state)
{
	struct table *t = *state;
	uint64_t dir = dir_in(t, 1, ROOT_INO, "d");
	struct table_make make = make_in(1, dir, "f");
	struct attr attr;
	bool created;

	make.handle = 1;
	assert_ok(table_create(t, &make, at(0), &attr, &created));
	lock_granted(t, flock_want(1, attr.ino, X, 0));
	assert_ok(table_unlink(t, dir, "f", false, 1, 0, at(0), &attr));
	assert_ok(table_unlink(t, ROOT_INO, "d", true, 1, 0, at(0), &attr));
	table_check(t);
	table_close(t, 1, 1, at(0));
}

/* ---- After a master's restart ---- */

static bool anyone(void *arg, uint64_t client)
{
	return true;
}

/* Removed while client 1 had it locked, made again, and client 2 waits with the new one. */
static void test_restart_forgets_who_had_the_name(void **state)
{
	struct table *t = *state;
	const uint64_t old = EARLIER_EPOCH + 2, new = EARLIER_EPOCH + 3;
	struct table_record record = {
		.attr = {.ino = old, .version = 5, .mode = S_IFREG | 0644},
		.links[0] = {.parent = ROOT_INO, .token = EARLIER_EPOCH + 1, .name = "f"},
		.link_count = 1,
		.full = true,
	};
	struct table_want lock = flock_want(1, old, X, 0), wait = flock_want(2, new, X, 20);

	assert_ok(table_restore_file(t, &record, at(0)));
	record.attr = (struct attr){.ino = new, .version = 1, .mode = S_IFREG | 0644, .nlink = 1};
	record.links[0].token = EARLIER_EPOCH + 2;
	assert_ok(table_restore_file(t, &record, at(0)));
	assert_ok(table_restore_open(t, 1, 1, old));
	assert_ok(table_restore_open(t, 2, 2, new));
	assert_ok(table_restore_lock(t, &lock, EARLIER_EPOCH + 3));
	assert_ok(table_restore_wait(t, &wait, EARLIER_EPOCH + 4));
	assert_int_equal(table_restore_end(t, at(0), anyone, NULL), 0);
	table_check(t);
	expect_no_grant(t);
	assert_ok(table_record(t, old, &record));
	assert_int_equal(record.attr.nlink, 0);
	assert_int_equal(record.link_count, 1);
	assert_string_equal(record.links[0].name, "f");
	table_close(t, 1, 1, at(0));
	expect_grant(t, 2, 20);
}

/* Two claim the name: who loses it was the one before, whatever its record says. */
static void test_restart_makes_strangers_of_old_and_new(void **state)
{
	struct table *t = *state;
	const uint64_t old = EARLIER_EPOCH + 2, new = EARLIER_EPOCH + 3;
	struct table_record record = {
		.attr = {.ino = old, .version = 5, .mode = S_IFREG | 0644, .nlink = 1},
		.links[0] = {.parent = ROOT_INO, .token = EARLIER_EPOCH + 1, .name = "f"},
		.link_count = 1,
		.full = true,
	};
	struct table_want lock = flock_want(1, old, X, 0);

	assert_ok(table_restore_file(t, &record, at(0)));
	record.attr.ino = new;
	record.links[0].token = EARLIER_EPOCH + 2;
	assert_ok(table_restore_file(t, &record, at(0)));
	assert_ok(table_restore_open(t, 1, 1, old));
	assert_ok(table_restore_open(t, 2, 2, new));
	assert_ok(table_restore_lock(t, &lock, EARLIER_EPOCH + 3));
	assert_int_equal(table_restore_end(t, at(0), anyone, NULL), 1);
	table_check(t);
	assert_int_equal(ino_at(t, ROOT_INO, "f"), new);
	lock_refused(t, flock_want(2, new, X, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_file_made_anew_forgets_who_holds_its_name),
		TABLE_TEST(test_close_of_the_old_file_wakes_nobody),
		TABLE_TEST(test_late_locker_of_the_old_file_is_alone_with_it),
		TABLE_TEST(test_two_old_files_exclude_nobody),
		TABLE_TEST(test_waiters_of_both_files_are_served_out_of_order),
		TABLE_TEST(test_replaced_file_gives_its_lock_away),
		TABLE_TEST(test_locked_file_moved_over_a_locked_one_frees_one),
		TABLE_TEST(test_moved_symbolic_link_ties_strangers_together),
		TABLE_TEST(test_replaced_file_that_nobody_uses_brings_locks_along),
		TABLE_TEST(test_kin_without_locks_is_left_behind),
		TABLE_TEST(test_link_of_another_file_forgets_the_holder),
		TABLE_TEST(test_other_names_share_the_lock),
		TABLE_TEST(test_one_process_on_both_files_unlocks_too_much),
		TABLE_TEST(test_getlk_does_not_see_the_old_file),
		TABLE_TEST(test_file_opened_on_its_way_out_is_alone),
		TABLE_TEST(test_removed_directory_leaves_names_behind),
		TABLE_TEST(test_restart_forgets_who_had_the_name),
		TABLE_TEST(test_restart_makes_strangers_of_old_and_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
