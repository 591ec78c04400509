/* SPDX-License-Identifier: MIT */
/* Fears about tables and JSON of locks: names that break a line, a terminal or a parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "fs/escape.h"
#include "fs/survey.h"
#include "lockcore/moment.h"

static char *escaped(const char *s)
{
	static char text[256];
	FILE *to = fmemopen(text, sizeof(text), "w");

	escape_write(s, to);
	fclose(to);
	assert_int_equal(escape_width(s) >= strlen(text) / 3, true);
	return text;
}

static void test_a_name_leaves_its_line(void **state)
{
	assert_string_equal(escaped("plain-name_1.lock"), "plain-name_1.lock");
	assert_string_equal(escaped("a b\tc\nd\\e"), "a\\040b\\011c\\012d\\134e");
	assert_string_equal(escaped("\x1b[2J\x7f"), "\\033[2J\\177");
	assert_string_equal(escaped("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
	assert_string_equal(escaped("\xc2\x9b\xc2\xa0"), "\\302\\233\\302\\240"); /* CSI, NBSP */
	assert_string_equal(escaped("\xe2\x80\xae"),
			    "\\342\\200\\256"); /* right to left from here */
	assert_string_equal(escaped("\xe3\x80\x80"), "\\343\\200\\200"); /* a wide space */
}

static void test_what_is_no_utf8_passes_as_it(void **state)
{
	static const char *const bad[] = {
		"\x80", /* goes on, and nothing began */
		"\xff",
		"\xc3",
		"\xc3(", /* cut off */
		"\xc0\xaf",
		"\xe0\x80\xaf",	    /* longer than need be */
		"\xed\xa0\x80",	    /* half of a pair */
		"\xf4\x90\x80\x80", /* beyond Unicode */
		"\xe2\x82",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(escape_utf8(bad[i]), 0);
		assert_int_equal(escaped(bad[i])[0], '\\');
	}
	assert_int_equal(escape_utf8("\xf0\x9f\x94\x92"), 4);
	assert_int_equal(escape_utf8("\xf4\x8f\xbf\xbf"), 4);
	assert_int_equal(escape_utf8("\xe2\x82\xac"), 3);
	assert_int_equal(escape_utf8("a"), 1);
	assert_int_equal(escape_width("\xf0\x9f\x94\x92\xff"), 5);
}

/* ---- Texts ---- */

static struct survey *survey_of(const struct surveyed *found, size_t count)
{
	struct survey *s = survey_new(0);
	struct message reply = {.kind = MESSAGE_REPLY,
				.epoch = 1,
				.flags = REPLY_END,
				.surveyed = found,
				.surveyed_count = count};

	assert_true(survey_add(s, &reply) && survey_is_done(s));
	return s;
}

/* Written to its end; freed by the caller. */
static char *text_of(const struct survey *s,
		     int (*text)(const struct fs *fs, const struct survey *s, size_t piece,
				 FILE *to))
{
	char *bytes = NULL;
	size_t len, piece = 0;
	FILE *to = open_memstream(&bytes, &len);

	while (text(NULL, s, piece, to))
		piece++;
	fclose(to);
	return bytes;
}

static const struct surveyed two[] = {
	{.token = 1099511627778,
	 .ino = 17,
	 .queue = 5,
	 .end = RANGE_END,
	 .age_ns = 3299 * NS_PER_MS,
	 .left_ns = 8301 * NS_PER_MS,
	 .pid = 71,
	 .mode = LOCK_EXCLUSIVE,
	 .command = "flock",
	 .name = "dir/job one",
	 .node = "a"},
	{.ticket = 7,
	 .ino = 17,
	 .queue = 5,
	 .start = 3,
	 .end = 12,
	 .age_ns = 1500 * NS_PER_MS,
	 .pid = 100000,
	 .uid = 1000,
	 .kind = HOLDER_RANGE,
	 .mode = LOCK_SHARED,
	 .command = "",
	 .name = "gr\xc3\xbc\xc3\x9f",
	 .node = "b c"},
};

static void test_columns_do_not_line_up(void **state)
{
	struct surveyed found[3] = {two[0], two[0], two[1]};
	struct survey *s;
	char *text;

	found[1].kind = HOLDER_NAME;
	found[1].mode = LOCK_NONE;
	found[1].name = "\xc3\xbc";
	found[1].pid = 7;
	s = survey_of(found, 3);
	text = text_of(s, survey_table_locks);
	/* clang-format off */
	assert_string_equal(text,
	"NAME           KIND  MODE      NODE PID UID COMMAND AGE LEFT         TOKEN WAITERS\n"
	"dir/job\\040one flock exclusive a     71   0 flock   3.2  8.4 1099511627778 0\n"
	"\xc3\xbc              held  exclusive a      7   0 flock   3.2  8.4 1099511627778 1\n");
	free(text);
	text = text_of(s, survey_table_waiters);
	assert_string_equal(text,
	"NAME PLACE KIND  MODE   NODE      PID  UID COMMAND WAITED\n"
	"gr\xc3\xbc\xc3\x9f     1 fcntl shared b\\040c 100000 1000 -       1.5\n");
	/* clang-format on */
	free(text);
	survey_free(s);
}

static void test_json_is_none(void **state)
{
	struct surveyed found[2] = {two[0], two[1]};
	const char *name, *hex;
	struct survey *s;
	json_t *all, *locks, *lock;
	char *text;

	found[0].name = "a \"quoted\"\n\\name\x1b\xff\xc3";
	found[0].flags = SURVEYED_REMOVED | SURVEYED_TTL;
	s = survey_of(found, 2);
	text = text_of(s, survey_json);
	for (const char *c = text; *c; c++)
		assert_true((*c >= ' ' && *c < 0x7f) || *c == '\n');
	all = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(all);
	assert_int_equal(json_integer_value(json_object_get(all, "version")), 1);
	locks = json_object_get(all, "locks");
	assert_int_equal(json_array_size(locks), 1);
	lock = json_array_get(locks, 0);
	name = json_string_value(json_object_get(lock, "name"));
	assert_string_equal(name, "a \"quoted\"\n\\name\x1b\xef\xbf\xbd\xef\xbf\xbd");
	hex = json_string_value(json_object_get(lock, "name_hex"));
	assert_string_equal(hex, "61202271756f746564220a5c6e616d651bffc3");
	assert_null(json_object_get(lock, "command_hex"));
	json_decref(all);
	free(text);
	survey_free(s);
}

static void test_json_changes(void **state)
{
	struct survey *s = survey_of(two, 2);
	char *text = text_of(s, survey_json);

	assert_string_equal(
		text,
		"{\"version\":1,\n\"locks\":[\n"
		"{\"name\":\"dir/job "
		"one\",\"kind\":\"flock\",\"mode\":\"exclusive\",\"node\":\"a\","
		"\"pid\":71,\"uid\":0,\"command\":\"flock\",\"age\":3.299,\"left\":8.301,"
		"\"left_of\":\"lease\",\"token\":\"1099511627778\",\"waiters\":0,\"inode\":17,"
		"\"removed\":false}],\n\"waiters\":[\n"
		"{\"name\":\"gr\\u00FC\\u00DF\",\"place\":1,\"kind\":\"fcntl\",\"mode\":\"shared\","
		"\"start\":3,\"length\":10,\"node\":\"b c\",\"pid\":100000,\"uid\":1000,"
		"\"command\":\"\",\"age\":1.5,\"inode\":17}]}\n");
	free(text);
	survey_free(s);
	s = survey_of(NULL, 0);
	text = text_of(s, survey_json);
	assert_string_equal(text, "{\"version\":1,\n\"locks\":[],\n\"waiters\":[]}\n");
	free(text);
	survey_free(s);
}

/* ---- Gathering ---- */

static struct message page_of(uint64_t epoch, int64_t next, const struct surveyed *found)
{
	return (struct message){.kind = MESSAGE_REPLY,
				.epoch = epoch,
				.start = next,
				.target = 2,
				.ticket = 3,
				.surveyed = found,
				.surveyed_count = 1};
}

/* flock and fcntl do not see each other, and places go on over the pages. */
static void test_places_are_counted_wrongly(void **state)
{
	const struct surveyed kinds[] = {two[0], two[1], two[1], two[1], two[1]};
	const size_t places[] = {1, 1, 2, 1};
	struct survey *s = survey_new(0);
	size_t place;

	for (size_t i = 0; i < 5; i++) {
		struct surveyed found = kinds[i];
		struct message page = page_of(1, 1, &found);

		found.ticket = i;
		if (i == 2)
			found.kind = HOLDER_FLOCK;
		if (i == 4)
			found.queue = 6;
		page.flags = i == 4 ? REPLY_END : 0;
		assert_true(survey_add(s, &page));
	}
	assert_int_equal(survey_waiters(s), 4);
	for (size_t i = 0; i < 4; i++) {
		survey_waiter(s, i, &place);
		assert_int_equal(place, places[i]);
	}
	assert_int_equal(survey_waiting_for(s, survey_lock(s, 0)), 1);
	assert_int_equal(survey_waiting_for(s, &(struct surveyed){.queue = 5, .kind = HOLDER_NAME}),
			 3);
	assert_int_equal(survey_waiting_for(s, &(struct surveyed){.kind = HOLDER_NAME}), 0);
	survey_free(s);
}

/* Cursors of another master's table mean nothing, and half of each would be neither. */
static void test_a_survey_is_of_two_masters(void **state)
{
	struct survey *s = survey_new(9);
	struct message page = page_of(1, 77, &two[0]), next;

	assert_true(survey_add(s, &page));
	survey_request(s, &next);
	assert_true(next.kind == MESSAGE_SURVEY && next.ino == 9);
	assert_true(next.start == 77 && next.target == 2 && next.ticket == 3);
	page.epoch = 2;
	page.flags = REPLY_END;
	assert_true(survey_add(s, &page));
	assert_false(survey_is_done(s));
	assert_int_equal(survey_locks(s), 0);
	survey_request(s, &next);
	assert_true(next.ino == 9 && !next.start && !next.target && !next.ticket);
	assert_true(survey_add(s, &page));
	assert_true(survey_is_done(s));
	assert_int_equal(survey_locks(s), 1);
	survey_free(s);
}

static void test_a_survey_of_many_is_lost(void **state)
{
	struct surveyed found[SURVEY_MAX];
	struct survey *s = survey_new(0);
	struct message page = page_of(1, 1, found);

	page.surveyed_count = SURVEY_MAX;
	for (uint32_t i = 0; i < 100; i++) {
		for (uint32_t n = 0; n < SURVEY_MAX; n++) {
			found[n] = two[n % 2];
			found[n].pid = i * SURVEY_MAX + n;
		}
		assert_true(survey_add(s, &page));
	}
	assert_int_equal(survey_locks(s), 50 * SURVEY_MAX);
	assert_int_equal(survey_waiters(s), 50 * SURVEY_MAX);
	for (uint32_t i = 0; i < 50 * SURVEY_MAX; i++)
		assert_int_equal(survey_lock(s, i)->pid, 2 * i);
	survey_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_leaves_its_line),
		cmocka_unit_test(test_what_is_no_utf8_passes_as_it),
		cmocka_unit_test(test_columns_do_not_line_up),
		cmocka_unit_test(test_json_is_none),
		cmocka_unit_test(test_json_changes),
		cmocka_unit_test(test_places_are_counted_wrongly),
		cmocka_unit_test(test_a_survey_is_of_two_masters),
		cmocka_unit_test(test_a_survey_of_many_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
