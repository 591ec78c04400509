/* SPDX-License-Identifier: MIT */
/*
 * Stories of what is asked again after a master's restart: the first try may have been done, and
 * others may have seen it, and built on it.
 */
#include <stdlib.h>
#include <string.h>

#include "lockcore/node_internal.h"
#include "story.h"

#define HOP STORY_HOP_NS

/* The master dies at any point of the exchange that removes another node's file. */
static void removal_at(int64_t crash, int64_t second)
{
	struct sim *s = story_begin(3);
	struct opened f = story_make(s, 0, "t", 0), other = story_make(s, 2, "t", 0);
	struct message unlink = {.kind = MESSAGE_UNLINK, .parent = ROOT_INO, .name = "t"};
	struct request *r;

	story_write(s, &f, "one");
	story_write(s, &other, "two");
	story_close(s, &f);
	story_close(s, &other);
	sim_run_for(s, 500 * NS_PER_MS);
	assert_int_equal(story_lookup(s, 1, "t"), STATUS_OK);
	r = request_submit(s, 1, &unlink, NULL);
	sim_run_for(s, crash);
	story_restart(s);
	sim_run_for(s, second);
	story_restart(s);
	assert_int_equal(story_wait(s, r, 30 * NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(story_lookup(s, 0, "t"), STATUS_NO_ENTRY);
	sim_run_for(s, 2 * NS_PER_SEC);
	story_restart(s);
	assert_int_equal(story_lookup(s, 2, "t"), STATUS_NO_ENTRY);
	sim_run_for(s, 2 * NS_PER_SEC);
	for (size_t i = 0; i < 3; i++)
		assert_null(s->nodes[i].node->kept);
	story_end(s);
}

/* Who removed the last name has not heard of it when another's close ends the file. */
static void test_last_close_forgets_what_nobody_else_knows(void **state)
{
	struct sim *s = story_begin(2);
	struct opened mine = story_make(s, 1, "t", 0), theirs;
	struct message link = {
		.kind = MESSAGE_LINK, .ino = mine.ino, .parent = ROOT_INO, .name = "l"};
	struct message unlink = {.kind = MESSAGE_UNLINK, .parent = ROOT_INO, .name = "l"};
	struct request *r;

	assert_int_equal(story_status(s, 1, &link), STATUS_OK);
	story_close(s, &mine);
	theirs = story_make(s, 0, "t", 0);
	assert_int_equal(story_unlink(s, 0, "t"), STATUS_OK);
	sim_run_for(s, 100 * HOP);
	story_cut(s, 1, false, true);
	r = request_submit(s, 1, &unlink, NULL);
	sim_run_for(s, 10 * HOP);
	story_close(s, &theirs);
	sim_run_for(s, 100 * HOP);
	story_restart(s);
	story_cut(s, 1, false, false);
	assert_int_equal(story_wait(s, r, 15 * NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(story_lookup(s, 0, "t"), STATUS_NO_ENTRY);
	assert_int_equal(story_lookup(s, 0, "l"), STATUS_NO_ENTRY);
	story_end(s);
}

static void test_removed_stays_removed(void **state)
{
	for (int64_t crash = 0; crash < 60 * HOP; crash += crash < 6 * HOP ? HOP / 2 : 7 * HOP)
		for (int64_t second = HOP; second < 400 * HOP;
		     second += second < 12 * HOP ? HOP : 97 * HOP)
			removal_at(crash, second);
}

/* A file is made, and nobody hears of it but the other node, which removes it. */
static void made_and_removed_by(size_t maker, size_t remover)
{
	struct sim *s = story_begin(2);
	struct message create = {
		.kind = MESSAGE_CREATE, .parent = ROOT_INO, .name = "f", .mode = 0644};
	struct message unlink = {.kind = MESSAGE_UNLINK, .parent = ROOT_INO, .name = "f"};
	struct request *made, *removed;
	struct opened f;

	story_cut(s, maker, false, true);
	made = request_submit(s, maker, &create, NULL);
	sim_run_for(s, 10 * HOP);
	f = story_make(s, remover, "f", 0);
	story_cut(s, remover, true, false);
	removed = request_submit(s, remover, &unlink, NULL);
	sim_run_for(s, 10 * HOP);
	story_restart(s);
	story_cut(s, maker, false, false);
	story_cut(s, remover, false, false);
	assert_int_equal(story_wait(s, made, 15 * NS_PER_SEC)->status, STATUS_OK);
	assert_true(made->reply->attr.ino == f.ino);
	assert_int_equal(story_wait(s, removed, NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(story_lookup(s, maker, "f"), STATUS_NO_ENTRY);
	story_end(s);
}

static void test_effect_is_retried_before_its_cause(void **state)
{
	made_and_removed_by(0, 1);
	made_and_removed_by(1, 0);
}

static struct request *ask_range(struct sim *s, const struct opened *f, enum lock_mode mode,
				 int64_t start, int64_t end)
{
	struct message m = {.kind = MESSAGE_LOCK,
			    .ino = f->ino,
			    .handle = f->handle,
			    .owner = 1,
			    .lock_kind = LOCK_RANGE,
			    .lock_mode = mode,
			    .start = start,
			    .end = end};

	return request_submit(s, f->node, &m, NULL);
}

/* A downgrade that was sent is reclaimed as done, and then refused for the rest that it asks. */
static void test_refused_downgrade_leaves_two_holders(void **state)
{
	struct sim *s = story_begin(2);
	struct opened a = story_make(s, 0, "f", 0), b = story_make(s, 1, "f", 0);
	struct request *r, *theirs;

	assert_int_equal(story_wait(s, ask_range(s, &a, LOCK_EXCLUSIVE, 2, 3), HOP * 5)->status,
			 STATUS_OK);
	assert_int_equal(story_wait(s, ask_range(s, &b, LOCK_EXCLUSIVE, 4, 6), HOP * 5)->status,
			 STATUS_OK);
	story_cut(s, 0, true, false);
	r = ask_range(s, &a, LOCK_SHARED, 3, 5);
	sim_run_for(s, 10 * HOP);
	sim_crash_master(s, 0);
	theirs = ask_range(s, &b, LOCK_SHARED, 3, 3);
	story_cut(s, 0, false, false);
	sim_start_master(s, 0);
	story_wait(s, r, 15 * NS_PER_SEC);
	assert_int_equal(story_wait(s, theirs, 15 * NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(r->status, STATUS_LAPSED); /* and I1 has been looked at */
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 0);
	story_end(s);
}

/* A retried removal leaves alone what another made under the name meanwhile. */
static void test_retried_removal_spares_the_successor(void **state)
{
	struct sim *s = story_begin(2);
	struct message unlink = {.kind = MESSAGE_UNLINK, .parent = ROOT_INO, .name = "e"};
	struct request *r;
	struct opened e, next;

	e = story_make(s, 0, "e", OPEN_EXCL);
	history_release(s, 0, e.handle, false);
	story_cut(s, 0, false, true);
	r = request_submit(s, 0, &unlink, NULL);
	sim_run_for(s, 10 * HOP);
	story_close(s, &e);
	sim_run_for(s, 10 * HOP);
	next = story_make(s, 1, "e", OPEN_EXCL);
	story_restart(s);
	story_cut(s, 0, false, false);
	assert_int_equal(story_wait(s, r, 15 * NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(story_lookup(s, 0, "e"), STATUS_OK);
	story_write(s, &next, "mine");
	story_end(s);
}

/* The name goes to a file that is older than the one that was removed. */
static void test_retried_removal_spares_what_was_moved_there(void **state)
{
	struct sim *s = story_begin(2);
	struct message unlink = {.kind = MESSAGE_UNLINK, .parent = ROOT_INO, .name = "e"};
	struct message move = {.kind = MESSAGE_RENAME,
			       .parent = ROOT_INO,
			       .name = "old",
			       .target = ROOT_INO,
			       .name2 = "e"};
	struct message look = {.kind = MESSAGE_LOOKUP, .parent = ROOT_INO, .name = "e"};
	struct opened old = story_make(s, 1, "old", 0), e;
	struct request *r;

	e = story_make(s, 0, "e", 0);
	assert_true(old.ino < e.ino);
	story_cut(s, 0, false, true);
	r = request_submit(s, 0, &unlink, NULL);
	sim_run_for(s, 10 * HOP);
	assert_int_equal(story_status(s, 1, &move), STATUS_OK);
	story_restart(s);
	story_cut(s, 0, false, false);
	assert_int_equal(story_wait(s, r, 15 * NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(story_ask(s, 0, &look)->reply->attr.ino, old.ino);
	story_end(s);
}

/* "a" was moved to "b", and another has made "a" anew. */
static void test_retried_move_takes_the_successor_along(void **state)
{
	struct sim *s = story_begin(2);
	struct message move = {.kind = MESSAGE_RENAME,
			       .parent = ROOT_INO,
			       .name = "a",
			       .target = ROOT_INO,
			       .name2 = "b"};
	struct opened first = story_make(s, 0, "a", 0);
	struct message look = {.kind = MESSAGE_LOOKUP, .parent = ROOT_INO, .name = "b"};
	struct request *r;

	story_cut(s, 0, false, true);
	r = request_submit(s, 0, &move, NULL);
	sim_run_for(s, 10 * HOP);
	story_make(s, 1, "a", 0);
	story_restart(s);
	story_cut(s, 0, false, false);
	story_wait(s, r, 15 * NS_PER_SEC);
	assert_int_equal(story_lookup(s, 0, "a"), STATUS_OK);
	if (r->status == STATUS_OK)
		assert_int_equal(story_ask(s, 0, &look)->reply->attr.ino, first.ino);
	story_end(s);
}

/* A retried O_EXCL finds the name that its first try made, if anybody remembers it. */
static void test_retried_making_is_done_once(void **state)
{
	struct sim *s = story_begin(2);
	struct message excl = {
		.kind = MESSAGE_CREATE, .parent = ROOT_INO, .name = "e", .flags = OPEN_EXCL};
	struct request *r;
	struct opened other, mine;

	story_cut(s, 0, false, true);
	r = request_submit(s, 0, &excl, NULL);
	sim_run_for(s, 10 * HOP);
	other = story_make(s, 1, "e", 0);
	story_write(s, &other, "seen");
	story_restart(s);
	story_cut(s, 0, false, false);
	assert_int_equal(story_wait(s, r, 15 * NS_PER_SEC)->status, STATUS_OK);
	mine = (struct opened){0, r->reply->attr.ino, r->handle, 0};
	assert_true(mine.ino == other.ino);
	story_reads(s, &mine, "seen");
	story_restart(s);
	story_reads(s, &mine, "seen");
	story_end(s);
}

/* What a given-up write did, and another node saw, is there after a restart. */
static void test_given_up_write_is_not_undone(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f = story_make(s, 0, "f", 0), other = story_make(s, 1, "f", 0);
	struct message write = {.kind = MESSAGE_WRITE,
				.ino = f.ino,
				.handle = f.handle,
				.data = "seen",
				.data_len = 4};
	struct request *r;

	story_cut(s, 0, false, true);
	r = request_submit(s, 0, &write, NULL);
	sim_run_for(s, 10 * HOP);
	request_interrupt(s, r);
	story_reads(s, &other, "seen");
	assert_int_equal(story_wait(s, r, NODE_PATIENCE_NS + HOP)->status, STATUS_INTERRUPTED);
	story_restart(s);
	story_cut(s, 0, false, false);
	story_reads(s, &other, "seen");
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_close_forgets_what_nobody_else_knows),
		cmocka_unit_test(test_removed_stays_removed),
		cmocka_unit_test(test_effect_is_retried_before_its_cause),
		cmocka_unit_test(test_refused_downgrade_leaves_two_holders),
		cmocka_unit_test(test_retried_removal_spares_the_successor),
		cmocka_unit_test(test_retried_removal_spares_what_was_moved_there),
		cmocka_unit_test(test_retried_move_takes_the_successor_along),
		cmocka_unit_test(test_retried_making_is_done_once),
		cmocka_unit_test(test_given_up_write_is_not_undone),
	};

	cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
