/* SPDX-License-Identifier: MIT */
/* The checker of histories and its model: what no file system would show of its files must be
 * refused, and what one may show must not be. And what people are shown then. */
#include "tests/history_fixture.h"

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
	ops[1].got[0] = 1; /* what fits */
	right();
	ops[1].err = EFBIG;
	wrong();
	ops[1].arg[0] = CONTENT_LIMIT;
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
		TEST(test_a_round_forgets_the_one_before),
		TEST(test_a_failure_is_shown_with_all_that_has_no_part_in_it),
		TEST(test_a_file_s_line_loses_something),
		TEST(test_a_line_that_is_none),
	};

	return cmocka_run_group_tests_name("history_checker", tests, NULL, NULL);
}
