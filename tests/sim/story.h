/* SPDX-License-Identifier: MIT */
/*
 * Stories: the simulator without chance. A packet travels for STORY_HOP_NS, nothing fails unless
 * the story says so, and no program runs but the story itself. The invariants are checked as ever.
 * With SIM_TRACE in the environment they are traced; CMOCKA_TEST_FILTER picks one.
 */
#ifndef TESTS_SIM_STORY_H
#define TESTS_SIM_STORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim.h"

#define STORY_HOP_NS   NS_PER_MS
#define STORY_LEASE_NS (10 * NS_PER_SEC)
#define STORY_IDLE_NS  (30 * NS_PER_SEC)
#define STORY_TIMEO_NS (3 * NS_PER_SEC)

/* A file that a node has open. */
struct opened {
	size_t node;
	uint64_t ino, handle, token;
};

/* So many nodes with a session each, and one master, unless the configuration says how many. */
struct sim *story_begin(size_t nodes);
struct sim *story_begin_with(struct sim_config config);
void story_end(struct sim *s);

/* Asks, and waits for the answer: the status, and what is wanted of it. */
struct request *story_ask(struct sim *s, size_t node, const struct message *m);
struct request *story_wait(struct sim *s, struct request *r, int64_t ns);
enum status story_status(struct sim *s, size_t node, const struct message *m);

struct opened story_make(struct sim *s, size_t node, const char *name, uint32_t flags);
enum status story_lookup(struct sim *s, size_t node, const char *name);
enum status story_unlink(struct sim *s, size_t node, const char *name);
enum status story_write(struct sim *s, const struct opened *f, const char *text);
/* Asserts that the file reads so. */
void story_reads(struct sim *s, const struct opened *f, const char *text);
/* A flock request under way. */
struct request *story_flock(struct sim *s, const struct opened *f, enum lock_mode mode, bool wait);
/* An exclusive flock, granted at once; its token. */
uint64_t story_lock(struct sim *s, const struct opened *f);
void story_unlock(struct sim *s, const struct opened *f);
void story_close(struct sim *s, const struct opened *f);

/* Cuts a node off from every master, or lets it back. */
void story_cut(struct sim *s, size_t node, bool to_master, bool to_node);
/* The only master crashes and is started again; with_reclaim: and grace is over. */
void story_restart(struct sim *s);
void story_grace_over(struct sim *s);

#endif
