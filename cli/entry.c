/* SPDX-License-Identifier: MIT */
#include "cli/entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"

const char *entry_text(const json_t *e, const char *field)
{
	const char *text = json_string_value(json_object_get(e, field));

	return text ? text : "";
}

long long entry_number(const json_t *e, const char *field)
{
	return json_integer_value(json_object_get(e, field));
}

double entry_real(const json_t *e, const char *field)
{
	return json_number_value(json_object_get(e, field));
}

/* ---- Bytes ---- */

static int nibble(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* NULL: not hexadecimal. */
static char *from_hex(const char *hex, size_t *len)
{
	size_t n = strlen(hex) / 2;
	char *bytes = text_realloc(NULL, n + 1);

	for (size_t i = 0; i < n; i++) {
		int high = nibble(hex[2 * i]), low = nibble(hex[2 * i + 1]);

		if (high < 0 || low < 0) {
			free(bytes);
			return NULL;
		}
		bytes[i] = (char)(high << 4 | low);
	}
	bytes[n] = '\0';
	*len = n;
	return bytes;
}

char *entry_bytes(const json_t *e, const char *field, size_t *len)
{
	char *hex_field = text_printf("%s_hex", field);
	const char *hex = json_string_value(json_object_get(e, hex_field));
	char *bytes = hex ? from_hex(hex, len) : NULL;

	free(hex_field);
	if (bytes)
		return bytes;
	bytes = text_dup(entry_text(e, field));
	*len = strlen(bytes);
	return bytes;
}

char *entry_word(const json_t *e, const char *field)
{
	size_t len;
	char *bytes = entry_bytes(e, field, &len);
	char *word = text_escape(bytes, len, TEXT_WORD);

	free(bytes);
	return word;
}

bool entry_is(const json_t *e, const char *name)
{
	size_t len;
	char *bytes = entry_bytes(e, "name", &len);
	bool same = len == strlen(name) && !memcmp(bytes, name, len);

	free(bytes);
	return same;
}

/* ---- Several fields in one ---- */

char *entry_holder(const json_t *e)
{
	char *node = entry_word(e, "node"), *command = entry_word(e, "command");
	char *text = text_printf("%s:%lld%s%s", node, entry_number(e, "pid"), *command ? " " : "",
				 command);

	free(node);
	free(command);
	return text;
}

char *entry_range(const json_t *e)
{
	unsigned long long start = (unsigned long long)entry_number(e, "start");
	unsigned long long length = (unsigned long long)entry_number(e, "length");

	if (!json_object_get(e, "start"))
		return text_dup("-");
	if (!start && !length)
		return text_dup("all");
	if (!length)
		return text_printf("%llu-", start);
	return text_printf("%llu-%llu", start, start + length - 1);
}
