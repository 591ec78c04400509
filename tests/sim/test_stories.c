/* SPDX-License-Identifier: MIT */
/* Stories of sessions: grants, signals, lost packets, lapses. */
#include <stdlib.h>
#include <string.h>

#include "story.h"

#define HOP STORY_HOP_NS

/* Node 0 holds f, nodes 1 and 2 wait for it. */
struct queue {
	struct opened f[3];
	struct request *waits[2];
};

static struct queue queue_up(struct sim *s)
{
	struct queue q;

	for (size_t i = 0; i < 3; i++)
		q.f[i] = story_make(s, i, "f", 0);
	story_lock(s, &q.f[0]);
	for (size_t i = 0; i < 2; i++) {
		q.waits[i] = story_flock(s, &q.f[i + 1], LOCK_EXCLUSIVE, true);
		sim_run_for(s, 100 * NS_PER_MS);
	}
	return q;
}

/* The signal comes while the grant is on its way: what was decided stands, and nobody overtakes. */
static void test_grant_crosses_interrupt(void **state)
{
	struct sim *s = story_begin(3);
	struct queue q = queue_up(s);

	story_unlock(s, &q.f[0]);
	sim_run_for(s, HOP + HOP / 2);
	request_interrupt(s, q.waits[0]);
	story_wait(s, q.waits[0], HOP);
	assert_int_equal(q.waits[0]->status, STATUS_OK);
	assert_false(q.waits[1]->answered);
	story_unlock(s, &q.f[1]);
	story_wait(s, q.waits[1], 10 * HOP);
	assert_int_equal(q.waits[1]->status, STATUS_OK);
	story_end(s);
}

/* Who hears that a wait was interrupted finds nothing of it left on any node, at once (rule 13). */
static void test_interrupted_wait_is_seen_by_others(void **state)
{
	for (int64_t at = 0; at < 4 * HOP; at += HOP / 5) {
		struct sim *s = story_begin(3);
		struct opened f = story_make(s, 0, "f", 0), g = story_make(s, 1, "f", 0);
		struct opened h = story_make(s, 2, "f", 0);
		struct request *wait, *try;

		story_lock(s, &f);
		wait = story_flock(s, &g, LOCK_EXCLUSIVE, true);
		sim_run_for(s, 10 * HOP);
		story_unlock(s, &f);
		sim_run_for(s, at);
		if (!wait->answered)
			request_interrupt(s, wait);
		story_wait(s, wait, 3 * HOP);
		try = story_wait(s, story_flock(s, &h, LOCK_EXCLUSIVE, false), 3 * HOP);
		assert_int_equal(try->status, wait->status == STATUS_OK ? STATUS_BUSY : STATUS_OK);
		story_end(s);
	}
}

static void test_interrupt_after_grant_is_success(void **state)
{
	struct sim *s = story_begin(3);
	struct queue q = queue_up(s);

	story_unlock(s, &q.f[0]);
	story_wait(s, q.waits[0], 3 * HOP);
	request_interrupt(s, q.waits[0]);
	sim_run_for(s, NS_PER_SEC);
	assert_int_equal(q.waits[0]->status, STATUS_OK);
	assert_false(q.waits[1]->answered);
	story_end(s);
}

/* At every moment of the exchange: one answer, and the lock is neither lost nor doubled. */
static void test_interrupt_at_any_moment(void **state)
{
	for (int64_t at = 0; at < 6 * HOP; at += HOP / 5) {
		struct sim *s = story_begin(3);
		struct queue q = queue_up(s);

		story_unlock(s, &q.f[0]);
		sim_run_for(s, at);
		if (!q.waits[0]->answered)
			request_interrupt(s, q.waits[0]);
		story_wait(s, q.waits[0], 3 * HOP);
		if (q.waits[0]->status == STATUS_OK)
			story_unlock(s, &q.f[1]);
		story_wait(s, q.waits[1], 10 * HOP);
		assert_int_equal(q.waits[1]->status, STATUS_OK);
		story_end(s);
	}
}

static void test_lost_release_is_sent_again(void **state)
{
	struct sim *s = story_begin(3);
	struct queue q = queue_up(s);

	story_cut(s, 0, true, false);
	story_unlock(s, &q.f[0]);
	sim_run_for(s, 300 * NS_PER_MS);
	assert_false(q.waits[0]->answered);
	story_cut(s, 0, false, false);
	story_wait(s, q.waits[0], NS_PER_SEC);
	assert_int_equal(q.waits[0]->status, STATUS_OK);
	story_end(s);
}

static void test_dead_waiter_is_passed_over(void **state)
{
	struct sim *s = story_begin(3);
	struct queue q = queue_up(s);

	sim_crash_node(s, 1);
	sim_run_for(s, 11 * NS_PER_SEC);
	assert_int_equal(s->masters[0].told[MASTER_EVENT_EXPIRED], 1);
	story_unlock(s, &q.f[0]);
	story_wait(s, q.waits[1], 3 * HOP);
	assert_int_equal(q.waits[1]->status, STATUS_OK);
	story_end(s);
}

/* The waiter behind a dead holder has the lock at W, and not before. */
static void test_dead_holder_keeps_its_lock_for_its_lease(void **state)
{
	struct sim *s = story_begin(3);
	struct queue q = queue_up(s);
	int64_t crash = s->now;

	sim_crash_node(s, 0);
	story_wait(s, q.waits[0], 11 * NS_PER_SEC);
	assert_true(s->now - crash > master_wait_ns(STORY_LEASE_NS) - 3 * NS_PER_SEC);
	story_end(s);
}

/* Contract 6.1: what was open stays closed to all but fstat, and what is opened anew works. */
static void test_lapsed_descriptors(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f = story_make(s, 0, "f", 0), g;
	struct message stat = {.kind = MESSAGE_GETATTR, .ino = f.ino};

	story_lock(s, &f);
	assert_int_equal(story_write(s, &f, "mine"), STATUS_OK);
	story_cut(s, 0, true, true);
	sim_run_for(s, 12 * NS_PER_SEC);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 1);
	assert_int_equal(story_write(s, &f, "x"), STATUS_LAPSED);
	assert_int_equal(story_wait(s, story_flock(s, &f, LOCK_SHARED, true), HOP)->status,
			 STATUS_LAPSED);
	assert_int_equal(story_ask(s, 0, &stat)->status, STATUS_OK);
	story_cut(s, 0, false, false);
	g = story_make(s, 0, "f", 0);
	assert_int_equal(story_status(s, 0, &stat), STATUS_OK);
	assert_int_equal(story_write(s, &f, "x"), STATUS_LAPSED);
	story_lock(s, &g);
	story_close(s, &f);
	story_end(s);
}

/* A waiter under way learns of the lapse at once. */
static void test_lapse_ends_waiting(void **state)
{
	struct sim *s = story_begin(3);
	struct queue q = queue_up(s);

	story_cut(s, 1, true, true);
	story_wait(s, q.waits[0], STORY_LEASE_NS + HOP);
	assert_int_equal(q.waits[0]->status, STATUS_LAPSED);
	story_end(s);
}

/* The lapsed instance says BYE, so its successor need not wait until the master's patience ends. */
static void test_successor_does_not_wait_for_the_lapsed(void **state)
{
	struct sim *s = story_begin(1);

	story_cut(s, 0, false, true); /* the master hears it until the end */
	sim_run_for(s, STORY_LEASE_NS);
	story_cut(s, 0, false, false);
	sim_run_for(s, NS_PER_SEC);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 1);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_OPENED], 2);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_TWIN], 0);
	story_end(s);
}

/* The link is up as far as anybody knows: who is to connect anew if the node says nothing? */
static void test_dead_link_is_not_noticed(void **state)
{
	struct sim *s = story_begin(2);
	unsigned told;

	sim_run_for(s, 5 * STORY_LEASE_NS);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_SILENT], 0); /* of a link that works */
	story_cut(s, 0, false, true);
	sim_run_for(s, STORY_LEASE_NS * 6 / 10); /* in time for what the lease keeps */
	told = s->nodes[0].told[NODE_EVENT_SILENT];
	assert_true(told > 0);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 0);
	sim_run_for(s, 10 * STORY_LEASE_NS); /* without a session it is said again, and rarely */
	assert_true(s->nodes[0].told[NODE_EVENT_SILENT] > told);
	assert_true(s->nodes[0].told[NODE_EVENT_SILENT] < told + 20);
	story_cut(s, 0, false, false);
	sim_run_for(s, 2 * STORY_LEASE_NS);
	told = s->nodes[0].told[NODE_EVENT_SILENT];
	sim_run_for(s, 5 * STORY_LEASE_NS);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_SILENT], told);
	assert_int_equal(s->nodes[1].told[NODE_EVENT_SILENT], 0);
	story_end(s);
}

/* Long before a renewal is due: a program waits, and only a connection of its own helps it. */
static void test_request_into_a_dead_link_waits_for_a_renewal(void **state)
{
	struct sim *s = story_begin(1);
	struct opened f = story_make(s, 0, "f", 0);

	sim_run_for(s, NS_PER_SEC);
	story_cut(s, 0, false, true);
	story_flock(s, &f, LOCK_EXCLUSIVE, false);
	sim_run_for(s, NODE_SILENT_NS + HOP);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_SILENT], 1);
	story_end(s);
}

static void test_two_nodes_with_one_id(void **state)
{
	struct sim *s = story_begin(1);

	s->config.nodes = 2;
	memcpy(s->nodes[1].id, s->nodes[0].id, sizeof(s->nodes[1].id));
	sim_start_node(s, 1);
	sim_run_for(s, NS_PER_SEC);
	assert_true(s->nodes[1].told[NODE_EVENT_TAKEN] > 0);
	assert_int_equal(s->nodes[1].told[NODE_EVENT_TWIN], 0);
	sim_run_for(s, STORY_LEASE_NS);
	assert_true(s->nodes[1].told[NODE_EVENT_TWIN] > 0);
	assert_false(node_is_open(s->nodes[1].node));
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 0);
	story_end(s);
}

/* A node that was restarted waits for its former self, and nobody calls it a twin. */
static void test_restarted_node_is_no_twin(void **state)
{
	struct sim *s = story_begin(1);

	sim_crash_node(s, 0);
	sim_start_node(s, 0);
	sim_run_for(s, 5 * NS_PER_SEC);
	story_restart(s); /* which counts the lease anew */
	sim_run_for(s, 12 * NS_PER_SEC);
	assert_true(s->nodes[0].told[NODE_EVENT_TAKEN] > 0);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_TWIN], 0);
	assert_true(node_is_open(s->nodes[0].node));
	story_end(s);
}

/* The store takes its time to delete the lapsed instance: no twin either. */
static void test_slow_store_makes_no_twin(void **state)
{
	struct sim *s = story_begin(1);

	story_cut(s, 0, false, true);
	sim_run_for(s, STORY_LEASE_NS - 100 * NS_PER_MS);
	s->store.down = true;
	story_cut(s, 0, false, false);
	sim_run_for(s, 4 * NS_PER_SEC);
	s->store.down = false;
	sim_run_for(s, 15 * NS_PER_SEC);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_TWIN], 0);
	assert_true(node_is_open(s->nodes[0].node));
	story_end(s);
}

static void test_timeo(void **state)
{
	struct sim *s = story_begin_with(
		(struct sim_config){.nodes = 1, .seed = 1, .timeo_ns = STORY_TIMEO_NS});
	struct opened f = story_make(s, 0, "f", 0);
	int64_t begun = s->now;
	struct request *lock;

	story_cut(s, 0, true, true);
	lock = story_flock(s, &f, LOCK_EXCLUSIVE, false);
	assert_int_equal(story_lookup(s, 0, "f"), STATUS_NO_MASTER);
	assert_in_range(s->now - begun, STORY_TIMEO_NS, STORY_TIMEO_NS + HOP);
	assert_int_equal(lock->status, STATUS_NO_MASTER);
	story_cut(s, 0, false, false);
	sim_run_for(s, 5 * NS_PER_SEC);
	/* What the master may have granted late was given back. */
	assert_int_equal(story_wait(s, story_flock(s, &f, LOCK_EXCLUSIVE, false), HOP * 3)->status,
			 STATUS_OK);
	story_end(s);
}

static void test_interrupt_without_master(void **state)
{
	struct sim *s = story_begin(1);
	struct opened f = story_make(s, 0, "f", 0);
	struct message look = {.kind = MESSAGE_LOOKUP, .parent = ROOT_INO, .name = "f"};
	struct request *lock, *lookup;

	story_cut(s, 0, true, true);
	lock = story_flock(s, &f, LOCK_EXCLUSIVE, true);
	lookup = request_submit(s, 0, &look, NULL);
	sim_run_for(s, 200 * NS_PER_MS);
	request_interrupt(s, lock);
	request_interrupt(s, lookup);
	assert_int_equal(story_wait(s, lock, NODE_PATIENCE_NS + HOP)->status, STATUS_INTERRUPTED);
	assert_int_equal(story_wait(s, lookup, NODE_PATIENCE_NS + HOP)->status, STATUS_INTERRUPTED);
	story_end(s);
}

/* An O_EXCL name whose maker gave up is taken back, and is not kept by anyone's memory. */
static void test_given_up_name_is_undone(void **state)
{
	struct sim *s = story_begin(2);
	struct message make = {
		.kind = MESSAGE_CREATE, .parent = ROOT_INO, .name = "e", .flags = OPEN_EXCL};
	struct request *r;

	story_cut(s, 0, false, true);
	r = request_submit(s, 0, &make, NULL);
	sim_run_for(s, 10 * HOP);
	request_interrupt(s, r);
	assert_int_equal(story_wait(s, r, NODE_PATIENCE_NS + HOP)->status, STATUS_INTERRUPTED);
	story_cut(s, 0, false, false);
	sim_run_for(s, NS_PER_SEC);
	assert_int_equal(story_lookup(s, 1, "e"), STATUS_NO_ENTRY);
	story_restart(s);
	assert_int_equal(story_lookup(s, 1, "e"), STATUS_NO_ENTRY);
	story_end(s);
}

/* The same, when a master is restarted between the making and the taking back. */
static void test_given_up_name_is_undone_after_a_restart(void **state)
{
	struct sim *s = story_begin(2);
	struct message make = {
		.kind = MESSAGE_CREATE, .parent = ROOT_INO, .name = "e", .flags = OPEN_EXCL};
	struct request *r;

	story_cut(s, 0, false, true);
	r = request_submit(s, 0, &make, NULL);
	sim_run_for(s, 10 * HOP);
	story_make(s, 1, "e", 0); /* so that somebody else remembers it */
	story_cut(s, 0, true, true);
	request_interrupt(s, r);
	story_wait(s, r, NODE_PATIENCE_NS + HOP);
	story_restart(s);
	story_cut(s, 0, false, false);
	story_grace_over(s);
	sim_run_for(s, NS_PER_SEC);
	assert_int_equal(story_lookup(s, 1, "e"), STATUS_NO_ENTRY);
	story_end(s);
}

static bool has_left(struct sim *s, void *arg)
{
	return s->nodes[0].told[NODE_EVENT_LEFT] > 0;
}

static void leave(struct sim *s, size_t node)
{
	node_leave(s->nodes[node].node, machine_now(s, node));
	sim_node_loop(s, node);
}

static void test_bye_frees_at_once(void **state)
{
	struct sim *s = story_begin(3);
	struct queue q = queue_up(s);

	leave(s, 0);
	assert_true(sim_run_until(s, has_left, NULL, 10 * HOP));
	assert_int_equal(story_wait(s, q.waits[0], 10 * HOP)->status, STATUS_OK);
	story_end(s);
}

/* Without a master to hear it, leaving takes its two seconds, asleep. */
static void test_leaving_unheard(void **state)
{
	struct sim *s = story_begin(1);

	sim_crash_master(s, 0);
	sim_run_for(s, NS_PER_SEC);
	leave(s, 0);
	sim_run_for(s, NODE_LEAVE_NS - HOP);
	assert_false(has_left(s, NULL));
	sim_run_for(s, 2 * HOP);
	assert_true(has_left(s, NULL));
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grant_crosses_interrupt),
		cmocka_unit_test(test_interrupted_wait_is_seen_by_others),
		cmocka_unit_test(test_interrupt_after_grant_is_success),
		cmocka_unit_test(test_interrupt_at_any_moment),
		cmocka_unit_test(test_lost_release_is_sent_again),
		cmocka_unit_test(test_dead_waiter_is_passed_over),
		cmocka_unit_test(test_dead_holder_keeps_its_lock_for_its_lease),
		cmocka_unit_test(test_lapsed_descriptors),
		cmocka_unit_test(test_lapse_ends_waiting),
		cmocka_unit_test(test_successor_does_not_wait_for_the_lapsed),
		cmocka_unit_test(test_dead_link_is_not_noticed),
		cmocka_unit_test(test_request_into_a_dead_link_waits_for_a_renewal),
		cmocka_unit_test(test_two_nodes_with_one_id),
		cmocka_unit_test(test_restarted_node_is_no_twin),
		cmocka_unit_test(test_slow_store_makes_no_twin),
		cmocka_unit_test(test_timeo),
		cmocka_unit_test(test_interrupt_without_master),
		cmocka_unit_test(test_given_up_name_is_undone),
		cmocka_unit_test(test_given_up_name_is_undone_after_a_restart),
		cmocka_unit_test(test_bye_frees_at_once),
		cmocka_unit_test(test_leaving_unheard),
	};

	cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
