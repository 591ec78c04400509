/* SPDX-License-Identifier: MIT */
/* Requests about files: their attributes, opening, content. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "fs/fs.h"

/* ---- Attributes ---- */

void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct message m = {.kind = MESSAGE_GETATTR, .ino = ino};
	struct fs *fs = fuse_req_userdata(req);
	struct attr attr;

	if (fs_own_getattr(req, ino) || control_getattr(req, ino))
		return;
	if (told_attr(fs->told, fuse_req_ctx(req)->pid, ino, &attr))
		fs_reply_attr(req, &attr);
	else
		fs_ask(req, fi, &m);
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
	/* 1677 to 2262: what an int64_t of nanoseconds holds. */
	const time_t most = INT64_MAX / NS_PER_SEC - 1;
	time_t seconds = ts.tv_sec > most ? most : ts.tv_sec < -most ? -most : ts.tv_sec;

	return seconds * NS_PER_SEC + ts.tv_nsec;
}

void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
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

	if (!control_refuses(req, ino, EPERM))
		fs_ask(req, fi, &m);
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

void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	pid_t tid = fuse_req_ctx(req)->pid;
	struct message m = {
		.kind = MESSAGE_OPEN,
		.ino = ino,
		.flags = (fi->flags & O_TRUNC ? OPEN_TRUNC : 0) | fs_privilege(req) |
			 (is_second_try(fuse_req_userdata(req), tid) ? OPEN_UNLINKED : 0),
		.pid = (uint32_t)tid,
	};

	if (!control_open(req, ino, fi))
		fs_ask(req, fi, &m);
}

void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);

	if (control_release(req, ino, fi))
		return;
	fs->unawaited = true;
	node_close(fs->node, fi->fh, loop_now());
	fuse_reply_err(req, 0);
}

void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct message m = {
		.kind = MESSAGE_READ,
		.ino = ino,
		.handle = fi->fh,
		.start = off,
		.length = size < CONTENT_MAX_BYTES ? size : CONTENT_MAX_BYTES,
	};

	if (!control_read(req, ino, size, off, fi))
		fs_ask(req, fi, &m);
}

void fs_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	      struct fuse_file_info *fi)
{
	struct message m = {
		.kind = MESSAGE_WRITE,
		.ino = ino,
		.handle = fi->fh,
		.start = off,
		.flags = (fi->flags & O_APPEND ? OPEN_APPEND : 0) | fs_privilege(req),
		.data = buf,
		.data_len = size < CONTENT_MAX_BYTES ? size : CONTENT_MAX_BYTES,
	};
	struct asked *a;

	if (control_write(req, ino, buf, size, off, fi))
		return;
	a = fs_asked_new(req, fi);
	if (!a)
		return;
	a->size = m.data_len;
	fs_ask_as(a, &m);
}

/* Nothing is ever kept back, so there is nothing to sync; a lapsed descriptor says so
 * (contract 6.1). */
void fs_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);

	(void)datasync;
	if (control_refuses(req, ino, 0))
		return;
	fuse_reply_err(req, node_handle_lapsed(fs->node, fi->fh, loop_now()) ? EIO : 0);
}

/* A file of the table can always be read and written. */
void fs_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
	if (control_poll(req, ino, fi, ph))
		return;
	if (ph)
		fuse_pollhandle_destroy(ph);
	fuse_reply_poll(req, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
}
