/* SPDX-License-Identifier: MIT */
/* Fears about the ordered channel: a message lost, done twice, done too early, or sent for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lockcore/channel.h"

static struct moment at(int64_t ms)
{
	return (struct moment){.boot_ns = ms * NS_PER_MS};
}

static int channel_setup(void **state)
{
	*state = malloc(sizeof(struct channel));
	channel_init(*state);
	return 0;
}

static int channel_teardown(void **state)
{
	channel_deinit(*state);
	free(*state);
	return 0;
}

static void push(struct channel *c, size_t count)
{
	struct message m = {.kind = MESSAGE_STATFS};

	for (size_t i = 0; i < count; i++)
		channel_push(c, message_copy(&m));
}

/* What one packet takes along. */
static struct packet fill(struct channel *c, int64_t ms)
{
	struct packet p = {0};
	size_t bytes = 0;

	channel_fill(c, &p, &bytes, at(ms));
	return p;
}

static void test_messages_go_in_order_and_once(void **state)
{
	struct channel *c = *state;
	struct packet p;

	push(c, 3);
	assert_true(channel_wants_packet(c, at(0)));
	p = fill(c, 0);
	assert_int_equal(p.count, 3);
	for (size_t i = 0; i < p.count; i++)
		assert_int_equal(p.messages[i]->seq, i + 1);
	assert_false(channel_wants_packet(c, at(0)));
	assert_int_equal(fill(c, 0).count, 0);
}

static void test_unacknowledged_is_sent_again(void **state)
{
	struct channel *c = *state;

	push(c, 2);
	fill(c, 0);
	assert_int_equal(channel_deadline(c), CHANNEL_RESEND_MIN_NS);
	channel_tick(c, at(499));
	assert_false(channel_wants_packet(c, at(499)));
	channel_tick(c, at(500));
	assert_true(channel_wants_packet(c, at(500)));
	assert_int_equal(fill(c, 500).count, 2);
}

/* A dead peer must cost less and less, and the deadline must never stay in the past. */
static void test_resends_become_rare(void **state)
{
	struct channel *c = *state;
	int64_t now = 0, before = 0;

	push(c, 1);
	fill(c, 0);
	for (int i = 0; i < 10; i++) {
		before = now;
		now = channel_deadline(c);
		assert_true(now > before && now - before <= CHANNEL_RESEND_MAX_NS);
		channel_tick(c, (struct moment){.boot_ns = now});
		fill(c, now / NS_PER_MS);
	}
	assert_int_equal(now - before, CHANNEL_RESEND_MAX_NS);
}

static void test_acknowledged_is_forgotten(void **state)
{
	struct channel *c = *state;

	push(c, 3);
	fill(c, 0);
	assert_true(channel_acked(c, 2, at(1)));
	assert_int_equal(c->count, 1);
	assert_true(channel_acked(c, 1, at(2))); /* late */
	assert_int_equal(c->count, 1);
	assert_true(channel_acked(c, 3, at(3)));
	assert_int_equal(c->count, 0);
	assert_int_equal(channel_deadline(c), MOMENT_NEVER);
	channel_tick(c, at(10000));
	assert_false(channel_wants_packet(c, at(10000)));
}

static void test_impossible_ack_changes_nothing(void **state)
{
	struct channel *c = *state;

	push(c, 2);
	fill(c, 0);
	assert_false(channel_acked(c, 3, at(1)));
	assert_int_equal(c->count, 2);
}

/* The acknowledgement of a first sending comes in while the second is half sent. */
static void test_ack_crosses_rewind(void **state)
{
	struct channel *c = *state;
	struct packet p;

	push(c, 3);
	fill(c, 0);
	channel_rewind(c);
	assert_true(channel_acked(c, 2, at(1)));
	p = fill(c, 1);
	assert_int_equal(p.count, 1);
	assert_int_equal(p.messages[0]->seq, 3);
	channel_rewind(c);
	assert_true(channel_acked(c, 3, at(2)));
	assert_false(channel_wants_packet(c, at(2)));
	assert_int_equal(channel_deadline(c), MOMENT_NEVER);
}

static void test_rewind_sends_old_before_new(void **state)
{
	struct channel *c = *state;
	struct packet p;

	push(c, 2);
	fill(c, 0);
	push(c, 1);
	channel_rewind(c);
	p = fill(c, 1);
	assert_int_equal(p.count, 3);
	assert_int_equal(p.messages[0]->seq, 1);
}

static void test_repeats_and_gaps_are_dropped(void **state)
{
	struct channel *c = *state;

	assert_false(channel_accept(c, 2, at(0))); /* 1 is still on its way */
	assert_true(channel_accept(c, 1, at(0)));
	assert_false(channel_accept(c, 1, at(0)));
	assert_false(channel_accept(c, 0, at(0)));
	assert_true(channel_accept(c, 2, at(0)));
	assert_int_equal(fill(c, 0).ack, 2);
}

static void test_ack_is_told_late_but_told(void **state)
{
	struct channel *c = *state;

	channel_accept(c, 1, at(0));
	assert_false(channel_wants_packet(c, at(49)));
	assert_int_equal(channel_deadline(c), CHANNEL_ACK_DELAY_NS);
	assert_true(channel_wants_packet(c, at(50)));
	assert_int_equal(fill(c, 50).ack, 1);
	assert_false(channel_wants_packet(c, at(1000)));
	assert_int_equal(channel_deadline(c), MOMENT_NEVER);
}

/* A repeat means that the acknowledgement was lost; many messages, that the other end keeps many.
 */
static void test_ack_is_told_at_once_when_it_matters(void **state)
{
	struct channel *c = *state;

	channel_accept(c, 1, at(0));
	fill(c, 0);
	channel_accept(c, 1, at(1));
	assert_true(channel_wants_packet(c, at(1)));
	fill(c, 1);
	for (uint64_t seq = 2; seq < 2 + CHANNEL_ACK_EVERY; seq++)
		channel_accept(c, seq, at(2));
	assert_true(channel_wants_packet(c, at(2)));
}

static void test_packets_are_bounded(void **state)
{
	struct channel *c = *state;
	static char big[CONTENT_MAX_BYTES];
	struct message m = {.kind = MESSAGE_WRITE, .data = big, .data_len = sizeof(big)};
	size_t sent = 0;

	push(c, PACKET_MAX_COUNT + 1);
	assert_int_equal(fill(c, 0).count, PACKET_MAX_COUNT);
	assert_int_equal(fill(c, 0).count, 1);
	for (int i = 0; i < 20; i++)
		channel_push(c, message_copy(&m));
	while (channel_wants_packet(c, at(0))) {
		struct packet p = fill(c, 0);

		assert_in_range(p.count, 1, PACKET_MAX_BYTES / CONTENT_MAX_BYTES);
		sent += p.count;
	}
	assert_int_equal(sent, 20);
}

/* Sends until there is nothing to send. Returns how many messages that were. */
static size_t send_all(struct channel *c)
{
	size_t sent = 0;

	while (channel_wants_packet(c, at(0)))
		sent += fill(c, 0).count;
	return sent;
}

/* The transport would drop it, and all of it would have to be sent again. */
static void test_flood_is_sent_past_the_window(void **state)
{
	const size_t many = 20000;
	struct channel *c = *state;
	size_t sent, first;

	push(c, many);
	first = sent = send_all(c);
	assert_in_range(first, 1000, many / 2);
	while (sent < many) {
		assert_true(channel_acked(c, c->acked + 100, at(0)));
		assert_in_range(send_all(c), 1, 100);
		sent = c->unsent ? c->unsent->seq - 1 : many;
	}
	channel_rewind(c);
	assert_true(send_all(c) <= first);
	assert_true(channel_acked(c, many, at(0)));
	assert_int_equal(c->flight_bytes, 0);
}

#define CHANNEL_TEST(f) cmocka_unit_test_setup_teardown(f, channel_setup, channel_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHANNEL_TEST(test_messages_go_in_order_and_once),
		CHANNEL_TEST(test_unacknowledged_is_sent_again),
		CHANNEL_TEST(test_resends_become_rare),
		CHANNEL_TEST(test_acknowledged_is_forgotten),
		CHANNEL_TEST(test_impossible_ack_changes_nothing),
		CHANNEL_TEST(test_ack_crosses_rewind),
		CHANNEL_TEST(test_rewind_sends_old_before_new),
		CHANNEL_TEST(test_repeats_and_gaps_are_dropped),
		CHANNEL_TEST(test_ack_is_told_late_but_told),
		CHANNEL_TEST(test_ack_is_told_at_once_when_it_matters),
		CHANNEL_TEST(test_packets_are_bounded),
		CHANNEL_TEST(test_flood_is_sent_past_the_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
