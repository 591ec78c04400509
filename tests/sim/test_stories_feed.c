/* SPDX-License-Identifier: MIT */
/* Stories of who watches acquisitions: what is told, in which order, and what of it may be missed. */
#include <stdlib.h>
#include <string.h>

#include "lockcore/master_internal.h"
#include "lockcore/node_internal.h"
#include "story.h"

#define HOP STORY_HOP_NS

/* What a node was told, as letters: granted, released, expired, broken, waits, Gave up, missed. */
static char told[256];

static void note(struct sim *s, size_t node, const struct node_change *change)
{
	static const char letters[] = " grebwGm";
	size_t len = strlen(told);

	assert_true(len < sizeof(told) - 1);
	told[len] = letters[change->change];
}

static void watch(struct sim *s, size_t node)
{
	struct message m = {.kind = MESSAGE_WATCH, .flags = WATCH_CHANGES};

	memset(told, 0, sizeof(told));
	assert_int_equal(story_status(s, node, &m), STATUS_OK);
}

static void lets_be_told(struct sim *s, const char *what)
{
	sim_run_for(s, 10 * HOP);
	assert_string_equal(told, what);
}

static enum status do_break(struct sim *s, size_t node, uint64_t token)
{
	struct message m = {.kind = MESSAGE_BREAK, .token = token};

	return story_status(s, node, &m);
}

static struct sim *begin(size_t nodes)
{
	struct sim *s = story_begin(nodes);

	s->on_change = note;
	return s;
}

static void test_flock_is_told_wrongly(void **state)
{
	struct sim *s = begin(3);
	struct opened f[2] = {story_make(s, 0, "f", 0), story_make(s, 1, "f", 0)};
	struct request *wait;
	uint64_t token;

	watch(s, 2);
	story_lock(s, &f[0]);
	wait = story_flock(s, &f[1], LOCK_EXCLUSIVE, true);
	lets_be_told(s, "gw");
	request_interrupt(s, wait);
	lets_be_told(s, "gwG");
	story_flock(s, &f[1], LOCK_EXCLUSIVE, true);
	sim_run_for(s, 10 * HOP);
	story_unlock(s, &f[0]);
	lets_be_told(s, "gwGwrg");
	story_close(s, &f[1]);
	token = story_lock(s, &f[0]);
	assert_int_equal(do_break(s, 2, token), STATUS_OK);
	lets_be_told(s, "gwGwrgrgb");
	story_end(s);
}

static void test_names_are_told_wrongly(void **state)
{
	struct sim *s = begin(2);
	struct opened e;

	watch(s, 1);
	e = story_make(s, 0, "e", OPEN_EXCL);
	history_release(s, 0, e.handle, false);
	assert_int_equal(story_unlink(s, 1, "e"), STATUS_OK);
	lets_be_told(s, "gr");
	story_make(s, 0, "plain", 0);
	lets_be_told(s, "gr");
	e = story_make(s, 0, "e", OPEN_EXCL);
	assert_int_equal(do_break(s, 1, e.token), STATUS_OK);
	lets_be_told(s, "grgb");
	story_make(s, 0, "e", OPEN_EXCL);
	sim_crash_node(s, 0);
	sim_run_for(s, 2 * STORY_LEASE_NS);
	lets_be_told(s, "grgbge");
	story_end(s);
}

/* Nobody is told who has not asked, or asks no more; and then the table notes nothing. */
static void test_changes_are_told_to_nobody(void **state)
{
	struct sim *s = begin(2);
	struct opened f = story_make(s, 0, "f", 0);
	uint64_t packets = s->masters[0].said;

	story_lock(s, &f);
	sim_run_for(s, 10 * HOP);
	assert_true(s->masters[0].said - packets == 1); /* the grant */
	watch(s, 1);
	node_unwatch(s->nodes[1].node, machine_now(s, 1));
	sim_node_loop(s, 1);
	sim_run_for(s, 10 * HOP);
	packets = s->masters[0].said;
	story_unlock(s, &f);
	sim_run_for(s, 10 * HOP);
	assert_true(s->masters[0].said - packets == 1); /* the reply */
	assert_null(s->masters[0].master->watchers);
	lets_be_told(s, "");
	story_end(s);
}

static void test_restart_ends_a_watch_without_a_word(void **state)
{
	struct sim *s = begin(2);
	struct opened f = story_make(s, 0, "f", 0);

	watch(s, 1);
	story_lock(s, &f);
	lets_be_told(s, "g");
	story_restart(s);
	story_grace_over(s);
	lets_be_told(s, "gm");
	story_unlock(s, &f);
	lets_be_told(s, "gmr");
	story_end(s);
}

static void test_lapse_ends_a_watch_without_a_word(void **state)
{
	struct sim *s = begin(2);
	struct opened f = story_make(s, 0, "f", 0);

	watch(s, 1);
	story_cut(s, 1, true, true);
	sim_run_for(s, 2 * STORY_LEASE_NS);
	story_cut(s, 1, false, false);
	sim_run_for(s, 5 * NS_PER_SEC);
	lets_be_told(s, "m");
	story_lock(s, &f);
	lets_be_told(s, "mg");
	story_end(s);
}

#define CROWD 16 /* files, so that the watcher's lease does not end meanwhile */

static uint64_t counted;

static void count(struct sim *s, size_t node, const struct node_change *change)
{
	counted += change->change == CHANGE_MISSED ? change->missed : 1;
}

/* He cannot be told for a while: what is kept for him is bounded, and he hears how much he missed. */
static void test_deaf_watcher_costs_the_master_its_memory(void **state)
{
	struct sim *s = begin(2);
	struct opened f[CROWD];
	const struct session *watcher;
	size_t locks = 0;

	for (size_t i = 0; i < CROWD; i++)
		f[i] = story_make(s, 0, (char[]){'f', (char)('a' + i), '\0'}, 0);
	watch(s, 1);
	watcher = s->masters[0].master->watchers;
	story_cut(s, 1, false, true);
	for (; !watcher->missed; locks += CROWD) {
		for (size_t i = 0; i < CROWD; i++) {
			story_flock(s, &f[i], LOCK_EXCLUSIVE, false);
			story_unlock(s, &f[i]);
		}
		sim_run_for(s, 4 * HOP);
		assert_true(node_is_open(s->nodes[1].node));
	}
	assert_true(watcher->channel.bytes < 2 * MASTER_FEED_MAX_BYTES);
	assert_string_equal(told, "");
	s->on_change = count;
	story_cut(s, 1, false, false);
	sim_run_for(s, 4 * NS_PER_SEC);
	assert_true(!watcher->missed && counted == 2 * locks);
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flock_is_told_wrongly),
		cmocka_unit_test(test_names_are_told_wrongly),
		cmocka_unit_test(test_changes_are_told_to_nobody),
		cmocka_unit_test(test_restart_ends_a_watch_without_a_word),
		cmocka_unit_test(test_lapse_ends_a_watch_without_a_word),
		cmocka_unit_test(test_deaf_watcher_costs_the_master_its_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
