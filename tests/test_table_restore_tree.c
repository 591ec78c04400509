/* SPDX-License-Identifier: MIT */
/* A tree put together again: directories, files of several names, lives, and what cannot be. */
#include <string.h>
#include <sys/stat.h>

#include "tests/table_fixture.h"

#define FIRST (EARLIER_EPOCH + 10) /* FIRST + n: inode n of a test */
#define TOKEN (EARLIER_EPOCH + 1)
#define DEAD  9 /* a client that has not come back */

static bool alive(void *arg, uint64_t client)
{
	return client != DEAD;
}

static size_t end(struct table *t)
{
	size_t failed = table_restore_end(t, at(10), alive, NULL);

	table_check(t);
	return failed;
}

/* Inode n of this type, by one name in a directory that the holder made. */
static struct table_record record_of(uint32_t type, uint64_t n, uint64_t parent, const char *name,
				     uint64_t holder)
{
	return (struct table_record){
		.attr = {.ino = FIRST + n,
			 .version = 5,
			 .mode = type | 0755,
			 .nlink = S_ISDIR(type) ? 2 : 1},
		.links[0] = {.parent = parent, .token = TOKEN, .holder = holder, .name = name},
		.link_count = 1,
		.full = true,
	};
}

static void restore(struct table *t, struct table_record record)
{
	assert_ok(table_restore_file(t, &record, at(0)));
}

static void restore_dir(struct table *t, uint64_t n, uint64_t parent, const char *name,
			uint64_t holder)
{
	restore(t, record_of(S_IFDIR, n, parent, name, holder));
}

static void restore_held(struct table *t, uint64_t n, uint64_t parent, const char *name,
			 uint64_t holder)
{
	restore(t, record_of(S_IFREG, n, parent, name, holder));
}

/* ---- Directories ---- */

/* /a/b/c/f, of which only f has a living holder. */
static void restore_path(struct table *t, int n)
{
	static const char *const names[] = {"a", "b", "c", "f"};
	uint64_t parent = n ? FIRST + (uint64_t)n - 1 : ROOT_INO;

	if (n < 3)
		restore_dir(t, (uint64_t)n, parent, names[n], DEAD);
	else
		restore_held(t, (uint64_t)n, parent, names[n], 1);
}

static void check_path(struct table *t)
{
	assert_int_equal(end(t), 0);
	assert_int_equal(ino_at(t, ROOT_INO, "a"), FIRST);
	assert_int_equal(ino_at(t, FIRST, "b"), FIRST + 1);
	assert_int_equal(ino_at(t, FIRST + 1, "c"), FIRST + 2);
	assert_int_equal(ino_at(t, FIRST + 2, "f"), FIRST + 3);
	assert_int_equal(attr_of(t, FIRST).nlink, 3);
	assert_int_equal(attr_of(t, FIRST + 2).nlink, 2);
	assert_int_equal(attr_of(t, ROOT_INO).nlink, 3);
	assert_int_equal(table_parent(t, FIRST + 2), FIRST + 1);
	table_tick(t, at(1000));
	assert_int_equal(ino_at(t, FIRST + 2, "f"), FIRST + 3);
	table_drop_client(t, 1, at(1000));
	table_tick(t, at(1000));
	assert_false(exists(t, "a"));
	table_check(t);
}

static void test_order_of_nested_directories_matters(void **state)
{
	for (int order = 0; order < 256; order++) {
		int n[4] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6};
		struct table *t;

		if ((1 << n[0] | 1 << n[1] | 1 << n[2] | 1 << n[3]) != 15)
			continue; /* no permutation */
		t = table_new(FIXTURE_EPOCH, 10, at(0));
		for (int i = 0; i < 4; i++)
			restore_path(t, n[i]);
		check_path(t);
		table_free(t);
	}
}

/* The inner one's number is the lower: it was moved there. */
static void test_directory_moved_into_a_younger_one_is_lost(void **state)
{
	restore_held(*state, 0, FIRST + 1, "f", 1);
	restore_dir(*state, 1, FIRST + 2, "inner", DEAD);
	restore_dir(*state, 2, ROOT_INO, "outer", DEAD);
	assert_int_equal(end(*state), 0);
	assert_int_equal(ino_at(*state, FIRST + 2, "inner"), FIRST + 1);
}

static void test_empty_directory_of_a_dead_holder_stays(void **state)
{
	uint64_t gone;

	restore_dir(*state, 0, ROOT_INO, "empty", DEAD);
	restore_dir(*state, 1, ROOT_INO, "living", 1);
	assert_int_equal(end(*state), 0);
	assert_false(exists(*state, "empty"));
	assert_true(exists(*state, "living"));
	assert_true(table_next_gone(*state, &gone));
	assert_int_equal(gone, FIRST);
}

/* It outlives its holder for what is in it, and not for an idle time as well. */
static void test_directory_of_a_dead_holder_lingers_when_empty(void **state)
{
	struct table_record dir = record_of(S_IFDIR, 0, ROOT_INO, "d", DEAD);
	struct attr attr;

	dir.links[0].idle_ns = FIXTURE_IDLE_NS;
	restore(*state, dir);
	restore_held(*state, 1, FIRST, "f", 1);
	assert_int_equal(end(*state), 0);
	assert_int_equal(link_of(*state, FIRST).holder, 0);
	assert_ok(table_unlink(*state, FIRST, "f", false, 1, 0, at(20), &attr));
	table_tick(*state, at(20));
	assert_false(exists(*state, "d"));
}

static void test_name_in_a_directory_that_nobody_knows_hangs(void **state)
{
	restore_held(*state, 0, FIRST + 7, "f", 1);
	restore_held(*state, 1, FIRST, "g", 1); /* in a file */
	restore_dir(*state, 2, FIRST + 1, "d", 1);
	assert_int_equal(end(*state), 3);
	table_drop_client(*state, 1, at(10));
	table_check(*state);
}

/* ---- Several names ---- */

static struct table_record file_of_three_names(void)
{
	struct table_record file = record_of(S_IFREG, 0, ROOT_INO, "a", 1);

	file.links[1] = file.links[2] = file.links[0];
	file.links[1].holder = DEAD;
	file.links[1].name = "b";
	file.links[2].holder = 0;
	file.links[2].name = "c";
	file.links[2].parent = FIRST + 1;
	file.links[2].idle_ns = FIXTURE_IDLE_NS;
	file.link_count = file.attr.nlink = 3;
	return file;
}

static void test_names_of_a_file_become_files(void **state)
{
	restore(*state, file_of_three_names());
	restore_dir(*state, 1, ROOT_INO, "d", 2);
	assert_int_equal(end(*state), 0);
	assert_int_equal(ino_at(*state, ROOT_INO, "a"), FIRST);
	assert_false(exists(*state, "b"));
	assert_int_equal(ino_at(*state, FIRST + 1, "c"), FIRST);
	assert_int_equal(attr_of(*state, FIRST).nlink, 2);
	assert_true(attr_of(*state, FIRST).version > 5);
	table_drop_client(*state, 1, at(11));
	assert_int_equal(attr_of(*state, FIRST).nlink, 1);
}

static void test_older_record_adds_a_name(void **state)
{
	struct table_record newer = file_of_three_names();

	newer.attr.version = 6;
	newer.link_count = newer.attr.nlink = 1;
	for (int newer_first = 0; newer_first < 2; newer_first++) {
		struct table *t = table_new(FIXTURE_EPOCH, 10, at(0));

		restore(t, newer_first ? newer : file_of_three_names());
		restore(t, newer_first ? file_of_three_names() : newer);
		restore_dir(t, 1, ROOT_INO, "d", 2);
		assert_int_equal(end(t), 0);
		assert_int_equal(attr_of(t, FIRST).nlink, 1);
		assert_int_equal(attr_of(t, FIRST).version, 6);
		assert_int_equal(ino_at(t, FIRST + 1, "c"), 0);
		table_free(t);
	}
}

/* ---- Content and lives ---- */

static void test_symlink_points_elsewhere(void **state)
{
	struct table_record link = record_of(S_IFLNK, 0, ROOT_INO, "l", 1);
	const void *data;
	size_t len;

	link.content = "target";
	link.attr.size = 6;
	restore(*state, link);
	assert_int_equal(end(*state), 0);
	assert_ok(table_read(*state, FIRST, 0, 100, &data, &len));
	assert_int_equal(len, 6);
	assert_memory_equal(data, "target", 6);
	assert_true(S_ISLNK(attr_of(*state, FIRST).mode));
}

/* Nobody knows when it was last touched: its life begins anew with the end of the restoring. */
static void test_time_to_live_is_forgotten(void **state)
{
	struct table_record held = record_of(S_IFREG, 0, ROOT_INO, "held", 1);
	struct table_record plain = record_of(S_IFREG, 1, ROOT_INO, "plain", 0);

	held.links[0].ttl_ns = 7 * NS_PER_SEC;
	plain.links[0].idle_ns = 5 * NS_PER_SEC;
	restore(*state, held);
	restore(*state, plain);
	assert_int_equal(end(*state), 0);
	assert_true(table_deadline(*state) == at(15).boot_ns);
	table_tick(*state, at(15));
	assert_false(exists(*state, "plain"));
	assert_true(table_deadline(*state) > at(15).boot_ns);
	table_tick(*state, at(16));
	assert_true(exists(*state, "held"));
	table_tick(*state, at(17));
	assert_false(exists(*state, "held"));
}

/* ---- What cannot be ---- */

/* Each was once in the other, and those who knew better are dead. */
static void test_ring_of_directories_never_ends(void **state)
{
	struct table_make to = make_in(1, FIRST + 2, "x");
	struct attr attr, replaced;

	restore_dir(*state, 0, FIRST + 1, "a", 1);
	restore_dir(*state, 1, FIRST, "b", 1);
	restore_dir(*state, 2, FIRST + 1, "c", 1);
	assert_int_equal(end(*state), 1);
	dir_in(*state, 1, ROOT_INO, "d");
	assert_ok(table_rename(*state, ROOT_INO, "d", &to, false, at(10), &attr, &replaced));
	table_drop_client(*state, 1, at(10));
	table_check(*state);
}

/* It is there for what is in it, but nobody can reach what is made in it. */
static void test_directory_without_a_name_takes_names_in(void **state)
{
	struct table_make make = make_in(2, FIRST, "x");
	struct attr attr, replaced;
	bool created;

	restore_dir(*state, 0, ROOT_INO, "d", 1);
	restore_dir(*state, 1, ROOT_INO, "d", 1);
	restore_held(*state, 2, FIRST, "f", 1);
	assert_int_equal(end(*state), 1);
	assert_int_equal(ino_at(*state, ROOT_INO, "d"), FIRST + 1);
	assert_int_equal(attr_of(*state, FIRST).nlink, 0);
	assert_int_equal(table_mkdir(*state, &make, at(10), &attr), STATUS_NO_ENTRY);
	assert_int_equal(table_create(*state, &make, at(10), &attr, &created), STATUS_NO_ENTRY);
	assert_int_equal(
		table_rename(*state, ROOT_INO, "d", &make, false, at(10), &attr, &replaced),
		STATUS_NO_ENTRY);
	assert_ok(table_unlink(*state, FIRST, "f", false, 1, 0, at(10), &attr));
	assert_true(is_gone(*state, FIRST));
}

static void test_directory_is_in_itself(void **state)
{
	restore_dir(*state, 0, FIRST, "a", 1);
	assert_int_equal(end(*state), 1);
	assert_true(is_gone(*state, FIRST));
}

static void assert_refused(struct table *t, struct table_record record)
{
	assert_int_equal(table_restore_file(t, &record, at(0)), STATUS_INVALID);
}

static void test_impossible_directory_is_restored(void **state)
{
	struct table_record dir = record_of(S_IFDIR, 0, ROOT_INO, "a", 1);
	struct table_record root = {.attr = {.ino = ROOT_INO, .version = 9, .mode = S_IFREG}};

	assert_refused(*state, root);
	dir.attr.size = 1;
	dir.content = "x";
	assert_refused(*state, dir);
	dir.attr.size = 0;
	dir.links[1] = dir.links[0];
	dir.links[1].name = "b";
	dir.link_count = 2;
	assert_refused(*state, dir);
	assert_int_equal(end(*state), 0);
	assert_false(exists(*state, "a") || exists(*state, "b"));
}

static void test_file_turns_into_a_directory(void **state)
{
	restore_held(*state, 0, ROOT_INO, "f", 1);
	restore_dir(*state, 1, ROOT_INO, "d", 1);
	for (uint64_t n = 0; n < 2; n++) {
		struct table_record other = record_of(n ? S_IFREG : S_IFDIR, n, ROOT_INO, "x", 1);

		other.attr.version = 6;
		assert_refused(*state, other);
	}
	assert_ok(table_restore_open(*state, 1, 1, FIRST));
	assert_int_equal(end(*state), 0);
	assert_true(S_ISREG(attr_of(*state, FIRST).mode));
	assert_true(S_ISDIR(attr_of(*state, FIRST + 1).mode));
}

static void test_symlink_longer_than_a_path(void **state)
{
	static const char target[SYMLINK_MAX_BYTES + 1];
	struct table_record link = record_of(S_IFLNK, 0, ROOT_INO, "l", 1);

	link.content = target;
	link.attr.size = SYMLINK_MAX_BYTES + 1;
	assert_refused(*state, link);
	link.attr.size = SYMLINK_MAX_BYTES;
	restore(*state, link);
	assert_int_equal(end(*state), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_order_of_nested_directories_matters),
		TABLE_TEST(test_directory_moved_into_a_younger_one_is_lost),
		TABLE_TEST(test_empty_directory_of_a_dead_holder_stays),
		TABLE_TEST(test_directory_of_a_dead_holder_lingers_when_empty),
		TABLE_TEST(test_name_in_a_directory_that_nobody_knows_hangs),
		TABLE_TEST(test_names_of_a_file_become_files),
		TABLE_TEST(test_older_record_adds_a_name),
		TABLE_TEST(test_symlink_points_elsewhere),
		TABLE_TEST(test_time_to_live_is_forgotten),
		TABLE_TEST(test_ring_of_directories_never_ends),
		TABLE_TEST(test_directory_without_a_name_takes_names_in),
		TABLE_TEST(test_directory_is_in_itself),
		TABLE_TEST(test_impossible_directory_is_restored),
		TABLE_TEST(test_file_turns_into_a_directory),
		TABLE_TEST(test_symlink_longer_than_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
