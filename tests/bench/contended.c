/* SPDX-License-Identifier: MIT */
/*
 * A name that two processes want all the time, each through its own mount: each takes the lock,
 * lets it go, and asks again at once.
 *
 * A hand-over is an acquisition whose forerunner was the other side's; its time is from the call
 * that let go to the return of the call that then has the lock. Locks that go back to the side that
 * had them, as those of a local file system do when nobody slows that side down, count for nothing:
 * a row may be without any hand-over.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>
#include "crew.h"
#include "rows.h"

struct arena {
	_Atomic uint64_t end_ns; /* set by whoever begins first */
	_Atomic uint64_t released_ns;
	_Atomic int held;
	int last; /* the side that had the lock, from 1; only its holder looks */
	uint64_t span_ns;
	struct latency lat[2];
};

struct side {
	struct arena *arena;
	int id;
	char path[4096];
};

/* With the lock. */
static int note_hand_over(struct side *s, uint64_t got)
{
	struct arena *a = s->arena;

	if (atomic_exchange(&a->held, 1)) {
		fprintf(stderr, "dlock-bench: flock %s: granted to both sides at once\n", s->path);
		return -1;
	}
	if (a->last && a->last != s->id + 1)
		latency_add(&a->lat[s->id], got - atomic_load(&a->released_ns));
	a->last = s->id + 1;
	return 0;
}

static int side_work(struct crew *crew, void *arg)
{
	struct side *s = arg;
	struct arena *a = s->arena;
	int fd = open(s->path, O_RDWR);
	uint64_t none = 0, got;

	if (fd < 0)
		return row_fail("open", s->path);
	if (crew_ready(crew))
		return -1;
	atomic_compare_exchange_strong(&a->end_ns, &none, now_ns() + a->span_ns);
	do {
		if (flock(fd, LOCK_EX))
			return row_fail("flock", s->path);
		got = now_ns();
		if (note_hand_over(s, got))
			return -1;
		atomic_store(&a->held, 0);
		atomic_store(&a->released_ns, now_ns());
		if (flock(fd, LOCK_UN))
			return row_fail("unlock", s->path);
	} while (got < atomic_load(&a->end_ns));
	return 0;
}

int64_t contended_run(const struct row *row, const struct target *t, uint64_t span_ns,
		      struct latency *lat)
{
	static struct side sides[2];
	struct arena *a = crew_memory(sizeof(*a));
	struct crew crew;
	bool bad;

	if (!a)
		return -1;
	a->span_ns = span_ns;
	bad = crew_init(&crew);
	for (int id = 0; id < 2; id++) {
		sides[id].arena = a;
		sides[id].id = id;
		row_path(sides[id].path, sizeof(sides[id].path), t->dir[id], 0);
	}
	bad = bad || row_make_file(sides[0].path);
	for (int id = 0; id < 2 && !bad; id++)
		bad = crew_start(&crew, side_work, &sides[id], span_ns);
	bad = bad || crew_go(&crew);
	bad |= crew_end(&crew, t->name) != 0;
	unlink(sides[0].path);
	for (int id = 0; id < 2; id++)
		latency_merge(lat, &a->lat[id]);
	crew_memory_free(a, sizeof(*a));
	return bad ? -1 : (int64_t)span_ns;
}
