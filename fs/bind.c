/* SPDX-License-Identifier: MIT */
#include "fs/bind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fs.h"
#include "fs/sids.h"
#include "transport/log.h"

/* ---- Whom the vigil watches ---- */

static int start_vigil(struct fs *fs)
{
	struct vigil *v;
	int err;

	if (fs->bind.vigil)
		return 0;
	v = vigil_new();
	if (!v)
		return errno;
	err = wakes_add(&fs->wakes, vigil_fd(v), WAKE_THREAD);
	if (err)
		vigil_free(v);
	else
		fs->bind.vigil = v;
	return -err;
}

static void session_ended(void *arg, pid_t sid)
{
	struct bind *b = arg;

	if (sid)
		vigil_unwant(b->vigil, sid);
}

/* Nobody would be told of the session's end: what is bound to it is the node's. */
static void not_watched(struct bind *b, struct holding *h)
{
	pid_t begins, ends;

	log_warning("session %d cannot be watched, for want of memory: %s is kept until it is "
		    "removed",
		    (int)h->sid, holding_name(h));
	holdings_bind(b->holdings, h, false, &begins, &ends);
	session_ended(b, ends);
}

/* begins is h's session if nothing else was bound to it, else 0. */
static void watch(struct bind *b, struct holding *h, pid_t begins)
{
	if (begins && !vigil_want(b->vigil, begins, h->made_ns))
		not_watched(b, h);
}

/* ---- Names that are made ---- */

/* The place of the held name that the request makes; NULL: it makes none. */
static const char *made_name(const struct message *m, uint64_t *parent)
{
	*parent = m->kind == MESSAGE_RENAME ? m->target : m->parent;
	switch (m->kind) {
	case MESSAGE_MKDIR:
	case MESSAGE_SYMLINK:
	case MESSAGE_LINK:
		return m->name;
	case MESSAGE_CREATE:
		return m->flags & OPEN_EXCL ? m->name : NULL;
	case MESSAGE_RENAME:
		return m->name2;
	default:
		return NULL;
	}
}

bool bind_asks(struct fs *fs, struct asked *a, const struct message *m)
{
	bool removes = m->kind == MESSAGE_UNLINK || m->kind == MESSAGE_RENAME;
	uint64_t parent;
	const char *name = made_name(m, &parent);

	if (!fs->bind.holdings)
		return true;
	if (removes) {
		a->removes = holding_new(m->parent, m->name);
		if (!a->removes)
			return false;
	}
	if (!name)
		return true;
	a->makes = holding_new(parent, name);
	if (!a->makes)
		return false;
	a->makes->made_ns = loop_now().boot_ns; /* before the look at the session (vigil.h) */
	a->makes->sid = fs->bind.trouble ? 0 : sids_of(a->tid);
	a->makes->bound = fs->options.bind_session && a->makes->sid;
	return true;
}

void bind_asked(struct asked *a, uint64_t call)
{
	if (a->makes)
		a->makes->call = call;
}

static bool is_held(struct fs *fs, uint64_t ino, uint64_t call)
{
	uint64_t calls[LINKS_MAX];
	size_t count = node_held_names(fs->node, ino, calls);

	for (size_t i = 0; i < count; i++)
		if (calls[i] == call)
			return true;
	return false;
}

/* Of a move that may have been done or not its file is not known. */
static bool held(void *arg, const struct holding *h)
{
	return !h->ino || h->state != HOLDING_KEPT || is_held(arg, h->ino, h->call);
}

static void ended_in_sweep(void *arg, pid_t sid)
{
	struct fs *fs = arg;

	session_ended(&fs->bind, sid);
}

static void inherit(struct holding *h, const struct holding *from)
{
	if (!from || !from->set)
		return;
	h->set = true;
	h->bound = from->bound && h->sid;
}

/* What the attribute says of the file's other names. */
static const struct holding *set_one(struct fs *fs, uint64_t ino)
{
	uint64_t calls[LINKS_MAX];
	size_t count = node_held_names(fs->node, ino, calls);

	for (size_t i = 0; i < count; i++) {
		const struct holding *h = holdings_find_call(fs->bind.holdings, calls[i]);

		if (h && h->set)
			return h;
	}
	return NULL;
}

static void keep(struct fs *fs, struct holding *h)
{
	struct bind *b = &fs->bind;
	int err = h->bound ? start_vigil(fs) : 0;
	pid_t begins, ends, sid = h->sid;

	if (err)
		log_warning("sessions cannot be watched: %s", strerror(err));
	h->bound = h->bound && !err;
	if (holdings_full(b->holdings))
		holdings_sweep(b->holdings, held, ended_in_sweep, fs);
	if (holdings_add(b->holdings, h, &begins, &ends))
		watch(b, h, begins);
	else
		log_warning("a name made by session %d is not noted, for want of memory", (int)sid);
	session_ended(b, ends);
}

/*
 * An interrupted move may have been done, or be done yet: what it would have made is noted, and is
 * not there when it is given up. Everything else that was interrupted is undone by the core.
 */
static bool is_doubtful_move(const struct node_answer *answer)
{
	return answer->kind == MESSAGE_RENAME &&
	       (answer->status == STATUS_INTERRUPTED || answer->status == STATUS_NO_MASTER);
}

/* A move between two names of one file does nothing. */
static bool has_made(struct fs *fs, const struct asked *a, const struct node_answer *answer)
{
	if (!a->makes || answer->status != STATUS_OK)
		return false;
	return answer->kind != MESSAGE_RENAME ||
	       is_held(fs, answer->reply->attr.ino, a->makes->call);
}

static void take_made(struct fs *fs, struct asked *a, const struct node_answer *answer)
{
	struct holding *h = a->makes, *moved = NULL;

	if (a->removes)
		moved = holdings_find(fs->bind.holdings, holding_parent(a->removes),
				      holding_name(a->removes));
	a->makes = NULL;
	h->ino = answer->reply ? answer->reply->attr.ino : 0;
	if (answer->kind == MESSAGE_RENAME)
		inherit(h, moved);
	else if (answer->kind == MESSAGE_LINK)
		inherit(h, set_one(fs, h->ino));
	keep(fs, h);
}

static void take_removed(struct bind *b, const struct asked *a)
{
	struct holding *gone =
		holdings_find(b->holdings, holding_parent(a->removes), holding_name(a->removes));

	if (gone)
		session_ended(b, holdings_drop(b->holdings, gone));
}

/* ---- Names that are given up ---- */

/* False: no memory. */
static bool give_up(struct fs *fs, struct holding *h)
{
	struct message m = {
		.kind = MESSAGE_UNLINK,
		.parent = holding_parent(h),
		.name = holding_name(h),
		.target = h->call,
		.flags = UNLINK_LET_GO,
	};
	struct asked *a = calloc(1, sizeof(*a));

	if (!a)
		return false;
	a->gives_up = h->call;
	if (node_submit(fs->node, &m, a, loop_now()))
		return true;
	free(a);
	return false;
}

static void give_up_some(struct fs *fs)
{
	struct bind *b = &fs->bind;
	struct holding *h;

	b->retry_ns = MOMENT_NEVER;
	while (holdings_leaving_count(b->holdings) < BIND_LEAVING_MAX &&
	       (h = holdings_next_over(b->holdings))) {
		if (!give_up(fs, h)) {
			b->retry_ns = loop_now().boot_ns + BIND_RETRY_NS;
			return;
		}
		holdings_leaving(b->holdings, h);
	}
}

/* Whatever else the answer says, the name is not this one any more, or will not be (node.h). */
static void take_given_up(struct fs *fs, const struct asked *a, enum status status)
{
	struct bind *b = &fs->bind;
	struct holding *h = holdings_find_call(b->holdings, a->gives_up);

	if (h && h->state == HOLDING_LEAVING && status == STATUS_NO_MEMORY) {
		holdings_again(b->holdings, h);
		b->retry_ns = loop_now().boot_ns + BIND_RETRY_NS;
		return;
	}
	if (h)
		session_ended(b, holdings_drop(b->holdings, h));
	if (b->retry_ns == MOMENT_NEVER)
		give_up_some(fs);
}

void bind_drop(struct asked *a)
{
	holding_free(a->makes);
	holding_free(a->removes);
	a->makes = a->removes = NULL;
}

void bind_answered(struct fs *fs, struct asked *a, const struct node_answer *answer)
{
	bool made;

	if (fs->bind.holdings) {
		made = has_made(fs, a, answer);
		if (made || (a->makes && is_doubtful_move(answer)))
			take_made(fs, a, answer);
		if (a->removes && answer->status == STATUS_OK &&
		    (made || answer->kind == MESSAGE_UNLINK))
			take_removed(&fs->bind, a);
		if (a->gives_up)
			take_given_up(fs, a, answer->status);
	}
	bind_drop(a);
}

/* ---- The loop ---- */

void bind_turn(struct fs *fs)
{
	struct bind *b = &fs->bind;
	int64_t before_ns, since_ns;
	bool reported = false;
	pid_t sid;

	if (!b->holdings)
		return;
	while (b->vigil && fs->threads_stir && vigil_next(b->vigil, &sid, &before_ns)) {
		reported = true;
		if (holdings_over(b->holdings, sid, before_ns, &since_ns) &&
		    !vigil_want(b->vigil, sid, since_ns))
			log_warning("session %d is not watched, for want of memory", (int)sid);
	}
	if (reported || (b->retry_ns != MOMENT_NEVER && loop_now().boot_ns >= b->retry_ns))
		give_up_some(fs);
}

int64_t bind_deadline(const struct fs *fs)
{
	return fs->bind.holdings ? fs->bind.retry_ns : MOMENT_NEVER;
}

static bool nothing_held(void *arg, const struct holding *h)
{
	(void)arg;
	(void)h;
	return false;
}

void bind_lapsed(struct fs *fs)
{
	if (fs->bind.holdings)
		holdings_sweep(fs->bind.holdings, nothing_held, ended_in_sweep, fs);
}

/* ---- The attribute ---- */

bool bind_parse(const char *value, size_t len, enum bind_to *to)
{
	bool session = len == strlen("session") && !memcmp(value, "session", len);
	bool node = len == strlen("node") && !memcmp(value, "node", len);

	*to = session ? BIND_SESSION : BIND_NODE;
	return session || node;
}

/* What the record knows may be over: then the master names no holder of this node, unless there are
 * more than it can name. */
static size_t held_here(struct fs *fs, uint64_t ino, const struct message *info,
			uint64_t calls[LINKS_MAX])
{
	bool named = info->holder_count == HOLDERS_MAX;

	for (size_t i = 0; i < info->holder_count; i++)
		named = named || info->holders[i].session == node_instance(fs->node);
	return named && fs->bind.holdings ? node_held_names(fs->node, ino, calls) : 0;
}

const char *bind_text(struct fs *fs, uint64_t ino, const struct message *info)
{
	uint64_t calls[LINKS_MAX];
	size_t count = held_here(fs, ino, info, calls);

	for (size_t i = 0; i < count; i++) {
		const struct holding *h = holdings_find_call(fs->bind.holdings, calls[i]);

		if (h && h->bound)
			return "session";
	}
	return count ? "node" : NULL;
}

static bool has_session(const struct bind *b, const uint64_t *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct holding *h = holdings_find_call(b->holdings, calls[i]);

		if (h && h->sid)
			return true;
	}
	return false;
}

static int set_one_name(struct fs *fs, struct holding *h, enum bind_to to)
{
	struct bind *b = &fs->bind;
	bool session = to == BIND_SESSION || (to == BIND_DEFAULT && fs->options.bind_session);
	pid_t begins, ends;

	h->set = to != BIND_DEFAULT;
	if (!holdings_bind(b->holdings, h, session && h->sid, &begins, &ends))
		return ENOMEM;
	session_ended(b, ends);
	watch(b, h, begins);
	return 0;
}

/* May it be set to this, of a file with these names? 0 or errno. */
static int may_set(struct fs *fs, const uint64_t *calls, size_t count, enum bind_to to)
{
	if (to != BIND_SESSION)
		return to == BIND_DEFAULT && fs->options.bind_session ? start_vigil(fs) : 0;
	if (fs->bind.trouble)
		return EOPNOTSUPP;
	if (!has_session(&fs->bind, calls, count))
		return ESRCH;
	return start_vigil(fs);
}

int bind_set(struct fs *fs, uint64_t ino, const struct message *info, uint32_t uid, enum bind_to to)
{
	uint64_t calls[LINKS_MAX];
	size_t count = held_here(fs, ino, info, calls);
	int err;

	if (uid != 0 && uid != info->attr.uid)
		return EPERM;
	if (!count)
		return info->holder_count ? EREMOTE : EINVAL;
	err = may_set(fs, calls, count, to);
	for (size_t i = 0; i < count && !err; i++) {
		struct holding *h = holdings_find_call(fs->bind.holdings, calls[i]);

		if (h)
			err = set_one_name(fs, h, to);
	}
	return err;
}

/* ---- Life ---- */

/* What the option asks for somebody relies on: without it there is no mount. */
int bind_start(struct fs *fs, const char **why)
{
	struct bind *b = &fs->bind;
	int err;

	b->trouble = sids_trouble();
	b->retry_ns = MOMENT_NEVER;
	if (fs->options.bind_session && b->trouble) {
		*why = b->trouble;
		return -1;
	}
	err = fs->options.bind_session ? start_vigil(fs) : 0;
	if (err) {
		*why = strerror(err);
		return -1;
	}
	b->holdings = holdings_new();
	*why = "out of memory";
	return b->holdings ? 0 : -1;
}

void bind_stop(struct fs *fs)
{
	vigil_free(fs->bind.vigil);
	fs->bind.vigil = NULL;
	holdings_free(fs->bind.holdings);
	fs->bind.holdings = NULL;
}
