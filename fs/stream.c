/* SPDX-License-Identifier: MIT */
#include "fs/stream.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 1024
#define MISSED_MAX sizeof("{\"event\":\"missed\",\"count\":18446744073709551615}\n")

void stream_deinit(struct stream *s)
{
	free(s->bytes);
	*s = (struct stream){0};
}

/* What has been read makes room. False: no memory, or too much is unread. */
static bool make_room(struct stream *s, size_t len)
{
	size_t unread = s->end - s->begin, room = s->room ? s->room : FIRST_ROOM;
	char *more;

	if (unread + len > STREAM_MAX_BYTES)
		return false;
	if (s->begin && s->end + len > s->room) {
		memmove(s->bytes, s->bytes + s->begin, unread);
		s->begin = 0;
		s->end = unread;
	}
	while (room < s->end + len)
		room *= 2;
	if (room == s->room)
		return true;
	more = realloc(s->bytes, room);
	if (!more)
		return false;
	s->bytes = more;
	s->room = room;
	return true;
}

static bool append(struct stream *s, const char *line, size_t len)
{
	if (!make_room(s, len))
		return false;
	memcpy(s->bytes + s->end, line, len);
	s->end += len;
	return true;
}

bool stream_add(struct stream *s, const char *line, size_t len)
{
	assert(len && line[len - 1] == '\n');
	if (!s->missed && append(s, line, len))
		return true;
	s->missed++;
	return false;
}

void stream_miss(struct stream *s, uint64_t count)
{
	s->missed += count;
}

bool stream_is_empty(const struct stream *s)
{
	return s->begin == s->end && !s->missed;
}

/* Without memory it stays for the next time. */
static void tell_missed(struct stream *s)
{
	char line[MISSED_MAX];
	int len = snprintf(line, sizeof(line), "{\"event\":\"missed\",\"count\":%" PRIu64 "}\n",
			   s->missed);

	if (append(s, line, (size_t)len))
		s->missed = 0;
}

size_t stream_peek(struct stream *s, size_t size, const char **bytes)
{
	const char *last;
	size_t len;

	assert(size > 1);
	if (s->begin == s->end && s->missed)
		tell_missed(s);
	len = s->end - s->begin;
	if (len > size - 1)
		len = size - 1;
	if (!len)
		return 0;
	*bytes = s->bytes + s->begin;
	last = memrchr(*bytes, '\n', len);
	return last ? (size_t)(last + 1 - *bytes) : len;
}

void stream_read(struct stream *s, size_t len)
{
	assert(len <= s->end - s->begin);
	s->begin += len;
	if (s->begin == s->end)
		s->begin = s->end = 0;
}
