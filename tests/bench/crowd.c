/* SPDX-License-Identifier: MIT */
/*
 * Many processes at once, each with a lock of its own, through one mount: what the daemons do for
 * one that could be done for all is seen here. The row's pairs are those of all together.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>
#include "crew.h"
#include "rows.h"

#define CROWD 16

_Static_assert(CROWD <= CREW_MAX, "a crew must hold the crowd");

struct arena {
	const struct row *row;
	uint64_t span_ns;
	uint64_t from_ns[CROWD], to_ns[CROWD];
	struct latency lat[CROWD];
};

struct member {
	struct arena *arena;
	int id;
	char path[4096];
};

static int member_work(struct crew *crew, void *arg)
{
	struct member *m = arg;
	struct arena *a = m->arena;
	int fd = open(m->path, O_RDWR | O_CREAT, 0666);
	uint64_t before, now;

	if (fd < 0)
		return row_fail("open", m->path);
	if (crew_ready(crew))
		return -1;
	now = a->from_ns[m->id] = now_ns();
	do {
		before = now;
		if (a->row->step(m->path, fd))
			return -1;
		now = now_ns();
		latency_add(&a->lat[m->id], now - before);
	} while (now - a->from_ns[m->id] < a->span_ns);
	a->to_ns[m->id] = now;
	return 0;
}

/* From the first one's first call to the last one's last. */
static int64_t sum_up(const struct arena *a, struct latency *lat)
{
	uint64_t from = a->from_ns[0], to = a->to_ns[0];

	for (int i = 0; i < CROWD; i++) {
		from = a->from_ns[i] < from ? a->from_ns[i] : from;
		to = a->to_ns[i] > to ? a->to_ns[i] : to;
		latency_merge(lat, &a->lat[i]);
	}
	return (int64_t)(to - from);
}

int64_t crowd_run(const struct row *row, const struct target *t, uint64_t span_ns,
		  struct latency *lat)
{
	static struct member members[CROWD];
	struct arena *a = crew_memory(sizeof(*a));
	struct crew crew;
	bool bad;

	if (!a)
		return -1;
	a->row = row;
	a->span_ns = span_ns;
	bad = crew_init(&crew);
	for (int i = 0; i < CROWD && !bad; i++) {
		members[i].arena = a;
		members[i].id = i;
		row_path(members[i].path, sizeof(members[i].path), t->dir[0], i);
		bad = crew_start(&crew, member_work, &members[i], span_ns);
	}
	bad = bad || crew_go(&crew);
	bad |= crew_end(&crew, t->name) != 0;
	for (int i = 0; i < CROWD; i++) {
		if (*members[i].path)
			unlink(members[i].path);
	}
	int64_t took = bad ? -1 : sum_up(a, lat);

	crew_memory_free(a, sizeof(*a));
	return took;
}
