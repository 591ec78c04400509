/* SPDX-License-Identifier: MIT */
/* Fears about the wire: packets made by hand, with what the encoder would refuse to make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transport/wire.h"

static struct wire *wire;

static int setup(void **state)
{
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

static enum wire_error decode_once(const void *bytes, size_t len)
{
	struct packet p = {.count = 0};
	enum wire_error error = wire_decode(wire, bytes, len, &p);

	packet_deinit(&p);
	return error;
}

static uint8_t hand[2 * WIRE_MAX_BYTES];
static size_t hand_len;

static void put_varint(uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		hand[hand_len++] = (uint8_t)(v | 0x80);
	hand[hand_len++] = (uint8_t)v;
}

static void put_number(unsigned field, uint64_t v)
{
	put_varint(field << 3);
	put_varint(v);
}

static void put_bytes(unsigned field, const void *bytes, size_t len)
{
	put_varint(field << 3 | 2);
	put_varint(len);
	memcpy(hand + hand_len, bytes, len);
	hand_len += len;
}

static void begin(uint64_t version)
{
	hand_len = 0;
	put_number(1, version);
}

/* A packet with one STATFS message that also has the given field. */
static enum wire_error with_bytes(unsigned field, const void *bytes, size_t len)
{
	static uint8_t message[WIRE_MAX_BYTES];
	size_t message_len;

	hand_len = 0;
	put_number(1, MESSAGE_STATFS);
	put_bytes(field, bytes, len);
	message_len = hand_len;
	memcpy(message, hand, message_len);
	begin(WIRE_VERSION);
	put_bytes(5, message, message_len);
	return decode_once(hand, hand_len);
}

static enum wire_error with_number(unsigned field, uint64_t v)
{
	uint8_t message[32];
	size_t message_len;

	hand_len = 0;
	if (field != 1)
		put_number(1, MESSAGE_LOCK);
	put_number(field, v);
	message_len = hand_len;
	memcpy(message, hand, message_len);
	begin(WIRE_VERSION);
	put_bytes(5, message, message_len);
	return decode_once(hand, hand_len);
}

static void test_another_version_is_misread(void **state)
{
	static const uint64_t versions[] = {0, 2, 3, 127, 128, UINT32_MAX};

	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
		begin(versions[i]);
		memset(hand + hand_len, 0xff, 64); /* and then something quite different */
		assert_int_equal(decode_once(hand, hand_len + 64), WIRE_VERSION_UNKNOWN);
	}
	begin(WIRE_VERSION);
	put_number(1, 2); /* the number twice, and not the same */
	assert_int_equal(decode_once(hand, hand_len), WIRE_MALFORMED);
	begin(WIRE_VERSION);
	assert_int_equal(decode_once(hand, hand_len), WIRE_OK);
}

static void test_rubbish_is_a_version(void **state)
{
	assert_int_equal(decode_once(NULL, 0), WIRE_MALFORMED);
	assert_int_equal(decode_once("\x08", 1), WIRE_MALFORMED);
	assert_int_equal(decode_once("GET / HTTP/1.1\r\n", 16), WIRE_MALFORMED);
	hand_len = 0;
	put_number(3, 1); /* a packet, but its version does not come first */
	put_number(1, WIRE_VERSION);
	assert_int_equal(decode_once(hand, hand_len), WIRE_MALFORMED);
}

static void test_unknown_kind_is_taken(void **state)
{
	for (int kind = 0; kind < 300; kind++)
		assert_int_equal(with_number(1, (uint64_t)kind),
				 kind_exists(kind) ? WIRE_OK : WIRE_MALFORMED);
	assert_int_equal(with_number(1, UINT64_MAX), WIRE_MALFORMED);
	assert_int_equal(with_number(1, (1ull << 32) + MESSAGE_LOCK), WIRE_MALFORMED);
}

/* A master of the next version must understand a node of this one. */
static void test_a_kind_changes_its_number(void **state)
{
	static const struct {
		uint8_t wire;
		enum message_kind kind;
	} kinds[] = {
		{9, MESSAGE_FAREWELL}, {32, MESSAGE_LOOKUP},   {45, MESSAGE_STATFS},
		{46, MESSAGE_LOCK},    {47, MESSAGE_TESTLOCK}, {56, MESSAGE_REPLY},
		{59, MESSAGE_FORGET},  {60, MESSAGE_GETINFO},  {65, MESSAGE_SURVEY},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		uint8_t message[] = {0x08, kinds[i].wire};
		struct packet p;

		begin(WIRE_VERSION);
		put_bytes(5, message, sizeof(message));
		assert_int_equal(wire_decode(wire, hand, hand_len, &p), WIRE_OK);
		assert_int_equal(p.messages[0]->kind, kinds[i].kind);
		packet_deinit(&p);
	}
}

static void test_enum_out_of_range(void **state)
{
	assert_int_equal(with_number(4, STATUS_MAX), WIRE_OK);
	assert_int_equal(with_number(4, STATUS_MAX + 1), WIRE_MALFORMED);
	assert_int_equal(with_number(4, UINT64_MAX), WIRE_MALFORMED);
	assert_int_equal(with_number(11, LOCK_RANGE), WIRE_OK);
	assert_int_equal(with_number(11, LOCK_RANGE + 1), WIRE_MALFORMED);
	assert_int_equal(with_number(12, LOCK_EXCLUSIVE), WIRE_OK);
	assert_int_equal(with_number(12, LOCK_EXCLUSIVE + 1), WIRE_MALFORMED);
	assert_int_equal(with_number(12, UINT64_MAX), WIRE_MALFORMED);
	assert_int_equal(with_number(41, KEEPER_MAX), WIRE_OK);
	assert_int_equal(with_number(41, KEEPER_MAX + 1), WIRE_MALFORMED);
	assert_int_equal(with_number(55, CHANGE_MAX), WIRE_OK);
	assert_int_equal(with_number(55, CHANGE_MAX + 1), WIRE_MALFORMED);
}

static void test_number_past_its_width(void **state)
{
	assert_int_equal(with_number(10, UINT32_MAX), WIRE_OK);
	assert_int_equal(with_number(10, 1ull << 32), WIRE_MALFORMED);
	assert_int_equal(with_number(26, 1ull << 32), WIRE_MALFORMED);
}

/* The names of a message, and the one within an entry of a listing and within a link. */
static void assert_name(enum wire_error want, const void *name, size_t len)
{
	uint8_t entry[1024] = {0x0a};
	size_t head = 2;

	assert_int_equal(with_bytes(31, name, len), want);
	assert_int_equal(with_bytes(35, name, len), want);
	entry[1] = (uint8_t)(len & 0x7f);
	if (len > 0x7f) {
		entry[1] |= 0x80;
		entry[head++] = (uint8_t)(len >> 7);
	}
	memcpy(entry + head, name, len);
	assert_int_equal(with_bytes(15, entry, head + len), want);
	assert_int_equal(with_bytes(21, entry, head + len), want);
}

static void test_name_leaves_its_directory(void **state)
{
	char longest[NAME_MAX_BYTES + 1];

	memset(longest, 'a', sizeof(longest));
	assert_name(WIRE_OK, "a", 1);
	assert_name(WIRE_OK, "...", 3);
	assert_name(WIRE_OK, longest, NAME_MAX_BYTES);
	assert_name(WIRE_MALFORMED, longest, NAME_MAX_BYTES + 1);
	assert_name(WIRE_MALFORMED, "", 0);
	assert_name(WIRE_MALFORMED, ".", 1);
	assert_name(WIRE_MALFORMED, "..", 2);
	assert_name(WIRE_MALFORMED, "/", 1);
	assert_name(WIRE_MALFORMED, "a/b", 3);
	assert_name(WIRE_MALFORMED, "a\0b", 3);
	assert_name(WIRE_MALFORMED, "a\0", 2);
	assert_int_equal(with_bytes(15, "", 0), WIRE_MALFORMED); /* an entry without a name */
	assert_int_equal(with_bytes(21, "", 0), WIRE_MALFORMED); /* and a link */
}

static void test_text_or_data_past_its_bound(void **state)
{
	static uint8_t big[CONTENT_MAX_BYTES + 1];

	assert_int_equal(with_bytes(33, big, CONTENT_MAX_BYTES), WIRE_OK);
	assert_int_equal(with_bytes(33, big, CONTENT_MAX_BYTES + 1), WIRE_MALFORMED);
	assert_int_equal(with_bytes(32, "a\0b", 3), WIRE_MALFORMED);
	memset(big, 't', sizeof(big));
	assert_int_equal(with_bytes(32, big, TEXT_MAX_BYTES), WIRE_OK);
	assert_int_equal(with_bytes(32, big, TEXT_MAX_BYTES + 1), WIRE_MALFORMED);
	assert_int_equal(with_bytes(32, "", 0), WIRE_OK);
}

/* The command of a message, and the one within a link (called z) and within a holder. */
static void assert_command(enum wire_error want, const char *command, size_t len)
{
	uint8_t link[64] = {0x0a, 1, 'z', 0x5a, (uint8_t)len};
	uint8_t holder[64] = {0x52, (uint8_t)len};

	memcpy(link + 5, command, len);
	memcpy(holder + 2, command, len);
	assert_int_equal(with_bytes(42, command, len), want);
	assert_int_equal(with_bytes(21, link, 5 + len), want);
	assert_int_equal(with_bytes(40, holder, 2 + len), want);
}

static void test_command_past_its_bound(void **state)
{
	char command[COMMAND_MAX_BYTES + 1];

	memset(command, '\xff', sizeof(command));
	assert_command(WIRE_OK, command, 0);
	assert_command(WIRE_OK, command, COMMAND_MAX_BYTES);
	assert_command(WIRE_MALFORMED, command, COMMAND_MAX_BYTES + 1);
	assert_command(WIRE_MALFORMED, "a\0b", 3);
	assert_command(WIRE_MALFORMED, "a\0", 2);
}

static void test_holder_past_its_bounds(void **state)
{
	uint8_t holder[NODE_ID_MAX_BYTES + 3] = {0x5a};

	assert_int_equal(with_bytes(40, "", 0), WIRE_OK);
	memset(holder + 1, 'n', sizeof(holder) - 1);
	holder[1] = NODE_ID_MAX_BYTES;
	assert_int_equal(with_bytes(40, holder, NODE_ID_MAX_BYTES + 2), WIRE_OK);
	holder[1]++;
	assert_int_equal(with_bytes(40, holder, NODE_ID_MAX_BYTES + 3), WIRE_MALFORMED);
	assert_int_equal(with_bytes(40, "\x5a\x02n\0", 4), WIRE_MALFORMED);
	assert_int_equal(with_bytes(40, "\x40\x02", 2), WIRE_OK); /* kind: a name */
	assert_int_equal(with_bytes(40, "\x40\x03", 2), WIRE_MALFORMED);
	assert_int_equal(with_bytes(40, "\x48\x02", 2), WIRE_OK); /* mode: exclusive */
	assert_int_equal(with_bytes(40, "\x48\x03", 2), WIRE_MALFORMED);
}

/* A repeated field of a message, whose one element is encoded as `element`, up to `max` times. */
static void assert_at_most(const char *element, size_t element_len, int max)
{
	uint8_t message[8 * SURVEY_MAX] = {0x08, MESSAGE_REPLY};
	size_t len = 2;

	for (int i = 0; i <= max; i++) {
		memcpy(message + len, element, element_len);
		len += element_len;
		begin(WIRE_VERSION);
		put_bytes(5, message, len);
		assert_int_equal(decode_once(hand, hand_len), i < max ? WIRE_OK : WIRE_MALFORMED);
	}
}

static void test_listing_past_its_bound(void **state)
{
	assert_at_most("\x7a\x03\x0a\x01z", 5, LISTING_MAX); /* field 15: an entry called z */
}

static void test_links_past_their_bound(void **state)
{
	assert_at_most("\xaa\x01\x03\x0a\x01z", 6, LINKS_MAX); /* field 21: a link called z */
}

static void test_holders_past_their_bound(void **state)
{
	assert_at_most("\xc2\x02\x02\x08\x01", 5, HOLDERS_MAX); /* field 40: with a token */
}

static void test_a_survey_past_its_bound(void **state)
{
	assert_at_most("\x82\x03\x02\x08\x01", 5, SURVEY_MAX); /* field 48: with a token */
}

/* One of a survey, with `len` bytes of its field 16 (a name) or 17 (a node). */
static size_t put_surveyed(uint8_t *to, uint8_t tag, const char *bytes, size_t len)
{
	to[0] = tag;
	to[1] = 0x01; /* of fields from 16 on */
	to[2] = (uint8_t)(len & 0x7f) | 0x80;
	to[3] = (uint8_t)(len >> 7);
	memcpy(to + 4, bytes, len);
	return len + 4;
}

static void test_a_surveyed_lock_past_its_bounds(void **state)
{
	static char longest[SURVEY_NAME_MAX + 1];
	uint8_t surveyed[sizeof(longest) + 4];
	size_t len;

	memset(longest, '/', sizeof(longest)); /* whatever it is: it is only shown */
	len = put_surveyed(surveyed, 0x82, longest, SURVEY_NAME_MAX);
	assert_int_equal(with_bytes(48, surveyed, len), WIRE_OK);
	len = put_surveyed(surveyed, 0x82, longest, SURVEY_NAME_MAX + 1);
	assert_int_equal(with_bytes(48, surveyed, len), WIRE_MALFORMED);
	len = put_surveyed(surveyed, 0x82, "a\0b", 3);
	assert_int_equal(with_bytes(48, surveyed, len), WIRE_MALFORMED);
	len = put_surveyed(surveyed, 0x8a, longest, NODE_ID_MAX_BYTES);
	assert_int_equal(with_bytes(48, surveyed, len), WIRE_OK);
	len = put_surveyed(surveyed, 0x8a, longest, NODE_ID_MAX_BYTES + 1);
	assert_int_equal(with_bytes(48, surveyed, len), WIRE_MALFORMED);
	len = put_surveyed(surveyed, 0x8a, "a\0", 2);
	assert_int_equal(with_bytes(48, surveyed, len), WIRE_MALFORMED);
	assert_int_equal(with_bytes(48, "\x7a\x10sixteen bytes it", 18), WIRE_MALFORMED);
	assert_int_equal(with_bytes(48, "\x68\x02", 2), WIRE_OK); /* kind: a name */
	assert_int_equal(with_bytes(48, "\x68\x03", 2), WIRE_MALFORMED);
	assert_int_equal(with_bytes(48, "\x70\x02", 2), WIRE_OK); /* mode: exclusive */
	assert_int_equal(with_bytes(48, "\x70\x03", 2), WIRE_MALFORMED);
	assert_int_equal(with_bytes(48, "", 0), WIRE_OK);
}

/* Each may be that long, but not all: eight of 4095 bytes with their NULs are all there is room for. */
static void test_the_names_of_a_survey_past_their_bound(void **state)
{
	static char longest[SURVEY_NAME_MAX];
	static uint8_t surveyed[SURVEY_NAME_MAX + 4], message[WIRE_MAX_BYTES];
	const int most = SURVEY_NAMES_MAX / (SURVEY_NAME_MAX + 1);
	size_t len, message_len;

	memset(longest, 'n', sizeof(longest));
	len = put_surveyed(surveyed, 0x82, longest, SURVEY_NAME_MAX);
	hand_len = 0;
	put_number(1, MESSAGE_STATFS);
	for (int i = 0; i <= most; i++) {
		put_bytes(48, surveyed, len);
		message_len = hand_len;
		memcpy(message, hand, message_len);
		begin(WIRE_VERSION);
		put_bytes(5, message, message_len);
		assert_int_equal(decode_once(hand, hand_len), i < most ? WIRE_OK : WIRE_MALFORMED);
		memcpy(hand, message, message_len);
		hand_len = message_len;
	}
}

static void test_too_many_messages(void **state)
{
	const uint8_t statfs[] = {0x08, MESSAGE_STATFS};

	begin(WIRE_VERSION);
	for (int i = 0; i < PACKET_MAX_COUNT; i++)
		put_bytes(5, statfs, sizeof(statfs));
	assert_int_equal(decode_once(hand, hand_len), WIRE_OK);
	put_bytes(5, statfs, sizeof(statfs));
	assert_int_equal(decode_once(hand, hand_len), WIRE_OVERSIZED);
}

/* Filled up with a field that nobody knows. */
static void test_oversized_packet(void **state)
{
	static uint8_t filling[WIRE_MAX_BYTES];

	begin(WIRE_VERSION);
	put_bytes(99, filling, WIRE_MAX_BYTES - 8);
	assert_in_range(hand_len, WIRE_MAX_BYTES - 8, WIRE_MAX_BYTES);
	assert_int_equal(decode_once(hand, hand_len), WIRE_OK);
	begin(WIRE_VERSION);
	put_bytes(99, filling, WIRE_MAX_BYTES);
	assert_int_equal(decode_once(hand, hand_len), WIRE_OVERSIZED);
	assert_int_equal(decode_once(hand, WIRE_MAX_BYTES + 1), WIRE_OVERSIZED);
}

/* A later field of the same number would otherwise write past what the first one was given. */
static void test_field_twice(void **state)
{
	uint8_t message[] = {0x08, MESSAGE_LOOKUP, 0xfa, 0x01, 3,    'o', 'n', 'e', 0xfa, 0x01, 1,
			     'b',  0xf2,	   0x01, 2,    0x08, 5};
	struct packet p;

	begin(WIRE_VERSION);
	put_bytes(5, message, sizeof(message));
	assert_int_equal(wire_decode(wire, hand, hand_len, &p), WIRE_OK);
	assert_string_equal(p.messages[0]->name, "b");
	assert_int_equal(p.messages[0]->attr.ino, 5);
	packet_deinit(&p);
}

#define FEAR(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FEAR(test_another_version_is_misread),
		FEAR(test_rubbish_is_a_version),
		FEAR(test_unknown_kind_is_taken),
		FEAR(test_a_kind_changes_its_number),
		FEAR(test_enum_out_of_range),
		FEAR(test_number_past_its_width),
		FEAR(test_name_leaves_its_directory),
		FEAR(test_text_or_data_past_its_bound),
		FEAR(test_command_past_its_bound),
		FEAR(test_holder_past_its_bounds),
		FEAR(test_listing_past_its_bound),
		FEAR(test_links_past_their_bound),
		FEAR(test_holders_past_their_bound),
		FEAR(test_too_many_messages),
		FEAR(test_oversized_packet),
		FEAR(test_field_twice),
		FEAR(test_a_survey_past_its_bound),
		FEAR(test_a_surveyed_lock_past_its_bounds),
		FEAR(test_the_names_of_a_survey_past_their_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
