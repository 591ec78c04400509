/* SPDX-License-Identifier: MIT */
/*
 * Roster: everything of a sort in the order of its coming, so that it can be listed a page at a time
 * while it changes. A cookie, which grows and is never given twice, is a place in that order: whatever
 * is there during the whole of several pages is met exactly once.
 *
 * An entry is embedded in what it stands for. Room for it is reserved beforehand, when there is still a
 * way to fail; an entry that leaves gives its room back.
 */
#ifndef LOCKCORE_ROSTER_H
#define LOCKCORE_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct roster_entry {
	uint64_t cookie; /* 0: in no roster */
	uint32_t sort;	 /* what it is embedded in; for its owner */
};

/* One that has left leaves a slot without entry behind, for a while. */
struct roster_slot {
	uint64_t cookie;
	struct roster_entry *entry;
};

struct roster {
	struct roster_slot *slots;
	size_t count; /* slots in use, left ones included */
	size_t room;
	size_t live;
};

void roster_deinit(struct roster *r);

/* Room for one more roster_add, if that is the next change. False: no memory. */
bool roster_reserve(struct roster *r);
/* The cookie is above all before it. */
void roster_add(struct roster *r, struct roster_entry *e, uint64_t cookie);
/* Fine if it is in none. */
void roster_remove(struct roster *r, struct roster_entry *e);

/*
 * The first entry whose cookie is above this one; NULL: there is none, or *looks, which counts down with
 * every slot that is looked at, has come to 0. Then *cookie is where to go on.
 */
struct roster_entry *roster_next(const struct roster *r, uint64_t *cookie, size_t *looks);

#endif
