/* SPDX-License-Identifier: MIT */
/*
 * What the table's tests share: a fresh table per test, checked and freed afterwards, and short
 * words for long structs.
 *
 * By custom client c has its handle number c, so that a test reads as "client 1, client 2".
 */
#ifndef TESTS_TABLE_FIXTURE_H
#define TESTS_TABLE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lockcore/table.h"

#define FIXTURE_EPOCH	UINT64_C(3)
#define FIXTURE_IDLE_NS (60 * NS_PER_SEC)
#define FIXTURE_PID	1001
#define EARLIER_EPOCH	(UINT64_C(2) << TABLE_EPOCH_SHIFT) /* for what an earlier master gave out */

#define assert_ok(call) assert_int_equal(call, STATUS_OK)

/* *state is a struct table of FIXTURE_EPOCH. */
int table_setup(void **state);
int table_teardown(void **state);
#define TABLE_TEST(f) cmocka_unit_test_setup_teardown(f, table_setup, table_teardown)

/* Seconds after boot; the wall clock runs elsewhere, so that a mix-up shows. */
struct moment at(int64_t seconds);

/* A request of client 1, handle 1 for this name; change what differs. */
struct table_make make_of(const char *name, uint32_t flags);
/* Makes a plain file for client 1, handle 1. Returns its inode number. */
uint64_t plain_file(struct table *t, const char *name);
/* Makes a file that the client holds, with the handle. */
uint64_t held_file(struct table *t, uint64_t client, uint64_t handle, const char *name);
/* What the client makes in a directory, held; and a directory and a file, not open, made so. */
struct table_make make_in(uint64_t client, uint64_t parent, const char *name);
uint64_t dir_in(struct table *t, uint64_t client, uint64_t parent, const char *name);
uint64_t file_in(struct table *t, uint64_t client, uint64_t parent, const char *name);
/* Opens the file for this client with the handle of its number. */
void opened_by(struct table *t, uint64_t ino, uint64_t client);
bool exists(struct table *t, const char *name);
uint64_t ino_at(struct table *t, uint64_t parent, const char *name); /* 0: no such name */
struct attr attr_of(struct table *t, uint64_t ino);
/* By its number it is not found any more. */
bool is_gone(struct table *t, uint64_t ino);
/* The record of a file by its only name: holder, token and whatever else the name says. */
struct link link_of(struct table *t, uint64_t ino);

/* Requests of a client through its handle; req 0: will not wait. */
struct table_want flock_want(uint64_t client, uint64_t ino, enum lock_mode mode, uint64_t req);
struct table_want range_want(uint64_t client, uint64_t ino, enum lock_mode mode, int64_t start,
			     int64_t end, uint64_t req);
/* Granted at once; returns the token. */
uint64_t lock_granted(struct table *t, struct table_want want);
void lock_queued(struct table *t, struct table_want want);
void lock_refused(struct table *t, struct table_want want);

/* The next grant is this one; none is left. */
void expect_grant(struct table *t, uint64_t client, uint64_t req);
void expect_no_grant(struct table *t);
uint64_t lock_count(struct table *t);

#endif
