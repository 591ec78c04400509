/* SPDX-License-Identifier: MIT */
/* Fears about the command line: an option that is CMD's is taken as ours, or a mistake as none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/args.h"

static struct args a;

static int parse(const char *line)
{
	static char words[256], *argv[32];
	int argc = 0;
	char *rest = words, *word;

	snprintf(words, sizeof(words), "dlock %s", line);
	while ((word = strsep(&rest, " ")))
		argv[argc++] = word;
	argv[argc] = NULL;
	return args_parse(&a, argc, argv);
}

/* What it says of mistakes is for people; here is only that it is one. */
static int quiet(void **state)
{
	int null = open("/dev/null", O_WRONLY);

	dup2(null, STDERR_FILENO);
	return close(null);
}

#define GOOD(line) assert_int_equal(parse(line), -1)
#define BAD(line)  assert_int_equal(parse(line), EX_USAGE)

static void test_an_option_of_cmd_is_ours(void **state)
{
	GOOD("run -n job -- sh -c true -w x --help");
	assert_true(a.nonblock);
	assert_string_equal(a.name, "job");
	assert_string_equal(a.argv[0], "sh");
	assert_string_equal(a.argv[3], "-w");
	GOOD("run job ls -s"); /* as flock(1) has it */
	assert_false(a.shared);
	assert_string_equal(a.argv[1], "-s");
	GOOD("run -- -job -- ls");
	assert_string_equal(a.name, "-job");
	assert_string_equal(a.argv[0], "ls");
	GOOD("elect job -- -- x");
	assert_string_equal(a.argv[0], "--");
}

static void test_the_mount_stands_in_one_place_only(void **state)
{
	GOOD("-m /a ls");
	assert_string_equal(a.mount, "/a");
	GOOD("ls -m /a");
	assert_string_equal(a.mount, "/a");
	GOOD("ls --mount=/a --json");
	assert_true(a.json && a.command == COMMAND_LS);
	GOOD("-m /b run -m /a job x");
	assert_string_equal(a.mount, "/a");
	GOOD("ls");
	assert_null(a.mount);
	BAD("-m");
	BAD("ls --mount=");
}

static void test_a_value_is_misread(void **state)
{
	GOOD("run -s -w 1.5 -E 0 job x");
	assert_true(a.shared && a.wait_ns == 1500000000 && a.conflict == 0);
	GOOD("run job x");
	assert_true(!a.shared && a.wait_ns == ARGS_WAIT_FOREVER && a.conflict == 1);
	GOOD("run -sx --timeout .25 job x");
	assert_true(!a.shared && a.wait_ns == 250000000);
	GOOD("who job --json");
	assert_true(a.json);
	GOOD("wait job -w 0");
	assert_int_equal(a.wait_ns, 0);
	GOOD("once -p 1d -q job -- x");
	assert_true(a.quiet && a.period_s == 86400);
	BAD("run -w x job x");
	BAD("run -w -1 job x");
	BAD("run -w inf job x");
	BAD("run -w 1s job x");
	BAD("run -w");
	BAD("run -E 256 job x");
	BAD("run -E -1 job x");
	BAD("run -E 1x job x");
	BAD("once -p 0 job x");
}

static void test_a_mistake_is_none(void **state)
{
	BAD("");
	BAD("lock");
	BAD("-x ls");
	BAD("ls job");
	BAD("status job");
	BAD("who");
	BAD("who a b");
	BAD("watch a b");
	BAD("break");
	BAD("run");
	BAD("run job");
	BAD("run job --");
	BAD("once job x");
	BAD("ls --period 1d");
	BAD("ls -w 3");
	BAD("ls --nosuch");
	BAD("elect -n job x");
	BAD("status --json=x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_option_of_cmd_is_ours),
		cmocka_unit_test(test_the_mount_stands_in_one_place_only),
		cmocka_unit_test(test_a_value_is_misread),
		cmocka_unit_test(test_a_mistake_is_none),
	};

	return cmocka_run_group_tests(tests, quiet, NULL);
}
