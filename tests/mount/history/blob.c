/* SPDX-License-Identifier: MIT */
/* Contents of files, each kept once, so that a state of the model is small and two are compared by
 * numbers. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

#include "history.h"

struct blob {
	UT_hash_handle hh;
	uint32_t number;
	bool kept;
	size_t len;
	unsigned char bytes[];
};

static struct blob *blobs;	/* by content */
static struct blob **by_number; /* from 1 */
static uint32_t numbers, room;
static uint32_t *unused; /* numbers to be had again */
static uint32_t unused_count;

static uint32_t new_number(void)
{
	if (unused_count)
		return unused[--unused_count];
	if (numbers + 1 >= room) {
		room = room ? room * 2 : 1024;
		by_number = realloc(by_number, room * sizeof(*by_number));
		unused = realloc(unused, room * sizeof(*unused));
		if (!by_number || !unused)
			abort();
	}
	return ++numbers;
}

uint32_t blob_of(const void *bytes, size_t len)
{
	struct blob *b;

	if (!len)
		return 0;
	HASH_FIND(hh, blobs, bytes, len, b);
	if (b)
		return b->number;
	b = calloc(1, sizeof(*b) + len);
	if (!b)
		abort();
	memcpy(b->bytes, bytes, len);
	b->len = len;
	b->number = new_number();
	by_number[b->number] = b;
	HASH_ADD_KEYPTR(hh, blobs, b->bytes, len, b);
	return b->number;
}

const unsigned char *blob_bytes(uint32_t blob, size_t *len)
{
	if (!blob) {
		*len = 0;
		return (const unsigned char *)"";
	}
	assert(blob <= numbers && by_number[blob]);
	*len = by_number[blob]->len;
	return by_number[blob]->bytes;
}

static unsigned char scratch[LOCAL_LIMIT];

/* Into scratch, cut or filled up to this size. */
static void load(uint32_t blob, size_t size)
{
	size_t len;
	const unsigned char *bytes = blob_bytes(blob, &len);

	assert(size <= sizeof(scratch));
	memcpy(scratch, bytes, len < size ? len : size);
	if (len < size)
		memset(scratch + len, 0, size - len);
}

uint32_t blob_write(uint32_t blob, size_t at, uint32_t what)
{
	size_t len, size, what_len;
	const unsigned char *bytes = blob_bytes(what, &what_len);

	blob_bytes(blob, &len);
	size = at + what_len > len ? at + what_len : len;
	load(blob, size);
	memcpy(scratch + at, bytes, what_len);
	return blob_of(scratch, size);
}

uint32_t blob_resize(uint32_t blob, size_t size)
{
	load(blob, size);
	return blob_of(scratch, size);
}

uint32_t blob_slice(uint32_t blob, size_t at, size_t len)
{
	size_t size;
	const unsigned char *bytes = blob_bytes(blob, &size);

	if (at >= size)
		return 0;
	return blob_of(bytes + at, len < size - at ? len : size - at);
}

void blob_keep(uint32_t blob)
{
	if (blob)
		by_number[blob]->kept = true;
}

void blob_sweep(void)
{
	struct blob *b, *next;

	HASH_ITER (hh, blobs, b, next) {
		if (b->kept) {
			b->kept = false;
			continue;
		}
		HASH_DEL(blobs, b);
		by_number[b->number] = NULL;
		unused[unused_count++] = b->number;
		free(b);
	}
}
