/* SPDX-License-Identifier: MIT */
/* Fears about what is told of a file: the wrong holder or token, and a wrong end of its life. */
#include <string.h>

#include "tests/table_fixture.h"

#define S     LOCK_SHARED
#define X     LOCK_EXCLUSIVE
#define LEASE (10 * NS_PER_SEC)

static struct table_info info_for(struct table *t, uint64_t ino, uint64_t client, uint32_t pid)
{
	struct table_info info;

	assert_ok(table_info(t, ino, client, pid, &info));
	return info;
}

/* Asked by nobody that holds anything. */
static struct table_info info_of(struct table *t, uint64_t ino)
{
	return info_for(t, ino, 99, 99);
}

/* "f", opened by the clients 1 to `clients` as plain files are. */
static uint64_t shared_file(struct table *t, uint64_t clients)
{
	uint64_t ino = plain_file(t, "f");

	for (uint64_t client = 2; client <= clients; client++)
		opened_by(t, ino, client);
	return ino;
}

/* ---- Who holds it ---- */

static void test_a_free_file_has_a_holder(void **state)
{
	struct table_info info = info_of(*state, plain_file(*state, "f"));

	assert_int_equal(info.holder_count, 0);
	assert_true(info.token == 0 && info.mode == LOCK_NONE && info.waiting == 0);
	assert_true(info.ttl_ns == 0);
}

static void test_a_holder_is_told_of_wrongly(void **state)
{
	uint64_t ino = shared_file(*state, 2), token;
	struct table_want want = range_want(2, ino, X, 5, 9, 0);
	struct table_info info;

	want.uid = 77;
	want.command = "a name of twenty bytes";
	want.since_ns = 1234;
	token = lock_granted(*state, want);
	table_now(*state, at(5));
	info = info_of(*state, ino);
	assert_int_equal(info.holder_count, 1);
	assert_true(info.token == token && info.mode == X);
	assert_memory_equal(&info.holders[0],
			    (&(struct holder){.token = token,
					      .session = 2,
					      .start = 5,
					      .end = 9,
					      .age_ns = at(5).boot_ns - 1234,
					      .pid = 1002,
					      .uid = 77,
					      .kind = HOLDER_RANGE,
					      .mode = X,
					      .command = "a name of twent"}),
			    sizeof(struct holder));
}

static void test_a_held_name_has_no_holder(void **state)
{
	struct table_make make = make_of("e", OPEN_EXCL);
	struct table_info info;
	struct attr attr;
	bool created;

	make.client = 7;
	make.uid = 11;
	make.command = "lockfile";
	assert_ok(table_create(*state, &make, at(3), &attr, &created));
	info = info_of(*state, attr.ino);
	assert_int_equal(info.holder_count, 1);
	assert_int_equal(info.holders[0].kind, HOLDER_NAME);
	assert_true(info.holders[0].session == 7 && info.holders[0].pid == FIXTURE_PID);
	assert_int_equal(info.holders[0].uid, 11);
	assert_string_equal(info.holders[0].command, "lockfile");
	table_now(*state, at(10));
	assert_true(info_of(*state, attr.ino).holders[0].age_ns == 7 * NS_PER_SEC);
	assert_true(info.token == link_of(*state, attr.ino).token && info.mode == LOCK_NONE);
	table_drop_client(*state, 7, at(4));
	assert_int_equal(table_info(*state, attr.ino, 1, 1, &info), STATUS_STALE);
}

static void test_the_newest_holder_is_not_the_first(void **state)
{
	uint64_t ino = shared_file(*state, 3), tokens[3];
	struct table_info info;

	for (uint64_t client = 1; client <= 3; client++)
		tokens[client - 1] = lock_granted(*state, flock_want(client, ino, S, 0));
	info = info_of(*state, ino);
	assert_int_equal(info.holder_count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(info.holders[i].token == tokens[2 - i]);
	assert_true(info.token == tokens[2] && info.mode == S);
	lock_granted(*state, flock_want(3, ino, LOCK_NONE, 0));
	assert_true(info_of(*state, ino).token == tokens[1]);
}

/* Storage that fences must not be told another's token by a holder who asks for his own. */
static void test_a_holder_is_told_anothers_token(void **state)
{
	uint64_t ino = shared_file(*state, 2);
	uint64_t first = lock_granted(*state, flock_want(1, ino, S, 0));
	uint64_t second = lock_granted(*state, flock_want(2, ino, S, 0));

	assert_true(info_for(*state, ino, 1, 1001).token == first);
	assert_true(info_for(*state, ino, 2, 1002).token == second);
	assert_true(info_for(*state, ino, 2, 1001).token == second); /* of another node */
	assert_true(info_for(*state, ino, 1, 0).token == second);    /* not known who */
}

/* Of a process outside of the node's PID namespace nothing is known: it is not everybody like it.
 */
static void test_unknown_processes_are_taken_for_one(void **state)
{
	uint64_t ino = shared_file(*state, 2);
	struct table_want first = flock_want(1, ino, S, 0), second = flock_want(2, ino, S, 0);

	second.client = 1;
	second.handle = 5;
	first.pid = second.pid = 0;
	assert_ok(table_open(*state, 1, 5, ino, 0, at(0), &(struct attr){0}));
	lock_granted(*state, first);
	lock_granted(*state, second);
	assert_int_equal(info_for(*state, ino, 1, 0).holder_count, 2);
}

static void test_a_process_with_many_locks_hides_the_others(void **state)
{
	uint64_t ino = shared_file(*state, 2), last = 0;
	struct table_info info;

	lock_granted(*state, range_want(2, ino, X, 1000, 1000, 0));
	for (int64_t at = 0; at < 2 * HOLDERS_MAX; at++)
		last = lock_granted(*state, range_want(1, ino, X, 3 * at, 3 * at, 0));
	info = info_of(*state, ino);
	assert_int_equal(info.holder_count, 2);
	assert_true(info.holders[0].session == 1 && info.holders[0].token == last);
	assert_true(info.holders[1].session == 2);
}

/* The oldest give way, but their own token is still told to them. */
static void test_more_holders_than_there_is_room_for(void **state)
{
	const uint64_t clients = 3 * HOLDERS_MAX;
	uint64_t ino = shared_file(*state, clients), tokens[3 * HOLDERS_MAX + 1];
	struct table_info info;

	for (uint64_t client = 1; client <= clients; client++)
		tokens[client] = lock_granted(*state, flock_want(client, ino, S, 0));
	info = info_for(*state, ino, 1, 1001);
	assert_true(info.token == tokens[1]);
	assert_int_equal(info.holder_count, HOLDERS_MAX);
	for (size_t i = 0; i < HOLDERS_MAX; i++)
		assert_true(info.holders[i].token == tokens[clients - i]);
}

static void test_waiters_are_miscounted(void **state)
{
	uint64_t ino = shared_file(*state, 3);
	struct table_want want = flock_want(2, ino, X, 20);
	struct table_info info;
	struct table_grant grant;

	want.command = "waited";
	lock_granted(*state, flock_want(1, ino, X, 0));
	lock_queued(*state, want);
	lock_queued(*state, flock_want(3, ino, S, 30));
	assert_int_equal(info_of(*state, ino).waiting, 2);
	table_close(*state, 1, 1, at(9));
	assert_true(table_next_grant(*state, &grant));
	table_now(*state, at(11));
	info = info_of(*state, ino);
	assert_int_equal(info.waiting, 1);
	assert_int_equal(info.holder_count, 1);
	assert_string_equal(info.holders[0].command, "waited");
	assert_true(info.holders[0].age_ns == 2 * NS_PER_SEC);
}

static void test_a_removed_file_forgets_its_locks(void **state)
{
	uint64_t ino = plain_file(*state, "f");
	uint64_t token = lock_granted(*state, flock_want(1, ino, X, 0));
	struct attr attr;
	int64_t end_ns;

	assert_ok(table_unlink(*state, ROOT_INO, "f", false, 1, 0, at(1), &attr));
	assert_true(info_of(*state, ino).token == token);
	assert_int_equal(table_keeper(*state, ino, NULL, NULL, &end_ns), KEEPER_NONE);
}

/* ---- What keeps it ---- */

static int64_t lease_end(void *arg, uint64_t client)
{
	return LEASE + (int64_t)client;
}

static void keeper_is(struct table *t, uint64_t ino, enum keeper keeper, int64_t end_ns)
{
	int64_t end = 0;

	assert_int_equal(table_keeper(t, ino, lease_end, NULL, &end), keeper);
	assert_true(end == end_ns);
}

static void test_a_file_in_use_is_idle(void **state)
{
	uint64_t ino = shared_file(*state, 3);

	keeper_is(*state, ino, KEEPER_LEASE, LEASE + 3);
	for (uint64_t client = 3; client >= 2; client--)
		table_close(*state, client, client, at(1));
	keeper_is(*state, ino, KEEPER_LEASE, LEASE + 1);
	table_close(*state, 1, 1, at(2));
	keeper_is(*state, ino, KEEPER_IDLE, at(2).boot_ns + FIXTURE_IDLE_NS);
	keeper_is(*state, ROOT_INO, KEEPER_NONE, 0);
}

/* Those who have it open do not keep it. */
static void test_users_seem_to_keep_a_held_name(void **state)
{
	uint64_t ino = held_file(*state, 1, 1, "e");

	opened_by(*state, ino, 5);
	keeper_is(*state, ino, KEEPER_LEASE, LEASE + 1);
}

static void test_the_later_of_lease_and_ttl_is_told(void **state)
{
	uint64_t ino = held_file(*state, 1, 1, "e");
	struct attr attr;

	assert_ok(table_set_ttl(*state, ino, 3 * NS_PER_SEC, 0, 0, at(1), &attr));
	keeper_is(*state, ino, KEEPER_TTL, at(4).boot_ns);
	assert_ok(table_set_ttl(*state, ino, 30 * NS_PER_SEC, 0, 0, at(1), &attr));
	keeper_is(*state, ino, KEEPER_LEASE, LEASE + 1);
}

static void test_a_second_name_is_overlooked(void **state)
{
	uint64_t ino = held_file(*state, 1, 1, "e");
	struct table_make make = make_in(8, ROOT_INO, "second");
	struct attr attr;

	assert_ok(table_link(*state, ino, &make, at(0), &attr));
	keeper_is(*state, ino, KEEPER_LEASE, LEASE + 8);
}

/* Client 1 made a/b/, 2 a file in it: when 1 is gone the directories live on for the file. */
static void test_a_directory_ends_before_what_is_in_it(void **state)
{
	uint64_t a = dir_in(*state, 1, ROOT_INO, "a"), b = dir_in(*state, 1, a, "b");

	keeper_is(*state, a, KEEPER_LEASE, LEASE + 1);
	file_in(*state, 2, b, "f");
	keeper_is(*state, a, KEEPER_LEASE, LEASE + 2);
	table_drop_client(*state, 1, at(1));
	assert_int_equal(info_of(*state, a).holder_count, 0);
	keeper_is(*state, a, KEEPER_LEASE, LEASE + 2);
}

static void test_a_large_tree_takes_for_ever(void **state)
{
	uint64_t dir = dir_in(*state, 1, ROOT_INO, "top"), top = dir;
	char name[16] = "d";

	for (size_t i = 0; i < 2 * TABLE_KEEPER_LOOKS; i++)
		dir = dir_in(*state, i < TABLE_KEEPER_LOOKS - 1 ? 3 : 4, dir, name);
	keeper_is(*state, top, KEEPER_LEASE, LEASE + 3);
}

#define FEAR(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FEAR(test_a_free_file_has_a_holder),
		FEAR(test_a_holder_is_told_of_wrongly),
		FEAR(test_a_held_name_has_no_holder),
		FEAR(test_the_newest_holder_is_not_the_first),
		FEAR(test_a_holder_is_told_anothers_token),
		FEAR(test_unknown_processes_are_taken_for_one),
		FEAR(test_a_process_with_many_locks_hides_the_others),
		FEAR(test_more_holders_than_there_is_room_for),
		FEAR(test_waiters_are_miscounted),
		FEAR(test_a_removed_file_forgets_its_locks),
		FEAR(test_a_file_in_use_is_idle),
		FEAR(test_users_seem_to_keep_a_held_name),
		FEAR(test_the_later_of_lease_and_ttl_is_told),
		FEAR(test_a_second_name_is_overlooked),
		FEAR(test_a_directory_ends_before_what_is_in_it),
		FEAR(test_a_large_tree_takes_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
