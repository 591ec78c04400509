/* SPDX-License-Identifier: MIT */
/*
 * The requests that our own helper causes (notify.h), answered from the notice it is at.
 *
 * The name's inode, if the file is gone, is shown as what it was, so that those who watch the file
 * itself hear of its end. In every other case a number stands in for it that belongs to no file:
 * what the kernel does to the inode of a name that it removes (a directory takes no names any more,
 * a file loses a link) must not happen to one that lives. Nor may the helper wait for an inode that
 * is locked while a program waits for a master, since meanwhile it has locked the directory.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/fs.h"

/* What the helper is at; NULL: the request is not the helper's. */
static struct node_notice *own_job(fuse_req_t req, uint64_t *stand_in)
{
	struct fs *fs = fuse_req_userdata(req);

	if (!fs->notify || !notify_is_helper(fs->notify, fuse_req_ctx(req)->pid))
		return NULL;
	return notify_job(fs->notify, stand_in);
}

static bool is_step(const struct node_step *step, fuse_ino_t parent, const char *name)
{
	return step->parent == parent && !strcmp(step->name, name);
}

static const struct node_step *find_step(const struct node_notice *job, fuse_ino_t parent,
					 const char *name)
{
	for (size_t i = 0; i < job->depth; i++)
		if (is_step(&job->steps[i], parent, name))
			return &job->steps[i];
	return NULL;
}

/* The last step's inode, as the kernel is to see it: as it was before it went, or as it is. */
static struct attr last_attr(struct fs *fs, struct node_notice *job, uint64_t stand_in)
{
	struct attr attr = node_notice_last(job)->attr;

	if (job->appeared || attr.nlink != 0 || node_may_lock(fs->node, attr.ino))
		attr.ino = stand_in;
	attr.nlink = S_ISDIR(attr.mode) ? 2 : 1;
	return attr;
}

/*
 * A directory that programs know is not to be taken away from under them, nor one that is elsewhere
 * now be shown here.
 */
static bool in_the_way(struct fs *fs, struct node_notice *job, const struct node_step *step)
{
	uint64_t known = node_known_dir(fs->node, step->parent, step->name);

	if (step == node_notice_last(job))
		return known != 0;
	return (known && known != step->attr.ino) || node_dir_is_elsewhere(fs->node, step);
}

bool fs_own_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fuse_req_userdata(req);
	uint64_t stand_in;
	struct node_notice *job = own_job(req, &stand_in);
	const struct node_step *step = job ? find_step(job, parent, name) : NULL;
	struct attr attr;

	if (!job)
		return false;
	if (!step || in_the_way(fs, job, step)) {
		/* With any other error the kernel would forget what it has there. */
		fuse_reply_err(req, ENOMEM);
	} else if (step != node_notice_last(job)) {
		fs_reply_entry(req, &step->attr);
	} else if (job->appeared) {
		fuse_reply_err(req, ENOENT);
	} else {
		attr = last_attr(fs, job, stand_in);
		fs_reply_entry(req, &attr);
	}
	return true;
}

bool fs_own_getattr(fuse_req_t req, fuse_ino_t ino)
{
	uint64_t stand_in;
	struct node_notice *job = own_job(req, &stand_in);
	struct attr last;

	if (!job)
		return false;
	last = last_attr(fuse_req_userdata(req), job, stand_in);
	if (ino == job->root.ino) {
		fs_reply_attr(req, &job->root);
		return true;
	}
	for (size_t i = 0; i + 1 < job->depth; i++) {
		if (job->steps[i].attr.ino == ino) {
			fs_reply_attr(req, &job->steps[i].attr);
			return true;
		}
	}
	if (ino == last.ino)
		fs_reply_attr(req, &last);
	else
		fuse_reply_err(req, ESTALE);
	return true;
}

bool fs_own_remove(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	uint64_t stand_in;
	struct node_notice *job = own_job(req, &stand_in);

	if (!job)
		return false;
	fuse_reply_err(req,
		       !job->appeared && is_step(node_notice_last(job), parent, name) ? 0 : EBUSY);
	return true;
}

bool fs_own_make(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	uint64_t stand_in;
	struct node_notice *job = own_job(req, &stand_in);
	struct attr attr;

	if (!job)
		return false;
	if (!job->appeared || !is_step(node_notice_last(job), parent, name)) {
		fuse_reply_err(req, EBUSY);
		return true;
	}
	attr = last_attr(fuse_req_userdata(req), job, stand_in);
	fs_reply_entry(req, &attr);
	return true;
}
