/* SPDX-License-Identifier: MIT */
#include "fs/control_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#include <utlist.h>

#include "fs/fs.h"

/* ---- Life ---- */

struct reader *reader_new(fuse_req_t req, const struct control_file *file)
{
	struct fs *fs = fuse_req_userdata(req);
	struct reader *r;

	if (fs->reader_count == READERS_MAX) {
		fuse_reply_err(req, ENFILE);
		return NULL;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		fuse_reply_err(req, ENOMEM);
		return NULL;
	}
	r->file = file;
	DL_APPEND(fs->readers, r);
	fs->reader_count++;
	return r;
}

void reader_free(struct fs *fs, struct reader *r)
{
	DL_DELETE(fs->readers, r);
	fs->reader_count--;
	if (r->poll)
		fuse_pollhandle_destroy(r->poll);
	stream_deinit(&r->lines);
	free(r);
}

bool reader_opened(fuse_req_t req, struct reader *r, struct fuse_file_info *fi)
{
	fi->fh = (uintptr_t)r;
	fi->nonseekable = 1;
	if (fuse_reply_open(req, fi) == 0)
		return true;
	reader_free(fuse_req_userdata(req), r);
	return false;
}

void reader_release(struct fs *fs, const struct control_file *file, struct fuse_file_info *fi)
{
	(void)file;
	reader_free(fs, (struct reader *)(uintptr_t)fi->fh);
}

static struct reader *reader_of(const struct fuse_file_info *fi)
{
	return (struct reader *)(uintptr_t)fi->fh;
}

/* ---- Reading ---- */

static bool is_ready(const struct reader *r)
{
	return !stream_is_empty(&r->lines) || r->until_due || r->over;
}

/* What a caller who is gone does not get is kept for the next. */
static void give(const struct fs *fs, struct reader *r, fuse_req_t req, size_t size)
{
	const char *bytes = NULL;
	size_t len;

	if (stream_is_empty(&r->lines) && r->until_due)
		lease_tell(fs, r);
	len = stream_peek(&r->lines, size, &bytes);
	if (!len && !r->over)
		fuse_reply_err(req, ENOMEM); /* there is something, and no room to say it */
	else if (fuse_reply_buf(req, bytes, len) == 0)
		stream_read(&r->lines, len);
}

/*
 * libfuse calls this with a lock of the request held, perhaps while it is registered: only note it.
 * The reader outlives the request, as a description is released after its reads.
 */
static void on_interrupt(fuse_req_t req, void *arg)
{
	struct fs *fs = fuse_req_userdata(req);
	struct reader *r = arg;

	r->signalled = true;
	fs->readers_stir = true;
}

static void wait_for_line(struct reader *r, fuse_req_t req, size_t size)
{
	r->waiting = req;
	r->size = size;
	r->signalled = false;
	fuse_req_interrupt_func(req, on_interrupt, r);
}

/* The kernel lets one thread read a description at a time, unless it is asked not to. */
void reader_read(fuse_req_t req, const struct control_file *file, size_t size, off_t off,
		 struct fuse_file_info *fi)
{
	struct reader *r = reader_of(fi);

	(void)off;
	(void)file;
	if (size < READER_BUFFER_MIN)
		fuse_reply_err(req, EINVAL);
	else if (r->waiting)
		fuse_reply_err(req, EBUSY);
	else if (is_ready(r))
		give(fuse_req_userdata(req), r, req, size);
	else if (fi->flags & O_NONBLOCK)
		fuse_reply_err(req, EAGAIN);
	else
		wait_for_line(r, req, size);
}

static unsigned events_of(const struct reader *r)
{
	if (!is_ready(r))
		return 0;
	return POLLIN | POLLRDNORM | (r->over && stream_is_empty(&r->lines) ? POLLHUP : 0);
}

/* Of several who poll one description, the kernel tells all when it is told of one. */
void reader_poll(fuse_req_t req, const struct control_file *file, struct fuse_file_info *fi,
		 struct fuse_pollhandle *ph)
{
	struct reader *r = reader_of(fi);

	(void)file;
	if (ph) {
		if (r->poll)
			fuse_pollhandle_destroy(r->poll);
		r->poll = ph;
	}
	fuse_reply_poll(req, events_of(r));
}

/* ---- Turns ---- */

static void turn(struct fs *fs, struct reader *r)
{
	fuse_req_t req = r->waiting;

	if (req && (r->signalled || is_ready(r))) {
		r->waiting = NULL;
		if (is_ready(r))
			give(fs, r, req, r->size);
		else
			fuse_reply_err(req, EINTR);
	}
	if (r->poll && is_ready(r)) {
		fuse_lowlevel_notify_poll(r->poll);
		fuse_pollhandle_destroy(r->poll);
		r->poll = NULL;
	}
}

void readers_turn(struct fs *fs)
{
	struct reader *r;

	if (!fs->readers && !fs->watching)
		return;
	changes_turn(fs);
	lease_turn(fs);
	if (!fs->readers_stir)
		return;
	fs->readers_stir = false;
	DL_FOREACH (fs->readers, r)
		turn(fs, r);
}

void readers_end(struct fs *fs)
{
	while (fs->readers) {
		if (fs->readers->waiting)
			fuse_reply_err(fs->readers->waiting, EIO);
		reader_free(fs, fs->readers);
	}
}
