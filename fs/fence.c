/* SPDX-License-Identifier: MIT */
#include "fs/fence.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "transport/log.h"

/* Somebody who was signalled. */
struct told {
	struct found found; /* without its pidfd */
	int signal;
	int err; /* errno of the signal, or 0 */
	const char *why;
};

struct fence {
	uint32_t dev_major, dev_minor;
	int event_fd;
	pthread_t thread;
	/* The thread's alone. */
	struct told *told; /* each once, in this outage */
	size_t told_count, told_room;
	size_t hits; /* of this pass */

	pthread_mutex_t mutex; /* of all below; held over no system call but a signal's */
	pthread_cond_t wake;
	struct fence_job *job; /* to do */
	uint64_t posted;
	uint64_t called_off; /* passes up to this one signal nobody */
	uint64_t passed;
	bool clear;
	bool ending;
};

/* ---- Jobs ---- */

struct fence_job *fence_job_new(int signal, size_t inos, size_t makers)
{
	struct fence_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->signal = signal;
	job->why = "the lease is not renewed";
	job->sought.inos = calloc(inos + 1, sizeof(*job->sought.inos));
	job->sought.makers = calloc(makers + 1, sizeof(*job->sought.makers));
	if (job->sought.inos && job->sought.makers)
		return job;
	free(job->sought.inos);
	free(job->sought.makers);
	free(job);
	return NULL;
}

static void job_free(struct fence_job *job)
{
	if (!job)
		return;
	free(job->sought.inos);
	free(job->sought.makers);
	free(job);
}

uint64_t fence_post(struct fence *f, struct fence_job *job)
{
	struct fence_job *given_way;

	job->sought.dev_major = f->dev_major;
	job->sought.dev_minor = f->dev_minor;
	pthread_mutex_lock(&f->mutex);
	given_way = f->job;
	f->job = job;
	job->id = ++f->posted;
	pthread_mutex_unlock(&f->mutex);
	pthread_cond_signal(&f->wake);
	job_free(given_way);
	return f->posted;
}

void fence_call_off(struct fence *f)
{
	pthread_mutex_lock(&f->mutex);
	f->called_off = f->posted;
	pthread_mutex_unlock(&f->mutex);
}

int fence_fd(const struct fence *f)
{
	return f->event_fd;
}

uint64_t fence_passed(struct fence *f, bool *clear)
{
	uint64_t count, id;

	if (read(f->event_fd, &count, sizeof(count)) < 0)
		return 0;
	pthread_mutex_lock(&f->mutex);
	id = f->passed;
	*clear = f->clear;
	pthread_mutex_unlock(&f->mutex);
	return id;
}

/* ---- A pass ---- */

static bool was_told(const struct fence *f, const struct process *p, int signal)
{
	for (size_t i = 0; i < f->told_count; i++)
		if (f->told[i].found.process.pid == p->pid &&
		    f->told[i].found.process.start == p->start && f->told[i].signal == signal)
			return true;
	return false;
}

/* For the log; without memory it is not logged. */
static void note_told(struct fence *f, const struct found *found, const struct fence_job *job,
		      int err)
{
	if (!job->signal || was_told(f, &found->process, job->signal))
		return;
	if (f->told_count == f->told_room) {
		size_t room = f->told_room * 2 + 16;
		struct told *more = realloc(f->told, room * sizeof(*more));

		if (!more)
			return;
		f->told = more;
		f->told_room = room;
	}
	f->told[f->told_count++] = (struct told){*found, job->signal, err, job->why};
}

static void say(const struct told *told)
{
	const struct found *f = &told->found;
	const struct process *p = &f->process;
	char what[HOLDER_PATH_BYTES + 64];

	if (f->made)
		snprintf(what, sizeof(what), "it made the held name of inode %" PRIu64, f->ino);
	else
		snprintf(what, sizeof(what), "it has %s open, which is locked", f->path);
	if (told->err)
		log_error("%s: process %d (%s), %s, gets no SIG%s: %s", told->why, (int)p->pid,
			  p->command, what, sigabbrev_np(told->signal), strerror(told->err));
	else
		log_error("%s: SIG%s to process %d (%s): %s", told->why, sigabbrev_np(told->signal),
			  (int)p->pid, p->command, what);
}

/* Once the pidfd was opened, the number is this process's or nobody's. */
static int send_signal(const struct found *f, int signal)
{
	long rc = f->pidfd >= 0 ? syscall(SYS_pidfd_send_signal, f->pidfd, signal, NULL, 0)
				: kill(f->process.pid, signal);

	return rc < 0 ? errno : 0;
}

struct pass {
	struct fence *f;
	const struct fence_job *job;
};

/* Under the mutex, so that whoever has called it off can rely on that. */
static bool stop_one(void *arg, const struct found *found)
{
	const struct pass *pass = arg;
	struct fence *f = pass->f;
	bool goes_on;
	int err = 0;

	pthread_mutex_lock(&f->mutex);
	goes_on = pass->job->id > f->called_off && !f->ending;
	if (goes_on)
		err = send_signal(found, pass->job->signal);
	pthread_mutex_unlock(&f->mutex);
	if (!goes_on)
		return false;
	if (err == ESRCH)
		return true;
	f->hits++;
	note_told(f, found, pass->job, err);
	return true;
}

/* ---- The thread ---- */

/* NULL: the end. */
static struct fence_job *take(struct fence *f)
{
	struct fence_job *job = NULL;

	pthread_mutex_lock(&f->mutex);
	while (!f->job && !f->ending)
		pthread_cond_wait(&f->wake, &f->mutex);
	if (!f->ending) {
		job = f->job;
		f->job = NULL;
		if (f->called_off >= job->id - 1)
			f->told_count = 0; /* another outage */
	}
	pthread_mutex_unlock(&f->mutex);
	return job;
}

static void tell_passed(struct fence *f, uint64_t id, bool clear)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&f->mutex);
	f->passed = id;
	f->clear = clear;
	pthread_mutex_unlock(&f->mutex);
	if (write(f->event_fd, &one, sizeof(one)) < 0)
		log_warning("the end of a look at /proc is not told: %s", strerror(errno));
}

static void *work(void *arg)
{
	struct fence *f = arg;
	struct fence_job *job;

	while ((job = take(f))) {
		struct pass pass = {f, job};
		size_t known = f->told_count;
		bool complete;

		f->hits = 0;
		complete = holders_find(&job->sought, stop_one, &pass);
		tell_passed(f, job->id, complete && !f->hits);
		job_free(job);
		/* The log may be slow: it comes after everybody has got his signal. */
		for (; known < f->told_count; known++)
			say(&f->told[known]);
	}
	return NULL;
}

/* ---- Life ---- */

/* Signals are for the loop's thread. */
static int start(struct fence *f)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&f->thread, NULL, work, f);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

struct fence *fence_new(const char *mountpoint)
{
	struct fence *f = calloc(1, sizeof(*f));
	struct statx st;
	int err;

	if (!f)
		return NULL;
	f->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->event_fd < 0 ||
	    statx(AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0) {
		err = errno;
		goto out_free;
	}
	f->dev_major = st.stx_dev_major;
	f->dev_minor = st.stx_dev_minor;
	pthread_mutex_init(&f->mutex, NULL);
	pthread_cond_init(&f->wake, NULL);
	err = start(f);
	if (!err)
		return f;
	pthread_cond_destroy(&f->wake);
	pthread_mutex_destroy(&f->mutex);
out_free:
	if (f->event_fd >= 0)
		close(f->event_fd);
	free(f);
	errno = err;
	return NULL;
}

void fence_free(struct fence *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->mutex);
	f->ending = true;
	pthread_mutex_unlock(&f->mutex);
	pthread_cond_signal(&f->wake);
	pthread_join(f->thread, NULL);
	job_free(f->job);
	pthread_cond_destroy(&f->wake);
	pthread_mutex_destroy(&f->mutex);
	close(f->event_fd);
	free(f->told);
	free(f);
}
