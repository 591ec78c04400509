/* SPDX-License-Identifier: MIT */
/* Fears about who asks: a thread taken for its process, a name cut wrongly or run over its end. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/caller.h"

static struct callers *callers;

static int setup(void **state)
{
	callers = callers_new();
	prctl(PR_SET_NAME, "test_caller");
	return callers ? 0 : -1;
}

static int teardown(void **state)
{
	callers_free(callers);
	return 0;
}

static struct caller parsed(const char *status)
{
	struct caller c;

	assert_true(caller_parse(status, &c));
	return c;
}

static void test_a_name_runs_over_its_end(void **state)
{
	assert_string_equal(parsed("Name:\ta name of twenty byt\nUmask:\t0022\nTgid:\t7\n").command,
			    "a name of twent");
	assert_string_equal(parsed("Name:\tx\\\\\\\\\\ny\\\nTgid:\t7\n").command, "x\\\\\ny\\");
	assert_string_equal(parsed("Name:\t\nTgid:\t7\n").command, "");
}

static void test_half_a_status_is_believed(void **state)
{
	struct caller c;

	assert_false(caller_parse("Name:\tsh\nUmask:\t0022\n", &c));
	assert_false(caller_parse("", &c));
	assert_false(caller_parse("Pid:\t1\nTgid:\t7\n", &c));
}

/* The name is the program's to choose: it may look like the rest. */
static void test_a_name_passes_for_a_number(void **state)
{
	struct caller c = parsed("Name:\t\\nTgid:\t9\nUmask:\t0022\nTgid:\t7\nNgid:\t0\n");

	assert_int_equal(c.pid, 7);
	assert_string_equal(c.command, "\nTgid:\t9");
}

#define ROUNDS 3 /* unknown, remembered, recalled */

static void *look_at_oneself(void *arg)
{
	struct caller *seen = arg;

	prctl(PR_SET_NAME, "a\n\\ thread");
	for (int i = 0; i < ROUNDS; i++)
		callers_find(callers, gettid(), &seen[i]);
	return NULL;
}

static void test_a_thread_passes_for_a_process(void **state)
{
	struct caller seen[ROUNDS];
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, look_at_oneself, seen), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(seen[i].pid, getpid());
		assert_string_equal(seen[i].command, "a\n\\ thread");
	}
}

static struct caller oneself(void)
{
	struct caller c;

	callers_find(callers, gettid(), &c);
	return c;
}

/* exec(2), or prctl(2). */
static void test_an_old_name_is_recalled(void **state)
{
	for (int i = 0; i < ROUNDS; i++)
		oneself();
	prctl(PR_SET_NAME, "fifteen bytes!!");
	assert_string_equal(oneself().command, "fifteen bytes!!");
	prctl(PR_SET_NAME, "");
	assert_string_equal(oneself().command, "");
	assert_int_equal(oneself().pid, getpid());
}

/* A process that is gone is recalled for nobody, not even for one that gets its number. */
static void test_the_dead_are_recalled(void **state)
{
	struct caller c, alive;
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	assert_true(pid > 0);
	for (int i = 0; i < ROUNDS; i++)
		callers_find(callers, pid, &alive);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(alive.pid, pid);
	assert_true(alive.command[0] != '\0');
	callers_find(callers, pid, &c);
	assert_true(c.pid == (uint32_t)pid && c.command[0] == '\0');
}

/* Two threads that share a slot. */
static void test_one_is_taken_for_another(void **state)
{
	struct caller c;

	for (int i = 0; i < 2 * ROUNDS; i++) {
		callers_find(callers, gettid() + (i / 2 % 2) * CALLERS_MAX * 100000, &c);
		assert_int_equal(c.pid, getpid() + (i / 2 % 2) * CALLERS_MAX * 100000);
		assert_true((c.command[0] != '\0') == (i / 2 % 2 == 0));
	}
}

static void test_nobody_passes_for_somebody(void **state)
{
	struct caller c;

	memset(&c, 0xff, sizeof(c));
	callers_find(callers, 0, &c); /* of another PID namespace */
	assert_true(c.pid == 0 && c.command[0] == '\0');
	memset(&c, 0xff, sizeof(c));
	callers_find(callers, INT32_MAX, &c); /* above any pid_max */
	assert_true(c.pid == INT32_MAX && c.command[0] == '\0');
}

#define FEAR(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FEAR(test_a_name_runs_over_its_end),   FEAR(test_half_a_status_is_believed),
		FEAR(test_a_name_passes_for_a_number), FEAR(test_a_thread_passes_for_a_process),
		FEAR(test_an_old_name_is_recalled),    FEAR(test_the_dead_are_recalled),
		FEAR(test_one_is_taken_for_another),   FEAR(test_nobody_passes_for_somebody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
