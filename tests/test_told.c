/* SPDX-License-Identifier: MIT */
/* What a kernel is told for a name, and what it is taken to know of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "fs/told.h"

#define DIR	  7 /* where the names are */
#define ANN	  100
#define BOB	  101
#define FILE_MODE (S_IFREG | 0644)
#define DIR_MODE  (S_IFDIR | 0755)

static int setup(void **state)
{
	*state = told_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	told_free(*state);
	return 0;
}

/* The thread looks, and is answered; ino 0: there is no such name. */
static uint64_t look(struct told *t, pid_t tid, const char *name, uint64_t ino, uint32_t mode)
{
	struct attr attr = {.ino = ino, .mode = mode};
	uint64_t number = told_look(t, tid, DIR, name);

	return told_answer(t, tid, number, ino ? &attr : NULL);
}

static struct message ask(struct told *t, pid_t tid, struct message m)
{
	told_fill(t, tid, &m);
	told_asks(t, tid, &m);
	return m;
}

static struct message rmdir_of(struct told *t, pid_t tid, const char *name)
{
	return ask(t, tid, (struct message){.kind = MESSAGE_UNLINK, .parent = DIR, .name = name});
}

static struct message rename_of(struct told *t, pid_t tid, const char *from, const char *to)
{
	return ask(t, tid,
		   (struct message){.kind = MESSAGE_RENAME,
				    .parent = DIR,
				    .name = from,
				    .target = DIR,
				    .name2 = to});
}

static void test_another_thread_is_taken_for_the_asker(void **state)
{
	assert_int_equal(look(*state, ANN, "d", 5, DIR_MODE), 5);
	assert_int_equal(look(*state, BOB, "d", 6, DIR_MODE), 6);
	assert_int_equal(rmdir_of(*state, ANN, "d").known, 5);
	assert_int_equal(rmdir_of(*state, BOB, "d").known, 6);
	assert_int_equal(rmdir_of(*state, BOB, "c").known, 0);
	assert_int_equal(rmdir_of(*state, ANN + TOLD_THREADS, "d").known, 0);
}

/* Two looks under way by threads whose numbers fall together: the second takes the place. */
static void test_an_answer_goes_to_another_threads_name(void **state)
{
	struct attr attr = {.ino = 5, .mode = DIR_MODE};
	uint64_t anns = told_look(*state, ANN, DIR, "d");
	uint64_t others = told_look(*state, ANN + TOLD_THREADS, DIR, "d");

	assert_int_equal(told_answer(*state, ANN, anns, &attr), 5);
	assert_int_equal(rmdir_of(*state, ANN + TOLD_THREADS, "d").known, 0);
	attr.ino = 6;
	assert_int_equal(told_answer(*state, ANN + TOLD_THREADS, others, &attr), 6);
	assert_int_equal(rmdir_of(*state, ANN + TOLD_THREADS, "d").known, 6);
}

static void test_a_directory_may_be_any(void **state)
{
	struct message m;

	look(*state, ANN, "f", 4, FILE_MODE);
	look(*state, ANN, "d", 5, DIR_MODE);
	assert_false(rmdir_of(*state, ANN, "d").flags & KNOWN_ANY);
	assert_true(rmdir_of(*state, ANN, "f").flags & KNOWN_ANY);
	m = rename_of(*state, ANN, "f", "d");
	assert_true(m.known == 4 && m.known2 == 5 && !(m.flags & KNOWN_ANY));
	look(*state, ANN, "d", 0, 0);
	m = rename_of(*state, ANN, "f", "d");
	assert_true(m.known == 4 && m.known2 == 0 && (m.flags & KNOWN_ANY));
}

/* The kernel looks again, at the directories above too, and gives the second ESTALE to the program. */
static void test_a_second_try_fails_or_hurts(void **state)
{
	struct message m;
	uint64_t shown[2];

	look(*state, ANN, "from", 4, DIR_MODE);
	look(*state, ANN, "to", 5, DIR_MODE);
	rename_of(*state, ANN, "from", "to");
	told_changed(*state, ANN);
	for (uint64_t i = 1; i < 9; i++) {
		assert_int_equal(look(*state, ANN, "a", i, DIR_MODE), i);
		assert_int_equal(look(*state, ANN, "b", i, DIR_MODE), i);
	}
	shown[0] = look(*state, ANN, "from", 6, DIR_MODE);
	shown[1] = look(*state, ANN, "to", 5, DIR_MODE);
	assert_true(shown[0] > TOLD_STAND_INS && shown[1] > TOLD_STAND_INS);
	assert_true(shown[0] != shown[1]);
	assert_true(look(*state, BOB, "to", 5, DIR_MODE) == 5);
	m = rename_of(*state, ANN, "from", "to");
	assert_true(m.known == 6 && m.known2 == 5 && (m.flags & KNOWN_ANY));
	assert_int_equal(look(*state, ANN, "from", 6, DIR_MODE), 6);
}

/* The kernel looks whether it is what it was, hears that nothing is there, and looks what is. */
static void test_a_name_that_is_gone_for_a_moment_lets_the_second_try_fail(void **state)
{
	look(*state, ANN, "d", 5, DIR_MODE);
	rmdir_of(*state, ANN, "d");
	told_changed(*state, ANN);
	assert_int_equal(look(*state, ANN, "d", 0, 0), 0);
	assert_true(look(*state, ANN, "d", 5, DIR_MODE) > TOLD_STAND_INS);
	assert_true(rmdir_of(*state, ANN, "d").flags & KNOWN_ANY);
	told_changed(*state, ANN);
	assert_int_equal(look(*state, ANN, "d", 7, FILE_MODE), 7);
	assert_true(look(*state, ANN, "d", 5, DIR_MODE) > TOLD_STAND_INS);
	assert_true(rmdir_of(*state, ANN, "d").flags & KNOWN_ANY);
	assert_int_equal(look(*state, ANN, "d", 5, DIR_MODE), 5);
}

static void test_a_stand_in_is_shown_to_others_than_a_second_try(void **state)
{
	struct message stat = {.kind = MESSAGE_GETATTR, .ino = DIR};
	uint64_t shown;

	look(*state, ANN, "d", 5, DIR_MODE);
	rmdir_of(*state, ANN, "d");
	told_changed(*state, ANN);
	assert_int_equal(look(*state, ANN, "d", 0, 0), 0);
	told_asks(*state, ANN, &stat);
	assert_int_equal(look(*state, ANN, "d", 6, DIR_MODE), 6);
	rmdir_of(*state, ANN, "d");
	told_changed(*state, ANN);
	assert_int_equal(look(*state, ANN, "d", 7, FILE_MODE), 7);
	look(*state, ANN, "e", 8, FILE_MODE);
	assert_int_equal(look(*state, ANN, "d", 6, DIR_MODE), 6);
	rmdir_of(*state, ANN, "d");
	told_changed(*state, ANN);
	told_asks(*state, ANN, &stat);
	shown = look(*state, ANN, "d", 6, DIR_MODE);
	assert_true(shown > TOLD_STAND_INS);
	stat.ino = shown;
	told_asks(*state, ANN, &stat);
	assert_int_equal(look(*state, ANN, "d", 6, DIR_MODE), 6);
}

/* A directory that goes to another one must be writable: that is asked when both names are known. */
static void test_a_second_try_to_move_a_directory_elsewhere_is_told_estale(void **state)
{
	uint64_t from, to;
	struct attr attr;

	look(*state, ANN, "from", 4, DIR_MODE);
	look(*state, ANN, "to", 5, DIR_MODE);
	rename_of(*state, ANN, "from", "to");
	told_changed(*state, ANN);
	from = look(*state, ANN, "from", 4, DIR_MODE);
	assert_false(told_attr(*state, ANN, from, &attr)); /* that is a stat */
	to = look(*state, ANN, "to", 6, DIR_MODE);
	assert_true(told_attr(*state, ANN, from, &attr));
	assert_true(attr.ino == from && attr.mode == DIR_MODE);
	assert_false(told_attr(*state, ANN, to, &attr) || told_attr(*state, BOB, from, &attr));
	assert_false(told_attr(*state, ANN, 4, &attr));
	assert_true(rename_of(*state, ANN, "from", "to").flags & KNOWN_ANY);
	assert_false(told_attr(*state, ANN, from, &attr));
	look(*state, ANN, "from", 4, DIR_MODE);
	rename_of(*state, ANN, "from", "to");
	told_changed(*state, ANN);
	from = look(*state, ANN, "from", 4, DIR_MODE);
	look(*state, ANN, "to", 0, 0);
	assert_true(told_attr(*state, ANN, from, &attr));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_another_thread_is_taken_for_the_asker),
		TEST(test_an_answer_goes_to_another_threads_name),
		TEST(test_a_directory_may_be_any),
		TEST(test_a_second_try_fails_or_hurts),
		TEST(test_a_second_try_to_move_a_directory_elsewhere_is_told_estale),
		TEST(test_a_name_that_is_gone_for_a_moment_lets_the_second_try_fail),
		TEST(test_a_stand_in_is_shown_to_others_than_a_second_try),
	};

	return cmocka_run_group_tests_name("told", tests, NULL, NULL);
}
