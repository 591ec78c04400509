/* SPDX-License-Identifier: MIT */
/*
 * Files that are a text: a read of the beginning makes it anew, so that it answers as of that call;
 * those that follow go on in it.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/control.h"
#include "fs/fs.h"
#include "fs/survey.h"

/* An open description. */
struct text {
	char *bytes; /* written so far */
	size_t len;
	size_t pieces; /* written */
	bool ended;
	struct survey *survey; /* what it is of; NULL: nothing, or it has ended */
};

/* Of all open descriptions. There is one thread. */
static size_t open_texts;
static uint64_t texts_bytes;

static struct text *text_of(const struct fuse_file_info *fi)
{
	return (struct text *)(uintptr_t)fi->fh;
}

static void drop(struct text *text)
{
	texts_bytes -= text->len;
	free(text->bytes);
	survey_free(text->survey);
	*text = (struct text){0};
}

void control_text_open(fuse_req_t req, const struct control_file *file, struct fuse_file_info *fi)
{
	struct text *text = open_texts < CONTROL_TEXTS_MAX ? calloc(1, sizeof(*text)) : NULL;

	if (!text) {
		fuse_reply_err(req, open_texts < CONTROL_TEXTS_MAX ? ENOMEM : ENFILE);
		return;
	}
	open_texts++;
	fi->fh = (uintptr_t)text;
	if (fuse_reply_open(req, fi)) /* the caller is gone, and will never release it */
		control_text_release(NULL, file, fi);
}

void control_text_release(struct fs *fs, const struct control_file *file, struct fuse_file_info *fi)
{
	struct text *text = text_of(fi);

	assert(open_texts);
	open_texts--;
	drop(text);
	free(text);
}

/* Appends the bytes. False: no memory for them. */
static bool append(struct text *text, const char *bytes, size_t len)
{
	char *more = len > CONTROL_TEXTS_MAX_BYTES - texts_bytes
			     ? NULL
			     : realloc(text->bytes, text->len + len + 1);

	if (!more)
		return false;
	memcpy(more + text->len, bytes, len);
	text->bytes = more;
	text->len += len;
	texts_bytes += len;
	return true;
}

/*
 * Writes pieces until the text is as long as this, or ends: a long one is made as it is read, so that
 * nobody else has to wait for all of it. False: no memory.
 */
static bool write_until(struct text *text, const struct control_file *file, const struct fs *fs,
			size_t end)
{
	char *bytes = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&bytes, &len);
	int more = 1;
	bool ok;

	if (!to)
		return false;
	while (!text->ended && more > 0 && text->len + (size_t)ftell(to) < end) {
		more = file->text(fs, text->survey, text->pieces++, to);
		text->ended = more == 0;
	}
	ok = more >= 0 && !ferror(to);
	ok = fclose(to) == 0 && ok && append(text, bytes, len);
	free(bytes);
	if (text->ended) {
		survey_free(text->survey);
		text->survey = NULL;
	}
	return ok;
}

static void reply(fuse_req_t req, struct text *text, const struct control_file *file, size_t size,
		  off_t off)
{
	size_t at = (size_t)off, left;

	if (!write_until(text, file, fuse_req_userdata(req), at + size)) {
		drop(text);
		fuse_reply_err(req, ENOMEM);
		return;
	}
	left = at < text->len ? text->len - at : 0;
	fuse_reply_buf(req, left ? text->bytes + at : NULL, left < size ? left : size);
}

void control_text_read(fuse_req_t req, const struct control_file *file, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	struct text *text = text_of(fi);

	if (file->surveys && (!off || !text->pieces)) {
		control_survey_read(req, file, size, off, fi);
		return;
	}
	if (!off)
		drop(text);
	reply(req, text, file, size, off);
}

void control_text_surveyed(fuse_req_t req, const struct control_file *file, struct survey *survey,
			   size_t size, off_t off, struct fuse_file_info *fi)
{
	struct text *text = text_of(fi);

	drop(text);
	text->survey = survey;
	reply(req, text, file, size, off);
}
