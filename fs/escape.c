/* SPDX-License-Identifier: MIT */
#include "fs/escape.h"

#include <stdbool.h>
#include <stdint.h>

#define ESCAPED_BYTE 4 /* \ooo */

/* ---- UTF-8 (RFC 3629) ---- */

/* How many bytes a character with this first byte has, and what it contributes; 0: it is no first
 * byte. */
static size_t sequence(unsigned char first, uint32_t *code)
{
	static const struct {
		unsigned char mask, is;
	} firsts[] = {{0x80, 0x00}, {0xe0, 0xc0}, {0xf0, 0xe0}, {0xf8, 0xf0}};

	for (size_t i = 0; i < sizeof(firsts) / sizeof(*firsts); i++) {
		if ((first & firsts[i].mask) != firsts[i].is)
			continue;
		*code = first & (unsigned char)~firsts[i].mask;
		return i + 1;
	}
	return 0;
}

/* Neither longer than need be, nor half of a pair of UTF-16, nor beyond Unicode. */
static bool is_code(uint32_t code, size_t len)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

	return code >= least[len] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

/* As escape_utf8, and which character it is. */
static size_t decode(const char *s, uint32_t *code)
{
	size_t len = sequence((unsigned char)s[0], code);

	for (size_t i = 1; i < len; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0; /* the NUL too */
		*code = *code << 6 | ((unsigned char)s[i] & 0x3f);
	}
	return len && is_code(*code, len) ? len : 0;
}

size_t escape_utf8(const char *s)
{
	uint32_t code;

	return decode(s, &code);
}

/* ---- Escaping ---- */

static bool is_plain(uint32_t code)
{
	static const struct {
		uint32_t from, to;
	} others[] = {
		{0x00, 0x20},	  {'\\', '\\'},	    {0x7f, 0xa0},     {0xad, 0xad},
		{0x1680, 0x1680}, {0x180e, 0x180e}, {0x2000, 0x200f}, {0x2028, 0x202f},
		{0x205f, 0x206f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (code >= others[i].from && code <= others[i].to)
			return false;
	return true;
}

/* The bytes at s that are written alike, and whether as they are. */
static size_t next(const char *s, bool *plain)
{
	uint32_t code;
	size_t len = decode(s, &code);

	*plain = len && is_plain(code);
	return len ? len : 1;
}

size_t escape_width(const char *s)
{
	size_t width = 0, len;
	bool plain;

	for (; *s; s += len) {
		len = next(s, &plain);
		width += plain ? 1 : len * ESCAPED_BYTE;
	}
	return width;
}

void escape_write(const char *s, FILE *to)
{
	size_t len;
	bool plain;

	for (; *s; s += len) {
		len = next(s, &plain);
		if (plain)
			fwrite(s, 1, len, to);
		for (size_t i = 0; !plain && i < len; i++)
			fprintf(to, "\\%03o", (unsigned)(unsigned char)s[i]);
	}
}
