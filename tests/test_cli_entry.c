/* SPDX-License-Identifier: MIT */
/* Fears about what .dlock/ says: a name that is no UTF-8 is another's, a field that is missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/entry.h"
#include "cli/text.h"

static json_t *entry;

static void load(const char *text)
{
	json_decref(entry);
	entry = json_loads(text, 0, NULL);
	assert_non_null(entry);
}

static int unload(void **state)
{
	json_decref(entry);
	entry = NULL;
	return 0;
}

static void want(char *text, const char *wanted)
{
	assert_string_equal(text, wanted);
	free(text);
}

static void test_a_name_that_is_no_utf8_is_anothers(void **state)
{
	load("{\"name\":\"a\\ufffd\",\"name_hex\":\"61ff\"}");
	assert_true(entry_is(entry, "a\xff"));
	assert_false(entry_is(entry, "a\xef\xbf\xbd"));
	want(entry_word(entry, "name"), "a\\377");
	load("{\"name\":\"a\\ufffd\"}");
	assert_true(entry_is(entry, "a\xef\xbf\xbd"));
	load("{\"name\":\"ab\",\"name_hex\":\"6x\"}");
	assert_true(entry_is(entry, "ab"));
	load("{\"name\":\"dir/job\"}");
	assert_false(entry_is(entry, "dir/jo"));
	assert_false(entry_is(entry, "job"));
}

static void test_a_field_is_missing(void **state)
{
	load("{\"pid\":\"x\",\"age\":null,\"node\":3}");
	assert_int_equal(entry_number(entry, "pid"), 0);
	assert_true(entry_real(entry, "age") == 0);
	assert_string_equal(entry_text(entry, "node"), "");
	want(entry_holder(entry), ":0");
	want(entry_range(entry), "-");
	assert_string_equal(entry_text(NULL, "node"), "");
}

static void test_a_holder_has_more_than_two_words(void **state)
{
	load("{\"node\":\"a b\",\"pid\":71,\"command\":\"my \\u001bcommand\"}");
	want(entry_holder(entry), "a\\040b:71 my\\040\\033command");
}

static void test_a_range_is_off_by_one(void **state)
{
	load("{\"start\":0,\"length\":0}");
	want(entry_range(entry), "all");
	load("{\"start\":10,\"length\":20}");
	want(entry_range(entry), "10-29");
	load("{\"start\":10,\"length\":1}");
	want(entry_range(entry), "10-10");
	load("{\"start\":1073741824,\"length\":0}");
	want(entry_range(entry), "1073741824-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_a_name_that_is_no_utf8_is_anothers, unload),
		cmocka_unit_test_teardown(test_a_field_is_missing, unload),
		cmocka_unit_test_teardown(test_a_holder_has_more_than_two_words, unload),
		cmocka_unit_test_teardown(test_a_range_is_off_by_one, unload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
