/* SPDX-License-Identifier: MIT */
/* Fears about what is written, and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lockcore/moment.h"
#include "transport/log.h"

/* stderr is a file while a line is written. */
static FILE *file;
static int saved;

static void begin(void)
{
	file = tmpfile();
	assert_non_null(file);
	saved = dup(STDERR_FILENO);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
}

static void end(char *text, size_t size)
{
	size_t len;

	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	len = fread(text, 1, size - 1, file);
	text[len] = '\0';
	fclose(file);
}

static void name_stream(off_t inode_off_by)
{
	char stream[64];
	struct stat st;

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino + (uintmax_t)inode_off_by);
	setenv("JOURNAL_STREAM", stream, 1);
}

static void test_the_journal_takes_an_error_for_information(void **state)
{
	char text[500];

	begin();
	name_stream(0);
	log_open("prog");
	log_error("lost %d", 1);
	log_warning("look");
	log_info("came");
	log_debug("not written");
	end(text, sizeof(text));
	assert_string_equal(text, "<3>lost 1\n<4>look\n<6>came\n");
}

static void test_a_terminal_is_taken_for_the_journal(void **state)
{
	char text[500];

	begin();
	name_stream(1); /* of a parent whose stderr was the journal */
	log_open("prog");
	log_error("lost");
	end(text, sizeof(text));
	assert_string_equal(text, "prog: lost\n");
}

static void test_a_text_from_outside_writes_a_line_of_its_own(void **state)
{
	char text[500];

	begin();
	unsetenv("JOURNAL_STREAM");
	log_open("prog");
	log_error("node %s", "x\nprog: a lie\033[2J\x7f");
	end(text, sizeof(text));
	assert_string_equal(text, "prog: node x?prog: a lie?[2J?\n");
}

/* How many of so many are allowed at that time. */
static int allowed(struct log_limit *limit, int count, int64_t now_ns)
{
	int yes = 0;

	for (int i = 0; i < count; i++)
		yes += log_allows(limit, now_ns);
	return yes;
}

static void test_a_peer_fills_the_disk(void **state)
{
	struct log_limit limit = {0};
	int64_t now = 1000 * NS_PER_SEC;
	char text[500];

	begin();
	unsetenv("JOURNAL_STREAM");
	log_open("prog");
	assert_int_equal(allowed(&limit, LOG_BURST * 10, now), LOG_BURST);
	/* A day of it. */
	for (int i = 1; i <= 86400; i++)
		assert_int_equal(log_allows(&limit, now + i * NS_PER_SEC), i % 2 == 0);
	end(text, sizeof(text));
	assert_memory_equal(text, "prog: 901 more lines like the next were not written\n", 51);
}

static void test_what_is_rare_is_kept_back(void **state)
{
	struct log_limit limit = {0};

	for (int i = 1; i < 1000; i++)
		assert_true(log_allows(&limit, i * LOG_EVERY_NS));
	/* And after a rest there is room for a burst again. */
	assert_int_equal(allowed(&limit, LOG_BURST + 1, 5000 * LOG_EVERY_NS), LOG_BURST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_journal_takes_an_error_for_information),
		cmocka_unit_test(test_a_terminal_is_taken_for_the_journal),
		cmocka_unit_test(test_a_text_from_outside_writes_a_line_of_its_own),
		cmocka_unit_test(test_a_peer_fills_the_disk),
		cmocka_unit_test(test_what_is_rare_is_kept_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
