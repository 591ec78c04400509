/* SPDX-License-Identifier: MIT */
/*
 * Restoring a table from what the clients kept (protocol rules 5 to 7).
 *
 * Records of one file come from several clients and in any order, so names are only collected here
 * and linked at the end, when the highest version of each file is known.
 */
#include "lockcore/table_internal.h"

/* What is known so far of an inode's size, content and names. */
struct restore {
	uint64_t version;	  /* of the record that the attributes and the names come from */
	uint64_t size;		  /* that it says the file has */
	uint64_t content_version; /* of the one that the content comes from; 0: none yet */
	uint64_t content_size;	  /* that it brought; what the inode has beyond is zero */
	bool refused;		  /* one of the names could not be linked */
	bool nameless;		  /* its one link, if any, is the name that it had last */
	struct names *names;
	int64_t named_ns;     /* when their ages were told; CLOCK_BOOTTIME */
	struct dentry *spare; /* of a file in use: for the name that it may have lost */
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

static struct names *copy_names(const struct table_record *record)
{
	return names_copy(record->links, record->link_count);
}

static void take_names(struct restore *r, const struct table_record *record, struct names *names,
		       struct moment now)
{
	free(r->names);
	r->names = names;
	r->named_ns = now.boot_ns;
	r->nameless = !record->attr.nlink;
	r->version = record->attr.version;
	r->size = record->attr.size;
}

/* The inode being restored, found or made. */
static struct inode *restoring_inode(struct table *t, uint64_t ino)
{
	struct inode *inode = inode_find(t, ino);

	if (inode) {
		assert(inode->restore); /* else it was not made while restoring */
		return inode;
	}
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

/* Versions are those of records, 0: there was none yet. */
static bool wins(uint64_t version, uint64_t so_far)
{
	return version > so_far || !rule(RULE_HIGHER_VERSION_WINS);
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
	bool full = record->full && wins(record->attr.version, r->content_version);
	uint64_t content_size = full ? record->attr.size : r->content_size;
	uint64_t size = wins(record->attr.version, r->version) ? record->attr.size : r->size;
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

	if (!S_ISDIR(attr->mode))
		return STATUS_INVALID;
	if (attr->version > root->version)
		take_attr(root, attr);
	return STATUS_OK;
}

/* A type that the table has, and a size that such a file can have. */
static bool is_possible_attr(const struct attr *attr)
{
	switch (attr->mode & S_IFMT) {
	case S_IFDIR:
		return attr->size == 0;
	case S_IFLNK:
		return attr->size <= SYMLINK_MAX_BYTES;
	case S_IFREG:
		return attr->size <= CONTENT_MAX_BYTES;
	default:
		return false;
	}
}

/* Could an earlier epoch have said this of a file? */
static bool is_possible(const struct table *t, const struct table_record *record)
{
	const struct attr *attr = &record->attr;
	size_t max = S_ISDIR(attr->mode) || !attr->nlink ? 1 : LINKS_MAX;

	if (attr->ino > t->epoch_base || !attr->version || !is_possible_attr(attr) ||
	    record->link_count > max || (attr->nlink && !record->link_count))
		return false;
	for (size_t i = 0; i < record->link_count; i++)
		if (record->links[i].token > t->epoch_base ||
		    name_check(record->links[i].name) != STATUS_OK)
			return false;
	return true;
}

static enum status take_record(struct table *t, struct inode *inode,
			       const struct table_record *record, struct moment now)
{
	bool newest = wins(record->attr.version, inode->restore->version);
	struct names *names = newest ? copy_names(record) : NULL;
	enum status status = STATUS_NO_MEMORY;

	if (newest && !names)
		return status;
	if (S_ISDIR(record->attr.mode) && !inode->dir)
		inode->dir = calloc(1, sizeof(*inode->dir));
	if (S_ISDIR(record->attr.mode) && !inode->dir)
		goto out_names;
	status = take_content(t, inode, record);
	if (status != STATUS_OK || !newest)
		goto out_names;
	take_names(inode->restore, record, names, now);
	take_attr(inode, &record->attr);
	return STATUS_OK;

out_names:
	free(names);
	return status;
}

enum status table_restore_file(struct table *t, const struct table_record *record,
			       struct moment now)
{
	enum status status;
	struct inode *inode;

	t->restoring = true;
	if (record->attr.ino == ROOT_INO)
		return restore_root(t, &record->attr);
	if (!is_possible(t, record))
		return STATUS_INVALID;
	/* Records of files that are gone may come too, but not without end. */
	if (!inode_find(t, record->attr.ino) && t->files / 2 >= t->max_files)
		return STATUS_NO_SPACE;
	inode = restoring_inode(t, record->attr.ino);
	if (!inode)
		return STATUS_NO_MEMORY;
	if (inode->restore->version && (inode->mode ^ record->attr.mode) & S_IFMT)
		return STATUS_INVALID;
	status = take_record(t, inode, record, now);
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
	if (!inode || !inode->restore || inode->dir)
		return STATUS_STALE;
	if (!inode->restore->spare)
		inode->restore->spare = dentry_lost(NAME_MAX_BYTES);
	if (!inode->restore->spare)
		return STATUS_NO_MEMORY;
	return table_add_handle(t, client, handle, inode);
}

/* ---- The end ---- */

struct ending {
	bool (*alive)(void *arg, uint64_t client);
	void *arg;
	size_t failed;
	bool no_memory;
	struct moment now;
};

/*
 * Of two files that claim a name the one that got it later has it: the other's record may be of a
 * session that had lost the name by a request whose answer it never heard.
 */
static bool link_restored(struct table *t, struct inode *inode, const struct link *link,
			  struct ending *e)
{
	struct inode *parent = inode_find(t, link->parent);
	struct client *holder = link->holder ? table_client(t, link->holder) : NULL;
	struct dentry *d;

	e->no_memory |= link->holder && !holder;
	if (!parent || !parent->dir || (link->holder && !holder))
		return false;
	d = dentry_find(t, link->parent, link->name);
	if (d && (d->token >= link->token || d->inode->dir))
		return false;
	if (inode->dir && inode_is_below(parent, inode))
		return false; /* records of different times may put each of two into the other */
	if (d) {
		dentry_unlink(t, d, e->now);
		e->failed++;
	}
	d = dentry_link(t, parent, link->name, inode, holder);
	e->no_memory |= !d;
	if (!d)
		return false;
	d->maker_req = link->maker_req;
	d->maker_pid = link->maker_pid;
	d->maker_uid = link->maker_uid;
	d->token = link->token;
	d->idle_ns = link->idle_ns;
	d->ttl_ns = link->ttl_ns;
	d->ttl_set = (link->flags & LINK_TTL_SET) != 0;
	d->since_ns = inode->restore->named_ns - moment_age(link->age_ns);
	command_copy(d->maker_command, link->maker_command);
	return true;
}

/* A directory that has names in it stays although its holder is dead, as it would have. */
static bool is_kept(const struct ending *e, const struct inode *inode, const struct link *link)
{
	return e->alive && (!link->holder || e->alive(e->arg, link->holder) ||
			    (inode->dir && inode->dir->live));
}

/* The inode is in use without a name: this one was its last. */
static void lose_restored(struct table *t, struct inode *inode, const struct link *link)
{
	struct restore *r = inode->restore;

	if (!r->spare || inode->nlink || inode->last_name)
		return;
	dentry_set_key(r->spare, link->parent, link->name);
	r->spare->token = link->token;
	lost_keep(t, inode, r->spare);
	r->spare = NULL;
}

static void link_names(struct table *t, struct inode *inode, struct ending *e)
{
	struct restore *r = inode->restore;

	for (size_t i = 0; i < r->names->count; i++) {
		struct link link = r->names->links[i];

		if (r->nameless || !is_kept(e, inode, &link))
			continue;
		if (link.holder && !e->alive(e->arg, link.holder)) {
			link.holder = 0; /* as dentry_orphan does */
			link.idle_ns = 0;
		}
		if (!link_restored(t, inode, &link, e)) {
			e->failed++;
			r->refused = true;
		}
	}
}

/* A removed file has lost its name, but whoever has it open keeps it with its locks. */
static void bury(struct table *t)
{
	for (size_t i = 0; i < t->tomb_count; i++) {
		struct inode *inode = inode_find(t, t->tombs[i].ino);

		if (!inode || !inode->restore || inode->version > t->tombs[i].version)
			continue;
		inode->restore->names->count = 0;
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

/* A name that is not linked again is a change of the file. */
static void finish(struct table *t, struct inode *inode, struct moment now)
{
	struct restore *r = inode->restore;
	enum status status = inode_resize(t, inode, r->size);

	assert(status == STATUS_OK); /* it never grows here */
	if (inode->nlink < (r->nameless ? 0 : r->names->count))
		inode_changed(inode, now);
	free(r->names);
	free(r->spare);
	free(r);
	inode->restore = NULL;
	if (inode->locks)
		lockset_sort(inode->locks);
	inode_touched(t, inode, now);
	lockset_settle(t, inode);
	inode_put(t, inode, now);
}

/* What a dead session's name, one that another file has got, and one removed before stood for. */
static void lose_names(struct table *t)
{
	struct inode *inode;

	for (inode = t->inodes; inode; inode = inode->hh.next)
		for (size_t i = 0; inode->restore && i < inode->restore->names->count; i++)
			lose_restored(t, inode, &inode->restore->names->links[i]);
	for (inode = t->inodes; inode; inode = inode->hh.next)
		lockset_join_kin(t, inode);
}

/* Files before directories, and inner directories before outer ones: what is in one may keep it. */
static void link_all(struct table *t, struct ending *e)
{
	struct inode *inode;
	bool linked;

	for (inode = t->inodes; inode; inode = inode->hh.next)
		if (inode->restore && !inode->dir)
			link_names(t, inode, e);
	do {
		linked = false;
		for (inode = t->inodes; inode; inode = inode->hh.next) {
			if (!inode->restore || !inode->dir || inode->nlink ||
			    inode->restore->refused)
				continue;
			link_names(t, inode, e);
			linked = linked || inode->nlink;
		}
	} while (linked);
}

size_t table_restore_end(struct table *t, struct moment now,
			 bool (*alive)(void *arg, uint64_t client), void *arg)
{
	struct ending e = {.alive = alive, .arg = arg, .now = now};
	struct inode *inode, *next;

	t->restoring = false;
	table_now(t, now);
	bury(t);
	HASH_SRT(hh, t->inodes, by_ino_falling);
	link_all(t, &e);
	lose_names(t);
	HASH_ITER (hh, t->inodes, inode, next)
		if (inode->restore)
			finish(t, inode, now);
	times_restored(t);
	seen_settle_claims(t);
	return e.no_memory ? TABLE_NOT_RESTORED : e.failed;
}

static size_t record_links(const struct table *t, const struct inode *inode, struct link *links)
{
	const struct dentry *d = inode->last_name;
	size_t count = 0;

	if (d)
		links[count++] = (struct link){
			.parent = dentry_parent(d),
			.token = d->token,
			.name = dentry_name(d),
		};
	DL_FOREACH2 (inode->dentries, d, inode_next) {
		links[count] = (struct link){
			.parent = d->parent->ino,
			.token = d->token,
			.holder = d->holder ? d->holder->id : 0,
			.maker_req = d->maker_req,
			.maker_pid = d->maker_pid,
			.maker_uid = d->maker_uid,
			.idle_ns = d->idle_ns,
			.ttl_ns = d->ttl_ns,
			.age_ns = moment_age_since(d->since_ns, t->now_ns),
			.flags = d->ttl_set ? LINK_TTL_SET : 0,
			.name = dentry_name(d),
		};
		command_copy(links[count++].maker_command, d->maker_command);
	}
	return count;
}

enum status table_record(struct table *t, uint64_t ino, struct table_record *record)
{
	struct inode *inode = inode_find(t, ino);

	if (!inode)
		return STATUS_STALE;
	*record = (struct table_record){.content = inode->content, .full = true};
	inode_attr(inode, &record->attr);
	record->link_count = record_links(t, inode, record->links);
	return STATUS_OK;
}
