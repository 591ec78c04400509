/* SPDX-License-Identifier: MIT */
/*
 * Stories of the time in which holders are stopped (contract 6.2): too early, too late, for nothing,
 * or those of somebody else. Node 1 is the one that does it (sim_start_node).
 */
#include <stdlib.h>
#include <string.h>

#include "story.h"

/* How long a master lets a renewal wait at most (protocol.md): for its next swap. */
#define SWAP_NS NS_PER_SEC

#define FENCER	 1
#define HELD_MAX 8
#define PERCENT	 (STORY_LEASE_NS / 100)

static enum node_fence fence(struct sim *s)
{
	return node_fence(s->nodes[FENCER].node);
}

static size_t held(struct sim *s, struct node_held *out)
{
	return node_held(s->nodes[FENCER].node, out, HELD_MAX);
}

static bool renewed(struct sim *s, void *arg)
{
	return node_belief_end(s->nodes[FENCER].node) != *(int64_t *)arg;
}

/* Right after a renewal was acknowledged the node is cut off. Returns until when it believes. */
static int64_t cut_after_a_renewal(struct sim *s, bool to_master, bool to_node)
{
	int64_t end = node_belief_end(s->nodes[FENCER].node);

	assert_true(sim_run_until(s, renewed, &end, STORY_LEASE_NS));
	story_cut(s, FENCER, to_master, to_node);
	return node_belief_end(s->nodes[FENCER].node);
}

#define ROUNDING_NS 2 /* an alarm rings that much late at most, in true time */

/* To a moment of the node's own clock, what happens at it included. */
static void run_to(struct sim *s, int64_t boot_ns)
{
	while (machine_now(s, FENCER).boot_ns < boot_ns) {
		int64_t left = boot_ns - machine_now(s, FENCER).boot_ns;

		sim_run_for(s, left > 100 ? left - left / 50 : 1);
	}
	sim_run_for(s, ROUNDING_NS);
}

/* 60 % and 85 % of the lease since the renewal was sent, to the nanosecond, by the node's clock. */
static void check_timeline(int64_t rate_ppm)
{
	struct sim *s = story_begin(2);
	struct opened f = story_make(s, FENCER, "f", 0);
	int64_t end;

	story_lock(s, &f);
	machine_set_rate(s, machine_of_node(FENCER), rate_ppm);
	end = cut_after_a_renewal(s, true, true);
	run_to(s, end - 40 * PERCENT - 200);
	assert_int_equal(fence(s), NODE_FENCE_NONE);
	run_to(s, end - 40 * PERCENT);
	assert_int_equal(fence(s), NODE_FENCE_WARN);
	run_to(s, end - 15 * PERCENT - 200);
	assert_int_equal(fence(s), NODE_FENCE_WARN);
	run_to(s, end - 15 * PERCENT);
	assert_int_equal(fence(s), NODE_FENCE_KILL);
	run_to(s, end - 200);
	assert_int_equal(fence(s), NODE_FENCE_KILL);
	assert_int_equal(s->nodes[FENCER].told[NODE_EVENT_LAPSED], 0);
	s->holders_stay = true;
	run_to(s, end);
	assert_int_equal(s->nodes[FENCER].told[NODE_EVENT_LAPSED], 1);
	assert_int_equal(fence(s), NODE_FENCE_LOST);
	story_end(s);
}

static void test_holders_are_stopped_too_late(void **state)
{
	check_timeline(1000000);
}

static void test_drift_moves_the_stages(void **state)
{
	check_timeline(990000);
	check_timeline(1010000);
}

/* The renewals arrive and their acknowledgements do not: belief counts all the same. */
static void test_unheard_acknowledgements_count(void **state)
{
	struct sim *s = story_begin(2);
	int64_t end = cut_after_a_renewal(s, false, true);

	run_to(s, end - 40 * PERCENT);
	assert_int_equal(fence(s), NODE_FENCE_WARN);
	story_end(s);
}

/* A program that has outlived its SIGTERM is left alone once the master is back, until the next time. */
static void test_renewal_does_not_call_it_off(void **state)
{
	static const int at_percent[] = {60, 84, 85, 99};

	for (size_t i = 0; i < sizeof(at_percent) / sizeof(*at_percent); i++) {
		struct sim *s = story_begin(2);
		struct opened f = story_make(s, FENCER, "f", 0);
		int64_t end;

		story_lock(s, &f);
		end = cut_after_a_renewal(s, true, true);
		run_to(s, end - (100 - at_percent[i]) * PERCENT);
		assert_int_not_equal(fence(s), NODE_FENCE_NONE);
		story_cut(s, FENCER, false, false);
		sim_run_for(s, NODE_HELLO_NS + SWAP_NS);
		if (at_percent[i] < 99)
			assert_int_equal(fence(s), NODE_FENCE_NONE);
		sim_run_for(s, 3 * STORY_LEASE_NS);
		assert_int_equal(fence(s), NODE_FENCE_NONE);
		end = cut_after_a_renewal(s, true, true);
		run_to(s, end - 40 * PERCENT);
		assert_int_equal(fence(s), NODE_FENCE_WARN);
		story_end(s);
	}
}

/* The renewal at 50 % is heard, and acknowledged with the next SWAP. */
static void test_master_back_before_half_time_is_too_late(void **state)
{
	struct sim *s = story_begin(2);
	int64_t end = cut_after_a_renewal(s, true, true);

	run_to(s, end - 52 * PERCENT);
	story_cut(s, FENCER, false, false);
	for (int i = 0; i < 1000; i++) {
		sim_run_for(s, STORY_LEASE_NS / 500);
		assert_int_equal(fence(s), NODE_FENCE_NONE);
	}
	story_end(s);
}

static void test_a_restarted_master_finds_them_stopped(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f = story_make(s, FENCER, "f", 0);

	story_lock(s, &f);
	cut_after_a_renewal(s, false, false);
	sim_run_for(s, 50 * PERCENT);
	story_restart(s);
	for (int i = 0; i < 1000; i++) {
		sim_run_for(s, STORY_LEASE_NS / 500);
		assert_int_equal(fence(s), NODE_FENCE_NONE);
	}
	story_end(s);
}

static void test_onloss_none_stops_anybody(void **state)
{
	struct sim *s = story_begin(1);
	struct opened f = story_make(s, 0, "f", OPEN_EXCL);

	story_lock(s, &f);
	story_cut(s, 0, true, true);
	for (int i = 0; i < 1000; i++) {
		sim_run_for(s, STORY_LEASE_NS / 500);
		assert_int_equal(node_fence(s->nodes[0].node), NODE_FENCE_NONE);
	}
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 1);
	story_end(s);
}

/* ---- What is held ---- */

/* A name made with O_EXCL; its file stays open. */
static struct opened make_by(struct sim *s, const char *name, uint32_t pid)
{
	struct message m = {.kind = MESSAGE_CREATE,
			    .parent = ROOT_INO,
			    .name = name,
			    .flags = OPEN_EXCL,
			    .pid = pid};
	struct request *r = story_ask(s, FENCER, &m);

	assert_int_equal(r->status, STATUS_OK);
	return (struct opened){FENCER, r->reply->attr.ino, r->handle, 0};
}

/* A file that is only open, a name that is not held, and what others hold are not listed. */
static void test_bystanders_are_listed(void **state)
{
	struct sim *s = story_begin(2);
	struct node_held list[HELD_MAX];
	struct opened f, theirs;

	story_make(s, FENCER, "open", 0);
	theirs = story_make(s, 0, "theirs", OPEN_EXCL);
	story_lock(s, &theirs);
	story_make(s, FENCER, "theirs", 0);
	assert_int_equal(held(s, list), 0);
	f = story_make(s, FENCER, "f", 0);
	story_lock(s, &f);
	assert_int_equal(held(s, list), 1);
	assert_int_equal(list[0].ino, f.ino);
	assert_int_equal(list[0].maker, 0);
	story_unlock(s, &f);
	assert_int_equal(held(s, list), 0);
	story_end(s);
}

static void test_maker_that_has_closed_his_file_is_forgotten(void **state)
{
	struct sim *s = story_begin(2);
	struct node_held list[HELD_MAX];
	struct opened f = make_by(s, "x", 77);

	story_close(s, &f);
	sim_run_for(s, NS_PER_SEC);
	assert_int_equal(held(s, list), 1);
	assert_int_equal(list[0].ino, f.ino);
	assert_int_equal(list[0].maker, 77);
	story_end(s);
}

/* Whoever removes what it made, or has it moved away by somebody, holds it no longer; the mover does. */
static void test_maker_is_listed_for_a_name_that_is_gone(void **state)
{
	struct sim *s = story_begin(2);
	struct node_held list[HELD_MAX];
	struct message move = {.kind = MESSAGE_RENAME,
			       .parent = ROOT_INO,
			       .name = "moved",
			       .target = ROOT_INO,
			       .name2 = "to",
			       .pid = 79};
	struct opened f;

	make_by(s, "open", 76);
	assert_int_equal(story_unlink(s, FENCER, "open"), STATUS_OK);
	f = make_by(s, "closed", 77);
	story_close(s, &f);
	assert_int_equal(story_unlink(s, 0, "closed"), STATUS_OK);
	sim_run_for(s, NS_PER_SEC);
	assert_int_equal(held(s, list), 0);
	make_by(s, "moved", 78);
	assert_int_equal(story_status(s, FENCER, &move), STATUS_OK);
	assert_int_equal(held(s, list), 1);
	assert_int_equal(list[0].maker, 79);
	story_end(s);
}

/* ---- After the end ---- */

static bool lapsed(struct sim *s, void *arg)
{
	return s->nodes[FENCER].told[NODE_EVENT_LAPSED] > 0;
}

/* The master hears everything of the node, which hears nothing: BYE is what it must not hear. */
static void lose_session(struct sim *s)
{
	story_cut(s, FENCER, false, true);
	s->holders_stay = true;
	assert_true(sim_run_until(s, lapsed, NULL, STORY_LEASE_NS));
	story_cut(s, FENCER, false, false);
}

static void test_others_are_granted_before_the_holders_are_stopped(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f = story_make(s, FENCER, "f", 0), g = story_make(s, 0, "f", 0);
	struct node_held list[HELD_MAX];
	struct request *wait;

	story_lock(s, &f);
	wait = story_flock(s, &g, LOCK_EXCLUSIVE, true);
	lose_session(s);
	sim_run_for(s, 200 * NS_PER_MS);
	assert_false(wait->answered);
	assert_int_equal(held(s, list), 1);
	assert_int_equal(list[0].ino, f.ino);
	node_fenced(s->nodes[FENCER].node, true, machine_now(s, FENCER));
	sim_node_loop(s, FENCER);
	assert_int_equal(held(s, list), 0);
	story_wait(s, wait, 20 * STORY_HOP_NS);
	assert_int_equal(wait->status, STATUS_OK);
	story_end(s);
}

/* Somebody cannot be stopped: the master's patience ends, and not sooner; and the node goes on. */
static void test_a_holder_that_cannot_be_stopped(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f = story_make(s, FENCER, "f", 0), g = story_make(s, 0, "f", 0);
	struct request *wait;

	story_lock(s, &f);
	wait = story_flock(s, &g, LOCK_EXCLUSIVE, true);
	lose_session(s);
	node_fenced(s->nodes[FENCER].node, false, machine_now(s, FENCER));
	sim_node_loop(s, FENCER);
	sim_run_for(s, NS_PER_SEC);
	assert_false(wait->answered);
	story_wait(s, wait, STORY_LEASE_NS);
	sim_run_for(s, NS_PER_SEC);
	assert_true(node_is_open(s->nodes[FENCER].node));
	story_end(s);
}

/* The names' holder is the session that was, not the one to come. */
static void test_lost_names_are_not_counted(void **state)
{
	struct sim *s = story_begin(2);
	struct node_held list[HELD_MAX];

	make_by(s, "name", 77);
	lose_session(s);
	assert_int_equal(s->nodes[FENCER].last.kind, NODE_EVENT_LAPSED);
	assert_int_equal(s->nodes[FENCER].last.held, 1);
	assert_int_equal(held(s, list), 1);
	assert_int_equal(list[0].maker, 77);
	story_end(s);
}

static void test_nothing_held_holds_up_the_next_session(void **state)
{
	struct sim *s = story_begin(2);

	story_make(s, FENCER, "open", 0);
	lose_session(s);
	sim_run_for(s, NS_PER_SEC);
	assert_int_equal(fence(s), NODE_FENCE_NONE);
	assert_true(node_is_open(s->nodes[FENCER].node));
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holders_are_stopped_too_late),
		cmocka_unit_test(test_drift_moves_the_stages),
		cmocka_unit_test(test_unheard_acknowledgements_count),
		cmocka_unit_test(test_renewal_does_not_call_it_off),
		cmocka_unit_test(test_master_back_before_half_time_is_too_late),
		cmocka_unit_test(test_a_restarted_master_finds_them_stopped),
		cmocka_unit_test(test_onloss_none_stops_anybody),
		cmocka_unit_test(test_bystanders_are_listed),
		cmocka_unit_test(test_maker_that_has_closed_his_file_is_forgotten),
		cmocka_unit_test(test_maker_is_listed_for_a_name_that_is_gone),
		cmocka_unit_test(test_others_are_granted_before_the_holders_are_stopped),
		cmocka_unit_test(test_a_holder_that_cannot_be_stopped),
		cmocka_unit_test(test_lost_names_are_not_counted),
		cmocka_unit_test(test_nothing_held_holds_up_the_next_session),
	};

	cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
