/* SPDX-License-Identifier: MIT */
/* The kernel's requests, each turned into one call of the core (field names as in message.h). */
#include "fs/fs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "fs/errors.h"
#include "lockcore/table.h"

#define INTERRUPTS_FIRST_ROOM 64

/* What we ask of the kernel: without these it would lock each node for itself. */
#define NEEDED (FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS)

/*
 * Wanted off: splicing, which one small message does not repay; READDIRPLUS, whose attributes
 * nobody may cache; and whatever lets the kernel keep data or write it later (contract 2.1).
 */
#define UNWANTED                                                                                   \
	(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |                     \
	 FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_WRITEBACK_CACHE |             \
	 FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_ASYNC_READ)

static struct fs *fs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* ---- Interrupts ---- */

/*
 * libfuse calls this with a lock of the request held, perhaps while it is registered: only note the
 * call's number. A full note is no loss: the kernel's requests are bounded by its memory, and so is
 * ours.
 */
static void on_interrupt(fuse_req_t req, void *call)
{
	struct fs *fs = fs_of(req);

	if (fs->interrupt_count == fs->interrupt_room) {
		size_t room = fs->interrupt_room ? fs->interrupt_room * 2 : INTERRUPTS_FIRST_ROOM;
		uint64_t *more = realloc(fs->interrupts, room * sizeof(*more));

		if (!more)
			return;
		fs->interrupts = more;
		fs->interrupt_room = room;
	}
	fs->interrupts[fs->interrupt_count++] = (uintptr_t)call;
}

void fs_pass_interrupts(struct fs *fs)
{
	for (size_t i = 0; i < fs->interrupt_count; i++)
		node_interrupt(fs->node, fs->interrupts[i], loop_now());
	fs->interrupt_count = 0;
}

/* ---- Asking ---- */

static struct asked *asked_new(fuse_req_t req, const struct fuse_file_info *fi)
{
	struct asked *a = calloc(1, sizeof(*a));

	if (!a) {
		fuse_reply_err(req, ENOMEM);
		return NULL;
	}
	a->req = req;
	if (fi)
		a->fi = *fi;
	return a;
}

/* Takes a over. */
static void ask_as(struct asked *a, const struct message *m)
{
	struct fs *fs = fs_of(a->req);
	fuse_req_t req = a->req;
	uint64_t call = node_submit(fs->node, m, a, loop_now());

	if (call) {
		/* The answer comes from the loop later, so req is still ours. */
		fuse_req_interrupt_func(req, on_interrupt, (void *)(uintptr_t)call);
	} else {
		fuse_reply_err(req, errors_errno(m->kind, STATUS_NO_MEMORY));
		free(a);
	}
}

static void ask(fuse_req_t req, const struct fuse_file_info *fi, const struct message *m)
{
	struct asked *a = asked_new(req, fi);

	if (a)
		ask_as(a, m);
}

static bool too_long(fuse_req_t req, const char *name)
{
	if (strlen(name) <= NAME_MAX_BYTES)
		return false;
	fuse_reply_err(req, ENAMETOOLONG);
	return true;
}

/* ---- The mount ---- */

static void fs_init(void *userdata, struct fuse_conn_info *conn)
{
	struct fs *fs = userdata;

	if ((conn->capable & NEEDED) != NEEDED) {
		snprintf(
			fs->refused, sizeof(fs->refused),
			"the kernel's FUSE cannot pass %s locks on, and would lock locally instead",
			conn->capable & FUSE_CAP_FLOCK_LOCKS ? "fcntl" : "flock");
		fuse_session_exit(fs->session);
		return;
	}
	conn->want |= NEEDED | FUSE_CAP_ATOMIC_O_TRUNC;
	conn->want &= ~(unsigned)UNWANTED;
	conn->max_write = CONTENT_MAX_BYTES;
	conn->max_readahead = 0;
	conn->time_gran = 1;
	fs->ready = true;
}

static void fs_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct message m = {.kind = MESSAGE_STATFS, .ino = ino};

	ask(req, NULL, &m);
}

/* ---- Names ---- */

static void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct message m = {.kind = MESSAGE_LOOKUP, .parent = parent, .name = name};

	if (!too_long(req, name))
		ask(req, NULL, &m);
}

/* Inode numbers are the cluster's and never used twice: there is nothing to remember or forget. */
static void fs_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	(void)ino;
	(void)nlookup;
	fuse_reply_none(req);
}

static void fs_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	(void)count;
	(void)forgets;
	fuse_reply_none(req);
}

static struct message create_message(fuse_req_t req, fuse_ino_t parent, const char *name,
				     mode_t mode)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct message){
		.kind = MESSAGE_CREATE,
		.parent = parent,
		.name = name,
		.mode = mode & 07777,
		.uid = ctx->uid,
		.gid = ctx->gid,
		.pid = (uint32_t)ctx->pid,
	};
}

static void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	struct message m = create_message(req, parent, name, mode);

	m.flags = (fi->flags & O_EXCL ? OPEN_EXCL : 0) | (fi->flags & O_TRUNC ? OPEN_TRUNC : 0);
	if (!too_long(req, name))
		ask(req, fi, &m);
}

/* mknod(2) of a regular file is an exclusive creation; other kinds are no locks (contract 3.1). */
static void fs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct message m = create_message(req, parent, name, mode);
	struct asked *a;

	(void)rdev;
	if (!S_ISREG(mode)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	m.flags = OPEN_EXCL;
	if (too_long(req, name))
		return;
	a = asked_new(req, NULL);
	if (!a)
		return;
	a->make_only = true;
	ask_as(a, &m);
}

static void remove_name(fuse_req_t req, fuse_ino_t parent, const char *name, uint32_t flags)
{
	struct message m = {
		.kind = MESSAGE_UNLINK,
		.parent = parent,
		.name = name,
		.flags = flags,
	};

	if (!too_long(req, name))
		ask(req, NULL, &m);
}

static void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, 0);
}

static void fs_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, UNLINK_DIR);
}

static void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct message m = create_message(req, parent, name, mode);

	m.kind = MESSAGE_MKDIR;
	if (!too_long(req, name))
		ask(req, NULL, &m);
}

static void fs_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct message m = create_message(req, parent, name, 0777);

	m.kind = MESSAGE_SYMLINK;
	m.data = target;
	m.data_len = strlen(target);
	if (!too_long(req, name))
		ask(req, NULL, &m);
}

static void fs_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct message m = create_message(req, parent, name, 0);

	m.kind = MESSAGE_LINK;
	m.ino = ino;
	if (!too_long(req, name))
		ask(req, NULL, &m);
}

/* An exchange of two names, or a whiteout, is nothing that a lock file does (contract 3.2). */
static void fs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		      const char *newname, unsigned int flags)
{
	struct message m = create_message(req, parent, name, 0);

	if (flags & ~(unsigned)RENAME_NOREPLACE) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	m.kind = MESSAGE_RENAME;
	m.target = newparent;
	m.name2 = newname;
	m.flags = flags & RENAME_NOREPLACE ? MOVE_NOREPLACE : 0;
	if (!too_long(req, name) && !too_long(req, newname))
		ask(req, NULL, &m);
}

/* A symbolic link's content is its target. */
static void fs_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct message m = {.kind = MESSAGE_READ, .ino = ino, .length = SYMLINK_MAX_BYTES};
	struct asked *a = asked_new(req, NULL);

	if (!a)
		return;
	a->readlink = true;
	ask_as(a, &m);
}

static void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	struct message m = {.kind = MESSAGE_READDIR, .ino = ino};
	struct asked *a = asked_new(req, fi);

	if (!a)
		return;
	a->size = size;
	a->offset = off;
	a->ino = ino;
	/* Offsets 1 and 2 are those after "." and ".."; a cookie c is offset c + 2. */
	m.start = off > 2 ? off - 2 : 0;
	ask_as(a, &m);
}

/* ---- Attributes ---- */

static void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct message m = {.kind = MESSAGE_GETATTR, .ino = ino};

	ask(req, fi, &m);
}

static uint32_t set_mask(int to_set)
{
	static const struct {
		int fuse;
		uint32_t ours;
	} map[] = {
		{FUSE_SET_ATTR_MODE, SET_MODE},
		{FUSE_SET_ATTR_UID, SET_UID},
		{FUSE_SET_ATTR_GID, SET_GID},
		{FUSE_SET_ATTR_SIZE, SET_SIZE},
		{FUSE_SET_ATTR_ATIME, SET_ATIME},
		{FUSE_SET_ATTR_MTIME, SET_MTIME},
		{FUSE_SET_ATTR_ATIME_NOW, SET_ATIME_NOW},
		{FUSE_SET_ATTR_MTIME_NOW, SET_MTIME_NOW},
	};
	uint32_t set = 0;

	for (size_t i = 0; i < sizeof(map) / sizeof(*map); i++)
		set |= to_set & map[i].fuse ? map[i].ours : 0;
	return set;
}

static int64_t to_ns(struct timespec ts)
{
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
		       struct fuse_file_info *fi)
{
	struct message m = {
		.kind = MESSAGE_SETATTR,
		.ino = ino,
		.handle = fi ? fi->fh : 0,
		.set = set_mask(to_set),
		.attr =
			{
				.mode = st->st_mode,
				.uid = st->st_uid,
				.gid = st->st_gid,
				.size = (uint64_t)st->st_size,
				.atime_ns = to_ns(st->st_atim),
				.mtime_ns = to_ns(st->st_mtim),
			},
	};

	ask(req, fi, &m);
}

/* ---- Open files ---- */

/* Is this the kernel's second try at an open that was answered ESTALE? There is no third. */
static bool is_second_try(const struct fs *fs, pid_t tid)
{
	int64_t now = loop_now().boot_ns;

	for (size_t i = 0; i < FS_STALE_OPENS; i++)
		if (fs->stale_opens[i].tid == tid && now - fs->stale_opens[i].at_ns < FS_STALE_NS)
			return tid != 0;
	return false;
}

static void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	pid_t tid = fuse_req_ctx(req)->pid;
	struct message m = {
		.kind = MESSAGE_OPEN,
		.ino = ino,
		.flags = (fi->flags & O_TRUNC ? OPEN_TRUNC : 0) |
			 (is_second_try(fs_of(req), tid) ? OPEN_UNLINKED : 0),
		.pid = (uint32_t)tid,
	};
	struct asked *a = asked_new(req, fi);

	if (!a)
		return;
	a->tid = tid;
	ask_as(a, &m);
}

static void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);

	(void)ino;
	node_close(fs->node, fi->fh, loop_now());
	fuse_reply_err(req, 0);
}

static void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct message m = {
		.kind = MESSAGE_READ,
		.ino = ino,
		.handle = fi->fh,
		.start = off,
		.length = size < CONTENT_MAX_BYTES ? size : CONTENT_MAX_BYTES,
	};

	ask(req, fi, &m);
}

static void fs_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct message m = {
		.kind = MESSAGE_WRITE,
		.ino = ino,
		.handle = fi->fh,
		.start = off,
		.flags = fi->flags & O_APPEND ? OPEN_APPEND : 0,
		.data = buf,
		.data_len = size,
	};
	struct asked *a;

	if (size > CONTENT_MAX_BYTES) {
		fuse_reply_err(req, EFBIG);
		return;
	}
	a = asked_new(req, fi);
	if (!a)
		return;
	a->size = size;
	ask_as(a, &m);
}

/* Nothing is ever kept back, so there is nothing to sync; a lapsed descriptor says so
 * (contract 6.1). */
static void fs_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);

	(void)ino;
	(void)datasync;
	fuse_reply_err(req, node_handle_lapsed(fs->node, fi->fh, loop_now()) ? EIO : 0);
}

/* ---- Locks ---- */

static struct message lock_message(fuse_ino_t ino, const struct fuse_file_info *fi,
				   enum lock_kind kind, enum lock_mode mode)
{
	return (struct message){
		.kind = MESSAGE_LOCK,
		.ino = ino,
		.handle = fi->fh,
		.owner = fi->lock_owner,
		.lock_kind = kind,
		.lock_mode = mode,
		.start = 0,
		.end = RANGE_END,
	};
}

static enum lock_mode fcntl_mode(short type)
{
	return type == F_RDLCK ? LOCK_SHARED : type == F_WRLCK ? LOCK_EXCLUSIVE : LOCK_NONE;
}

/* A length of 0 is "to the end of the file, however far it grows" (fcntl(2)). */
static void set_range(struct message *m, const struct flock *lock)
{
	m->start = lock->l_start;
	m->end = lock->l_len ? lock->l_start + (lock->l_len - 1) : RANGE_END;
	m->pid = (uint32_t)lock->l_pid;
}

static void fs_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
	struct message m = lock_message(ino, fi, LOCK_RANGE, fcntl_mode(lock->l_type));

	m.kind = MESSAGE_TESTLOCK;
	set_range(&m, lock);
	ask(req, fi, &m);
}

static void fs_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
		     int sleep)
{
	struct message m = lock_message(ino, fi, LOCK_RANGE, fcntl_mode(lock->l_type));

	set_range(&m, lock);
	m.flags = sleep && m.lock_mode != LOCK_NONE ? LOCK_WAIT : 0;
	ask(req, fi, &m);
}

static void fs_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
	enum lock_mode mode = op & LOCK_EX   ? LOCK_EXCLUSIVE
			      : op & LOCK_SH ? LOCK_SHARED
					     : LOCK_NONE;
	struct message m = lock_message(ino, fi, LOCK_FLOCK, mode);

	m.pid = (uint32_t)fuse_req_ctx(req)->pid;
	m.flags = mode != LOCK_NONE && !(op & LOCK_NB) ? LOCK_WAIT : 0;
	ask(req, fi, &m);
}

/*
 * Every close of a descriptor: the process gives up its fcntl locks on the file, whichever
 * descriptor they were taken through. Mostly there are none, and then the master need not hear of
 * it.
 */
static void fs_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct message m = lock_message(ino, fi, LOCK_RANGE, LOCK_NONE);
	struct asked *a;

	if (!node_owns_ranges(fs->node, fi->fh, fi->lock_owner)) {
		fuse_reply_err(req, 0);
		return;
	}
	a = asked_new(req, fi);
	if (!a)
		return;
	a->flush = true;
	ask_as(a, &m);
}

const struct fuse_lowlevel_ops fs_ops = {
	.init = fs_init,
	.statfs = fs_statfs,
	.lookup = fs_lookup,
	.forget = fs_forget,
	.forget_multi = fs_forget_multi,
	.create = fs_create,
	.mknod = fs_mknod,
	.unlink = fs_unlink,
	.readdir = fs_readdir,
	.getattr = fs_getattr,
	.setattr = fs_setattr,
	.open = fs_open,
	.release = fs_release,
	.read = fs_read,
	.write = fs_write,
	.fsync = fs_fsync,
	.getlk = fs_getlk,
	.setlk = fs_setlk,
	.flock = fs_flock,
	.flush = fs_flush,
	.mkdir = fs_mkdir,
	.symlink = fs_symlink,
	.link = fs_link,
	.rename = fs_rename,
	.rmdir = fs_rmdir,
	.readlink = fs_readlink,
};
