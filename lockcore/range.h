/* SPDX-License-Identifier: MIT */
/*
 * Ranges: granted locks of one file and one kind, as a list; what conflicts, and how one owner's
 * ranges split and merge (fcntl(2), "Advisory record locking"). A flock is the same over the whole
 * range, owned by its handle.
 *
 * In a list no two ranges of one file conflict, one owner's ranges of a file never overlap, and its
 * touching ranges of one mode and handle are one. The table keeps what is granted in such lists, and
 * a node what it holds itself.
 */
#ifndef LOCKCORE_RANGE_H
#define LOCKCORE_RANGE_H

#include "lockcore/message.h"

struct range {
	struct range *prev, *next; /* utlist, in the order of granting */
	uint64_t client;	   /* client and owner together are the owner */
	uint64_t owner;		   /* LOCK_FLOCK: the handle */
	uint64_t handle;	   /* what it was taken through, and is dropped with */
	uint64_t ino;		   /* of that; in one list there may be ranges of several files */
	int64_t start, end;	   /* inclusive */
	uint64_t token;
	uint64_t serial;  /* grows along the list */
	int64_t since_ns; /* when it was granted, or began to wait; CLOCK_BOOTTIME */
	uint32_t pid, uid;
	char command[COMMAND_MAX_BYTES + 1];
	enum lock_kind kind;
	enum lock_mode mode;
};

/* Setting a range needs at most two new ones: itself, and the right half of one that it splits. */
#define RANGE_SPARES 2

bool range_same_owner(const struct range *a, const struct range *b);
bool range_overlap(const struct range *a, const struct range *b);
/* Both are of one kind. */
bool range_conflicts(const struct range *a, const struct range *b);

/* A range of the list that conflicts with want; NULL: none. */
const struct range *range_blocker(const struct range *list, const struct range *want);
/* The one of them that begins first, as fcntl(2) tells it. */
const struct range *range_first_blocker(const struct range *list, const struct range *want);
/*
 * The range of the list that already gives want's owner, through the same handle of the same file,
 * want's mode over all of want; NULL: none. One that does so makes the request a no-op and keeps its token.
 */
const struct range *range_covering(const struct range *list, const struct range *want);

/* Memory for one range_set. False: none, and nothing is reserved. */
bool range_reserve(struct range *spares[RANGE_SPARES]);
void range_unreserve(struct range *spares[RANGE_SPARES]);

/*
 * Sets want's range of want's file to want's mode for its owner (LOCK_NONE: unlocks it), using up
 * what it needs of the spares. Who calls has checked for conflicts. Returns by how many ranges the list has grown.
 */
int range_set(struct range **list, const struct range *want, struct range *spares[RANGE_SPARES]);

/* Frees every range taken through a handle of a client. Returns how many there were. */
int range_drop_handle(struct range **list, uint64_t client, uint64_t handle);
void range_drop_all(struct range **list);
/* Appends the other list, and numbers what was in it anew. */
void range_concat(struct range **list, struct range *other);

#endif
