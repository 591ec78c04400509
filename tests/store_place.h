/* SPDX-License-Identifier: MIT */
/*
 * Store place: what the tests of stores share. Each test gets a directory of its own under /tmp,
 * which remove_place removes with all that was mounted there; all helpers fail the test when they
 * fail.
 */
#ifndef TESTS_STORE_PLACE_H
#define TESTS_STORE_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <sys/types.h>

#include "master/store.h"

struct place {
	char dir[64];
	char path[96];	/* of the store */
	char wal[128];	/* SQLite's, beside it */
	char spec[128]; /* the same, for store_open */
	struct store_options options;
	char why[512]; /* the last refusal */
};

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)

int make_place(void **state);
int remove_place(void **state);

/* Once, first in main: the tests' mounts vanish with the process. */
void enter_mount_namespace(void);
/* Skips the test where that did not work. */
void need_mounts(void);

struct store *open_spec(struct place *p, const char *spec);
struct store *open_place(struct place *p);

/* Each refusal is one line; it has these words. */
void assert_refused(struct place *p, const char *spec, int err, const char *words);

bool is_readable(const struct store *s, int wait_ms);
struct engine_outcome collect(struct store *s);

/* One operation with a number of its own, and its outcome. */
struct engine_outcome run(struct store *s, struct engine_op op);

/* A cell whose leases and asker follow from its sequence, so that a mixture of two cells shows. */
struct engine_cell cell(uint64_t instance, uint64_t epoch, uint64_t sequence);

struct engine_op swap_op(struct engine_cell expect, struct engine_cell next);
enum engine_result swap(struct store *s, struct engine_cell expect, struct engine_cell next);
struct engine_cell read_cell(struct store *s);
void assert_cell(struct engine_cell is, struct engine_cell should);

enum engine_result write_session(struct store *s, enum engine_kind kind, struct engine_cell fence,
				 const char *node, uint64_t instance);

/* The registry is "node=instance node=instance ". */
void assert_sessions(struct store *s, const char *should);

/*
 * Runs f in a child that dies with us; it writes to its fd what is read from ours, and exits with
 * what it returns.
 */
pid_t start_child(struct place *p, int (*f)(struct place *p, int fd), int *fd);

/* Waits. The exit status, or minus the signal. */
int child_status(pid_t pid);

/* Has another process run SQL on the store, which it does not close: the change is in the WAL
 * alone. */
void change(struct place *p, const char *sql);

struct bytes {
	char *at; /* on the heap */
	size_t len;
};

struct bytes read_file(const char *path);
void write_file(const char *path, const void *at, size_t len);

#endif
