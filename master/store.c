/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

#include "master/store.h"

static const struct store_driver *const drivers[] = {&store_sqlite, &store_etcd};

#define DRIVER_COUNT (sizeof(drivers) / sizeof(drivers[0]))

/* One allocation carries an operation and later its outcome, so that finishing cannot fail. */
struct task {
	struct engine_op op;
	struct engine_outcome outcome;
	struct task *prev, *next;
};

struct store {
	const struct store_driver *driver;
	void *priv;
	pthread_t thread;
	int event_fd;
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* submitted or closing */
	/* Under the mutex. */
	struct task *submitted;
	struct task *finished;
	size_t count; /* tasks, in either list or running */
	bool closing;
};

/* The eventfd is written and emptied under the mutex, so that it says exactly what the list holds.
 */
static void finish(struct store *s, struct task *task)
{
	uint64_t one = 1;
	ssize_t n;

	pthread_mutex_lock(&s->mutex);
	DL_APPEND(s->finished, task);
	n = write(s->event_fd, &one, sizeof(one));
	assert(n == sizeof(one)); /* STORE_QUEUE_MAX is far from the counter's limit */
	pthread_mutex_unlock(&s->mutex);
}

/* What is submitted and belongs to those taken: see run_batch in the header. Under the mutex. */
static bool joins(const struct store *s, struct task *const taken[], size_t count)
{
	const struct engine_op *op = s->submitted ? &s->submitted->op : NULL;
	const struct engine_op *first = &taken[0]->op;

	if (!op || count == STORE_BATCH_MAX || !s->driver->run_batch)
		return false;
	if (first->kind < ENGINE_PUT || op->kind < ENGINE_PUT)
		return false;
	if (op->expect.epoch != first->expect.epoch ||
	    op->expect.instance != first->expect.instance)
		return false;
	for (size_t i = 0; i < count; i++)
		if (taken[i]->op.session.instance == op->session.instance)
			return false;
	return true;
}

/* Waits for work, and takes one task, or several that may run as a batch. 0: closing, and all that
 * was submitted has run. */
static size_t take(struct store *s, struct task *taken[STORE_BATCH_MAX])
{
	size_t count = 0;

	pthread_mutex_lock(&s->mutex);
	while (!s->submitted && !s->closing)
		pthread_cond_wait(&s->changed, &s->mutex);
	while (count ? joins(s, taken, count) : s->submitted != NULL) {
		taken[count] = s->submitted;
		DL_DELETE(s->submitted, taken[count]);
		count++;
	}
	pthread_mutex_unlock(&s->mutex);
	return count;
}

static void run_batch(struct store *s, struct task *taken[], size_t count)
{
	const struct engine_op *ops[STORE_BATCH_MAX];

	for (size_t i = 0; i < count; i++)
		ops[i] = &taken[i]->op;
	s->driver->run_batch(s->priv, ops, count, &taken[0]->outcome);
	for (size_t i = 1; i < count; i++)
		taken[i]->outcome = taken[0]->outcome;
}

static void *work(void *arg)
{
	struct task *taken[STORE_BATCH_MAX];
	struct store *s = arg;
	size_t count;

	while ((count = take(s, taken))) {
		if (count > 1)
			run_batch(s, taken, count);
		else
			s->driver->run(s->priv, &taken[0]->op, &taken[0]->outcome);
		for (size_t i = 0; i < count; i++) {
			taken[i]->outcome.id = taken[i]->op.id;
			finish(s, taken[i]);
		}
	}
	return NULL;
}

/* Signals are the loop's affair; a thread inherits its maker's mask. */
static int start_thread(struct store *s)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&s->thread, NULL, work, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		pthread_setname_np(s->thread, "dlock-store");
	return -err;
}

static const struct store_driver *find_driver(const char *spec, const char **rest)
{
	for (size_t i = 0; i < DRIVER_COUNT; i++) {
		size_t len = strlen(drivers[i]->scheme);

		if (strncmp(spec, drivers[i]->scheme, len) == 0 && spec[len] == ':') {
			*rest = spec + len + 1;
			return drivers[i];
		}
	}
	return NULL;
}

static int store_start(struct store *s, const char *rest, const struct store_options *options,
		       char *why, size_t why_len)
{
	int err;

	s->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (s->event_fd < 0) {
		err = -errno;
		snprintf(why, why_len, "no descriptor for the store: %s", strerror(-err));
		return err;
	}
	err = s->driver->open(rest, options, &s->priv, why, why_len);
	if (err)
		goto out_event;
	err = start_thread(s);
	if (err) {
		snprintf(why, why_len, "no thread for the store: %s", strerror(-err));
		goto out_driver;
	}
	return 0;

out_driver:
	s->driver->close(s->priv);
out_event:
	close(s->event_fd);
	return err;
}

int store_open(const char *spec, const struct store_options *options, struct store **out, char *why,
	       size_t why_len)
{
	static const struct store_options none;
	const char *rest = NULL;
	const struct store_driver *driver = find_driver(spec, &rest);
	struct store *s;
	int err;

	if (!driver) {
		snprintf(why, why_len,
			 "no such kind of store: \"%s\" (known: sqlite:PATH, etcd:URL,…)", spec);
		return -EINVAL;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		snprintf(why, why_len, "no memory for the store");
		return -ENOMEM;
	}
	*why = '\0';
	s->driver = driver;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->changed, NULL);
	err = store_start(s, rest, options ? options : &none, why, why_len);
	if (err)
		goto out_free;
	*out = s;
	return 0;

out_free:
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->mutex);
	free(s);
	return err;
}

void store_close(struct store *s)
{
	struct task *task, *tmp;

	if (!s)
		return;
	pthread_mutex_lock(&s->mutex);
	s->closing = true;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->mutex);
	if (s->driver->stop)
		s->driver->stop(s->priv);
	pthread_join(s->thread, NULL);
	assert(!s->submitted);
	DL_FOREACH_SAFE (s->finished, task, tmp) {
		free(task->outcome.sessions);
		free(task);
	}
	s->driver->close(s->priv);
	close(s->event_fd);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

bool store_is_exclusive(const struct store *s)
{
	return s->driver->exclusive;
}

int store_submit(struct store *s, const struct engine_op *op)
{
	struct task *task = calloc(1, sizeof(*task));
	int err = 0;

	assert(op->id != 0);
	if (!task)
		return -ENOMEM;
	task->op = *op;
	pthread_mutex_lock(&s->mutex);
	if (s->count < STORE_QUEUE_MAX) {
		DL_APPEND(s->submitted, task);
		s->count++;
		pthread_cond_signal(&s->changed);
	} else {
		err = -ENOBUFS;
	}
	pthread_mutex_unlock(&s->mutex);
	if (err)
		free(task);
	return err;
}

int store_fd(const struct store *s)
{
	return s->event_fd;
}

bool store_next(struct store *s, struct engine_outcome *out)
{
	struct task *task;

	pthread_mutex_lock(&s->mutex);
	task = s->finished;
	if (task) {
		DL_DELETE(s->finished, task);
		assert(s->count > 0);
		s->count--;
	}
	if (task && !s->finished) {
		uint64_t counted;
		ssize_t n = read(s->event_fd, &counted, sizeof(counted));

		assert(n == sizeof(counted));
	}
	pthread_mutex_unlock(&s->mutex);
	if (!task)
		return false;
	*out = task->outcome;
	free(task);
	return true;
}
