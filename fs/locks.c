/* SPDX-License-Identifier: MIT */
/* Requests about locks: flock(2), and the ranges of fcntl(2). */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "fs/fs.h"

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

void fs_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
	struct message m = lock_message(ino, fi, LOCK_RANGE, fcntl_mode(lock->l_type));

	m.kind = MESSAGE_TESTLOCK;
	set_range(&m, lock);
	if (!control_refuses(req, ino, EOPNOTSUPP))
		fs_ask(req, fi, &m);
}

void fs_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
	      int sleep)
{
	struct message m = lock_message(ino, fi, LOCK_RANGE, fcntl_mode(lock->l_type));

	if (control_refuses(req, ino, EOPNOTSUPP))
		return;
	if (m.lock_mode != LOCK_NONE)
		fs_note_caller(req, &m);
	set_range(&m, lock);
	m.flags = sleep && m.lock_mode != LOCK_NONE ? LOCK_WAIT : 0;
	fs_ask(req, fi, &m);
}

void fs_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
	enum lock_mode mode = op & LOCK_EX   ? LOCK_EXCLUSIVE
			      : op & LOCK_SH ? LOCK_SHARED
					     : LOCK_NONE;
	struct message m = lock_message(ino, fi, LOCK_FLOCK, mode);

	if (control_refuses(req, ino, EOPNOTSUPP))
		return;
	if (mode != LOCK_NONE)
		fs_note_caller(req, &m);
	m.flags = mode != LOCK_NONE && !(op & LOCK_NB) ? LOCK_WAIT : 0;
	fs_ask(req, fi, &m);
}

/*
 * Every close of a descriptor: the process gives up its fcntl locks on the file, whichever
 * descriptor they were taken through. Mostly there are none, and then the master need not hear of
 * it. A close cannot be interrupted, not even by SIGKILL, whose end it is on the way to: so it is
 * given no more time than a call that a signal has come for. The release is sent in any case.
 */
void fs_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	struct message m = lock_message(ino, fi, LOCK_RANGE, LOCK_NONE);
	struct asked *a;
	uint64_t call;

	if (control_refuses(req, ino, 0))
		return;
	if (!node_owns_ranges(fs->node, fi->fh, fi->lock_owner)) {
		fuse_reply_err(req, 0);
		return;
	}
	a = fs_asked_new(req, fi);
	if (!a)
		return;
	a->flush = true;
	call = fs_ask_as(a, &m);
	if (call)
		node_interrupt(fs->node, call, loop_now());
}
