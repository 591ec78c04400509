/* SPDX-License-Identifier: MIT */
#include "fs/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <utlist.h>

/* A link's target is of no interest: nobody is shown it. */
#define LINK_TARGET "."

struct notify {
	char *mountpoint;
	uint32_t dev_major, dev_minor; /* of our mount */
	pthread_t thread;
	int place; /* the helper's: a copy of the mount, while it works; -1: none */

	pthread_mutex_t mutex; /* of all below; never held over a system call */
	pthread_cond_t wake;
	struct node_notice *queue; /* to do */
	struct node_notice *job;   /* at hand */
	struct node_notice *spent; /* for the loop to free, which may still be reading them */
	size_t held;		   /* in queue and spent */
	uint64_t stand_ins;
	struct notify_counts counts;
	pid_t helper; /* 0: not there yet, or there is none */
	bool ending;
};

/* ---- The place ---- */

/* Is our mount to be seen there? Asks the daemon nothing. */
static bool is_ours(const struct notify *n, int dir, const char *path, int flags)
{
	struct statx st;

	return statx(dir, path, flags | AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 &&
	       st.stx_dev_major == n->dev_major && st.stx_dev_minor == n->dev_minor;
}

static void leave_place(struct notify *n)
{
	if (n->place >= 0)
		close(n->place);
	n->place = -1;
}

/*
 * A copy of the mount has nothing mounted in it, and whoever unmounts ours is not told that it is
 * busy. Where we may not copy, the mount itself must do. False: it is gone, or hidden.
 */
static bool enter_place(struct notify *n)
{
	if (!is_ours(n, AT_FDCWD, n->mountpoint, 0)) {
		leave_place(n);
		return false;
	}
	if (n->place < 0)
		n->place = (int)syscall(SYS_open_tree, AT_FDCWD, n->mountpoint,
					OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (n->place < 0)
		n->place = open(n->mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (n->place >= 0 && is_ours(n, n->place, "", AT_EMPTY_PATH))
		return true;
	leave_place(n);
	return false;
}

/* The directories on the way, "a/b/c", or "." if there are none. False: too long. */
static bool put_path(const struct node_notice *job, char *path)
{
	size_t at = 0;

	strcpy(path, ".");
	for (size_t i = 0; i + 1 < job->depth; i++) {
		size_t len = strlen(job->steps[i].name);

		if (at + len + 2 > PATH_MAX)
			return false;
		if (at)
			path[at++] = '/';
		memcpy(path + at, job->steps[i].name, len + 1);
		at += len;
	}
	return true;
}

static int open_directory(const struct notify *n, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};

	return (int)syscall(SYS_openat2, n->place, path, &how, sizeof(how));
}

/* ---- The helper ---- */

static int make(int dir, const struct node_step *step)
{
	mode_t type = step->attr.mode & S_IFMT;

	if (type == S_IFDIR)
		return mkdirat(dir, step->name, 0700);
	if (type == S_IFLNK)
		return symlinkat(LINK_TARGET, dir, step->name);
	return mknodat(dir, step->name, S_IFREG | 0600, 0);
}

static bool play(struct notify *n, struct node_notice *job)
{
	const struct node_step *step = node_notice_last(job);
	char path[PATH_MAX];
	int dir, rc;

	if (!enter_place(n) || !put_path(job, path))
		return false;
	dir = open_directory(n, path);
	if (dir < 0)
		return false;
	rc = job->appeared ? make(dir, step)
			   : unlinkat(dir, step->name, S_ISDIR(step->attr.mode) ? AT_REMOVEDIR : 0);
	close(dir);
	return rc == 0;
}

/* Waits for a job. NULL: the end. */
static struct node_notice *take(struct notify *n)
{
	struct node_notice *job = NULL;

	pthread_mutex_lock(&n->mutex);
	while (!n->queue && !n->ending)
		pthread_cond_wait(&n->wake, &n->mutex);
	if (!n->ending) {
		job = n->queue;
		DL_DELETE(n->queue, job);
		n->job = job;
		n->stand_ins++;
	}
	pthread_mutex_unlock(&n->mutex);
	return job;
}

static void put_back(struct notify *n, struct node_notice *job, bool done)
{
	bool idle;

	pthread_mutex_lock(&n->mutex);
	n->job = NULL;
	DL_APPEND(n->spent, job);
	n->counts.done += done;
	n->counts.vain += !done;
	idle = !n->queue || n->ending;
	pthread_mutex_unlock(&n->mutex);
	if (idle)
		leave_place(n);
}

/*
 * Also with those that the daemon leaves to its parent's terminal, or pipe, until it is in the
 * background: whoever reads there waits until all have closed it.
 */
static bool part_with_descriptors(void)
{
	return unshare(CLONE_FILES) == 0 && close_range(STDIN_FILENO, ~0u, 0) == 0 &&
	       open("/dev/null", O_RDWR) == STDIN_FILENO &&
	       dup2(STDIN_FILENO, STDOUT_FILENO) == STDOUT_FILENO &&
	       dup2(STDIN_FILENO, STDERR_FILENO) == STDERR_FILENO;
}

/*
 * Nothing may be logged after the tables of descriptors have parted: the log's number in this one
 * would be another file in the other.
 */
static void *help(void *arg)
{
	struct notify *n = arg;
	struct node_notice *job;
	bool parted = part_with_descriptors();

	pthread_mutex_lock(&n->mutex);
	n->helper = parted ? gettid() : 0;
	n->ending = n->ending || !parted;
	pthread_mutex_unlock(&n->mutex);
	while ((job = take(n)))
		put_back(n, job, play(n, job));
	return NULL;
}

/* ---- Life ---- */

/* Signals are for the loop's thread. */
static int start(struct notify *n)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&n->thread, NULL, help, n);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

struct notify *notify_new(const char *mountpoint)
{
	struct notify *n = calloc(1, sizeof(*n));
	struct statx st;
	int err = ENOMEM;

	if (!n)
		return NULL;
	n->mountpoint = strdup(mountpoint);
	if (!n->mountpoint)
		goto out_free;
	err = statx(AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC, STATX_TYPE, &st) ? errno : 0;
	if (err)
		goto out_free;
	n->dev_major = st.stx_dev_major;
	n->dev_minor = st.stx_dev_minor;
	n->place = -1;
	pthread_mutex_init(&n->mutex, NULL);
	pthread_cond_init(&n->wake, NULL);
	err = start(n);
	if (!err)
		return n;
	pthread_cond_destroy(&n->wake);
	pthread_mutex_destroy(&n->mutex);
out_free:
	free(n->mountpoint);
	free(n);
	errno = err;
	return NULL;
}

static void free_list(struct node_notice *list)
{
	struct node_notice *notice, *next;

	DL_FOREACH_SAFE (list, notice, next)
		node_notice_free(notice);
}

/* It ends the job at hand, whose requests end with the device. */
static bool helper_ended(struct notify *n)
{
	struct timespec until;

	pthread_mutex_lock(&n->mutex);
	n->ending = true;
	pthread_mutex_unlock(&n->mutex);
	pthread_cond_signal(&n->wake);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += NOTIFY_END_NS / NS_PER_SEC;
	return pthread_clockjoin_np(n->thread, NULL, CLOCK_MONOTONIC, &until) == 0;
}

void notify_free(struct notify *n)
{
	if (!n || !helper_ended(n))
		return; /* what is left behind the helper may still use */
	free_list(n->queue);
	free_list(n->spent);
	pthread_cond_destroy(&n->wake);
	pthread_mutex_destroy(&n->mutex);
	free(n->mountpoint);
	free(n);
}

/* ---- For the loop ---- */

void notify_add(struct notify *n, struct node_notice *notice)
{
	struct node_notice *spent, *each;
	bool taken;

	pthread_mutex_lock(&n->mutex);
	spent = n->spent;
	n->spent = NULL;
	DL_FOREACH (spent, each)
		n->held--;
	taken = n->held < NOTIFY_JOBS_MAX && !n->ending;
	if (taken)
		DL_APPEND(n->queue, notice);
	n->held += taken;
	n->counts.dropped += !taken;
	pthread_mutex_unlock(&n->mutex);
	pthread_cond_signal(&n->wake);
	free_list(spent);
	if (!taken)
		node_notice_free(notice);
}

bool notify_is_helper(struct notify *n, pid_t tid)
{
	bool is;

	pthread_mutex_lock(&n->mutex);
	is = tid != 0 && tid == n->helper;
	pthread_mutex_unlock(&n->mutex);
	return is;
}

struct node_notice *notify_job(struct notify *n, uint64_t *stand_in)
{
	struct node_notice *job;

	pthread_mutex_lock(&n->mutex);
	job = n->job;
	*stand_in = NOTIFY_STAND_INS + n->stand_ins;
	pthread_mutex_unlock(&n->mutex);
	return job;
}

void notify_counts(struct notify *n, struct notify_counts *out)
{
	pthread_mutex_lock(&n->mutex);
	*out = n->counts;
	pthread_mutex_unlock(&n->mutex);
}
