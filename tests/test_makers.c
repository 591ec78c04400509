/* SPDX-License-Identifier: MIT */
/* Fears about processes known by number: one taken for another, a line of /proc misread. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/makers.h"
#include "fs/process.h"

#define REST " 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 3 0 4711 0 0\n"

static struct process parsed(const char *stat)
{
	struct process p;

	assert_true(process_parse(stat, &p));
	return p;
}

static void test_a_name_passes_for_the_rest_of_the_line(void **state)
{
	struct process p = parsed("77 (a) Z 1 (b) S" REST);

	assert_int_equal(p.pid, 77);
	assert_string_equal(p.command, "a) Z 1 (b");
	assert_int_equal(p.start, 4711);
	assert_int_equal(p.threads, 3);
	assert_false(p.ended);
	assert_false(p.kernel);
	assert_string_equal(parsed("77 (a name of more than 15 bytes) S" REST).command,
			    "a name of more ");
}

static void test_half_a_line_is_believed(void **state)
{
	static const char *const lines[] = {
		"",
		"77",
		"77 (",
		"77 (a)",
		"77 (a) S",
		"77 )a( S" REST,
		"77 (a) S 1 1 1 0 -1 4194560 0 0",
		"0 (a) S" REST,
		"-1 (a) S" REST,
		"77 (a) S 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 3 0 x\n"};
	struct process p;

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_false(process_parse(lines[i], &p));
}

/* A process goes on while its first thread has ended. */
static void test_a_zombie_with_threads_passes_for_ended(void **state)
{
	assert_false(parsed("77 (a) Z" REST).ended);
	assert_true(parsed("77 (a) Z 1 1 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 0\n").ended);
	assert_true(parsed("77 (a) X" REST).ended);
	assert_true(
		parsed("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 8 0\n").kernel);
}

static pid_t child(void)
{
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Not waited for, so that its number stays its own. */
static void test_a_zombie_passes_for_alive(void **state)
{
	pid_t pid = child();
	struct process p;
	siginfo_t info;

	assert_true(process_read(pid, &p));
	assert_true(process_lives(pid, p.start));
	assert_false(process_lives(pid, p.start + 1));
	kill(pid, SIGKILL);
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	assert_false(process_lives(pid, p.start));
	waitpid(pid, NULL, 0);
	assert_false(process_read(pid, &p));
}

static void test_a_number_used_again_passes_for_the_maker(void **state)
{
	struct makers *m = makers_new();
	struct process p;
	uint64_t start = 0;
	pid_t pid = child();

	assert_false(makers_find(m, pid, &start));
	assert_true(makers_note(m, pid));
	assert_true(process_read(pid, &p));
	assert_true(makers_find(m, pid, &start));
	assert_int_equal(start, p.start);
	end(pid);
	assert_false(makers_note(m, pid));
	assert_true(makers_find(m, pid, &start));
	assert_false(process_lives(pid, start));
	makers_free(m);
}

/* Scripts make a process for every name. */
static void test_the_dead_are_remembered_for_ever(void **state)
{
	struct makers *m = makers_new();
	pid_t living = child();

	assert_true(makers_note(m, living));
	for (size_t i = 0; i < 2 * MAKERS_MIN; i++) {
		pid_t pid = child();

		assert_true(makers_note(m, pid));
		end(pid);
	}
	assert_in_range(makers_count(m), 2, MAKERS_MIN);
	assert_true(makers_find(m, living, &(uint64_t){0}));
	end(living);
	makers_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_passes_for_the_rest_of_the_line),
		cmocka_unit_test(test_half_a_line_is_believed),
		cmocka_unit_test(test_a_zombie_with_threads_passes_for_ended),
		cmocka_unit_test(test_a_zombie_passes_for_alive),
		cmocka_unit_test(test_a_number_used_again_passes_for_the_maker),
		cmocka_unit_test(test_the_dead_are_remembered_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
