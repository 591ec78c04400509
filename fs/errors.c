/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "fs/errors.h"

struct row {
	int lock;  /* for LOCK and TESTLOCK: fcntl(2), flock(2) */
	int other; /* for everything else */
};

static const struct row table[STATUS_MAX + 1] = {
	[STATUS_OK] = {0, 0},
	[STATUS_BUSY] = {EAGAIN, EBUSY},
	[STATUS_DEADLOCK] = {EDEADLK, EIO},
	[STATUS_NO_ENTRY] = {ENOENT, ENOENT},
	[STATUS_EXISTS] = {EEXIST, EEXIST},
	[STATUS_STALE] = {ESTALE, ESTALE},
	[STATUS_TOO_BIG] = {EFBIG, EFBIG},
	[STATUS_NO_SPACE] = {ENOLCK, ENOSPC},
	[STATUS_NO_MEMORY] = {ENOLCK, ENOMEM},
	[STATUS_NOT_DIR] = {ENOTDIR, ENOTDIR},
	[STATUS_IS_DIR] = {EISDIR, EISDIR},
	[STATUS_NOT_EMPTY] = {ENOTEMPTY, ENOTEMPTY},
	[STATUS_NOT_PERMITTED] = {EPERM, EPERM},
	[STATUS_INVALID] = {EINVAL, EINVAL},
	[STATUS_NAME_TOO_LONG] = {ENAMETOOLONG, ENAMETOOLONG},
	[STATUS_TOO_MANY_LINKS] = {EMLINK, EMLINK},
	[STATUS_INTERRUPTED] = {EINTR, EINTR},
	[STATUS_NO_MASTER] = {ENOLCK, EIO},
	[STATUS_LAPSED] = {EIO, EIO},
	[STATUS_CHANGED] = {ESTALE, ESTALE}, /* the kernel looks again, once (told.h) */
};

/*
 * For these STATUS_STALE is a directory that is gone: no name is in it, and none can be made. (The
 * kernel looks again after ESTALE, but not when the look for the last name of a path that is to be
 * made has got it.)
 */
static bool is_about_directory(enum message_kind kind)
{
	return kind == MESSAGE_LOOKUP || kind == MESSAGE_MKDIR || kind == MESSAGE_SYMLINK ||
	       kind == MESSAGE_UNLINK || kind == MESSAGE_RENAME || kind == MESSAGE_READDIR;
}

int errors_errno(enum message_kind kind, enum status status)
{
	bool lock = kind == MESSAGE_LOCK || kind == MESSAGE_TESTLOCK;

	if (status > STATUS_MAX)
		return EIO;
	if (kind == MESSAGE_SETATTR && status == STATUS_NO_ENTRY)
		return ENODATA; /* files go by number here: what there is not is an attribute */
	if (status == STATUS_STALE && is_about_directory(kind))
		return ENOENT;
	return lock ? table[status].lock : table[status].other;
}
