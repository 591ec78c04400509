/* SPDX-License-Identifier: MIT */
#include "fs/survey.h"

#include <assert.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

/* How many wait in one queue, by enum lock_kind. */
struct queue {
	UT_hash_handle hh; /* survey.queues, by number */
	uint64_t number;
	size_t waiting[2];
};

struct waiter {
	const struct surveyed *what;
	size_t place;
};

struct survey {
	uint64_t ino;
	uint64_t epoch; /* of the pages so far; 0: none yet */
	bool done;
	struct message next;   /* the request */
	struct message *pages; /* what there is points into them */
	const struct surveyed **locks;
	struct waiter *waiters;
	size_t lock_count, waiter_count;
	struct queue *queues;
	size_t widths[2][SURVEY_COLUMNS_MAX]; /* of locks, of waiters */
	uint64_t bytes;
};

/* Of all of them. There is one thread. */
static uint64_t surveys_bytes;

struct survey *survey_new(uint64_t ino)
{
	struct survey *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->ino = ino;
	s->next = (struct message){.kind = MESSAGE_SURVEY, .ino = ino};
	return s;
}

static void forget(struct survey *s)
{
	struct queue *q, *next_queue;
	struct message *page, *next;

	HASH_ITER (hh, s->queues, q, next_queue) {
		HASH_DEL(s->queues, q);
		free(q);
	}
	DL_FOREACH_SAFE (s->pages, page, next)
		message_free(page);
	free(s->locks);
	free(s->waiters);
	surveys_bytes -= s->bytes;
	*s = (struct survey){.ino = s->ino};
}

void survey_free(struct survey *s)
{
	if (s)
		forget(s);
	free(s);
}

/* ---- Gathering ---- */

void survey_request(const struct survey *s, struct message *m)
{
	assert(!s->done);
	*m = s->next;
}

bool survey_is_done(const struct survey *s)
{
	return s->done;
}

static struct queue *queue_find(const struct survey *s, uint64_t number)
{
	struct queue *q;

	HASH_FIND(hh, s->queues, &number, sizeof(number), q);
	return q;
}

/* NULL: no memory. */
static struct queue *queue_make(struct survey *s, uint64_t number)
{
	struct queue *q = queue_find(s, number);

	if (q)
		return q;
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->number = number;
	HASH_ADD(hh, s->queues, number, sizeof(q->number), q);
	if (q->hh.tbl)
		return q;
	free(q);
	return NULL;
}

/* Room for one page more of each; the arrays grow by doubling. */
static bool reserve(void **array, size_t count, size_t size)
{
	size_t room = SURVEY_MAX;
	void *more;

	while (room < count + SURVEY_MAX)
		room *= 2;
	more = realloc(*array, room * size);
	if (!more)
		return false;
	*array = more;
	return true;
}

static bool add_waiter(struct survey *s, const struct surveyed *what)
{
	struct queue *q = queue_make(s, what->queue);
	size_t place;

	if (!q)
		return false;
	place = ++q->waiting[what->kind == HOLDER_RANGE];
	s->waiters[s->waiter_count++] = (struct waiter){what, place};
	survey_table_widen(s->widths[1], what, place);
	return true;
}

static bool add_all(struct survey *s, const struct message *page)
{
	for (size_t i = 0; i < page->surveyed_count; i++) {
		const struct surveyed *what = &page->surveyed[i];

		if (what->ticket && !add_waiter(s, what))
			return false;
		if (what->ticket)
			continue;
		s->locks[s->lock_count++] = what;
		survey_table_widen(s->widths[0], what, 0);
	}
	return true;
}

bool survey_add(struct survey *s, const struct message *page)
{
	uint64_t bytes = message_wire_bound(page);
	struct message *copy;

	if (s->epoch && page->epoch != s->epoch) {
		forget(s);
		s->next = (struct message){.kind = MESSAGE_SURVEY, .ino = s->ino};
		return true;
	}
	if (bytes > SURVEYS_MAX_BYTES - surveys_bytes ||
	    !reserve((void **)&s->locks, s->lock_count, sizeof(*s->locks)) ||
	    !reserve((void **)&s->waiters, s->waiter_count, sizeof(*s->waiters)))
		return false;
	copy = message_copy(page);
	if (!copy)
		return false;
	DL_APPEND(s->pages, copy);
	s->bytes += bytes;
	surveys_bytes += bytes;
	s->epoch = page->epoch;
	s->done = (page->flags & REPLY_END) != 0;
	s->next.start = page->start;
	s->next.target = page->target;
	s->next.ticket = page->ticket;
	return add_all(s, copy);
}

/* ---- Looking ---- */

size_t survey_locks(const struct survey *s)
{
	return s->lock_count;
}

const struct surveyed *survey_lock(const struct survey *s, size_t i)
{
	assert(i < s->lock_count);
	return s->locks[i];
}

size_t survey_waiters(const struct survey *s)
{
	return s->waiter_count;
}

const struct surveyed *survey_waiter(const struct survey *s, size_t i, size_t *place)
{
	assert(i < s->waiter_count);
	*place = s->waiters[i].place;
	return s->waiters[i].what;
}

size_t survey_waiting_for(const struct survey *s, const struct surveyed *lock)
{
	const struct queue *q = lock->queue ? queue_find(s, lock->queue) : NULL;

	if (!q)
		return 0;
	if (lock->kind == HOLDER_NAME)
		return q->waiting[LOCK_FLOCK] + q->waiting[LOCK_RANGE];
	return q->waiting[lock->kind == HOLDER_RANGE ? LOCK_RANGE : LOCK_FLOCK];
}

const size_t *survey_widths(const struct survey *s, bool waiters)
{
	return s->widths[waiters];
}

/*
 * The kernel asks for an OFD lock as for one of fcntl(2)'s older sort, and does not tell them apart:
 * both are told as "fcntl".
 */
const char *survey_kind(const struct surveyed *what)
{
	static const char *const kinds[] = {
		[HOLDER_FLOCK] = "flock",
		[HOLDER_RANGE] = "fcntl",
		[HOLDER_NAME] = "held",
	};

	return kinds[what->kind];
}

const char *survey_mode(const struct surveyed *what)
{
	return what->mode == LOCK_SHARED ? "shared" : "exclusive";
}
