/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of the table fails once: the call says STATUS_NO_MEMORY, has changed nothing,
 * and succeeds when it is tried again.
 *
 * A script is run once for each allocation that it makes, which is the one that fails; then once
 * more for each, with all later ones failing too. Linked with --wrap, so that only the core's
 * allocations are met.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/table_fixture.h"

#define S     LOCK_SHARED
#define X     LOCK_EXCLUSIVE
#define MANY  700 /* handles: enough for the hash tables to grow */
#define INO   (EARLIER_EPOCH + 2)
#define TOKEN (EARLIER_EPOCH + 1)

static struct {
	uint64_t calls;	  /* so far */
	uint64_t fail_at; /* the call that fails, from 1; 0: none */
	bool for_good;	  /* and all after it */
	bool failed;	  /* one has */
	int64_t live;	  /* blocks not yet freed */
} heap;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *block);

static bool fails(void)
{
	heap.calls++;
	if (!heap.fail_at || heap.calls < heap.fail_at ||
	    (heap.calls > heap.fail_at && !heap.for_good))
		return false;
	heap.failed = true;
	return true;
}

static void *counted(void *block)
{
	heap.live += block != NULL;
	return block;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
	if (fails())
		return NULL;
	return old ? __real_realloc(old, size) : counted(__real_realloc(old, size));
}

void __wrap_free(void *block)
{
	heap.live -= block != NULL;
	__real_free(block);
}

/* ---- A call that may fail once ---- */

static struct table_counts counts_of(struct table *t)
{
	struct table_counts counts;

	table_counts(t, &counts);
	return counts;
}

static void expect_unchanged(struct table *t, const struct table_counts *before)
{
	struct table_counts after = counts_of(t);
	uint64_t ino;

	table_check(t);
	assert_memory_equal(&after, before, sizeof(after));
	expect_no_grant(t);
	assert_false(table_next_gone(t, &ino));
}

/*
 * Makes the call. If it fails for want of memory: has nothing changed? Then the heap recovers and
 * the call is made again.
 */
#define TRY(t, call)                                                                               \
	do {                                                                                       \
		struct table_counts before_ = counts_of(t);                                        \
		enum status status_ = (call);                                                      \
                                                                                                   \
		if (status_ == STATUS_NO_MEMORY) {                                                 \
			assert_true(heap.failed);                                                  \
			expect_unchanged(t, &before_);                                             \
			heap.fail_at = 0;                                                          \
			status_ = (call);                                                          \
		}                                                                                  \
		assert_int_equal(status_, STATUS_OK);                                              \
	} while (0)

static struct table *new_table(void)
{
	struct table *t = table_new(FIXTURE_EPOCH, TABLE_FILES_DEFAULT, at(0));

	if (t)
		return t;
	assert_true(heap.failed);
	assert_int_equal(heap.live, 0);
	heap.fail_at = 0;
	return table_new(FIXTURE_EPOCH, TABLE_FILES_DEFAULT, at(0));
}

/* ---- The scripts ---- */

static uint64_t try_create(struct table *t, uint64_t client, const char *name, uint32_t flags)
{
	struct table_make make = make_of(name, flags);
	struct attr attr;
	bool created;

	make.client = make.handle = client;
	TRY(t, table_create(t, &make, at(0), &attr, &created));
	return attr.ino;
}

static void try_lock(struct table *t, struct table_want want, bool queued)
{
	struct table_got got;

	TRY(t, table_lock(t, &want, &got));
	assert_int_equal(got.queued, queued);
}

static void run_files(void)
{
	struct table *t = new_table();
	uint64_t held = try_create(t, 1, "held", OPEN_EXCL);
	uint64_t plain = try_create(t, 2, "plain", 0);
	struct attr attr, to = {.size = 3};
	int64_t where;

	assert_int_equal(try_create(t, 3, "plain", OPEN_TRUNC), plain);
	TRY(t, table_open(t, 4, 4, held, 0, at(0), &attr));
	TRY(t, table_write(t, held, 5, 0, "text", 4, at(0), &attr, &where));
	TRY(t, table_write(t, held, 0, OPEN_APPEND, "text", 4, at(0), &attr, &where));
	TRY(t, table_setattr(t, held, SET_SIZE, &to, at(0), &attr));
	to.size = 4000;
	TRY(t, table_setattr(t, held, SET_SIZE, &to, at(0), &attr));
	table_drop_client(t, 1, at(0));
	table_close(t, 2, 2, at(0));
	table_close(t, 3, 3, at(0));
	table_tick(t, at(100));
	assert_int_equal(counts_of(t).files, 1);
	table_check(t);
	table_free(t);
}

static void run_locks(void)
{
	struct table *t = new_table();
	uint64_t ino = try_create(t, 1, "f", 0);
	struct attr attr;

	for (uint64_t client = 2; client <= 4; client++)
		TRY(t, table_open(t, client, client, ino, 0, at(0), &attr));
	try_lock(t, range_want(1, ino, X, 0, 9, 0), false);
	try_lock(t, range_want(1, ino, S, 3, 5, 0), false);
	try_lock(t, range_want(2, ino, X, 4, 4, 20), true);
	try_lock(t, range_want(3, ino, S, 4, 8, 30), true);
	try_lock(t, flock_want(1, ino, S, 0), false);
	try_lock(t, flock_want(2, ino, S, 0), false);
	try_lock(t, flock_want(1, ino, X, 11), true); /* gives up its own only if it can wait */
	try_lock(t, flock_want(4, ino, S, 40), true);
	table_cancel(t, 4, 40);
	try_lock(t, range_want(1, ino, LOCK_NONE, 2, 3, 0), false);
	table_close(t, 2, 2, at(0));
	expect_grant(t, 1, 11);
	table_close(t, 1, 1, at(0));
	expect_grant(t, 3, 30);
	table_check(t);
	table_free(t);
}

/* Moves to a free name, then over another file. */
static void try_renames(struct table *t, uint64_t dir)
{
	struct table_make to = make_in(1, dir, "moved");
	struct attr attr, replaced;

	to.client = 5; /* of whom the table has not heard yet */
	TRY(t, table_rename(t, dir, "link", &to, false, at(1), &attr, &replaced));
	assert_int_equal(replaced.ino, 0);
	TRY(t, table_rename(t, dir, "moved",
			    &(struct table_make){
				    .client = 6, .req = 1, .parent = ROOT_INO, .name = "over"},
			    false, at(1), &attr, &replaced));
	assert_int_equal(replaced.nlink, 0);
}

static void run_tree(void)
{
	struct table *t = new_table();
	uint64_t file = try_create(t, 1, "f", 0), over = try_create(t, 2, "over", OPEN_EXCL);
	struct table_make make = make_in(1, ROOT_INO, "d");
	struct attr attr, dir;

	TRY(t, table_mkdir(t, &make, at(1), &dir));
	make = make_in(1, dir.ino, "symlink");
	TRY(t, table_symlink(t, &make, "target", 6, at(1), &attr));
	make = make_in(1, dir.ino, "link");
	TRY(t, table_link(t, file, &make, at(1), &attr));
	try_renames(t, dir.ino);
	assert_int_equal(attr_of(t, over).nlink, 0);
	TRY(t, table_unlink(t, dir.ino, "symlink", false, 1, 0, at(1), &attr));
	TRY(t, table_unlink(t, ROOT_INO, "d", true, 1, 0, at(1), &attr));
	table_check(t);
	assert_int_equal(attr_of(t, file).nlink, 2);
	table_free(t);
}

static void run_restore(void)
{
	struct table *t = new_table();
	struct table_record record = {
		.attr = {.ino = INO, .version = 5, .mode = S_IFREG | 0644, .nlink = 1, .size = 4},
		.links[0] = {.parent = ROOT_INO, .token = TOKEN, .holder = 1, .name = "f"},
		.link_count = 1,
		.content = "text",
		.full = true};
	struct table_want lock = flock_want(1, INO, X, 0), wait = flock_want(2, INO, X, 20);

	TRY(t, table_restore_file(t, &record, at(0)));
	record.attr.version = 6;
	record.attr.size = 100;
	record.full = false;
	TRY(t, table_restore_file(t, &record, at(0)));
	TRY(t, table_restore_gone(t, INO + 1, 6));
	TRY(t, table_restore_open(t, 1, 1, INO));
	TRY(t, table_restore_open(t, 2, 2, INO));
	TRY(t, table_restore_lock(t, &lock, TOKEN));
	TRY(t, table_restore_wait(t, &wait, TOKEN));
	/* The end may find no memory for a name, and says so, but loses no lock. */
	assert_int_equal(table_restore_end(t, at(0), NULL, NULL), 0);
	table_check(t);
	table_close(t, 1, 1, at(0));
	expect_grant(t, 2, 20);
	table_free(t);
}

static bool anyone(void *arg, uint64_t client)
{
	return true;
}

static void run_restore_end(void)
{
	struct table_record record = {
		.attr = {.ino = INO, .version = 5, .mode = S_IFREG | 0644, .nlink = 1},
		.links[0] = {.parent = ROOT_INO, .token = TOKEN, .holder = 1, .name = "f"},
		.link_count = 1,
	};
	struct table *t = new_table();
	size_t lost;

	TRY(t, table_restore_file(t, &record, at(0)));
	TRY(t, table_restore_open(t, 2, 2, INO));
	lost = table_restore_end(t, at(0), anyone, NULL);
	table_check(t);
	/* A name without memory is not merely counted: its holder believes in it. */
	assert_true(lost == 0 || (lost == TABLE_NOT_RESTORED && heap.failed));
	assert_int_equal(exists(t, "f"), lost == 0);
	assert_int_equal(attr_of(t, INO).nlink, lost == 0);
	table_free(t);
}

/* A directory with a file of two names. */
static void run_restore_tree_end(void)
{
	struct table_record dir = {
		.attr = {.ino = INO + 1, .version = 5, .mode = S_IFDIR | 0755, .nlink = 2},
		.links[0] = {.parent = ROOT_INO, .token = TOKEN, .holder = 1, .name = "d"},
		.link_count = 1};
	struct table_record file = {
		.attr = {.ino = INO, .version = 5, .mode = S_IFREG | 0644, .nlink = 2},
		.links = {{.parent = INO + 1, .token = TOKEN, .holder = 1, .name = "a"},
			  {.parent = INO + 1, .token = TOKEN, .holder = 2, .name = "b"}},
		.link_count = 2};
	struct table *t = new_table();
	size_t lost;

	TRY(t, table_restore_file(t, &dir, at(0)));
	TRY(t, table_restore_file(t, &file, at(0)));
	TRY(t, table_restore_open(t, 2, 2, INO));
	lost = table_restore_end(t, at(0), anyone, NULL);
	table_check(t);
	assert_true(lost == 0 || (lost == TABLE_NOT_RESTORED && heap.failed));
	assert_int_equal(attr_of(t, INO).nlink + exists(t, "d") == 3, lost == 0);
	table_free(t);
}

static void run_many(void)
{
	struct table *t = new_table();
	uint64_t ino = try_create(t, 1, "f", 0);
	struct attr attr;

	for (uint64_t handle = 2; handle <= MANY; handle++) {
		TRY(t, table_open(t, 1, handle, ino, 0, at(0), &attr));
		if (heap.failed && !heap.fail_at)
			break; /* it has recovered, and the rest is as before */
	}
	table_check(t);
	table_drop_client(t, 1, at(0));
	table_free(t);
}

/* What cannot be noted is not told of; nothing else is wrong. */
static void run_seen(void)
{
	struct table *t = new_table();
	struct attr attr;
	struct table_news news;
	size_t told = 0;

	table_watch_all(t, 4);
	try_create(t, 1, "f", 0);
	for (uint64_t client = 2; client <= 3; client++)
		table_saw(t, client, ROOT_INO, "f");
	table_saw_before(t, 3, ROOT_INO, "gone", INO, false);
	table_check(t);
	TRY(t, table_unlink(t, ROOT_INO, "f", false, 1, 0, at(1), &attr));
	while (table_next_news(t, &news))
		told++;
	assert_true(told == 5 || (heap.failed && told < 5));
	table_saw_before(t, 2, ROOT_INO, "before", INO, true);
	table_restore_end(t, at(1), NULL, NULL);
	assert_true(table_next_news(t, &news) || heap.failed);
	table_check(t);
	table_free(t);
}

/* ---- Every allocation in turn ---- */

static bool run_failing(void (*script)(void), uint64_t at_call, bool for_good)
{
	memset(&heap, 0, sizeof(heap));
	heap.fail_at = at_call;
	heap.for_good = for_good;
	script();
	assert_int_equal(heap.live, 0);
	return heap.failed;
}

static void fail_each(void (*script)(void))
{
	for (int for_good = 0; for_good < 2; for_good++) {
		uint64_t n = 1;

		while (run_failing(script, n, for_good))
			n++;
		assert_true(n > 1);
	}
}

static void test_failed_file_call_changes_something(void **state)
{
	fail_each(run_files);
}

static void test_failed_lock_call_changes_something(void **state)
{
	fail_each(run_locks);
}

static void test_failed_move_or_link_changes_something(void **state)
{
	fail_each(run_tree);
}

static void test_failed_restore_changes_something(void **state)
{
	fail_each(run_restore);
}

static void test_failed_end_of_restore_breaks_the_table(void **state)
{
	fail_each(run_restore_end);
	fail_each(run_restore_tree_end);
}

static void test_failed_growth_of_a_hash_changes_something(void **state)
{
	fail_each(run_many);
}

static void test_what_cannot_be_noted_as_seen_breaks_the_table(void **state)
{
	fail_each(run_seen);
}

/* What frees must not need memory: a release that fails would be a lock for ever. */
static void test_release_needs_memory(void **state)
{
	struct table *t;
	uint64_t ino, other;
	struct attr attr;

	memset(&heap, 0, sizeof(heap));
	t = new_table();
	ino = try_create(t, 1, "f", 0);
	other = try_create(t, 2, "g", OPEN_EXCL);
	TRY(t, table_open(t, 3, 3, ino, 0, at(0), &attr));
	try_lock(t, flock_want(1, ino, X, 0), false);
	try_lock(t, flock_want(3, ino, X, 30), true);
	try_lock(t, range_want(3, ino, X, 0, 9, 0), false);
	heap.fail_at = heap.calls + 1;
	heap.for_good = true;
	table_cancel(t, 9, 9);
	try_lock(t, range_want(3, ino, LOCK_NONE, 0, RANGE_END, 0), false);
	try_lock(t, flock_want(1, ino, LOCK_NONE, 0), false);
	expect_grant(t, 3, 30);
	assert_ok(table_unlink(t, ROOT_INO, "g", false, 2, 0, at(0), &attr));
	table_close(t, 1, 1, at(0));
	table_drop_client(t, 3, at(0));
	table_close(t, 2, 2, at(0));
	assert_int_equal(table_getattr(t, other, &attr), STATUS_STALE);
	table_tick(t, at(1000));
	assert_false(heap.failed);
	table_free(t);
	assert_int_equal(heap.live, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failed_file_call_changes_something),
		cmocka_unit_test(test_failed_lock_call_changes_something),
		cmocka_unit_test(test_failed_move_or_link_changes_something),
		cmocka_unit_test(test_failed_restore_changes_something),
		cmocka_unit_test(test_failed_end_of_restore_breaks_the_table),
		cmocka_unit_test(test_failed_growth_of_a_hash_changes_something),
		cmocka_unit_test(test_what_cannot_be_noted_as_seen_breaks_the_table),
		cmocka_unit_test(test_release_needs_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
