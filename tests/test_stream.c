/* SPDX-License-Identifier: MIT */
/* Fears about streams: lines that are lost, torn or doubled, and readers that cost too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/stream.h"

static bool add(struct stream *s, const char *line)
{
	return stream_add(s, line, strlen(line));
}

/* The next read of this size gives this. */
static void reads(struct stream *s, size_t size, const char *want)
{
	const char *bytes = NULL;
	size_t len = stream_peek(s, size, &bytes);

	assert_int_equal(len, strlen(want));
	if (len)
		assert_memory_equal(bytes, want, len);
	stream_read(s, len);
}

static void test_lines_are_torn(void **state)
{
	struct stream s = {0};

	assert_true(stream_is_empty(&s));
	add(&s, "one\n");
	add(&s, "two\n");
	add(&s, "three\n");
	assert_false(stream_is_empty(&s));
	reads(&s, 9, "one\ntwo\n"); /* the ninth byte stays free */
	reads(&s, 7, "three\n");
	assert_true(stream_is_empty(&s));
	reads(&s, 100, "");
	stream_deinit(&s);
}

static void test_a_full_buffer_is_filled_to_the_last_byte(void **state)
{
	struct stream s = {0};

	add(&s, "one\n");
	add(&s, "two\n");
	reads(&s, 8, "one\n");
	reads(&s, 5, "two\n");
	stream_deinit(&s);
}

static void test_a_long_line_blocks_the_stream(void **state)
{
	struct stream s = {0};

	add(&s, "a line\n");
	add(&s, "b\n");
	reads(&s, 4, "a l");
	reads(&s, 6, "ine\n");
	reads(&s, 6, "b\n");
	stream_deinit(&s);
}

/* The reader's kernel did not take it: it comes again. */
static void test_what_did_not_arrive_is_lost(void **state)
{
	struct stream s = {0};
	const char *bytes;

	add(&s, "one\n");
	assert_int_equal(stream_peek(&s, 100, &bytes), 4);
	add(&s, "two\n");
	reads(&s, 100, "one\ntwo\n");
	stream_deinit(&s);
}

static void test_a_slow_reader_takes_all_memory_or_does_not_hear(void **state)
{
	static const char line[] = "a line of some length\n";
	struct stream s = {0};
	size_t kept = 0, read = 0, len;
	const char *bytes;

	while (add(&s, line))
		kept++;
	assert_true(kept > STREAM_MAX_BYTES / sizeof(line) && s.room <= 2 * STREAM_MAX_BYTES);
	stream_miss(&s, 3);
	reads(&s, sizeof(line), line); /* there is room again, but there is a gap before it */
	assert_false(add(&s, line));
	while ((len = stream_peek(&s, 4096, &bytes)) && *bytes == 'a') {
		read += len / (sizeof(line) - 1);
		stream_read(&s, len);
	}
	assert_int_equal(read, kept - 1);
	reads(&s, 4096, "{\"event\":\"missed\",\"count\":5}\n");
	assert_true(stream_is_empty(&s));
	assert_true(add(&s, line));
	reads(&s, 4096, line);
	stream_deinit(&s);
}

static void test_a_reader_who_keeps_up_makes_it_grow(void **state)
{
	struct stream s = {0};

	for (int i = 0; i < 100000; i++) {
		add(&s, "one line\n");
		add(&s, "another\n");
		reads(&s, 12, "one line\n");
		reads(&s, 12, "another\n");
	}
	assert_true(s.room <= 4096);
	for (int i = 0; i < 100000; i++) { /* never quite empty */
		add(&s, "another\n");
		if (i)
			reads(&s, 12, "another\n");
	}
	assert_true(s.room <= 4096);
	stream_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_are_torn),
		cmocka_unit_test(test_a_full_buffer_is_filled_to_the_last_byte),
		cmocka_unit_test(test_a_long_line_blocks_the_stream),
		cmocka_unit_test(test_what_did_not_arrive_is_lost),
		cmocka_unit_test(test_a_slow_reader_takes_all_memory_or_does_not_hear),
		cmocka_unit_test(test_a_reader_who_keeps_up_makes_it_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
