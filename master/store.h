/* SPDX-License-Identifier: MIT */
/*
 * Store: where a master keeps its leader cell and session registry (lockcore/engine.h), and the thread
 * that talks to it.
 *
 * A store's operations may take long, so they run one by one, in the order submitted, on a thread of
 * the store's own; outcomes are collected by the loop when store_fd is readable. Each kind of store is
 * one file that fills a struct store_driver: store_sqlite.c.
 */
#ifndef MASTER_STORE_H
#define MASTER_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "lockcore/engine.h"

struct store;

/*
 * A driver. open parses the rest of the --store argument after "scheme:", and makes the store ready or
 * says why not in one line; run executes one operation, blocking, on the store's thread (-errno is not
 * needed: the outcome tells). An outcome's sessions are calloc'ed.
 */
struct store_driver {
	const char *scheme; /* "sqlite" */
	/*
	 * True: while the store is open no other process can have it open (a lock that the kernel frees
	 * with the process), so that a new leader need not wait for an old one's lease.
	 */
	bool exclusive;
	int (*open)(const char *rest, void **priv, char *why, size_t why_len);
	void (*run)(void *priv, const struct engine_op *op, struct engine_outcome *out);
	void (*close)(void *priv);
};

extern const struct store_driver store_sqlite;

/*
 * Opens "sqlite:PATH". 0, or -errno with one line for people in why: -EINVAL (no such kind of store),
 * -EBUSY (another master has it), -EPROTO (of a newer version), -EBADMSG (corrupt, or not ours),
 * -EACCES and the like.
 */
int store_open(const char *spec, struct store **out, char *why, size_t why_len);
/* Finishes what was submitted, then closes. NULL is fine. */
void store_close(struct store *s);

bool store_is_exclusive(const struct store *s);

/* Queues a copy of op. -ENOMEM: no memory; bring the core an ENGINE_UNKNOWN for it. */
int store_submit(struct store *s, const struct engine_op *op);

/* Readable (an eventfd) while store_next has something. */
int store_fd(const struct store *s);
/* The next outcome, in order; free out->sessions. */
bool store_next(struct store *s, struct engine_outcome *out);

#endif
