/* SPDX-License-Identifier: MIT */
#include "fs/makers.h"

#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "fs/process.h"

struct maker {
	UT_hash_handle hh; /* makers.all, by pid */
	pid_t pid;
	uint64_t start;
};

struct makers {
	struct maker *all;
	size_t sweep_at; /* so many are too many, unless they live */
};

struct makers *makers_new(void)
{
	struct makers *m = calloc(1, sizeof(*m));

	if (m)
		m->sweep_at = MAKERS_MIN;
	return m;
}

void makers_free(struct makers *m)
{
	struct maker *each, *next;

	if (!m)
		return;
	HASH_ITER (hh, m->all, each, next) {
		HASH_DEL(m->all, each);
		free(each);
	}
	free(m);
}

size_t makers_count(const struct makers *m)
{
	return HASH_COUNT(m->all);
}

static struct maker *find(const struct makers *m, pid_t pid)
{
	struct maker *found;

	HASH_FIND(hh, m->all, &pid, sizeof(pid), found);
	return found;
}

static void sweep(struct makers *m)
{
	struct maker *each, *next;

	HASH_ITER (hh, m->all, each, next) {
		if (process_lives(each->pid, each->start))
			continue;
		HASH_DEL(m->all, each);
		free(each);
	}
	m->sweep_at = HASH_COUNT(m->all) * 2;
	if (m->sweep_at < MAKERS_MIN)
		m->sweep_at = MAKERS_MIN;
}

static struct maker *add(struct makers *m, pid_t pid)
{
	struct maker *maker = calloc(1, sizeof(*maker));

	if (!maker)
		return NULL;
	maker->pid = pid;
	HASH_ADD(hh, m->all, pid, sizeof(maker->pid), maker);
	if (maker->hh.tbl)
		return maker;
	free(maker);
	return NULL;
}

bool makers_note(struct makers *m, pid_t pid)
{
	struct maker *maker = find(m, pid);
	struct process p;

	if (!process_read(pid, &p))
		return false;
	if (!maker && HASH_COUNT(m->all) >= m->sweep_at)
		sweep(m);
	if (!maker)
		maker = add(m, pid);
	if (maker)
		maker->start = p.start;
	return maker != NULL;
}

bool makers_find(const struct makers *m, pid_t pid, uint64_t *start)
{
	const struct maker *maker = find(m, pid);

	if (maker)
		*start = maker->start;
	return maker != NULL;
}
