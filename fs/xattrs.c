/* SPDX-License-Identifier: MIT */
/*
 * Requests about extended attributes: user.dlock.* tell who holds a file (contract 5.7).
 *
 * GETXATTR carries nothing but the inode's number, so all is answered by that. Other names are
 * answered from here as a file system that does not have them would: the kernel and ls(1) ask for
 * security.* and system.* all the time, and no master is to hear of it.
 */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/fs.h"

#define USER_PREFIX "user."

static bool is_user(const char *name)
{
	return !strncmp(name, USER_PREFIX, sizeof(USER_PREFIX) - 1);
}

/* Long, and of use to programs only: it is not listed. */
static bool is_locks(const char *name)
{
	return !strcmp(name, CONTROL_LOCKS_XATTR);
}

/* ---- Looking ---- */

static void ask_info(fuse_req_t req, fuse_ino_t ino, enum xattr xattr, size_t size)
{
	struct message m = {.kind = MESSAGE_GETINFO, .ino = ino};
	const struct fs *fs = fuse_req_userdata(req);
	struct asked *a = fs_asked_new(req, NULL);
	struct caller caller;

	if (!a)
		return;
	a->xattr = xattr;
	a->size = size;
	if (xattr == XATTR_TOKEN) { /* it depends on who asks */
		callers_find(fs->callers, fuse_req_ctx(req)->pid, &caller);
		m.pid = caller.pid;
	}
	fs_ask_as(a, &m);
}

void fs_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	enum xattr xattr = xattr_find(name);

	if (control_refuses(req, ino, is_user(name) ? ENODATA : EOPNOTSUPP))
		return;
	if (is_locks(name))
		control_survey_xattr(req, ino, size);
	else if (xattr != XATTR_END)
		ask_info(req, ino, xattr, size);
	else
		fuse_reply_err(req, is_user(name) ? ENODATA : EOPNOTSUPP);
}

void fs_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	if (control_lists_none(req, ino, size))
		return;
	ask_info(req, ino, XATTR_END, size);
}

/* The list, or what the attribute says; the length. */
static size_t put_text(struct fs *fs, const struct asked *a, const struct message *info, char *text)
{
	bool list = a->xattr == XATTR_END;
	size_t len = list ? xattr_list(info, text) : xattr_text(a->xattr, info, text);
	const char *bind = list || a->xattr == XATTR_BIND ? bind_text(fs, a->ino, info) : NULL;

	if (!bind)
		return len;
	if (list) { /* with its NUL */
		memcpy(text + len, XATTR_BIND_NAME, sizeof(XATTR_BIND_NAME));
		return len + sizeof(XATTR_BIND_NAME);
	}
	return len + (size_t)(stpcpy(text + len, bind) - text - len);
}

/* Size 0 asks how long the answer is. */
void fs_answer_info(const struct asked *a, const struct message *info)
{
	struct fs *fs = fuse_req_userdata(a->req);
	char text[XATTR_TEXT_MAX];
	bool list = a->xattr == XATTR_END;
	size_t len;

	if (a->setxattr) {
		fuse_reply_err(a->req,
			       bind_set(fs, a->ino, info, fuse_req_ctx(a->req)->uid, a->bind_to));
		return;
	}
	len = put_text(fs, a, info, text);
	if (!len && !list)
		fuse_reply_err(a->req, ENODATA);
	else if (!a->size)
		fuse_reply_xattr(a->req, len);
	else if (len > a->size)
		fuse_reply_err(a->req, ERANGE);
	else
		fuse_reply_buf(a->req, text, len);
}

/* ---- Setting ---- */

static void ask_ttl(fuse_req_t req, fuse_ino_t ino, int64_t ttl_ns, uint32_t flags)
{
	struct message m = {
		.kind = MESSAGE_SETATTR,
		.ino = ino,
		.set = SET_TTL,
		.ttl_ns = ttl_ns,
		.uid = fuse_req_ctx(req)->uid,
		.flags = flags,
	};
	struct asked *a = fs_asked_new(req, NULL);

	if (!a)
		return;
	a->setxattr = true;
	fs_ask_as(a, &m);
}

/* Who may, and which names of the file are held here, shows when the master has answered. */
static void ask_bind(fuse_req_t req, fuse_ino_t ino, enum bind_to to)
{
	struct message m = {.kind = MESSAGE_GETINFO, .ino = ino};
	struct asked *a = fs_asked_new(req, NULL);

	if (!a)
		return;
	a->xattr = XATTR_BIND;
	a->setxattr = true;
	a->bind_to = to;
	fs_ask_as(a, &m);
}

/* It is there whenever it can be set, so that it cannot be created. */
static void set_bind(fuse_req_t req, fuse_ino_t ino, const char *value, size_t size, int flags)
{
	enum bind_to to;

	if (!bind_parse(value, size, &to))
		fuse_reply_err(req, EINVAL);
	else if (flags & XATTR_CREATE)
		fuse_reply_err(req, EEXIST);
	else
		ask_bind(req, ino, to);
}

void fs_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags)
{
	enum xattr xattr = xattr_find(name);
	int64_t ttl_ns;

	if (control_refuses(req, ino, EOPNOTSUPP))
		return;
	if (is_locks(name))
		fuse_reply_err(req, EPERM);
	else if (xattr == XATTR_END)
		fuse_reply_err(req, EOPNOTSUPP);
	else if (xattr == XATTR_BIND)
		set_bind(req, ino, value, size, flags);
	else if (xattr != XATTR_TTL)
		fuse_reply_err(req, EPERM);
	else if (!xattr_parse_ttl(value, size, &ttl_ns))
		fuse_reply_err(req, EINVAL);
	else
		ask_ttl(req, ino, ttl_ns,
			(flags & XATTR_CREATE ? TTL_CREATE : 0) |
				(flags & XATTR_REPLACE ? TTL_REPLACE : 0));
}

void fs_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	enum xattr xattr = xattr_find(name);

	if (control_refuses(req, ino, is_user(name) ? ENODATA : EOPNOTSUPP))
		return;
	if (xattr == XATTR_TTL)
		ask_ttl(req, ino, 0, TTL_REPLACE);
	else if (xattr == XATTR_BIND)
		ask_bind(req, ino, BIND_DEFAULT);
	else if (xattr != XATTR_END || is_locks(name))
		fuse_reply_err(req, EPERM);
	else
		fuse_reply_err(req, is_user(name) ? ENODATA : EOPNOTSUPP);
}
