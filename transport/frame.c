/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "transport/frame.h"
#include "transport/wire.h"

#define WORD_BYTES    4
#define WORDS_MAX     8 /* devices between two ends add words; nng takes no more either */
#define LENGTH_BYTES  8
#define REQUEST_ID    0x80 /* the first byte of our word; the last one is 1 */
#define IPC_MESSAGE   1
#define MESSAGE_BYTES (WIRE_MAX_BYTES + WORD_BYTES)

static void put_number(uint8_t *to, size_t len, uint64_t number)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)(number >> (8 * (len - 1 - i)));
}

static uint64_t get_number(const uint8_t *from, size_t len)
{
	uint64_t number = 0;

	for (size_t i = 0; i < len; i++)
		number = number << 8 | from[i];
	return number;
}

void frame_hello(uint8_t hello[FRAME_HELLO_BYTES], enum frame_protocol self)
{
	const uint8_t bytes[FRAME_HELLO_BYTES] = {0, 'S', 'P', 0, 0, (uint8_t)self, 0, 0};

	memcpy(hello, bytes, sizeof(bytes));
}

size_t frame_head(uint8_t head[FRAME_HEAD_MAX], bool is_ipc, size_t len)
{
	uint8_t *at = head;

	if (is_ipc)
		*at++ = IPC_MESSAGE;
	put_number(at, LENGTH_BYTES, WORD_BYTES + (uint64_t)len);
	at += LENGTH_BYTES;
	put_number(at, WORD_BYTES, (uint64_t)REQUEST_ID << 24 | 1);
	return (size_t)(at + WORD_BYTES - head);
}

void reader_init(struct reader *r, enum frame_protocol peer, bool is_ipc)
{
	r->peer = peer;
	r->is_ipc = is_ipc;
	r->has_hello = false;
	r->parcel = NULL;
	r->got = r->start = r->end = 0;
}

void reader_deinit(struct reader *r)
{
	free(r->parcel);
}

/* The rest of a message that is begun first, then whatever may come behind it. */
int reader_room(struct reader *r, struct iovec iov[READER_IOVS])
{
	int count = 0;

	if (r->start > 0) { /* a piece of a head, a few bytes */
		memmove(r->buffer, r->buffer + r->start, r->end - r->start);
		r->end -= r->start;
		r->start = 0;
	}
	if (r->parcel) {
		assert(r->end == 0 && r->got < r->parcel->len);
		iov[count++] = (struct iovec){r->parcel->bytes + r->got, r->parcel->len - r->got};
	}
	iov[count++] = (struct iovec){r->buffer + r->end, sizeof(r->buffer) - r->end};
	return count;
}

void reader_filled(struct reader *r, size_t len)
{
	size_t direct = 0;

	if (r->parcel) {
		direct = r->parcel->len - r->got;
		direct = len < direct ? len : direct;
		r->got += direct;
	}
	r->end += len - direct;
	assert(r->end <= sizeof(r->buffer));
}

static enum reader_result take_hello(struct reader *r)
{
	uint8_t want[FRAME_HELLO_BYTES];

	if (r->end - r->start < sizeof(want))
		return READER_MORE;
	frame_hello(want, r->peer);
	if (memcmp(r->buffer + r->start, want, sizeof(want)) != 0)
		return READER_GARBAGE;
	r->start += sizeof(want);
	r->has_hello = true;
	return READER_HELLO;
}

/* READER_MESSAGE: the parcel is begun. */
static enum reader_result take_head(struct reader *r)
{
	size_t kind = r->is_ipc ? 1 : 0;
	const uint8_t *at = r->buffer + r->start;
	uint64_t len;

	if (r->end - r->start < kind + LENGTH_BYTES)
		return READER_MORE;
	if (r->is_ipc && at[0] != IPC_MESSAGE)
		return READER_GARBAGE;
	len = get_number(at + kind, LENGTH_BYTES);
	if (len < WORD_BYTES)
		return READER_GARBAGE;
	if (len > MESSAGE_BYTES)
		return READER_OVERSIZED;
	r->parcel = parcel_new((size_t)len);
	if (!r->parcel)
		return READER_NO_MEMORY;
	r->got = 0;
	r->start += kind + LENGTH_BYTES;
	return READER_MESSAGE;
}

/* Leaves what is behind the words as the parcel's message. */
static bool strip_words(struct parcel *p)
{
	for (size_t i = 0; i < WORDS_MAX && p->len - p->start >= WORD_BYTES; i++) {
		bool is_last = p->bytes[p->start] & 0x80;

		p->start += WORD_BYTES;
		if (is_last)
			return true;
	}
	return false;
}

static void fill_from_buffer(struct reader *r)
{
	size_t len = r->parcel->len - r->got;

	len = r->end - r->start < len ? r->end - r->start : len;
	memcpy(r->parcel->bytes + r->got, r->buffer + r->start, len);
	r->got += len;
	r->start += len;
}

enum reader_result reader_next(struct reader *r, struct parcel **out)
{
	enum reader_result result;

	if (!r->has_hello)
		return take_hello(r);
	if (!r->parcel) {
		result = take_head(r);
		if (result != READER_MESSAGE)
			return result;
	}
	fill_from_buffer(r);
	if (r->got < r->parcel->len)
		return READER_MORE;
	if (!strip_words(r->parcel))
		return READER_GARBAGE;
	*out = r->parcel;
	r->parcel = NULL;
	return READER_MESSAGE;
}
