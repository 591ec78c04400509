/* SPDX-License-Identifier: MIT */
/* Names that may be any bytes, in JSON, which is UTF-8. */
#ifndef FS_JSON_TEXT_H
#define FS_JSON_TEXT_H

#include <stdbool.h>

#include <jansson.h>

/* ASCII alone, in one line, with as many decimals as a number has. */
#define JSON_TEXT_FLAGS (JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15))

bool json_text_is_utf8(const char *s);
/* With U+FFFD for each byte that is no part of a character. NULL: no memory. */
json_t *json_text(const char *s);
/* All its bytes, in hexadecimal digits. NULL: no memory. */
json_t *json_text_hex(const char *s);

#endif
