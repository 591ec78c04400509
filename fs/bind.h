/* SPDX-License-Identifier: MIT */
/*
 * Bind: the loop's half of bind=session (the mount option, and user.dlock.bind on a file): a held name
 * is also given up when no process of its maker's session (setsid(2)) is left, so that a script
 * killed with -9 leaves no stale lock file.
 *
 *	request ──holding──> answer: holdings.h ──wanted──> vigil.h
 *	                                ^                      │ nobody is left
 *	          answer <── UNLINK ────┘ over <───────────────┘
 *
 * The session is that of the process which made the name, at the time of the request: of a script
 * that runs mkdir(1) or ln(1) the script's. Who moves a name is its maker from then on; what was set
 * on the file by the attribute moves along, and is that of further names made here with link(2), as
 * a time-to-live is. A process of another PID namespace, or whose session's leader is of one, has no
 * session here: what it makes is the node's.
 *
 * The name goes only if it is the one that was made, by the number of that call; a directory with
 * names in it when it is empty. If no master hears of it now, the core sees to it later.
 */
#ifndef FS_BIND_H
#define FS_BIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/holdings.h"
#include "fs/vigil.h"
#include "lockcore/node.h"

/* Removals that wait for their answer: programs' requests are not to stand behind all of those of a
 * session with many names, and count against NODE_REQUESTS_MAX too. */
#define BIND_LEAVING_MAX 256

/* From a removal that there was no memory for to the next try. */
#define BIND_RETRY_NS NS_PER_SEC

struct fs;
struct asked;

struct bind {
	struct holdings *holdings; /* NULL: not started */
	struct vigil *vigil;	   /* NULL: nothing has been bound to a session yet */
	const char *trouble;	   /* why nothing can be; NULL: it can */
	int64_t retry_ns;	   /* MOMENT_NEVER: nothing to try again */
};

/* What setfattr asks for. */
enum bind_to { BIND_NODE, BIND_SESSION, BIND_DEFAULT };

/* 0, or -1 with *why. */
int bind_start(struct fs *fs, const char **why);
void bind_stop(struct fs *fs);

/* Before every turn's calls of the core; and when it is to turn next at the latest. */
void bind_turn(struct fs *fs);
int64_t bind_deadline(const struct fs *fs);

/* A request is about to be submitted. False: no memory. */
bool bind_asks(struct fs *fs, struct asked *a, const struct message *m);
/* It was, as this call of the core; or was not. */
void bind_asked(struct asked *a, uint64_t call);
void bind_drop(struct asked *a);
/* It is about to be answered, or was the node's own. */
void bind_answered(struct fs *fs, struct asked *a, const struct node_answer *answer);
/* The node's session has lapsed, and all its names with it. */
void bind_lapsed(struct fs *fs);

/* "session" or "node"; not NUL-terminated. False: neither. */
bool bind_parse(const char *value, size_t len, enum bind_to *to);
/* info is the answer to GETINFO. The attribute's value; NULL: this node holds no name of the file. */
const char *bind_text(struct fs *fs, uint64_t ino, const struct message *info);
/* 0 or errno. */
int bind_set(struct fs *fs, uint64_t ino, const struct message *info, uint32_t uid,
	     enum bind_to to);

#endif
