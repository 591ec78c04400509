/* SPDX-License-Identifier: MIT */
/* What is agreed with the kernel, and the table of what it may ask. */
#include <stdio.h>
#include <unistd.h>

#include "fs/fs.h"

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

/*
 * The kernel sends RELEASE in the background, and of that only so much at a time: what is more it
 * holds back, while later requests pass. Then the locks of a process that died with many files open
 * would still be there for a program that began after its end (contract 2.3). So: as much as it can
 * count, which is more than the files it opens at a time.
 */
#define BACKGROUND_MAX UINT16_MAX

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
	/* One write is one request: a buffer that is not aligned lies on one page more, and libfuse
	 * asks for as many as this has. */
	conn->max_write = CONTENT_MAX_BYTES + (unsigned)sysconf(_SC_PAGESIZE);
	conn->max_readahead = 0;
	conn->max_background = BACKGROUND_MAX;
	conn->time_gran = 1;
	fs->ready = true;
}

static void fs_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct message m = {.kind = MESSAGE_STATFS, .ino = ino};

	fs_ask(req, NULL, &m);
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
	.getxattr = fs_getxattr,
	.listxattr = fs_listxattr,
	.setxattr = fs_setxattr,
	.removexattr = fs_removexattr,
	.poll = fs_poll,
};
