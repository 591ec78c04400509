/* SPDX-License-Identifier: MIT */
/* Stories of masters with different leases: what one has promised, the next one keeps. */
#include "story.h"

#define HOP   STORY_HOP_NS
#define SHORT (4 * NS_PER_SEC)

/* A node that holds a lock, and hears nothing from here on; another that wants it. */
struct dispute {
	struct sim *s;
	struct opened held, wanted;
	struct request *waits;
};

static void cut(struct sim *s, size_t node)
{
	for (size_t i = 0; i < s->config.masters; i++)
		s->links[node][i].blocked[0] = s->links[node][i].blocked[1] = true;
}

static struct dispute begin(void)
{
	struct dispute d = {.s = story_begin(2)};

	d.held = story_make(d.s, 0, "f", 0);
	d.wanted = story_make(d.s, 1, "f", 0);
	story_lock(d.s, &d.held);
	d.waits = story_flock(d.s, &d.wanted, LOCK_EXCLUSIVE, true);
	sim_run_for(d.s, 10 * HOP);
	return d;
}

static void restart_with(struct sim *s, int64_t lease_ns)
{
	sim_crash_master(s, 0);
	s->config.lease_ns = lease_ns;
	sim_start_master(s, 0);
}

/* The lock changes hands, and (I1) not before the first has stopped believing. */
static void end(struct dispute *d)
{
	assert_int_equal(story_wait(d->s, d->waits, 15 * NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(d->s->nodes[0].told[NODE_EVENT_LAPSED], 1);
	assert_int_equal(d->s->nodes[1].told[NODE_EVENT_LAPSED], 0);
	story_end(d->s);
}

/* Its HELLO arrived, and made the new master wait for it: longer than for its own sessions. */
static void test_node_that_reclaims_is_dead_too_soon(void **state)
{
	struct dispute d = begin();

	d.s->links[0][0].blocked[1] = true;
	restart_with(d.s, SHORT);
	sim_run_for(d.s, NS_PER_SEC);
	cut(d.s, 0);
	end(&d);
}

static void test_shorter_lease_makes_a_shorter_grace(void **state)
{
	struct dispute d = begin();

	cut(d.s, 0);
	restart_with(d.s, SHORT);
	end(&d);
}

/* The cell tells the one after the next, too. */
static void test_second_restart_forgets_the_longer_lease(void **state)
{
	struct dispute d = begin();

	cut(d.s, 0);
	restart_with(d.s, SHORT);
	sim_run_for(d.s, NS_PER_SEC);
	restart_with(d.s, SHORT);
	end(&d);
}

/* And when that is long over, it is forgotten. */
static void test_longer_lease_is_remembered_for_ever(void **state)
{
	struct dispute d = begin();

	story_unlock(d.s, &d.wanted);
	restart_with(d.s, SHORT);
	sim_run_for(d.s, 2 * STORY_LEASE_NS);
	assert_true(d.s->store.cell.lease_ns == SHORT);
	story_end(d.s);
}

/* Who is welcomed by the new master believes what that one says, and no longer. */
static void test_node_believes_the_longer_promise(void **state)
{
	struct dispute d = begin();

	restart_with(d.s, SHORT);
	story_grace_over(d.s);
	sim_run_for(d.s, 10 * HOP);
	assert_int_equal(d.s->nodes[0].told[NODE_EVENT_RESUMED], 1);
	cut(d.s, 0);
	sim_run_for(d.s, SHORT);
	assert_int_equal(d.s->nodes[0].told[NODE_EVENT_LAPSED], 1);
	end(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_that_reclaims_is_dead_too_soon),
		cmocka_unit_test(test_shorter_lease_makes_a_shorter_grace),
		cmocka_unit_test(test_second_restart_forgets_the_longer_lease),
		cmocka_unit_test(test_longer_lease_is_remembered_for_ever),
		cmocka_unit_test(test_node_believes_the_longer_promise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
