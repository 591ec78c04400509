/* SPDX-License-Identifier: MIT */
#include "fs/control.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/control_stream.h"
#include "fs/fs.h"
#include "fs/survey.h"

#define TEXT_FILE(file_name, with_survey, text_of)                                                 \
	{                                                                                          \
		.name = file_name, .mode = 0444, .open = control_text_open,                        \
		.read = control_text_read, .release = control_text_release,                        \
		.surveys = with_survey, .text = text_of,                                           \
	}

/* In the order in which they are listed; their places are part of their inode numbers. */
static const struct control_file control_files[] = {
	TEXT_FILE("status", false, control_status),
	TEXT_FILE("status.json", false, control_status_json),
	TEXT_FILE("locks", true, survey_table_locks),
	TEXT_FILE("waiters", true, survey_table_waiters),
	TEXT_FILE("locks.json", true, survey_json),
	{
		.name = "changes",
		.mode = 0444,
		.open = changes_open,
		.read = reader_read,
		.release = changes_release,
		.poll = reader_poll,
	},
	{
		.name = "lease",
		.mode = 0444,
		.open = lease_open,
		.read = reader_read,
		.release = reader_release,
		.poll = reader_poll,
	},
	{
		.name = "break",
		.mode = 0200,
		.open = control_break_open,
		.write = control_break_write,
	},
};

#define FILE_COUNT (sizeof(control_files) / sizeof(*control_files))

_Static_assert(FILE_COUNT <= CONTROL_FILES_MAX, "no numbers for so many");

/* ---- What there is ---- */

static bool is_ours(fuse_ino_t ino)
{
	return ino >= CONTROL_INO && ino <= CONTROL_INO + CONTROL_FILES_MAX;
}

static bool is_directory(fuse_ino_t parent, const char *name)
{
	return parent == ROOT_INO && !strcmp(name, CONTROL_NAME);
}

static const struct control_file *find_file(fuse_ino_t ino)
{
	return ino > CONTROL_INO && ino - CONTROL_INO <= FILE_COUNT
		       ? &control_files[ino - CONTROL_INO - 1]
		       : NULL;
}

static fuse_ino_t ino_of(const struct control_file *file)
{
	return CONTROL_INO + 1 + (fuse_ino_t)(file - control_files);
}

/* A size of 0, as in /proc: what is to be read is not known before it is read. */
static struct attr attr_of(fuse_ino_t ino)
{
	const struct control_file *file = find_file(ino);
	int64_t now_ns = loop_now().wall_ns;

	return (struct attr){
		.ino = ino,
		.mode = file ? S_IFREG | file->mode : S_IFDIR | 0555,
		.nlink = file ? 1 : 2,
		.atime_ns = now_ns,
		.mtime_ns = now_ns,
		.ctime_ns = now_ns,
	};
}

/* ---- Looking ---- */

static const struct control_file *find_name(const char *name)
{
	for (size_t i = 0; i < FILE_COUNT; i++)
		if (!strcmp(name, control_files[i].name))
			return &control_files[i];
	return NULL;
}

bool control_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct control_file *file = parent == CONTROL_INO ? find_name(name) : NULL;
	bool directory = is_directory(parent, name);
	struct attr attr;

	if (!directory && !is_ours(parent))
		return false;
	if (directory || file) {
		attr = attr_of(directory ? CONTROL_INO : ino_of(file));
		fs_reply_entry(req, &attr);
	} else {
		fuse_reply_err(req, ENOENT);
	}
	return true;
}

bool control_getattr(fuse_req_t req, fuse_ino_t ino)
{
	struct attr attr;

	if (!is_ours(ino))
		return false;
	if (ino != CONTROL_INO && !find_file(ino)) {
		fuse_reply_err(req, ESTALE);
		return true;
	}
	attr = attr_of(ino);
	fs_reply_attr(req, &attr);
	return true;
}

/* The entry at this place: ".", "..", then the files. False: there is none. */
static bool entry_at(off_t place, const char **name, struct stat *st)
{
	if (place < 0 || (size_t)place >= FILE_COUNT + 2)
		return false;
	if (place < 2) {
		*name = place ? ".." : ".";
		*st = (struct stat){.st_ino = place ? ROOT_INO : CONTROL_INO, .st_mode = S_IFDIR};
	} else {
		*name = control_files[place - 2].name;
		*st = (struct stat){
			.st_ino = ino_of(&control_files[place - 2]),
			.st_mode = S_IFREG,
		};
	}
	return true;
}

bool control_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off)
{
	const char *name;
	struct stat st;
	size_t len = 0;
	char *buf;

	if (!is_ours(ino))
		return false;
	buf = malloc(size);
	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return true;
	}
	while (entry_at(off, &name, &st)) {
		size_t more = fuse_add_direntry(req, buf + len, size - len, name, &st, off + 1);

		if (more > size - len)
			break;
		len += more;
		off++;
	}
	fuse_reply_buf(req, buf, len);
	free(buf);
	return true;
}

/* ---- Refusing ---- */

bool control_refuses(fuse_req_t req, fuse_ino_t ino, int error)
{
	if (!is_ours(ino))
		return false;
	fuse_reply_err(req, error);
	return true;
}

bool control_refuses_new(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (!is_directory(parent, name))
		return control_refuses(req, parent, EPERM);
	fuse_reply_err(req, EEXIST);
	return true;
}

bool control_refuses_end(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (!is_directory(parent, name))
		return control_refuses(req, parent, EPERM);
	fuse_reply_err(req, EPERM);
	return true;
}

bool control_lists_none(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	if (!is_ours(ino))
		return false;
	if (size)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_xattr(req, 0);
	return true;
}

/* ---- Files ---- */

/* Root passes any mode; but there is nothing to read, or to write. */
static bool may_open(const struct control_file *file, int flags)
{
	int access = flags & O_ACCMODE;

	return (file->read || access == O_WRONLY) && (file->write || access == O_RDONLY);
}

/* What is read is never the kernel's to keep. O_TRUNC is what a shell's > says, and says nothing. */
bool control_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct control_file *file = find_file(ino);

	if (!is_ours(ino))
		return false;
	fi->direct_io = 1;
	fi->keep_cache = 0;
	fi->fh = 0;
	if (!file)
		fuse_reply_err(req, ESTALE);
	else if (!may_open(file, fi->flags))
		fuse_reply_err(req, EACCES);
	else
		file->open(req, file, fi);
	return true;
}

bool control_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct control_file *file = find_file(ino);

	if (!is_ours(ino))
		return false;
	if (file && file->release)
		file->release(fuse_req_userdata(req), file, fi);
	fuse_reply_err(req, 0);
	return true;
}

bool control_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	const struct control_file *file = find_file(ino);

	if (!is_ours(ino))
		return false;
	if (file && file->read)
		file->read(req, file, size, off, fi);
	else
		fuse_reply_err(req, EBADF);
	return true;
}

bool control_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		   struct fuse_file_info *fi)
{
	const struct control_file *file = find_file(ino);

	if (!is_ours(ino))
		return false;
	if (file && file->write)
		file->write(req, file, buf, size, off, fi);
	else
		fuse_reply_err(req, EBADF);
	return true;
}

bool control_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		  struct fuse_pollhandle *ph)
{
	const struct control_file *file = find_file(ino);

	if (!file || !file->poll)
		return false;
	file->poll(req, file, fi, ph);
	return true;
}
