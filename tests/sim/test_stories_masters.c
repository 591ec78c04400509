/* SPDX-License-Identifier: MIT */
/* Stories of several masters: who leads when the leader ends, dies, hangs or is cut off, and that
 * nobody loses anything by it. */
#include <string.h>

#include "story.h"

#define HOP STORY_HOP_NS
#define TL  MASTER_LEADER_LEASE_DEFAULT_NS

/* Who leads, or SIZE_MAX. */
static size_t leader(const struct sim *s)
{
	for (size_t i = 0; i < s->config.masters; i++)
		if (s->masters[i].master && master_is_serving(s->masters[i].master))
			return i;
	return SIZE_MAX;
}

static bool another_leads(struct sim *s, void *old)
{
	size_t now = leader(s);

	return now != SIZE_MAX && now != *(size_t *)old;
}

static struct sim *three_masters(size_t nodes)
{
	struct sim *s =
		story_begin_with((struct sim_config){.nodes = nodes, .masters = 3, .seed = 1});

	for (size_t i = 0; i < nodes; i++)
		assert_true(node_is_open(s->nodes[i].node));
	assert_true(leader(s) != SIZE_MAX);
	return s;
}

/* A holder, and two that wait in this order. */
struct queue {
	struct opened f[3];
	struct request *waits[2];
	uint64_t token;
};

static void queue_up(struct sim *s, struct queue *q)
{
	for (size_t i = 0; i < 3; i++)
		q->f[i] = story_make(s, i, "f", 0);
	q->token = story_lock(s, &q->f[0]);
	for (size_t i = 0; i < 2; i++) {
		q->waits[i] = story_flock(s, &q->f[2 - i], LOCK_EXCLUSIVE, true);
		sim_run_for(s, 10 * HOP);
	}
}

/* All of it is there still, and nobody has lapsed. */
static void queue_is_intact(struct sim *s, struct queue *q)
{
	assert_false(q->waits[0]->answered || q->waits[1]->answered);
	assert_true(story_lock(s, &q->f[0]) == q->token);
	story_unlock(s, &q->f[0]);
	assert_int_equal(story_wait(s, q->waits[0], NS_PER_SEC)->status, STATUS_OK);
	assert_true(q->waits[0]->reply->token > q->token);
	assert_false(q->waits[1]->answered);
	story_unlock(s, &q->f[2]);
	assert_int_equal(story_wait(s, q->waits[1], NS_PER_SEC)->status, STATUS_OK);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(s->nodes[i].told[NODE_EVENT_LAPSED], 0);
}

static void test_stopped_leader_leaves_a_gap(void **state)
{
	struct sim *s = three_masters(3);
	struct queue q;
	size_t old = leader(s);

	queue_up(s, &q);
	sim_stop_master(s, old);
	assert_true(sim_run_until(s, another_leads, &old, NS_PER_SEC / 5));
	assert_null(s->masters[old].master);
	queue_is_intact(s, &q);
	story_end(s);
}

static void test_killed_leader_takes_something_along(void **state)
{
	struct sim *s = three_masters(3);
	struct queue q;
	size_t old = leader(s);

	queue_up(s, &q);
	sim_crash_master(s, old);
	assert_true(sim_run_until(s, another_leads, &old, TL + NS_PER_SEC));
	queue_is_intact(s, &q);
	story_end(s);
}

static void test_hung_leader_goes_on_leading(void **state)
{
	struct sim *s = three_masters(3);
	struct queue q;
	size_t old = leader(s);

	queue_up(s, &q);
	machine_pause(s, machine_of_master(old));
	assert_true(sim_run_until(s, another_leads, &old, TL + 4 * NS_PER_SEC));
	machine_resume(s, machine_of_master(old));
	sim_run_for(s, NS_PER_SEC);
	assert_true(leader(s) != old);
	queue_is_intact(s, &q);
	story_end(s);
}

/* The next renewal, which would be missed, may be far away. */
static void test_hung_leader_is_waited_for_as_long_as_a_long_lease(void **state)
{
	struct sim *s = story_begin_with((struct sim_config){
		.nodes = 1, .masters = 3, .seed = 1, .lease_ns = 20 * STORY_LEASE_NS});
	size_t old = leader(s);
	struct opened f = story_make(s, 0, "f", 0);
	struct request *r;

	machine_pause(s, machine_of_master(old));
	r = story_flock(s, &f, LOCK_EXCLUSIVE, true);
	assert_int_equal(story_wait(s, r, TL + 2 * NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 0);
	story_end(s);
}

/* Its nodes reach it, and yet it must not serve them. */
static void test_leader_without_a_store_serves_on(void **state)
{
	struct sim *s = three_masters(3);
	struct queue q;
	size_t old = leader(s);

	queue_up(s, &q);
	s->store.cut[old] = true;
	sim_run_for(s, TL);
	assert_false(master_is_serving(s->masters[old].master));
	assert_true(sim_run_until(s, another_leads, &old, 4 * NS_PER_SEC));
	s->store.cut[old] = false;
	sim_run_for(s, NS_PER_SEC);
	queue_is_intact(s, &q);
	story_end(s);
}

static void cut_master(struct sim *s, size_t master, bool cut)
{
	for (size_t n = 0; n < s->config.nodes; n++)
		s->links[n][master].blocked[0] = s->links[n][master].blocked[1] = cut;
}

static void test_deaf_leader_keeps_the_lead(void **state)
{
	struct sim *s = three_masters(3);
	struct queue q;
	size_t old = leader(s);

	queue_up(s, &q);
	cut_master(s, old, true);
	assert_true(sim_run_until(s, another_leads, &old, STORY_LEASE_NS));
	cut_master(s, old, false);
	sim_run_for(s, STORY_LEASE_NS);
	assert_true(leader(s) != old);
	queue_is_intact(s, &q);
	story_end(s);
}

/* What one node cannot reach is no reason for everybody's grace. */
static void test_one_node_cut_off_unseats_the_leader(void **state)
{
	struct sim *s = three_masters(3);
	size_t old = leader(s);
	uint64_t epoch = master_epoch(s->masters[old].master);

	s->links[2][old].blocked[0] = s->links[2][old].blocked[1] = true;
	sim_run_for(s, 3 * STORY_LEASE_NS);
	assert_int_equal(leader(s), old);
	assert_true(master_epoch(s->masters[old].master) == epoch);
	assert_int_equal(s->nodes[2].told[NODE_EVENT_LAPSED], 1);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 0);
	story_end(s);
}

/* With nobody else there, whoever gave way leads again. */
static void test_last_master_gives_way_for_ever(void **state)
{
	struct sim *s = three_masters(2);
	size_t old = leader(s);

	for (size_t i = 0; i < 3; i++)
		if (i != old)
			sim_crash_master(s, i);
	sim_stop_master(s, old);
	sim_run_for(s, NS_PER_SEC);
	sim_start_master(s, old);
	sim_run_for(s, NS_PER_SEC);
	assert_int_equal(leader(s), old);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 0);
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stopped_leader_leaves_a_gap),
		cmocka_unit_test(test_killed_leader_takes_something_along),
		cmocka_unit_test(test_hung_leader_goes_on_leading),
		cmocka_unit_test(test_hung_leader_is_waited_for_as_long_as_a_long_lease),
		cmocka_unit_test(test_leader_without_a_store_serves_on),
		cmocka_unit_test(test_deaf_leader_keeps_the_lead),
		cmocka_unit_test(test_one_node_cut_off_unseats_the_leader),
		cmocka_unit_test(test_last_master_gives_way_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
