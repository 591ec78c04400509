/* SPDX-License-Identifier: MIT */
/*
 * Store: where a master keeps its leader cell and session registry (lockcore/engine.h), and the
 * thread that talks to it.
 *
 * A store's operations may take long, so they run one by one, in the order submitted, on a thread
 * of the store's own; outcomes are collected by the loop when store_fd is readable. Each kind of
 * store is one file that fills a struct store_driver: store_sqlite.c.
 *
 * All calls here are for one thread, the loop's.
 */
#ifndef MASTER_STORE_H
#define MASTER_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "lockcore/engine.h"

/*
 * Operations whose outcomes are not collected yet. The core has one of its own and one a session in
 * flight at most, so this is a thousand nodes that say HELLO at once, and half a megabyte.
 */
#define STORE_QUEUE_MAX 1024

/* Made by "sqlite:" (mode 0700) if it is missing and the store is to lie right in it. */
#define STORE_DEFAULT_DIR "/var/lib/dlock"

struct store;

/*
 * A driver. open parses the rest of the --store argument after "scheme:", and makes the store ready
 * or says why not in one line; run executes one operation, blocking, on the store's thread (-errno
 * is not needed: the outcome tells). run gets an outcome of zeros and leaves its id alone; an
 * outcome's sessions are calloc'ed. open and close are called on the loop's thread, never beside
 * run.
 */
struct store_driver {
	const char *scheme; /* "sqlite" */
	/*
	 * True: while the store is open no other process can have it open (a lock that the kernel
	 * frees with the process), so that a new leader need not wait for an old one's lease.
	 */
	bool exclusive;
	int (*open)(const char *rest, void **priv, char *why, size_t why_len);
	void (*run)(void *priv, const struct engine_op *op, struct engine_outcome *out);
	void (*close)(void *priv);
};

extern const struct store_driver store_sqlite;

/*
 * Opens "sqlite:PATH", and makes it if there is none; PATH must be on a local file system. 0, or
 * -errno with one line for people in why: -EINVAL (no such kind of store, or a PATH that cannot be
 * one), -EBUSY (another master has it), -EPROTO (of a newer version), -EBADMSG (damaged, or not
 * ours), -ENOSPC, -ENOENT (no such directory), -EISDIR, -EACCES, -EROFS and the like. A store that
 * is refused is left byte for byte as it was. PATH.lock stays beside every store, also when nobody
 * has it; do not remove it.
 */
int store_open(const char *spec, struct store **out, char *why, size_t why_len);
/* Finishes what was submitted, drops outcomes not collected, then closes. NULL is fine. */
void store_close(struct store *s);

bool store_is_exclusive(const struct store *s);

/*
 * Queues a copy of op. -ENOMEM: no memory; -ENOBUFS: STORE_QUEUE_MAX is met. Either way op will not
 * run: bring the core an ENGINE_UNKNOWN for it.
 */
int store_submit(struct store *s, const struct engine_op *op);

/* Readable (an eventfd) exactly while store_next has something; only store_next reads it. */
int store_fd(const struct store *s);
/* The next outcome, in the order submitted; free out->sessions. False: none yet, *out untouched. */
bool store_next(struct store *s, struct engine_outcome *out);

#endif
