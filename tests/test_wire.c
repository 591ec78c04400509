/* SPDX-License-Identifier: MIT */
/* Fears about the wire: that something is lost on it, and that a stranger's bytes do harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transport/wire.h"

static struct wire *wire;

/* The linker brings decoding's copies here (--wrap); the budget is how many succeed. */
static int copies_left = -1;
struct message *__real_message_copy(const struct message *m);
struct message *__wrap_message_copy(const struct message *m);

struct message *__wrap_message_copy(const struct message *m)
{
	if (copies_left == 0)
		return NULL;
	if (copies_left > 0)
		copies_left--;
	return __real_message_copy(m);
}

static int setup(void **state)
{
	copies_left = -1;
	wire = wire_new();
	return wire ? 0 : -1;
}

static int teardown(void **state)
{
	wire_free(wire);
	return 0;
}

static bool kind_exists(int kind)
{
	return (kind > MESSAGE_NONE && kind <= MESSAGE_LAST_SESSION) ||
	       (kind >= MESSAGE_FIRST_ORDERED && kind < MESSAGE_KIND_END);
}

/* Every number different, and large, so that two that change places are noticed. */
static const struct entry full_entries[2] = {
	{.ino = 901, .cookie = UINT64_MAX, .mode = 0100000, .name = "first"},
	{.ino = UINT64_MAX, .cookie = 2, .mode = UINT32_MAX, .name = "second"},
};

static const struct link full_links[2] = {
	{.parent = UINT64_MAX - 20,
	 .token = UINT64_MAX - 21,
	 .holder = UINT64_MAX - 22,
	 .maker_req = UINT64_MAX - 23,
	 .maker_pid = UINT32_MAX - 24,
	 .maker_uid = UINT32_MAX - 25,
	 .idle_ns = INT64_MIN + 26,
	 .ttl_ns = INT64_MIN + 27,
	 .age_ns = INT64_MIN + 28,
	 .maker_command = "fifteen\xff bytes!",
	 .flags = UINT32_MAX - 29,
	 .name = "first name"},
	{.parent = 1, .name = "second name"},
};

static const struct holder full_holders[2] = {
	{.token = UINT64_MAX - 30,
	 .session = UINT64_MAX - 31,
	 .start = INT64_MIN + 32,
	 .end = INT64_MIN + 33,
	 .age_ns = INT64_MIN + 34,
	 .pid = UINT32_MAX - 35,
	 .uid = UINT32_MAX - 36,
	 .kind = HOLDER_NAME,
	 .mode = LOCK_EXCLUSIVE,
	 .command = "a b\n\xff",
	 .node = "first node"},
	{.node = ""},
};

static const struct surveyed full_surveyed[3] = {
	{.token = UINT64_MAX - 40,
	 .ticket = UINT64_MAX - 41,
	 .session = UINT64_MAX - 42,
	 .ino = UINT64_MAX - 43,
	 .queue = UINT64_MAX - 44,
	 .start = INT64_MIN + 45,
	 .end = INT64_MIN + 46,
	 .age_ns = INT64_MIN + 47,
	 .left_ns = INT64_MIN + 48,
	 .pid = UINT32_MAX - 49,
	 .uid = UINT32_MAX - 50,
	 .flags = UINT32_MAX - 51,
	 .kind = HOLDER_NAME,
	 .mode = LOCK_EXCLUSIVE,
	 .command = "a b\n\xff",
	 .name = "a path/with\n/\xff",
	 .node = "first node"},
	{.name = "", .node = ""},
	{.name = "behind one without a name", .node = "n"},
};

static struct message full_message(enum message_kind kind)
{
	return (struct message){
		.kind = kind,
		.status = STATUS_MAX,
		.seq = UINT64_MAX,
		.req = UINT64_MAX - 1,
		.ino = UINT64_MAX - 2,
		.parent = UINT64_MAX - 3,
		.handle = UINT64_MAX - 4,
		.owner = UINT64_MAX - 5,
		.target = UINT64_MAX - 6,
		.version = UINT64_MAX - 7,
		.token = UINT64_MAX - 8,
		.ticket = UINT64_MAX - 9,
		.epoch = UINT64_MAX - 10,
		.stamp_ns = INT64_MIN,
		.lease_ns = INT64_MIN + 1,
		.idle_ns = INT64_MIN + 2,
		.ttl_ns = INT64_MIN + 8,
		.start = INT64_MIN + 3,
		.end = RANGE_END,
		.length = UINT64_MAX - 12,
		.flags = UINT32_MAX,
		.known = UINT64_MAX - 16,
		.known2 = UINT64_MAX - 17,
		.set = UINT32_MAX - 1,
		.mode = UINT32_MAX - 2,
		.uid = UINT32_MAX - 3,
		.gid = UINT32_MAX - 4,
		.pid = UINT32_MAX - 5,
		.lock_kind = LOCK_RANGE,
		.lock_mode = LOCK_EXCLUSIVE,
		.resume = true,
		.attr = {.ino = UINT64_MAX - 13,
			 .version = UINT64_MAX - 14,
			 .mode = UINT32_MAX - 6,
			 .uid = UINT32_MAX - 7,
			 .gid = UINT32_MAX - 8,
			 .nlink = UINT32_MAX - 9,
			 .size = UINT64_MAX - 15,
			 .atime_ns = INT64_MIN + 4,
			 .mtime_ns = INT64_MIN + 5,
			 .ctime_ns = INT64_MIN + 6},
		.name = "name with \xff and \n",
		.name2 = "another with \xff",
		.text = "tcp://[::1]:4211",
		.data = "da\0ta",
		.data_len = 5,
		.entries = full_entries,
		.entry_count = 2,
		.links = full_links,
		.link_count = 2,
		.holders = full_holders,
		.holder_count = 2,
		.surveyed = full_surveyed,
		.surveyed_count = 3,
		.keeper = KEEPER_MAX,
		.change = CHANGE_MAX,
		.since_ns = INT64_MIN + 9,
		.age_ns = INT64_MIN + 10,
		.command = "other\x01"
			   "command",
	};
}

static void assert_same_links(const struct message *a, const struct message *b)
{
	assert_int_equal(a->link_count, b->link_count);
	for (size_t i = 0; i < a->link_count; i++) {
		assert_string_equal(a->links[i].name, b->links[i].name);
		assert_memory_equal(&a->links[i], &b->links[i], offsetof(struct link, name));
	}
}

static void assert_same_holders(const struct message *a, const struct message *b)
{
	assert_int_equal(a->holder_count, b->holder_count);
	for (size_t i = 0; i < a->holder_count; i++) {
		assert_string_equal(a->holders[i].node, b->holders[i].node);
		assert_memory_equal(&a->holders[i], &b->holders[i], offsetof(struct holder, node));
	}
}

static void assert_same_surveyed(const struct message *a, const struct message *b)
{
	assert_int_equal(a->surveyed_count, b->surveyed_count);
	for (size_t i = 0; i < a->surveyed_count; i++) {
		assert_string_equal(a->surveyed[i].name, b->surveyed[i].name);
		assert_string_equal(a->surveyed[i].node, b->surveyed[i].node);
		assert_memory_equal(&a->surveyed[i], &b->surveyed[i],
				    offsetof(struct surveyed, command));
		assert_string_equal(a->surveyed[i].command, b->surveyed[i].command);
	}
}

static void assert_same_tail(const struct message *a, const struct message *b)
{
	assert_int_equal(!a->name, !b->name);
	if (a->name)
		assert_string_equal(a->name, b->name);
	assert_int_equal(!a->name2, !b->name2);
	if (a->name2)
		assert_string_equal(a->name2, b->name2);
	assert_int_equal(!a->text, !b->text);
	if (a->text)
		assert_string_equal(a->text, b->text);
	assert_int_equal(a->data_len, b->data_len);
	if (a->data_len)
		assert_memory_equal(a->data, b->data, a->data_len);
	assert_int_equal(a->entry_count, b->entry_count);
	for (size_t i = 0; i < a->entry_count; i++) {
		assert_string_equal(a->entries[i].name, b->entries[i].name);
		assert_true(a->entries[i].ino == b->entries[i].ino);
		assert_true(a->entries[i].cookie == b->entries[i].cookie);
		assert_int_equal(a->entries[i].mode, b->entries[i].mode);
	}
	assert_same_links(a, b);
	assert_same_holders(a, b);
	assert_same_surveyed(a, b);
}

/* Whatever stands before the pointers, padding excepted, which both sides have zeroed. */
static void assert_same(const struct message *a, const struct message *b)
{
	struct message x, y;

	assert_same_tail(a, b);
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	assert_memory_equal(&x, &y, offsetof(struct message, lock_mode) + sizeof(x.lock_mode));
	assert_int_equal(x.resume, y.resume);
	assert_memory_equal(&x.attr, &y.attr, sizeof(x.attr));
	assert_int_equal(x.keeper, y.keeper);
	assert_int_equal(x.change, y.change);
	assert_true(x.since_ns == y.since_ns && x.age_ns == y.age_ns);
	assert_string_equal(x.command, y.command);
}

static struct packet packet_of(const struct message *m, size_t count)
{
	struct packet p = {.instance = UINT64_MAX, .epoch = 7, .ack = 1ull << 63, .count = count};

	for (size_t i = 0; i < count; i++)
		p.messages[i] = (struct message *)(uintptr_t)m;
	return p;
}

/* Encoded, and copied so that a read past the end is seen by the sanitizers. */
static uint8_t *encoded(const struct message *m, size_t count, size_t *len)
{
	struct packet p = packet_of(m, count);
	const void *bytes;
	uint8_t *copy;

	wire_encode(wire, &p, &bytes, len);
	copy = malloc(*len);
	memcpy(copy, bytes, *len);
	return copy;
}

static enum wire_error decode_once(const void *bytes, size_t len)
{
	struct packet p = {.count = 0};
	enum wire_error error = wire_decode(wire, bytes, len, &p);

	packet_deinit(&p);
	return error;
}

static void assert_round_trip(const struct message *m)
{
	struct packet p;
	size_t len;
	uint8_t *bytes = encoded(m, 1, &len);

	assert_int_equal(wire_decode(wire, bytes, len, &p), WIRE_OK);
	assert_true(p.instance == UINT64_MAX && p.epoch == 7 && p.ack == 1ull << 63);
	assert_int_equal(p.count, 1);
	assert_same(m, p.messages[0]);
	packet_deinit(&p);
	free(bytes);
}

static void test_field_lost_on_the_way(void **state)
{
	for (int kind = 0; kind < MESSAGE_KIND_END; kind++) {
		struct message m = full_message((enum message_kind)kind);

		if (kind_exists(kind))
			assert_round_trip(&m);
	}
}

static void test_zero_becomes_something(void **state)
{
	struct message m = {.kind = MESSAGE_STATFS};

	assert_round_trip(&m);
}

static void test_packet_without_messages(void **state)
{
	struct packet p, empty = {.ack = 9};
	const void *bytes;
	size_t len;

	wire_encode(wire, &empty, &bytes, &len);
	assert_int_equal(wire_decode(wire, bytes, len, &p), WIRE_OK);
	assert_true(p.count == 0 && p.ack == 9 && p.instance == 0);
}

static void test_small_message_grows(void **state)
{
	struct message m = {.kind = MESSAGE_RENEW, .stamp_ns = 1};
	size_t len;

	free(encoded(&m, 1, &len));
	assert_in_range(len, 1, 48); /* 24 of them are the packet's own */
}

static void test_order_within_a_packet(void **state)
{
	struct message m[3] = {{.kind = MESSAGE_CLOSE, .seq = 1},
			       {.kind = MESSAGE_CLOSE, .seq = 2},
			       {.kind = MESSAGE_FORGET, .seq = 3}};
	struct packet p = {.count = 3, .messages = {&m[0], &m[1], &m[2]}};
	const void *bytes;
	size_t len;

	wire_encode(wire, &p, &bytes, &len);
	assert_int_equal(wire_decode(wire, bytes, len, &p), WIRE_OK);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(p.messages[i]->seq, i + 1);
	packet_deinit(&p);
}

/* Names that are told apart only by their ends, in the longest listing. */
static void test_longest_listing(void **state)
{
	static struct entry entries[LISTING_MAX];
	static char names[LISTING_MAX][NAME_MAX_BYTES + 1];
	struct message m = full_message(MESSAGE_REPLY);

	for (size_t i = 0; i < LISTING_MAX; i++) {
		memset(names[i], 'n', NAME_MAX_BYTES - 1);
		names[i][NAME_MAX_BYTES - 1] = (char)(1 + i + (i >= '/' - 1));
		entries[i] = (struct entry){.ino = UINT64_MAX,
					    .cookie = UINT64_MAX,
					    .mode = UINT32_MAX,
					    .name = names[i]};
	}
	m.entries = entries;
	m.entry_count = LISTING_MAX;
	assert_round_trip(&m);
}

/* A message with everything at its bound must fit what the core was told it takes. */
static void test_message_outgrows_its_bound(void **state)
{
	static uint8_t content[CONTENT_MAX_BYTES];
	static char text[TEXT_MAX_BYTES + 1], name[NAME_MAX_BYTES + 1];
	static struct entry entries[LISTING_MAX];
	static char node[NODE_ID_MAX_BYTES + 1];
	struct holder holders[HOLDERS_MAX];
	struct link links[LINKS_MAX];
	struct message m = full_message(MESSAGE_REPLY);
	size_t len, empty;

	memset(name, 'n', NAME_MAX_BYTES);
	memset(text, 't', TEXT_MAX_BYTES);
	memset(node, 'h', NODE_ID_MAX_BYTES);
	for (size_t i = 0; i < LISTING_MAX; i++)
		entries[i] = (struct entry){UINT64_MAX, UINT64_MAX, UINT32_MAX, name};
	for (size_t i = 0; i < LINKS_MAX; i++) {
		links[i] = m.links[0];
		links[i].name = name;
	}
	for (size_t i = 0; i < HOLDERS_MAX; i++) {
		holders[i] = m.holders[0];
		memset(holders[i].command, 'c', COMMAND_MAX_BYTES);
		holders[i].node = node;
	}
	m.holders = holders;
	m.holder_count = HOLDERS_MAX;
	m.links = links;
	m.link_count = LINKS_MAX;
	m.name = name;
	m.name2 = name;
	m.text = text;
	m.data = content;
	m.data_len = sizeof(content);
	m.entries = entries;
	m.entry_count = LISTING_MAX;
	assert_round_trip(&m);
	free(encoded(&m, 0, &empty));
	free(encoded(&m, 1, &len));
	assert_in_range(len - empty, CONTENT_MAX_BYTES, message_wire_bound(&m));
}

static void test_truncated_packet_is_taken(void **state)
{
	struct message m = full_message(MESSAGE_LOCK);
	size_t len, taken = 0;
	uint8_t *bytes = encoded(&m, 2, &len);

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *part = malloc(cut + !cut);

		memcpy(part, bytes, cut);
		taken += decode_once(part, cut) == WIRE_OK;
		free(part);
	}
	/* Protocol Buffers has no end mark: the cuts between two fields of the packet are packets.
	 */
	assert_in_range(taken, 0, 6);
	free(bytes);
}

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* What survives is within every bound, or the encoder would assert. */
static void test_flipped_bits_do_harm(void **state)
{
	struct message m = full_message(MESSAGE_RECLAIM_FILE);
	uint64_t seed = 20240601;
	size_t len;
	uint8_t *bytes = encoded(&m, 2, &len);
	uint8_t *bad = malloc(len);

	for (int round = 0; round < 50000; round++) {
		struct packet p;
		const void *again;
		size_t again_len, flips = 1 + random_next(&seed) % 4;

		memcpy(bad, bytes, len);
		while (flips--)
			bad[random_next(&seed) % len] ^= (uint8_t)(1u << random_next(&seed) % 8);
		if (wire_decode(wire, bad, len, &p) != WIRE_OK)
			continue;
		wire_encode(wire, &p, &again, &again_len);
		packet_deinit(&p);
	}
	free(bad);
	free(bytes);
}

static void test_error_leaves_something(void **state)
{
	struct message m = full_message(MESSAGE_LOCK);
	struct packet p, before;
	size_t len;
	uint8_t *bytes = encoded(&m, 5, &len);

	memset(&p, 0xa5, sizeof(p));
	before = p;
	assert_int_equal(wire_decode(wire, bytes, len - 1, &p), WIRE_MALFORMED);
	for (copies_left = 0; copies_left < 5; copies_left++) {
		int budget = copies_left;

		assert_int_equal(wire_decode(wire, bytes, len, &p), WIRE_NO_MEMORY);
		copies_left = budget;
	}
	assert_memory_equal(&p, &before, sizeof(p));
	free(bytes);
}

/* What one message left in the scratch must not show in the next. */
static void test_message_inherits_from_the_last(void **state)
{
	struct message m[2] = {full_message(MESSAGE_REPLY), {.kind = MESSAGE_STATFS}};
	struct packet p = {.count = 2, .messages = {&m[0], &m[1]}};
	const void *bytes;
	size_t len;

	wire_encode(wire, &p, &bytes, &len);
	assert_int_equal(wire_decode(wire, bytes, len, &p), WIRE_OK);
	assert_same(&m[0], p.messages[0]);
	assert_same(&m[1], p.messages[1]);
	packet_deinit(&p);
}

#define FEAR(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FEAR(test_field_lost_on_the_way),	   FEAR(test_zero_becomes_something),
		FEAR(test_packet_without_messages),	   FEAR(test_small_message_grows),
		FEAR(test_order_within_a_packet),	   FEAR(test_longest_listing),
		FEAR(test_message_outgrows_its_bound),	   FEAR(test_truncated_packet_is_taken),
		FEAR(test_flipped_bits_do_harm),	   FEAR(test_error_leaves_something),
		FEAR(test_message_inherits_from_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
