/* SPDX-License-Identifier: MIT */
/*
 * Text: names, commands and times as a terminal shows them. Names are bytes that anybody chose; what
 * is printed of them is made here, so that none breaks a line, a column or a terminal.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define TEXT_SPAN_BYTES 24

/* Once, at the start. What is no ASCII is printed as it is only in a UTF-8 locale. */
void text_init(void);

enum text_as {
	TEXT_WORD, /* white space and backslashes are escaped too: a field of a table */
	TEXT_LINE, /* blanks and backslashes stay */
};

/*
 * The bytes, with \ooo for control characters, for what is not UTF-8 and for characters that a
 * terminal does not show or that turn its text around. The caller frees it. Never NULL: without
 * memory dlock ends.
 */
char *text_escape(const char *bytes, size_t len, enum text_as as);

/* Columns of a terminal that an escaped text takes. */
size_t text_width(const char *text);

/* Shortens an escaped text to so many columns, at least 1, with a mark at its end. Takes it, and
 * returns what is then to be freed. */
char *text_cut(char *text, size_t width);

/* A time as people say it: 0.4s, 42s, 3m12s, 2h05m, 3d04h. Negative: 0.0s. */
void text_span(char out[TEXT_SPAN_BYTES], double seconds);

/* As strdup, printf and realloc, and end the program if there is no memory. */
char *text_dup(const char *text);
char *text_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *text_realloc(void *old, size_t size);

#endif
