/* SPDX-License-Identifier: MIT */
/* The core's answers, to the kernel. */
#include "fs/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/control_stream.h"
#include "fs/errors.h"
#include "lockcore/table.h"

/* Entries and attributes are never cached: what another node does is seen at the next call (2.1).
 */
#define CACHE_SECONDS 0.0

static struct timespec from_ns(int64_t ns)
{
	struct timespec ts = {.tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC};

	if (ts.tv_nsec < 0) {
		ts.tv_sec--;
		ts.tv_nsec += NS_PER_SEC;
	}
	return ts;
}

static struct stat as_stat(const struct attr *attr)
{
	return (struct stat){
		.st_ino = attr->ino,
		.st_mode = attr->mode,
		.st_nlink = attr->nlink,
		.st_uid = attr->uid,
		.st_gid = attr->gid,
		.st_size = (off_t)attr->size,
		.st_blksize = FS_BLOCK_BYTES,
		.st_blocks = (blkcnt_t)((attr->size + 511) / 512),
		.st_atim = from_ns(attr->atime_ns),
		.st_mtim = from_ns(attr->mtime_ns),
		.st_ctim = from_ns(attr->ctime_ns),
	};
}

static struct fuse_entry_param as_entry(const struct attr *attr)
{
	return (struct fuse_entry_param){
		.ino = attr->ino,
		.attr = as_stat(attr),
		.attr_timeout = CACHE_SECONDS,
		.entry_timeout = CACHE_SECONDS,
	};
}

void fs_reply_attr(fuse_req_t req, const struct attr *attr)
{
	struct stat st = as_stat(attr);

	fuse_reply_attr(req, &st, CACHE_SECONDS);
}

void fs_reply_entry(fuse_req_t req, const struct attr *attr)
{
	struct fuse_entry_param entry = as_entry(attr);
	struct fs *fs = fuse_req_userdata(req);

	/* What stands in for a directory has never been one. */
	if (fuse_reply_entry(req, &entry) == 0 && attr->ino < NOTIFY_STAND_INS)
		dirs_told(fs->dirs, attr);
}

/* A caller that is gone already (ENOENT) will never release the file: we do. */
static void answer_open(struct fs *fs, struct asked *a, const struct node_answer *answer)
{
	struct fuse_entry_param entry = as_entry(&answer->reply->attr);
	int err;

	a->fi.fh = answer->handle;
	a->fi.direct_io = 1;
	a->fi.keep_cache = 0;
	if (a->make_only)
		err = fuse_reply_entry(a->req, &entry);
	else if (answer->kind == MESSAGE_CREATE)
		err = fuse_reply_create(a->req, &entry, &a->fi);
	else
		err = fuse_reply_open(a->req, &a->fi);
	if (err || a->make_only)
		node_close(fs->node, answer->handle, loop_now());
}

static void answer_statfs(const struct asked *a, const struct node_answer *answer)
{
	const struct message *r = answer->reply;
	uint64_t per_file = CONTENT_MAX_BYTES / FS_BLOCK_BYTES;
	uint64_t used = (r->target + FS_BLOCK_BYTES - 1) / FS_BLOCK_BYTES;
	uint64_t files = (uint64_t)r->start;
	struct statvfs st = {
		.f_bsize = FS_BLOCK_BYTES,
		.f_frsize = FS_BLOCK_BYTES,
		.f_blocks = r->length * per_file,
		.f_bfree = r->length * per_file - used,
		.f_bavail = r->length * per_file - used,
		.f_files = r->length,
		.f_ffree = r->length > files ? r->length - files : 0,
		.f_favail = r->length > files ? r->length - files : 0,
		.f_namemax = NAME_MAX_BYTES,
	};

	fuse_reply_statfs(a->req, &st);
}

/* Adds one name to the buffer; false: it is full. */
static bool add_name(const struct asked *a, char *buf, size_t *len, const char *name, uint64_t ino,
		     uint32_t mode, off_t next)
{
	struct stat st = {.st_ino = ino, .st_mode = mode};
	size_t size = fuse_add_direntry(a->req, buf + *len, a->size - *len, name, &st, next);

	if (size > a->size - *len)
		return false;
	*len += size;
	return true;
}

static void answer_readdir(const struct asked *a, const struct node_answer *answer)
{
	const struct message *r = answer->reply;
	char *buf = malloc(a->size);
	size_t len = 0;
	bool room = buf != NULL;

	if (!buf) {
		fuse_reply_err(a->req, ENOMEM);
		return;
	}
	if (a->offset < 1)
		room = add_name(a, buf, &len, ".", a->ino, S_IFDIR, 1);
	if (room && a->offset < 2)
		room = add_name(a, buf, &len, "..", r->parent, S_IFDIR, 2);
	for (size_t i = 0; room && i < r->entry_count; i++)
		room = add_name(a, buf, &len, r->entries[i].name, r->entries[i].ino,
				r->entries[i].mode, (off_t)r->entries[i].cookie + 2);
	fuse_reply_buf(a->req, buf, len);
	free(buf);
}

static void answer_read(const struct asked *a, const struct node_answer *answer)
{
	const struct message *r = answer->reply;
	char target[SYMLINK_MAX_BYTES + 1];

	if (!a->readlink) {
		fuse_reply_buf(a->req, r->data, r->data_len);
		return;
	}
	if (r->data_len > SYMLINK_MAX_BYTES) {
		fuse_reply_err(a->req, EIO); /* more than was asked for */
		return;
	}
	if (r->data_len)
		memcpy(target, r->data, r->data_len);
	target[r->data_len] = '\0';
	fuse_reply_readlink(a->req, target);
}

static void answer_testlock(const struct asked *a, const struct node_answer *answer)
{
	const struct message *r = answer->reply;
	struct flock lock = {
		.l_type = r->lock_mode == LOCK_EXCLUSIVE ? F_WRLCK
			  : r->lock_mode == LOCK_SHARED	 ? F_RDLCK
							 : F_UNLCK,
		.l_whence = SEEK_SET,
		.l_start = r->start,
		.l_len = r->end == RANGE_END ? 0 : r->end - r->start + 1,
		.l_pid = (pid_t)r->pid,
	};

	fuse_reply_lock(a->req, &lock);
}

static void answer_lookup(struct fs *fs, const struct asked *a, const struct node_answer *answer)
{
	struct attr attr = answer->reply->attr;

	attr.ino = told_answer(fs->told, a->tid, a->look, &attr);
	fs_reply_entry(a->req, &attr);
}

static void answer_ok(struct fs *fs, struct asked *a, const struct node_answer *answer)
{
	switch (answer->kind) {
	case MESSAGE_LOOKUP:
		answer_lookup(fs, a, answer);
		break;
	case MESSAGE_MKDIR:
	case MESSAGE_SYMLINK:
	case MESSAGE_LINK:
		fs_reply_entry(a->req, &answer->reply->attr);
		break;
	case MESSAGE_GETATTR:
	case MESSAGE_SETATTR:
		dirs_seen(fs->dirs, &answer->reply->attr);
		if (a->setxattr)
			fuse_reply_err(a->req, 0);
		else
			fs_reply_attr(a->req, &answer->reply->attr);
		break;
	case MESSAGE_CREATE:
	case MESSAGE_OPEN:
		answer_open(fs, a, answer);
		break;
	case MESSAGE_READ:
		answer_read(a, answer);
		break;
	case MESSAGE_WRITE:
		/* Short at the limit of a file, as on other file systems. */
		fuse_reply_write(a->req, write_fits(answer->reply->start, a->size));
		break;
	case MESSAGE_BREAK:
		fuse_reply_write(a->req, a->size);
		break;
	case MESSAGE_READDIR:
		answer_readdir(a, answer);
		break;
	case MESSAGE_STATFS:
		answer_statfs(a, answer);
		break;
	case MESSAGE_GETINFO:
		fs_answer_info(a, answer->reply);
		break;
	case MESSAGE_TESTLOCK:
		answer_testlock(a, answer);
		break;
	default: /* UNLINK, RENAME, LOCK */
		fuse_reply_err(a->req, 0);
		break;
	}
}

static void remember_stale(struct fs *fs, const struct asked *a)
{
	fs->stale_opens[fs->stale_next] = (struct stale_open){a->tid, loop_now().boot_ns};
	fs->stale_next = (fs->stale_next + 1) % FS_STALE_OPENS;
}

/*
 * A directory that is gone, where a program still is, or which it has looked up before it went: as on
 * other file systems it has attributes, and nothing else. False: it is none.
 */
static bool answer_gone(struct fs *fs, const struct asked *a, const struct node_answer *answer)
{
	struct attr attr;
	bool is = false;

	if (answer->status == STATUS_STALE && answer->kind == MESSAGE_GETATTR)
		is = dirs_gone(fs->dirs, a->ino, &attr);
	if (answer->status == STATUS_STALE && answer->kind == MESSAGE_SETATTR && !a->setxattr)
		is = dirs_change_gone(fs->dirs, a->ino, a->set, &a->to, loop_now().wall_ns, &attr);
	if (is)
		fs_reply_attr(a->req, &attr);
	return is;
}

/* close(2) succeeds whatever became of the locks: they are gone in any case (contract 6.1). */
void fs_answer(struct fs *fs, const struct node_answer *answer)
{
	struct asked *a = answer->cookie;

	if (answer->kind == MESSAGE_SURVEY) {
		control_survey_answer(fs, a, answer);
		return;
	}
	if (answer->kind == MESSAGE_WATCH) {
		changes_answer(fs, a, answer);
		return;
	}
	if (answer->kind == MESSAGE_OPEN && answer->status == STATUS_STALE)
		remember_stale(fs, a);
	if (answer->status == STATUS_OK)
		onloss_made(fs, a);
	bind_answered(fs, a, answer);
	if (a->flush)
		onloss_flushed(fs, a);
	if (!a->req) {
		free(a); /* the kernel has its answer */
		return;
	}
	if (answer->status == STATUS_CHANGED)
		told_changed(fs->told, a->tid);
	else if (answer->status != STATUS_OK && answer->kind == MESSAGE_LOOKUP)
		told_answer(fs->told, a->tid, a->look, NULL);
	if (answer->status == STATUS_OK)
		answer_ok(fs, a, answer);
	else if (!answer_gone(fs, a, answer))
		fuse_reply_err(a->req, a->flush ? 0 : errors_errno(answer->kind, answer->status));
	free(a);
}
