/* SPDX-License-Identifier: MIT */
/* Names by other ways than opening: directories, symbolic and hard links, moves, removals. */
#include "lockcore/table_internal.h"

/* The place of a name that is to be made: it must be free, and there must be room for a file if one
 * is made. */
static enum status free_place(struct table *t, const struct table_make *make, bool new_file,
			      struct inode **parent)
{
	struct dentry *d;
	enum status status = dir_find(t, make->parent, make->name, parent, &d);

	assert(!t->restoring);
	if (status == STATUS_STALE)
		return STATUS_NO_ENTRY; /* a removed directory takes nothing in */
	if (status != STATUS_OK)
		return status;
	if (d)
		return STATUS_EXISTS;
	if (!(*parent)->nlink)
		return STATUS_NO_ENTRY; /* removed, and in use */
	return new_file && t->files >= t->max_files ? STATUS_NO_SPACE : STATUS_OK;
}

enum status table_mkdir(struct table *t, const struct table_make *make, struct moment now,
			struct attr *out)
{
	struct inode *parent, *inode;
	enum status status = free_place(t, make, true, &parent);

	if (status != STATUS_OK)
		return status;
	inode = inode_make(t, S_IFDIR, make, parent, now);
	if (!inode)
		return STATUS_NO_MEMORY;
	inode->dir = calloc(1, sizeof(*inode->dir));
	if (!inode->dir || !dentry_make(t, parent, make, inode, false, now)) {
		inode_discard(t, inode);
		return STATUS_NO_MEMORY;
	}
	inode_attr(inode, out);
	return STATUS_OK;
}

enum status table_symlink(struct table *t, const struct table_make *make, const char *target,
			  size_t len, struct moment now, struct attr *out)
{
	struct inode *parent, *inode;
	enum status status = free_place(t, make, true, &parent);

	if (status != STATUS_OK)
		return status;
	if (!len)
		return STATUS_NO_ENTRY;
	if (len > SYMLINK_MAX_BYTES)
		return STATUS_NAME_TOO_LONG;
	inode = inode_make(t, S_IFLNK, make, parent, now);
	if (!inode)
		return STATUS_NO_MEMORY;
	inode->mode = S_IFLNK | 0777; /* symlink(7) */
	if (inode_resize(t, inode, len) != STATUS_OK)
		goto out_discard;
	memcpy(inode->content, target, len);
	if (!dentry_make(t, parent, make, inode, false, now))
		goto out_content;
	inode_attr(inode, out);
	return STATUS_OK;

out_content:
	status = inode_resize(t, inode, 0);
	assert(status == STATUS_OK);
out_discard:
	inode_discard(t, inode);
	return STATUS_NO_MEMORY;
}

enum status table_link(struct table *t, uint64_t ino, const struct table_make *make,
		       struct moment now, struct attr *out)
{
	struct inode *inode = inode_find(t, ino), *parent;
	enum status status = free_place(t, make, false, &parent);

	if (!inode || !inode->nlink)
		return STATUS_STALE;
	if (inode->dir)
		return STATUS_NOT_PERMITTED;
	if (status != STATUS_OK)
		return status;
	if (inode->nlink >= LINKS_MAX)
		return STATUS_TOO_MANY_LINKS;
	if (!dentry_make(t, parent, make, inode, false, now))
		return STATUS_NO_MEMORY;
	inode_changed(inode, now);
	inode_attr(inode, out);
	return STATUS_OK;
}

/* ---- Removal ---- */

/* May the name go by this call? */
static enum status removable(const struct dentry *d, bool dir)
{
	if (dir && !d->inode->dir)
		return STATUS_NOT_DIR;
	if (!dir && d->inode->dir)
		return STATUS_IS_DIR;
	return dir && d->inode->dir->live ? STATUS_NOT_EMPTY : STATUS_OK;
}

/* As Linux has it; who may although he is none of these has no rival to fear here. */
static bool sticky_lets(const struct inode *dir, const struct inode *inode, uint32_t uid)
{
	return !(dir->mode & S_ISVTX) || uid == 0 || uid == inode->uid || uid == dir->uid;
}

enum status table_expect(struct table *t, uint64_t parent, const char *name, uint64_t known,
			 bool any, uint32_t uid)
{
	struct inode *in;
	struct dentry *d;
	enum status status = dir_find(t, parent, name, &in, &d);

	if (status != STATUS_OK)
		return status;
	if (!d)
		return STATUS_NO_ENTRY;
	if (d->inode->ino == known)
		return STATUS_OK;
	if (!any)
		return STATUS_CHANGED;
	return sticky_lets(in, d->inode, uid) ? STATUS_OK : STATUS_NOT_PERMITTED;
}

/* The attributes of a file that is about to lose a name, as they will be. */
static void attr_without(const struct inode *inode, struct moment now, struct attr *out)
{
	inode_attr(inode, out);
	out->nlink = inode->dir ? 0 : inode->nlink - 1;
	out->version++;
	out->ctime_ns = now.wall_ns;
}

static bool is_made_by(const struct dentry *d, uint64_t client, uint64_t req)
{
	return d->holder && d->holder->id == client && d->maker_req == req;
}

enum status table_unlink(struct table *t, uint64_t parent, const char *name, bool dir,
			 uint64_t client, uint64_t only_req, struct moment now, struct attr *out)
{
	struct inode *in;
	struct dentry *d;
	enum status status = dir_find(t, parent, name, &in, &d);

	if (status != STATUS_OK)
		return status;
	if (!d)
		return STATUS_NO_ENTRY;
	if (only_req && !is_made_by(d, client, only_req))
		return STATUS_NO_ENTRY;
	status = removable(d, only_req ? d->inode->dir != NULL : dir);
	if (status != STATUS_OK)
		return status;
	attr_without(d->inode, now, out);
	seen_forget(t, client, d);
	dentry_unlink(t, d, now);
	return STATUS_OK;
}

/* A change of the record: a master that starts anew is not to find it held. */
enum status table_let_go(struct table *t, uint64_t parent, const char *name, uint64_t client,
			 uint64_t req, struct moment now, struct attr *out)
{
	struct inode *in;
	struct dentry *d;
	enum status status = dir_find(t, parent, name, &in, &d);

	if (status != STATUS_OK)
		return status;
	if (!d || !is_made_by(d, client, req))
		return STATUS_NO_ENTRY;
	if (!d->inode->dir)
		return STATUS_NOT_DIR;
	assert(d->inode->dir->live);
	dentry_orphan(t, d, now);
	inode_changed(d->inode, now);
	inode_attr(d->inode, out);
	return STATUS_OK;
}

/* ---- Moving ---- */

uint64_t table_parent(struct table *t, uint64_t ino)
{
	const struct inode *inode = inode_find(t, ino);

	return inode && inode->dentries ? inode->dentries->parent->ino : ino;
}

bool inode_is_below(const struct inode *dir, const struct inode *inode)
{
	while (dir && dir != inode)
		dir = dir->dentries ? dir->dentries->parent : NULL;
	return dir == inode;
}

/* What stands in the way of moving `from` to the place of `to` (NULL: free). */
static enum status may_move(const struct dentry *from, const struct inode *new_parent,
			    const struct dentry *to, bool noreplace)
{
	if (from->inode->dir && inode_is_below(new_parent, from->inode))
		return STATUS_INVALID;
	if (!new_parent->nlink)
		return STATUS_NO_ENTRY;
	if (to && noreplace)
		return STATUS_EXISTS;
	if (!to || to->inode == from->inode)
		return STATUS_OK;
	return removable(to, from->inode->dir != NULL);
}

enum status table_rename(struct table *t, uint64_t parent, const char *name,
			 const struct table_make *make, bool noreplace, struct moment now,
			 struct attr *out, struct attr *replaced)
{
	struct client *client = table_client(t, make->client);
	struct inode *old_parent, *new_parent, *inode;
	struct dentry *from, *to, *spare;
	enum status status = dir_find(t, parent, name, &old_parent, &from);

	*replaced = (struct attr){0};
	if (status == STATUS_OK)
		status = dir_find(t, make->parent, make->name, &new_parent, &to);
	if (status == STATUS_OK)
		status = from ? may_move(from, new_parent, to, noreplace) : STATUS_NO_ENTRY;
	if (status != STATUS_OK)
		return status;
	inode = from->inode;
	inode_attr(inode, out);
	if (to && to->inode == inode)
		return STATUS_OK; /* two names of one file: rename(2) does nothing */
	spare = to ? dentry_lost(strlen(make->name)) : NULL;
	if (!client || (to && (!spare || !roster_reserve(&t->taken)))) {
		free(spare);
		return STATUS_NO_MEMORY;
	}
	if (to) {
		attr_without(to->inode, now, replaced);
		seen_forget(t, make->client, to);
		dentry_replace(t, to, inode, spare, now);
		dentry_set_maker(t, to, make, client, now);
		seen_appeared(t, to, make->client);
		dentry_touched(t, to, now);
		dir_touched(new_parent, now);
	} else if (!dentry_make(t, new_parent, make, inode, false, now)) {
		return STATUS_NO_MEMORY;
	}
	seen_forget(t, make->client, from);
	dentry_unlink(t, from, now); /* counts as the change of the file */
	inode_use_changed(t, inode, now);
	inode_attr(inode, out);
	return STATUS_OK;
}
