/* SPDX-License-Identifier: MIT */
/*
 * Locks and waiters as JSON, of ASCII alone: one object, in which every lock and waiter has a line of
 * its own.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/json_text.h"
#include "fs/survey.h"
#include "lockcore/moment.h"

/* An object that lacks something for want of memory becomes NULL. */
static void set(json_t **object, const char *key, json_t *value)
{
	if (!*object) {
		json_decref(value);
	} else if (json_object_set_new(*object, key, value) < 0) {
		json_decref(*object);
		*object = NULL;
	}
}

/* A text that may be any bytes; if it is not UTF-8 its bytes stand beside it, under key_hex. */
static void set_text(json_t **object, const char *key, const char *key_hex, const char *s)
{
	set(object, key, json_text(s));
	if (!json_text_is_utf8(s))
		set(object, key_hex, json_text_hex(s));
}

/* To a thousandth. */
static json_t *seconds(int64_t ns)
{
	return json_real((double)(ns / NS_PER_MS) / 1000);
}

/* What locks and waiters have in common, in the order that is documented. */
static void set_who(json_t **object, const struct surveyed *what)
{
	set(object, "kind", json_string(survey_kind(what)));
	set(object, "mode", json_string(survey_mode(what)));
	if (what->kind == HOLDER_RANGE) {
		set(object, "start", json_integer(what->start));
		set(object, "length",
		    json_integer(what->end == RANGE_END ? 0 : what->end - what->start + 1));
	}
	set(object, "node", json_text(what->node));
	set(object, "pid", json_integer(what->pid));
	set(object, "uid", json_integer(what->uid));
	set_text(object, "command", "command_hex", what->command);
	set(object, "age", seconds(what->age_ns));
}

static void set_token(json_t **object, const struct surveyed *lock)
{
	char token[24];

	snprintf(token, sizeof(token), "%" PRIu64, lock->token);
	set(object, "token", json_string(token));
}

static json_t *lock_json(const struct survey *s, const struct surveyed *lock)
{
	json_t *object = json_object();

	set_text(&object, "name", "name_hex", lock->name);
	set_who(&object, lock);
	set(&object, "left", seconds(lock->left_ns));
	set(&object, "left_of", json_string(lock->flags & SURVEYED_TTL ? "ttl" : "lease"));
	set_token(&object, lock);
	set(&object, "waiters", json_integer((json_int_t)survey_waiting_for(s, lock)));
	set(&object, "inode", json_integer((json_int_t)lock->ino));
	set(&object, "removed", json_boolean(lock->flags & SURVEYED_REMOVED));
	return object;
}

static json_t *waiter_json(const struct surveyed *waiter, size_t place)
{
	json_t *object = json_object();

	set_text(&object, "name", "name_hex", waiter->name);
	set(&object, "place", json_integer((json_int_t)place));
	set_who(&object, waiter);
	set(&object, "inode", json_integer((json_int_t)waiter->ino));
	return object;
}

static json_t *event_json(const char *event, const struct surveyed *what)
{
	json_t *object = json_object();

	set(&object, "event", json_string(event));
	set_text(&object, "name", "name_hex", what->name);
	set_who(&object, what);
	if (what->token)
		set_token(&object, what);
	set(&object, "inode", json_integer((json_int_t)what->ino));
	if (what->token)
		set(&object, "removed", json_boolean(what->flags & SURVEYED_REMOVED));
	return object;
}

char *survey_event(const char *event, const struct surveyed *what)
{
	json_t *object = event_json(event, what);
	char *text = object ? json_dumps(object, JSON_TEXT_FLAGS) : NULL;
	char *line = text ? malloc(strlen(text) + 2) : NULL;

	if (line)
		strcat(strcpy(line, text), "\n");
	free(text);
	json_decref(object);
	return line;
}

static int write_object(json_t *object, bool first, FILE *to)
{
	int failed;

	fputs(first ? "\n" : ",\n", to);
	failed = json_dumpf(object, to, JSON_TEXT_FLAGS);
	json_decref(object);
	return failed ? -ENOMEM : 1;
}

int survey_json(const struct fs *fs, const struct survey *s, size_t piece, FILE *to)
{
	const size_t locks = survey_locks(s), waiters = survey_waiters(s);
	const struct surveyed *waiter;
	size_t place;

	if (piece == 0) {
		fputs("{\"version\":1,\n\"locks\":[", to);
	} else if (piece <= locks) {
		return write_object(lock_json(s, survey_lock(s, piece - 1)), piece == 1, to);
	} else if (piece == locks + 1) {
		fputs("],\n\"waiters\":[", to);
	} else if (piece <= locks + 1 + waiters) {
		waiter = survey_waiter(s, piece - locks - 2, &place);
		return write_object(waiter_json(waiter, place), piece == locks + 2, to);
	} else if (piece == locks + 2 + waiters) {
		fputs("]}\n", to);
	} else {
		return 0;
	}
	return 1;
}
