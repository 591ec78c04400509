/* SPDX-License-Identifier: MIT */
/* Stories of names: a name's end is told to exactly those who have seen it, once (contract 2.4).
 * Node 1 also hears of what others make, as every odd node of the simulator. */
#include <string.h>
#include <sys/stat.h>

#include "lockcore/node_internal.h"
#include "story.h"

#define GONE	 false
#define APPEARED true
#define LONG	 (60 * NS_PER_SEC) /* idle times and leases are over */

static enum status getattr(struct sim *s, size_t node, uint64_t ino)
{
	return story_status(s, node, &(struct message){.kind = MESSAGE_GETATTR, .ino = ino});
}

/* Nodes whose programs have been in the root. */
static struct sim *begin(size_t nodes)
{
	struct sim *s = story_begin(nodes);

	for (size_t i = 0; i < nodes; i++)
		assert_int_equal(getattr(s, i, ROOT_INO), STATUS_OK);
	return s;
}

static void expect_told(struct sim *s, size_t node, bool what, unsigned times)
{
	assert_int_equal(s->nodes[node].noticed[what], times);
}

static const struct node_step *last_step(struct sim *s, size_t node)
{
	assert_non_null(s->nodes[node].notice);
	return node_notice_last(s->nodes[node].notice);
}

static struct message in_root(enum message_kind kind, const char *name)
{
	return (struct message){.kind = kind, .parent = ROOT_INO, .name = name, .mode = 0755};
}

static uint64_t make_dir(struct sim *s, size_t node, uint64_t parent, const char *name)
{
	struct message m = in_root(MESSAGE_MKDIR, name);
	struct request *r;

	m.parent = parent;
	r = story_ask(s, node, &m);
	assert_int_equal(r->status, STATUS_OK);
	return r->reply->attr.ino;
}

static void look(struct sim *s, size_t node, uint64_t parent, const char *name)
{
	struct message m = in_root(MESSAGE_LOOKUP, name);

	m.parent = parent;
	assert_int_equal(story_status(s, node, &m), STATUS_OK);
}

static void test_an_end_is_told_to_all_or_twice(void **state)
{
	struct sim *s = begin(3);
	struct opened f = story_make(s, 0, "f", 0);

	story_close(s, &f);
	look(s, 2, ROOT_INO, "f");
	look(s, 2, ROOT_INO, "f");
	assert_int_equal(story_unlink(s, 0, "f"), STATUS_OK);
	sim_run_for(s, NS_PER_SEC);
	expect_told(s, 0, GONE, 0);
	expect_told(s, 1, GONE, 1); /* told of its making, since it watches all */
	expect_told(s, 2, GONE, 1);
	assert_string_equal(last_step(s, 2)->name, "f");
	assert_true(last_step(s, 2)->attr.ino == f.ino && last_step(s, 2)->attr.nlink == 0);
	story_end(s);
}

static void test_expiry_is_not_told_to_the_maker(void **state)
{
	struct sim *s = begin(1);
	struct opened f = story_make(s, 0, "f", 0);

	story_close(s, &f);
	sim_run_for(s, LONG);
	expect_told(s, 0, GONE, 1);
	story_end(s);
}

static void test_a_holders_death_is_not_told(void **state)
{
	struct sim *s = begin(3);

	make_dir(s, 0, ROOT_INO, "d");
	look(s, 2, ROOT_INO, "d");
	sim_crash_node(s, 0);
	sim_run_for(s, LONG);
	expect_told(s, 2, GONE, 1);
	assert_true(S_ISDIR(last_step(s, 2)->attr.mode) && last_step(s, 2)->attr.nlink == 0);
	story_end(s);
}

/* The program was told EINTR, so its kernel knows of no removal. */
static void test_a_removal_that_was_given_up_is_not_told(void **state)
{
	struct sim *s = begin(1);
	struct message m = in_root(MESSAGE_UNLINK, "f"), link = in_root(MESSAGE_LINK, "left");
	struct opened f = story_make(s, 0, "f", 0);
	struct request *r;

	link.ino = f.ino;
	assert_int_equal(story_status(s, 0, &link), STATUS_OK);
	story_cut(s, 0, false, true);
	r = request_submit(s, 0, &m, NULL);
	request_interrupt(s, r);
	assert_int_equal(story_wait(s, r, NS_PER_SEC)->status, STATUS_INTERRUPTED);
	story_cut(s, 0, false, false);
	sim_run_for(s, 5 * NS_PER_SEC);
	expect_told(s, 0, GONE, 1);
	assert_int_equal(last_step(s, 0)->attr.nlink, 1);
	story_end(s);
}

/* Nor does it know that what had the new name is gone. */
static void test_a_move_that_was_given_up_hides_an_end(void **state)
{
	struct sim *s = story_begin_with(
		(struct sim_config){.nodes = 1, .seed = 1, .timeo_ns = STORY_TIMEO_NS});
	struct message m = in_root(MESSAGE_RENAME, "f");
	struct request *r;

	assert_int_equal(getattr(s, 0, ROOT_INO), STATUS_OK);
	story_make(s, 0, "f", 0);
	story_make(s, 0, "over", 0);
	look(s, 0, ROOT_INO, "over");
	m.target = ROOT_INO;
	m.name2 = "over";
	story_cut(s, 0, false, true);
	r = request_submit(s, 0, &m, NULL);
	assert_int_equal(story_wait(s, r, 2 * STORY_TIMEO_NS)->status, STATUS_NO_MASTER);
	story_cut(s, 0, false, false);
	sim_run_for(s, 5 * NS_PER_SEC);
	expect_told(s, 0, GONE, 2);
	story_end(s);
}

static void test_a_restart_forgets_who_has_seen_what(void **state)
{
	struct sim *s = begin(3);

	story_make(s, 0, "kept", OPEN_EXCL);
	look(s, 2, ROOT_INO, "kept");
	story_restart(s);
	story_grace_over(s);
	sim_run_for(s, NS_PER_SEC);
	expect_told(s, 2, GONE, 0);
	assert_int_equal(story_unlink(s, 0, "kept"), STATUS_OK);
	sim_run_for(s, NS_PER_SEC);
	expect_told(s, 2, GONE, 1);
	story_end(s);
}

/* The holder dies with the master: nobody is there to see its names go. */
static void test_what_ended_in_a_restart_is_not_told(void **state)
{
	struct sim *s = begin(3);

	story_make(s, 0, "lost", OPEN_EXCL);
	look(s, 2, ROOT_INO, "lost");
	sim_crash_master(s, 0);
	sim_crash_node(s, 0);
	sim_start_master(s, 0);
	story_grace_over(s);
	sim_run_for(s, NS_PER_SEC);
	expect_told(s, 2, GONE, 1);
	story_end(s);
}

/* What is made right after grace, before anything is asked of node 1. */
static void test_a_watcher_misses_what_is_made_after_a_restart(void **state)
{
	struct sim *s = begin(2);
	uint64_t dir = make_dir(s, 0, ROOT_INO, "d");
	struct message m = in_root(MESSAGE_MKDIR, "below");

	look(s, 1, ROOT_INO, "d");
	expect_told(s, 1, APPEARED, 1);
	sim_crash_master(s, 0);
	m.parent = dir;
	request_submit(s, 0, &m, NULL);
	sim_start_master(s, 0);
	story_grace_over(s);
	sim_run_for(s, NS_PER_SEC);
	expect_told(s, 1, APPEARED, 2);
	assert_string_equal(last_step(s, 1)->name, "below");
	story_end(s);
}

static void test_a_lapsed_node_is_not_told_of_its_own_names(void **state)
{
	struct sim *s = begin(3);

	story_make(s, 2, "mine", OPEN_EXCL);
	story_make(s, 0, "other", OPEN_EXCL);
	story_make(s, 0, "stays", OPEN_EXCL);
	look(s, 2, ROOT_INO, "other");
	look(s, 2, ROOT_INO, "stays");
	story_cut(s, 2, true, true);
	sim_run_for(s, LONG);
	assert_int_equal(story_unlink(s, 0, "other"), STATUS_OK);
	expect_told(s, 2, GONE, 0);
	story_cut(s, 2, false, false);
	sim_run_for(s, 5 * NS_PER_SEC);
	assert_int_equal(s->nodes[2].told[NODE_EVENT_LAPSED], 1);
	expect_told(s, 2, GONE, 2);
	assert_int_equal(story_unlink(s, 0, "stays"), STATUS_OK);
	sim_run_for(s, NS_PER_SEC);
	expect_told(s, 2, GONE, 3);
	story_end(s);
}

static void test_a_move_is_half_told(void **state)
{
	struct sim *s = begin(3);
	struct message move = in_root(MESSAGE_RENAME, "from");
	struct opened from = story_make(s, 0, "from", OPEN_EXCL);
	struct opened to = story_make(s, 0, "to", OPEN_EXCL);

	look(s, 2, ROOT_INO, "from");
	look(s, 2, ROOT_INO, "to");
	expect_told(s, 1, APPEARED, 2);
	move.target = ROOT_INO;
	move.name2 = "to";
	assert_int_equal(story_status(s, 0, &move), STATUS_OK);
	sim_run_for(s, NS_PER_SEC);
	expect_told(s, 0, GONE, 0);
	expect_told(s, 1, GONE, 2);
	expect_told(s, 2, GONE, 2);
	expect_told(s, 1, APPEARED, 3);
	expect_told(s, 2, APPEARED, 0);
	assert_true(last_step(s, 2)->attr.ino == from.ino && last_step(s, 2)->attr.nlink == 1);
	assert_true(to.ino != from.ino);
	story_end(s);
}

/* The steps of a notice lead there by the directory's name of today. */
static void test_a_notice_leads_astray(void **state)
{
	struct sim *s = begin(3);
	uint64_t dir = make_dir(s, 0, ROOT_INO, "d"), inner = make_dir(s, 0, dir, "inner");
	struct message move = in_root(MESSAGE_RENAME, "d"),
		       rmdir = in_root(MESSAGE_UNLINK, "inner");
	struct node_step step = {.parent = ROOT_INO, .name = "d", .attr.ino = dir};

	step.attr.mode = S_IFDIR;
	look(s, 2, ROOT_INO, "d");
	look(s, 2, dir, "inner");
	assert_true(node_known_dir(s->nodes[2].node, dir, "inner") == inner);
	assert_false(node_dir_is_elsewhere(s->nodes[2].node, &step));
	move.target = ROOT_INO;
	move.name2 = "e";
	assert_int_equal(story_status(s, 0, &move), STATUS_OK);
	look(s, 2, ROOT_INO, "e");
	assert_true(node_dir_is_elsewhere(s->nodes[2].node, &step));
	rmdir.parent = dir;
	rmdir.flags = UNLINK_DIR;
	assert_int_equal(story_status(s, 0, &rmdir), STATUS_OK);
	sim_run_for(s, NS_PER_SEC);
	expect_told(s, 2, GONE, 2);
	assert_int_equal(s->nodes[2].notice->depth, 2);
	assert_string_equal(s->nodes[2].notice->steps[0].name, "e");
	assert_string_equal(last_step(s, 2)->name, "inner");
	assert_true(node_known_dir(s->nodes[2].node, dir, "inner") == 0);
	story_end(s);
}

/* A directory that appeared is known to nobody's program until it is looked up. */
static void test_a_directory_that_appeared_is_taken_for_known(void **state)
{
	struct sim *s = begin(2);
	uint64_t dir = make_dir(s, 0, ROOT_INO, "d");

	sim_run_for(s, NS_PER_SEC);
	expect_told(s, 1, APPEARED, 1);
	assert_true(node_known_dir(s->nodes[1].node, ROOT_INO, "d") == 0);
	look(s, 1, ROOT_INO, "d");
	assert_true(node_known_dir(s->nodes[1].node, ROOT_INO, "d") == dir);
	story_end(s);
}

/* While a program waits to make something in a directory, the kernel has it locked. */
static void test_a_directory_is_taken_for_free_while_a_program_waits_in_it(void **state)
{
	struct sim *s = begin(1);
	uint64_t dir = make_dir(s, 0, ROOT_INO, "d");
	struct message m = in_root(MESSAGE_MKDIR, "x");

	m.parent = dir;
	assert_false(node_may_lock(s->nodes[0].node, dir));
	request_submit(s, 0, &m, NULL);
	assert_true(node_may_lock(s->nodes[0].node, dir));
	assert_false(node_may_lock(s->nodes[0].node, ROOT_INO));
	sim_run_for(s, NS_PER_SEC);
	assert_false(node_may_lock(s->nodes[0].node, dir));
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_end_is_told_to_all_or_twice),
		cmocka_unit_test(test_expiry_is_not_told_to_the_maker),
		cmocka_unit_test(test_a_holders_death_is_not_told),
		cmocka_unit_test(test_a_removal_that_was_given_up_is_not_told),
		cmocka_unit_test(test_a_move_that_was_given_up_hides_an_end),
		cmocka_unit_test(test_a_restart_forgets_who_has_seen_what),
		cmocka_unit_test(test_what_ended_in_a_restart_is_not_told),
		cmocka_unit_test(test_a_watcher_misses_what_is_made_after_a_restart),
		cmocka_unit_test(test_a_lapsed_node_is_not_told_of_its_own_names),
		cmocka_unit_test(test_a_move_is_half_told),
		cmocka_unit_test(test_a_notice_leads_astray),
		cmocka_unit_test(test_a_directory_that_appeared_is_taken_for_known),
		cmocka_unit_test(test_a_directory_is_taken_for_free_while_a_program_waits_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
