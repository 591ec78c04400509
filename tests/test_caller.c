/* SPDX-License-Identifier: MIT */
/* Fears about who asks: a thread taken for its process, a name cut wrongly or run over its end. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/caller.h"

static struct caller parsed(const char *status)
{
	struct caller c = {.pid = 4};

	caller_parse(status, &c);
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
	assert_int_equal(parsed("Name:\tsh\nUmask:\t0022\n").pid, 4);
	assert_string_equal(parsed("Name:\tsh\nUmask:\t0022\n").command, "");
	assert_int_equal(parsed("").pid, 4);
	assert_int_equal(parsed("Pid:\t1\nTgid:\t7\n").pid, 4);
}

/* The name is the program's to choose: it may look like the rest. */
static void test_a_name_passes_for_a_number(void **state)
{
	struct caller c = parsed("Name:\t\\nTgid:\t9\nUmask:\t0022\nTgid:\t7\nNgid:\t0\n");

	assert_int_equal(c.pid, 7);
	assert_string_equal(c.command, "\nTgid:\t9");
}

static void *look_at_oneself(void *arg)
{
	prctl(PR_SET_NAME, "a\n\\ thread");
	caller_find(gettid(), arg);
	return NULL;
}

static void test_a_thread_passes_for_a_process(void **state)
{
	struct caller c;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, look_at_oneself, &c), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(c.pid, getpid());
	assert_string_equal(c.command, "a\n\\ thread");
}

static void test_nobody_passes_for_somebody(void **state)
{
	struct caller c;

	memset(&c, 0xff, sizeof(c));
	caller_find(0, &c); /* of another PID namespace */
	assert_true(c.pid == 0 && c.command[0] == '\0');
	memset(&c, 0xff, sizeof(c));
	caller_find(INT32_MAX, &c); /* gone meanwhile: above any pid_max */
	assert_true(c.pid == INT32_MAX && c.command[0] == '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_runs_over_its_end),
		cmocka_unit_test(test_half_a_status_is_believed),
		cmocka_unit_test(test_a_name_passes_for_a_number),
		cmocka_unit_test(test_a_thread_passes_for_a_process),
		cmocka_unit_test(test_nobody_passes_for_somebody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
