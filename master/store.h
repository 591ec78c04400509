/* SPDX-License-Identifier: MIT */
/*
 * Store: where a master keeps its leader cell and session registry (lockcore/engine.h), and the
 * thread that talks to it.
 *
 * A store's operations may take long, so they run one by one, in the order submitted, on a thread
 * of the store's own; outcomes are collected by the loop when store_fd is readable. Each kind of
 * store is one file that fills a struct store_driver: store_sqlite.c, store_etcd.c.
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

/*
 * Writes of the registry that may share a transaction. When a cluster boots, a thousand nodes say
 * HELLO at once, and the leader's renewal stands behind them in the queue: one by one, at some
 * milliseconds each, they would cost the leader its lease. etcd takes 128 in a transaction.
 */
#define STORE_BATCH_MAX 64

/* Made by "sqlite:" (mode 0700) if it is missing and the store is to lie right in it. */
#define STORE_DEFAULT_DIR "/var/lib/dlock"

struct store;

/* Each NULL where it was not given. Borrowed until store_close. */
struct store_options {
	const char *etcd_ca, *etcd_cert, *etcd_key; /* files, PEM */
	const char *etcd_user, *etcd_password_file;
	const char *etcd_prefix;  /* of all keys; NULL: STORE_ETCD_PREFIX_DEFAULT */
	const char *etcd_cluster; /* NULL: STORE_ETCD_CLUSTER_DEFAULT */
	int64_t leader_lease_ns; /* TL, which an operation on etcd has a quarter of; 0: the core's */
};

#define STORE_ETCD_PREFIX_DEFAULT  "/dlock/"
#define STORE_ETCD_CLUSTER_DEFAULT "dlock"

/*
 * A driver. open parses the rest of the --store argument after "scheme:", and makes the store ready
 * or says why not in one line; run executes one operation, blocking, on the store's thread (-errno
 * is not needed: the outcome tells). run gets an outcome of zeros and leaves its id alone; an
 * outcome's sessions are calloc'ed. open and close are called on the loop's thread, never beside
 * run. stop (NULL: nothing to do) is called on the loop's thread, beside run, when the store is to
 * be closed: what is still submitted will all be run, and may not take long any more.
 */
struct store_driver {
	const char *scheme; /* "sqlite" */
	/*
	 * True: while the store is open no other process can have it open (a lock that the kernel
	 * frees with the process), so that a new leader need not wait for an old one's lease.
	 */
	bool exclusive;
	int (*open)(const char *rest, const struct store_options *options, void **priv, char *why,
		    size_t why_len);
	void (*run)(void *priv, const struct engine_op *op, struct engine_outcome *out);
	/*
	 * NULL: always one by one. PUTs and DELETEs, 2 to STORE_BATCH_MAX of them, of one fence and
	 * each of another session, for which one outcome is found: all are executed, or none is.
	 */
	void (*run_batch)(void *priv, const struct engine_op *const ops[], size_t count,
			  struct engine_outcome *out);
	void (*stop)(void *priv);
	void (*close)(void *priv);
};

extern const struct store_driver store_sqlite, store_etcd;

/*
 * Opens what spec says; options is borrowed until store_close, NULL: none given. 0, or -errno with
 * one line for people in why. With 0, why is empty, or one line that warns.
 *
 * "sqlite:PATH": makes it if there is none; PATH must be on a local file system. -EINVAL (no such
 * kind of store, or a PATH that cannot be one), -EBUSY (another master has it), -EPROTO (of a newer
 * version), -EBADMSG (damaged, or not ours), -ENOSPC, -ENOENT (no such directory), -EISDIR, -EACCES,
 * -EROFS and the like. A store that is refused is left byte for byte as it was. PATH.lock stays
 * beside every store, also when nobody has it; do not remove it.
 *
 * "etcd:URL,URL,…": each URL http://HOST:PORT or https://HOST:PORT of one etcd cluster. A store that
 * nobody answers for is opened all the same, and used when somebody does; what is plainly wrong is
 * refused: -EINVAL (an URL or an option), -EACCES (certificates, user and password, not an etcd,
 * several clusters), -EPROTO (of a newer version), -EBADMSG (damaged, not ours, of another cluster).
 * If it is found out only later, every operation is UNKNOWN with that line.
 */
int store_open(const char *spec, const struct store_options *options, struct store **out, char *why,
	       size_t why_len);
/*
 * Finishes what was submitted, drops outcomes not collected, then closes. NULL is fine. Where the
 * store is an etcd that hangs, what was submitted has a quarter of the leader's lease, all together.
 */
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
