/* SPDX-License-Identifier: MIT */
/*
 * waiters: thousands of threads that wait for one file, each with an open description of its own,
 * through several mounts in turn.
 *
 *	waiters serve KIND COUNT WITNESS PATH...  all wait, one after the other; then all are served
 *	waiters end COUNT PATH...                 all wait; then half are interrupted, half killed
 *
 * KIND is flock or ofd (exclusive, served in the order in which they came), or mixed (flocks, one
 * exclusive among seven). The witnesses of an overlap are mkdir(WITNESS/inside) and counters in
 * memory. Prints the milliseconds that the second half took; exit 1 with a line on stderr if
 * something is not as it should be.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES (64 * 1024)
#define PATHS_MAX   8
/* Who waits for longer waits for ever, milliseconds. */
#define PATIENCE_MS    120000
#define EXCLUSIVE_EACH 7

enum kind { KIND_FLOCK, KIND_OFD, KIND_MIXED };

struct waiter {
	pthread_t thread;
	const char *path;
	long number;
	bool shared;
	atomic_int tid;
	atomic_int result; /* errno, 0 for the lock; -1: none yet */
};

static enum kind kind;
static const char *witness;
static struct waiter *waiters;
static atomic_long served, readers, writers;

static void die(const char *what, const char *on)
{
	fprintf(stderr, "waiters: %s %s: %s\n", what, on, strerror(errno));
	_exit(1);
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int open_lock(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0)
		die("open", path);
	return fd;
}

static int lock(int fd, bool shared, bool wait)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (kind == KIND_OFD)
		return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &all);
	return flock(fd, (shared ? LOCK_SH : LOCK_EX) | (wait ? 0 : LOCK_NB));
}

/* ---- Inside ---- */

static void enter_alone(void)
{
	char inside[PATH_MAX];

	snprintf(inside, sizeof(inside), "%s/inside", witness);
	if (atomic_fetch_add(&writers, 1) || atomic_load(&readers) || mkdir(inside, 0700) < 0)
		die("somebody else is inside", inside);
	if (rmdir(inside) < 0)
		die("rmdir", inside);
	atomic_fetch_sub(&writers, 1);
}

static void enter_shared(void)
{
	atomic_fetch_add(&readers, 1);
	if (atomic_load(&writers))
		die("a writer is inside with", "a reader");
	atomic_fetch_sub(&readers, 1);
}

static void *wait_and_enter(void *arg)
{
	struct waiter *w = arg;
	int fd = open_lock(w->path);
	long place;

	atomic_store(&w->tid, (int)syscall(SYS_gettid));
	if (lock(fd, w->shared, true) < 0)
		die("lock", w->path);
	place = atomic_fetch_add(&served, 1);
	if (kind != KIND_MIXED && place != w->number)
		die("served out of order through", w->path);
	if (w->shared)
		enter_shared();
	else
		enter_alone();
	atomic_store(&w->result, 0);
	close(fd);
	return NULL;
}

static void *wait_for_the_end(void *arg)
{
	struct waiter *w = arg;
	int fd = open_lock(w->path);

	atomic_store(&w->tid, (int)syscall(SYS_gettid));
	atomic_store(&w->result, lock(fd, false, true) < 0 ? errno : 0);
	close(fd);
	return NULL;
}

/* ---- Waiting ---- */

/* Sleeps in its lock call? */
static bool sleeps(int tid)
{
	char path[64], text[32] = "";
	int fd;
	long number;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		die("read", path);
	close(fd);
	number = strtol(text, NULL, 10);
	return text[0] != 'r' && number == (kind == KIND_OFD ? SYS_fcntl : SYS_flock);
}

/* A node's requests take effect in their order: after the answer the waiter is in the queue. */
static void await_queued(struct waiter *w)
{
	long limit = now_ms() + PATIENCE_MS;
	struct statfs fs;

	while (!atomic_load(&w->tid) || !sleeps(atomic_load(&w->tid))) {
		if (now_ms() > limit)
			die("does not come to wait", w->path);
		sched_yield();
	}
	if (statfs(w->path, &fs) < 0)
		die("statfs", w->path);
}

static void start_all(long count, char **paths, int path_count, void *(*body)(void *))
{
	pthread_attr_t attr;

	waiters = calloc((size_t)count, sizeof(*waiters));
	if (!waiters || pthread_attr_init(&attr) || pthread_attr_setstacksize(&attr, STACK_BYTES))
		die("start", "");
	for (long i = 0; i < count; i++) {
		struct waiter *w = &waiters[i];

		w->path = paths[i % path_count];
		w->number = i;
		w->shared = kind == KIND_MIXED && i % EXCLUSIVE_EACH;
		w->result = -1;
		errno = pthread_create(&w->thread, &attr, body, w);
		if (errno)
			die("pthread_create", "");
		await_queued(w);
	}
}

static void serve(long count, char **paths, int path_count)
{
	int held = open_lock(paths[0]);
	long began;

	if (lock(held, false, true) < 0)
		die("lock", paths[0]);
	start_all(count, paths, path_count, wait_and_enter);
	if (atomic_load(&served))
		die("served while it is locked:", paths[0]);
	began = now_ms();
	close(held);
	for (long i = 0; i < count; i++)
		pthread_join(waiters[i].thread, NULL);
	if (atomic_load(&served) != count)
		die("not all are served at", paths[0]);
	printf("%ld\n", now_ms() - began);
}

/* ---- The end ---- */

static void on_signal(int sig)
{
	(void)sig;
}

/* Half of them, by a signal, as often as it takes: one may come just before the call. */
static void interrupt_half(long count)
{
	long limit = now_ms() + PATIENCE_MS;

	for (long i = 0; i < count; i += 2)
		pthread_kill(waiters[i].thread, SIGUSR1);
	for (long i = 0; i < count; i += 2) {
		while (atomic_load(&waiters[i].result) == -1 && now_ms() < limit)
			sched_yield();
		errno = atomic_load(&waiters[i].result);
		if (errno != EINTR)
			die("an interrupted wait gives", waiters[i].path);
	}
	for (long i = 1; i < count; i += 2)
		if (atomic_load(&waiters[i].result) != -1)
			die("a wait has ended that nobody interrupted:", waiters[i].path);
}

static void tell(int fd)
{
	if (write(fd, "", 1) != 1)
		die("write", "pipe");
}

static void hear(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		die("a child has", "failed");
}

/* All wait; told so, half of them are interrupted; the rest is killed. */
static void wait_to_be_killed(long count, char *path, int in, int out)
{
	struct sigaction action = {.sa_handler = on_signal};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGUSR1, &action, NULL);
	start_all(count, &path, 1, wait_for_the_end);
	tell(out);
	hear(in);
	interrupt_half(count);
	tell(out);
	for (;;)
		pause();
}

static void await_free(const char *path)
{
	long limit = now_ms() + PATIENCE_MS;
	int fd = open_lock(path);

	while (lock(fd, false, false) < 0) {
		if (errno != EWOULDBLOCK || now_ms() > limit)
			die("somebody is left in the queue of", path);
		usleep(1000);
	}
	close(fd);
}

static void end(long count, char **paths, int path_count)
{
	int to[PATHS_MAX][2], from[PATHS_MAX][2], held = open_lock(paths[0]);
	pid_t pids[PATHS_MAX];
	long began;

	if (lock(held, false, true) < 0)
		die("lock", paths[0]);
	for (int i = 0; i < path_count; i++) {
		if (pipe(to[i]) < 0 || pipe(from[i]) < 0)
			die("pipe", "");
		pids[i] = fork();
		if (pids[i] < 0)
			die("fork", "");
		if (pids[i] == 0) {
			close(held);
			close(from[i][0]);
			close(to[i][1]);
			wait_to_be_killed(count / path_count, paths[i], to[i][0], from[i][1]);
		}
		close(from[i][1]);
		close(to[i][0]);
	}
	for (int i = 0; i < path_count; i++)
		hear(from[i][0]);
	began = now_ms();
	for (int i = 0; i < path_count; i++)
		tell(to[i][1]);
	for (int i = 0; i < path_count; i++)
		hear(from[i][0]);
	for (int i = 0; i < path_count; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < path_count; i++)
		waitpid(pids[i], NULL, 0);
	printf("%ld\n", now_ms() - began);
	close(held);
	for (int i = 0; i < path_count; i++)
		await_free(paths[i]);
}

int main(int argc, char **argv)
{
	if (argc > 5 && !strcmp(argv[1], "serve") && argc - 5 <= PATHS_MAX) {
		kind = !strcmp(argv[2], "ofd")	   ? KIND_OFD
		       : !strcmp(argv[2], "mixed") ? KIND_MIXED
						   : KIND_FLOCK;
		witness = argv[4];
		serve(strtol(argv[3], NULL, 10), argv + 5, argc - 5);
		return 0;
	}
	if (argc > 3 && !strcmp(argv[1], "end") && argc - 3 <= PATHS_MAX) {
		end(strtol(argv[2], NULL, 10), argv + 3, argc - 3);
		return 0;
	}
	fprintf(stderr, "see the head of waiters.c\n");
	return 64;
}
