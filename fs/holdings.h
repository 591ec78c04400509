/* SPDX-License-Identifier: MIT */
/*
 * Holdings: the held names (contract 4.1) that programs of this node have made, each with the
 * session (setsid(2)) of its maker. A name that is bound to that session is given up when no process
 * of it is left.
 *
 *	holding_new ──> holdings_add ── holdings_over ──> over ── holdings_leaving ──> leaving
 *	                  (kept)                           ^ └──────────────────────────┘
 *	                                                   └──────── holdings_again ────┘
 *
 * Nothing here asks the system, or anybody, anything. Names that others have taken away are not
 * known to be gone: holdings_full says when to look for them.
 */
#ifndef FS_HOLDINGS_H
#define FS_HOLDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Those that are gone are looked for when there are twice as many as were then, and this many. */
#define HOLDINGS_MIN 1024

struct holdings;
struct bound_sid;

/* Made by holding_new, with the name alone; the others are the caller's to set before
 * holdings_add, and to read. */
struct holding {
	uint64_t call;	 /* the one that made it, which no other has (lockcore/node.h) */
	uint64_t ino;	 /* 0: not known */
	pid_t sid;	 /* its maker's session; 0: none that is known here */
	int64_t made_ns; /* the session was there then; CLOCK_BOOTTIME */
	bool bound;	 /* to the session, else to the node */
	bool set;	 /* by the attribute, and not by the mount's option */

	/* The module's. */
	UT_hash_handle hh;	/* holdings.names, by key */
	UT_hash_handle hh_call; /* holdings.calls, by call */
	struct bound_sid *in;
	enum { HOLDING_KEPT, HOLDING_OVER, HOLDING_LEAVING } state;
	struct holding *prev, *next; /* in.names, or a list of holdings, by state */
	size_t key_len;
	unsigned char key[]; /* parent's inode number, then the name with its NUL */
};

uint64_t holding_parent(const struct holding *h);
const char *holding_name(const struct holding *h);

/* NULL: no memory. */
struct holding *holding_new(uint64_t parent, const char *name);
void holding_free(struct holding *h); /* in no holdings */

/* NULL: no memory. */
struct holdings *holdings_new(void);
void holdings_free(struct holdings *hs);

/*
 * Takes h over; whatever had the name before is dropped. With h->bound and a session that nothing
 * was bound to before, *begins is its number, else 0; the same for the sessions that end in this and
 * the other calls: nothing is bound to them any more. False: no memory, h is freed.
 */
bool holdings_add(struct holdings *hs, struct holding *h, pid_t *begins, pid_t *ends);
struct holding *holdings_find(struct holdings *hs, uint64_t parent, const char *name);
struct holding *holdings_find_call(struct holdings *hs, uint64_t call);
/* Returns the session that ends. */
pid_t holdings_drop(struct holdings *hs, struct holding *h);
/* Binds it to its session, or to the node. False: no memory, and it is bound to the node. */
bool holdings_bind(struct holdings *hs, struct holding *h, bool to_session, pid_t *begins,
		   pid_t *ends);

/*
 * Whatever session of this number was there before that moment has ended: the names bound to it are
 * over, the youngest first, since what is in a directory was made after it. Returns whether there
 * are names bound to a later session of the number: *since_ns is the earliest.
 */
bool holdings_over(struct holdings *hs, pid_t sid, int64_t before_ns, int64_t *since_ns);
/* The next that is over and not leaving; NULL: none. */
struct holding *holdings_next_over(struct holdings *hs);
/* Its removal has been asked for; it has come to nothing, and is to be asked for again. */
void holdings_leaving(struct holdings *hs, struct holding *h);
void holdings_again(struct holdings *hs, struct holding *h);
size_t holdings_leaving_count(const struct holdings *hs);

size_t holdings_count(const struct holdings *hs);
/* It is time to holdings_sweep. */
bool holdings_full(const struct holdings *hs);
/* Drops those that are not held any more; ended is told of each session that ends by it. */
void holdings_sweep(struct holdings *hs, bool (*held)(void *arg, const struct holding *h),
		    void (*ended)(void *arg, pid_t sid), void *arg);

#endif
