/* SPDX-License-Identifier: MIT */
/* Stories of a list of masters that are of two clusters: a node must not follow both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lockcore/master.h"
#include "lockcore/node.h"

#define OURS   UINT64_C(7) /* key spaces */
#define THEIRS UINT64_C(9)
#define LEASE  (10 * NS_PER_SEC)

/* ---- A node alone, with two masters ---- */

struct scene {
	struct node *n;
	int64_t now;
	struct message hello; /* the last that it said; no text */
	unsigned told[NODE_EVENT_LEFT + 1];
	size_t foreign; /* the link that the last NODE_EVENT_FOREIGN was about */
};

static struct moment now(const struct scene *s)
{
	return (struct moment){.boot_ns = s->now};
}

static void drain(struct scene *s)
{
	struct node_event event;
	struct packet packet;
	size_t master;

	node_tick(s->n, now(s));
	while (node_next_packet(s->n, now(s), &master, &packet))
		for (size_t i = 0; i < packet.count; i++)
			if (packet.messages[i]->kind == MESSAGE_HELLO)
				s->hello = *packet.messages[i];
	while (node_next_event(s->n, &event)) {
		s->told[event.kind]++;
		if (event.kind == NODE_EVENT_FOREIGN)
			s->foreign = event.master;
	}
}

static void run(struct scene *s, int64_t ns)
{
	for (int64_t end = s->now + ns; s->now < end; s->now += 100 * NS_PER_MS)
		drain(s);
}

static void say(struct scene *s, size_t master, uint64_t cluster, uint64_t epoch,
		enum message_kind kind)
{
	struct message m = {
		.kind = kind, .stamp_ns = s->now, .lease_ns = LEASE, .cluster = cluster};
	struct packet p = {.instance = node_instance(s->n),
			   .epoch = epoch,
			   .count = 1,
			   .messages = {message_copy(&m)}};

	node_receive(s->n, master, &p, now(s));
	packet_deinit(&p);
	drain(s);
}

static struct scene begin(void)
{
	struct node_config config = {.id = "node", .masters = 2, .instance_base = 3};
	struct scene s = {.now = NS_PER_SEC};

	s.n = node_new(&config, now(&s));
	for (size_t i = 0; i < 2; i++)
		node_connected(s.n, i, now(&s));
	run(&s, NS_PER_SEC);
	assert_int_equal(s.hello.cluster, 0);
	say(&s, 0, OURS, 1, MESSAGE_WELCOME);
	assert_true(node_is_open(s.n));
	return s;
}

static void test_master_of_another_cluster_ends_the_session(void **state)
{
	struct scene s = begin();

	say(&s, 1, THEIRS, 5, MESSAGE_WELCOME);
	say(&s, 1, THEIRS, 6, MESSAGE_EXPIRED);
	assert_int_equal(s.told[NODE_EVENT_LAPSED] + s.told[NODE_EVENT_RESUMED], 0);
	assert_int_equal(s.told[NODE_EVENT_FOREIGN], 1);
	assert_int_equal(s.foreign, 1);
	say(&s, 0, OURS, 2, MESSAGE_WELCOME);
	assert_int_equal(s.told[NODE_EVENT_RESUMED], 1);
	node_free(s.n);
}

/* Its own is silent; what it would lock there, the nodes of its own could lock, too. */
static void test_node_goes_over_to_another_cluster(void **state)
{
	struct scene s = begin();

	run(&s, LEASE + NS_PER_SEC);
	assert_int_equal(s.told[NODE_EVENT_LAPSED], 1);
	assert_int_equal(s.hello.cluster, OURS);
	say(&s, 1, THEIRS, 5, MESSAGE_NOT_ME);
	say(&s, 1, THEIRS, 5, MESSAGE_WELCOME);
	assert_false(node_is_open(s.n));
	assert_int_equal(s.told[NODE_EVENT_FOREIGN], 1);
	say(&s, 0, OURS, 1, MESSAGE_WELCOME);
	assert_true(node_is_open(s.n));
	node_free(s.n);
}

/* The store was lost, and a new one made: the epoch goes on above that of the old one. */
static void test_new_store_keeps_its_nodes_out(void **state)
{
	struct scene s = begin();

	say(&s, 0, THEIRS, 0, MESSAGE_NOT_ME);
	run(&s, LEASE + NS_PER_SEC);
	assert_int_equal(s.told[NODE_EVENT_LAPSED], 1);
	assert_int_equal(s.hello.cluster, 0);
	assert_int_equal(s.hello.epoch, 1);
	say(&s, 0, THEIRS, 2, MESSAGE_WELCOME);
	assert_true(node_is_open(s.n));
	assert_int_equal(s.told[NODE_EVENT_FOREIGN], 0);
	say(&s, 1, OURS, 1, MESSAGE_WELCOME);
	assert_int_equal(s.told[NODE_EVENT_FOREIGN], 1);
	node_free(s.n);
}

/* Masters of before do not say of which cluster they are. */
static void test_silence_about_the_cluster_is_an_answer(void **state)
{
	struct scene s = begin();

	say(&s, 1, 0, 2, MESSAGE_WELCOME);
	assert_int_equal(s.told[NODE_EVENT_RESUMED], 1);
	say(&s, 0, OURS, 3, MESSAGE_WELCOME);
	assert_int_equal(s.told[NODE_EVENT_RESUMED], 2);
	assert_int_equal(s.told[NODE_EVENT_FOREIGN], 0);
	node_free(s.n);
}

/* ---- A master alone, whose store does all at once ---- */

static void settle(struct master *m, int64_t at)
{
	struct moment then = {.boot_ns = at};
	struct engine_op op;

	master_tick(m, then);
	while (master_next_op(m, then, &op)) {
		struct engine_outcome o = {
			.id = op.id, .result = ENGINE_DONE, .cell = op.next, .cluster = OURS};

		master_engine_done(m, &o, then);
	}
}

static struct master *serving_master(void)
{
	struct master_config config = {.instance = 1,
				       .lease_ns = LEASE,
				       .leader_lease_ns = MASTER_LEADER_LEASE_DEFAULT_NS,
				       .max_files = 10};
	struct master *m = master_new(&config, (struct moment){.boot_ns = 1});

	settle(m, 1);
	assert_true(master_is_serving(m));
	return m;
}

/* What it says to a HELLO. */
static struct message hello(struct master *m, uint64_t cluster, uint64_t epoch)
{
	struct moment then = {.boot_ns = 2};
	struct message hello = {.kind = MESSAGE_HELLO,
				.text = "n",
				.stamp_ns = 1,
				.cluster = cluster,
				.epoch = epoch};
	struct packet p = {.instance = 7, .count = 1, .messages = {&hello}};
	uint32_t peer;

	master_receive(m, 1, &p, then);
	settle(m, 2);
	return master_next_packet(m, then, &peer, &p) ? *p.messages[0] : (struct message){0};
}

/* Its epoch says nothing of this store, and no session of it belongs here. */
static void test_foreign_node_raises_the_epoch(void **state)
{
	struct master *m = serving_master();
	uint64_t epoch = master_epoch(m);
	struct message answer = hello(m, THEIRS, 50);

	assert_int_equal(answer.kind, MESSAGE_NOT_ME);
	assert_int_equal(answer.cluster, OURS);
	assert_int_equal(master_epoch(m), epoch);
	answer = hello(m, OURS, epoch);
	assert_int_equal(answer.kind, MESSAGE_WELCOME);
	assert_int_equal(answer.cluster, OURS);
	master_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_master_of_another_cluster_ends_the_session),
		cmocka_unit_test(test_node_goes_over_to_another_cluster),
		cmocka_unit_test(test_new_store_keeps_its_nodes_out),
		cmocka_unit_test(test_silence_about_the_cluster_is_an_answer),
		cmocka_unit_test(test_foreign_node_raises_the_epoch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
