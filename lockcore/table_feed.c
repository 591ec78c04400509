/* SPDX-License-Identifier: MIT */
/*
 * What becomes of acquisitions and of waits for them, for whoever watches (message.h, enum
 * change_kind). Each is noted as it happens, with the name that the file has then.
 */
#include "lockcore/table_internal.h"

struct feed_event {
	struct feed_event *prev, *next; /* table.changes */
	struct table_change change;
	char name[];
};

void table_watch_changes(struct table *t, bool on)
{
	t->watched = on;
	if (!on)
		feed_free(t);
}

void table_breaks(struct table *t, bool on)
{
	t->ends_by = on ? CHANGE_BROKEN : CHANGE_RELEASED;
}

/* What comes after a gap is no use before the gap is told. */
static void note(struct table *t, enum change_kind change, const struct surveyed *what,
		 const struct dentry *name)
{
	char path[SURVEY_NAME_MAX + 1], *at = survey_path(name, path, path + sizeof(path));
	size_t len = (size_t)(path + sizeof(path) - at);
	struct feed_event *e = NULL;

	if (!t->missed && t->change_count < TABLE_CHANGES_MAX)
		e = malloc(sizeof(*e) + len);
	if (!e) {
		t->missed++;
		return;
	}
	e->change = (struct table_change){.change = change, .what = *what};
	e->change.what.name = memcpy(e->name, at, len);
	DL_APPEND(t->changes, e);
	t->change_count++;
}

static void note_range(struct table *t, enum change_kind change, const struct range *r,
		       const struct inode *inode, uint64_t ticket)
{
	struct surveyed what = survey_of_range(t, r, inode, ticket);

	note(t, change, &what, survey_name(inode));
}

/* ---- What happens ---- */

void feed_range(struct table *t, enum change_kind change, const struct range *r)
{
	if (t->watched)
		note_range(t, change, r, inode_find(t, r->ino), 0);
}

void feed_release(struct table *t, const struct lockset *set, const struct range *want)
{
	const struct range *held;

	if (!t->watched || want->mode != LOCK_NONE)
		return;
	DL_FOREACH (set->granted[want->kind], held) {
		struct range part = *held;

		if (!range_same_owner(held, want) || held->ino != want->ino ||
		    !range_overlap(held, want))
			continue;
		part.start = held->start > want->start ? held->start : want->start;
		part.end = held->end < want->end ? held->end : want->end;
		feed_range(t, t->ends_by, &part);
	}
}

void feed_release_handle(struct table *t, const struct lockset *set, const struct handle *h)
{
	const struct range *held;

	if (!t->watched)
		return;
	for (int kind = LOCK_FLOCK; kind <= LOCK_RANGE; kind++)
		DL_FOREACH (set->granted[kind], held)
			if (held->client == h->key.client && held->handle == h->key.id)
				feed_range(t, t->ends_by, held);
}

void feed_waiter(struct table *t, enum change_kind change, const struct waiter *w)
{
	if (t->watched)
		note_range(t, change, &w->want, w->handle->inode, w->ticket);
}

static void note_name(struct table *t, enum change_kind change, const struct dentry *d)
{
	struct surveyed what = survey_of_name(t, d);

	note(t, change, &what, d);
}

void feed_name_made(struct table *t, const struct dentry *d)
{
	if (t->watched && d->holder)
		note_name(t, CHANGE_GRANTED, d);
}

void feed_name_ends(struct table *t, const struct dentry *d)
{
	if (t->watched && d->holder)
		note_name(t, t->ends_by, d);
}

/* ---- Draining ---- */

static void drop_lent(struct table *t)
{
	free(t->lent);
	t->lent = NULL;
}

bool table_next_change(struct table *t, struct table_change *out)
{
	drop_lent(t);
	t->lent = t->changes;
	if (t->lent) {
		DL_DELETE(t->changes, t->lent);
		t->change_count--;
		*out = t->lent->change;
		return true;
	}
	if (!t->missed)
		return false;
	*out = (struct table_change){.change = CHANGE_MISSED, .missed = t->missed};
	t->missed = 0;
	return true;
}

void feed_free(struct table *t)
{
	struct feed_event *e, *next;

	drop_lent(t);
	DL_FOREACH_SAFE (t->changes, e, next)
		free(e);
	t->changes = NULL;
	t->change_count = 0;
	t->missed = 0;
}
