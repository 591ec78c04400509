/* SPDX-License-Identifier: MIT */
/* A table put together again from what the clients kept, in whatever order they speak. */
#include <string.h>
#include <sys/stat.h>

#include "tests/table_fixture.h"

#define INO   (EARLIER_EPOCH + 2)
#define TOKEN (EARLIER_EPOCH + 1)
#define S     LOCK_SHARED
#define X     LOCK_EXCLUSIVE

static const char content[100] = "0123456789";

/* What a client says of file INO, "f": the first size bytes of content, at this version. */
static struct table_record record_of(uint64_t version, uint64_t size)
{
	return (struct table_record){
		.attr = {.ino = INO,
			 .version = version,
			 .mode = S_IFREG | 0644,
			 .nlink = 1,
			 .size = size},
		.links[0] = {.parent = ROOT_INO,
			     .token = TOKEN,
			     .idle_ns = FIXTURE_IDLE_NS,
			     .name = "f"},
		.link_count = 1,
		.content = content,
		.full = true,
	};
}

static enum status restore(struct table *t, struct table_record record)
{
	return table_restore_file(t, &record, at(0));
}

static bool alive(void *arg, uint64_t client)
{
	return client != 9;
}

static size_t end(struct table *t)
{
	size_t failed = table_restore_end(t, at(0), alive, NULL);

	table_check(t);
	return failed;
}

/* INO as "f", opened by clients 1 to 3. */
static void restore_shared(struct table *t)
{
	assert_ok(restore(t, record_of(5, 0)));
	for (uint64_t client = 1; client <= 3; client++)
		assert_ok(table_restore_open(t, client, client, INO));
}

static enum status restore_wait(struct table *t, uint64_t client, uint64_t ticket)
{
	struct table_want want = flock_want(client, INO, X, client * 10);

	return table_restore_wait(t, &want, ticket);
}

static enum status restore_lock(struct table *t, struct table_want want, uint64_t token)
{
	return table_restore_lock(t, &want, token);
}

/* ---- Files ---- */

static void test_restored_file_differs(void **state)
{
	struct table_record record = record_of(5, 10), got;

	record.links[0].holder = 7;
	record.links[0].maker_req = 70;
	record.links[0].maker_pid = 71;
	record.links[0].maker_uid = 72;
	record.links[0].ttl_ns = NS_PER_SEC;
	record.links[0].age_ns = 73;
	record.links[0].flags = LINK_TTL_SET;
	strcpy(record.links[0].maker_command, "dotlockfile");
	record.attr.uid = 11;
	record.attr.mtime_ns = 22;
	assert_ok(restore(*state, record));
	assert_int_equal(end(*state), 0);
	assert_ok(table_record(*state, INO, &got));
	assert_memory_equal(&got.attr, &record.attr, sizeof(got.attr));
	assert_int_equal(got.link_count, 1);
	assert_string_equal(got.links[0].name, "f");
	got.links[0].name = record.links[0].name;
	assert_memory_equal(&got.links[0], &record.links[0], sizeof(got.links[0]));
	assert_memory_equal(got.content, content, 10);
	table_drop_client(*state, 7, at(0));
	assert_false(exists(*state, "f"));
}

static void test_name_shows_before_the_end(void **state)
{
	assert_ok(restore(*state, record_of(5, 0)));
	assert_false(exists(*state, "f"));
	end(*state);
	assert_true(exists(*state, "f"));
	assert_true(table_deadline(*state) == FIXTURE_IDLE_NS);
}

/* Three clients know the file as of different versions; only some know its content. */
static void restore_versions(struct table *t, const int *order)
{
	struct table_record records[3] = {record_of(3, 50), record_of(5, 5), record_of(7, 20)};

	records[0].attr.uid = 3;
	records[1].attr.uid = 5;
	records[2].attr.uid = 7;
	records[1].full = records[2].full = false;
	for (int i = 0; i < 3; i++)
		assert_ok(restore(t, records[order[i]]));
}

static void test_order_of_reclaim_matters(void **state)
{
	static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					 {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	const void *data;
	size_t len;

	for (int i = 0; i < 6; i++) {
		struct table *t = table_new(FIXTURE_EPOCH, 10, at(0));

		restore_versions(t, orders[i]);
		end(t);
		assert_int_equal(attr_of(t, INO).uid, 7);
		assert_int_equal(attr_of(t, INO).version, 7);
		assert_ok(table_read(t, INO, 0, 100, &data, &len));
		assert_int_equal(len, 20);
		assert_memory_equal(data, content, 20);
		table_free(t);
	}
}

static void test_older_content_wins(void **state)
{
	struct table_record old = record_of(3, 10);
	const void *data;
	size_t len;

	old.content = "oldoldoldold";
	assert_ok(restore(*state, record_of(5, 4)));
	assert_ok(restore(*state, old));
	end(*state);
	assert_ok(table_read(*state, INO, 0, 100, &data, &len));
	assert_int_equal(len, 4);
	assert_memory_equal(data, content, 4);
}

/* ---- Tombs ---- */

/* Client 1 removed the file; client 2 still has it open and may not have heard. */
static void check_tomb(bool tomb_first, uint64_t version, uint32_t nlink)
{
	struct table *t = table_new(FIXTURE_EPOCH, 10, at(0));
	struct table_record record = record_of(version, 3);
	uint64_t gone;

	record.attr.nlink = nlink;
	if (tomb_first)
		assert_ok(table_restore_gone(t, INO, 6));
	assert_ok(restore(t, record));
	assert_ok(table_restore_open(t, 2, 2, INO));
	assert_ok(restore_lock(t, flock_want(2, INO, X, 0), TOKEN));
	if (!tomb_first)
		assert_ok(table_restore_gone(t, INO, 6));
	assert_int_equal(end(t), 0);
	assert_false(exists(t, "f"));
	assert_int_equal(attr_of(t, INO).nlink, 0);
	assert_int_equal(attr_of(t, INO).version, 6);
	assert_int_equal(lock_count(t), 1);
	table_close(t, 2, 2, at(0));
	assert_true(table_next_gone(t, &gone));
	table_free(t);
}

static void test_removed_file_comes_back(void **state)
{
	for (int tomb_first = 0; tomb_first < 2; tomb_first++) {
		check_tomb(tomb_first, 5, 1);
		check_tomb(tomb_first, 6, 0);
		check_tomb(tomb_first, 6, 1); /* of one version the end counts */
	}
}

static void test_removed_file_without_handle_stays(void **state)
{
	struct table_counts counts;
	uint64_t gone;

	assert_ok(table_restore_gone(*state, INO, 6));
	assert_ok(restore(*state, record_of(5, 3)));
	end(*state);
	assert_true(table_next_gone(*state, &gone));
	assert_int_equal(gone, INO);
	table_counts(*state, &counts);
	assert_int_equal(counts.files, 0);
	assert_int_equal(counts.content_bytes, 0);
}

static void test_old_tomb_buries_a_newer_record(void **state)
{
	assert_ok(table_restore_gone(*state, INO, 4));
	assert_ok(restore(*state, record_of(5, 0)));
	end(*state);
	assert_true(exists(*state, "f"));
}

/* ---- Names ---- */

static void test_name_of_a_dead_holder_stays(void **state)
{
	struct table_record record = record_of(5, 0);

	record.links[0].holder = 9;
	assert_ok(restore(*state, record));
	assert_ok(table_restore_open(*state, 1, 1, INO));
	assert_int_equal(end(*state), 0);
	assert_false(exists(*state, "f"));
	assert_int_equal(attr_of(*state, INO).nlink, 0);
	assert_true(attr_of(*state, INO).version > 5);
}

static void test_two_files_get_one_name(void **state)
{
	for (int older_first = 0; older_first < 2; older_first++) {
		struct table *t = table_new(FIXTURE_EPOCH, 10, at(0));
		struct table_record older = record_of(5, 0), newer = record_of(5, 0);
		struct attr attr;

		newer.attr.ino = INO + 1;
		assert_ok(restore(t, older_first ? older : newer));
		assert_ok(restore(t, older_first ? newer : older));
		assert_int_equal(end(t), 1);
		assert_ok(table_lookup(t, ROOT_INO, "f", &attr));
		assert_int_equal(attr.ino, INO + 1);
		table_free(t);
	}
}

/* Of three names of a file the middle one is another's: the others are its own still. */
static void test_refused_name_takes_the_others_along(void **state)
{
	struct table_record older = record_of(5, 0), newer = record_of(5, 0), got;

	older.attr.nlink = older.link_count = 3;
	older.links[0].name = "a";
	older.links[1] = older.links[2] = newer.links[0];
	older.links[2].name = "b";
	newer.attr.ino = INO + 1;
	assert_ok(restore(*state, older));
	assert_ok(restore(*state, newer));
	assert_int_equal(end(*state), 1);
	assert_ok(table_record(*state, INO, &got));
	assert_int_equal(got.link_count, 2);
	assert_true(got.attr.version > 5);
	assert_true(exists(*state, "a") && exists(*state, "b"));
	assert_int_equal(link_of(*state, INO + 1).parent, ROOT_INO);
}

static void test_new_file_reuses_a_restored_number(void **state)
{
	uint64_t ino;

	assert_ok(restore(*state, record_of(5, 0)));
	end(*state);
	ino = held_file(*state, 1, 1, "g");
	assert_true(ino > INO && link_of(*state, ino).token > TOKEN);
}

static void test_root_forgets_its_changes(void **state)
{
	struct table_record root = {
		.attr = {.ino = ROOT_INO, .version = 40, .mode = S_IFDIR | 0755}};

	root.attr.mtime_ns = 77;
	assert_ok(restore(*state, root));
	root.attr.version = 30;
	root.attr.mtime_ns = 66;
	assert_ok(restore(*state, root));
	end(*state);
	assert_int_equal(attr_of(*state, ROOT_INO).version, 40);
	assert_int_equal(attr_of(*state, ROOT_INO).mtime_ns, 77);
}

static void test_nonsense_is_restored(void **state)
{
	struct table_record record = record_of(5, 0);

	record.attr.ino = (FIXTURE_EPOCH << TABLE_EPOCH_SHIFT) + 1;
	assert_int_equal(restore(*state, record), STATUS_INVALID);
	record = record_of(5, 0);
	record.links[0].token = (FIXTURE_EPOCH << TABLE_EPOCH_SHIFT) + 1;
	assert_int_equal(restore(*state, record), STATUS_INVALID);
	record = record_of(5, 0);
	record.links[0].name = "a/b";
	assert_int_equal(restore(*state, record), STATUS_INVALID);
	record.links[0].name = NULL;
	assert_int_equal(restore(*state, record), STATUS_INVALID);
	record = record_of(5, 0);
	record.attr.mode = S_IFIFO | 0644;
	assert_int_equal(restore(*state, record), STATUS_INVALID);
	assert_int_equal(restore(*state, record_of(5, CONTENT_MAX_BYTES + 1)), STATUS_INVALID);
	assert_int_equal(restore(*state, record_of(0, 0)), STATUS_INVALID);
	end(*state);
}

/* ---- Handles, locks and queues ---- */

static void test_handle_comes_before_its_file(void **state)
{
	assert_int_equal(table_restore_open(*state, 1, 1, INO), STATUS_STALE);
	assert_int_equal(table_restore_open(*state, 1, 1, ROOT_INO), STATUS_STALE);
	assert_ok(restore(*state, record_of(5, 0)));
	assert_ok(table_restore_open(*state, 1, 1, INO));
	assert_int_equal(table_restore_open(*state, 1, 1, INO), STATUS_INVALID);
	end(*state);
	assert_true(table_deadline(*state) == MOMENT_NEVER);
}

static void test_conflicting_locks_are_restored(void **state)
{
	restore_shared(*state);
	assert_ok(restore_lock(*state, range_want(1, INO, X, 0, 9, 0), TOKEN));
	assert_int_equal(restore_lock(*state, range_want(2, INO, S, 9, 19, 0), TOKEN + 1),
			 STATUS_BUSY);
	assert_ok(restore_lock(*state, range_want(2, INO, S, 10, 19, 0), TOKEN + 2));
	assert_ok(restore_lock(*state, range_want(3, INO, S, 10, 19, 0), TOKEN + 3));
	assert_ok(restore_lock(*state, flock_want(3, INO, X, 0), TOKEN + 4));
	end(*state);
	assert_int_equal(lock_count(*state), 4);
	lock_refused(*state, range_want(2, INO, S, 9, 19, 0));
}

static void test_numbers_from_the_future_are_believed(void **state)
{
	const uint64_t future = (FIXTURE_EPOCH << TABLE_EPOCH_SHIFT) + 1;

	restore_shared(*state);
	assert_int_equal(restore_lock(*state, flock_want(1, INO, X, 0), future), STATUS_INVALID);
	assert_int_equal(restore_lock(*state, flock_want(1, INO, X, 0), 0), STATUS_INVALID);
	assert_int_equal(restore_lock(*state, flock_want(1, INO, LOCK_NONE, 0), TOKEN),
			 STATUS_INVALID);
	assert_int_equal(restore_wait(*state, 1, future), STATUS_INVALID);
	assert_int_equal(restore_wait(*state, 1, 0), STATUS_INVALID);
	assert_ok(restore_wait(*state, 1, TOKEN));
	assert_int_equal(restore_wait(*state, 1, TOKEN + 1), STATUS_INVALID); /* again */
	end(*state);
	expect_grant(*state, 1, 10);
}

static void test_queue_forgets_its_order(void **state)
{
	restore_shared(*state);
	assert_ok(restore_wait(*state, 3, TOKEN + 7));
	assert_ok(restore_wait(*state, 2, TOKEN + 5));
	assert_ok(restore_lock(*state, flock_want(1, INO, X, 0), TOKEN));
	expect_no_grant(*state);
	end(*state);
	expect_no_grant(*state);
	table_close(*state, 1, 1, at(0));
	expect_grant(*state, 2, 20);
	expect_no_grant(*state);
	table_close(*state, 2, 2, at(0));
	expect_grant(*state, 3, 30);
}

static void test_waiter_is_granted_before_the_end(void **state)
{
	struct table_grant grant;

	restore_shared(*state);
	assert_ok(restore_wait(*state, 3, TOKEN + 7));
	assert_ok(restore_wait(*state, 2, TOKEN + 5)); /* the holder has died */
	expect_no_grant(*state);
	end(*state);
	assert_true(table_next_grant(*state, &grant));
	assert_int_equal(grant.client, 2);
	assert_true(grant.token >> TABLE_EPOCH_SHIFT == FIXTURE_EPOCH);
	expect_no_grant(*state);
}

static void test_new_waiter_stands_before_restored_ones(void **state)
{
	restore_shared(*state);
	assert_ok(restore_wait(*state, 3, TOKEN + 7));
	assert_ok(restore_lock(*state, flock_want(1, INO, X, 0), TOKEN));
	end(*state);
	lock_queued(*state, flock_want(2, INO, X, 20));
	table_close(*state, 1, 1, at(0));
	expect_grant(*state, 3, 30);
	expect_no_grant(*state);
}

static void test_client_that_dies_while_restoring_keeps_its_lock(void **state)
{
	restore_shared(*state);
	assert_ok(restore_wait(*state, 2, TOKEN + 5));
	assert_ok(restore_lock(*state, flock_want(1, INO, X, 0), TOKEN));
	table_drop_client(*state, 1, at(0));
	expect_no_grant(*state);
	end(*state);
	expect_grant(*state, 2, 20);
	assert_int_equal(lock_count(*state), 1);
}

static void test_table_is_freed_half_restored(void **state)
{
	restore_shared(*state);
	assert_ok(restore_wait(*state, 2, TOKEN + 5));
	assert_ok(restore_lock(*state, flock_want(1, INO, X, 0), TOKEN));
	assert_ok(table_restore_gone(*state, INO + 1, 3));
}

static void test_one_client_claims_files_without_end(void **state)
{
	struct table *t = table_new(FIXTURE_EPOCH, 10, at(0));
	struct table_record record = record_of(1, 0);
	enum status status = STATUS_OK;
	int claimed = 0;

	for (; status == STATUS_OK && claimed < 100; claimed++) {
		record.attr.ino = INO + (uint64_t)claimed;
		status = restore(t, record);
	}
	assert_int_equal(status, STATUS_NO_SPACE);
	assert_true(claimed > 10);
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_restored_file_differs),
		TABLE_TEST(test_name_shows_before_the_end),
		TABLE_TEST(test_order_of_reclaim_matters),
		TABLE_TEST(test_older_content_wins),
		TABLE_TEST(test_removed_file_comes_back),
		TABLE_TEST(test_removed_file_without_handle_stays),
		TABLE_TEST(test_old_tomb_buries_a_newer_record),
		TABLE_TEST(test_name_of_a_dead_holder_stays),
		TABLE_TEST(test_two_files_get_one_name),
		TABLE_TEST(test_refused_name_takes_the_others_along),
		TABLE_TEST(test_new_file_reuses_a_restored_number),
		TABLE_TEST(test_root_forgets_its_changes),
		TABLE_TEST(test_nonsense_is_restored),
		TABLE_TEST(test_handle_comes_before_its_file),
		TABLE_TEST(test_conflicting_locks_are_restored),
		TABLE_TEST(test_numbers_from_the_future_are_believed),
		TABLE_TEST(test_queue_forgets_its_order),
		TABLE_TEST(test_waiter_is_granted_before_the_end),
		TABLE_TEST(test_new_waiter_stands_before_restored_ones),
		TABLE_TEST(test_client_that_dies_while_restoring_keeps_its_lock),
		TABLE_TEST(test_table_is_freed_half_restored),
		TABLE_TEST(test_one_client_claims_files_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
