/* SPDX-License-Identifier: MIT */
/* Fears about frames: that it matters how a stream is cut into reads, and what rubbish does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transport/frame.h"
#include "transport/wire.h"

static uint8_t stream[64 * 1024 + 2 * WIRE_MAX_BYTES];
static size_t stream_len;

static void put(const void *bytes, size_t len)
{
	assert_true(stream_len + len <= sizeof(stream));
	memcpy(stream + stream_len, bytes, len);
	stream_len += len;
}

static void begin(void)
{
	stream_len = FRAME_HELLO_BYTES;
	frame_hello(stream, FRAME_REQ);
}

static void put_message(bool is_ipc, const void *bytes, size_t len)
{
	uint8_t head[FRAME_HEAD_MAX];

	put(head, frame_head(head, is_ipc, len));
	put(bytes, len);
}

/* Gives the reader up to len more bytes of the stream, as readv would. */
static size_t feed(struct reader *r, const uint8_t *bytes, size_t len)
{
	struct iovec iov[READER_IOVS];
	int count = reader_room(r, iov);
	size_t done = 0;

	for (int i = 0; i < count && done < len; i++) {
		size_t part = iov[i].iov_len < len - done ? iov[i].iov_len : len - done;

		memcpy(iov[i].iov_base, bytes + done, part);
		done += part;
	}
	reader_filled(r, done);
	return done;
}

struct outcome {
	enum reader_result last;
	uint32_t hash; /* of all messages' bytes and ends */
	size_t hellos, messages, bytes;
};

static void add_message(struct outcome *o, struct parcel *p)
{
	assert_true(p->start <= p->len);
	for (size_t i = p->start; i < p->len; i++)
		o->hash = o->hash * 31 + p->bytes[i];
	o->hash = o->hash * 31 + 257;
	o->bytes += p->len - p->start;
	o->messages++;
	free(p);
}

static struct outcome read_stream(bool is_ipc, size_t step)
{
	struct outcome o = {.last = READER_MORE};
	struct parcel *p;
	struct reader r;
	size_t at = 0;

	reader_init(&r, FRAME_REQ, is_ipc);
	while (o.last == READER_MORE && at < stream_len) {
		size_t rest = stream_len - at;

		at += feed(&r, stream + at, step < rest ? step : rest);
		do {
			o.last = reader_next(&r, &p);
			o.hellos += o.last == READER_HELLO;
			if (o.last == READER_MESSAGE)
				add_message(&o, p);
		} while (o.last == READER_HELLO || o.last == READER_MESSAGE);
	}
	reader_deinit(&r);
	return o;
}

static void assert_any_step(bool is_ipc)
{
	static uint8_t big[3 * READER_BUFFER_BYTES];
	struct outcome whole;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7);
	begin();
	put_message(is_ipc, "", 0);
	put_message(is_ipc, "a", 1);
	put_message(is_ipc, big, sizeof(big));
	put_message(is_ipc, "bc", 2);
	put_message(is_ipc, big, READER_BUFFER_BYTES);
	whole = read_stream(is_ipc, SIZE_MAX);
	assert_int_equal(whole.last, READER_MORE);
	assert_int_equal(whole.hellos, 1);
	assert_int_equal(whole.messages, 5);
	assert_int_equal(whole.bytes, sizeof(big) + READER_BUFFER_BYTES + 3);
	for (size_t step = 1; step < 70; step++) {
		struct outcome o = read_stream(is_ipc, step);

		assert_memory_equal(&o, &whole, sizeof(o));
	}
}

static void test_cut_matters(void **state)
{
	assert_any_step(false);
	assert_any_step(true);
}

static void test_wrong_hello(void **state)
{
	for (size_t i = 0; i < FRAME_HELLO_BYTES; i++) {
		begin();
		stream[i] ^= 1;
		assert_int_equal(read_stream(false, SIZE_MAX).last, READER_GARBAGE);
	}
}

static void put_length(uint64_t len)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(len >> (56 - 8 * i));
	put(bytes, sizeof(bytes));
}

static enum reader_result after_length(uint64_t len)
{
	begin();
	put_length(len);
	return read_stream(false, 3).last;
}

static void test_length_is_believed(void **state)
{
	assert_int_equal(after_length(WIRE_MAX_BYTES + 4), READER_MORE);
	assert_int_equal(after_length(WIRE_MAX_BYTES + 5), READER_OVERSIZED);
	assert_int_equal(after_length(UINT64_MAX), READER_OVERSIZED);
	assert_int_equal(after_length(4), READER_MORE);
	for (uint64_t len = 0; len < 4; len++)
		assert_int_equal(after_length(len), READER_GARBAGE);
}

static enum reader_result with_words(size_t count, bool has_end, size_t message)
{
	static const uint8_t word[4] = {0x7f}, last[4] = {0x80}, rest[64];

	begin();
	put_length(4 * count + message);
	for (size_t i = 0; i < count; i++)
		put(has_end && i + 1 == count ? last : word, 4);
	put(rest, message);
	return read_stream(false, SIZE_MAX).last;
}

static void test_words_never_end(void **state)
{
	assert_int_equal(with_words(1, true, 5), READER_MORE);
	assert_int_equal(with_words(8, true, 5), READER_MORE);
	assert_int_equal(with_words(9, true, 5), READER_GARBAGE);
	assert_int_equal(with_words(16, false, 0), READER_GARBAGE);
	assert_int_equal(with_words(2, false, 1), READER_GARBAGE);
}

static void test_ipc_kind_is_ignored(void **state)
{
	begin();
	put_message(true, "x", 1);
	stream[FRAME_HELLO_BYTES] = 2;
	assert_int_equal(read_stream(true, SIZE_MAX).last, READER_GARBAGE);
}

static uint32_t random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void test_flipped_bits_do_harm(void **state)
{
	uint32_t seed = 2463534242;

	for (int round = 0; round < 20000; round++) {
		bool is_ipc = round % 2;

		begin();
		for (size_t i = 0; i < 5; i++)
			put_message(is_ipc, "some message", i * 3);
		for (size_t i = 0; i < 3; i++)
			stream[FRAME_HELLO_BYTES + random_next(&seed) % (stream_len - 8)] ^=
				(uint8_t)(1u << random_next(&seed) % 8);
		read_stream(is_ipc, 1 + random_next(&seed) % 40);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_matters),
		cmocka_unit_test(test_wrong_hello),
		cmocka_unit_test(test_length_is_believed),
		cmocka_unit_test(test_words_never_end),
		cmocka_unit_test(test_ipc_kind_is_ignored),
		cmocka_unit_test(test_flipped_bits_do_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
