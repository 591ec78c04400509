/* SPDX-License-Identifier: MIT */
/*
 * Signals, while no master answers: every call ends soon, whatever it was, and what becomes of it at
 * the master is known to the node all the same (contract 5.3, 6.3).
 */
#include <stdlib.h>
#include <string.h>

#include "story.h"

#define HOP STORY_HOP_NS

/* One request of each kind, on a file that is open and a directory that has names. */
static const struct message every_kind[] = {
	{.kind = MESSAGE_LOOKUP, .parent = ROOT_INO, .name = "f"},
	{.kind = MESSAGE_GETATTR},
	{.kind = MESSAGE_SETATTR, .set = SET_MODE, .attr = {.mode = 0600}},
	{.kind = MESSAGE_CREATE, .parent = ROOT_INO, .name = "excl", .flags = OPEN_EXCL},
	{.kind = MESSAGE_CREATE, .parent = ROOT_INO, .name = "f"},
	{.kind = MESSAGE_OPEN},
	{.kind = MESSAGE_OPEN, .flags = OPEN_TRUNC},
	{.kind = MESSAGE_READ, .length = 1},
	{.kind = MESSAGE_WRITE, .data = "x", .data_len = 1},
	{.kind = MESSAGE_UNLINK, .parent = ROOT_INO, .name = "gone"},
	{.kind = MESSAGE_MKDIR, .parent = ROOT_INO, .name = "dir"},
	{.kind = MESSAGE_SYMLINK, .parent = ROOT_INO, .name = "sym", .data = "x", .data_len = 1},
	{.kind = MESSAGE_LINK, .parent = ROOT_INO, .name = "link"},
	{.kind = MESSAGE_RENAME,
	 .parent = ROOT_INO,
	 .name = "from",
	 .target = ROOT_INO,
	 .name2 = "to"},
	{.kind = MESSAGE_READDIR, .ino = ROOT_INO},
	{.kind = MESSAGE_STATFS},
	{.kind = MESSAGE_GETINFO},
	{.kind = MESSAGE_LOCK, .lock_mode = LOCK_EXCLUSIVE, .end = RANGE_END, .flags = LOCK_WAIT},
	{.kind = MESSAGE_LOCK, .lock_kind = LOCK_RANGE, .lock_mode = LOCK_SHARED, .end = 9},
	{.kind = MESSAGE_LOCK, .lock_kind = LOCK_RANGE, .lock_mode = LOCK_NONE, .end = 9},
	{.kind = MESSAGE_TESTLOCK, .lock_kind = LOCK_RANGE, .lock_mode = LOCK_SHARED, .end = 9},
};

#define KINDS (sizeof(every_kind) / sizeof(*every_kind))

/* The master is dead, or nothing of what is said, or of what it answers, arrives. */
enum silence { DEAD, DEAF, MUTE, SILENCES };

static void fall_silent(struct sim *s, enum silence how)
{
	if (how == DEAD)
		sim_crash_master(s, 0);
	else
		story_cut(s, 0, how == DEAF, how == MUTE);
}

static void interrupt_all(enum silence how)
{
	struct sim *s = story_begin(1);
	struct opened f = story_make(s, 0, "f", 0);
	struct request *r[KINDS];

	story_make(s, 0, "gone", 0);
	story_make(s, 0, "from", 0);
	fall_silent(s, how);
	sim_run_for(s, 10 * HOP);
	for (size_t i = 0; i < KINDS; i++) {
		struct message m = every_kind[i];

		m.ino = m.ino ? m.ino : f.ino;
		m.handle = m.kind == MESSAGE_LOCK || m.kind == MESSAGE_WRITE ? f.handle : 0;
		r[i] = request_submit(s, 0, &m, NULL);
	}
	sim_run_for(s, 10 * HOP);
	for (size_t i = 0; i < KINDS; i++)
		request_interrupt(s, r[i]);
	sim_run_for(s, NODE_PATIENCE_NS + HOP);
	for (size_t i = 0; i < KINDS; i++) {
		if (!r[i]->answered || r[i]->status != STATUS_INTERRUPTED)
			fail_msg("%s (%zu), silence %d", message_kind_name(every_kind[i].kind), i,
				 (int)how);
	}
	story_end(s);
}

static void test_a_call_is_deaf_to_a_signal(void **state)
{
	for (int how = 0; how < SILENCES; how++)
		interrupt_all((enum silence)how);
}

/* ---- Moves ---- */

static struct message move(const char *from, const char *to)
{
	return (struct message){.kind = MESSAGE_RENAME,
				.parent = ROOT_INO,
				.name = from,
				.target = ROOT_INO,
				.name2 = to};
}

static uint64_t ino_of(struct sim *s, size_t node, const char *name)
{
	struct message look = {.kind = MESSAGE_LOOKUP, .parent = ROOT_INO, .name = name};
	struct request *r = story_ask(s, node, &look);

	return r->status == STATUS_OK ? r->reply->attr.ino : 0;
}

/* The mover is told EINTR, and the move was done: nobody's memory takes it back. */
static void test_an_interrupted_move_is_undone_by_a_restart(void **state)
{
	struct sim *s = story_begin(2);
	struct opened from = story_make(s, 0, "from", 0), to = story_make(s, 0, "to", 0);
	struct message m = move("from", "to");
	struct request *r;

	story_write(s, &from, "new");
	story_write(s, &to, "old");
	story_close(s, &to);
	story_cut(s, 0, false, true);
	r = request_submit(s, 0, &m, NULL);
	sim_run_for(s, 10 * HOP);
	request_interrupt(s, r);
	assert_int_equal(story_wait(s, r, NODE_PATIENCE_NS + HOP)->status, STATUS_INTERRUPTED);
	assert_true(ino_of(s, 1, "to") == from.ino);
	story_restart(s);
	story_cut(s, 0, false, false);
	story_grace_over(s);
	for (int restarts = 0; restarts < 2; restarts++) {
		assert_true(ino_of(s, 1, "to") == from.ino && ino_of(s, 1, "from") == 0);
		story_reads(s, &from, "new");
		story_restart(s);
		story_grace_over(s);
	}
	story_end(s);
}

/* Whatever he is told, everybody agrees on where the file is, over a restart too. */
static void interrupt_a_move_at(int64_t after, int64_t crash)
{
	struct sim *s = story_begin(2);
	struct opened from = story_make(s, 0, "from", 0), to = story_make(s, 1, "to", 0);
	struct message m = move("from", "to");
	struct request *r;
	bool moved;

	story_cut(s, 0, false, true);
	r = request_submit(s, 0, &m, NULL);
	sim_run_for(s, after);
	request_interrupt(s, r);
	sim_run_for(s, crash);
	story_restart(s);
	story_cut(s, 0, false, false);
	story_grace_over(s);
	story_wait(s, r, 15 * NS_PER_SEC);
	sim_run_for(s, NS_PER_SEC);
	moved = ino_of(s, 0, "from") == 0;
	assert_true(moved || r->status == STATUS_INTERRUPTED);
	assert_true(ino_of(s, 1, "from") == (moved ? 0 : from.ino));
	for (size_t node = 0; node < 2; node++)
		assert_true(ino_of(s, node, "to") == (moved ? from.ino : to.ino));
	story_end(s);
}

static void test_an_interrupted_move_leaves_two_truths(void **state)
{
	for (int64_t after = 0; after < 4 * HOP; after += HOP / 2)
		for (int64_t crash = 0; crash < 2 * NODE_PATIENCE_NS; crash += 60 * HOP)
			interrupt_a_move_at(after, crash);
}

/* ---- Who would share what he has exclusively ---- */

static struct message range(const struct opened *f, enum lock_mode mode)
{
	return (struct message){.kind = MESSAGE_LOCK,
				.ino = f->ino,
				.handle = f->handle,
				.owner = f->node + 1,
				.lock_kind = LOCK_RANGE,
				.lock_mode = mode,
				.end = 9};
}

/*
 * Nobody knows whether he has: others may share it with him by now, so he must not go on as if he
 * were alone. It costs him his ranges, and nobody else of the node anything.
 */
static void interrupt_sharing(bool executed, uint32_t flags)
{
	struct sim *s = story_begin(2);
	struct opened f = story_make(s, 0, "f", 0), other = story_make(s, 0, "other", 0),
		      g = story_make(s, 1, "f", 0);
	struct message have = range(&f, LOCK_EXCLUSIVE), share = range(&f, LOCK_SHARED),
		       want = range(&g, LOCK_EXCLUSIVE),
		       read = {.kind = MESSAGE_READ, .ino = f.ino, .handle = f.handle},
		       stat = {.kind = MESSAGE_GETATTR, .ino = f.ino};
	struct request *r;

	story_lock(s, &other);
	story_lock(s, &f);
	assert_int_equal(story_status(s, 0, &have), STATUS_OK);
	story_cut(s, 0, !executed, executed);
	share.flags = flags;
	r = request_submit(s, 0, &share, NULL);
	sim_run_for(s, 10 * HOP);
	request_interrupt(s, r);
	assert_int_equal(story_wait(s, r, NODE_PATIENCE_NS + HOP)->status, STATUS_LAPSED);
	story_cut(s, 0, false, false);
	sim_run_for(s, 3 * NS_PER_SEC);
	assert_int_equal(story_status(s, 0, &stat), STATUS_OK);
	assert_int_equal(story_status(s, 1, &want), STATUS_OK);
	assert_int_equal(story_status(s, 0, &read), STATUS_OK);
	assert_int_equal(
		story_wait(s, story_flock(s, &g, LOCK_EXCLUSIVE, false), NS_PER_SEC)->status,
		STATUS_BUSY);
	assert_int_equal(story_write(s, &other, "mine"), STATUS_OK);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 0);
	story_close(s, &f);
	story_restart(s);
	story_grace_over(s);
	assert_int_equal(story_write(s, &other, "still"), STATUS_OK);
	story_end(s);
}

static void test_a_signal_costs_a_node_all_its_locks(void **state)
{
	for (int i = 0; i < 4; i++)
		interrupt_sharing(i & 1, i & 2 ? LOCK_WAIT : 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_call_is_deaf_to_a_signal),
		cmocka_unit_test(test_an_interrupted_move_is_undone_by_a_restart),
		cmocka_unit_test(test_an_interrupted_move_leaves_two_truths),
		cmocka_unit_test(test_a_signal_costs_a_node_all_its_locks),
	};

	cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
