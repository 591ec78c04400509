/* SPDX-License-Identifier: MIT */
/*
 * The extended attributes user.dlock.* (contract 5.7, 4.4) as text: from the master's answer to
 * GETINFO, and back from what a program sets. It knows no FUSE.
 *
 *	token    decimal; of the newest acquisition, or of the asker's own newest
 *	holder   a line per holder, the newest first: NODE PID UID COMMAND
 *	mode     exclusive, shared or held
 *	waiters  decimal
 *	expires  SECONDS WHAT; WHAT is lease, ttl or idle
 *	ttl      seconds
 *	bind     node or session; only the node that holds the name knows (bind.h)
 *
 * Bytes of a node's or command's name that are not printable ASCII, spaces and backslashes stand as
 * \ooo, so that a line always splits into its words.
 */
#ifndef FS_XATTR_TEXT_H
#define FS_XATTR_TEXT_H

#include "lockcore/message.h"

enum xattr {
	XATTR_TOKEN,
	XATTR_HOLDER,
	XATTR_MODE,
	XATTR_WAITERS,
	XATTR_EXPIRES,
	XATTR_TTL,  /* can be set */
	XATTR_BIND, /* can be set; it has no text here, and is in no list */
	XATTR_END,  /* none of them */
};

#define XATTR_BIND_NAME "user.dlock.bind"

/* An escaped byte takes 4; two decimal numbers, three spaces and a newline 25 at most. */
#define XATTR_LINE_MAX (4 * (NODE_ID_MAX_BYTES + COMMAND_MAX_BYTES) + 25)
#define XATTR_TEXT_MAX (HOLDERS_MAX * XATTR_LINE_MAX + 1) /* any of them, or the list; with NUL */

/* XATTR_END: there is none of this name. */
enum xattr xattr_find(const char *name);

/* The attribute's text and its length, without a final newline; 0: there is none (ENODATA). */
size_t xattr_text(enum xattr xattr, const struct message *info, char out[XATTR_TEXT_MAX]);

/* The names of those that have a text, each with its NUL, as listxattr(2) wants them. */
size_t xattr_list(const struct message *info, char out[XATTR_TEXT_MAX]);

/*
 * A time-to-live as set: "10", "2.5", "0"; not NUL-terminated. False: not a number of seconds,
 * negative, more than a hundred years, or so little that it would be none.
 */
bool xattr_parse_ttl(const char *value, size_t len, int64_t *ns);

#endif
