/* SPDX-License-Identifier: MIT */
/*
 * Survey: all locks, held names and waiters of the cluster, or of a file, gathered from the master page
 * by page, and told as text. It knows no FUSE.
 *
 *	s = survey_new(ino);
 *	do {
 *		survey_request(s, &m);  … the reply to it …  survey_add(s, reply);
 *	} while (!survey_is_done(s));
 *	for (piece = 0; survey_json(fs, s, piece, to); piece++)
 *		;
 *	survey_free(s);
 *
 *	survey.c        gathering
 *	survey_table.c  as tables for people, and programs that split lines
 *	survey_json.c   as JSON
 */
#ifndef FS_SURVEY_H
#define FS_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lockcore/message.h"

/* Of all surveys together, as they lie in memory: more than a million locks with short names. */
#define SURVEYS_MAX_BYTES (UINT64_C(512) << 20)

#define SURVEY_COLUMNS_MAX 11

struct fs;
struct survey;

/* Of a file, or with ino 0 of the cluster. NULL: no memory. */
struct survey *survey_new(uint64_t ino);
void survey_free(struct survey *s);

/* The request for the first page, or the next. */
void survey_request(const struct survey *s, struct message *m);
/*
 * Takes the reply to it, which stays the caller's. If the master has changed since the first page all
 * begins anew. False: no memory for it, or more than there may be.
 */
bool survey_add(struct survey *s, const struct message *page);
bool survey_is_done(const struct survey *s);

/* Locks and held names, and waiters, each in the order in which the master told them. */
size_t survey_locks(const struct survey *s);
const struct surveyed *survey_lock(const struct survey *s, size_t i);
size_t survey_waiters(const struct survey *s);
/* *place: 1 is next in line. */
const struct surveyed *survey_waiter(const struct survey *s, size_t i, size_t *place);
/* Those who wait for such a lock in its file; of a held name, for any lock in it. */
size_t survey_waiting_for(const struct survey *s, const struct surveyed *lock);
/* Of the columns of the tables, the last excepted, so that they line up. */
const size_t *survey_widths(const struct survey *s, bool waiters);

/* ---- As text, in pieces of a line: control.h, struct control_file.text ---- */

int survey_table_locks(const struct fs *fs, const struct survey *s, size_t piece, FILE *to);
int survey_table_waiters(const struct fs *fs, const struct survey *s, size_t piece, FILE *to);
int survey_json(const struct fs *fs, const struct survey *s, size_t piece, FILE *to);

/*
 * What has become of a lock, a held name or a wait, as a line for the caller to free(3): an object with
 * the event, and what survey_json has of it but for the rest of its time and those who wait. NULL: no
 * memory.
 */
char *survey_event(const char *event, const struct surveyed *what);

/* survey_table.c, for survey.c: widens the columns for a waiter (place not 0), or for a lock. */
void survey_table_widen(size_t widths[SURVEY_COLUMNS_MAX], const struct surveyed *what,
			size_t place);

/* "held", "flock" or "fcntl"; "exclusive" or "shared". */
const char *survey_kind(const struct surveyed *what);
const char *survey_mode(const struct surveyed *what);

#endif
