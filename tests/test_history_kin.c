/* SPDX-License-Identifier: MIT */
/* The checker of histories: locks that belong to names (contract 5.5). */
#include "tests/history_fixture.h"

#define NEW (RW | OPEN_CREATE)

static int setup_names(void **state)
{
	setup(state);
	rules.name_locks = true;
	return 0;
}

static struct op *excludes(int client, int64_t at, int err)
{
	return flocks(client, at, at + 1, MODE_EXCLUSIVE, WAIT_NOT, err);
}

static struct op *locks(int client, int64_t at, int mode, int byte, int err)
{
	struct op *op = ranges(client, at, at + 1, mode, WAIT_NOT, err);

	bytes(op, byte, byte);
	return op;
}

/* Client 0 holds the lock of inode 100, which was at this place, and then client 1 has inode 101
 * there. */
static void made_again(int place)
{
	opens(0, 2, 3, place, NEW, 0, 100);
	excludes(0, 4, 0);
	unlinks(1, 6, 7, place, 0);
	opens(1, 8, 9, place, NEW, 0, 101);
}

/* The last call gets this and nothing else. */
static void last_gets(int err, int not )
{
	ops[count - 1].err = not ;
	wrong();
	ops[count - 1].err = err;
	right();
}

static void test_a_file_made_again_has_another_lock(void **state)
{
	made_again(A);
	excludes(1, 10, EAGAIN);
	last_gets(EAGAIN, 0);
	rules.name_locks = false;
	last_gets(0, EAGAIN);
}

static void test_a_file_made_again_elsewhere_shares_locks(void **state)
{
	made_again(A);
	opens(2, 10, 11, B, NEW, 0, 102);
	excludes(2, 12, 0);
	last_gets(0, EAGAIN);
}

static void test_a_file_made_again_in_a_directory_has_another_lock(void **state)
{
	makes(2, 0, 1, OP_MKDIR, A, 0);
	made_again(IN_A);
	excludes(1, 10, EAGAIN);
	last_gets(EAGAIN, 0);
}

/* Client 0 holds the lock of inode 100, which was at d0/n0/x, and all of that has gone. */
static void locked_and_removed(void)
{
	makes(2, 0, 1, OP_MKDIR, A, 0);
	opens(0, 2, 3, IN_A, NEW, 0, 100);
	excludes(0, 4, 0);
	unlinks(1, 5, 6, IN_A, 0);
	add(1, 7, 8, OP_RMDIR, 0)->place = A;
}

static void test_a_removed_directory_takes_its_names_along(void **state)
{
	locked_and_removed();
	makes(2, 9, 10, OP_MKDIR, A, 0);
	opens(1, 11, 12, IN_A, NEW, 0, 101);
	excludes(1, 13, EAGAIN);
	last_gets(EAGAIN, 0);
}

static void test_another_directory_has_the_names_of_a_removed_one(void **state)
{
	locked_and_removed();
	makes(2, 9, 10, OP_MKDIR, B, 0);
	opens(1, 11, 12, B + 1, NEW, 0, 101);
	excludes(1, 13, 0);
	last_gets(0, EAGAIN);
}

static void test_a_directory_that_is_moved_has_no_names_of_a_removed_one(void **state)
{
	locked_and_removed();
	makes(2, 9, 10, OP_MKDIR, B, 0);
	renames(2, 11, 12, B, A, 0);
	opens(1, 13, 14, IN_A, NEW, 0, 101);
	excludes(1, 15, EAGAIN);
	last_gets(EAGAIN, 0);
}

/* d0/n0/x is a directory that was d0/n1, and then all is removed. */
static void test_a_tree_that_is_removed_loses_its_names(void **state)
{
	makes(2, 0, 1, OP_MKDIR, B, 0);
	opens(0, 2, 3, B + 1, NEW, 0, 100);
	excludes(0, 4, 0);
	unlinks(1, 5, 6, B + 1, 0);
	makes(2, 7, 8, OP_MKDIR, A, 0);
	renames(2, 9, 10, B, IN_A, 0);
	add(1, 11, 12, OP_RMDIR, 0)->place = IN_A;
	add(1, 13, 14, OP_RMDIR, 0)->place = A;
	makes(2, 15, 16, OP_MKDIR, A, 0);
	makes(2, 17, 18, OP_MKDIR, IN_A, 0);
	renames(2, 19, 20, IN_A, B, 0);
	opens(1, 21, 22, B + 1, NEW, 0, 101);
	excludes(1, 23, EAGAIN);
	last_gets(EAGAIN, 0);
}

/* Client 3 is on the node that knows of the close. */
static void test_a_removed_directory_outlives_its_files(void **state)
{
	locked_and_removed();
	closes(0, 9, 10);
	makes(2, 11, 12, OP_MKDIR, A, 0);
	opens(3, 13, 14, IN_A, NEW, 0, 101);
	excludes(3, 15, 0);
	last_gets(0, EAGAIN);
}

/* A record that was made later says where it is now; so both are right. */
static void test_a_restart_knows_what_was_in_a_removed_directory(void **state)
{
	rules.restarts = true;
	locked_and_removed();
	makes(2, 9, 10, OP_MKDIR, A, 0);
	opens(1, 11, 12, IN_A, NEW, 0, 101);
	excludes(1, 13, 0);
	right();
	ops[count - 1].err = EAGAIN;
	right();
}

static void test_a_moved_directory_forgets_the_names_in_it(void **state)
{
	makes(1, 0, 1, OP_MKDIR, B, 0);
	opens(0, 2, 3, B + 1, NEW, 0, 100);
	excludes(0, 4, 0);
	unlinks(1, 5, 6, B + 1, 0);
	renames(1, 7, 8, B, A, 0);
	opens(1, 9, 10, IN_A, NEW, 0, 101);
	excludes(1, 11, EAGAIN);
	last_gets(EAGAIN, 0);
}

static void test_a_replaced_file_takes_its_lock_along(void **state)
{
	all_open(0);
	excludes(0, 4, 0);
	opens(1, 6, 7, B, NEW, 0, 101);
	renames(2, 8, 9, B, A, 0);
	excludes(1, 10, EAGAIN);
	last_gets(EAGAIN, 0);
}

static void test_another_link_forgets_the_lock(void **state)
{
	all_open(0);
	excludes(0, 4, 0);
	opens(1, 6, 7, B, NEW, 0, 101);
	unlinks(2, 8, 9, A, 0);
	renames(2, 10, 11, B, A, 0)->kind = OP_LINK;
	excludes(1, 12, EAGAIN);
	last_gets(EAGAIN, 0);
}

/* Only the last name counts, and only of one who has it open. */
static void test_a_name_given_away_is_kept_in_mind(void **state)
{
	all_open(0);
	excludes(0, 4, 0);
	renames(2, 6, 7, A, B, 0);
	opens(1, 8, 9, A, NEW, 0, 101);
	excludes(1, 10, 0);
	last_gets(0, EAGAIN);
}

/* The race of local file systems: opened before the removal, locked after the name was made again. */
static void test_a_late_locker_is_alone_with_the_old_file(void **state)
{
	all_open(0);
	unlinks(1, 4, 5, A, 0);
	opens(1, 6, 7, A, NEW, 0, 101);
	excludes(1, 8, 0);
	excludes(0, 10, EAGAIN);
	last_gets(EAGAIN, 0);
}

static void test_two_old_files_have_two_locks(void **state)
{
	all_open(0);
	unlinks(2, 4, 5, A, 0);
	opens(1, 6, 7, A, NEW, 0, 101);
	unlinks(2, 8, 9, A, 0);
	excludes(0, 10, 0);
	excludes(1, 12, EAGAIN);
	last_gets(EAGAIN, 0);
}

static void test_a_symbolic_link_ties_strangers_together(void **state)
{
	opens(0, 0, 1, A, NEW, 0, 100);
	excludes(0, 2, 0);
	opens(1, 4, 5, B, NEW, 0, 101);
	unlinks(2, 6, 7, A, 0);
	unlinks(2, 8, 9, B, 0);
	makes(2, 10, 11, OP_SYMLINK, A, 0);
	renames(2, 12, 13, A, B, 0);
	excludes(1, 14, 0);
	last_gets(0, EAGAIN);
}

/* ---- Together, and apart ---- */

/* Inode 100 and inode 101 have lost a name each that inode 102 has had, and only 101 has locks. */
static void test_kin_without_locks_is_left_behind(void **state)
{
	opens(0, 0, 1, A, NEW, 0, 100);
	unlinks(0, 2, 3, A, 0);
	opens(1, 4, 5, B, NEW, 0, 101);
	excludes(1, 6, 0);
	unlinks(1, 8, 9, B, 0);
	opens(2, 10, 11, A, NEW, 0, 102);
	renames(2, 12, 13, A, B, 0)->kind = OP_LINK;
	unlinks(2, 14, 15, A, 0);
	excludes(0, 16, EAGAIN);
	last_gets(EAGAIN, 0);
}

/* Each was granted under a name of its own: both stay, and who comes waits for both. */
static void test_two_locked_files_of_one_name_free_one(void **state)
{
	all_open(0);
	excludes(0, 4, 0);
	opens(1, 6, 7, B, NEW, 0, 101);
	excludes(1, 8, 0);
	renames(2, 10, 11, B, A, 0);
	opens(2, 12, 13, A, RW, 0, 101);
	flocks(1, 14, 15, MODE_NONE, WAIT_NOT, 0);
	excludes(2, 16, EAGAIN);
	last_gets(EAGAIN, 0);
	flocks(0, 18, 19, MODE_NONE, WAIT_NOT, 0);
	excludes(2, 20, 0);
	last_gets(0, EAGAIN);
}

/* Two who would exclude each other have got together: what each has it may ask for again. */
static void test_who_has_a_range_is_refused_it(void **state)
{
	all_open(0);
	locks(0, 4, MODE_EXCLUSIVE, 2, 0);
	opens(1, 6, 7, B, NEW, 0, 101);
	bytes(locks(1, 8, MODE_EXCLUSIVE, 2, 0), 2, 3);
	renames(2, 10, 11, B, A, 0);
	locks(1, 12, MODE_EXCLUSIVE, 2, 0);
	right();
	ops[count - 1].arg[0] = MODE_SHARED;
	last_gets(EAGAIN, 0);
}

static void test_files_stay_together_without_a_lock(void **state)
{
	made_again(A);
	renames(2, 10, 11, A, B, 0);
	excludes(1, 12, EAGAIN);
	last_gets(EAGAIN, 0); /* as long as there is one */
	flocks(0, 14, 15, MODE_NONE, WAIT_NOT, 0);
	excludes(0, 16, 0);
	excludes(1, 18, 0);
	last_gets(0, EAGAIN);
}

/* The lock goes over from one who holds it to one who waits, and there is no moment between. */
static void test_files_part_between_release_and_grant(void **state)
{
	made_again(A);
	flocks(1, 12, 30, MODE_EXCLUSIVE, WAIT_SIGNAL, 0);
	renames(2, 14, 15, A, B, 0);
	flocks(0, 16, 29, MODE_NONE, WAIT_NOT, 0);
	excludes(0, 40, EAGAIN);
	right();
	ops[count - 1].err = 0; /* the waiter came late, and had lost his kin */
	right();
	ops[4].begin = 38; /* came later still */
	ops[4].end = 39;
	last_gets(0, EAGAIN);
}

static void test_a_question_does_not_bring_files_together(void **state)
{
	struct op *test;

	all_open(0);
	locks(0, 4, MODE_EXCLUSIVE, 2, 0);
	unlinks(1, 6, 7, A, 0);
	opens(1, 8, 9, A, NEW, 0, 101);
	test = locks(1, 10, MODE_EXCLUSIVE, 2, 0);
	test->kind = OP_TEST;
	wrong();
	memcpy(test->got, (int64_t[]){MODE_EXCLUSIVE, 2, 2, -1}, 4 * sizeof(int64_t));
	right();
}

/* A new master knows the names of now. */
static void test_a_restart_forgets_what_is_past(void **state)
{
	made_again(A);
	renames(2, 10, 11, A, B, 0);
	excludes(1, 12, 0);
	wrong();
	rules.restarts = true;
	right();
	ops[4] = *stats(2, 10, 11, B, ENOENT); /* never moved: it has the name now */
	count--;
	wrong();
}

/* ---- One process on both files ---- */

static void test_a_process_is_in_its_own_way(void **state)
{
	all_open(0);
	locks(0, 4, MODE_EXCLUSIVE, 2, 0);
	unlinks(0, 6, 7, A, 0);
	opens(0, 8, 9, A, NEW, 0, 101);
	ops[count - 1].slot = 1;
	locks(0, 10, MODE_EXCLUSIVE, 2, 0)->slot = 1;
	last_gets(0, EAGAIN);
	ops[count - 1].arg[4] = 1; /* OFD locks have other owners */
	last_gets(EAGAIN, 0);
}

static void test_a_process_unlocks_the_other_file_too(void **state)
{
	all_open(0);
	locks(0, 4, MODE_EXCLUSIVE, 2, 0);
	unlinks(0, 6, 7, A, 0);
	opens(0, 8, 9, A, NEW, 0, 101);
	ops[count - 1].slot = 1;
	locks(0, 10, MODE_EXCLUSIVE, 2, 0)->slot = 1;
	closes(0, 12, 13);
	opens(1, 14, 15, A, RW, 0, 101);
	locks(1, 16, MODE_EXCLUSIVE, 2, EAGAIN);
	last_gets(EAGAIN, 0);
	add(0, 18, 19, OP_CLOSE, 0)->slot = 1;
	locks(1, 20, MODE_EXCLUSIVE, 2, 0);
	last_gets(0, EAGAIN);
}

/* Client 1 has had inode 100 open, in whose set client 2 holds the lock of another file; it closes
 * it, and then inode 102 is made in the place of 100. On client 1's node the close is known. */
static void test_who_has_closed_the_file_keeps_its_name(void **state)
{
	opens(1, 0, 1, A, NEW, 0, 100);
	unlinks(1, 2, 3, A, 0);
	opens(2, 4, 5, A, NEW, 0, 101);
	excludes(2, 6, 0);
	locks(1, 8, MODE_NONE, 2, 0); /* brings them together */
	renames(2, 10, 11, A, B, 0);
	closes(1, 12, 13);
	opens(0, 14, 15, A, NEW, 0, 102);
	excludes(0, 16, EAGAIN);
	right();
	ops[count - 1].err = 0;
	right();
	ops[6].kind = OP_DUP; /* not closed at all */
	ops[6].slot2 = 1;
	last_gets(EAGAIN, 0);
	ops[6].kind = OP_CLOSE;
	ops[7].client = ops[8].client = 4; /* on the node that knows of the close */
	ops[7].node = ops[8].node = 1;
	last_gets(0, EAGAIN);
}

#define NAMES_TEST(name) cmocka_unit_test_setup(name, setup_names)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NAMES_TEST(test_a_file_made_again_has_another_lock),
		NAMES_TEST(test_a_file_made_again_elsewhere_shares_locks),
		NAMES_TEST(test_a_file_made_again_in_a_directory_has_another_lock),
		NAMES_TEST(test_a_removed_directory_takes_its_names_along),
		NAMES_TEST(test_another_directory_has_the_names_of_a_removed_one),
		NAMES_TEST(test_a_directory_that_is_moved_has_no_names_of_a_removed_one),
		NAMES_TEST(test_a_tree_that_is_removed_loses_its_names),
		NAMES_TEST(test_a_removed_directory_outlives_its_files),
		NAMES_TEST(test_a_restart_knows_what_was_in_a_removed_directory),
		NAMES_TEST(test_a_moved_directory_forgets_the_names_in_it),
		NAMES_TEST(test_a_replaced_file_takes_its_lock_along),
		NAMES_TEST(test_another_link_forgets_the_lock),
		NAMES_TEST(test_a_name_given_away_is_kept_in_mind),
		NAMES_TEST(test_a_late_locker_is_alone_with_the_old_file),
		NAMES_TEST(test_two_old_files_have_two_locks),
		NAMES_TEST(test_a_symbolic_link_ties_strangers_together),
		NAMES_TEST(test_kin_without_locks_is_left_behind),
		NAMES_TEST(test_two_locked_files_of_one_name_free_one),
		NAMES_TEST(test_who_has_a_range_is_refused_it),
		NAMES_TEST(test_files_stay_together_without_a_lock),
		NAMES_TEST(test_files_part_between_release_and_grant),
		NAMES_TEST(test_a_question_does_not_bring_files_together),
		NAMES_TEST(test_a_restart_forgets_what_is_past),
		NAMES_TEST(test_a_process_is_in_its_own_way),
		NAMES_TEST(test_a_process_unlocks_the_other_file_too),
		NAMES_TEST(test_who_has_closed_the_file_keeps_its_name),
	};

	return cmocka_run_group_tests_name("history_kin", tests, NULL, NULL);
}
