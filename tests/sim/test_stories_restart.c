/* SPDX-License-Identifier: MIT */
/* Stories of a master's restart: what is reclaimed, what is not, and when grace ends. What is asked
 * again is in test_stories_retry.c. */
#include <stdlib.h>
#include <string.h>

#include "lockcore/node_internal.h"
#include "story.h"

#define HOP STORY_HOP_NS

static void test_restart_keeps_holders_and_the_order_of_waiters(void **state)
{
	struct sim *s = story_begin(3);
	struct opened f[3];
	struct request *waits[2];
	uint64_t token;

	for (size_t i = 0; i < 3; i++)
		f[i] = story_make(s, i, "f", 0);
	token = story_lock(s, &f[0]);
	for (size_t i = 2; i >= 1; i--) { /* node 2 comes first */
		waits[i - 1] = story_flock(s, &f[i], LOCK_EXCLUSIVE, true);
		sim_run_for(s, 10 * HOP);
	}
	story_restart(s);
	story_grace_over(s);
	assert_true(story_lock(s, &f[0]) == token);
	assert_false(waits[0]->answered || waits[1]->answered);
	story_unlock(s, &f[0]);
	assert_int_equal(story_wait(s, waits[1], 3 * HOP)->status, STATUS_OK);
	assert_false(waits[0]->answered);
	assert_true(waits[1]->reply->token > token);
	story_unlock(s, &f[2]);
	assert_int_equal(story_wait(s, waits[0], 3 * HOP)->status, STATUS_OK);
	story_end(s);
}

static void test_restart_keeps_names_and_contents(void **state)
{
	struct sim *s = story_begin(2);
	struct opened e = story_make(s, 0, "e", OPEN_EXCL), t = story_make(s, 0, "t", 0), again;
	struct message excl = {
		.kind = MESSAGE_CREATE, .parent = ROOT_INO, .name = "e", .flags = OPEN_EXCL};

	story_write(s, &e, "held");
	story_write(s, &t, "unlinked");
	assert_int_equal(story_unlink(s, 0, "t"), STATUS_OK);
	story_restart(s);
	assert_int_equal(story_status(s, 1, &excl), STATUS_EXISTS);
	assert_int_equal(story_lookup(s, 1, "t"), STATUS_NO_ENTRY);
	story_reads(s, &e, "held");
	story_reads(s, &t, "unlinked");
	again = story_make(s, 1, "e", 0);
	assert_true(again.ino == e.ino && again.token == e.token);
	story_reads(s, &again, "held");
	story_end(s);
}

static struct attr attr_of(struct sim *s, size_t node, uint64_t ino)
{
	struct message m = {.kind = MESSAGE_GETATTR, .ino = ino};
	struct request *r = story_ask(s, node, &m);

	assert_int_equal(r->status, STATUS_OK);
	return r->reply->attr;
}

/* Its holder has its record, and knows nothing of what others did in it. */
static void test_restart_sets_the_times_of_directories_back(void **state)
{
	struct sim *s = story_begin(2);
	struct message mkdir = {.kind = MESSAGE_MKDIR, .parent = ROOT_INO, .name = "d"};
	struct message x = {.kind = MESSAGE_MKDIR, .name = "x"};
	struct attr d = story_ask(s, 0, &mkdir)->reply->attr, before, root;

	sim_run_for(s, NS_PER_SEC);
	x.parent = d.ino;
	assert_int_equal(story_status(s, 1, &x), STATUS_OK);
	sim_run_for(s, NS_PER_SEC);
	x.kind = MESSAGE_UNLINK;
	x.flags = UNLINK_DIR;
	assert_int_equal(story_status(s, 1, &x), STATUS_OK);
	before = attr_of(s, 0, d.ino);
	root = attr_of(s, 0, ROOT_INO);
	assert_true(before.mtime_ns > d.mtime_ns);
	sim_run_for(s, NS_PER_SEC);
	story_restart(s);
	story_grace_over(s);
	assert_true(attr_of(s, 0, d.ino).mtime_ns == before.mtime_ns);
	assert_true(attr_of(s, 0, d.ino).ctime_ns == before.ctime_ns);
	assert_true(attr_of(s, 1, ROOT_INO).mtime_ns == root.mtime_ns);
	story_end(s);
}

/* Whoever wrote last vouches for it, though it has the file open no longer. */
static void test_last_writer_vouches(void **state)
{
	struct sim *s = story_begin(2);
	struct opened first = story_make(s, 0, "f", 0), last = story_make(s, 1, "f", 0);

	story_write(s, &first, "first");
	story_write(s, &last, "last!");
	story_close(s, &last);
	story_restart(s);
	story_reads(s, &first, "last!");
	story_restart(s);
	story_reads(s, &first, "last!");
	story_end(s);
}

/* An idle file is remembered by its maker, and when that leaves, by anybody. */
static void test_idle_file_survives_and_expires(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f = story_make(s, 0, "f", 0), again;

	story_write(s, &f, "idle");
	story_close(s, &f);
	sim_run_for(s, NS_PER_SEC);
	node_leave(s->nodes[0].node, machine_now(s, 0));
	sim_node_loop(s, 0);
	sim_run_for(s, NS_PER_SEC);
	story_restart(s);
	again = story_make(s, 1, "f", 0);
	assert_true(again.ino == f.ino);
	story_reads(s, &again, "idle");
	story_close(s, &again);
	sim_run_for(s, STORY_IDLE_NS - NS_PER_SEC);
	assert_int_equal(story_lookup(s, 1, "f"), STATUS_OK);
	sim_run_for(s, 2 * NS_PER_SEC);
	assert_int_equal(story_lookup(s, 1, "f"), STATUS_NO_ENTRY);
	assert_null(s->nodes[1].node->kept);
	story_end(s);
}

/* A file that the voucher's death in grace leaves without one is vouched for again. */
static void test_voucher_dies_in_grace(void **state)
{
	struct sim *s = story_begin(3);
	struct opened f = story_make(s, 0, "f", 0), last = story_make(s, 1, "f", 0);

	story_write(s, &f, "first");
	story_write(s, &last, "last!");
	sim_crash_node(s, 2); /* grace lasts until its session is over */
	story_restart(s);
	sim_run_for(s, 2 * NS_PER_SEC);
	node_leave(s->nodes[1].node, machine_now(s, 1));
	sim_node_loop(s, 1);
	story_grace_over(s);
	story_reads(s, &f, "last!");
	story_restart(s);
	story_reads(s, &f, "last!");
	story_end(s);
}

static void test_second_crash_in_grace(void **state)
{
	struct sim *s = story_begin(3);
	struct opened f = story_make(s, 0, "f", 0), g = story_make(s, 1, "g", 0),
		      h = story_make(s, 2, "g", 0);
	uint64_t token = story_lock(s, &f);

	story_lock(s, &g);
	story_cut(s, 1, true, true);
	story_restart(s);
	sim_run_for(s, 2 * NS_PER_SEC);
	assert_false(master_is_serving(s->masters[0].master));
	story_restart(s);
	sim_run_for(s, NS_PER_SEC);
	story_cut(s, 1, false, false);
	story_grace_over(s);
	assert_int_equal(story_wait(s, story_flock(s, &h, LOCK_SHARED, false), 3 * HOP)->status,
			 STATUS_BUSY);
	assert_true(story_lock(s, &f) == token);
	assert_int_equal(s->nodes[1].told[NODE_EVENT_LAPSED], 0);
	story_end(s);
}

/* A session that never comes back ends grace at W after the takeover. */
static void test_grace_ends_without_the_dead(void **state)
{
	struct sim *s = story_begin_with(
		(struct sim_config){.nodes = 2, .seed = 1, .timeo_ns = 2 * STORY_LEASE_NS});
	struct opened f = story_make(s, 0, "f", 0), g = story_make(s, 1, "f", 0);
	int64_t restart;

	story_lock(s, &f);
	restart = s->now;
	sim_crash_node(s, 0);
	story_restart(s);
	story_wait(s, story_flock(s, &g, LOCK_EXCLUSIVE, true), 11 * NS_PER_SEC);
	assert_in_range(s->now - restart, master_wait_ns(STORY_LEASE_NS),
			master_wait_ns(STORY_LEASE_NS) + NS_PER_SEC);
	assert_int_equal(s->masters[0].told[MASTER_EVENT_EXPIRED], 1);
	story_end(s);
}

/* A node whose clock stood still comes too late: it learns that it has lapsed. */
static void test_late_reclaim_lapses(void **state)
{
	struct sim *s = story_begin(2);

	story_make(s, 0, "e", OPEN_EXCL);
	story_cut(s, 0, true, true);
	machine_set_rate(s, 0, 0);
	s->nodes[0].astray = true; /* no rule can save it from its clock */
	story_restart(s);
	story_grace_over(s);
	assert_int_equal(story_lookup(s, 1, "e"), STATUS_NO_ENTRY);
	machine_set_rate(s, 0, 1000000);
	sim_node_loop(s, 0);
	story_cut(s, 0, false, false);
	sim_run_for(s, 5 * NS_PER_SEC);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 1);
	assert_true(node_is_open(s->nodes[0].node));
	story_end(s);
}

/* Node 0, which holds f, is cut off; the store is put back to when it knew nobody. */
static struct sim *put_back(void)
{
	struct sim *s = story_begin_with(
		(struct sim_config){.nodes = 0, .seed = 1, .timeo_ns = 2 * STORY_LEASE_NS});
	struct store old = s->store;
	struct opened f;

	s->config.nodes = 2;
	sim_start_node(s, 0);
	sim_start_node(s, 1);
	f = story_make(s, 0, "f", 0);
	for (int i = 0; i < 3; i++) { /* an epoch that is used again nobody can tell */
		story_restart(s);
		story_grace_over(s);
	}
	story_lock(s, &f);
	story_cut(s, 0, true, true);
	sim_crash_master(s, 0);
	s->store.cell = old.cell;
	s->store.count = old.count;
	s->highest_epoch = 0;
	sim_start_master(s, 0);
	return s;
}

static bool node_1_lapsed(struct sim *s, void *arg)
{
	return s->nodes[1].told[NODE_EVENT_LAPSED] > 0;
}

/* Node 1 gets f, and not before node 0 stops believing in it (I1). */
static void taken_over_in_time(struct sim *s)
{
	struct opened g;

	assert_true(sim_run_until(s, node_1_lapsed, NULL, STORY_LEASE_NS + NS_PER_SEC));
	g = story_make(s, 1, "f", 0);
	story_lock(s, &g);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 1);
	assert_int_equal(s->nodes[1].told[NODE_EVENT_LAPSED], 1);
	assert_true(master_epoch(s->masters[0].master) > 4);
	story_restart(s);
	story_grace_over(s); /* without waiting for W again */
	story_end(s);
}

/*
 * The first node to say so makes the master refuse; then grace lasts until whoever is unknown now
 * cannot believe any more.
 */
static void test_store_put_back(void **state)
{
	struct sim *s = put_back();

	sim_run_for(s, 2 * NS_PER_SEC);
	assert_int_equal(s->masters[0].told[MASTER_EVENT_STORE_OLD], 1);
	taken_over_in_time(s);
}

/* The master that was told dies in grace, and its successor, in the raised epoch, is not told. */
static void test_crash_forgets_that_the_store_was_put_back(void **state)
{
	for (int64_t at = 300 * HOP; at < 9 * NS_PER_SEC; at += 777 * NS_PER_MS) {
		struct sim *s = put_back();

		sim_run_for(s, at);
		assert_int_equal(s->masters[0].told[MASTER_EVENT_STORE_OLD], 1);
		story_restart(s);
		taken_over_in_time(s);
	}
}

/*
 * Contract 5.5 over a restart: f was removed while node 0 had it locked and was made again, and
 * node 1 waits. The remover's record alone says what the old file was called.
 */
static void test_restart_keeps_the_lock_of_a_removed_file(void **state)
{
	struct sim *s = story_begin(3);
	struct opened old = story_make(s, 0, "f", 0), new, third;
	struct request *wait, *try;

	story_lock(s, &old);
	assert_int_equal(story_unlink(s, 1, "f"), STATUS_OK);
	new = story_make(s, 1, "f", 0);
	wait = story_flock(s, &new, LOCK_EXCLUSIVE, true);
	sim_run_for(s, 100 * NS_PER_MS);
	story_restart(s);
	story_grace_over(s);
	assert_false(wait->answered);
	third = story_make(s, 2, "f", 0);
	assert_int_equal(third.ino, new.ino);
	try = story_wait(s, story_flock(s, &third, LOCK_SHARED, false), NS_PER_SEC);
	assert_int_equal(try->status, STATUS_BUSY);
	story_unlock(s, &old);
	story_wait(s, wait, NS_PER_SEC);
	assert_int_equal(wait->status, STATUS_OK);
	story_end(s);
}

/* The same, of a lock file whose holder died while others had it open. */
static void test_restart_keeps_the_lock_of_an_expired_file(void **state)
{
	struct sim *s = story_begin(3);
	struct opened f = story_make(s, 0, "f", OPEN_EXCL), g = story_make(s, 1, "f", 0), h;
	struct request *try;

	story_close(s, &f);
	story_lock(s, &g);
	sim_crash_node(s, 0);
	sim_run_for(s, 12 * NS_PER_SEC);
	assert_int_equal(story_lookup(s, 2, "f"), STATUS_NO_ENTRY);
	story_restart(s);
	story_grace_over(s);
	h = story_make(s, 2, "f", OPEN_EXCL);
	try = story_wait(s, story_flock(s, &h, LOCK_SHARED, false), NS_PER_SEC);
	assert_int_equal(try->status, STATUS_BUSY);
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restart_keeps_holders_and_the_order_of_waiters),
		cmocka_unit_test(test_restart_keeps_names_and_contents),
		cmocka_unit_test(test_restart_sets_the_times_of_directories_back),
		cmocka_unit_test(test_last_writer_vouches),
		cmocka_unit_test(test_idle_file_survives_and_expires),
		cmocka_unit_test(test_voucher_dies_in_grace),
		cmocka_unit_test(test_second_crash_in_grace),
		cmocka_unit_test(test_grace_ends_without_the_dead),
		cmocka_unit_test(test_late_reclaim_lapses),
		cmocka_unit_test(test_store_put_back),
		cmocka_unit_test(test_crash_forgets_that_the_store_was_put_back),
		cmocka_unit_test(test_restart_keeps_the_lock_of_a_removed_file),
		cmocka_unit_test(test_restart_keeps_the_lock_of_an_expired_file),
	};

	cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
