/* SPDX-License-Identifier: MIT */
/*
 * The hand-over: how long after one process lets go of a lock does the other one, which already
 * waits for it through another mount, have it?
 *
 *	side 0   holds .......... lets go      asks, waits ........... has it
 *	                             |----------------->|                 ^
 *	side 1   asks, waits ........ measured ...... has it, holds ... lets go
 *
 * Three rules make it the same measurement on every file system. The holder lets go only when the
 * other side has been waiting for a while, so that there is always someone to hand over to. Who has
 * let go asks again only when the other side says that it has the lock, because the queue of a
 * local file system is not fair and would give the lock back to whoever asks first. And nobody
 * polls or spins in between, because on a small machine that takes the CPU from the daemons.
 *
 * The time for which the lock is held is no part of any figure.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <unistd.h>
#include "crew.h"
#include "rows.h"

/* How long a lock is held: long enough for the other side's request to reach a master's queue. */
#define HOLD_NS 500000

/* In memory that the two sides share. */
struct arena {
	uint64_t span_ns;
	uint64_t end_ns;
	_Atomic int done;
	_Atomic int held;
	_Atomic uint64_t asked_ns[2];
	_Atomic uint64_t released_ns;
	uint64_t spent_ns[2]; /* sum of what is in lat */
	struct latency lat[2];
};

struct side {
	struct arena *arena;
	int id;
	int turn_fd[2]; /* eventfds; to write to the other's means: I have the lock, you may ask */
	int fd;
	char path[4096];
};

static void pass_turn(struct side *s)
{
	if (eventfd_write(s->turn_fd[!s->id], 1))
		row_fail("eventfd_write for", s->path);
}

static void await_turn(struct side *s)
{
	eventfd_t value;

	if (eventfd_read(s->turn_fd[s->id], &value))
		row_fail("eventfd_read for", s->path);
}

static int side_take(struct side *s)
{
	struct arena *a = s->arena;
	uint64_t released, got;

	atomic_store(&a->asked_ns[s->id], now_ns());
	if (flock(s->fd, LOCK_EX))
		return row_fail("flock", s->path);
	got = now_ns();
	if (atomic_exchange(&a->held, 1)) {
		fprintf(stderr, "dlock-bench: flock %s: granted to both sides at once\n", s->path);
		return -1;
	}
	released = atomic_load(&a->released_ns);
	if (released) {
		latency_add(&a->lat[s->id], got - released);
		a->spent_ns[s->id] += got - released;
	}
	return 0;
}

/* Holds the lock until the other side, which asks after pass_turn(), has waited for HOLD_NS. */
static void side_hold(struct side *s)
{
	const struct timespec pause = {.tv_nsec = HOLD_NS};
	const uint64_t since = now_ns();
	uint64_t asked;

	pass_turn(s);
	do {
		nanosleep(&pause, NULL);
		asked = atomic_load(&s->arena->asked_ns[!s->id]);
	} while ((asked < since || now_ns() - asked < HOLD_NS) && !atomic_load(&s->arena->done));
}

static int side_let_go(struct side *s)
{
	atomic_store(&s->arena->held, 0);
	atomic_store(&s->arena->released_ns, now_ns());
	return flock(s->fd, LOCK_UN) ? row_fail("unlock", s->path) : 0;
}

/* Side 0 begins. */
static int side_play(struct side *s)
{
	struct arena *a = s->arena;

	s->fd = open(s->path, O_RDWR);
	if (s->fd < 0)
		return row_fail("open", s->path);
	if (s->id)
		await_turn(s);
	while (!atomic_load(&a->done)) {
		if (side_take(s))
			return -1;
		if (now_ns() >= a->end_ns)
			return side_let_go(s);
		side_hold(s);
		if (side_let_go(s))
			return -1;
		await_turn(s);
	}
	return 0;
}

static int side_work(struct crew *crew, void *arg)
{
	struct side *s = arg;
	int err = crew_ready(crew) || side_play(s);

	/* Whoever ends first, for whatever reason, lets the other end too. */
	atomic_store(&s->arena->done, 1);
	pass_turn(s);
	return err;
}

static bool play(struct arena *a, const struct target *t, const int turn_fd[2])
{
	static struct side sides[2];
	struct crew crew;
	bool bad = crew_init(&crew);

	for (int id = 0; id < 2; id++) {
		sides[id] = (struct side){a, id, {turn_fd[0], turn_fd[1]}, -1, ""};
		row_path(sides[id].path, sizeof(sides[id].path), t->dir[id], 0);
	}
	bad = bad || row_make_file(sides[0].path);
	for (int id = 0; id < 2 && !bad; id++)
		bad = crew_start(&crew, side_work, &sides[id], a->span_ns);
	a->end_ns = now_ns() + a->span_ns;
	bad = bad || crew_go(&crew);
	bad |= crew_end(&crew, t->name) != 0;
	unlink(sides[0].path);
	return bad;
}

int64_t handover_run(const struct row *row, const struct target *t, uint64_t span_ns,
		     struct latency *lat)
{
	int turn_fd[2] = {eventfd(0, 0), eventfd(0, 0)};
	struct arena *a = crew_memory(sizeof(*a));
	int64_t spent = -1;

	if (!a || turn_fd[0] < 0 || turn_fd[1] < 0) {
		row_fail("no memory or descriptors for", row->title);
		goto out;
	}
	a->span_ns = span_ns;
	if (play(a, t, turn_fd))
		goto out;
	for (int id = 0; id < 2; id++)
		latency_merge(lat, &a->lat[id]);
	spent = (int64_t)(a->spent_ns[0] + a->spent_ns[1]);
out:
	crew_memory_free(a, sizeof(*a));
	close(turn_fd[0]);
	close(turn_fd[1]);
	return spent;
}
