/* SPDX-License-Identifier: MIT */
/*
 * Stories of acquisitions that are broken: who believes until when, and what it crosses with
 * (node.h, master_break.c).
 */
#include <stdlib.h>
#include <string.h>

#include "lockcore/master_internal.h"
#include "lockcore/node_internal.h"
#include "lockcore/table_internal.h"
#include "story.h"

#define HOP STORY_HOP_NS

static struct request *ask_break(struct sim *s, size_t node, uint64_t token)
{
	struct message m = {.kind = MESSAGE_BREAK, .token = token};

	return request_submit(s, node, &m, NULL);
}

static enum status do_break(struct sim *s, size_t node, uint64_t token)
{
	return story_wait(s, ask_break(s, node, token), 60 * NS_PER_SEC)->status;
}

static enum status try_lock(struct sim *s, const struct opened *f)
{
	return story_wait(s, story_flock(s, f, LOCK_EXCLUSIVE, false), NS_PER_SEC)->status;
}

static struct message range_message(const struct opened *f, uint64_t owner, enum lock_mode mode,
				    int64_t start, int64_t end)
{
	return (struct message){
		.kind = MESSAGE_LOCK,
		.ino = f->ino,
		.handle = f->handle,
		.owner = owner,
		.lock_kind = LOCK_RANGE,
		.lock_mode = mode,
		.start = start,
		.end = end,
	};
}

static uint64_t lock_range(struct sim *s, const struct opened *f, uint64_t owner, int64_t start,
			   int64_t end)
{
	struct message m = range_message(f, owner, LOCK_EXCLUSIVE, start, end);
	struct request *r = story_ask(s, f->node, &m);

	assert_int_equal(r->status, STATUS_OK);
	return r->reply->token;
}

static enum status try_range(struct sim *s, const struct opened *f, int64_t start, int64_t end)
{
	struct message m = range_message(f, 99, LOCK_EXCLUSIVE, start, end);

	return story_status(s, f->node, &m);
}

/* Nodes 0 and 1 have f open, and node 0 has locked it. */
static uint64_t hold(struct sim *s, struct opened *f)
{
	f[0] = story_make(s, 0, "f", 0);
	f[1] = story_make(s, 1, "f", 0);
	return story_lock(s, &f[0]);
}

/* ---- What it does ---- */

static void test_break_returns_before_the_next_has_the_lock(void **state)
{
	struct sim *s = story_begin(3);
	struct opened f[2];
	uint64_t token = hold(s, f);
	struct request *next = story_flock(s, &f[1], LOCK_EXCLUSIVE, true), *r;

	sim_run_for(s, 10 * HOP);
	r = ask_break(s, 2, token);
	story_wait(s, r, NS_PER_SEC);
	assert_int_equal(r->status, STATUS_OK);
	assert_true(next->answered && next->status == STATUS_OK);
	assert_true(next->reply->token > token);
	story_end(s);
}

/* Read, write and lock: EIO; fstat and close work, and a new open is as good as any. */
static void test_broken_holder_goes_on(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f[2], again;
	uint64_t token = hold(s, f);
	struct message stat = {.kind = MESSAGE_GETATTR, .ino = f[0].ino, .handle = 0};
	struct message read = {
		.kind = MESSAGE_READ, .ino = f[0].ino, .handle = f[0].handle, .length = 9};

	again = story_make(s, 0, "f", 0);
	assert_int_equal(do_break(s, 1, token), STATUS_OK);
	assert_int_equal(story_write(s, &f[0], "x"), STATUS_LAPSED);
	assert_int_equal(story_status(s, 0, &read), STATUS_LAPSED);
	assert_int_equal(try_lock(s, &f[0]), STATUS_LAPSED);
	assert_true(node_handle_lapsed(s->nodes[0].node, f[0].handle, machine_now(s, 0)));
	assert_int_equal(story_status(s, 0, &stat), STATUS_OK);
	assert_int_equal(story_write(s, &again, "x"), STATUS_OK);
	story_close(s, &f[0]);
	assert_int_equal(try_lock(s, &again), STATUS_OK);
	story_end(s);
}

static void test_break_of_what_is_nothing(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f[2];
	uint64_t token = hold(s, f);
	struct message by_user = {.kind = MESSAGE_BREAK, .token = token, .uid = 1000};

	assert_int_equal(do_break(s, 1, token + 1), STATUS_NO_ENTRY);
	assert_int_equal(do_break(s, 1, 0), STATUS_INVALID);
	assert_int_equal(story_status(s, 0, &by_user), STATUS_NOT_PERMITTED);
	assert_int_equal(try_lock(s, &f[1]), STATUS_BUSY);
	story_unlock(s, &f[0]);
	sim_run_for(s, 10 * HOP);
	assert_int_equal(do_break(s, 1, token), STATUS_NO_ENTRY);
	story_end(s);
}

/* All ranges of the owner, through whatever descriptor; those of another process stay. */
static void test_broken_owner_keeps_a_range(void **state)
{
	struct sim *s = story_begin(2);
	struct opened a = story_make(s, 0, "f", 0), b = story_make(s, 0, "f", 0);
	struct opened c = story_make(s, 0, "f", 0), other = story_make(s, 1, "f", 0);
	uint64_t token = lock_range(s, &a, 7, 0, 9);

	lock_range(s, &b, 7, 20, 29);
	lock_range(s, &c, 8, 40, 49);
	assert_int_equal(do_break(s, 1, token), STATUS_OK);
	assert_int_equal(try_range(s, &other, 0, 39), STATUS_OK);
	assert_int_equal(try_range(s, &other, 45, 45), STATUS_BUSY);
	assert_int_equal(story_write(s, &a, "x"), STATUS_LAPSED);
	assert_int_equal(story_write(s, &b, "x"), STATUS_LAPSED);
	assert_int_equal(story_write(s, &c, "x"), STATUS_OK);
	story_end(s);
}

static void test_broken_name_stays(void **state)
{
	struct sim *s = story_begin(2);
	struct opened e = story_make(s, 0, "e", OPEN_EXCL), reader = story_make(s, 0, "e", 0);

	assert_int_equal(do_break(s, 1, e.token), STATUS_OK);
	assert_int_equal(story_lookup(s, 1, "e"), STATUS_NO_ENTRY);
	assert_int_equal(story_write(s, &e, "x"), STATUS_LAPSED);
	assert_int_equal(story_write(s, &reader, "x"), STATUS_LAPSED);
	story_make(s, 1, "e", OPEN_EXCL);
	story_end(s);
}

/* What is in it stays, and it as long as that. */
static void test_broken_directory_takes_its_content_along(void **state)
{
	struct sim *s = story_begin(2);
	struct message make = {
		.kind = MESSAGE_MKDIR, .parent = ROOT_INO, .name = "d", .mode = 0777};
	struct request *dir = story_ask(s, 0, &make);
	struct message in = {.kind = MESSAGE_CREATE,
			     .parent = dir->reply->attr.ino,
			     .name = "in",
			     .flags = OPEN_EXCL};
	struct message out = {.kind = MESSAGE_UNLINK, .parent = dir->reply->attr.ino, .name = "in"};
	uint64_t token = dir->reply->links[0].token, handle = story_ask(s, 1, &in)->handle;

	assert_int_equal(do_break(s, 1, token), STATUS_OK);
	assert_int_equal(story_lookup(s, 1, "d"), STATUS_OK);
	assert_int_equal(do_break(s, 1, token), STATUS_NO_ENTRY);
	story_restart(s); /* nor does its maker hold it at the next master */
	story_grace_over(s);
	assert_int_equal(do_break(s, 1, token), STATUS_NO_ENTRY);
	assert_int_equal(story_status(s, 1, &out), STATUS_OK);
	node_close(s->nodes[1].node, handle, machine_now(s, 1));
	sim_run_for(s, NS_PER_SEC);
	assert_int_equal(story_lookup(s, 1, "d"), STATUS_NO_ENTRY);
	story_end(s);
}

/* ---- The time that the holder has ---- */

static void test_next_has_the_lock_while_holders_are_stopped(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f[2];
	uint64_t token = hold(s, f);
	struct request *next = story_flock(s, &f[1], LOCK_EXCLUSIVE, true), *r;

	s->holders_stay = true;
	r = ask_break(s, 1, token);
	sim_run_for(s, STORY_LEASE_NS / NODE_REVOKE_SHARE - 10 * HOP);
	assert_false(r->answered || next->answered);
	assert_int_equal(story_write(s, &f[0], "x"), STATUS_LAPSED);
	sim_run_for(s, 20 * HOP);
	assert_true(r->answered && next->answered);
	story_end(s);
}

static void test_closed_descriptor_is_waited_for(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f[2];
	uint64_t token = hold(s, f);
	struct request *r;

	s->holders_stay = true;
	r = ask_break(s, 1, token);
	sim_run_for(s, 10 * HOP);
	story_close(s, &f[0]);
	assert_int_equal(story_wait(s, r, 10 * HOP)->status, STATUS_OK);
	assert_int_equal(try_lock(s, &f[1]), STATUS_OK);
	story_end(s);
}

/* The master must not take its word for the node's: that one hears nothing. */
static void test_deaf_holder_still_believes(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f[2];
	uint64_t token = hold(s, f);
	struct request *r;

	story_cut(s, 0, false, true);
	r = ask_break(s, 1, token);
	sim_run_for(s, STORY_LEASE_NS - NS_PER_SEC);
	assert_true(node_is_open(s->nodes[0].node));
	assert_false(r->answered);
	assert_int_equal(try_lock(s, &f[1]), STATUS_BUSY);
	story_wait(s, r, 20 * NS_PER_SEC); /* longer than timeo */
	assert_int_equal(r->status, STATUS_OK);
	assert_false(node_is_open(s->nodes[0].node));
	assert_int_equal(try_lock(s, &f[1]), STATUS_OK);
	story_end(s);
}

static void test_stopped_holder_blocks_break_for_ever(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f[2];
	uint64_t token = hold(s, f);
	int64_t begun;

	machine_pause(s, machine_of_node(0));
	begun = s->now;
	assert_int_equal(do_break(s, 1, token), STATUS_OK);
	assert_true(s->now - begun <= master_wait_ns(STORY_LEASE_NS) + NS_PER_SEC);
	assert_int_equal(try_lock(s, &f[1]), STATUS_OK);
	machine_resume(s, machine_of_node(0));
	sim_run_for(s, NS_PER_SEC);
	assert_int_equal(story_write(s, &f[0], "x"), STATUS_LAPSED);
	story_end(s);
}

/* ---- What it crosses ---- */

static void test_two_breaks_of_one_token(void **state)
{
	struct sim *s = story_begin(3);
	struct opened f[2];
	uint64_t token = hold(s, f);
	struct request *a = ask_break(s, 1, token), *b = ask_break(s, 2, token), *c;

	c = ask_break(s, 0, token); /* the holder's node, too */
	assert_int_equal(story_wait(s, a, NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(story_wait(s, b, NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(story_wait(s, c, NS_PER_SEC)->status, STATUS_OK);
	story_end(s);
}

/* The holder gives the lock back and takes it anew: that is another acquisition. */
static void test_break_takes_a_later_lock(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f[2];
	uint64_t token = hold(s, f);
	struct request *r;

	story_cut(s, 0, false, true);
	r = ask_break(s, 1, token);
	sim_run_for(s, 10 * HOP);
	story_unlock(s, &f[0]);
	story_flock(s, &f[0], LOCK_EXCLUSIVE, true);
	sim_run_for(s, 10 * HOP);
	story_cut(s, 0, false, false);
	assert_int_equal(story_wait(s, r, 5 * NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(try_lock(s, &f[1]), STATUS_BUSY);
	assert_int_equal(story_write(s, &f[0], "x"), STATUS_OK);
	story_end(s);
}

/*
 * A shared lock is broken while its holder asks for more: the grant of that comes when the descriptor
 * is lost already. Whoever breaks that one too waits until the holder has stopped.
 */
static void test_late_grant_is_taken_before_its_holder_stops(void **state)
{
	struct sim *s = story_begin(2);
	struct opened a = story_make(s, 0, "f", 0), b = story_make(s, 1, "f", 0);
	struct message shared = range_message(&a, 7, LOCK_SHARED, 0, 9);
	struct message more = range_message(&a, 7, LOCK_EXCLUSIVE, 0, 19);
	uint64_t token = story_ask(s, 0, &shared)->reply->token;
	struct table_acquired acquired;
	struct request *r[2];

	s->holders_stay = true;
	r[0] = ask_break(s, 1, token);
	request_submit(s, 0, &more, NULL);
	sim_run_for(s, 10 * HOP);
	token = s->masters[0].master->table->epoch_base + s->masters[0].master->table->tokens;
	assert_true(table_find_token(master_table(s->masters[0].master), token, &acquired));
	r[1] = ask_break(s, 1, token);
	sim_run_for(s, STORY_LEASE_NS / NODE_REVOKE_SHARE - 50 * HOP);
	assert_false(r[1]->answered);
	assert_int_equal(try_range(s, &b, 0, 0), STATUS_BUSY);
	assert_int_equal(story_wait(s, r[1], NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(try_range(s, &b, 0, 19), STATUS_OK);
	story_end(s);
}

/* A grant that was given up, and of which the node knows nothing. */
static void test_unknown_grant_is_never_broken(void **state)
{
	struct sim *s = story_begin(2);
	struct opened a = story_make(s, 0, "f", 0), b = story_make(s, 1, "f", 0);
	struct table *t = master_table(s->masters[0].master);
	struct table_want want = {
		.client = sim_instance(s, 0),
		.req = 1000,
		.ino = a.ino,
		.handle = a.handle,
		.mode = LOCK_EXCLUSIVE,
		.end = RANGE_END,
	};
	struct table_got got;

	assert_int_equal(table_lock(t, &want, &got), STATUS_OK);
	assert_int_equal(do_break(s, 1, got.token), STATUS_OK);
	assert_int_equal(try_lock(s, &b), STATUS_OK);
	assert_int_equal(story_write(s, &a, "x"), STATUS_OK);
	story_end(s);
}

/* The one who asks hears nothing any more: it is done all the same, and he may ask again. */
static void test_break_is_given_up_half_done(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f[2];
	uint64_t token = hold(s, f);
	struct request *r;

	s->holders_stay = true;
	r = ask_break(s, 1, token);
	sim_run_for(s, 10 * HOP);
	request_interrupt(s, r);
	assert_int_equal(story_wait(s, r, NS_PER_SEC)->status, STATUS_INTERRUPTED);
	assert_int_equal(do_break(s, 1, token), STATUS_OK);
	assert_int_equal(try_lock(s, &f[1]), STATUS_OK);
	story_end(s);
}

/* ---- Masters that end ---- */

/* Nobody has let go of anything: the next master has the lock, and is asked again. */
static void test_restart_forgets_a_break(void **state)
{
	struct sim *s = story_begin(3);
	struct opened f[2];
	uint64_t token = hold(s, f);
	struct request *next = story_flock(s, &f[1], LOCK_EXCLUSIVE, true), *r;

	s->holders_stay = true;
	r = ask_break(s, 2, token);
	sim_run_for(s, 10 * HOP);
	story_restart(s);
	story_grace_over(s);
	sim_run_for(s, 10 * HOP);
	assert_false(r->answered || next->answered);
	assert_int_equal(story_wait(s, r, 5 * NS_PER_SEC)->status, STATUS_OK);
	assert_true(next->answered && next->status == STATUS_OK);
	story_end(s);
}

/* The master dies before it hears that the node has let go: nothing comes back. */
static void test_restart_brings_back_what_was_let_go(void **state)
{
	struct sim *s = story_begin(3);
	struct opened f[2], e;
	uint64_t token = hold(s, f);
	struct request *r[2];

	e = story_make(s, 0, "e", OPEN_EXCL);
	story_cut(s, 0, true, false);
	r[0] = ask_break(s, 2, token);
	r[1] = ask_break(s, 2, e.token);
	sim_run_for(s, 10 * HOP);
	assert_false(node_is_revoking(s->nodes[0].node, token));
	assert_false(r[0]->answered || r[1]->answered);
	story_restart(s);
	story_cut(s, 0, false, false);
	assert_int_equal(story_wait(s, r[0], 20 * NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(story_wait(s, r[1], NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(story_lookup(s, 1, "e"), STATUS_NO_ENTRY);
	assert_int_equal(try_lock(s, &f[1]), STATUS_OK);
	story_end(s);
}

/* Nobody asks the next master; the node goes on with what it has begun. */
static void test_restart_leaves_a_lost_descriptor_locked(void **state)
{
	struct sim *s = story_begin(3);
	struct opened f[2];
	uint64_t token = hold(s, f);

	s->holders_stay = true;
	ask_break(s, 2, token);
	sim_run_for(s, 10 * HOP);
	sim_crash_node(s, 2);
	story_restart(s);
	sim_run_for(s, 30 * NS_PER_SEC);
	assert_int_equal(try_lock(s, &f[1]), STATUS_OK);
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_break_returns_before_the_next_has_the_lock),
		cmocka_unit_test(test_broken_holder_goes_on),
		cmocka_unit_test(test_break_of_what_is_nothing),
		cmocka_unit_test(test_broken_owner_keeps_a_range),
		cmocka_unit_test(test_broken_name_stays),
		cmocka_unit_test(test_broken_directory_takes_its_content_along),
		cmocka_unit_test(test_next_has_the_lock_while_holders_are_stopped),
		cmocka_unit_test(test_closed_descriptor_is_waited_for),
		cmocka_unit_test(test_deaf_holder_still_believes),
		cmocka_unit_test(test_stopped_holder_blocks_break_for_ever),
		cmocka_unit_test(test_two_breaks_of_one_token),
		cmocka_unit_test(test_break_takes_a_later_lock),
		cmocka_unit_test(test_late_grant_is_taken_before_its_holder_stops),
		cmocka_unit_test(test_unknown_grant_is_never_broken),
		cmocka_unit_test(test_break_is_given_up_half_done),
		cmocka_unit_test(test_restart_forgets_a_break),
		cmocka_unit_test(test_restart_brings_back_what_was_let_go),
		cmocka_unit_test(test_restart_leaves_a_lost_descriptor_locked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
