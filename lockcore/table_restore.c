/* SPDX-License-Identifier: MIT */
/*
 * Restoring a table from what the clients kept (protocol rules 5 to 7).
 *
 * Records of one file come from several clients and in any order, so names are only collected here
 * and linked at the end, when the highest version of each file is known.
 */
#include "lockcore/table_internal.h"

/* What is known so far of an inode's name. */
struct restore {
	uint64_t version;	  /* of the record that the attributes and the name come from */
	uint64_t size;		  /* that it says the file has */
	uint64_t content_version; /* of the one that the content comes from; 0: none yet */
	uint64_t content_size;	  /* that it brought; what the inode has beyond is zero */
	uint64_t parent;
	uint64_t holder;
	uint64_t maker_req;
	uint64_t token;
	int64_t idle_ns;
	bool named;
	char name[NAME_MAX_BYTES + 1];
};

static void take_attr(struct inode *inode, const struct attr *attr)
{
	inode->version = attr->version;
	inode->mode = attr->mode;
	inode->uid = attr->uid;
	inode->gid = attr->gid;
	inode->atime_ns = attr->atime_ns;
	inode->mtime_ns = attr->mtime_ns;
	inode->ctime_ns = attr->ctime_ns;
}

static void take_name(struct restore *r, const struct table_record *record)
{
	r->version = record->attr.version;
	r->size = record->attr.size;
	r->named = record->attr.nlink && record->name;
	r->parent = record->parent;
	r->holder = record->holder;
	r->maker_req = record->maker_req;
	r->token = record->attr.token;
	r->idle_ns = record->attr.idle_ns;
	if (r->named)
		strcpy(r->name, record->name); /* checked by name_check */
}

/* The inode being restored, found or made. */
static struct inode *restoring_inode(struct table *t, uint64_t ino)
{
	struct inode *inode = inode_find(t, ino);

	if (inode)
		return inode;
	inode = inode_new(t, ino);
	if (!inode)
		return NULL;
	t->files++;
	inode->restore = calloc(1, sizeof(*inode->restore));
	if (!inode->restore) {
		inode_discard(t, inode);
		return NULL;
	}
	return inode;
}

/*
 * The newest full record brings the content and the newest of all the size. Which one that is shows
 * only at the end, so that until then there is room for both. Without the content of the one who
 * wrote last, who is dead, at least the size is kept.
 */
static enum status take_content(struct table *t, struct inode *inode,
				const struct table_record *record)
{
	struct restore *r = inode->restore;
	bool full = record->full && record->attr.version > r->content_version;
	uint64_t content_size = full ? record->attr.size : r->content_size;
	uint64_t size = record->attr.version > r->version ? record->attr.size : r->size;
	enum status status = inode_resize(t, inode, size > content_size ? size : content_size);

	if (status != STATUS_OK || !full)
		return status;
	if (content_size)
		memcpy(inode->content, record->content, content_size);
	if (inode->size > content_size)
		memset(inode->content + content_size, 0, inode->size - content_size);
	r->content_size = content_size;
	r->content_version = record->attr.version;
	return STATUS_OK;
}

static enum status restore_root(struct table *t, const struct attr *attr)
{
	struct inode *root = inode_find(t, ROOT_INO);

	if (attr->version > root->version)
		take_attr(root, attr);
	return STATUS_OK;
}

enum status table_restore_file(struct table *t, const struct table_record *record,
			       struct moment now)
{
	const struct attr *attr = &record->attr;
	enum status status;
	struct inode *inode;

	t->restoring = true;
	if (attr->ino == ROOT_INO)
		return restore_root(t, attr);
	if (!S_ISREG(attr->mode) || attr->ino > t->epoch_base || attr->token > t->epoch_base ||
	    attr->size > CONTENT_MAX_BYTES || !attr->version)
		return STATUS_INVALID;
	if (attr->nlink && (!record->name || name_check(record->name) != STATUS_OK))
		return STATUS_INVALID;
	inode = restoring_inode(t, attr->ino);
	if (!inode)
		return STATUS_NO_MEMORY;
	status = take_content(t, inode, record);
	if (status == STATUS_OK && attr->version > inode->restore->version) {
		take_attr(inode, attr);
		take_name(inode->restore, record);
	}
	if (!inode->restore->version)
		inode_discard(t, inode);
	return status;
}

enum status table_restore_gone(struct table *t, uint64_t ino, uint64_t version)
{
	void *tombs = realloc(t->tombs, (t->tomb_count + 1) * sizeof(*t->tombs));

	t->restoring = true;
	if (!tombs)
		return STATUS_NO_MEMORY;
	t->tombs = tombs;
	t->tombs[t->tomb_count].ino = ino;
	t->tombs[t->tomb_count++].version = version;
	return STATUS_OK;
}

enum status table_restore_open(struct table *t, uint64_t client, uint64_t handle, uint64_t ino)
{
	struct inode *inode = inode_find(t, ino);

	t->restoring = true;
	if (!inode || inode->dir)
		return STATUS_STALE;
	return table_add_handle(t, client, handle, inode);
}

/* ---- The end ---- */

static bool link_restored(struct table *t, struct inode *inode, const struct restore *r)
{
	struct inode *parent = inode_find(t, r->parent);
	struct client *holder = r->holder ? table_client(t, r->holder) : NULL;
	struct dentry *d;

	if (!parent || !parent->dir || dentry_find(t, r->parent, r->name))
		return false;
	d = r->holder && !holder ? NULL : dentry_link(t, parent, r->name, inode, holder);
	if (!d)
		return false;
	d->maker_req = r->maker_req;
	d->token = r->token;
	d->idle_ns = r->idle_ns;
	return true;
}

/* A removed file has lost its name, but whoever has it open keeps it with its locks. */
static void bury(struct table *t)
{
	for (size_t i = 0; i < t->tomb_count; i++) {
		struct inode *inode = inode_find(t, t->tombs[i].ino);

		if (!inode || !inode->restore || inode->version > t->tombs[i].version)
			continue;
		inode->restore->named = false;
		inode->version = t->tombs[i].version;
	}
	free(t->tombs);
	t->tombs = NULL;
	t->tomb_count = 0;
}

static int by_ino_falling(const struct inode *a, const struct inode *b)
{
	return a->ino > b->ino ? -1 : a->ino < b->ino;
}

static int by_ticket(const struct waiter *a, const struct waiter *b)
{
	return a->ticket < b->ticket ? -1 : a->ticket > b->ticket;
}

/* A name that is not linked again is a change of the file. Returns false if it should have been. */
static bool finish(struct table *t, struct inode *inode, struct moment now,
		   bool (*alive)(void *arg, uint64_t client), void *arg)
{
	struct restore *r = inode->restore;
	bool keep = r->named && alive && (!r->holder || alive(arg, r->holder));
	bool linked = keep && link_restored(t, inode, r);
	enum status status = inode_resize(t, inode, r->size);

	assert(status == STATUS_OK); /* it never grows here */
	if (r->named && !linked)
		inode_changed(inode, now);
	free(r);
	inode->restore = NULL;
	if (inode->locks)
		DL_SORT(inode->locks->queue, by_ticket);
	inode_use_changed(t, inode, now);
	lockset_settle(t, inode);
	inode_put(t, inode);
	return linked == keep;
}

size_t table_restore_end(struct table *t, struct moment now,
			 bool (*alive)(void *arg, uint64_t client), void *arg)
{
	struct inode *inode, *next;
	size_t failed = 0;

	t->restoring = false;
	bury(t);
	HASH_SRT(hh, t->inodes, by_ino_falling);
	HASH_ITER (hh, t->inodes, inode, next)
		if (inode->restore)
			failed += !finish(t, inode, now, alive, arg);
	return failed;
}

enum status table_record(struct table *t, uint64_t ino, struct table_record *record)
{
	struct inode *inode = inode_find(t, ino);
	const struct dentry *d;

	if (!inode)
		return STATUS_STALE;
	d = inode->dentries;
	*record = (struct table_record){.content = inode->content, .full = true};
	inode_attr(inode, &record->attr);
	if (d) {
		record->parent = d->parent->ino;
		record->name = dentry_name(d);
		record->holder = d->holder ? d->holder->id : 0;
		record->maker_req = d->maker_req;
	}
	return STATUS_OK;
}
