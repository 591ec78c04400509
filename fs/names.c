/* SPDX-License-Identifier: MIT */
/* Requests about names: directories and what is in them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "lockcore/table.h"

void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct message m = {.kind = MESSAGE_LOOKUP, .parent = parent, .name = name};

	struct fs *fs = fuse_req_userdata(req);
	struct asked *a;

	if (fs_own_lookup(req, parent, name) || control_lookup(req, parent, name) ||
	    fs_too_long(req, name))
		return;
	a = fs_asked_new(req, NULL);
	if (!a)
		return;
	a->look = told_look(fs->told, a->tid, parent, name);
	fs_ask_as(a, &m);
}

/* Inode numbers are the cluster's and never used twice: but for directories there is nothing to
 * remember or forget. */
void fs_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	struct fs *fs = fuse_req_userdata(req);

	fs->unawaited = true;
	dirs_forget(fs->dirs, ino, nlookup);
	fuse_reply_none(req);
}

void fs_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct fs *fs = fuse_req_userdata(req);

	fs->unawaited = true;
	for (size_t i = 0; i < count; i++)
		dirs_forget(fs->dirs, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static struct message create_message(fuse_req_t req, fuse_ino_t parent, const char *name,
				     mode_t mode)
{
	struct message m = {
		.kind = MESSAGE_CREATE,
		.parent = parent,
		.name = name,
		.mode = mode & 07777,
		.gid = fuse_req_ctx(req)->gid,
	};

	fs_note_caller(req, &m);
	return m;
}

void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct message m;

	if (control_refuses_new(req, parent, name))
		return;
	m = create_message(req, parent, name, mode);
	m.flags = (fi->flags & O_EXCL ? OPEN_EXCL : 0) | (fi->flags & O_TRUNC ? OPEN_TRUNC : 0) |
		  fs_privilege(req);
	if (!fs_too_long(req, name))
		fs_ask(req, fi, &m);
}

/* mknod(2) of a regular file is an exclusive creation; other kinds are no locks (contract 3.1). */
void fs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct message m = create_message(req, parent, name, mode);
	struct asked *a;

	(void)rdev;
	if (fs_own_make(req, parent, name) || control_refuses_new(req, parent, name))
		return;
	if (!S_ISREG(mode)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	m.flags = OPEN_EXCL;
	if (fs_too_long(req, name))
		return;
	a = fs_asked_new(req, NULL);
	if (!a)
		return;
	a->make_only = true;
	fs_ask_as(a, &m);
}

static void remove_name(fuse_req_t req, fuse_ino_t parent, const char *name, uint32_t flags)
{
	struct fs *fs = fuse_req_userdata(req);
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct message m = {
		.kind = MESSAGE_UNLINK,
		.parent = parent,
		.name = name,
		.flags = flags,
		.uid = ctx->uid,
	};

	if (fs_own_remove(req, parent, name) || control_refuses_end(req, parent, name) ||
	    fs_too_long(req, name))
		return;
	told_fill(fs->told, ctx->pid, &m);
	fs_ask(req, NULL, &m);
}

void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, 0);
}

void fs_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, UNLINK_DIR);
}

void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct message m = create_message(req, parent, name, mode);

	m.kind = MESSAGE_MKDIR;
	if (fs_own_make(req, parent, name) || control_refuses_new(req, parent, name))
		return;
	if (!fs_too_long(req, name))
		fs_ask(req, NULL, &m);
}

void fs_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct message m = create_message(req, parent, name, 0777);

	m.kind = MESSAGE_SYMLINK;
	m.data = target;
	m.data_len = strlen(target);
	if (fs_own_make(req, parent, name) || control_refuses_new(req, parent, name))
		return;
	if (!fs_too_long(req, name))
		fs_ask(req, NULL, &m);
}

void fs_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct message m = create_message(req, parent, name, 0);

	m.kind = MESSAGE_LINK;
	m.ino = ino;
	if (!control_refuses_new(req, parent, name) && !control_refuses(req, ino, EPERM) &&
	    !fs_too_long(req, name))
		fs_ask(req, NULL, &m);
}

/* An exchange of two names, or a whiteout, is nothing that a lock file does (contract 3.2). */
void fs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
	       const char *newname, unsigned int flags)
{
	struct message m = create_message(req, parent, name, 0);
	struct fs *fs = fuse_req_userdata(req);

	if (control_refuses_end(req, parent, name) || control_refuses_end(req, newparent, newname))
		return;
	if (flags & ~(unsigned)RENAME_NOREPLACE) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	m.kind = MESSAGE_RENAME;
	m.target = newparent;
	m.name2 = newname;
	m.flags = flags & RENAME_NOREPLACE ? MOVE_NOREPLACE : 0;
	if (fs_too_long(req, name) || fs_too_long(req, newname))
		return;
	told_fill(fs->told, fuse_req_ctx(req)->pid, &m);
	fs_ask(req, NULL, &m);
}

/* A symbolic link's content is its target. */
void fs_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct message m = {.kind = MESSAGE_READ, .ino = ino, .length = SYMLINK_MAX_BYTES};
	struct asked *a = fs_asked_new(req, NULL);

	if (!a)
		return;
	a->readlink = true;
	fs_ask_as(a, &m);
}

void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct message m = {.kind = MESSAGE_READDIR, .ino = ino};
	struct asked *a;

	if (control_readdir(req, ino, size, off))
		return;
	a = fs_asked_new(req, fi);
	if (!a)
		return;
	a->size = size;
	a->offset = off;
	/* Offsets 1 and 2 are those after "." and ".."; a cookie c is offset c + 2. */
	m.start = off > 2 ? off - 2 : 0;
	fs_ask_as(a, &m);
}
