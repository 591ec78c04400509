/* SPDX-License-Identifier: MIT */
#include "fs/vigil.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "fs/verdicts.h"
#include "transport/loop.h"

#define EVENTS_MAX 64 /* taken from epoll at a time */

/*
 *	         want                     found                     it ends, wanted
 *	(none) ─────────> to be looked for ────> watched ──────────────────────────> to be looked for
 *	                    │                       │ it ends, not wanted
 *	                    └─ nobody: reported     └─> (none)
 */
struct watched {
	UT_hash_handle hh; /* vigil.watched, by sid */
	pid_t sid;
	bool wanted;
	int pidfd; /* -1: to be looked for, at look_at_ns */
	int64_t look_at_ns;
	int64_t since_ns;	     /* of the earliest that depends on it */
	int64_t before_ns;	     /* of the report */
	struct watched *prev, *next; /* vigil.reports */
};

struct vigil {
	pthread_t thread;
	int epoll_fd; /* the pidfds, and wake_fd */
	int wake_fd;
	int event_fd; /* the loop's */

	pthread_mutex_t mutex; /* of all below; not held while /proc is read */
	struct watched *watched;
	struct watched *reports;
	size_t descriptors;
	bool ending;
};

static void ring(int event_fd)
{
	const uint64_t one = 1;

	/* It fails only if it would overflow: it is readable then, in any case. */
	if (write(event_fd, &one, sizeof(one)) < 0)
		return;
}

static void hush(int event_fd)
{
	uint64_t count;

	if (read(event_fd, &count, sizeof(count)) < 0)
		return; /* nothing has rung */
}

static struct watched *find(struct vigil *v, pid_t sid)
{
	struct watched *w;

	HASH_FIND(hh, v->watched, &sid, sizeof(sid), w);
	return w;
}

static void close_pidfd(struct vigil *v, struct watched *w)
{
	if (w->pidfd < 0)
		return;
	close(w->pidfd); /* and out of the epoll */
	w->pidfd = -1;
	v->descriptors--;
}

static void forget(struct vigil *v, struct watched *w)
{
	close_pidfd(v, w);
	HASH_DEL(v->watched, w);
}

/* ---- For the loop ---- */

bool vigil_want(struct vigil *v, pid_t sid, int64_t since_ns)
{
	struct watched *w;
	bool looks = false;

	pthread_mutex_lock(&v->mutex);
	w = find(v, sid);
	if (!w && (w = calloc(1, sizeof(*w)))) {
		w->sid = sid;
		w->pidfd = -1;
		HASH_ADD(hh, v->watched, sid, sizeof(w->sid), w);
		if (!w->hh.tbl) {
			free(w);
			w = NULL;
		}
		looks = w != NULL;
	}
	if (w && (!w->wanted || since_ns < w->since_ns))
		w->since_ns = since_ns;
	if (w)
		w->wanted = true;
	pthread_mutex_unlock(&v->mutex);
	if (looks)
		ring(v->wake_fd);
	return w != NULL;
}

/* A process is at hand still: whoever takes a lock again and again is not to open it each time. */
void vigil_unwant(struct vigil *v, pid_t sid)
{
	struct watched *w;

	pthread_mutex_lock(&v->mutex);
	w = find(v, sid);
	if (w)
		w->wanted = false;
	if (w && w->pidfd < 0) {
		forget(v, w);
		free(w);
	}
	pthread_mutex_unlock(&v->mutex);
}

int vigil_fd(const struct vigil *v)
{
	return v->event_fd;
}

bool vigil_next(struct vigil *v, pid_t *sid, int64_t *before_ns)
{
	struct watched *w;

	hush(v->event_fd);
	pthread_mutex_lock(&v->mutex);
	w = v->reports;
	if (w)
		DL_DELETE(v->reports, w);
	pthread_mutex_unlock(&v->mutex);
	if (!w)
		return false;
	*sid = w->sid;
	*before_ns = w->before_ns;
	free(w);
	return true;
}

size_t vigil_count(struct vigil *v)
{
	size_t count;

	pthread_mutex_lock(&v->mutex);
	count = HASH_COUNT(v->watched);
	pthread_mutex_unlock(&v->mutex);
	return count;
}

/* ---- A look ---- */

/* The thread's work on those that are to be looked for. */
struct round {
	struct verdict *verdicts;
	struct sid_look *looks; /* room for them */
	size_t count;
};

static bool is_due(const struct watched *w, int64_t now_ns)
{
	return w->pidfd < 0 && w->wanted && w->look_at_ns <= now_ns;
}

/* False: no memory. */
static bool begin_round(struct vigil *v, int64_t now_ns, struct round *r)
{
	const struct watched *w;
	size_t room;

	pthread_mutex_lock(&v->mutex);
	room = HASH_COUNT(v->watched);
	*r = (struct round){.verdicts = calloc(room + 1, sizeof(*r->verdicts)),
			    .looks = calloc(room + 1, sizeof(*r->looks))};
	for (w = v->watched; r->verdicts && r->looks && w; w = w->hh.next)
		if (is_due(w, now_ns))
			r->verdicts[r->count++] = verdict_on(w->sid, w->since_ns);
	pthread_mutex_unlock(&v->mutex);
	return r->verdicts && r->looks;
}

static void report(struct vigil *v, struct watched *w, int64_t before_ns)
{
	forget(v, w);
	w->before_ns = before_ns;
	DL_APPEND(v->reports, w);
}

static bool watch(struct vigil *v, struct watched *w, int pidfd)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = (uint64_t)w->sid}};

	if (pidfd < 0 || v->descriptors >= VIGIL_DESCRIPTORS_MAX ||
	    epoll_ctl(v->epoll_fd, EPOLL_CTL_ADD, pidfd, &event) < 0)
		return false;
	w->pidfd = pidfd;
	v->descriptors++;
	return true;
}

/* Unwanted meanwhile, it is not there any more. */
static void conclude(struct vigil *v, struct verdict *verdict, int64_t now_ns)
{
	struct watched *w = find(v, verdict->sid);

	assert(!w || (w->wanted && w->pidfd < 0));
	if (w && verdict->before_ns)
		report(v, w, verdict->before_ns);
	else if (w && watch(v, w, verdict->pidfd))
		return;
	else if (w)
		w->look_at_ns = verdict->err == ESRCH ? now_ns : now_ns + VIGIL_RETRY_NS;
	if (verdict->pidfd >= 0)
		close(verdict->pidfd);
}

/* Those that nobody wants any more give way to those that somebody does. */
static void make_room(struct vigil *v)
{
	struct watched *w, *next;

	HASH_ITER (hh, v->watched, w, next) {
		if (w->wanted)
			continue;
		forget(v, w);
		free(w);
	}
}

static void end_round(struct vigil *v, struct round *r)
{
	int64_t now_ns = loop_now().boot_ns;
	bool reports, full;

	pthread_mutex_lock(&v->mutex);
	full = v->descriptors + r->count > VIGIL_DESCRIPTORS_MAX;
	for (size_t i = 0; i < r->count; i++)
		full = full || r->verdicts[i].err == EMFILE;
	if (full)
		make_room(v);
	for (size_t i = 0; i < r->count; i++)
		conclude(v, &r->verdicts[i], now_ns);
	reports = v->reports != NULL;
	pthread_mutex_unlock(&v->mutex);
	if (reports)
		ring(v->event_fd);
}

/* Returns when to look again at the earliest. */
static int64_t look(struct vigil *v)
{
	struct round r;
	bool done = begin_round(v, loop_now().boot_ns, &r);

	if (done) {
		verdicts_reach(r.verdicts, r.looks, r.count);
		end_round(v, &r);
	}
	free(r.verdicts);
	free(r.looks);
	return loop_now().boot_ns + (done ? VIGIL_PAUSE_NS : VIGIL_RETRY_NS);
}

/* ---- The thread ---- */

/* The one that was watched has ended. */
static void ended(struct vigil *v, pid_t sid)
{
	struct watched *w = find(v, sid);

	if (!w || w->pidfd < 0)
		return;
	close_pidfd(v, w);
	w->look_at_ns = 0;
	if (w->wanted)
		return;
	forget(v, w);
	free(w);
}

/* When the next look is due, at the earliest then; MOMENT_NEVER: nobody is to be looked for. */
static int64_t next_look(struct vigil *v, int64_t earliest_ns)
{
	int64_t at_ns = MOMENT_NEVER;
	const struct watched *w;

	pthread_mutex_lock(&v->mutex);
	for (w = v->watched; w; w = w->hh.next)
		if (w->pidfd < 0 && w->wanted && w->look_at_ns < at_ns)
			at_ns = w->look_at_ns;
	pthread_mutex_unlock(&v->mutex);
	return at_ns < earliest_ns ? earliest_ns : at_ns;
}

/* Up to the moment, in milliseconds and rounded up. */
static int timeout_to(int64_t at_ns)
{
	int64_t left_ns = at_ns - loop_now().boot_ns;

	if (at_ns == MOMENT_NEVER)
		return -1;
	return left_ns > 0 ? (int)((left_ns + NS_PER_MS - 1) / NS_PER_MS) : 0;
}

/* False: the end. */
static bool wait_for_events(struct vigil *v, int64_t until_ns)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(v->epoll_fd, events, EVENTS_MAX, timeout_to(until_ns));
	bool goes_on;

	pthread_mutex_lock(&v->mutex);
	for (int i = 0; i < count; i++) {
		if (events[i].data.u64)
			ended(v, (pid_t)events[i].data.u64);
		else
			hush(v->wake_fd);
	}
	goes_on = !v->ending;
	pthread_mutex_unlock(&v->mutex);
	return goes_on;
}

static void *work(void *arg)
{
	struct vigil *v = arg;
	int64_t earliest_ns = 0, at_ns = MOMENT_NEVER;

	while (wait_for_events(v, at_ns)) {
		at_ns = next_look(v, earliest_ns);
		if (at_ns > loop_now().boot_ns)
			continue;
		earliest_ns = look(v);
		at_ns = next_look(v, earliest_ns);
	}
	return NULL;
}

/* ---- Life ---- */

/* Each session takes one, and the daemon has others to care for. */
static void allow_descriptors(void)
{
	struct rlimit limit;
	rlim_t want;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return;
	want = limit.rlim_cur + VIGIL_DESCRIPTORS_MAX;
	limit.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit); /* else there is VIGIL_RETRY_NS */
}

/* Signals are for the loop's thread. */
static int start(struct vigil *v)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&v->thread, NULL, work, v);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

static void close_all(struct vigil *v)
{
	if (v->epoll_fd >= 0)
		close(v->epoll_fd);
	if (v->wake_fd >= 0)
		close(v->wake_fd);
	if (v->event_fd >= 0)
		close(v->event_fd);
}

struct vigil *vigil_new(void)
{
	struct epoll_event wake = {.events = EPOLLIN};
	struct vigil *v = calloc(1, sizeof(*v));
	int err;

	if (!v)
		return NULL;
	allow_descriptors();
	v->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	v->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->epoll_fd < 0 || v->wake_fd < 0 || v->event_fd < 0 ||
	    epoll_ctl(v->epoll_fd, EPOLL_CTL_ADD, v->wake_fd, &wake) < 0) {
		err = errno;
		goto out_close;
	}
	pthread_mutex_init(&v->mutex, NULL);
	err = start(v);
	if (!err)
		return v;
	pthread_mutex_destroy(&v->mutex);
out_close:
	close_all(v);
	free(v);
	errno = err;
	return NULL;
}

void vigil_free(struct vigil *v)
{
	struct watched *w, *next;

	if (!v)
		return;
	pthread_mutex_lock(&v->mutex);
	v->ending = true;
	pthread_mutex_unlock(&v->mutex);
	ring(v->wake_fd);
	pthread_join(v->thread, NULL);
	HASH_ITER (hh, v->watched, w, next) {
		forget(v, w);
		free(w);
	}
	DL_FOREACH_SAFE (v->reports, w, next) {
		DL_DELETE(v->reports, w);
		free(w);
	}
	pthread_mutex_destroy(&v->mutex);
	close_all(v);
	free(v);
}
