/* SPDX-License-Identifier: MIT */
/*
 * Stories of belief: acknowledgements that come late, processes that are stopped at the worst
 * moment or suspended, and sessions that come back after another has held what they held (the edge
 * conditions of NFSv4, RFC 8881 8.4.3).
 */
#include <stdlib.h>
#include <string.h>

#include "lockcore/node_internal.h"
#include "story.h"

#define HOP STORY_HOP_NS
#define TL  MASTER_LEADER_LEASE_DEFAULT_NS

/* Node 0 holds f, node 1 waits for it; node 2 has it open. */
struct door {
	struct opened f[3];
	struct request *wait;
};

static struct door shut_door(struct sim *s)
{
	struct door d;

	for (size_t i = 0; i < 3; i++)
		d.f[i] = story_make(s, i, "f", 0);
	story_lock(s, &d.f[0]);
	d.wait = story_flock(s, &d.f[1], LOCK_EXCLUSIVE, true);
	sim_run_for(s, 10 * HOP);
	return d;
}

static enum status try_lock(struct sim *s, const struct opened *f)
{
	return story_wait(s, story_flock(s, f, LOCK_EXCLUSIVE, false), NS_PER_SEC)->status;
}

static int64_t clock_of(const struct sim *s, size_t node)
{
	return machine_now(s, machine_of_node(node)).boot_ns;
}

/* ---- A renewal that is acknowledged late ---- */

/* Node 0 has sent its renewal at this event. */
static bool has_renewed(struct sim *s, void *renew_at)
{
	return s->nodes[0].node->renew_at_ns != *(int64_t *)renew_at;
}

/* Its master hears it, and nothing more. Returns when it was sent, by the clock of node 0. */
static int64_t renew_once_more(struct sim *s, int64_t late)
{
	int64_t renew_at, sent;

	sim_run_for(s, NS_PER_SEC); /* what was under way is acknowledged */
	renew_at = s->nodes[0].node->renew_at_ns;
	assert_true(sim_run_until(s, has_renewed, &renew_at, STORY_LEASE_NS));
	sent = clock_of(s, 0);
	s->links[0][0].slow_ns[1] = late;
	sim_run_for(s, HOP / 2);
	story_cut(s, 0, true, false);
	return sent;
}

/* In time, it is worth what is left of the lease since the renewal was sent (rule 11). */
static void test_late_acknowledgement_counts_from_its_arrival(void **state)
{
	struct sim *s = story_begin(3);
	struct door d = shut_door(s);
	int64_t sent = renew_once_more(s, 6 * NS_PER_SEC);

	sim_run_for(s, 7 * NS_PER_SEC);
	assert_true(node_belief_end(s->nodes[0].node) == sent + STORY_LEASE_NS);
	assert_int_equal(story_wait(s, d.wait, STORY_LEASE_NS)->status, STATUS_OK);
	assert_in_range(clock_of(s, 0) - sent, STORY_LEASE_NS,
			master_wait_ns(STORY_LEASE_NS) + NS_PER_SEC);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 1);
	story_end(s);
}

static void has_lapsed_for_good(struct sim *s, struct door *d, uint64_t instance)
{
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 1);
	assert_true(sim_instance(s, 0) != instance);
	assert_int_equal(node_belief_end(s->nodes[0].node), 0);
	assert_int_equal(story_write(s, &d->f[0], "x"), STATUS_LAPSED);
	assert_int_equal(story_wait(s, d->wait, STORY_LEASE_NS)->status, STATUS_OK);
}

/* After the lapse it is worth nothing: the lock has gone, or will. */
static void test_late_acknowledgement_revives_the_lapsed(void **state)
{
	struct sim *s = story_begin(3);
	struct door d = shut_door(s);
	uint64_t instance = sim_instance(s, 0);

	renew_once_more(s, 8 * NS_PER_SEC); /* the belief of before is over after 7.5 */
	sim_run_for(s, 9 * NS_PER_SEC);
	has_lapsed_for_good(s, &d, instance);
	story_end(s);
}

/* The node is stopped until its belief has ended, and first finds the acknowledgement (rule 11). */
static void test_late_acknowledgement_is_read_before_the_clock(void **state)
{
	struct sim *s = story_begin(3);
	struct door d = shut_door(s);
	uint64_t instance = sim_instance(s, 0);

	renew_once_more(s, 6 * NS_PER_SEC);
	sim_run_for(s, NS_PER_SEC);
	sim_run_for(s, s->links[0][0].order_ns[1] - s->now - 1);
	machine_pause(s, machine_of_node(0));
	sim_run_for(s, 2 * NS_PER_SEC);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 0);
	assert_true(clock_of(s, 0) > node_belief_end(s->nodes[0].node));
	machine_resume(s, machine_of_node(0));
	sim_run_for(s, HOP);
	has_lapsed_for_good(s, &d, instance);
	story_end(s);
}

/* ---- Stopped between looking at the time and telling ---- */

static bool is_paused(struct sim *s, void *machine)
{
	return s->machines[*(size_t *)machine].paused;
}

/* It takes its next input, looks at the clock, and then nothing for a long time. */
static void stop_midway(struct sim *s, size_t machine)
{
	s->machines[machine].stop_midway = true;
	assert_true(sim_run_until(s, is_paused, &machine, NS_PER_SEC));
}

static bool another_serves(struct sim *s, void *old)
{
	for (size_t i = 0; i < s->config.masters; i++)
		if (i != *(size_t *)old && master_is_serving(s->masters[i].master))
			return true;
	return false;
}

static size_t serving(const struct sim *s)
{
	size_t i;

	for (i = 0; i < s->config.masters; i++)
		if (master_is_serving(s->masters[i].master))
			break;
	return i;
}

/* The grant that it was about to send has been made, used and given up under its successor. */
static void test_paused_master_sends_what_it_decided(void **state)
{
	struct sim *s = story_begin_with((struct sim_config){.nodes = 3, .masters = 2, .seed = 1});
	struct door d = shut_door(s);
	size_t old = serving(s);
	uint64_t said;

	story_unlock(s, &d.f[0]);
	sim_run_for(s, HOP / 2);
	stop_midway(s, machine_of_master(old));
	said = s->masters[old].said;
	assert_false(d.wait->answered);
	assert_true(sim_run_until(s, another_serves, &old, 2 * TL));
	assert_int_equal(story_wait(s, d.wait, NS_PER_SEC)->status, STATUS_OK);
	story_unlock(s, &d.f[1]);
	sim_run_for(s, 10 * HOP);
	story_lock(s, &d.f[2]);
	machine_resume(s, machine_of_master(old));
	sim_run_for(s, NS_PER_SEC);
	assert_true(s->masters[old].said == said);
	assert_false(master_is_serving(s->masters[old].master));
	assert_int_equal(try_lock(s, &d.f[1]), STATUS_BUSY);
	story_lock(s, &d.f[2]);
	story_end(s);
}

/* The same with nobody to succeed it: what it was about to say it may not say any more. */
static void test_paused_master_outlives_its_own_lease(void **state)
{
	struct sim *s = story_begin(3);
	struct door d = shut_door(s);
	uint64_t said;

	story_unlock(s, &d.f[0]);
	sim_run_for(s, HOP / 2);
	stop_midway(s, machine_of_master(0));
	said = s->masters[0].said;
	sim_run_for(s, TL + NS_PER_SEC);
	machine_resume(s, machine_of_master(0));
	sim_run_for(s, 10); /* what was held up comes one by one */
	assert_true(s->masters[0].said == said);
	assert_int_equal(story_wait(s, d.wait, NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(s->nodes[1].told[NODE_EVENT_LAPSED], 0);
	story_end(s);
}

/* The grant is in, the clock looked at, and the answer comes when another has the lock. */
static void test_paused_node_tells_of_a_grant_of_yesterday(void **state)
{
	struct sim *s = story_begin(3);
	struct door d = shut_door(s);
	struct request *next;

	story_unlock(s, &d.f[0]);
	sim_run_for(s, HOP + HOP / 2);
	stop_midway(s, machine_of_node(1));
	assert_false(d.wait->answered);
	next = story_flock(s, &d.f[2], LOCK_EXCLUSIVE, true);
	assert_int_equal(story_wait(s, next, 11 * NS_PER_SEC)->status, STATUS_OK);
	machine_resume(s, machine_of_node(1));
	assert_int_equal(story_wait(s, d.wait, HOP)->status, STATUS_LAPSED);
	assert_int_equal(s->nodes[1].told[NODE_EVENT_LAPSED], 1);
	story_end(s);
}

/* ---- Suspend: nothing runs, and CLOCK_BOOTTIME goes on ---- */

static void test_suspend_past_the_lease_is_not_noticed(void **state)
{
	struct sim *s = story_begin(3);
	struct door d = shut_door(s);
	struct opened again;

	machine_pause(s, machine_of_node(0));
	assert_int_equal(story_wait(s, d.wait, 11 * NS_PER_SEC)->status, STATUS_OK);
	machine_resume(s, machine_of_node(0));
	/* A program may be faster than anything that the daemon could have noticed it by. */
	assert_true(node_handle_lapsed(s->nodes[0].node, d.f[0].handle, machine_now(s, 0)));
	assert_int_equal(story_write(s, &d.f[0], "x"), STATUS_LAPSED);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 1);
	again = story_make(s, 0, "f", 0);
	assert_int_equal(try_lock(s, &again), STATUS_BUSY);
	assert_int_equal(story_write(s, &d.f[0], "x"), STATUS_LAPSED);
	story_end(s);
}

static void test_suspend_within_the_lease_costs_something(void **state)
{
	struct sim *s = story_begin(3);
	struct door d = shut_door(s);
	uint64_t instance = sim_instance(s, 0), token = story_lock(s, &d.f[0]);

	machine_pause(s, machine_of_node(0));
	sim_run_for(s, 6 * NS_PER_SEC);
	machine_resume(s, machine_of_node(0));
	sim_run_for(s, 2 * STORY_LEASE_NS);
	assert_true(sim_instance(s, 0) == instance);
	assert_true(story_lock(s, &d.f[0]) == token);
	assert_false(d.wait->answered);
	story_end(s);
}

/* ---- Back after another has held it ---- */

/* From here on node 0 is alone; with frozen its clock stands still, and it believes for ever. */
static void lose_node_0(struct sim *s, bool frozen)
{
	story_cut(s, 0, true, true);
	if (!frozen)
		return;
	machine_set_rate(s, machine_of_node(0), 0);
	s->nodes[0].astray = true; /* so that I1 does not count what it believes */
}

static void find_node_0(struct sim *s, bool frozen)
{
	if (frozen)
		machine_set_rate(s, machine_of_node(0), 1000000);
	story_cut(s, 0, false, false);
	sim_node_loop(s, 0);
}

static void lock_and_unlock(struct sim *s, const struct opened *f)
{
	assert_int_equal(try_lock(s, f), STATUS_OK);
	story_unlock(s, f);
	sim_run_for(s, 10 * HOP);
}

/* The master is new and knows nothing of those who held f meanwhile; in_grace: grace goes on. */
static void node_0_is_refused(struct sim *s, struct opened *f, bool frozen, bool in_grace)
{
	uint64_t instance = sim_instance(s, 0);

	if (in_grace)
		story_cut(s, 2, true, true);
	story_restart(s);
	sim_run_for(s, NS_PER_SEC);
	assert_true(master_is_serving(s->masters[0].master) != in_grace);
	find_node_0(s, frozen);
	sim_run_for(s, 2 * NS_PER_SEC);
	assert_true(frozen == (sim_instance(s, 0) != instance)); /* else it has lapsed by itself */
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 1);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_RESUMED], 0);
	story_cut(s, 2, false, false);
	story_grace_over(s);
	assert_int_equal(story_write(s, &f[0], "x"), STATUS_LAPSED);
	lock_and_unlock(s, &f[2]);
	assert_true(node_is_open(s->nodes[0].node));
}

struct edge {
	bool frozen, in_grace;
};

static const struct edge edges[] = {{false, false}, {false, true}, {true, false}, {true, true}};

/*
 * First edge condition: its lease ran out while it was cut off, another had the lock and gave it
 * back, and then the master was restarted: would it let it reclaim?
 */
static void test_reclaim_after_expiry_and_restart(void **state)
{
	for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++) {
		struct sim *s = story_begin(3);
		struct door d = shut_door(s);

		lose_node_0(s, edges[i].frozen);
		assert_int_equal(story_wait(s, d.wait, 11 * NS_PER_SEC)->status, STATUS_OK);
		story_unlock(s, &d.f[1]);
		sim_run_for(s, 10 * HOP);
		node_0_is_refused(s, d.f, edges[i].frozen, edges[i].in_grace);
		story_end(s);
	}
}

/*
 * Second edge condition: it was cut off when the master was restarted, grace ended without it,
 * another had the lock and gave it back, and the master was restarted once more.
 */
static void test_reclaim_after_two_restarts(void **state)
{
	for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++) {
		struct sim *s = story_begin(3);
		struct door d = shut_door(s);

		lose_node_0(s, edges[i].frozen);
		story_restart(s);
		assert_int_equal(story_wait(s, d.wait, 12 * NS_PER_SEC)->status, STATUS_OK);
		story_unlock(s, &d.f[1]);
		sim_run_for(s, 10 * HOP);
		node_0_is_refused(s, d.f, edges[i].frozen, edges[i].in_grace);
		story_end(s);
	}
}

/*
 * Two masters; node 0 has first said HELLO to the one that does not lead (*standby), which hears it
 * so late.
 */
static struct sim *say_hello_late(int64_t late, size_t *standby)
{
	struct sim *s = story_begin_with((struct sim_config){.nodes = 0, .masters = 2, .seed = 1});
	struct net_link *slow, *dead;

	sim_run_for(s, NS_PER_SEC);
	assert_true(serving(s) < 2);
	*standby = !serving(s);
	slow = &s->links[0][*standby];
	dead = &s->links[0][!*standby];
	slow->slow_ns[0] = late;
	dead->blocked[0] = true;
	s->config.nodes = 3;
	for (size_t i = 0; i < 3; i++)
		sim_start_node(s, i);
	sim_run_for(s, NS_PER_SEC);
	slow->slow_ns[0] = slow->order_ns[0] = 0; /* what follows overtakes it */
	dead->blocked[0] = false;
	sim_run_for(s, NS_PER_SEC);
	assert_true(node_is_open(s->nodes[0].node));
	return s;
}

static void cut_off(struct sim *s, size_t master, bool cut)
{
	s->links[0][master].blocked[0] = s->links[0][master].blocked[1] = cut;
}

/* It has taken over the others. */
static bool has_opened_one(struct sim *s, void *master)
{
	return s->masters[*(size_t *)master].told[MASTER_EVENT_OPENED] > 0;
}

/*
 * By then it leads, has heard what node 0 reclaims, and has given it to another. It takes the HELLO
 * for the beginning of a session, and node 0, whose clock stood still, takes that for its own.
 */
static void test_late_hello_revives_a_freed_session(void **state)
{
	size_t m;
	struct sim *s = say_hello_late(4 * STORY_LEASE_NS, &m);
	struct door d = shut_door(s);

	sim_crash_master(s, !m);
	sim_run_for(s, TL + 3 * NS_PER_SEC);
	assert_true(master_is_serving(s->masters[m].master));
	cut_off(s, m, true);
	machine_set_rate(s, machine_of_node(0), 0);
	s->nodes[0].astray = true;
	assert_int_equal(story_wait(s, d.wait, 11 * NS_PER_SEC)->status, STATUS_OK);
	assert_true(sim_run_until(s, has_opened_one, &m, 4 * STORY_LEASE_NS));
	machine_set_rate(s, machine_of_node(0), 1000000);
	cut_off(s, m, false);
	sim_node_loop(s, 0);
	sim_run_for(s, 2 * STORY_LEASE_NS);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 1);
	assert_int_equal(story_write(s, &d.f[0], "x"), STATUS_LAPSED);
	assert_true(node_is_open(s->nodes[0].node));
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late_acknowledgement_counts_from_its_arrival),
		cmocka_unit_test(test_late_acknowledgement_revives_the_lapsed),
		cmocka_unit_test(test_late_acknowledgement_is_read_before_the_clock),
		cmocka_unit_test(test_paused_master_sends_what_it_decided),
		cmocka_unit_test(test_paused_master_outlives_its_own_lease),
		cmocka_unit_test(test_paused_node_tells_of_a_grant_of_yesterday),
		cmocka_unit_test(test_suspend_past_the_lease_is_not_noticed),
		cmocka_unit_test(test_suspend_within_the_lease_costs_something),
		cmocka_unit_test(test_reclaim_after_expiry_and_restart),
		cmocka_unit_test(test_reclaim_after_two_restarts),
		cmocka_unit_test(test_late_hello_revives_a_freed_session),
	};

	cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
