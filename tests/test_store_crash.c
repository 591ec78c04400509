/* SPDX-License-Identifier: MIT */
/* What was DONE outlives crashes and broken disks, and these do not end a store's service. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/store_place.h"

/*
 * The program's own fdatasync comes before the C library's, for SQLite too: so a test can count
 * syncs, and break them.
 */
static atomic_bool sync_fails;
static atomic_uint sync_count;

int fdatasync(int fd)
{
	if (atomic_load(&sync_fails)) {
		errno = EIO;
		return -1;
	}
	atomic_fetch_add(&sync_count, 1);
	return (int)syscall(SYS_fdatasync, fd);
}

#define KILL_ROUNDS 20
#define SWAPS_MAX   100000 /* of a child that nobody kills */

static int swap_and_report(struct place *p, int fd)
{
	struct store *s = NULL;
	struct engine_cell at;

	if (store_open(p->spec, &p->options, &s, p->why, sizeof(p->why)))
		return 1;
	at = read_cell(s);
	for (int i = 0; i < SWAPS_MAX; i++) {
		struct engine_cell next = cell(i + 1, at.epoch + 1, at.sequence + 1);

		if (swap(s, at, next) != ENGINE_DONE ||
		    write(fd, &next, sizeof(next)) != sizeof(next))
			return 1;
		at = next;
	}
	return 1;
}

/* Kills a child after some swaps. The last cell that it saw DONE. */
static struct engine_cell kill_after(struct place *p, int swaps)
{
	struct engine_cell done = {0};
	int fd, reports = 0;
	pid_t pid = start_child(p, swap_and_report, &fd);

	while (reports < swaps && read(fd, &done, sizeof(done)) == sizeof(done))
		reports++;
	kill(pid, SIGKILL);
	while (read(fd, &done, sizeof(done)) == sizeof(done))
		; /* what it still had reported */
	assert_int_equal(child_status(pid), -SIGKILL);
	close(fd);
	return done;
}

/* The cell is the one that was DONE last, or the one under way. */
static void test_kill_tears_or_loses_a_swap(void **state)
{
	for (int round = 0; round < KILL_ROUNDS; round++) {
		struct engine_cell done = kill_after(*state, 1 + round);
		struct store *s = open_place(*state);
		struct engine_cell is = read_cell(s);

		if (is.sequence != done.sequence)
			done = cell(done.instance + 1, done.epoch + 1, done.sequence + 1);
		assert_cell(is, done);
		store_close(s);
	}
}

#define TORN_SWAPS 8

static int swap_and_die(struct place *p, int fd)
{
	struct store *s = NULL;

	if (store_open(p->spec, &p->options, &s, p->why, sizeof(p->why)))
		return 1;
	for (uint64_t i = 0; i < TORN_SWAPS; i++)
		if (swap(s, cell(0, 0, i), cell(0, 0, i + 1)) != ENGINE_DONE)
			return 1;
	return 0; /* without store_close: all swaps are in the WAL */
}

#define CUT_STEP_BYTES 600 /* cuts frame headers and pages at many places */

/* The cell of the store with these bytes, of the WAL only the first wal_len. */
static struct engine_cell cell_of(struct place *p, struct bytes db, struct bytes wal,
				  size_t wal_len)
{
	struct engine_cell is;
	struct store *s;

	write_file(p->path, db.at, db.len);
	write_file(p->wal, wal.at, wal_len);
	s = open_place(p);
	is = read_cell(s);
	store_close(s);
	return is;
}

/*
 * A WAL cut at any place, as a power cut may leave it, gives an older cell, never a mixed one or a
 * refusal.
 */
static void test_torn_wal_gives_a_mixed_cell(void **state)
{
	struct place *p = *state;
	struct bytes db, wal;
	uint64_t before = 0;
	int fd;

	assert_int_equal(child_status(start_child(p, swap_and_die, &fd)), 0);
	close(fd);
	db = read_file(p->path);
	wal = read_file(p->wal);
	for (size_t len = 0; len < wal.len; len += CUT_STEP_BYTES) {
		struct engine_cell is = cell_of(p, db, wal, len);

		assert_cell(is, cell(0, 0, is.sequence));
		assert_in_range(is.sequence, before, TORN_SWAPS);
		before = is.sequence;
	}
	assert_in_range(before, 1, TORN_SWAPS - 1);
	assert_cell(cell_of(p, db, wal, wal.len), cell(0, 0, TORN_SWAPS));
	free(db.at);
	free(wal.at);
}

static void test_done_before_it_is_on_the_disk(void **state)
{
	struct store *s = open_place(*state);
	unsigned before = sync_count;

	for (uint64_t i = 0; i < 5; i++) {
		assert_int_equal(swap(s, cell(0, 0, i), cell(0, 0, i + 1)), ENGINE_DONE);
		assert_true(sync_count > before);
		before = sync_count;
	}
	assert_int_equal(write_session(s, ENGINE_PUT, cell(0, 0, 0), "n", 1), ENGINE_DONE);
	assert_true(sync_count > before);
	before = sync_count;
	assert_int_equal(write_session(s, ENGINE_DELETE, cell(0, 0, 0), "n", 1), ENGINE_DONE);
	assert_true(sync_count > before);
	store_close(s);
}

static void test_failed_sync_is_done_or_wedges(void **state)
{
	struct store *s = open_place(*state);
	struct engine_outcome out;

	assert_int_equal(swap(s, cell(0, 0, 0), cell(1, 1, 1)), ENGINE_DONE);
	for (int i = 0; i < 3; i++) {
		sync_fails = true;
		out = run(s, swap_op(cell(1, 1, 1), cell(2, 2, 2)));
		assert_int_equal(out.result, ENGINE_UNKNOWN);
		assert_non_null(strstr(out.error, "disk I/O error"));
		assert_int_equal(write_session(s, ENGINE_PUT, cell(1, 1, 1), "n", 1),
				 ENGINE_UNKNOWN);
		sync_fails = false;
		assert_cell(read_cell(s), cell(1, 1, 1));
		assert_sessions(s, "");
	}
	assert_int_equal(swap(s, cell(1, 1, 1), cell(3, 3, 3)), ENGINE_DONE);
	store_close(s);
	s = open_place(*state);
	assert_cell(read_cell(s), cell(3, 3, 3));
	store_close(s);
}

/* Any error in the middle of a transaction, after which SQLite does not roll back by itself. */
static void test_error_leaves_its_transaction_open(void **state)
{
	struct place *p = *state;
	struct store *s;

	store_close(open_place(p));
	change(p,
	       "CREATE TRIGGER harm BEFORE INSERT ON session BEGIN SELECT raise(ABORT, ''); END");
	s = open_place(p);
	assert_int_equal(write_session(s, ENGINE_PUT, cell(0, 0, 0), "n", 1), ENGINE_UNKNOWN);
	assert_int_equal(swap(s, cell(0, 0, 0), cell(1, 1, 1)), ENGINE_DONE);
	store_close(s);
}

static void fill_disk(const char *path)
{
	static const char block[4096];
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	assert_int_equal(errno, ENOSPC);
	close(fd);
}

static void test_full_disk_wedges_the_store(void **state)
{
	struct place *p = *state;
	struct engine_outcome out;
	struct store *s;
	char filler[96];

	need_mounts();
	snprintf(filler, sizeof(filler), "%s/filler", p->dir);
	assert_int_equal(mount("test", p->dir, "tmpfs", 0, "size=256k"), 0);
	fill_disk(filler);
	assert_refused(p, p->spec, -ENOSPC, "no space left");
	unlink(filler);
	s = open_place(p);
	assert_int_equal(swap(s, cell(0, 0, 0), cell(1, 1, 1)), ENGINE_DONE);
	for (int i = 0; i < 3; i++) {
		fill_disk(filler);
		out = run(s, swap_op(cell(1, 1, 1 + i), cell(1, 1, 2 + i)));
		assert_int_equal(out.result, ENGINE_UNKNOWN);
		assert_non_null(strstr(out.error, "full"));
		assert_cell(read_cell(s), cell(1, 1, 1 + i));
		unlink(filler);
		assert_int_equal(swap(s, cell(1, 1, 1 + i), cell(1, 1, 2 + i)), ENGINE_DONE);
	}
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_kill_tears_or_loses_a_swap),
		STORE_TEST(test_torn_wal_gives_a_mixed_cell),
		STORE_TEST(test_done_before_it_is_on_the_disk),
		STORE_TEST(test_failed_sync_is_done_or_wedges),
		STORE_TEST(test_error_leaves_its_transaction_open),
		STORE_TEST(test_full_disk_wedges_the_store),
	};

	enter_mount_namespace();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
