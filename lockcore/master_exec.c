/* SPDX-License-Identifier: MIT */
/* Requests of a session for names and files to the table, and the answers back. */
#include "lockcore/master_internal.h"

void exec_reply(struct master *m, struct session *s, const struct message *msg, struct message *r,
		enum status status)
{
	if (!msg->req)
		return;
	r->kind = MESSAGE_REPLY;
	r->req = msg->req;
	r->status = status;
	session_push(m, s, r);
	if (r->flags & REPLY_TOMB)
		vouch_tomb_pushed(m, s, r->ino);
}

/*
 * A file's record, in a message that borrows the names and the content from the table, and the
 * array of the names from *record. Without content it brings the names only.
 */
static bool put_record(struct master *m, uint64_t ino, struct table_record *record,
		       struct message *r, bool content)
{
	if (table_record(m->table, ino, record) != STATUS_OK)
		return false;
	r->attr = record->attr;
	r->links = record->links;
	r->link_count = record->link_count;
	r->flags |= REPLY_LINKS;
	if (content) {
		r->flags |= REPLY_CONTENT;
		r->data = record->content;
		r->data_len = record->attr.size;
	}
	return true;
}

/* The session made a change and vouches for it; it is given what it needs for that (rule 7). */
static void reply_changed(struct master *m, struct session *s, const struct message *msg,
			  struct message *r, enum status status)
{
	struct table_record record;

	if (status == STATUS_OK) {
		vouch_changed(m, s, r->attr.ino);
		put_record(m, r->attr.ino, &record, r, msg->version + 1 != r->attr.version);
	}
	exec_reply(m, s, msg, r, status);
}

/*
 * By a request of s a file has lost a name. If it lives on, open somewhere, s is given its record
 * before the reply; if not, the reply says so, in its ino, version and flags.
 */
static void lost_name(struct master *m, struct session *s, const struct attr *attr,
		      struct message *r)
{
	struct message vouch = {.kind = MESSAGE_VOUCH};
	struct table_record record;
	uint64_t ino;

	vouch_changed(m, s, attr->ino);
	if (put_record(m, attr->ino, &record, &vouch, true)) {
		session_push(m, s, &vouch);
		return;
	}
	while (table_next_gone(m->table, &ino)) {
		if (ino != attr->ino) {
			vouch_gone(m, ino); /* a nameless directory that this has emptied */
			continue;
		}
		r->ino = ino;
		r->version = attr->version;
		r->flags |= vouch_removed(m, s, ino);
	}
}

static void exec_lookup(struct master *m, struct session *s, const struct message *msg)
{
	struct message r = {0};
	enum status status = msg->name ? table_lookup(m->table, msg->parent, msg->name, &r.attr)
				       : STATUS_INVALID;

	if (status == STATUS_OK) {
		r.token = table_name_token(m->table, msg->parent, msg->name);
		table_saw(m->table, s->instance, msg->parent, msg->name);
	}
	exec_reply(m, s, msg, &r, status);
}

static void exec_setattr(struct master *m, struct session *s, const struct message *msg,
			 struct moment now)
{
	struct message r = {0};
	enum status status = msg->set & SET_TTL ? info_set_ttl(m, msg, now, &r.attr)
						: table_setattr(m->table, msg->ino, msg->set,
								&msg->attr, now, &r.attr);

	reply_changed(m, s, msg, &r, status);
}

static struct table_make as_make(const struct session *s, const struct message *msg)
{
	return (struct table_make){
		.client = s->instance,
		.handle = msg->handle,
		.req = msg->req,
		.parent = msg->parent,
		.name = msg->name ? msg->name : "",
		.flags = msg->flags,
		.mode = msg->mode,
		.uid = msg->uid,
		.gid = msg->gid,
		.pid = msg->pid,
		.command = msg->command,
		.idle_ns = msg->idle_ns > 0 ? msg->idle_ns : 0,
		.ttl_ns = msg->ttl_ns > 0 ? msg->ttl_ns : 0,
	};
}

/* Did an earlier try of this request make the name (and did its answer get lost with a master)? */
static bool made_before(struct master *m, const struct session *s, const struct message *msg,
			uint64_t parent, const char *name, struct attr *attr)
{
	struct table_record record;

	if (!(msg->flags & MESSAGE_RETRY) || !name ||
	    table_lookup(m->table, parent, name, attr) != STATUS_OK ||
	    table_record(m->table, attr->ino, &record) != STATUS_OK)
		return false;
	for (size_t i = 0; i < record.link_count; i++)
		if (record.links[i].parent == parent && !strcmp(record.links[i].name, name))
			return record.links[i].holder == s->instance &&
			       record.links[i].maker_req == msg->req;
	return false;
}

/*
 * Did the name get what it stands for after the first try of a request, which is not to be touched
 * then? Tokens grow, and msg->token is the highest that the node knew at that time.
 */
static bool named_since(struct master *m, const struct message *msg)
{
	return (msg->flags & MESSAGE_RETRY) && msg->name &&
	       table_name_token(m->table, msg->parent, msg->name) > msg->token;
}

static void exec_create(struct master *m, struct session *s, const struct message *msg,
			struct moment now)
{
	struct table_make make = as_make(s, msg);
	struct table_record record;
	struct message r = {0};
	bool created = false, again = false;
	enum status status = table_create(m->table, &make, now, &r.attr, &created);
	struct attr attr;

	if (status == STATUS_EXISTS && made_before(m, s, msg, msg->parent, msg->name, &attr)) {
		created = again = true;
		status = table_open(m->table, s->instance, msg->handle, attr.ino, 0, now, &r.attr);
	}
	if (status == STATUS_OK) {
		put_record(m, r.attr.ino, &record, &r, again);
		r.flags |= created ? REPLY_CREATED : 0;
		table_saw(m->table, s->instance, msg->parent, msg->name);
		if (created || (msg->flags & OPEN_TRUNC))
			vouch_changed(m, s, r.attr.ino);
	}
	exec_reply(m, s, msg, &r, status);
}

/* A directory or a symbolic link: the session has the whole record from the start. */
static void exec_make(struct master *m, struct session *s, const struct message *msg,
		      struct moment now)
{
	struct table_make make = as_make(s, msg);
	struct message r = {0};
	enum status status =
		msg->kind == MESSAGE_MKDIR
			? table_mkdir(m->table, &make, now, &r.attr)
			: table_symlink(m->table, &make, msg->data, msg->data_len, now, &r.attr);

	if (status == STATUS_EXISTS && made_before(m, s, msg, msg->parent, msg->name, &r.attr))
		status = STATUS_OK;
	if (status == STATUS_OK)
		table_saw(m->table, s->instance, msg->parent, msg->name);
	reply_changed(m, s, msg, &r, status);
}

static void exec_link(struct master *m, struct session *s, const struct message *msg,
		      struct moment now)
{
	struct table_make make = as_make(s, msg);
	struct message r = {0};
	enum status status = table_link(m->table, msg->ino, &make, now, &r.attr);

	if (status == STATUS_EXISTS && made_before(m, s, msg, msg->parent, msg->name, &r.attr))
		status = STATUS_OK;
	if (status == STATUS_OK)
		table_saw(m->table, s->instance, msg->parent, msg->name);
	reply_changed(m, s, msg, &r, status);
}

/*
 * Does the name that is to go still stand for what the node's kernel has under it? The kernel removes
 * that, or moves it, as soon as it hears of the success.
 */
static enum status as_known(struct master *m, const struct message *msg)
{
	bool any = (msg->flags & KNOWN_ANY) != 0;

	if (!msg->known && !any)
		return STATUS_OK;
	return table_expect(m->table, msg->parent, msg->name ? msg->name : "", msg->known, any,
			    msg->uid);
}

/* The same of the place that a name is moved to: free, if nothing is known. */
static enum status place_as_known(struct master *m, const struct message *msg)
{
	bool any = (msg->flags & KNOWN_ANY) != 0 || !msg->known2;
	enum status status;

	if (msg->flags & MOVE_NOREPLACE)
		return STATUS_OK; /* nothing goes */
	status = table_expect(m->table, msg->target, msg->name2 ? msg->name2 : "", msg->known2, any,
			      msg->uid);
	if (status == STATUS_NO_ENTRY)
		return any ? STATUS_OK : STATUS_CHANGED;
	return status;
}

static enum status move(struct master *m, const struct message *msg, const struct table_make *make,
			struct moment now, struct attr *out, struct attr *replaced)
{
	enum status status = as_known(m, msg);

	if (status == STATUS_OK)
		status = place_as_known(m, msg);
	if (status == STATUS_OK)
		status = table_rename(m->table, msg->parent, msg->name ? msg->name : "", make,
				      (msg->flags & MOVE_NOREPLACE) != 0, now, out, replaced);
	return status;
}

static void exec_rename(struct master *m, struct session *s, const struct message *msg,
			struct moment now)
{
	struct table_make make = as_make(s, msg);
	struct attr replaced = {0};
	struct message r = {0};
	enum status status;

	make.parent = msg->target;
	make.name = msg->name2 ? msg->name2 : "";
	if (made_before(m, s, msg, msg->target, msg->name2, &r.attr))
		status = STATUS_OK;
	else if (named_since(m, msg))
		status = STATUS_NO_ENTRY;
	else
		status = move(m, msg, &make, now, &r.attr, &replaced);
	if (status == STATUS_OK && replaced.ino)
		lost_name(m, s, &replaced, &r);
	if (status == STATUS_OK)
		table_saw(m->table, s->instance, msg->target, msg->name2);
	reply_changed(m, s, msg, &r, status);
}

static void exec_open(struct master *m, struct session *s, const struct message *msg,
		      struct moment now)
{
	struct table_record record;
	struct message r = {0};
	enum status status =
		table_open(m->table, s->instance, msg->handle, msg->ino, msg->flags, now, &r.attr);

	if (status == STATUS_OK) {
		put_record(m, msg->ino, &record, &r, false);
		if (msg->flags & OPEN_TRUNC)
			vouch_changed(m, s, msg->ino);
	}
	exec_reply(m, s, msg, &r, status);
}

static void exec_read(struct master *m, struct session *s, const struct message *msg)
{
	struct message r = {0};
	enum status status =
		table_read(m->table, msg->ino, msg->start, msg->length, &r.data, &r.data_len);

	exec_reply(m, s, msg, &r, status);
}

static void exec_write(struct master *m, struct session *s, const struct message *msg,
		       struct moment now)
{
	struct message r = {0};
	enum status status = table_write(m->table, msg->ino, msg->start, msg->flags, msg->data,
					 msg->data_len, now, &r.attr, &r.start);

	reply_changed(m, s, msg, &r, status);
}

static void exec_let_go(struct master *m, struct session *s, const struct message *msg,
			struct moment now)
{
	struct message r = {0};
	enum status status = table_let_go(m->table, msg->parent, msg->name, s->instance,
					  msg->target, now, &r.attr);

	reply_changed(m, s, msg, &r, status);
}

static void exec_unlink(struct master *m, struct session *s, const struct message *msg,
			struct moment now)
{
	struct message r = {0};
	enum status status = STATUS_OK;

	if (msg->target || !named_since(m, msg)) {
		status = msg->target ? STATUS_OK : as_known(m, msg);
		if (status == STATUS_OK)
			status = table_unlink(m->table, msg->parent, msg->name ? msg->name : "",
					      (msg->flags & UNLINK_DIR) != 0, s->instance,
					      msg->target, now, &r.attr);
		if (status == STATUS_OK)
			lost_name(m, s, &r.attr, &r);
	}
	if (status == STATUS_NOT_EMPTY && msg->target && (msg->flags & UNLINK_LET_GO))
		exec_let_go(m, s, msg, now);
	else
		exec_reply(m, s, msg, &r, status);
}

static void exec_readdir(struct master *m, struct session *s, const struct message *msg)
{
	struct entry entries[LISTING_MAX];
	struct message r = {.entries = entries};
	bool end = false;
	enum status status = table_list(m->table, msg->ino, (uint64_t)msg->start, entries,
					LISTING_MAX, &r.entry_count, &end);

	r.flags = end ? REPLY_END : 0;
	r.parent = table_parent(m->table, msg->ino);
	exec_reply(m, s, msg, &r, status);
}

static void exec_statfs(struct master *m, struct session *s, const struct message *msg)
{
	struct table_counts counts;
	struct message r = {0};

	table_counts(m->table, &counts);
	r.length = counts.max_files;
	r.start = (int64_t)counts.files;
	r.target = counts.content_bytes;
	exec_reply(m, s, msg, &r, STATUS_OK);
}

static void exec_getattr(struct master *m, struct session *s, const struct message *msg)
{
	struct message r = {0};
	enum status status = table_getattr(m->table, msg->ino, &r.attr);

	exec_reply(m, s, msg, &r, status);
}

static void exec_file_request(struct master *m, struct session *s, const struct message *msg,
			      struct moment now)
{
	switch (msg->kind) {
	case MESSAGE_LOOKUP:
		exec_lookup(m, s, msg);
		break;
	case MESSAGE_GETATTR:
		exec_getattr(m, s, msg);
		break;
	case MESSAGE_SETATTR:
		exec_setattr(m, s, msg, now);
		break;
	case MESSAGE_CREATE:
		exec_create(m, s, msg, now);
		break;
	case MESSAGE_OPEN:
		exec_open(m, s, msg, now);
		break;
	case MESSAGE_READ:
		exec_read(m, s, msg);
		break;
	case MESSAGE_WRITE:
		exec_write(m, s, msg, now);
		break;
	case MESSAGE_UNLINK:
		exec_unlink(m, s, msg, now);
		break;
	case MESSAGE_MKDIR:
	case MESSAGE_SYMLINK:
		exec_make(m, s, msg, now);
		break;
	case MESSAGE_LINK:
		exec_link(m, s, msg, now);
		break;
	case MESSAGE_RENAME:
		exec_rename(m, s, msg, now);
		break;
	case MESSAGE_READDIR:
		exec_readdir(m, s, msg);
		break;
	case MESSAGE_STATFS:
		exec_statfs(m, s, msg);
		break;
	case MESSAGE_CLOSE:
		table_close(m->table, s->instance, msg->handle, now);
		break;
	default:
		exec_lock_request(m, s, msg, now);
	}
}

void exec_request(struct master *m, struct session *s, const struct message *msg, struct moment now)
{
	const bool ends = msg->kind == MESSAGE_UNLINK || msg->kind == MESSAGE_CLOSE;

	m->clock++;
	table_now(m->table, now);
	table_breaks(m->table, ends && (msg->flags & BROKEN));
	exec_file_request(m, s, msg, now);
	table_breaks(m->table, false);
	exec_drain(m);
}

void exec_drain(struct master *m)
{
	struct table_grant grant;
	uint64_t ino;

	while (table_next_grant(m->table, &grant)) {
		struct session *s = session_find(m, grant.client);
		struct message r = {
			.kind = MESSAGE_REPLY,
			.req = grant.req,
			.token = grant.token,
		};

		if (s)
			session_push(m, s, &r);
	}
	while (table_next_changed(m->table, &ino))
		vouch_renew(m, ino);
	while (table_next_gone(m->table, &ino))
		vouch_gone(m, ino);
	seen_drain(m);
	feed_drain(m);
}
