/* SPDX-License-Identifier: MIT */
/*
 * The checker of histories and its model: what no file system would show must be refused, and what
 * one may show must not be. Each test is a short history of up to four clients, of which client n
 * is on node n; times are small numbers.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/mount/history/check.h"

#define OPS_MAX 32
#define RW	(OPEN_READ | OPEN_WRITE)
#define A	0 /* a place: d0/n0 */
#define B	2 /* d0/n1 */
#define IN_A	1 /* d0/n0/x */

static struct op ops[OPS_MAX];
static size_t count;
static struct rules rules;

static int setup(void **state)
{
	memset(ops, 0, sizeof(ops));
	count = 0;
	rules = (struct rules){.content_limit = CONTENT_LIMIT};
	return 0;
}

/* ---- Calls: all take a moment's beginning and end ---- */

static struct op *add(int client, int64_t begin, int64_t end, enum op_kind kind, int err)
{
	struct op *op = &ops[count];

	assert_true(count < OPS_MAX);
	*op = (struct op){
		.id = FIRST_OP + (uint32_t)count,
		.client = client,
		.node = client % NODES,
		.begin = begin,
		.end = end,
		.kind = kind,
		.err = err,
		.slot = -1,
		.slot2 = -1,
		.place = PLACE_NONE,
		.place2 = PLACE_NONE,
	};
	count++;
	return op;
}

static void opens(int client, int64_t begin, int64_t end, int place, int flags, int err, int ino)
{
	struct op *op = add(client, begin, end, OP_OPEN, err);

	op->slot = 0;
	op->place = place;
	op->arg[0] = flags;
	op->arg[1] = 0600;
	op->got[0] = ino;
}

static void closes(int client, int64_t begin, int64_t end)
{
	add(client, begin, end, OP_CLOSE, 0)->slot = 0;
}

static void makes(int client, int64_t begin, int64_t end, enum op_kind kind, int place, int err)
{
	struct op *op = add(client, begin, end, kind, err);

	op->place = place;
	op->arg[0] = kind == OP_SYMLINK ? 77 : 0600;
}

static void unlinks(int client, int64_t begin, int64_t end, int place, int err)
{
	add(client, begin, end, OP_UNLINK, err)->place = place;
}

static struct op *renames(int client, int64_t begin, int64_t end, int from, int to, int err)
{
	struct op *op = add(client, begin, end, OP_RENAME, err);

	op->place = from;
	op->place2 = to;
	return op;
}

static void writes(int client, int64_t begin, int64_t end, int64_t at, const char *text)
{
	struct op *op = add(client, begin, end, OP_WRITE, 0);

	op->slot = 0;
	op->arg[0] = at;
	op->arg[1] = op->got[0] = (int64_t)strlen(text);
	op->data = blob_of(text, strlen(text));
	if (at < 0)
		op->got[1] = op->got[0];
}

static void reads(int client, int64_t begin, int64_t end, const char *text)
{
	struct op *op = add(client, begin, end, OP_READ, 0);

	op->slot = 0;
	op->arg[1] = CONTENT_LIMIT;
	op->data = blob_of(text, strlen(text));
}

static struct op *stats(int client, int64_t begin, int64_t end, int place, int err)
{
	struct op *op = add(client, begin, end, OP_STAT, err);

	op->place = place;
	if (err)
		return op;
	op->got[GOT_INO] = 100;
	op->got[GOT_TYPE] = TYPE_FILE;
	op->got[GOT_MODE] = 0600;
	op->got[GOT_NLINK] = 1;
	op->got[GOT_MTIME] = TOUCH_END;
	return op;
}

static struct op *flocks(int client, int64_t begin, int64_t end, int mode, int wait, int err)
{
	struct op *op = add(client, begin, end, OP_FLOCK, err);

	op->slot = 0;
	op->arg[0] = mode;
	op->arg[1] = wait;
	return op;
}

static struct op *ranges(int client, int64_t begin, int64_t end, int mode, int wait, int err)
{
	struct op *op = flocks(client, begin, end, mode, wait, err);

	op->kind = OP_RANGE;
	op->arg[2] = 0;
	op->arg[3] = 3;
	return op;
}

static void bytes(struct op *op, int first, int last)
{
	op->arg[2] = first;
	op->arg[3] = last;
}

static void dies(int client, int64_t begin, int64_t end)
{
	struct op *op = add(client, begin, end, OP_DIE, ERR_KILLED);

	for (int slot = 1; slot < SLOTS; slot++)
		op->got[slot] = -1;
}

/* Clients 0 to last have d0/n0 open, which is inode 100. */
static void all_open(int last)
{
	opens(0, 0, 1, A, RW | OPEN_CREATE, 0, 100);
	for (int client = 1; client <= last; client++)
		opens(client, 1 + client, 2 + client, A, RW, 0, 100);
}

static enum verdict verdict(void)
{
	struct checker *c = checker_new(&rules);
	size_t stuck;
	enum verdict v = checker_round(c, ops, count, &stuck);

	checker_free(c);
	return v;
}

#define right() assert_int_equal(verdict(), VERDICT_FINE)
#define wrong() assert_int_equal(verdict(), VERDICT_WRONG)

/* ---- Names ---- */

static void test_two_exclusive_creators(void **state)
{
	opens(0, 0, 10, A, RW | OPEN_CREATE | OPEN_EXCL, 0, 100);
	opens(1, 5, 15, A, RW | OPEN_CREATE | OPEN_EXCL, 0, 101);
	wrong();
	ops[1].err = EEXIST;
	right();
}

static void test_no_exclusive_creator_at_all(void **state)
{
	opens(0, 0, 10, A, RW | OPEN_CREATE | OPEN_EXCL, EEXIST, 0);
	opens(1, 5, 15, A, RW | OPEN_CREATE | OPEN_EXCL, EEXIST, 0);
	wrong();
}

static void test_a_name_made_before_is_not_there(void **state)
{
	makes(0, 0, 10, OP_MKNOD, A, 0);
	stats(1, 11, 20, A, ENOENT);
	wrong();
	ops[1].begin = 9;
	right();
}

static void test_a_removed_name_is_still_there(void **state)
{
	makes(0, 0, 10, OP_MKNOD, A, 0);
	unlinks(0, 11, 20, A, 0);
	stats(1, 21, 30, A, 0);
	wrong();
	ops[2].begin = 19;
	right();
}

static void test_two_remove_one_name(void **state)
{
	makes(0, 0, 1, OP_MKDIR, A, 0);
	add(0, 2, 10, OP_RMDIR, 0)->place = A;
	add(1, 2, 10, OP_RMDIR, 0)->place = A;
	wrong();
	ops[2].err = ENOENT;
	right();
}

static void test_a_full_directory_is_removed(void **state)
{
	makes(0, 0, 1, OP_MKDIR, A, 0);
	makes(0, 2, 3, OP_MKNOD, IN_A, 0);
	add(1, 4, 5, OP_RMDIR, 0)->place = A;
	wrong();
	ops[2].err = ENOTEMPTY;
	right();
}

static void test_a_move_leaves_the_old_name(void **state)
{
	makes(0, 0, 1, OP_MKNOD, A, 0);
	renames(0, 2, 3, A, B, 0);
	stats(1, 4, 5, A, 0);
	wrong();
	ops[2].place = B;
	right();
}

static void test_a_move_without_replacing_replaces(void **state)
{
	makes(0, 0, 1, OP_MKNOD, A, 0);
	makes(0, 2, 3, OP_MKNOD, B, 0);
	renames(0, 4, 5, A, B, 0)->arg[0] = 1;
	wrong();
	ops[2].err = EEXIST;
	right();
}

static void test_a_link_is_not_counted(void **state)
{
	makes(0, 0, 1, OP_MKNOD, A, 0);
	renames(0, 2, 3, A, B, 0)->kind = OP_LINK;
	stats(1, 4, 5, A, 0);
	wrong();
	ops[2].got[GOT_NLINK] = 2;
	right();
}

static void test_a_file_made_again_is_the_old_one(void **state)
{
	all_open(0);
	unlinks(0, 2, 3, A, 0);
	opens(1, 4, 5, A, RW | OPEN_CREATE, 0, 100);
	wrong();
	ops[2].got[0] = 101;
	right();
}

static void test_a_listing_leaves_out_a_name(void **state)
{
	struct op *list;

	makes(0, 0, 1, OP_MKNOD, A, 0);
	list = add(1, 2, 3, OP_LIST, 0);
	list->got[0] = -1;
	wrong();
	list->got[1] = 100;
	list->got[0] = 0;
	list->got[2] = -1;
	right();
}

static void test_a_link_leads_elsewhere(void **state)
{
	struct op *look;

	makes(0, 0, 1, OP_SYMLINK, A, 0);
	look = add(1, 2, 3, OP_READLINK, 0);
	look->place = A;
	look->got[0] = 78;
	wrong();
	look->got[0] = 77;
	right();
}

static void test_a_place_in_a_file_is_found(void **state)
{
	makes(0, 0, 1, OP_MKNOD, A, 0);
	makes(1, 2, 3, OP_MKNOD, IN_A, 0);
	wrong();
	ops[1].err = ENOTDIR;
	right();
}

/* The kernel looks again once; who has lost twice is told so. */
static void test_one_removal_makes_a_stale_handle(void **state)
{
	makes(0, 0, 1, OP_MKNOD, A, 0);
	unlinks(0, 10, 20, A, 0);
	opens(1, 10, 40, A, RW | OPEN_CREATE, ESTALE, 0);
	wrong();
	makes(2, 25, 30, OP_SYMLINK, A, 0);
	right();
	rules.local = true;
	wrong();
}

/* ---- Contents and attributes ---- */

static void test_a_stale_read(void **state)
{
	all_open(1);
	writes(0, 10, 20, 0, "new");
	reads(1, 21, 30, "");
	wrong();
	ops[3].begin = 19;
	right();
}

static void test_a_read_goes_back_in_time(void **state)
{
	all_open(2);
	writes(0, 10, 50, 0, "new");
	reads(1, 20, 25, "new");
	reads(2, 30, 35, "");
	wrong();
	ops[5].begin = 24;
	right();
}

static void test_a_lost_update(void **state)
{
	opens(0, 0, 1, A, RW | OPEN_CREATE | OPEN_APPEND, 0, 100);
	opens(1, 2, 3, A, RW | OPEN_APPEND, 0, 100);
	writes(0, 10, 20, -1, "aa");
	writes(1, 10, 20, -1, "bb");
	reads(0, 21, 22, "bb");
	wrong();
	ops[4].data = blob_of("bbaa", 4);
	right();
}

static void test_half_a_write_is_seen(void **state)
{
	all_open(1);
	writes(0, 10, 20, 0, "abcd");
	reads(1, 10, 20, "ab");
	wrong();
}

static void test_too_much_is_written(void **state)
{
	all_open(0);
	writes(0, 2, 3, CONTENT_LIMIT - 1, "ab");
	wrong();
	ops[1].err = EFBIG;
	right();
}

static void test_a_truncation_is_forgotten(void **state)
{
	all_open(0);
	writes(0, 2, 3, 0, "abc");
	add(1, 4, 5, OP_TRUNCATE, 0)->place = A;
	reads(0, 6, 7, "abc");
	wrong();
	ops[3].data = 0;
	right();
}

static void test_a_mode_is_forgotten(void **state)
{
	makes(0, 0, 1, OP_MKNOD, A, 0);
	makes(0, 2, 3, OP_CHMOD, A, 0);
	ops[1].arg[0] = 0640;
	stats(1, 4, 5, A, 0);
	wrong();
	ops[2].got[GOT_MODE] = 0640;
	right();
}

static void test_a_touch_is_forgotten(void **state)
{
	makes(0, 0, 1, OP_MKNOD, A, 0);
	makes(0, 2, 3, OP_TOUCH, A, 0);
	ops[1].arg[0] = 5000;
	stats(1, 4, 5, A, 0);
	wrong();
	ops[2].got[GOT_MTIME] = 5000;
	right();
}

/* ---- Locks ---- */

static void test_a_flock_held_twice(void **state)
{
	all_open(1);
	flocks(0, 10, 20, MODE_EXCLUSIVE, WAIT_NOT, 0);
	flocks(1, 10, 20, MODE_SHARED, WAIT_NOT, 0);
	wrong();
	ops[3].err = EAGAIN;
	right();
	ops[2].arg[0] = MODE_SHARED;
	ops[3].err = 0;
	right();
}

static void test_a_free_lock_is_refused(void **state)
{
	all_open(1);
	flocks(0, 10, 20, MODE_EXCLUSIVE, WAIT_NOT, 0);
	flocks(0, 21, 30, MODE_NONE, WAIT_NOT, 0);
	flocks(1, 31, 40, MODE_EXCLUSIVE, WAIT_NOT, EAGAIN);
	wrong();
	ops[4].begin = 29;
	right();
}

static void test_a_waiter_overtakes_the_holder(void **state)
{
	all_open(1);
	flocks(0, 10, 20, MODE_EXCLUSIVE, WAIT_NOT, 0);
	flocks(1, 21, 30, MODE_EXCLUSIVE, WAIT_SIGNAL, 0);
	flocks(0, 31, 40, MODE_NONE, WAIT_NOT, 0);
	wrong();
	ops[3].end = 35;
	right();
}

static void test_ranges_held_twice(void **state)
{
	all_open(1);
	bytes(ranges(0, 10, 20, MODE_EXCLUSIVE, WAIT_NOT, 0), 0, 3);
	bytes(ranges(1, 10, 20, MODE_SHARED, WAIT_NOT, 0), 3, 5);
	wrong();
	bytes(&ops[3], 4, 5);
	right();
}

static void test_an_unlocked_piece_is_still_locked(void **state)
{
	all_open(1);
	bytes(ranges(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0), 0, 7);
	bytes(ranges(0, 12, 13, MODE_NONE, WAIT_NOT, 0), 2, 4);
	bytes(ranges(1, 14, 15, MODE_EXCLUSIVE, WAIT_NOT, EAGAIN), 2, 4);
	wrong();
	ops[4].err = 0;
	right();
}

static void test_the_wrong_holder_is_named(void **state)
{
	struct op *test;

	all_open(1);
	bytes(ranges(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0), 2, 4);
	test = ranges(1, 12, 13, MODE_EXCLUSIVE, WAIT_NOT, 0);
	test->kind = OP_TEST;
	bytes(test, 0, 7);
	wrong();
	memcpy(test->got, (int64_t[]){MODE_EXCLUSIVE, 2, 5, -1}, 4 * sizeof(int64_t));
	wrong();
	test->got[2] = 4;
	right();
}

/* A grant that crosses a signal is given back: until then it is one lock with its neighbour. */
static void test_what_is_given_back_was_never_held(void **state)
{
	struct op *test;

	all_open(1);
	bytes(ranges(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0), 3, 7);
	bytes(ranges(0, 20, 40, MODE_EXCLUSIVE, WAIT_SIGNAL, EINTR), 0, 5);
	test = ranges(1, 25, 30, MODE_EXCLUSIVE, WAIT_NOT, 0);
	test->kind = OP_TEST;
	bytes(test, 6, 6);
	memcpy(test->got, (int64_t[]){MODE_EXCLUSIVE, 0, 7, -1}, 4 * sizeof(int64_t));
	right();
	rules.local = true;
	wrong();
}

static void test_a_deadlock_where_there_is_none(void **state)
{
	all_open(1);
	bytes(ranges(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0), 0, 0);
	bytes(ranges(1, 12, 13, MODE_EXCLUSIVE, WAIT_NOT, 0), 1, 1);
	bytes(ranges(0, 20, 40, MODE_EXCLUSIVE, WAIT_SIGNAL, EINTR), 1, 1);
	bytes(ranges(1, 21, 30, MODE_EXCLUSIVE, WAIT_SIGNAL, EDEADLK), 0, 0);
	right();
	bytes(&ops[4], 2, 2);
	wrong();
}

/* Contract 5.2: who would not wait is refused for the sake of those who wait; locally not. */
static void test_a_waiter_is_overtaken(void **state)
{
	all_open(2);
	flocks(0, 10, 11, MODE_SHARED, WAIT_NOT, 0);
	flocks(1, 20, 40, MODE_EXCLUSIVE, WAIT_SIGNAL, EINTR);
	flocks(2, 30, 35, MODE_SHARED, WAIT_NOT, EAGAIN);
	right();
	rules.local = true;
	wrong();
}

/* ---- Closing ---- */

static void test_a_close_does_not_release(void **state)
{
	all_open(1);
	flocks(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0);
	closes(0, 12, 13);
	stats(0, 14, 15, A, 0);
	flocks(1, 16, 17, MODE_EXCLUSIVE, WAIT_NOT, EAGAIN);
	wrong();
	ops[5].err = 0;
	right();
}

/* On other nodes a little later; on its own, and locally, at once. */
static void test_a_close_releases_later(void **state)
{
	all_open(3);
	flocks(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0);
	closes(0, 12, 13);
	flocks(1, 14, 15, MODE_EXCLUSIVE, WAIT_NOT, EAGAIN);
	right();
	rules.local = true;
	wrong();
	rules.local = false;
	ops[6].client = 3; /* on node 0 too */
	ops[6].node = 0;
	wrong();
}

static void test_a_close_keeps_the_process_s_ranges(void **state)
{
	all_open(1);
	ranges(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0);
	closes(0, 12, 13);
	ranges(1, 14, 15, MODE_EXCLUSIVE, WAIT_NOT, EAGAIN);
	wrong();
	ops[4].err = 0;
	right();
}

static void test_the_dead_keep_their_locks(void **state)
{
	all_open(3);
	flocks(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0);
	dies(0, 12, 13);
	flocks(3, 14, 15, MODE_EXCLUSIVE, WAIT_NOT, EAGAIN);
	wrong();
	ops[6].err = 0;
	right();
}

static void test_a_killed_waiter_keeps_what_it_got(void **state)
{
	all_open(3);
	flocks(0, 10, 20, MODE_EXCLUSIVE, WAIT_KILL, ERR_KILLED);
	memcpy(ops[4].got, (int64_t[]){0, -1, -1, -1}, 4 * sizeof(int64_t));
	flocks(3, 21, 30, MODE_EXCLUSIVE, WAIT_NOT, 0);
	flocks(1, 15, 16, MODE_EXCLUSIVE, WAIT_NOT, EAGAIN);
	right();
	ops[5].err = EAGAIN;
	wrong();
}

/* Contract 5.5 */
static void test_a_file_made_again_has_another_lock(void **state)
{
	all_open(0);
	flocks(0, 10, 11, MODE_EXCLUSIVE, WAIT_NOT, 0);
	unlinks(1, 12, 13, A, 0);
	opens(1, 14, 15, A, RW | OPEN_CREATE, 0, 101);
	flocks(1, 16, 17, MODE_EXCLUSIVE, WAIT_NOT, 0);
	right();
	rules.name_locks = true;
	wrong();
	ops[4].err = EAGAIN;
	right();
}

/* ---- Several rounds, and what people are shown ---- */

static void test_a_round_forgets_the_one_before(void **state)
{
	struct checker *c = checker_new(&rules);
	size_t stuck;

	makes(0, 0, 1, OP_MKNOD, A, 0);
	assert_int_equal(checker_round(c, ops, 1, &stuck), VERDICT_FINE);
	stats(1, 2, 3, A, ENOENT);
	assert_int_equal(checker_round(c, &ops[1], 1, &stuck), VERDICT_WRONG);
	ops[1].err = EEXIST;
	ops[1].kind = OP_MKNOD;
	assert_int_equal(checker_round(c, &ops[1], 1, &stuck), VERDICT_FINE);
	checker_free(c);
}

static char *explanation(void)
{
	struct checker *c = checker_new(&rules);
	char *text = NULL;
	size_t size, stuck;
	FILE *file = open_memstream(&text, &size);

	assert_int_equal(checker_round(c, ops, count, &stuck), VERDICT_WRONG);
	checker_explain(c, ops, count, stuck, file);
	fclose(file);
	checker_free(c);
	return text;
}

static void test_a_failure_is_shown_with_all_that_has_no_part_in_it(void **state)
{
	char *text;

	makes(3, 0, 9, OP_MKDIR, B, 0);
	makes(0, 1, 2, OP_MKNOD, A, 0);
	stats(2, 3, 4, B, ENOENT);
	unlinks(0, 5, 6, A, 0);
	opens(1, 7, 8, A, RW, 0, 100);
	text = explanation();
	assert_non_null(strstr(text, "unlink(d0/n0) = ok"));
	assert_non_null(strstr(text, "stuck at client 1: open(d0/n0, fd0, RW) = inode 100"));
	assert_non_null(strstr(text, "right would be: open(d0/n0, fd0, RW) = ENOENT"));
	assert_null(strstr(text, "mkdir"));
	assert_null(strstr(text, "stat"));
	free(text);
}

static void test_a_file_s_line_loses_something(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	struct op back;

	writes(2, 10, 20, 8, "aaab");
	ops[0].err = EFBIG;
	ops[0].got[15] = INT64_MIN;
	op_write(&ops[0], file);
	fclose(file);
	assert_memory_equal(text, "op ", 3);
	assert_true(op_read(&back, text + 3));
	assert_memory_equal(&back, &ops[0], sizeof(back));
	free(text);
}

static void test_a_line_that_is_none(void **state)
{
	struct op op;
	char lines[][64] = {"", "16", "16 0 0 1 2 open", "16 99 0 1 2 close 0 -1 -1 -1 0"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_false(op_read(&op, lines[i]));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_two_exclusive_creators),
		TEST(test_no_exclusive_creator_at_all),
		TEST(test_a_name_made_before_is_not_there),
		TEST(test_a_removed_name_is_still_there),
		TEST(test_two_remove_one_name),
		TEST(test_a_full_directory_is_removed),
		TEST(test_a_move_leaves_the_old_name),
		TEST(test_a_move_without_replacing_replaces),
		TEST(test_a_link_is_not_counted),
		TEST(test_a_file_made_again_is_the_old_one),
		TEST(test_a_listing_leaves_out_a_name),
		TEST(test_a_link_leads_elsewhere),
		TEST(test_a_place_in_a_file_is_found),
		TEST(test_one_removal_makes_a_stale_handle),
		TEST(test_a_stale_read),
		TEST(test_a_read_goes_back_in_time),
		TEST(test_a_lost_update),
		TEST(test_half_a_write_is_seen),
		TEST(test_too_much_is_written),
		TEST(test_a_truncation_is_forgotten),
		TEST(test_a_mode_is_forgotten),
		TEST(test_a_touch_is_forgotten),
		TEST(test_a_flock_held_twice),
		TEST(test_a_free_lock_is_refused),
		TEST(test_a_waiter_overtakes_the_holder),
		TEST(test_ranges_held_twice),
		TEST(test_an_unlocked_piece_is_still_locked),
		TEST(test_the_wrong_holder_is_named),
		TEST(test_what_is_given_back_was_never_held),
		TEST(test_a_deadlock_where_there_is_none),
		TEST(test_a_waiter_is_overtaken),
		TEST(test_a_close_does_not_release),
		TEST(test_a_close_releases_later),
		TEST(test_a_close_keeps_the_process_s_ranges),
		TEST(test_the_dead_keep_their_locks),
		TEST(test_a_killed_waiter_keeps_what_it_got),
		TEST(test_a_file_made_again_has_another_lock),
		TEST(test_a_round_forgets_the_one_before),
		TEST(test_a_failure_is_shown_with_all_that_has_no_part_in_it),
		TEST(test_a_file_s_line_loses_something),
		TEST(test_a_line_that_is_none),
	};

	return cmocka_run_group_tests_name("history_checker", tests, NULL, NULL);
}
