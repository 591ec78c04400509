/* SPDX-License-Identifier: MIT */
/*
 * When this node changed a directory last, by making, moving or removing a name in it: its times
 * (contract 3.2). Nobody else may remember, since a directory's record is its holder's, and a master
 * that starts anew is told (protocol rule 7). Only the times are at stake, so of too many the oldest
 * are forgotten, and so is what there is no memory for.
 */
#include "lockcore/node_internal.h"

#define CHANGED_DIRS_MAX 1024

struct changed_dir {
	UT_hash_handle hh; /* node.changed_dirs, by ino, the oldest first */
	uint64_t ino;
	int64_t time_ns; /* the master's wall clock */
};

static void note(struct node *n, uint64_t ino, int64_t time_ns)
{
	struct changed_dir *d;

	HASH_FIND(hh, n->changed_dirs, &ino, sizeof(ino), d);
	if (d)
		HASH_DEL(n->changed_dirs, d);
	else
		d = malloc(sizeof(*d));
	if (!d)
		return;
	d->ino = ino;
	d->time_ns = time_ns;
	HASH_ADD(hh, n->changed_dirs, ino, sizeof(d->ino), d);
	if (!d->hh.tbl) {
		free(d);
	} else if (HASH_COUNT(n->changed_dirs) > CHANGED_DIRS_MAX) {
		d = n->changed_dirs;
		HASH_DEL(n->changed_dirs, d);
		free(d);
	}
}

void times_reply(struct node *n, const struct message *request, const struct message *reply)
{
	if (reply->status != STATUS_OK)
		return;
	switch (request->kind) {
	case MESSAGE_CREATE:
		if (reply->flags & REPLY_CREATED)
			note(n, request->parent, reply->attr.ctime_ns);
		break;
	case MESSAGE_RENAME:
		note(n, request->target, reply->attr.ctime_ns);
		note(n, request->parent, reply->attr.ctime_ns);
		break;
	case MESSAGE_UNLINK:
		if (reply->flags & REPLY_LINKS)
			break; /* the name is still there */
		note(n, request->parent, reply->attr.ctime_ns);
		break;
	case MESSAGE_MKDIR:
	case MESSAGE_SYMLINK:
	case MESSAGE_LINK:
		note(n, request->parent, reply->attr.ctime_ns);
		break;
	default:
		break;
	}
}

void times_reclaim(struct node *n)
{
	const struct changed_dir *d;

	for (d = n->changed_dirs; d; d = d->hh.next)
		node_push(n, &(struct message){
				     .kind = MESSAGE_RECLAIM_TIME,
				     .ino = d->ino,
				     .since_ns = d->time_ns,
			     });
}

void times_free(struct node *n)
{
	struct changed_dir *d, *next;

	HASH_ITER (hh, n->changed_dirs, d, next) {
		HASH_DEL(n->changed_dirs, d);
		free(d);
	}
}
