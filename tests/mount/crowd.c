/* SPDX-License-Identifier: MIT */
/*
 * crowd: many processes at one lock, with a witness that is not on the file system under test.
 *
 *	crowd race ROUNDS PATH...               each round all create PATH with O_EXCL at once:
 *	                                        one wins, and removes it for the next round
 *	crowd count KIND TOTAL WITNESS PATH...  TOTAL times one of them takes the lock of its PATH
 *	                                        and adds one to WITNESS/counter; KIND is flock,
 *	                                        posix, ofd, excl, or removed: a flock on a file
 *	                                        that its holder removes before he lets go.
 *	                                        Fewer times, if there is WITNESS/stop
 *
 * One process for each PATH; all PATHs are one file on several mounts. The witness of an overlap is
 * mkdir(WITNESS/inside), which needs no lock. Prints one line, exit 1 if what it says is bad.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 64
/* Nobody waits for ever for somebody who has died. */
#define GIVE_UP_S 300

struct shared {
	pthread_barrier_t barrier;
	atomic_long winners;		 /* of this round */
	atomic_long done;		 /* acquisitions so far */
	atomic_long bad;		 /* what must never be seen */
	atomic_long each[PROCESSES_MAX]; /* acquisitions, or wins */
};

static struct shared *shared;
static const char *witness;

static void bad(const char *what)
{
	if (!atomic_fetch_add(&shared->bad, 1))
		fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
}

/* ---- race ---- */

static void race(int self, const char *path, long rounds)
{
	for (long round = 0; round < rounds; round++) {
		int fd;

		pthread_barrier_wait(&shared->barrier);
		fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
		if (fd < 0 && errno != EEXIST)
			bad("open O_EXCL");
		if (fd >= 0) {
			atomic_fetch_add(&shared->winners, 1);
			atomic_fetch_add(&shared->each[self], 1);
			close(fd);
		}
		pthread_barrier_wait(&shared->barrier);
		if (self == 0 && atomic_exchange(&shared->winners, 0) != 1)
			bad("not exactly one winner");
		if (fd >= 0 && unlink(path) < 0)
			bad("unlink");
	}
}

/* ---- count ---- */

static void enter(void)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/inside", witness);
	if (mkdir(path, 0700) < 0)
		bad("two were inside at once");
}

static void leave(void)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/inside", witness);
	if (rmdir(path) < 0)
		bad("another one has left for us");
}

/* Enough, says who started us. */
static bool stopped(void)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/stop", witness);
	return access(path, F_OK) == 0;
}

static long add_one(long by)
{
	char path[4096], text[32] = "";
	long count;
	int fd;

	snprintf(path, sizeof(path), "%s/counter", witness);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || pread(fd, text, sizeof(text) - 1, 0) < 0)
		bad("the witness");
	count = strtol(text, NULL, 10) + by;
	snprintf(text, sizeof(text), "%ld\n", count);
	if (pwrite(fd, text, strlen(text), 0) < 0)
		bad("the witness");
	close(fd);
	return count;
}

/* Returns the descriptor that holds the lock. */
static int take(const char *kind, const char *path)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd, rc;

	if (!strcmp(kind, "excl")) {
		struct timespec pause = {.tv_nsec = 500000};

		while ((fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600)) < 0 && errno == EEXIST)
			nanosleep(&pause, NULL);
		if (fd < 0)
			bad("open O_EXCL");
		return fd;
	}
	fd = open(path, O_CREAT | O_RDWR, 0600);
	rc = !strcmp(kind, "flock") || !strcmp(kind, "removed") ? flock(fd, LOCK_EX)
	     : !strcmp(kind, "posix")				? fcntl(fd, F_SETLKW, &all)
								: fcntl(fd, F_OFD_SETLKW, &all);
	if (fd < 0 || rc < 0)
		bad("lock");
	return fd;
}

/* Every second time by unlocking, else by closing, which are two ways through a file system. */
static void release(const char *kind, const char *path, int fd, long round)
{
	struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
	int rc = 0;

	if (!strcmp(kind, "excl"))
		rc = unlink(path);
	else if (!strcmp(kind, "removed"))
		rc = unlink(path) < 0 && errno != ENOENT ? -1
							 : 0; /* another may have been quicker */
	else if (round % 2)
		rc = !strcmp(kind, "flock")   ? flock(fd, LOCK_UN)
		     : !strcmp(kind, "posix") ? fcntl(fd, F_SETLK, &all)
					      : fcntl(fd, F_OFD_SETLK, &all);
	if (rc < 0)
		bad("unlock");
	close(fd);
}

static void count(int self, const char *path, const char *kind, long total)
{
	pthread_barrier_wait(&shared->barrier);
	while (atomic_load(&shared->done) < total && !atomic_load(&shared->bad) && !stopped()) {
		int fd = take(kind, path);

		enter();
		add_one(1);
		leave();
		atomic_fetch_add(&shared->done, 1);
		release(kind, path, fd, atomic_fetch_add(&shared->each[self], 1));
	}
}

/* ---- The crowd ---- */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void make_shared(int processes)
{
	pthread_barrierattr_t attr;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED) {
		perror("crowd");
		exit(1);
	}
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->barrier, &attr, (unsigned)processes);
}

/* In the order of the command line: the share of each. */
static int tell(int processes, double seconds)
{
	long total = 0, least = shared->each[0], most = 0;

	for (int i = 0; i < processes; i++) {
		long each = shared->each[i];

		total += each;
		least = each < least ? each : least;
		most = each > most ? each : most;
	}
	if (witness && add_one(0) != total)
		bad("the counter is not the number of those who counted");
	printf("total %ld processes %d least %ld most %ld bad %ld ms %.0f\n", total, processes,
	       least, most, atomic_load(&shared->bad), seconds * 1e3);
	return shared->bad ? 1 : 0;
}

int main(int argc, char **argv)
{
	bool counting = argc > 1 && !strcmp(argv[1], "count");
	int first = counting ? 5 : 3, processes = argc - first;
	double began = now();

	if (processes < 1 || processes > PROCESSES_MAX) {
		fprintf(stderr, "crowd: see the top of crowd.c\n");
		return 64;
	}
	witness = counting ? argv[4] : NULL;
	make_shared(processes);
	for (int i = 0; i < processes; i++) {
		if (fork())
			continue;
		alarm(GIVE_UP_S);
		if (counting)
			count(i, argv[first + i], argv[2], strtol(argv[3], NULL, 10));
		else
			race(i, argv[first + i], strtol(argv[2], NULL, 10));
		_exit(0);
	}
	for (int status; wait(&status) > 0;)
		if (status)
			bad("a process died");
	return tell(processes, now() - began);
}
