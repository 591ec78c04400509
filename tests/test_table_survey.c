/* SPDX-License-Identifier: MIT */
/* Who has what, all of it in pages: whether it is complete, and true. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/table_fixture.h"

#define S LOCK_SHARED
#define X LOCK_EXCLUSIVE

#define MANY	     3000
#define LASTING	     60
#define PASSING	     200
#define ROUNDS	     60
#define DEFAULT_SEED 1

static struct table_survey page;

/* The first page, which is the last. */
static void survey(struct table *t, uint64_t ino)
{
	assert_ok(table_survey(t, ino, (struct table_cursor){0}, &page));
	assert_true(page.end);
	table_check(t);
}

/* What is told next of them: kind, name. */
static const struct surveyed *told(size_t i, enum holder_kind kind, const char *name)
{
	assert_in_range(i, 0, page.count - 1);
	assert_int_equal(page.found[i].kind, kind);
	assert_string_equal(page.found[i].name, name);
	return &page.found[i];
}

static void test_an_empty_table_holds_something(void **state)
{
	survey(*state, 0);
	assert_int_equal(page.count, 0);
	survey(*state, plain_file(*state, "f"));
	assert_int_equal(page.count, 0);
	survey(*state, 0);
	assert_int_equal(page.count, 0); /* who has it open holds nothing */
	assert_int_equal(table_survey(*state, 4711, (struct table_cursor){0}, &page), STATUS_STALE);
}

static void test_a_lock_is_told_wrongly(void **state)
{
	uint64_t ino = plain_file(*state, "f"), token;
	struct table_want want;

	opened_by(*state, ino, 2);
	want = range_want(2, ino, X, 5, 9, 0);
	want.uid = 77;
	want.command = "a name of twenty bytes";
	want.since_ns = at(3).boot_ns;
	token = lock_granted(*state, want);
	table_now(*state, at(8));
	survey(*state, 0);
	assert_int_equal(page.count, 1);
	assert_memory_equal(&page.found[0],
			    (&(struct surveyed){.token = token,
						.session = 2,
						.ino = ino,
						.queue = page.found[0].queue,
						.start = 5,
						.end = 9,
						.age_ns = 5 * NS_PER_SEC,
						.left_ns = MOMENT_NEVER,
						.pid = 1002,
						.uid = 77,
						.kind = HOLDER_RANGE,
						.mode = X,
						.command = "a name of twent",
						.name = page.names}),
			    sizeof(struct surveyed));
	assert_true(page.found[0].queue != 0);
	assert_string_equal(page.names, "f");
}

static void test_a_waiter_is_told_as_a_holder(void **state)
{
	uint64_t ino = plain_file(*state, "f");
	struct table_want want = flock_want(2, ino, S, 20);
	const struct surveyed *lock, *waiter;

	opened_by(*state, ino, 2);
	lock_granted(*state, flock_want(1, ino, X, 0));
	want.since_ns = at(3).boot_ns;
	lock_queued(*state, want);
	table_now(*state, at(5));
	survey(*state, 0);
	assert_int_equal(page.count, 2);
	lock = told(0, HOLDER_FLOCK, "f");
	waiter = told(1, HOLDER_FLOCK, "f");
	assert_true(lock->token && !lock->ticket && lock->session == 1 && lock->mode == X);
	assert_true(!waiter->token && waiter->ticket && waiter->session == 2 && waiter->mode == S);
	assert_true(waiter->age_ns == 2 * NS_PER_SEC);
	assert_true(lock->queue && lock->queue == waiter->queue);
	table_close(*state, 1, 1, at(9)); /* then it is one */
	table_now(*state, at(10));
	survey(*state, 0);
	assert_int_equal(page.count, 1);
	assert_true(page.found[0].token && !page.found[0].ticket);
	assert_true(page.found[0].age_ns == NS_PER_SEC);
	expect_grant(*state, 2, 20);
}

static void test_a_held_name_is_told_wrongly(void **state)
{
	struct table_make make = make_of("e", OPEN_EXCL);
	struct attr attr;
	bool created;

	make.client = 7;
	make.ttl_ns = 10 * NS_PER_SEC;
	make.command = "lockfile";
	assert_ok(table_create(*state, &make, at(3), &attr, &created));
	table_now(*state, at(5));
	survey(*state, 0);
	assert_int_equal(page.count, 1);
	told(0, HOLDER_NAME, "e");
	assert_true(page.found[0].token == link_of(*state, attr.ino).token);
	assert_true(page.found[0].session == 7 && page.found[0].queue == 0);
	assert_true(page.found[0].mode == LOCK_NONE && page.found[0].end == RANGE_END);
	assert_true(page.found[0].left_ns == 8 * NS_PER_SEC);
	assert_int_equal(page.found[0].flags, SURVEYED_TTL);
	assert_string_equal(page.found[0].command, "lockfile");
	table_drop_client(*state, 7, at(6));
	survey(*state, 0);
	assert_int_equal(page.count, 0);
}

/* A directory that outlives its holder is nobody's. */
static void test_an_orphan_is_told_as_held(void **state)
{
	uint64_t dir = dir_in(*state, 7, ROOT_INO, "d");

	held_file(*state, 1, 1, "x");
	assert_true(file_in(*state, 8, dir, "f") != 0);
	table_drop_client(*state, 7, at(1));
	survey(*state, 0);
	assert_int_equal(page.count, 2);
	told(0, HOLDER_NAME, "x");
	told(1, HOLDER_NAME, "d/f");
}

/* ---- Names ---- */

static void unlinked(struct table *t, uint64_t parent, const char *name, bool dir)
{
	struct attr attr;

	assert_ok(table_unlink(t, parent, name, dir, 9, 0, at(0), &attr));
}

static void test_the_name_of_a_removed_file_is_lost(void **state)
{
	uint64_t d = dir_in(*state, 9, ROOT_INO, "d"), e = dir_in(*state, 9, d, "e"), ino;
	struct table_make make = make_in(1, e, "f");
	struct attr attr;
	bool created;

	make.flags = 0;
	assert_ok(table_create(*state, &make, at(0), &attr, &created));
	ino = attr.ino;
	lock_granted(*state, flock_want(1, ino, X, 0));
	survey(*state, ino);
	assert_int_equal(told(0, HOLDER_FLOCK, "d/e/f")->flags, 0);
	unlinked(*state, e, "f", false);
	survey(*state, 0);
	assert_int_equal(page.count, 3); /* two directories */
	assert_int_equal(told(2, HOLDER_FLOCK, "d/e/f")->flags, SURVEYED_REMOVED);
	unlinked(*state, d, "e", true);
	survey(*state, ino);
	told(0, HOLDER_FLOCK, "d/e/f");
	unlinked(*state, ROOT_INO, "d", true);
	survey(*state, ino);
	told(0, HOLDER_FLOCK, "d/e/f");
	assert_int_equal(page.count, 1);
}

/* The lock belongs to the name: who asks for the new file's is told of who has the old one's. */
static void test_kin_are_left_out(void **state)
{
	uint64_t old = plain_file(*state, "f"), new;
	struct table_make make = make_of("f", 0);
	struct attr attr;
	bool created;

	lock_granted(*state, flock_want(1, old, X, 0));
	unlinked(*state, ROOT_INO, "f", false);
	make.client = make.handle = 2;
	assert_ok(table_create(*state, &make, at(0), &attr, &created));
	new = attr.ino;
	survey(*state, new);
	assert_int_equal(page.count, 1);
	assert_true(page.found[0].ino == old && page.found[0].session == 1);
	lock_queued(*state, flock_want(2, new, X, 20));
	survey(*state, new);
	assert_int_equal(page.count, 2);
	assert_true(page.found[1].ino == new &&page.found[1].ticket);
	assert_int_equal(page.found[0].flags, SURVEYED_REMOVED);
	assert_int_equal(page.found[1].flags, 0);
}

/* 20 directories with names of 255 bytes are more than a path may have. */
static void test_a_long_path_runs_over_its_end(void **state)
{
	char name[NAME_MAX_BYTES + 1];
	uint64_t dir = ROOT_INO;

	memset(name, 'n', NAME_MAX_BYTES);
	name[NAME_MAX_BYTES] = '\0';
	for (int i = 0; i < 20; i++) {
		name[0] = (char)('A' + i);
		dir = dir_in(*state, 1, dir, name);
		survey(*state, dir);
		assert_int_equal(page.count, 1);
		assert_in_range(strlen(page.found[0].name), NAME_MAX_BYTES, SURVEY_NAME_MAX);
		assert_string_equal(strrchr(page.found[0].name, name[0]), name);
		if (i < 15)
			assert_int_equal(strlen(page.found[0].name), (i + 1) * 256 - 1);
		assert_int_equal(strncmp(page.found[0].name, ".../", 4) == 0, i >= 16);
	}
}

/* ---- Pages ---- */

/* All pages; returns how many. Entries are counted by pid. */
static size_t in_pages(struct table *t, uint64_t ino, int *seen)
{
	struct table_cursor next = {0};
	size_t pages = 0;

	do {
		assert_ok(table_survey(t, ino, next, &page));
		for (size_t i = 0; i < page.count; i++)
			seen[page.found[i].pid]++;
		next = page.next;
		pages++;
	} while (!page.end);
	return pages;
}

static void test_names_fill_a_page_beyond_its_bytes(void **state)
{
	char name[NAME_MAX_BYTES + 1];
	int seen[MANY] = {0};
	uint64_t dir = ROOT_INO;

	memset(name, 'n', NAME_MAX_BYTES);
	name[NAME_MAX_BYTES] = '\0';
	for (int i = 0; i < 10; i++)
		dir = dir_in(*state, 9, dir, name);
	for (uint32_t i = 0; i < 50; i++) {
		struct table_make make = make_in(1, dir, name);
		struct attr attr;

		snprintf(name, sizeof(name), "%u", i);
		make.pid = i;
		assert_ok(table_mkdir(*state, &make, at(0), &attr));
	}
	assert_in_range(in_pages(*state, 0, seen), 50 * 10 * 256 / SURVEY_NAMES_MAX, 10);
	for (size_t i = 0; i < 50; i++)
		assert_int_equal(seen[i], 1);
}

/* A file of MANY locks, or waiters behind one. */
static uint64_t crowd(struct table *t, enum lock_kind kind, bool wait)
{
	uint64_t ino = plain_file(t, "f");
	struct table_got got;

	if (wait) {
		struct table_want first = range_want(1, ino, X, 0, RANGE_END, 0);

		first.kind = kind;
		first.pid = 0;
		first.owner = MANY; /* none of theirs */
		assert_ok(table_lock(t, &first, &got));
	}
	for (uint32_t i = 1; i < MANY; i++) {
		struct table_want want = range_want(1, ino, X, 2 * i, 2 * i, wait ? i : 0);
		struct attr attr;

		if (kind == LOCK_FLOCK) {
			want = flock_want(i + 1, ino, wait ? X : S, wait ? i : 0);
			assert_ok(table_open(t, i + 1, i + 1, ino, 0, at(0), &attr));
		} else if (wait) {
			want.owner = i;
		}
		want.pid = i;
		assert_ok(table_lock(t, &want, &got));
		assert_int_equal(got.queued, wait);
	}
	return ino;
}

static void crowd_is_whole(struct table *t, enum lock_kind kind, bool wait)
{
	static int seen[MANY];
	uint64_t ino = crowd(t, kind, wait);

	for (int all = 0; all < 2; all++) {
		memset(seen, 0, sizeof(seen));
		assert_int_equal(in_pages(t, all ? 0 : ino, seen),
				 (MANY - 1 + wait) / SURVEY_MAX + 1);
		for (size_t i = !wait; i < MANY; i++)
			assert_int_equal(seen[i], 1);
	}
}

static void test_a_crowd_of_flocks_loses_some(void **state)
{
	crowd_is_whole(*state, LOCK_FLOCK, false);
}

static void test_a_crowd_of_ranges_loses_some(void **state)
{
	crowd_is_whole(*state, LOCK_RANGE, false);
}

static void test_a_crowd_of_waiters_loses_some(void **state)
{
	crowd_is_whole(*state, LOCK_FLOCK, true);
}

static void test_a_crowd_that_waits_for_ranges_loses_some(void **state)
{
	crowd_is_whole(*state, LOCK_RANGE, true);
}

/* The file that a page broke off at is gone, or another set of locks: what is behind it is listed. */
static void test_what_a_page_broke_off_at_is_gone(void **state)
{
	uint64_t ino = crowd(*state, LOCK_RANGE, false);
	struct table_cursor next;

	held_file(*state, 9, 9, "behind");
	assert_ok(table_survey(*state, 0, (struct table_cursor){0}, &page));
	assert_false(page.end);
	next = page.next;
	table_close(*state, 1, 1, at(0));
	assert_ok(table_survey(*state, ino, next, &page));
	assert_true(page.end && page.count == 0);
	assert_ok(table_survey(*state, 0, next, &page));
	assert_true(page.end && page.count == 1);
	told(0, HOLDER_NAME, "behind");
}

/* Number i of a kind: a held name, or a lock, or one who waits for that. */
static void add(struct table *t, char sort, uint32_t i)
{
	struct table_make make = make_of("", OPEN_EXCL);
	uint64_t client = sort == 'L' ? i + 10001 : i + 1001;
	char name[32];
	struct attr attr;
	struct table_got got;
	bool created;

	snprintf(name, sizeof(name), "%c%u", sort, i);
	make.name = name;
	make.pid = i;
	make.client = make.handle = client;
	make.flags = i % 2 ? OPEN_EXCL : 0;
	assert_ok(table_create(t, &make, at(0), &attr, &created));
	if (!(i % 2)) {
		struct table_want want = flock_want(client, attr.ino, X, 0);

		want.pid = i;
		assert_ok(table_lock(t, &want, &got));
	}
}

static void storm(struct table *t, unsigned int *seed, bool *there)
{
	for (int n = rand_r(seed) % 100; n > 0; n--) {
		uint32_t i = (uint32_t)(rand_r(seed) % PASSING);

		if (there[i])
			table_drop_client(t, i + 1001, at(0));
		else
			add(t, 'p', i);
		if (there[i] && !(i % 2)) {
			char name[16];

			snprintf(name, sizeof(name), "p%u", i);
			unlinked(t, ROOT_INO, name, false);
		}
		there[i] = !there[i];
	}
	table_check(t);
}

static void test_what_lasts_is_listed_twice_or_never(void **state)
{
	const char *text = getenv("DLOCK_SEED");
	unsigned int seed = text ? (unsigned int)strtoul(text, NULL, 0) : DEFAULT_SEED;
	bool there[PASSING] = {false};

	print_message("DLOCK_SEED=%u\n", seed);
	for (uint32_t i = 0; i < LASTING; i++) {
		storm(*state, &seed, there);
		add(*state, 'L', i);
		for (uint32_t more = 0; more < 10; more++) /* so that there are pages */
			add(*state, 'L', 1000 + i * 10 + more);
	}
	for (int round = 0; round < ROUNDS; round++) {
		struct table_cursor next = {0};
		int seen[LASTING] = {0};

		do {
			assert_ok(table_survey(*state, 0, next, &page));
			for (size_t i = 0; i < page.count; i++)
				if (page.found[i].name[0] == 'L' && page.found[i].pid < LASTING)
					seen[page.found[i].pid]++;
			next = page.next;
			storm(*state, &seed, there);
		} while (!page.end);
		for (size_t i = 0; i < LASTING; i++)
			assert_int_equal(seen[i], 1);
	}
}

/* ---- A master's restart ---- */

static bool alive(void *arg, uint64_t client)
{
	return true;
}

/* Claimed at 10 s on the new master's clock, ended at 14, looked at 20: as old as they were, and 10. */
static void test_ages_begin_anew_with_a_master(void **state)
{
	const uint64_t ino = EARLIER_EPOCH + 2;
	struct table_record record = {
		.attr = {.ino = ino, .version = 1, .mode = S_IFREG | 0644, .nlink = 1},
		.links[0] = {.parent = ROOT_INO,
			     .token = EARLIER_EPOCH + 1,
			     .holder = 1,
			     .age_ns = 5 * NS_PER_SEC,
			     .name = "f"},
		.link_count = 1,
		.full = true,
	};
	struct table_want lock = flock_want(1, ino, X, 0), wait = flock_want(2, ino, X, 20);

	lock.since_ns = at(7).boot_ns;
	wait.since_ns = at(-9).boot_ns; /* before it was booted */
	assert_ok(table_restore_file(*state, &record, at(10)));
	assert_ok(table_restore_open(*state, 1, 1, ino));
	assert_ok(table_restore_open(*state, 2, 2, ino));
	assert_ok(table_restore_lock(*state, &lock, EARLIER_EPOCH + 3));
	assert_ok(table_restore_wait(*state, &wait, EARLIER_EPOCH + 4));
	assert_int_equal(table_restore_end(*state, at(14), alive, NULL), 0);
	table_now(*state, at(20));
	survey(*state, 0);
	assert_int_equal(page.count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(page.found[i].age_ns == (page.found[i].ticket ? 29
						     : page.found[i].kind ? 15
									  : 13) *
							    NS_PER_SEC);
}

/* Of a peer that lies about it, or whose clock does. */
static void test_an_impossible_age_overflows(void **state)
{
	assert_true(moment_age(INT64_MIN) == 0 && moment_age(-1) == 0 && moment_age(7) == 7);
	assert_true(moment_age(INT64_MAX) == MOMENT_AGE_MAX_NS);
	assert_true(moment_age_since(-MOMENT_AGE_MAX_NS, MOMENT_AGE_MAX_NS) == MOMENT_AGE_MAX_NS);
	assert_true(moment_age_since(5, 3) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_an_empty_table_holds_something),
		TABLE_TEST(test_a_lock_is_told_wrongly),
		TABLE_TEST(test_a_waiter_is_told_as_a_holder),
		TABLE_TEST(test_a_held_name_is_told_wrongly),
		TABLE_TEST(test_an_orphan_is_told_as_held),
		TABLE_TEST(test_the_name_of_a_removed_file_is_lost),
		TABLE_TEST(test_kin_are_left_out),
		TABLE_TEST(test_a_long_path_runs_over_its_end),
		TABLE_TEST(test_names_fill_a_page_beyond_its_bytes),
		TABLE_TEST(test_a_crowd_of_flocks_loses_some),
		TABLE_TEST(test_a_crowd_of_ranges_loses_some),
		TABLE_TEST(test_a_crowd_of_waiters_loses_some),
		TABLE_TEST(test_a_crowd_that_waits_for_ranges_loses_some),
		TABLE_TEST(test_what_a_page_broke_off_at_is_gone),
		TABLE_TEST(test_what_lasts_is_listed_twice_or_never),
		TABLE_TEST(test_ages_begin_anew_with_a_master),
		TABLE_TEST(test_an_impossible_age_overflows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
