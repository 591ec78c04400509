/* SPDX-License-Identifier: MIT */
/* Sorts of requests: what one may change, show, make or open. */
#include "lockcore/node_internal.h"

bool request_changes_file(const struct message *m)
{
	switch (m->kind) {
	case MESSAGE_SETATTR:
	case MESSAGE_CREATE:
	case MESSAGE_WRITE:
	case MESSAGE_UNLINK:
	case MESSAGE_MKDIR:
	case MESSAGE_SYMLINK:
	case MESSAGE_LINK:
	case MESSAGE_RENAME:
		return true;
	case MESSAGE_OPEN:
		return m->flags & OPEN_TRUNC;
	default:
		return false;
	}
}

/* What a session's end does not concern: it can be asked again in the next. */
bool request_only_looks(const struct message *m)
{
	return m->kind == MESSAGE_LOOKUP || m->kind == MESSAGE_GETATTR ||
	       m->kind == MESSAGE_READDIR || m->kind == MESSAGE_STATFS ||
	       m->kind == MESSAGE_GETINFO || m->kind == MESSAGE_WATCH ||
	       m->kind == MESSAGE_SURVEY || (m->kind == MESSAGE_OPEN && !(m->flags & OPEN_TRUNC));
}

/* Nobody can have seen that it was executed. */
bool request_shows_nothing(const struct message *m)
{
	return request_only_looks(m) || m->kind == MESSAGE_READ || m->kind == MESSAGE_TESTLOCK;
}

/* Makes a name that would stay behind if nobody heard of it. */
bool request_makes_held_name(const struct message *m)
{
	return m->kind == MESSAGE_MKDIR || m->kind == MESSAGE_SYMLINK || m->kind == MESSAGE_LINK ||
	       (m->kind == MESSAGE_CREATE && (m->flags & OPEN_EXCL));
}

bool request_opens(const struct message *m)
{
	return m->kind == MESSAGE_CREATE || m->kind == MESSAGE_OPEN;
}
