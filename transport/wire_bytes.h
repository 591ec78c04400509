/* SPDX-License-Identifier: MIT */
/* Strings that nanopb keeps in place, in arrays of their own; for wire*.c alone. */
#ifndef TRANSPORT_WIRE_BYTES_H
#define TRANSPORT_WIRE_BYTES_H

#include <assert.h>
#include <string.h>

/* Into and out of a field of nanopb's for bytes that are kept in place. */
#define BYTES_OUT(to, from)                                                                        \
	do {                                                                                       \
		(to).size = (pb_size_t)strlen(from);                                               \
		memcpy((to).bytes, from, (to).size);                                               \
	} while (0)
#define BYTES_IN(to, from)                                                                         \
	do {                                                                                       \
		assert((from).size < sizeof(to));                                                  \
		memcpy(to, (from).bytes, (from).size);                                             \
		(to)[(from).size] = '\0';                                                          \
	} while (0)
/* A NUL inside would hide what follows; and nanopb, which rounds its arrays up, takes a byte more
 * than it was told to. */
#define ARE_SOUND(from, max) ((from).size <= (max) && !memchr((from).bytes, '\0', (from).size))

#endif
