/* SPDX-License-Identifier: MIT */
/* The model's calls about content and attributes. */
#include <errno.h>
#include <string.h>

#include "model.h"

static size_t size_of(const struct inode *inode)
{
	size_t len;

	if (inode->type == TYPE_LINK)
		return TARGET_BYTES;
	if (inode->type == TYPE_DIR)
		return 0;
	blob_bytes(inode->content, &len);
	return len;
}

/* Whether a size that stays moves the mtime is up to the file system. */
void file_truncate(struct inode *inode, size_t size)
{
	if (size_of(inode) != size)
		inode->mtime = MTIME_CLOCK;
	else if (inode->mtime != MTIME_CLOCK)
		inode->mtime = MTIME_UNKNOWN;
	inode->content = blob_resize(inode->content, size);
}

/* ---- Content ---- */

/* A local file system has no lock between a read and what shortens the file: the size is of an
 * earlier moment than the bytes, and what is gone meanwhile reads as zeros. */
static void read_bytes(struct step *step, struct state *s, struct desc *d, size_t size)
{
	const struct op *op = step->op;
	size_t at = op->arg[0] < 0 ? d->pos : (size_t)op->arg[0];
	struct op answer = step_answer(step, 0);
	size_t len;

	answer.data = blob_slice(blob_resize(inode_get(s, d->inode)->content, size), at,
				 (size_t)op->arg[1]);
	blob_bytes(answer.data, &len);
	if (op->arg[0] < 0)
		d->pos += (uint32_t)len;
	step_end(step, s, &answer);
}

void step_read(struct step *step)
{
	struct state *s = step_copy(step);
	struct progress *p = step_progress(step, s);
	struct desc *d = desc_of(s, step->op);
	size_t size;

	if (!d)
		return;
	size = size_of(inode_get(s, d->inode));
	if (!(d->flags & OPEN_READ)) {
		step_fail(step, s, EBADF);
	} else if (!step->rules->local) {
		read_bytes(step, s, d, size);
	} else if (!p->stage) {
		p->stage = STAGE_SECOND;
		p->aux = (uint32_t)size;
		step_on(step, s);
	} else {
		read_bytes(step, s, d, p->aux);
	}
}

/* Where an appended write leaves the descriptor is known to the kernel of a node only as far as it
 * knows the file's size. */
static void moved(struct step *step, struct desc *d, size_t end, struct op *answer)
{
	const struct op *op = step->op;

	if (op->arg[0] >= 0)
		return;
	if ((d->flags & OPEN_APPEND) && !step->rules->local && !op->open_ended)
		end = (size_t)op->got[1];
	d->pos = (uint32_t)end;
	answer->got[1] = (int64_t)end;
}

void step_write(struct step *step)
{
	const struct op *op = step->op;
	struct state *s = step_copy(step);
	struct desc *d = desc_of(s, op);
	struct op answer = step_answer(step, 0);
	struct inode *inode;
	size_t at, len, limit = (size_t)step->rules->content_limit;

	if (!d)
		return;
	inode = inode_get(s, d->inode);
	blob_bytes(op->data, &len);
	at = d->flags & OPEN_APPEND ? size_of(inode) : op->arg[0] < 0 ? d->pos : (size_t)op->arg[0];
	if (!(d->flags & OPEN_WRITE)) {
		step_fail(step, s, EBADF);
	} else if (at >= limit) {
		step_fail(step, s, EFBIG);
	} else {
		len = len < limit - at ? len : limit - at; /* what fits */
		inode->content = blob_write(inode->content, at, blob_slice(op->data, 0, len));
		inode->mtime = MTIME_CLOCK;
		answer.got[0] = (int64_t)len;
		moved(step, d, at + len, &answer);
		step_end(step, s, &answer);
	}
}

void step_truncate(struct step *step)
{
	const struct op *op = step->op;
	struct state *s = step_copy(step);
	struct inode *inode = step_find(step, s, true);

	if (!inode)
		return;
	if (inode->type == TYPE_DIR) {
		step_fail(step, s, EISDIR);
	} else if (op->slot >= 0 && !(desc_of(s, op)->flags & OPEN_WRITE)) {
		step_fail(step, s, EINVAL);
	} else if (op->arg[0] > step->rules->content_limit) {
		step_fail(step, s, EFBIG);
	} else {
		file_truncate(inode, (size_t)op->arg[0]);
		step_fail(step, s, 0);
	}
}

/* ---- Attributes ---- */

void step_chmod(struct step *step)
{
	struct state *s = step_copy(step);
	struct inode *inode = step_find(step, s, true);

	if (!inode)
		return;
	inode->mode = (uint16_t)step->op->arg[0];
	step_fail(step, s, 0);
}

void step_touch(struct step *step)
{
	struct state *s = step_copy(step);
	struct inode *inode = step_find(step, s, false);

	if (!inode)
		return;
	inode->mtime = (uint32_t)step->op->arg[0];
	step_fail(step, s, 0);
}

static int64_t nlink_of(struct state *s, const struct inode *inode)
{
	int64_t count = inode->nlink;

	if (inode->type != TYPE_DIR || !inode_linked(inode))
		return count;
	count = 2;
	for (int name = 0; name < NAMES; name++) {
		const struct inode *child = inode_get(s, inode->child[name]);

		count += child && child->type == TYPE_DIR;
	}
	return count;
}

/* Of the clock only that it is past what touches are given; of directories, nothing. A local write
 * moves the mtime some time before the size. */
static int64_t mtime_of(const struct step *step, const struct inode *inode)
{
	int64_t seen = step->op->got[GOT_MTIME];

	if (inode->type == TYPE_DIR || inode->mtime == MTIME_UNKNOWN || step->rules->local)
		return seen;
	if (inode->mtime == MTIME_CLOCK)
		return seen >= TOUCH_END ? seen : TOUCH_END;
	return inode->mtime;
}

/* Sizes of directories are the file system's own affair: the driver reports 0. */
void step_stat(struct step *step)
{
	const struct op *op = step->op;
	struct state *s = step_copy(step);
	struct inode *inode = step_find(step, s, op->arg[0] != 0);
	struct op answer = step_answer(step, 0);

	if (!inode)
		return;
	if (inode_is(s, inode, op->got[GOT_INO]))
		answer.got[GOT_INO] = op->got[GOT_INO];
	else
		answer.got[GOT_INO] = (int64_t)inode->real;
	answer.got[GOT_TYPE] = inode->type;
	answer.got[GOT_MODE] = inode->mode;
	answer.got[GOT_NLINK] = nlink_of(s, inode);
	/* tmpfs counts a directory down in two steps, for everybody to see. */
	if (step->rules->local && inode->type == TYPE_DIR)
		answer.got[GOT_NLINK] = op->got[GOT_NLINK];
	answer.got[GOT_SIZE] = (int64_t)size_of(inode);
	answer.got[GOT_MTIME] = mtime_of(step, inode);
	step_end(step, s, &answer);
}
