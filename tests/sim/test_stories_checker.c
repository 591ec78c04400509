/* SPDX-License-Identifier: MIT */
/* Stories in which all is well, and the simulator's own checkers complained once. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "story.h"

#define HOP STORY_HOP_NS

static struct request *move(struct sim *s, size_t node, const char *from, const char *to)
{
	struct message m = {.kind = MESSAGE_RENAME,
			    .parent = ROOT_INO,
			    .name = from,
			    .target = ROOT_INO,
			    .name2 = to};

	return request_submit(s, node, &m, NULL);
}

static void moved(struct sim *s, size_t node, const char *from, const char *to)
{
	assert_int_equal(story_wait(s, move(s, node, from, to), 10 * HOP)->status, STATUS_OK);
}

/*
 * The first move to b crosses a removal of b, so that what became of it is told by nobody. The
 * second is another life of the same file under the same name, which the end of the first mover's
 * session does not end.
 */
static void test_what_was_moved_away_and_back_is_taken_for_gone(void **state)
{
	struct sim *s = story_begin(3);
	struct message unlink = {.kind = MESSAGE_UNLINK, .parent = ROOT_INO, .name = "b"};
	struct message list = {.kind = MESSAGE_READDIR, .ino = ROOT_INO};
	struct request *away, *removal;

	story_make(s, 0, "b", 0);
	story_make(s, 1, "a", 0);
	removal = request_submit(s, 0, &unlink, NULL);
	away = move(s, 1, "a", "b");
	assert_int_equal(story_wait(s, removal, 10 * HOP)->status, STATUS_OK);
	assert_int_equal(story_wait(s, away, 10 * HOP)->status, STATUS_OK);
	sim_run_for(s, HOP);
	moved(s, 0, "b", "a");
	sim_run_for(s, HOP);
	moved(s, 2, "a", "b");
	sim_run_for(s, HOP);
	assert_int_equal(story_lookup(s, 2, "b"), STATUS_OK);
	sim_crash_node(s, 1);
	sim_run_for(s, STORY_LEASE_NS + NS_PER_SEC);
	assert_int_equal(story_ask(s, 0, &list)->reply->entry_count, 1); /* and I11 is looked at */
	story_end(s);
}

/* The first signal asks the master; at the second it cannot be reached any more (rule 13). */
static void test_a_second_signal_without_a_master_owes_its_word(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f = story_make(s, 0, "f", 0), g = story_make(s, 1, "f", 0);
	struct request *wait;

	story_lock(s, &f);
	wait = story_flock(s, &g, LOCK_EXCLUSIVE, true);
	sim_run_for(s, 10 * HOP);
	story_cut(s, 1, true, true);
	request_interrupt(s, wait);
	sim_run_for(s, HOP);
	net_disconnect(s, 1, 0);
	sim_run_for(s, HOP);
	request_interrupt(s, wait);
	assert_int_equal(story_wait(s, wait, HOP)->status, STATUS_INTERRUPTED);
	story_end(s);
}

static bool has_opened(struct sim *s, void *count)
{
	return s->masters[0].told[MASTER_EVENT_OPENED] == *(unsigned *)count;
}

/* Two nodes; the first HELLO of node 0 arrives so late, its second in time. */
static struct sim *say_hello_twice(int64_t late)
{
	struct sim *s = story_begin_with((struct sim_config){.nodes = 0, .seed = 1});
	struct net_link *slow = &s->links[0][0];
	unsigned both = 2;

	s->config.nodes = 2;
	slow->slow_ns[0] = late;
	for (size_t i = 0; i < 2; i++)
		sim_start_node(s, i);
	sim_run_for(s, 10 * HOP);
	slow->slow_ns[0] = slow->order_ns[0] = 0;
	assert_true(sim_run_until(s, has_opened, &both, NS_PER_SEC));
	sim_run_for(s, 10 * HOP);
	return s;
}

/*
 * A node is paused, and its session has ended, when a HELLO of it arrives late: the master registers
 * it once more, in vain, as the node does not believe in it. It holds nothing of what it held.
 */
static void test_a_late_hello_holds_what_was_freed(void **state)
{
	struct sim *s = say_hello_twice(2 * STORY_LEASE_NS);
	struct opened f = story_make(s, 0, "f", 0), g = story_make(s, 1, "f", 0);
	unsigned again = 3;

	story_lock(s, &f);
	machine_pause(s, machine_of_node(0));
	assert_true(sim_run_until(s, has_opened, &again, 3 * STORY_LEASE_NS));
	assert_int_equal(s->masters[0].told[MASTER_EVENT_EXPIRED], 1);
	assert_true(engine_knows(s, s->nodes[0].id, node_instance(s->nodes[0].node)));
	story_lock(s, &g);
	machine_resume(s, machine_of_node(0));
	sim_run_for(s, 2 * STORY_LEASE_NS);
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 1);
	assert_true(node_is_open(s->nodes[0].node));
	story_end(s);
}

static struct request *write_begins(struct sim *s, const struct opened *f, const char *text)
{
	struct message m = {.kind = MESSAGE_WRITE,
			    .ino = f->ino,
			    .handle = f->handle,
			    .data = text,
			    .data_len = strlen(text)};

	return request_submit(s, f->node, &m, NULL);
}

/* Node 2 wrote first. What node 0 writes node 1 reads, before node 0 hears that it was done. */
struct unheard {
	struct sim *s;
	struct opened f[3];
	struct request *write;
};

static void write_unheard(struct unheard *u)
{
	struct sim *s = story_begin_with(
		(struct sim_config){.nodes = 4, .timeo_ns = STORY_TIMEO_NS, .seed = 1});

	u->s = s;
	for (size_t i = 0; i < 3; i++)
		u->f[i] = story_make(s, i, "f", 0);
	story_write(s, &u->f[2], "old");
	sim_run_for(s, HOP);
	story_cut(s, 0, false, true);
	u->write = write_begins(s, &u->f[0], "new");
	sim_run_for(s, 10 * HOP);
	story_reads(s, &u->f[1], "new");
}

/* By a session that dies in grace, but has still most of a lease: grace goes on beyond those of the
 * others. */
static void grace_is_long(struct sim *s)
{
	story_cut(s, 3, true, true);
	story_restart(s);
	sim_run_for(s, STORY_LEASE_NS * 6 / 10);
	story_cut(s, 3, false, true);
	sim_run_for(s, NS_PER_SEC);
	sim_crash_node(s, 3);
}

/*
 * The master is restarted. Node 0 is to do the write once more, and its program is told that no master
 * answers; but it dies in grace, and so does who has read it. Nobody is left who knows.
 */
static void test_what_nobody_knows_any_more_is_missed(void **state)
{
	struct unheard u;

	write_unheard(&u);
	sim_crash_node(u.s, 1);
	story_cut(u.s, 0, false, false);
	grace_is_long(u.s);
	assert_int_equal(u.write->status, STATUS_NO_MASTER);
	assert_int_equal(sim_epoch(u.s, 0), 2);
	sim_crash_node(u.s, 0);
	story_grace_over(u.s);
	story_reads(u.s, &u.f[2], "old");
	story_end(u.s);
}

/* As it would be in a read's answer. */
static void old_is_read(struct unheard *u)
{
	struct message m = {.kind = MESSAGE_READ, .ino = u->f[2].ino, .length = 99};
	struct message reply = {.kind = MESSAGE_REPLY, .data = "old", .data_len = 3};
	struct request *r;

	sim_run_for(u->s, HOP);
	r = request_submit(u->s, 2, &m, NULL);
	request_answered(u->s, 2,
			 &(struct node_answer){.cookie = r, .kind = m.kind, .reply = &reply});
}

static bool is_noticed(void (*what)(struct unheard *u), struct unheard *u)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		signal(SIGABRT, SIG_DFL);
		what(u);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/*
 * Node 0 does the write once more, again unheard, and dies. A master has it that does not forget,
 * whatever became of the one before, and whose the write was.
 */
static void test_what_was_seen_since_the_restart_may_be_forgotten(void **state)
{
	struct unheard u;

	write_unheard(&u);
	assert_true(is_noticed(old_is_read, &u));
	story_cut(u.s, 0, false, false);
	story_cut(u.s, 3, true, true); /* for whom grace waits */
	story_restart(u.s);
	sim_run_for(u.s, NS_PER_SEC);
	story_cut(u.s, 0, false, true);
	story_cut(u.s, 3, false, false);
	story_grace_over(u.s);
	sim_crash_node(u.s, 0);
	sim_run_for(u.s, 2 * STORY_LEASE_NS);
	story_reads(u.s, &u.f[1], "new");
	assert_true(is_noticed(old_is_read, &u));
	story_end(u.s);
}

/* Node 0 has what it wrote first, and its clock stands still; the file is gone, and so its session. */
static struct sim *outlive_node_0(void)
{
	struct sim *s = story_begin(2);
	struct opened f = story_make(s, 0, "f", 0), g = story_make(s, 1, "f", 0);

	story_write(s, &f, "old");
	sim_run_for(s, HOP);
	story_write(s, &g, "new");
	story_cut(s, 0, true, true);
	machine_set_rate(s, machine_of_node(0), 0);
	s->nodes[0].astray = true;
	assert_int_equal(story_unlink(s, 1, "f"), STATUS_OK);
	story_close(s, &g);
	for (int i = 0; i < SIM_BACKUPS; i++) {
		story_restart(s);
		story_grace_over(s);
	}
	assert_int_equal(story_lookup(s, 1, "f"), STATUS_NO_ENTRY);
	return s;
}

/*
 * The store is put back to when it knew that session, which nobody but the node's own clock could tell
 * to be over: no rule helps against both.
 */
static void test_an_old_store_and_a_frozen_clock_go_unnoticed(void **state)
{
	struct sim *s = outlive_node_0();
	struct opened f;

	sim_crash_master(s, 0);
	engine_put_back(s, false);
	sim_start_master(s, 0);
	sim_run_for(s, NS_PER_SEC);
	assert_int_equal(s->masters[0].told[MASTER_EVENT_STORE_OLD], 1);
	machine_set_rate(s, machine_of_node(0), 1000000);
	story_cut(s, 0, false, false);
	sim_node_loop(s, 0);
	story_grace_over(s);
	f = story_make(s, 1, "f", 0);
	story_reads(s, &f, "old");
	assert_int_equal(s->nodes[0].told[NODE_EVENT_LAPSED], 0);
	story_end(s);
}

/*
 * The file that a first try made is met, and lost with its master; the second makes another. Whose move
 * to the name was begun after that meeting did not make what was met, but moves its own there.
 */
static void test_what_was_met_first_is_taken_for_what_comes_later(void **state)
{
	struct sim *s = story_begin(3);
	struct message create = {
		.kind = MESSAGE_CREATE, .parent = ROOT_INO, .name = "b", .mode = 0644};
	struct message list = {.kind = MESSAGE_READDIR, .ino = ROOT_INO};
	struct request *make, *away;

	story_make(s, 2, "a", 0);
	story_cut(s, 0, false, true);
	make = request_submit(s, 0, &create, NULL);
	sim_run_for(s, 10 * HOP);
	assert_int_equal(story_lookup(s, 1, "b"), STATUS_OK);
	story_cut(s, 0, false, false);
	s->links[0][0].slow_ns[1] = 100 * HOP;
	story_restart(s);
	story_grace_over(s);
	s->links[2][0].slow_ns[1] = 1000 * HOP;
	away = move(s, 2, "a", "b");
	assert_int_equal(story_wait(s, make, 200 * HOP)->status, STATUS_OK);
	assert_false(away->answered);
	assert_int_equal(story_ask(s, 0, &list)->reply->entry_count, 1);
	assert_false(away->answered);
	assert_int_equal(story_wait(s, away, 2000 * HOP)->status, STATUS_OK);
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_moved_away_and_back_is_taken_for_gone),
		cmocka_unit_test(test_a_second_signal_without_a_master_owes_its_word),
		cmocka_unit_test(test_a_late_hello_holds_what_was_freed),
		cmocka_unit_test(test_what_nobody_knows_any_more_is_missed),
		cmocka_unit_test(test_what_was_seen_since_the_restart_may_be_forgotten),
		cmocka_unit_test(test_an_old_store_and_a_frozen_clock_go_unnoticed),
		cmocka_unit_test(test_what_was_met_first_is_taken_for_what_comes_later),
	};

	cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
