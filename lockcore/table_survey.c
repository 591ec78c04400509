/* SPDX-License-Identifier: MIT */
/*
 * Who has what, and who waits: all of it, a page at a time.
 *
 *	roster:  held name   locks of a file             held name   locks of a file ...
 *	                     flocks, ranges, the queue
 *
 * A cursor says at which place of the roster the next page begins, and how far the list there has been
 * listed: after the place itself if that is nothing.
 */
#include "lockcore/table_internal.h"

#define TOO_LONG ".../" /* stands for the beginning of a path that is longer than can be told */

/* A cursor's range: the serial of the last one that was listed, and this if it was no flock. */
#define IN_RANGES (UINT64_C(1) << 63)

struct pager {
	struct table *t;
	struct table_survey *out;
};

void taken_add(struct table *t, struct roster_entry *e, enum roster_sort sort)
{
	e->sort = sort;
	roster_add(&t->taken, e, ++t->cookies);
}

/* ---- Paths ---- */

/* The name of the directory that it is in, or was; NULL: the root, or not known. */
static const struct dentry *above(const struct dentry *d)
{
	assert(d->parent || !d->holder); /* it is a lost one */
	if (!d->parent)
		return d->attic_of;
	return d->parent->ino == ROOT_INO ? NULL : d->parent->dentries;
}

static bool path_fits(const struct dentry *d)
{
	size_t len = 0;

	for (; d && len <= SURVEY_NAME_MAX + 1; d = above(d))
		len += strlen(dentry_name(d)) + 1; /* a slash, or the NUL */
	return len <= SURVEY_NAME_MAX + 1;
}

char *survey_path(const struct dentry *d, char *begin, char *end)
{
	size_t spare = path_fits(d) ? 0 : strlen(TOO_LONG);
	char *at = end;

	*--at = '\0';
	for (; d; d = above(d)) {
		size_t len = strlen(dentry_name(d)), slash = at[0] != '\0';

		if ((size_t)(at - begin) < len + slash + spare) {
			at -= strlen(TOO_LONG);
			memcpy(at, TOO_LONG, strlen(TOO_LONG));
			return at;
		}
		if (slash)
			*--at = '/';
		at -= len;
		memcpy(at, dentry_name(d), len);
	}
	return at;
}

/* ---- A page ---- */

/* Adds it with the name that its file has, or had last. False: the page is full. */
static bool add(struct pager *p, const struct surveyed *what, const struct dentry *name)
{
	struct table_survey *out = p->out;
	char path[SURVEY_NAME_MAX + 1], *at;
	size_t len;

	if (out->count == SURVEY_MAX)
		return false;
	at = survey_path(name, path, path + sizeof(path));
	len = (size_t)(path + sizeof(path) - at);
	if (len > SURVEY_NAMES_MAX - out->names_len)
		return false;
	out->found[out->count] = *what;
	out->found[out->count++].name = memcpy(out->names + out->names_len, at, len);
	out->names_len += len;
	return true;
}

/* What is said of whatever is in this file. */
static void of_file(struct surveyed *what, const struct inode *inode)
{
	what->ino = inode->ino;
	what->queue = inode->locks ? inode->locks->taken.cookie : 0;
	what->flags |= inode->nlink ? 0 : SURVEYED_REMOVED;
}

struct surveyed survey_of_name(const struct table *t, const struct dentry *d)
{
	struct surveyed what = {
		.token = d->token,
		.session = d->holder->id,
		.end = RANGE_END,
		.age_ns = moment_age_since(d->since_ns, t->now_ns),
		.left_ns = MOMENT_NEVER,
		.pid = d->maker_pid,
		.uid = d->maker_uid,
		.kind = HOLDER_NAME,
	};

	if (deadline_is_set(&d->life)) {
		what.left_ns = d->life.at_ns > t->now_ns ? d->life.at_ns - t->now_ns : 0;
		what.flags = SURVEYED_TTL;
	}
	command_copy(what.command, d->maker_command);
	of_file(&what, d->inode);
	return what;
}

static bool add_name(struct pager *p, const struct dentry *d)
{
	struct surveyed what = survey_of_name(p->t, d);

	return add(p, &what, d);
}

struct surveyed survey_of_range(const struct table *t, const struct range *r,
				const struct inode *inode, uint64_t ticket)
{
	struct surveyed what = {
		.token = ticket ? 0 : r->token,
		.ticket = ticket,
		.session = r->client,
		.start = r->start,
		.end = r->end,
		.age_ns = moment_age_since(r->since_ns, t->now_ns),
		.left_ns = MOMENT_NEVER,
		.pid = r->pid,
		.uid = r->uid,
		.kind = r->kind == LOCK_FLOCK ? HOLDER_FLOCK : HOLDER_RANGE,
		.mode = r->mode,
	};

	command_copy(what.command, r->command);
	of_file(&what, inode);
	return what;
}

const struct dentry *survey_name(const struct inode *inode)
{
	return inode->dentries ? inode->dentries : inode->last_name;
}

static bool add_range(struct pager *p, const struct range *r, const struct inode *inode,
		      uint64_t ticket)
{
	struct surveyed what = survey_of_range(p->t, r, inode, ticket);

	return add(p, &what, survey_name(inode));
}

/* False: the page is full, and the cursor stands within the list. */
static bool add_granted(struct pager *p, const struct lockset *set, enum lock_kind kind,
			uint64_t after)
{
	const struct range *r;

	DL_FOREACH (set->granted[kind], r) {
		if (r->serial <= after)
			continue;
		if (!add_range(p, r, inode_find(p->t, r->ino), 0))
			return false;
		p->out->next.range = r->serial | (kind == LOCK_RANGE ? IN_RANGES : 0);
	}
	return true;
}

static bool add_queue(struct pager *p, const struct lockset *set, uint64_t after)
{
	const struct waiter *w;

	DL_FOREACH (set->queue, w) {
		if (w->ticket <= after)
			continue;
		if (!add_range(p, &w->want, w->handle->inode, w->ticket))
			return false;
		p->out->next.ticket = w->ticket;
	}
	return true;
}

/* All of it that is behind the cursor. False: the page is full. */
static bool add_locks(struct pager *p, const struct lockset *set)
{
	struct table_cursor from = p->out->next;

	if (!from.ticket && !(from.range & IN_RANGES) &&
	    !add_granted(p, set, LOCK_FLOCK, from.range))
		return false;
	if (!from.ticket &&
	    !add_granted(p, set, LOCK_RANGE, from.range & IN_RANGES ? from.range & ~IN_RANGES : 0))
		return false;
	return add_queue(p, set, from.ticket);
}

/* What is at the next place, from what the cursor says on. False: the page is full. */
static bool add_entry(struct pager *p, const struct roster_entry *e)
{
	if (e->sort == ROSTER_NAME ? !add_name(p, taken_name(e)) : !add_locks(p, taken_locks(e)))
		return false;
	p->out->next = (struct table_cursor){.place = e->cookie};
	return true;
}

/* A list that the page before broke off is begun again at its own place. */
static bool is_within(const struct table_cursor *c)
{
	return c->range || c->ticket;
}

static void survey_all(struct pager *p)
{
	struct table_survey *out = p->out;
	size_t looks = TABLE_SURVEY_LOOKS;

	while (looks) {
		uint64_t place = out->next.place - (is_within(&out->next) ? 1 : 0);
		const struct roster_entry *e = roster_next(&p->t->taken, &place, &looks);

		if (!e) {
			out->end = looks > 0;
			out->next = (struct table_cursor){.place = place};
			return;
		}
		if (e->cookie != out->next.place && is_within(&out->next))
			out->next = (struct table_cursor){.place = out->next.place};
		if (!add_entry(p, e)) {
			if (is_within(&out->next))
				out->next.place = e->cookie;
			return;
		}
	}
}

/* The names of one file, of which the cursor's place counts what has been listed. */
static bool add_names(struct pager *p, const struct inode *inode)
{
	uint64_t listed = p->out->next.place, at = 0;
	const struct dentry *d;

	DL_FOREACH2 (inode->dentries, d, inode_next) {
		if (!d->holder || at++ < listed)
			continue;
		if (!add_name(p, d))
			return false;
		p->out->next.place = at;
	}
	return true;
}

static void survey_one(struct pager *p, const struct inode *inode)
{
	struct table_survey *out = p->out;
	bool within = is_within(&out->next);

	if (!within && !add_names(p, inode))
		return;
	out->end = true;
	if (!inode->locks || (within && inode->locks->taken.cookie != out->next.place))
		return;
	out->end = add_locks(p, inode->locks);
	if (is_within(&out->next))
		out->next.place = inode->locks->taken.cookie;
}

enum status table_survey(struct table *t, uint64_t ino, struct table_cursor from,
			 struct table_survey *out)
{
	struct inode *inode = ino ? inode_find(t, ino) : NULL;
	struct pager p = {t, out};

	assert(!t->restoring);
	if (ino && !inode)
		return STATUS_STALE;
	out->next = from;
	out->end = false;
	out->count = out->names_len = 0;
	if (!ino) {
		survey_all(&p);
		return STATUS_OK;
	}
	lockset_join_kin(t, inode);
	survey_one(&p, inode);
	return STATUS_OK;
}
