/* SPDX-License-Identifier: MIT */
/*
 * Any bytes are refused or decoded, and what was decoded keeps every bound: the encoder asserts
 * them, and its packet decodes to the same again.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "transport/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Encodes p, which must then decode, into memory of its own, for the wire keeps one packet only. */
static uint8_t *encode(struct wire *w, struct packet *p, size_t *len)
{
	const void *bytes;
	uint8_t *copy;

	wire_encode(w, p, &bytes, len);
	copy = malloc(*len);
	assert(copy);
	memcpy(copy, bytes, *len);
	packet_deinit(p);
	return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wire *w;
	struct packet p;
	uint8_t *once, *twice;
	size_t once_len, twice_len;
	enum wire_error error;

	if (!w)
		w = wire_new();
	assert(w);
	if (size > PACKET_MAX_BYTES) /* an odd encoding may come out longer, and past the bound */
		return 0;
	if (wire_decode(w, data, size, &p) != WIRE_OK)
		return 0;
	once = encode(w, &p, &once_len);
	error = wire_decode(w, once, once_len, &p);
	assert(error == WIRE_OK);
	twice = encode(w, &p, &twice_len);
	assert(once_len == twice_len && memcmp(once, twice, once_len) == 0);
	free(once);
	free(twice);
	return 0;
}
