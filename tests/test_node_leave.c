/* SPDX-License-Identifier: MIT */
/* A node that ends: how long it waits for a master that may never answer; and answers to nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lockcore/node.h"

static struct moment at(int64_t ms)
{
	return (struct moment){.boot_ns = ms * NS_PER_MS};
}

static struct node *new_node(void)
{
	struct node_config config = {.id = "n", .masters = 1, .instance_base = 7};

	return node_new(&config, at(0));
}

/* Has it left by now? */
static bool has_left(struct node *n, int64_t ms)
{
	struct node_event event;
	bool left = false;

	node_tick(n, at(ms));
	while (node_next_event(n, &event))
		left = left || event.kind == NODE_EVENT_LEFT;
	return left;
}

static size_t packets(struct node *n, int64_t ms)
{
	struct packet packet;
	size_t master, sent = 0;

	while (node_next_packet(n, at(ms), &master, &packet))
		sent++;
	return sent;
}

/* What says "no master answers within 10 s" has to end after 10 s, and not 12. */
static void test_node_that_met_nobody_waits_for_a_farewell(void **state)
{
	struct node *n = new_node();

	assert_int_equal(packets(n, 100), 0);
	node_leave(n, at(1000));
	assert_true(has_left(n, 1000));
	node_free(n);
}

/* A master may just be about to let it in: it is told, and not waited for for long. */
static void test_node_that_was_not_answered_waits_for_long(void **state)
{
	struct node *n = new_node();

	node_connected(n, 0, at(100));
	assert_int_equal(packets(n, 100), 1);
	node_leave(n, at(1000));
	assert_false(has_left(n, 1000));
	assert_int_equal(packets(n, 1000), 1);
	assert_true(node_deadline(n) <= 1200 * NS_PER_MS);
	assert_true(has_left(n, 1200));
	node_free(n);
}

/* One that has a session waits, since others would have to wait for its lease. */
static void test_node_with_a_session_leaves_unheard(void **state)
{
	struct message welcome = {
		.kind = MESSAGE_WELCOME,
		.stamp_ns = 100 * NS_PER_MS,
		.lease_ns = 10 * NS_PER_SEC,
	};
	struct packet p = {.epoch = 1, .count = 1, .messages = {&welcome}};
	struct node *n = new_node();

	p.instance = node_instance(n);
	node_connected(n, 0, at(100));
	assert_int_equal(packets(n, 100), 1);
	node_receive(n, 0, &p, at(101));
	assert_true(node_is_open(n));
	node_leave(n, at(1000));
	assert_false(has_left(n, 2900));
	assert_true(has_left(n, 3000));
	node_free(n);
}

/* Calls are numbered from 1; what nobody asked for must not find what only keeps the table. */
static void test_an_answer_to_nobody_is_taken(void **state)
{
	struct message welcome = {
		.kind = MESSAGE_WELCOME,
		.stamp_ns = 100 * NS_PER_MS,
		.lease_ns = 10 * NS_PER_SEC,
	};
	struct message reply = {.kind = MESSAGE_REPLY, .seq = 1};
	struct message queued = {.kind = MESSAGE_QUEUED, .seq = 2};
	struct packet p = {.epoch = 1, .count = 3, .messages = {&welcome, &reply, &queued}};
	struct node_answer answer;
	struct node *n = new_node();

	p.instance = node_instance(n);
	node_connected(n, 0, at(100));
	assert_int_equal(packets(n, 100), 1);
	node_receive(n, 0, &p, at(101));
	node_interrupt(n, 0, at(102));
	assert_false(node_next_answer(n, at(102), &answer));
	assert_true(node_is_open(n));
	node_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_that_met_nobody_waits_for_a_farewell),
		cmocka_unit_test(test_node_that_was_not_answered_waits_for_long),
		cmocka_unit_test(test_node_with_a_session_leaves_unheard),
		cmocka_unit_test(test_an_answer_to_nobody_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
