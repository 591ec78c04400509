/* SPDX-License-Identifier: MIT */
/* Stories of who is told what there is: locks, waiters and masters, over restarts and without any. */
#include <string.h>
#include <sys/stat.h>

#include "story.h"

#define HOP STORY_HOP_NS

static struct message survey_message(uint64_t ino)
{
	return (struct message){.kind = MESSAGE_SURVEY, .ino = ino};
}

static const struct message *survey_of(struct sim *s, size_t node, uint64_t ino)
{
	struct message m = survey_message(ino);
	struct request *r = story_ask(s, node, &m);

	assert_int_equal(r->status, STATUS_OK);
	assert_true(r->reply->flags & REPLY_END);
	return r->reply;
}

/* The lock, held name or waiter of this node. */
static const struct surveyed *of_node(const struct message *survey, size_t node)
{
	char name[16] = "node0";

	name[4] += (char)node;
	for (size_t i = 0; i < survey->surveyed_count; i++)
		if (!strcmp(survey->surveyed[i].node, name))
			return &survey->surveyed[i];
	fail();
	return NULL;
}

/* As old as it should be, but for the time that messages take. */
static void is_as_old(const struct sim *s, const struct surveyed *what, int64_t since_ns)
{
	assert_in_range(what->age_ns + 12 * HOP, s->now - since_ns, s->now - since_ns + 12 * HOP);
}

/* A holder, two who wait, and who made what, over two restarts: nothing begins anew. */
static void test_restart_forgets_how_long(void **state)
{
	struct sim *s = story_begin(4);
	struct opened f[3];
	const struct message *survey;
	int64_t began_ns[4];
	uint64_t token;

	for (size_t i = 0; i < 3; i++)
		f[i] = story_make(s, i, "f", 0);
	began_ns[0] = s->now;
	token = story_lock(s, &f[0]);
	for (size_t i = 1; i < 3; i++) {
		sim_run_for(s, NS_PER_SEC);
		began_ns[i] = s->now;
		story_flock(s, &f[i], LOCK_EXCLUSIVE, true);
		sim_run_for(s, 3 * HOP);
	}
	began_ns[3] = s->now;
	story_make(s, 3, "held", OPEN_EXCL);
	for (int restart = 0; restart < 3; restart++) {
		survey = survey_of(s, 3, 0);
		assert_int_equal(survey->surveyed_count, 4);
		for (size_t i = 0; i < 4; i++)
			is_as_old(s, of_node(survey, i), began_ns[i]);
		assert_true(of_node(survey, 0)->token == token);
		assert_in_range(of_node(survey, 0)->left_ns, 1, master_wait_ns(STORY_LEASE_NS));
		assert_true(of_node(survey, 1)->ticket && of_node(survey, 2)->ticket);
		assert_true(of_node(survey, 1)->ticket < of_node(survey, 2)->ticket);
		assert_int_equal(survey_of(s, 1, f[0].ino)->surveyed_count, 3);
		sim_run_for(s, NS_PER_SEC);
		story_restart(s);
	}
	story_end(s);
}

/* What is granted after a wait is as old as the grant, and not as the wait. */
static void test_a_wait_counts_as_a_lock(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f[2] = {story_make(s, 0, "f", 0), story_make(s, 1, "f", 0)};
	struct request *wait;
	int64_t granted_ns;

	story_lock(s, &f[0]);
	wait = story_flock(s, &f[1], LOCK_EXCLUSIVE, true);
	sim_run_for(s, 2 * NS_PER_SEC);
	story_unlock(s, &f[0]);
	assert_int_equal(story_wait(s, wait, 3 * HOP)->status, STATUS_OK);
	granted_ns = s->now;
	sim_run_for(s, NS_PER_SEC);
	is_as_old(s, of_node(survey_of(s, 0, 0), 1), granted_ns);
	story_restart(s);
	is_as_old(s, of_node(survey_of(s, 0, 0), 1), granted_ns);
	story_end(s);
}

/* A cursor means nothing in another master's table, and the page says whose it is. */
static void test_a_page_is_of_another_master_and_does_not_say_so(void **state)
{
	struct sim *s = story_begin(1);
	struct message m = survey_message(0);
	const struct message *first;
	uint64_t epoch;

	story_make(s, 0, "held", OPEN_EXCL);
	first = survey_of(s, 0, 0);
	epoch = first->epoch;
	assert_true(epoch == sim_epoch(s, 0) && first->surveyed_count == 1);
	m.start = first->start;
	story_restart(s);
	assert_true(story_ask(s, 0, &m)->reply->epoch > epoch);
	story_end(s);
}

/* ---- Without a master ---- */

static enum node_standing standing(const struct sim *s, size_t master)
{
	return node_master_standing(s->nodes[0].node, master);
}

static size_t leader(const struct sim *s)
{
	for (size_t i = 0; i < s->config.masters; i++)
		if (s->masters[i].master && master_is_serving(s->masters[i].master))
			return i;
	return SIZE_MAX;
}

static bool knows_leader(struct sim *s, void *arg)
{
	size_t now = leader(s), told;

	return now != SIZE_MAX && now != *(size_t *)arg && node_master(s->nodes[0].node, &told) &&
	       told == now && standing(s, now) == NODE_MASTER_LEADS;
}

static void test_a_dead_master_is_said_to_lead(void **state)
{
	struct sim *s = story_begin_with((struct sim_config){.nodes = 1, .masters = 3, .seed = 1});
	size_t first = leader(s), told;

	assert_true(node_master(s->nodes[0].node, &told) && told == first);
	assert_true(node_epoch(s->nodes[0].node) == sim_epoch(s, 0));
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(standing(s, i),
				 i == first ? NODE_MASTER_LEADS : NODE_MASTER_STANDS_BY);
	sim_crash_master(s, first);
	sim_run_for(s, 10 * HOP);
	assert_int_equal(standing(s, first), NODE_MASTER_SILENT);
	assert_true(sim_run_until(s, knows_leader, &first, 9 * NS_PER_SEC));
	assert_int_equal(standing(s, first), NODE_MASTER_SILENT);
	story_end(s);
}

/* It hangs: its connection is as good as ever. A renewal that is overdue tells. */
static void test_a_master_that_hangs_is_said_to_lead(void **state)
{
	struct sim *s = story_begin(1);
	size_t told;

	machine_pause(s, machine_of_master(0));
	sim_run_for(s, 7 * NS_PER_SEC);
	assert_int_equal(standing(s, 0), NODE_MASTER_SILENT);
	assert_true(node_master(s->nodes[0].node, &told));
	sim_run_for(s, 5 * NS_PER_SEC);
	assert_false(node_master(s->nodes[0].node, &told));
	assert_int_equal(standing(s, 0), NODE_MASTER_SILENT);
	machine_resume(s, machine_of_master(0));
	sim_run_for(s, 5 * NS_PER_SEC);
	assert_int_equal(standing(s, 0), NODE_MASTER_LEADS);
	story_end(s);
}

static struct request *look(struct sim *s, uint64_t ino)
{
	return request_submit(s, 0, &(struct message){.kind = MESSAGE_GETATTR, .ino = ino}, NULL);
}

/* The root is on the way to all that needs no master. */
static void test_the_root_waits_for_a_dead_master(void **state)
{
	struct sim *s = story_begin_with(
		(struct sim_config){.nodes = 1, .seed = 1, .timeo_ns = STORY_TIMEO_NS});
	struct opened f = story_make(s, 0, "f", 0);
	struct request *root;

	assert_int_equal(story_wait(s, look(s, ROOT_INO), 3 * HOP)->status, STATUS_OK);
	sim_crash_master(s, 0);
	sim_run_for(s, 10 * HOP);
	root = story_wait(s, look(s, ROOT_INO), HOP);
	assert_int_equal(root->status, STATUS_OK);
	assert_true(S_ISDIR(root->reply->attr.mode) && root->reply->attr.ino == ROOT_INO);
	assert_int_equal(story_wait(s, look(s, f.ino), STORY_TIMEO_NS + HOP)->status,
			 STATUS_NO_MASTER);
	sim_run_for(s, 2 * STORY_LEASE_NS); /* and in no session */
	assert_int_equal(story_wait(s, look(s, ROOT_INO), HOP)->status, STATUS_OK);
	story_end(s);
}

/* It hangs: who looks waits until nothing at all has been heard of it for a while, then nobody. */
static void test_the_root_waits_for_a_master_that_hangs(void **state)
{
	struct sim *s = story_begin(1);
	struct request *first;

	assert_int_equal(story_wait(s, look(s, ROOT_INO), 3 * HOP)->status, STATUS_OK);
	machine_pause(s, machine_of_master(0));
	first = look(s, ROOT_INO);
	sim_run_for(s, NODE_SILENT_NS / 2);
	assert_false(first->answered); /* a master that lives tells the truth */
	assert_int_equal(story_wait(s, first, NODE_SILENT_NS)->status, STATUS_OK);
	assert_int_equal(story_wait(s, look(s, ROOT_INO), HOP)->status, STATUS_OK);
	machine_resume(s, machine_of_master(0));
	sim_run_for(s, NS_PER_SEC);
	first = look(s, ROOT_INO);
	assert_int_equal(story_wait(s, first, 3 * HOP)->status, STATUS_OK);
	assert_true(first->ended > first->begun); /* it was asked for */
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restart_forgets_how_long),
		cmocka_unit_test(test_a_wait_counts_as_a_lock),
		cmocka_unit_test(test_a_page_is_of_another_master_and_does_not_say_so),
		cmocka_unit_test(test_a_dead_master_is_said_to_lead),
		cmocka_unit_test(test_a_master_that_hangs_is_said_to_lead),
		cmocka_unit_test(test_the_root_waits_for_a_dead_master),
		cmocka_unit_test(test_the_root_waits_for_a_master_that_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
