/* SPDX-License-Identifier: MIT */
#include "fs/json_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/escape.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

bool json_text_is_utf8(const char *s)
{
	size_t len;

	for (; *s; s += len) {
		len = escape_utf8(s);
		if (!len)
			return false;
	}
	return true;
}

json_t *json_text(const char *s)
{
	char *text = malloc(strlen(s) * strlen(REPLACEMENT) + 1), *to = text;
	json_t *string;

	if (!text)
		return NULL;
	while (*s) {
		size_t len = escape_utf8(s);

		memcpy(to, len ? s : REPLACEMENT, len ? len : strlen(REPLACEMENT));
		to += len ? len : strlen(REPLACEMENT);
		s += len ? len : 1;
	}
	*to = '\0';
	string = json_string(text);
	free(text);
	return string;
}

json_t *json_text_hex(const char *s)
{
	char *text = malloc(2 * strlen(s) + 1);
	json_t *string;

	if (!text)
		return NULL;
	for (size_t i = 0; s[i]; i++)
		snprintf(text + 2 * i, 3, "%02x", (unsigned)(unsigned char)s[i]);
	string = json_string(text);
	free(text);
	return string;
}
