/* SPDX-License-Identifier: MIT */
/* Fears about what a terminal is shown: a name that breaks a line, a column or the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/text.h"

static void want_escaped(const char *bytes, size_t len, enum text_as as, const char *wanted)
{
	char *text = text_escape(bytes, len, as);

	assert_string_equal(text, wanted);
	free(text);
}

#define WORD(bytes, wanted) want_escaped(bytes, sizeof(bytes) - 1, TEXT_WORD, wanted)
#define LINE(bytes, wanted) want_escaped(bytes, sizeof(bytes) - 1, TEXT_LINE, wanted)

static void test_a_name_makes_a_second_field_or_line(void **state)
{
	WORD("dir/job-1.lock", "dir/job-1.lock");
	WORD("a b\tc\nd\re", "a\\040b\\011c\\012d\\015e");
	WORD("a\\040b", "a\\134040b");
	WORD("\xc2\xa0\xe3\x80\x80\xe2\x80\x89", "\\302\\240\\343\\200\\200\\342\\200\\211");
	WORD("nul\0in", "nul\\000in");
	LINE("a b\\c\nd", "a b\\c\\012d");
}

static void test_a_name_commands_the_terminal(void **state)
{
	WORD("\033[31mred\033]0;title\007", "\\033[31mred\\033]0;title\\007");
	LINE("\177\x08", "\\177\\010");
	/* C1, as Unicode and as a byte. */
	LINE("\xc2\x9b"
	     "31m",
	     "\\302\\23331m");
	LINE("\x9b", "\\233");
}

static void test_a_name_hides_or_turns_text_around(void **state)
{
	LINE("\xe2\x80\xae\xe2\x80\x8b", "\\342\\200\\256\\342\\200\\213");
	LINE("\xe2\x81\xa6\xef\xbb\xbf", "\\342\\201\\246\\357\\273\\277");
}

static void test_what_is_no_utf8_is_printed(void **state)
{
	WORD("\xff\xfe", "\\377\\376");
	WORD("\xc3", "\\303");		/* cut short */
	WORD("\xc0\xaf", "\\300\\257"); /* overlong */
	WORD("\xe0\x80\xaf", "\\340\\200\\257");
	WORD("\xed\xa0\x80", "\\355\\240\\200"); /* a surrogate */
	WORD("\xf4\x90\x80\x80", "\\364\\220\\200\\200");
	WORD("\xc3\xa4\xc3", "\xc3\xa4\\303");
}

static void test_columns_are_counted_as_bytes(void **state)
{
	assert_int_equal(text_width("abc"), 3);
	assert_int_equal(text_width("\xc3\xa4\xc3\xb6"), 2);
	assert_int_equal(text_width("\xe6\x97\xa5\xe6\x9c\xac"), 4); /* two columns each */
	assert_int_equal(text_width("e\xcc\x81"), 1);		     /* combining */
}

static void want_cut(const char *from, size_t width, const char *wanted)
{
	char *text = text_cut(text_dup(from), width);

	assert_string_equal(text, wanted);
	assert_true(text_width(text) <= width);
	free(text);
}

static void test_a_cut_is_in_the_middle_of_a_character(void **state)
{
	want_cut("abcdef", 6, "abcdef");
	want_cut("abcdef", 5, "abcd\xe2\x80\xa6");
	want_cut("abcdef", 1, "\xe2\x80\xa6");
	want_cut("abcdefg\xc3\xa4\xc3\xb6\xc3\xbc", 9, "abcdefg\xc3\xa4\xe2\x80\xa6");
	want_cut("\xe6\x97\xa5\xe6\x9c\xac", 3, "\xe6\x97\xa5\xe2\x80\xa6");
	want_cut("\xe6\x97\xa5\xe6\x9c\xac", 2, "\xe2\x80\xa6");
	want_cut("ab", 1, "\xe2\x80\xa6");
}

static void test_a_terminal_that_knows_ascii_gets_more(void **state)
{
	setlocale(LC_ALL, "C");
	setenv("LC_ALL", "C", 1);
	text_init();
	WORD("\xc3\xa4", "\\303\\244");
	want_cut("abcdefgh", 5, "abcd~");
	setenv("LC_ALL", "C.UTF-8", 1);
	text_init();
}

static void want_span(double seconds, const char *wanted)
{
	char out[TEXT_SPAN_BYTES];

	text_span(out, seconds);
	assert_string_equal(out, wanted);
}

static void test_a_time_is_said_as_nobody_says_it(void **state)
{
	want_span(0, "0.0s");
	want_span(0.42, "0.4s");
	want_span(9.94, "9.9s");
	want_span(9.96, "10s");	 /* not 10.0s */
	want_span(59.99, "59s"); /* not 60s */
	want_span(60, "1m00s");
	want_span(192.5, "3m12s");
	want_span(3599.9, "59m59s");
	want_span(7500, "2h05m");
	want_span(86399, "23h59m");
	want_span(3 * 86400 + 4 * 3600, "3d04h");
	want_span(-3, "0.0s");
	want_span(0.0 / 0.0, "0.0s");
	want_span(1e300, "11574074d01h");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_makes_a_second_field_or_line),
		cmocka_unit_test(test_a_name_commands_the_terminal),
		cmocka_unit_test(test_a_name_hides_or_turns_text_around),
		cmocka_unit_test(test_what_is_no_utf8_is_printed),
		cmocka_unit_test(test_columns_are_counted_as_bytes),
		cmocka_unit_test(test_a_cut_is_in_the_middle_of_a_character),
		cmocka_unit_test(test_a_terminal_that_knows_ascii_gets_more),
		cmocka_unit_test(test_a_time_is_said_as_nobody_says_it),
	};

	setenv("LC_ALL", "C.UTF-8", 1);
	text_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
