/* SPDX-License-Identifier: MIT */
/* What is not a store of ours, or lies where none can be, is refused, and left as it was. */
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/store_place.h"

/* Comes before the C library's, so that a test can put a directory on a network file system. */
static bool network;

int statfs(const char *path, struct statfs *fs)
{
	int rc = (int)syscall(SYS_statfs, path, fs);

	if (network)
		fs->f_type = NFS_SUPER_MAGIC;
	return rc;
}

/* A hash (FNV-1a) of the names and bytes of all files in a directory. */
static uint64_t digest(const char *dir)
{
	struct dirent **list;
	uint64_t hash = 0xcbf29ce484222325;
	int n = scandir(dir, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char path[512];
		struct bytes b;

		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		if (list[i]->d_type == DT_REG) {
			b = read_file(path);
			for (const char *c = path; *c; c++)
				hash = (hash ^ (uint8_t)*c) * 0x100000001b3;
			for (size_t k = 0; k < b.len; k++)
				hash = (hash ^ (uint8_t)b.at[k]) * 0x100000001b3;
			free(b.at);
		}
		free(list[i]);
	}
	free(list);
	return hash;
}

static void assert_untouched(struct place *p, int err, const char *words)
{
	uint64_t before = digest(p->dir);

	assert_refused(p, p->spec, err, words);
	assert_true(digest(p->dir) == before);
}

static void test_garbage_is_taken_for_a_store(void **state)
{
	struct place *p = *state;
	char garbage[9000];

	memset(garbage, 'x', sizeof(garbage));
	write_file(p->path, garbage, sizeof(garbage));
	assert_untouched(p, -EBADMSG, "is not a dlock store");
	write_file(p->path, "SQLite format 3", 16);
	assert_untouched(p, -EBADMSG, "is not a dlock store");
	write_file(p->path, "", 0);
	assert_untouched(p, -EBADMSG, "is empty");
}

static void test_other_programs_database_is_changed(void **state)
{
	struct place *p = *state;

	change(p, "CREATE TABLE mine (a); INSERT INTO mine VALUES (1)");
	assert_untouched(p, -EBADMSG, "another program");
	change(p, "PRAGMA application_id = 7; PRAGMA journal_mode = WAL; DROP TABLE mine");
	assert_untouched(p, -EBADMSG, "another program");
}

static void test_newer_store_is_changed(void **state)
{
	struct place *p = *state;

	store_close(open_place(p));
	change(p, "PRAGMA user_version = 2"); /* in the WAL alone */
	assert_untouched(p, -EPROTO, "newer dlock (version 2; this one knows 1)");
	change(p, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_untouched(p, -EPROTO, "newer dlock (version 2; this one knows 1)");
}

#define PAGE_BYTES 4096 /* SQLite's default */

/* Every page once, the last first, which nothing but a check of the whole store would read. */
static void test_damaged_store_is_served(void **state)
{
	struct place *p = *state;
	struct bytes whole;

	store_close(open_place(p));
	whole = read_file(p->path);
	for (size_t end = whole.len; end > PAGE_BYTES; end -= PAGE_BYTES) {
		memset(whole.at + end - PAGE_BYTES, 0xa5, PAGE_BYTES);
		write_file(p->path, whole.at, whole.len);
		assert_untouched(p, -EBADMSG, "is damaged");
	}
	write_file(p->path, whole.at, PAGE_BYTES);
	assert_untouched(p, -EBADMSG, "is damaged");
	free(whole.at);
}

static void test_store_without_its_tables_is_served(void **state)
{
	static const char *const harms[] = {
		"DROP TABLE session",
		"DELETE FROM leader",
		"ALTER TABLE leader DROP COLUMN epoch",
		"ALTER TABLE leader DROP COLUMN asked_by",
		"DROP TABLE cluster",
		"UPDATE cluster SET id = 0",
		"PRAGMA user_version = 0",
	};
	struct place *p = *state;

	for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i++) {
		store_close(open_place(p));
		change(p, harms[i]);
		assert_untouched(p, -EBADMSG, "is damaged");
		unlink(p->path);
		unlink(p->wal);
	}
}

/* The first stores had no number of their cluster, and less of the cell. */
#define AS_OF_BEFORE                                                                               \
	"DROP TABLE cluster; ALTER TABLE leader DROP COLUMN leader_lease_ns;"                      \
	"ALTER TABLE leader DROP COLUMN asked_by"

static void test_store_of_before_is_lost(void **state)
{
	struct engine_cell was = {.instance = 5, .epoch = 6, .sequence = 7, .lease_ns = 8};
	struct place *p = *state;
	struct store *s = open_place(p);
	uint64_t cluster;

	assert_int_equal(swap(s, cell(0, 0, 0), was), ENGINE_DONE);
	assert_int_equal(write_session(s, ENGINE_PUT, was, "a", 1), ENGINE_DONE);
	store_close(s);
	change(p, AS_OF_BEFORE);
	s = open_place(p);
	assert_cell(read_cell(s), was);
	assert_sessions(s, "a=1 ");
	cluster = run(s, (struct engine_op){.kind = ENGINE_READ}).cluster;
	store_close(s);
	s = open_place(p);
	assert_true(run(s, (struct engine_op){.kind = ENGINE_READ}).cluster == cluster);
	store_close(s);
}

/* It is not made newer first. */
static void test_damaged_store_of_before_is_changed(void **state)
{
	struct place *p = *state;

	store_close(open_place(p));
	change(p, AS_OF_BEFORE);
	change(p, "DROP TABLE session");
	assert_untouched(p, -EBADMSG, "is damaged");
}

static void test_leftovers_are_played_into_a_store(void **state)
{
	struct place *p = *state;
	char name[128];

	store_close(open_place(p));
	snprintf(name, sizeof(name), "%s-journal", p->path);
	write_file(name, "j", 1);
	assert_untouched(p, -EBADMSG, "lies beside the store");
	unlink(name);
	write_file(p->wal, "w", 1);
	unlink(p->path);
	assert_untouched(p, -EBADMSG, "is gone but");
}

static void test_unfinished_creation_blocks_the_next(void **state)
{
	struct place *p = *state;
	char name[128];

	snprintf(name, sizeof(name), "%s.creating", p->path);
	write_file(name, "half", 4);
	store_close(open_place(p));
	assert_int_equal(access(name, F_OK), -1);
}

/* Refused for its place. */

static void test_impossible_places(void **state)
{
	struct place *p = *state;
	char spec[256];

	assert_refused(p, "file:/x", -EINVAL, "no such kind of store: \"file:/x\"");
	assert_refused(p, "/a/path", -EINVAL, "known: sqlite:PATH");
	assert_refused(p, "sqlite:", -EINVAL, "needs a file's path");
	assert_refused(p, "sqlite:/dev/null", -EINVAL, "not a regular file");
	snprintf(spec, sizeof(spec), "sqlite:%s", p->dir);
	assert_refused(p, spec, -EISDIR, "is a directory");
	snprintf(spec, sizeof(spec), "sqlite:%s/none/store.db", p->dir);
	assert_refused(p, spec, -ENOENT, "does not exist; make it first");
	snprintf(spec, sizeof(spec), "sqlite:%s/store.db/x", p->dir);
	store_close(open_place(p));
	assert_refused(p, spec, -ENOTDIR, "Not a directory");
	network = true;
	assert_refused(p, p->spec, -EINVAL, "network file system");
	network = false;
}

static void test_read_only_place(void **state)
{
	struct place *p = *state;

	need_mounts();
	store_close(open_place(p));
	assert_int_equal(mount(p->dir, p->dir, NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(NULL, p->dir, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_refused(p, p->spec, -EROFS, "cannot be opened for writing");
	assert_int_equal(umount(p->dir), 0);
	assert_int_equal(mount(p->path, p->path, NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(NULL, p->path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_refused(p, p->spec, -EROFS, "cannot be opened for writing");
	assert_int_equal(umount(p->path), 0);
	store_close(open_place(p));
}

static void test_default_directory_is_missing(void **state)
{
	struct place *p = *state;
	struct stat st;

	need_mounts();
	assert_int_equal(mount("test", "/var/lib", "tmpfs", 0, NULL), 0);
	store_close(open_spec(p, "sqlite:" STORE_DEFAULT_DIR "/store.db"));
	assert_int_equal(stat(STORE_DEFAULT_DIR, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(STORE_DEFAULT_DIR "/store.db", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(umount("/var/lib"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_garbage_is_taken_for_a_store),
		STORE_TEST(test_other_programs_database_is_changed),
		STORE_TEST(test_newer_store_is_changed),
		STORE_TEST(test_damaged_store_is_served),
		STORE_TEST(test_store_without_its_tables_is_served),
		STORE_TEST(test_store_of_before_is_lost),
		STORE_TEST(test_damaged_store_of_before_is_changed),
		STORE_TEST(test_leftovers_are_played_into_a_store),
		STORE_TEST(test_unfinished_creation_blocks_the_next),
		STORE_TEST(test_impossible_places),
		STORE_TEST(test_read_only_place),
		STORE_TEST(test_default_directory_is_missing),
	};

	enter_mount_namespace();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
