/* SPDX-License-Identifier: MIT */
/*
 * Stream: lines that wait for a reader, as many as there is room for. It knows no FUSE.
 *
 * A reader gets whole lines, as many as fit. What comes when there is no room is counted; the reader
 * finds one line that says so behind those he has not read, and then what comes after he has read
 * that.
 */
#ifndef FS_STREAM_H
#define FS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of one reader, unread: some thousand lines. */
#define STREAM_MAX_BYTES (256 * 1024)

/* All zero: empty. */
struct stream {
	char *bytes;
	size_t begin, end, room;
	uint64_t missed; /* after those lines */
};

void stream_deinit(struct stream *s);

/* The line has its newline. Without memory or room it is missed: false. */
bool stream_add(struct stream *s, const char *line, size_t len);
void stream_miss(struct stream *s, uint64_t count);
bool stream_is_empty(const struct stream *s);

/*
 * What a reader with a buffer of this size gets next: *bytes is the stream's until its next call. It
 * leaves a byte of the buffer free, so that the kernel does not take a read for the first part of a
 * longer one. A line that does not fit goes on in the next read. 0: nothing is there.
 */
size_t stream_peek(struct stream *s, size_t size, const char **bytes);
/* So much of it has reached the reader. */
void stream_read(struct stream *s, size_t len);

#endif
