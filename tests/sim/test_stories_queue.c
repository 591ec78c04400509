/* SPDX-License-Identifier: MIT */
/* Stories of releases and queues: a release that is heard twice, waiters that die, and many. */
#include <stdlib.h>
#include <string.h>

#include "lockcore/master_internal.h"
#include "story.h"

#define HOP	    STORY_HOP_NS
#define WAITERS	    1000
#define CROWD_NODES 5 /* and the holder's */

static enum status try_lock(struct sim *s, const struct opened *f)
{
	return story_wait(s, story_flock(s, f, LOCK_EXCLUSIVE, false), NS_PER_SEC)->status;
}

/* ---- A release that is sent again ---- */

/* Node 0 has released f, of which it hears nothing, and node 1 has it. */
static struct request *pass_on(struct sim *s, struct opened *f)
{
	struct request *wait;

	for (size_t i = 0; i < 3; i++)
		f[i] = story_make(s, i, "f", 0);
	story_lock(s, &f[0]);
	wait = story_flock(s, &f[1], LOCK_EXCLUSIVE, true);
	sim_run_for(s, 10 * HOP);
	story_cut(s, 0, false, true);
	story_unlock(s, &f[0]);
	assert_int_equal(story_wait(s, wait, 10 * HOP)->status, STATUS_OK);
	return wait;
}

static void test_repeated_release_frees_the_next_holder(void **state)
{
	struct sim *s = story_begin(3);
	struct opened f[3];
	uint64_t packets;

	pass_on(s, f);
	packets = s->packets;
	sim_run_for(s, NS_PER_SEC);
	assert_true(s->packets > packets); /* it is sent again, and heard */
	assert_int_equal(try_lock(s, &f[2]), STATUS_BUSY);
	story_cut(s, 0, false, false);
	sim_run_for(s, NS_PER_SEC);
	assert_int_equal(try_lock(s, &f[2]), STATUS_BUSY);
	assert_int_equal(try_lock(s, &f[0]), STATUS_BUSY);
	story_end(s);
}

/* It asks for the lock anew, and has it, with another in its way, when the release is heard again. */
static void test_repeated_release_frees_its_own_next_lock(void **state)
{
	struct sim *s = story_begin(3);
	struct opened f[3];
	struct request *again, *next;

	pass_on(s, f);
	again = story_flock(s, &f[0], LOCK_EXCLUSIVE, true);
	sim_run_for(s, 10 * HOP);
	next = story_flock(s, &f[2], LOCK_EXCLUSIVE, true);
	sim_run_for(s, 10 * HOP);
	story_unlock(s, &f[1]);
	sim_run_for(s, NS_PER_SEC);
	assert_false(again->answered || next->answered);
	story_cut(s, 0, false, false);
	assert_int_equal(story_wait(s, again, NS_PER_SEC)->status, STATUS_OK);
	sim_run_for(s, NS_PER_SEC);
	assert_false(next->answered);
	story_unlock(s, &f[0]);
	assert_int_equal(story_wait(s, next, 3 * HOP)->status, STATUS_OK);
	story_end(s);
}

/* No master acknowledged the release, and none may hear that the lock is held (rule 12). */
static void test_release_retried_at_the_next_master(void **state)
{
	struct sim *s = story_begin(3);
	struct opened f[3];
	uint64_t token = pass_on(s, f)->reply->token;

	story_restart(s);
	story_cut(s, 0, false, false);
	story_grace_over(s);
	sim_run_for(s, NS_PER_SEC);
	assert_int_equal(s->masters[0].told[MASTER_EVENT_RECLAIM_REFUSED], 0);
	assert_int_equal(try_lock(s, &f[2]), STATUS_BUSY);
	assert_int_equal(try_lock(s, &f[0]), STATUS_BUSY);
	assert_true(story_lock(s, &f[1]) == token);
	story_end(s);
}

/* ---- A waiter that dies at the head of the queue ---- */

/* How long its session lives yet if nobody renews it. */
static int64_t lease_left(const struct sim *s, uint64_t instance)
{
	struct master *m = s->masters[0].master;

	return session_find(m, instance)->expiry.at_ns -
	       machine_now(s, machine_of_master(0)).boot_ns;
}

static bool is_deleting(struct sim *s, void *arg)
{
	return s->masters[0].running.id && s->masters[0].running.kind == ENGINE_DELETE;
}

/* It is dying, and the store does not say that it is dead: nobody waits for that (rule 9). */
static void test_dying_waiter_holds_up_the_queue(void **state)
{
	struct sim *s = story_begin(3);
	struct opened f[3];
	struct request *waits[2];
	uint64_t instance = sim_instance(s, 1);

	for (size_t i = 0; i < 3; i++)
		f[i] = story_make(s, i, "f", 0);
	story_lock(s, &f[0]);
	for (size_t i = 0; i < 2; i++) {
		waits[i] = story_flock(s, &f[i + 1], LOCK_EXCLUSIVE, true);
		sim_run_for(s, 10 * HOP);
	}
	story_cut(s, 1, true, true);
	sim_run_for(s, lease_left(s, instance) - 100 * HOP);
	s->store.down = true;
	assert_true(sim_run_until(s, is_deleting, NULL, 2 * NS_PER_SEC));
	story_unlock(s, &f[0]);
	assert_int_equal(story_wait(s, waits[1], 3 * HOP)->status, STATUS_OK);
	assert_true(engine_knows(s, s->nodes[1].id, instance));
	assert_int_equal(waits[0]->status, STATUS_LAPSED);
	s->store.down = false;
	story_end(s);
}

/* ---- Many ---- */

/* A thousand that wait, in their order. */
static void gather(struct sim *s, struct opened *f, struct request **waits)
{
	for (size_t i = 0; i < WAITERS; i++) {
		f[i] = story_make(s, 1 + i % CROWD_NODES, "f", 0);
		waits[i] = story_flock(s, &f[i], LOCK_EXCLUSIVE, true);
		sim_run_for(s, 3 * HOP);
	}
}

/* Contract 5.2: nobody is told of a release but who releases and who is granted by it. */
static void test_a_thousand_waiters_stampede(void **state)
{
	static struct opened f[WAITERS];
	static struct request *waits[WAITERS];
	struct sim *s = story_begin(1 + CROWD_NODES);
	struct opened door = story_make(s, 0, "f", 0);
	uint64_t said, answers;

	story_lock(s, &door);
	gather(s, f, waits);
	sim_run_for(s, NS_PER_SEC);
	said = s->masters[0].said;
	answers = s->answers;
	story_unlock(s, &door);
	assert_int_equal(story_wait(s, waits[0], 3 * HOP)->status, STATUS_OK);
	sim_run_for(s, STORY_LEASE_NS);
	assert_int_equal(s->masters[0].said - said, 2); /* the release's own reply, and one grant */
	assert_int_equal(s->answers - answers, 2);
	story_unlock(s, &f[0]);
	assert_int_equal(story_wait(s, waits[1], 3 * HOP)->status, STATUS_OK);
	sim_run_for(s, STORY_LEASE_NS);
	assert_int_equal(s->masters[0].said - said, 4);
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repeated_release_frees_the_next_holder),
		cmocka_unit_test(test_repeated_release_frees_its_own_next_lock),
		cmocka_unit_test(test_release_retried_at_the_next_master),
		cmocka_unit_test(test_dying_waiter_holds_up_the_queue),
		cmocka_unit_test(test_a_thousand_waiters_stampede),
	};

	cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
