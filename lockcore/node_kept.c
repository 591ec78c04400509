/* SPDX-License-Identifier: MIT */
/*
 * What a session keeps, so as to reclaim it from a master that was restarted (protocol rules 7 and
 * 12).
 *
 * A record of a file is kept while a program has the file open, and from the session's first change
 * of the file until the master says FORGET: who changed a file last vouches for it, its content
 * included. A reply to a change brings the content along unless the node's own was current
 * (message.version).
 *
 * The locks are in node_locks.c.
 */
#include "lockcore/node_internal.h"

/* ---- Records ---- */

struct kept *kept_find(struct node *n, uint64_t ino)
{
	struct kept *k;

	HASH_FIND(hh, n->kept, &ino, sizeof(ino), k);
	return k;
}

struct node_handle *node_handle_find(struct node *n, uint64_t id)
{
	struct node_handle *h;

	HASH_FIND(hh, n->handles, &id, sizeof(id), h);
	return h;
}

/* Out of the hash already. */
static void kept_destroy(struct kept *k)
{
	assert(!k->handles);
	range_drop_all(&k->locks[LOCK_FLOCK]);
	range_drop_all(&k->locks[LOCK_RANGE]);
	free(k->content);
	free(k->names);
	free(k);
}

static void kept_drop(struct node *n, struct kept *k)
{
	HASH_DEL(n->kept, k);
	kept_destroy(k);
}

static struct kept *kept_make(struct node *n, uint64_t ino)
{
	struct kept *k = kept_find(n, ino);

	if (k)
		return k;
	k = calloc(1, sizeof(*k));
	if (k) {
		k->ino = ino;
		HASH_ADD(hh, n->kept, ino, sizeof(ino), k);
	}
	if (!k || !k->hh.tbl) {
		free(k);
		n->doomed = true;
		return NULL;
	}
	return k;
}

static void drop_unless_needed(struct node *n, struct kept *k)
{
	if (!k->handles && !k->vouched)
		kept_drop(n, k);
}

uint64_t kept_version(struct node *n, uint64_t ino)
{
	const struct kept *k = kept_find(n, ino);

	return k && k->full ? k->attr.version : 0;
}

/* The links of a message that has all of the file's. */
static void take_names(struct node *n, struct kept *k, const struct message *m)
{
	struct names *names = m->link_count ? names_copy(m->links, m->link_count) : NULL;

	if (m->link_count && !names)
		n->doomed = true;
	free(k->names);
	k->names = names;
	k->named_ns = n->now_ns;
}

static void set_content(struct node *n, struct kept *k, const void *data, size_t len)
{
	free(k->content);
	k->content = len ? malloc(len) : NULL;
	if (len && !k->content) {
		n->doomed = true;
		return;
	}
	if (len)
		memcpy(k->content, data, len);
	k->full = true;
}

static void lose_content(struct kept *k)
{
	free(k->content);
	k->content = NULL;
	k->full = false;
}

/* Grows with zeroes or cuts, as truncate(2). */
static void resize_content(struct node *n, struct kept *k, size_t size)
{
	size_t old = k->attr.size;
	void *content = size ? realloc(k->content, size) : NULL;

	if (size && !content) {
		n->doomed = true;
		return;
	}
	if (!size)
		free(k->content);
	if (size > old)
		memset((char *)content + old, 0, size - old);
	k->content = content;
}

/* A whole record; one whose content is not as long as it says is kept without. */
static void take_record(struct node *n, struct kept *k, const struct message *m)
{
	take_names(n, k, m);
	if (m->data_len == m->attr.size)
		set_content(n, k, m->data, m->data_len);
	else
		lose_content(k);
	k->attr = m->attr;
}

/* Can the reply's size be that of the content once the request is done? A master is not trusted
 * with our memory. */
static bool fits(const struct message *request, const struct message *reply)
{
	uint64_t size = reply->attr.size, at = (uint64_t)reply->start;

	if (request->kind != MESSAGE_WRITE || !request->data_len)
		return size <= CONTENT_MAX_BYTES;
	return size <= CONTENT_MAX_BYTES && at <= size && request->data_len <= size - at;
}

/* Repeats on the own copy what the request did to the content at the master. */
static void repeat_change(struct node *n, struct kept *k, const struct message *request,
			  const struct message *reply)
{
	if (reply->attr.size != k->attr.size)
		resize_content(n, k, reply->attr.size);
	if (request->kind == MESSAGE_WRITE && request->data_len && !n->doomed)
		memcpy((char *)k->content + reply->start, request->data,
		       write_fits(reply->start, request->data_len));
}

static void apply_change(struct node *n, const struct message *request, const struct message *reply)
{
	struct kept *k = kept_make(n, reply->attr.ino);

	if (!k)
		return;
	k->vouched = rule(RULE_LAST_WRITER_VOUCHES);
	k->gone = false;
	if (reply->flags & REPLY_CONTENT) {
		take_record(n, k, reply);
		return;
	}
	if (reply->flags & REPLY_LINKS)
		take_names(n, k, reply);
	if (request->kind == MESSAGE_MKDIR || request->kind == MESSAGE_SYMLINK)
		set_content(n, k, request->data, request->data_len);
	else if (k->full && k->attr.version + 1 == reply->attr.version && fits(request, reply))
		repeat_change(n, k, request, reply);
	else
		lose_content(k);
	k->attr = reply->attr;
}

static void apply_open(struct node *n, const struct message *request, const struct message *reply)
{
	struct kept *k = kept_make(n, reply->attr.ino);

	if (!k)
		return;
	k->gone = false;		    /* opened again on its way out */
	if (reply->flags & REPLY_CONTENT) { /* made by a first try, maybe written by others since */
		k->vouched = true;
		take_record(n, k, reply);
		return;
	}
	if ((reply->flags & REPLY_CREATED) || (request->flags & OPEN_TRUNC)) {
		k->vouched = true;
		set_content(n, k, NULL, 0);
	} else if (k->full && k->attr.version != reply->attr.version) {
		/* Somebody else has the newer one; ours is good if he dies with the master. */
		return;
	}
	take_names(n, k, reply);
	k->attr = reply->attr;
}

/* ---- Replies and what else the master says ---- */

/* Only the memory of its end is left, lest an older record bring the file back. */
static void kept_tomb(struct node *n, uint64_t ino, uint64_t version)
{
	struct kept *k = kept_make(n, ino);

	if (!k)
		return;
	assert(!k->handles);
	lose_content(k);
	k->vouched = k->gone = true;
	k->attr = (struct attr){.ino = ino, .version = version};
}

void kept_apply(struct node *n, const struct message *request, const struct message *reply)
{
	if (reply->flags & REPLY_GONE)
		kept_forget(n, reply->ino);
	if (reply->flags & REPLY_TOMB)
		kept_tomb(n, reply->ino, reply->version);
	switch (request->kind) {
	case MESSAGE_CREATE:
	case MESSAGE_OPEN:
		apply_open(n, request, reply);
		break;
	case MESSAGE_WRITE:
	case MESSAGE_SETATTR:
	case MESSAGE_MKDIR:
	case MESSAGE_SYMLINK:
	case MESSAGE_LINK:
	case MESSAGE_RENAME:
		apply_change(n, request, reply);
		break;
	case MESSAGE_UNLINK: /* of a directory that was let go, and not removed */
		if (reply->flags & REPLY_LINKS)
			apply_change(n, request, reply);
		break;
	case MESSAGE_LOCK:
		kept_apply_lock(n, request, reply);
		break;
	default:
		break;
	}
}

void kept_vouch(struct node *n, const struct message *m)
{
	struct kept *k = kept_make(n, m->attr.ino);

	if (!k)
		return;
	k->gone = false;
	take_record(n, k, m);
	k->vouched = true;
}

void kept_forget(struct node *n, uint64_t ino)
{
	struct kept *k = kept_find(n, ino);

	if (!k)
		return;
	k->vouched = false;
	drop_unless_needed(n, k);
}

void kept_trim(struct node *n, uint64_t ino)
{
	struct kept *k = kept_find(n, ino);

	if (k)
		drop_unless_needed(n, k);
}

/* ---- Handles ---- */

bool kept_add_handle(struct node *n, const struct message *request, const struct message *reply)
{
	struct kept *k = kept_find(n, reply->attr.ino);
	struct node_handle *h = k ? calloc(1, sizeof(*h)) : NULL;

	if (!h)
		goto out_none;
	h->id = request->handle;
	h->ino = k->ino;
	h->pid = request->pid;
	h->kept = k;
	HASH_ADD(hh, n->handles, id, sizeof(h->id), h);
	if (!h->hh.tbl)
		goto out_none;
	DL_APPEND(k->handles, h);
	return true;

out_none:
	free(h);
	if (k)
		drop_unless_needed(n, k);
	return false;
}

void kept_close(struct node *n, struct node_handle *h)
{
	struct kept *k = h->kept;

	HASH_DEL(n->handles, h);
	if (h->lapsed) {
		DL_DELETE(n->lapsed, h);
	} else {
		DL_DELETE(k->handles, h);
		range_drop_handle(&k->locks[LOCK_FLOCK], 0, h->id);
		range_drop_handle(&k->locks[LOCK_RANGE], 0, h->id);
		drop_unless_needed(n, k);
	}
	free(h);
}

void kept_lose_handle(struct node *n, struct node_handle *h)
{
	struct kept *k = h->kept;

	assert(!h->lapsed);
	DL_DELETE(k->handles, h);
	range_drop_handle(&k->locks[LOCK_FLOCK], 0, h->id);
	range_drop_handle(&k->locks[LOCK_RANGE], 0, h->id);
	h->attr = k->attr;
	h->kept = NULL;
	h->lapsed = true;
	DL_APPEND(n->lapsed, h);
	drop_unless_needed(n, k);
}

void node_close(struct node *n, uint64_t handle, struct moment now)
{
	struct message close = {.kind = MESSAGE_CLOSE, .handle = handle};
	struct node_handle *h;

	node_check_belief(n, now);
	h = node_handle_find(n, handle);
	if (!h)
		return;
	close.flags = h->broken ? BROKEN : 0;
	if (!h->lapsed)
		node_push(n, &close);
	kept_close(n, h);
}

/* ---- Reclaim ---- */

static void reclaim_locks(struct node *n, const struct kept *k, enum lock_kind kind)
{
	const struct range *held;

	DL_FOREACH (k->locks[kind], held) {
		struct message m = {
			.kind = MESSAGE_RECLAIM_LOCK,
			.ino = k->ino,
			.handle = held->handle,
			.owner = held->owner,
			.lock_kind = kind,
			.lock_mode = held->mode,
			.start = held->start,
			.end = held->end,
			.token = held->token,
			.age_ns = moment_age_since(held->since_ns, n->now_ns),
			.pid = held->pid,
			.uid = held->uid,
		};

		memcpy(m.command, held->command, sizeof(m.command));
		node_push(n, &m);
	}
}

/* Its names, as old as they are by now. */
static size_t names_now(const struct node *n, const struct kept *k, struct link links[LINKS_MAX])
{
	size_t count = k->names ? k->names->count : 0;

	assert(count <= LINKS_MAX);
	for (size_t i = 0; i < count; i++) {
		links[i] = k->names->links[i];
		links[i].age_ns = moment_age(moment_age(links[i].age_ns) +
					     moment_age_since(k->named_ns, n->now_ns));
	}
	return count;
}

static void reclaim_file(struct node *n, const struct kept *k)
{
	struct link links[LINKS_MAX];
	const struct node_handle *h;

	node_push(n,
		  &(struct message){
			  .kind = MESSAGE_RECLAIM_FILE,
			  .attr = k->attr,
			  .links = links,
			  .link_count = names_now(n, k, links),
			  .data = k->full ? k->content : NULL,
			  .data_len = k->full ? k->attr.size : 0,
			  .flags = (k->full ? RECORD_FULL : 0) | (k->vouched ? RECORD_VOUCHED : 0),
		  });
	DL_FOREACH (k->handles, h)
		node_push(n, &(struct message){
				     .kind = MESSAGE_RECLAIM_OPEN,
				     .ino = k->ino,
				     .handle = h->id,
				     .pid = h->pid,
			     });
	reclaim_locks(n, k, LOCK_FLOCK);
	reclaim_locks(n, k, LOCK_RANGE);
}

void kept_reclaim(struct node *n)
{
	const struct kept *k;

	for (k = n->kept; k; k = k->hh.next) {
		if (k->gone)
			node_push(n, &(struct message){
					     .kind = MESSAGE_RECLAIM_GONE,
					     .ino = k->ino,
					     .version = k->attr.version,
				     });
		else
			reclaim_file(n, k);
	}
}

/* ---- The end of the session ---- */

/* Of a file that has lost its last name the record still has that (rule 7). */
size_t kept_names(const struct kept *k)
{
	return k->names && k->attr.nlink ? k->names->count : 0;
}

size_t node_held_names(struct node *n, uint64_t ino, uint64_t calls[LINKS_MAX])
{
	const struct kept *k = kept_find(n, ino);
	size_t count = 0;

	for (size_t i = 0; k && i < kept_names(k) && count < LINKS_MAX; i++)
		if (k->names->links[i].holder == n->instance)
			calls[count++] = k->names->links[i].maker_req;
	return count;
}

size_t kept_held(const struct kept *k, uint64_t instance)
{
	const struct range *r;
	size_t held = 0;

	for (size_t i = 0; i < kept_names(k); i++)
		held += k->names->links[i].holder == instance;
	DL_FOREACH (k->locks[LOCK_FLOCK], r)
		held++;
	DL_FOREACH (k->locks[LOCK_RANGE], r)
		held++;
	return held;
}

static void kept_lose(struct node *n, struct kept *k)
{
	HASH_DEL(n->kept, k);
	lose_content(k);
	LL_PREPEND(n->lost, k);
}

void kept_forget_lost(struct node *n)
{
	struct kept *k, *next;

	LL_FOREACH_SAFE (n->lost, k, next)
		kept_destroy(k);
	n->lost = NULL;
}

/* They stay, for fstat and close. */
static void lapse_handles(struct node *n, struct kept *k)
{
	struct node_handle *h, *next;

	DL_FOREACH_SAFE (k->handles, h, next) {
		DL_DELETE(k->handles, h);
		h->attr = k->attr;
		h->kept = NULL;
		h->lapsed = true;
		DL_APPEND(n->lapsed, h);
	}
}

size_t kept_lapse(struct node *n, bool remember)
{
	struct kept *k, *next;
	size_t held = 0;

	HASH_ITER (hh, n->kept, k, next) {
		size_t of_this = kept_held(k, n->instance);

		held += of_this;
		lapse_handles(n, k);
		if (of_this && remember)
			kept_lose(n, k);
		else
			kept_drop(n, k);
	}
	return held;
}

void kept_free(struct node *n)
{
	struct node_handle *h, *next;

	kept_lapse(n, false);
	kept_forget_lost(n);
	HASH_ITER (hh, n->handles, h, next)
		kept_close(n, h);
}
