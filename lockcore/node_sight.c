/* SPDX-License-Identifier: MIT */
/*
 * The names that this node's programs have seen, and the notices of their end (contract 2.4).
 *
 *	reply ──> told ── UNSEEN, or a reply that says so ──> notice
 *	           │ ^
 *	 new epoch v │ SEEN is sent
 *	          untold
 *
 * The master tells once of the end of what it knows to be seen. A master that was restarted, and
 * one that gives this node a new session, knows nothing: it is told again, and answers at once for
 * what has ended meanwhile. So a name stands here exactly as long as somebody who watches it has
 * not been told of its end, and the master's word for a name that does not stand here is dropped.
 */
#include <sys/stat.h>

#include "lockcore/node_internal.h"

/* Messages not yet acknowledged while what was seen is told again: programs are not to wait behind
 * all of it, nor memory to hold it twice. */
#define TELL_AHEAD_MAX 1024

/* ---- What is seen ---- */

static uint64_t parent_of(const struct sight *s)
{
	uint64_t parent;

	memcpy(&parent, s->key, sizeof(parent));
	return parent;
}

static const char *name_of(const struct sight *s)
{
	return (const char *)s->key + sizeof(uint64_t);
}

static size_t make_key(unsigned char *key, uint64_t parent, const char *name)
{
	size_t len = strlen(name) + 1;

	memcpy(key, &parent, sizeof(parent));
	memcpy(key + sizeof(parent), name, len);
	return sizeof(parent) + len;
}

static struct sight *find(struct node *n, uint64_t parent, const char *name)
{
	unsigned char key[sizeof(parent) + NAME_MAX_BYTES + 1];
	struct sight *s;

	if (!name || strlen(name) > NAME_MAX_BYTES)
		return NULL;
	HASH_FIND(hh, n->sights, key, make_key(key, parent, name), s);
	return s;
}

/* Where a directory is. */
static struct sight *find_dir(struct node *n, uint64_t ino)
{
	struct sight *s;

	HASH_FIND(hh_dir, n->dirs, &ino, sizeof(ino), s);
	return s;
}

static void leave_list(struct node *n, struct sight *s)
{
	if (s->is_told)
		DL_DELETE(n->told, s);
	else
		DL_DELETE(n->untold, s);
}

static void leave_dirs(struct node *n, struct sight *s)
{
	if (s->in_dirs)
		HASH_DELETE(hh_dir, n->dirs, s);
	s->in_dirs = false;
}

static void drop(struct node *n, struct sight *s)
{
	leave_list(n, s);
	leave_dirs(n, s);
	HASH_DEL(n->sights, s);
	free(s);
}

/* The directory is here now, wherever it was. Without memory its names are not told of. */
static void join_dirs(struct node *n, struct sight *s)
{
	struct sight *old = find_dir(n, s->attr.ino);

	if (old)
		leave_dirs(n, old);
	HASH_ADD(hh_dir, n->dirs, attr.ino, sizeof(s->attr.ino), s);
	s->in_dirs = s->hh_dir.tbl != NULL;
}

static struct sight *sight_new(struct node *n, uint64_t parent, const char *name)
{
	struct sight *s = calloc(1, sizeof(*s) + sizeof(parent) + strlen(name) + 1);

	if (!s)
		return NULL;
	s->key_len = make_key(s->key, parent, name);
	HASH_ADD_KEYPTR(hh, n->sights, s->key, s->key_len, s);
	if (!s->hh.tbl) {
		free(s);
		return NULL;
	}
	s->is_told = true;
	DL_APPEND(n->told, s);
	if (HASH_COUNT(n->sights) > SEEN_NAMES_MAX)
		drop(n, n->untold ? n->untold : n->told);
	return s;
}

/* ---- Notices ---- */

/* How many steps lead to a name in this directory, and how many bytes their names take. 0: one of
 * them is not known. */
static size_t measure(struct node *n, uint64_t parent, size_t *bytes)
{
	size_t depth = 1;

	for (; parent != ROOT_INO; depth++) {
		const struct sight *dir = find_dir(n, parent);

		if (!dir || depth == NODE_NOTICE_DEPTH_MAX)
			return 0;
		*bytes += strlen(name_of(dir)) + 1;
		parent = parent_of(dir);
	}
	return n->root.ino ? depth : 0;
}

static char *put_step(struct node_step *step, uint64_t parent, const char *name,
		      const struct attr *attr, char *at)
{
	size_t len = strlen(name) + 1;

	memcpy(at, name, len);
	*step = (struct node_step){.parent = parent, .name = at, .attr = *attr};
	return at + len;
}

static void notice(struct node *n, bool appeared, uint64_t parent, const char *name,
		   const struct attr *attr)
{
	size_t bytes = strlen(name) + 1, depth = measure(n, parent, &bytes), i;
	struct node_notice *notice;
	char *at;

	if (!depth || n->notice_count == NODE_NOTICES_MAX)
		return;
	notice = calloc(1, sizeof(*notice) + depth * sizeof(notice->steps[0]) + bytes);
	if (!notice)
		return;
	notice->appeared = appeared;
	notice->root = n->root;
	notice->depth = depth;
	at = put_step(node_notice_last(notice), parent, name, attr, (char *)&notice->steps[depth]);
	for (i = depth - 1; i-- > 0;) {
		const struct sight *dir = find_dir(n, parent);

		parent = parent_of(dir);
		at = put_step(&notice->steps[i], parent, name_of(dir), &dir->attr, at);
	}
	assert(parent == ROOT_INO);
	DL_APPEND(n->notices, notice);
	n->notice_count++;
}

struct node_notice *node_next_notice(struct node *n)
{
	struct node_notice *notice = n->notices;

	if (notice) {
		DL_DELETE(n->notices, notice);
		n->notice_count--;
	}
	return notice;
}

void node_notice_free(struct node_notice *notice)
{
	free(notice);
}

/* The name is gone, and the kernel does not know. */
static void ended(struct node *n, struct sight *s, const struct attr *attr)
{
	notice(n, false, parent_of(s), name_of(s), attr);
	drop(n, s);
}

/* It must have gone, though nobody said how: that of a directory may be a move, for all we know. */
static void ended_somehow(struct node *n, struct sight *s)
{
	struct attr attr = s->attr;

	attr.nlink = S_ISDIR(attr.mode) ? attr.nlink : 0;
	ended(n, s, &attr);
}

/* ---- Replies ---- */

/* NULL: no memory. */
static struct sight *see(struct node *n, uint64_t parent, const char *name, const struct attr *attr)
{
	struct sight *s = find(n, parent, name);

	if (s && s->attr.ino != attr->ino) {
		ended_somehow(n, s);
		s = NULL;
	}
	if (!s)
		s = sight_new(n, parent, name);
	if (!s)
		return NULL;
	leave_list(n, s);
	s->is_told = true;
	DL_APPEND(n->told, s);
	leave_dirs(n, s);
	s->attr = *attr;
	if (S_ISDIR(attr->mode))
		join_dirs(n, s);
	return s;
}

static void see_by_program(struct node *n, uint64_t parent, const char *name,
			   const struct attr *attr)
{
	struct sight *s = find(n, parent, name);

	if (s)
		s->looked = s->looked || s->attr.ino == attr->ino;
	s = see(n, parent, name, attr);
	if (s)
		s->looked = true;
}

/* A directory on the way to what is seen: as last known. */
static void refresh(struct node *n, const struct attr *attr)
{
	struct sight *s = find_dir(n, attr->ino);

	if (attr->ino == ROOT_INO)
		n->root = *attr;
	else if (s && S_ISDIR(attr->mode))
		s->attr = *attr;
}

/* By a request of this node: its kernel knows, unless the program was answered before, or there is
 * none: what undoes another request is not the kernel's. */
static void removed_by_us(struct node *n, uint64_t parent, const char *name,
			  const struct message *reply, bool settled)
{
	struct sight *s = find(n, parent, name);

	if (s && !settled)
		drop(n, s);
	else if (s && s->attr.ino == reply->attr.ino)
		ended(n, s, &reply->attr);
	else if (s)
		ended_somehow(n, s);
}

static void moved_by_us(struct node *n, const struct message *request, const struct message *reply,
			bool settled)
{
	struct sight *replaced;

	removed_by_us(n, request->parent, request->name, reply, settled);
	if (settled) { /* what the new name stands for shows when it is looked up */
		replaced = find(n, request->target, request->name2);
		if (replaced && replaced->attr.ino != reply->attr.ino)
			ended_somehow(n, replaced);
		return;
	}
	removed_by_us(n, request->target, request->name2, reply, false);
	see_by_program(n, request->target, request->name2, &reply->attr);
}

static void found(struct node *n, const struct message *request, const struct message *reply)
{
	struct sight *s = find(n, request->parent, request->name);

	if (reply->status == STATUS_OK)
		see_by_program(n, request->parent, request->name, &reply->attr);
	else if (s && reply->status == STATUS_NO_ENTRY)
		ended_somehow(n, s);
}

void sight_reply(struct node *n, const struct message *request, const struct message *reply,
		 bool settled)
{
	if (request->kind == MESSAGE_LOOKUP) {
		found(n, request, reply);
		return;
	}
	if (reply->status != STATUS_OK)
		return;
	switch (request->kind) {
	case MESSAGE_CREATE:
	case MESSAGE_MKDIR:
	case MESSAGE_SYMLINK:
	case MESSAGE_LINK:
		if (!settled)
			see_by_program(n, request->parent, request->name, &reply->attr);
		break;
	case MESSAGE_UNLINK:
		if (!(reply->flags & REPLY_LINKS)) /* else it was let go */
			removed_by_us(n, request->parent, request->name, reply,
				      settled || request->target);
		break;
	case MESSAGE_RENAME:
		moved_by_us(n, request, reply, settled);
		break;
	case MESSAGE_GETATTR:
	case MESSAGE_SETATTR:
		refresh(n, &reply->attr);
		break;
	default:
		break;
	}
}

/* ---- What the master says ---- */

void sight_unseen(struct node *n, const struct message *m)
{
	struct sight *s = find(n, m->parent, m->name);
	struct attr attr;

	if (!s || s->attr.ino != m->ino)
		return;
	attr = m->attr.mode ? m->attr : s->attr;
	attr.nlink = m->attr.nlink;
	ended(n, s, &attr);
}

void sight_appeared(struct node *n, const struct message *m)
{
	if (!m->name || !n->config.watch_all || !see(n, m->parent, m->name, &m->attr))
		return;
	notice(n, true, m->parent, m->name, &m->attr);
}

/* ---- What the master is told ---- */

/* A name that nobody can be told of is as good as not seen. */
static void tell(struct node *n, struct sight *s)
{
	struct message *m = message_copy(&(struct message){
		.kind = MESSAGE_SEEN,
		.parent = parent_of(s),
		.name = name_of(s),
		.ino = s->attr.ino,
	});

	if (!m) {
		drop(n, s);
		return;
	}
	channel_push(&n->channel, m);
	DL_DELETE(n->untold, s);
	s->is_told = true;
	DL_APPEND(n->told, s);
}

/*
 * Who watches everything says so, and in which directories, before its reclaim is done, so that it
 * hears of whatever is made after grace.
 */
void sight_begin(struct node *n)
{
	struct sight *s, *next;

	DL_FOREACH (n->told, s)
		s->is_told = false;
	DL_CONCAT(n->untold, n->told);
	n->told = NULL;
	if (!n->config.watch_all)
		return;
	node_push(n, &(struct message){.kind = MESSAGE_SEEN, .flags = WATCH_ALL});
	DL_FOREACH_SAFE (n->untold, s, next)
		if (s->in_dirs)
			tell(n, s);
}

void sight_tell(struct node *n)
{
	while (n->untold && n->channel.count < TELL_AHEAD_MAX)
		tell(n, n->untold);
}

void sight_free(struct node *n)
{
	struct node_notice *notice;

	while (n->told || n->untold)
		drop(n, n->told ? n->told : n->untold);
	while ((notice = node_next_notice(n)))
		node_notice_free(notice);
}

/* ---- What the kernel may be shown ---- */

uint64_t node_known_dir(struct node *n, uint64_t parent, const char *name)
{
	const struct sight *s = find(n, parent, name);

	return s && s->looked && S_ISDIR(s->attr.mode) ? s->attr.ino : 0;
}

bool node_dir_is_elsewhere(struct node *n, const struct node_step *step)
{
	const struct sight *dir = find_dir(n, step->attr.ino);

	return dir && (parent_of(dir) != step->parent || strcmp(name_of(dir), step->name) != 0);
}

/* Opening, reading content and locking do without the inode's lock, or share it with nobody. */
static bool locks_no_inode(enum message_kind kind)
{
	return kind == MESSAGE_OPEN || kind == MESSAGE_GETATTR || kind == MESSAGE_READ ||
	       kind == MESSAGE_LOCK || kind == MESSAGE_TESTLOCK;
}

bool node_may_lock(const struct node *n, uint64_t ino)
{
	const struct call *c;

	DL_FOREACH (n->order, c) {
		const struct message *m = c->request;

		if (c->settled || locks_no_inode(m->kind))
			continue;
		/* An UNLINK's ino is no file's. */
		if (m->parent == ino || m->target == ino || m->known == ino || m->known2 == ino ||
		    (m->ino == ino && m->kind != MESSAGE_UNLINK))
			return true;
	}
	return false;
}
