/* SPDX-License-Identifier: MIT */
#include "fs/told.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct seen {
	uint64_t look; /* the last; 0: nothing is remembered here */
	uint64_t parent;
	uint64_t ino; /* 0: not answered, or no such name */
	bool dir;
	bool used;  /* by the request under way */
	bool again; /* CHANGED came of it: the kernel tries once more */
	bool gone;  /* it was, but there was no directory; the kernel may look at once again */
	struct attr shown; /* of a stand-in */
	char name[NAME_MAX_BYTES + 1];
};

struct thread {
	pid_t tid;
	struct seen names[TOLD_NAMES];
};

struct told {
	uint64_t looks;
	uint64_t stand_ins;
	struct thread threads[TOLD_THREADS];
};

struct told *told_new(void)
{
	return calloc(1, sizeof(struct told));
}

void told_free(struct told *t)
{
	free(t);
}

static struct thread *slot_of(struct told *t, pid_t tid)
{
	return &t->threads[(unsigned)tid % TOLD_THREADS];
}

static struct seen *find(struct thread *thread, uint64_t parent, const char *name)
{
	for (size_t i = 0; i < TOLD_NAMES; i++) {
		struct seen *seen = &thread->names[i];

		if (seen->look && seen->parent == parent && !strcmp(seen->name, name))
			return seen;
	}
	return NULL;
}

/* The older one, but none that is to be tried again; NULL: there is no other. */
static struct seen *oldest(struct thread *thread)
{
	struct seen *oldest = NULL;

	for (size_t i = 0; i < TOLD_NAMES; i++) {
		struct seen *seen = &thread->names[i];

		if (!seen->again && (!oldest || seen->look < oldest->look))
			oldest = seen;
	}
	return oldest;
}

/* What the thread asks now is not about them. */
static void forget_gone(struct thread *thread, const struct seen *but)
{
	for (size_t i = 0; i < TOLD_NAMES; i++)
		if (&thread->names[i] != but)
			thread->names[i].gone = false;
}

uint64_t told_look(struct told *t, pid_t tid, uint64_t parent, const char *name)
{
	struct thread *thread = slot_of(t, tid);
	struct seen *seen;

	assert(strlen(name) <= NAME_MAX_BYTES);
	if (thread->tid != tid)
		*thread = (struct thread){.tid = tid};
	seen = find(thread, parent, name);
	forget_gone(thread, seen);
	if (!seen) {
		seen = oldest(thread);
		if (!seen)
			return ++t->looks;
		seen->parent = parent;
		strcpy(seen->name, name);
	}
	seen->again |= seen->gone;
	seen->ino = 0;
	seen->dir = seen->used = seen->gone = false;
	seen->look = ++t->looks;
	return seen->look;
}

uint64_t told_answer(struct told *t, pid_t tid, uint64_t look, const struct attr *attr)
{
	struct thread *thread = slot_of(t, tid);
	struct seen *seen = NULL;

	for (size_t i = 0; i < TOLD_NAMES; i++)
		if (thread->tid == tid && thread->names[i].look == look)
			seen = &thread->names[i];
	if (!seen)
		return attr ? attr->ino : 0;
	seen->ino = attr ? attr->ino : 0;
	seen->dir = attr && S_ISDIR(attr->mode);
	seen->gone = seen->again && !seen->dir;
	seen->again = seen->again && seen->dir;
	if (!seen->again)
		return seen->ino;
	seen->shown = *attr;
	seen->shown.ino = TOLD_STAND_INS + ++t->stand_ins;
	return seen->shown.ino;
}

bool told_attr(const struct told *t, pid_t tid, uint64_t ino, struct attr *attr)
{
	const struct thread *thread = &t->threads[(unsigned)tid % TOLD_THREADS];
	const struct seen *seen = NULL;
	bool looked_on = false;

	if (ino <= TOLD_STAND_INS || thread->tid != tid)
		return false;
	for (size_t i = 0; i < TOLD_NAMES; i++)
		if (thread->names[i].again && thread->names[i].shown.ino == ino)
			seen = &thread->names[i];
	for (size_t i = 0; seen && i < TOLD_NAMES; i++)
		looked_on |= thread->names[i].look > seen->look;
	if (looked_on)
		*attr = seen->shown;
	return looked_on;
}

/* Returns whether the kernel has the directory itself under the name. */
static bool take(struct thread *thread, uint64_t parent, const char *name, uint64_t *known)
{
	struct seen *seen = find(thread, parent, name);

	if (!seen)
		return false;
	seen->used = true;
	*known = seen->ino;
	return seen->dir && !seen->again;
}

void told_fill(struct told *t, pid_t tid, struct message *m)
{
	struct thread *thread = slot_of(t, tid);
	bool exactly = false;

	assert(m->kind == MESSAGE_UNLINK || m->kind == MESSAGE_RENAME);
	if (thread->tid == tid) {
		exactly = take(thread, m->parent, m->name, &m->known);
		if (m->kind == MESSAGE_RENAME)
			exactly |= take(thread, m->target, m->name2, &m->known2);
	}
	if (!exactly)
		m->flags |= KNOWN_ANY;
}

void told_asks(struct told *t, pid_t tid, const struct message *m)
{
	struct thread *thread = slot_of(t, tid);

	if (m->kind == MESSAGE_LOOKUP)
		return;
	if (thread->tid == tid)
		forget_gone(thread, NULL);
	/* On its way to the names it looks at the directories above them. */
	if (m->kind == MESSAGE_GETATTR && m->ino < TOLD_STAND_INS)
		return;
	for (size_t i = 0; i < TOLD_NAMES; i++)
		if (thread->tid == tid)
			thread->names[i].again = false;
}

void told_changed(struct told *t, pid_t tid)
{
	struct thread *thread = slot_of(t, tid);

	for (size_t i = 0; i < TOLD_NAMES; i++)
		if (thread->tid == tid)
			thread->names[i].again = thread->names[i].used;
}
