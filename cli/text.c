/* SPDX-License-Identifier: MIT */
#include "cli/text.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define OCTAL_BYTES 4 /* \ooo */
#define CUT_UTF8    "\xe2\x80\xa6"
#define CUT_ASCII   "~"

static bool utf8;

void text_init(void)
{
	setlocale(LC_CTYPE, "");
	utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
}

/* ---- Memory ---- */

static void *or_end(void *memory)
{
	if (!memory) {
		fputs("dlock: out of memory\n", stderr);
		exit(1);
	}
	return memory;
}

char *text_dup(const char *text)
{
	return or_end(strdup(text));
}

char *text_printf(const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	return or_end(len < 0 ? NULL : text);
}

void *text_realloc(void *old, size_t size)
{
	return or_end(realloc(old, size ? size : 1));
}

/* ---- Characters ---- */

/* What turns text around or hides in it, though a locale may count it as printable. */
static bool is_deceptive(uint32_t c)
{
	return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0x061c || c == 0xfeff;
}

/* The length of the UTF-8 character at p, which has len bytes, and the character; 0: none. */
static size_t decode(const unsigned char *p, size_t len, uint32_t *c)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80	       ? 1
		   : (p[0] >> 5) == 6  ? 2
		   : (p[0] >> 4) == 14 ? 3
		   : (p[0] >> 3) == 30 ? 4
				       : 0;

	if (!n || n > len)
		return 0;
	*c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (p[i] & 0x3f);
	}
	if ((n > 1 && *c < least[n]) || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
		return 0;
	return n;
}

/* Whether a terminal shows the character in columns of its own. */
static bool shown(uint32_t c, enum text_as as)
{
	if (c < 0x80)
		return c >= ' ' && c != 0x7f && (as == TEXT_LINE || (c != ' ' && c != '\\'));
	if (!utf8 || is_deceptive(c) || (c >= 0x80 && c < 0xa0))
		return false;
	/* No-break and other spaces look like the end of a field. */
	if (as == TEXT_WORD && (c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
				c == 0x202f || c == 0x205f || c == 0x3000))
		return false;
	return wcwidth((wchar_t)c) >= 0;
}

char *text_escape(const char *bytes, size_t len, enum text_as as)
{
	const unsigned char *p = (const unsigned char *)bytes;
	char *out = text_realloc(NULL, len * OCTAL_BYTES + 1), *to = out;

	while (len) {
		uint32_t c = 0;
		size_t n = decode(p, len, &c);
		bool plain = n && shown(c, as);

		n = n ? n : 1;
		for (size_t i = 0; i < n; i++) {
			if (plain)
				*to++ = (char)p[i];
			else
				to += sprintf(to, "\\%03o", p[i]);
		}
		p += n;
		len -= n;
	}
	*to = '\0';
	return out;
}

/* The next character of an escaped text: its bytes, and its columns in *width. */
static size_t step(const char *text, size_t *width)
{
	uint32_t c = 0;
	size_t n = decode((const unsigned char *)text, strnlen(text, 4), &c);
	int columns = n > 1 && utf8 ? wcwidth((wchar_t)c) : 1;

	*width = columns > 0 ? (size_t)columns : 0;
	return n ? n : 1;
}

size_t text_width(const char *text)
{
	size_t sum = 0, width;

	while (*text) {
		text += step(text, &width);
		sum += width;
	}
	return sum;
}

char *text_cut(char *text, size_t width)
{
	const char *mark = utf8 ? CUT_UTF8 : CUT_ASCII;
	size_t at = 0, cut = 0, sum = 0, w;

	if (text_width(text) <= width)
		return text;
	while (text[at]) {
		size_t n = step(text + at, &w);

		if (sum + w > width - 1)
			break;
		sum += w;
		at += n;
		cut = at;
	}
	text = text_realloc(text, cut + strlen(mark) + 1);
	strcpy(text + cut, mark);
	return text;
}

/* ---- Times ---- */

void text_span(char out[TEXT_SPAN_BYTES], double seconds)
{
	const double most = 1e12; /* more is no time that anything lasted */
	unsigned long long s;

	if (!(seconds > 0))
		seconds = 0;
	if (seconds > most)
		seconds = most;
	s = (unsigned long long)seconds;
	if (seconds < 9.95)
		snprintf(out, TEXT_SPAN_BYTES, "%.1fs", seconds);
	else if (s < 60)
		snprintf(out, TEXT_SPAN_BYTES, "%llus", s < 10 ? 10 : s);
	else if (s < 3600)
		snprintf(out, TEXT_SPAN_BYTES, "%llum%02llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, TEXT_SPAN_BYTES, "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		snprintf(out, TEXT_SPAN_BYTES, "%llud%02lluh", s / 86400, s / 3600 % 24);
}
