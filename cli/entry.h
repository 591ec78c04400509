/* SPDX-License-Identifier: MIT */
/*
 * Entry: a lock, a waiter or an event, as .dlock/ gives them in JSON. What a field should be and is
 * not, is "" or 0. Texts that are returned belong to the caller, unless const.
 */
#ifndef CLI_ENTRY_H
#define CLI_ENTRY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

const char *entry_text(const json_t *e, const char *field);
long long entry_number(const json_t *e, const char *field);
double entry_real(const json_t *e, const char *field);

/* A name or command as bytes, which need not be UTF-8; NUL after them. */
char *entry_bytes(const json_t *e, const char *field, size_t *len);
/* The same, escaped as a field of a table. */
char *entry_word(const json_t *e, const char *field);

/* The entry is of the lock of this name. */
bool entry_is(const json_t *e, const char *name);

/* "a:71 flock", escaped. */
char *entry_holder(const json_t *e);
/* "all", "10-19", "10-": the range of an fcntl lock; "-" for others. */
char *entry_range(const json_t *e);

#endif
