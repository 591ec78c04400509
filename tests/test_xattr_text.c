/* SPDX-License-Identifier: MIT */
/* Fears about the attributes' text: one that cannot be read back, or that runs over its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/xattr_text.h"
#include "lockcore/moment.h"

static char text[XATTR_TEXT_MAX + 1];

/* The text, NUL-terminated; "" if there is none. */
static const char *text_of(enum xattr xattr, const struct message *info)
{
	size_t len;

	memset(text, '#', sizeof(text));
	len = xattr_text(xattr, info, text);
	assert_true(len < XATTR_TEXT_MAX && text[XATTR_TEXT_MAX] == '#');
	text[len] = '\0';
	return text;
}

static void test_a_name_is_found_that_is_none(void **state)
{
	assert_int_equal(xattr_find("user.dlock.token"), XATTR_TOKEN);
	assert_int_equal(xattr_find("user.dlock.ttl"), XATTR_TTL);
	assert_int_equal(xattr_find("user.dlock."), XATTR_END);
	assert_int_equal(xattr_find("user.dlock.tokens"), XATTR_END);
	assert_int_equal(xattr_find("security.capability"), XATTR_END);
}

static void test_a_free_file_tells_something(void **state)
{
	static const struct message info;
	char list[XATTR_TEXT_MAX];

	assert_string_equal(text_of(XATTR_TOKEN, &info), "");
	assert_string_equal(text_of(XATTR_HOLDER, &info), "");
	assert_string_equal(text_of(XATTR_MODE, &info), "");
	assert_string_equal(text_of(XATTR_EXPIRES, &info), "");
	assert_string_equal(text_of(XATTR_TTL, &info), "");
	assert_string_equal(text_of(XATTR_WAITERS, &info), "0");
	assert_int_equal(xattr_list(&info, list), sizeof("user.dlock.waiters"));
	assert_string_equal(list, "user.dlock.waiters");
}

static void test_a_list_leaves_something_out(void **state)
{
	static const char names[] = "user.dlock.token\0user.dlock.holder\0user.dlock.mode\0"
				    "user.dlock.waiters\0user.dlock.expires\0user.dlock.ttl";
	struct message info = {
		.token = 1,
		.holders = (struct holder[]){{.node = "a"}},
		.holder_count = 1,
		.keeper = KEEPER_IDLE,
		.ttl_ns = 1,
	};
	char list[XATTR_TEXT_MAX];

	assert_int_equal(xattr_list(&info, list), sizeof(names));
	assert_memory_equal(list, names, sizeof(names));
}

static void test_a_line_does_not_split_into_its_words(void **state)
{
	struct message info = {
		.holders =
			(struct holder[]){
				{.node = "a", .pid = 12, .uid = 1000, .command = "flock"},
				{.node = "b c", .command = "a \\b\n\x7f\x01\xc3\xa9"},
				{.node = "d", .pid = UINT32_MAX, .uid = UINT32_MAX},
			},
		.holder_count = 3,
	};

	assert_string_equal(text_of(XATTR_HOLDER, &info),
			    "a 12 1000 flock\n"
			    "b\\040c 0 0 a\\040\\134b\\012\\177\\001\\303\\251\n"
			    "d 4294967295 4294967295");
}

static void test_the_longest_text_runs_over_its_end(void **state)
{
	static char node[NODE_ID_MAX_BYTES + 1];
	static struct holder holders[HOLDERS_MAX];
	struct message info = {.holders = holders, .holder_count = HOLDERS_MAX};

	memset(node, ' ', NODE_ID_MAX_BYTES);
	for (size_t i = 0; i < HOLDERS_MAX; i++) {
		holders[i] = (struct holder){.node = node, .pid = UINT32_MAX, .uid = UINT32_MAX};
		memset(holders[i].command, '\xff', COMMAND_MAX_BYTES);
	}
	assert_int_equal(strlen(text_of(XATTR_HOLDER, &info)),
			 HOLDERS_MAX * (4 * (NODE_ID_MAX_BYTES + COMMAND_MAX_BYTES) + 24) - 1);
}

static void test_modes_are_mixed_up(void **state)
{
	struct message info = {.holders = (struct holder[]){{.node = "a"}}, .holder_count = 1};

	assert_string_equal(text_of(XATTR_MODE, &info), "held");
	info.lock_mode = LOCK_SHARED;
	assert_string_equal(text_of(XATTR_MODE, &info), "shared");
	info.lock_mode = LOCK_EXCLUSIVE;
	assert_string_equal(text_of(XATTR_MODE, &info), "exclusive");
}

/* A name that is said to end at once and lives on would be taken. */
static void test_an_end_is_told_too_early(void **state)
{
	struct message info = {.keeper = KEEPER_LEASE, .lease_ns = 1};

	assert_string_equal(text_of(XATTR_EXPIRES, &info), "0.1 lease");
	info = (struct message){.keeper = KEEPER_TTL, .lease_ns = 99 * NS_PER_SEC / 10};
	assert_string_equal(text_of(XATTR_EXPIRES, &info), "9.9 ttl");
	info.lease_ns++;
	assert_string_equal(text_of(XATTR_EXPIRES, &info), "10.0 ttl");
	info = (struct message){.keeper = KEEPER_IDLE};
	assert_string_equal(text_of(XATTR_EXPIRES, &info), "0.0 idle");
	info.lease_ns = INT64_MAX;
	assert_string_equal(text_of(XATTR_EXPIRES, &info), "9223372036.9 idle");
}

static void test_a_ttl_is_read_back_as_another(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} ttls[] = {
		{10 * NS_PER_SEC, "10"},   {5 * NS_PER_SEC / 2, "2.5"}, {1, "0.000000001"},
		{100 * NS_PER_SEC, "100"}, {NS_PER_SEC / 10, "0.1"},
	};

	for (size_t i = 0; i < sizeof(ttls) / sizeof(*ttls); i++) {
		struct message info = {.ttl_ns = ttls[i].ns};
		int64_t ns = -1;

		assert_string_equal(text_of(XATTR_TTL, &info), ttls[i].text);
		assert_true(xattr_parse_ttl(ttls[i].text, strlen(ttls[i].text), &ns));
		assert_true(ns == ttls[i].ns);
	}
}

static void test_an_absurd_ttl_is_taken(void **state)
{
	static const char *const bad[] = {
		"",	 "-1",
		"x",	 "1x",
		"1e3",	 "0x10",
		"inf",	 "nan",
		" 1",	 "1 ",
		"1.2.3", "99999999999",
		"1\n",	 "0.0000000000001",
		".",	 "+1",
		"1,5",	 "00000000000000000000000000000000000001",
	};
	int64_t ns = 42;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(xattr_parse_ttl(bad[i], strlen(bad[i]), &ns));
	assert_false(xattr_parse_ttl("1\0", 2, &ns));
	assert_true(ns == 42);
	assert_true(xattr_parse_ttl("0", 1, &ns) && ns == 0);
	assert_true(xattr_parse_ttl("0.0", 3, &ns) && ns == 0);
	assert_true(xattr_parse_ttl(".5", 2, &ns) && ns == NS_PER_SEC / 2);
	assert_true(xattr_parse_ttl("15", 1, &ns) && ns == NS_PER_SEC); /* ends where it ends */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_is_found_that_is_none),
		cmocka_unit_test(test_a_free_file_tells_something),
		cmocka_unit_test(test_a_list_leaves_something_out),
		cmocka_unit_test(test_a_line_does_not_split_into_its_words),
		cmocka_unit_test(test_the_longest_text_runs_over_its_end),
		cmocka_unit_test(test_modes_are_mixed_up),
		cmocka_unit_test(test_an_end_is_told_too_early),
		cmocka_unit_test(test_a_ttl_is_read_back_as_another),
		cmocka_unit_test(test_an_absurd_ttl_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
