/* SPDX-License-Identifier: MIT */
/*
 * Short histories of up to four clients, of which client n is on node n % 3, for tests of the
 * checker. Calls are added one by one, each with a moment's beginning and end (small numbers) and
 * what came of it; then right() or wrong() says whether the history can be explained.
 */
#ifndef HISTORY_FIXTURE_H
#define HISTORY_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/mount/history/check.h"

#define OPS_MAX 32
#define RW	(OPEN_READ | OPEN_WRITE)
#define A	0 /* a place: d0/n0 */
#define B	2 /* d0/n1 */
#define IN_A	1 /* d0/n0/x */

extern struct op ops[OPS_MAX];
extern size_t count;
extern struct rules rules; /* those of dlock, unless the test says otherwise */

/* Of each test: no calls yet. */
int setup(void **state);
struct op *add(int client, int64_t begin, int64_t end, enum op_kind kind, int err);
void opens(int client, int64_t begin, int64_t end, int place, int flags, int err, int ino);
void closes(int client, int64_t begin, int64_t end);
void makes(int client, int64_t begin, int64_t end, enum op_kind kind, int place, int err);
void unlinks(int client, int64_t begin, int64_t end, int place, int err);
struct op *renames(int client, int64_t begin, int64_t end, int from, int to, int err);
void writes(int client, int64_t begin, int64_t end, int64_t at, const char *text);
void reads(int client, int64_t begin, int64_t end, const char *text);
/* A file, inode 100, mode 0600, one name, empty. */
struct op *stats(int client, int64_t begin, int64_t end, int place, int err);
struct op *flocks(int client, int64_t begin, int64_t end, int mode, int wait, int err);
struct op *ranges(int client, int64_t begin, int64_t end, int mode, int wait, int err);
void bytes(struct op *op, int first, int last);
void dies(int client, int64_t begin, int64_t end);
/* Clients 0 to last have d0/n0 open, which is inode 100. */
void all_open(int last);
enum verdict verdict(void);

#define right()	   assert_int_equal(verdict(), VERDICT_FINE)
#define wrong()	   assert_int_equal(verdict(), VERDICT_WRONG)
#define TEST(name) cmocka_unit_test_setup(name, setup)

#endif
