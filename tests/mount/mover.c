/* SPDX-License-Identifier: MIT */
/*
 * mover: two mounts do the same names in.
 *
 *	mover HERE THERE ROUNDS
 *
 * There directories are moved to a name and away again, while here that name is removed, replaced,
 * from another directory too, and moved. After each round, when both have stopped, whatever
 * directory there is must take a file in, here. One line for each that does not, and for each call
 * that gives an errno that has no business there; exit 1 if there are any. The last line says what
 * came of the calls here.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CALLS 12 /* here, in a round; there as many as there is time for */

static const char *here, *there;
static int rounds;
static pthread_barrier_t barrier;
static atomic_int under_way; /* the round in which calls are made here */
static int failures;	     /* of the thread that works here, and after it is joined */
static int done, refused;

static const char *in(const char *mount, const char *name, char path[256])
{
	snprintf(path, 256, "%s/%s", mount, name);
	return path;
}

static int move(const char *mount, const char *from, const char *to)
{
	char a[256], b[256];

	return rename(in(mount, from, a), in(mount, to, b));
}

static int make(const char *mount, const char *name)
{
	char path[256];

	return mkdir(in(mount, name, path), 0755);
}

static int removed(const char *mount, const char *name)
{
	char path[256];

	return rmdir(in(mount, name, path));
}

/* Two directories take turns at the name; those that are removed there are made again. */
static void *work_there(void *arg)
{
	(void)arg;
	for (int round = 0; round < rounds; round++) {
		pthread_barrier_wait(&barrier);
		for (int i = 0; atomic_load(&under_way) == round; i++) {
			const char *own = i & 1 ? "p" : "q";

			if (move(there, own, "d") < 0)
				make(there, own);
			move(there, "d", own);
		}
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void count(const char *call, int rc, const char *fine)
{
	const char *name = rc < 0 ? strerrorname_np(errno) : "ok";

	if (rc < 0 && !strstr(fine, name)) {
		printf("%s: %s\n", call, name);
		failures++;
	}
	done += rc == 0;
	refused += rc < 0;
}

static void call_here(int i)
{
	switch (i % 4) {
	case 0:
		count("rmdir d", removed(here, "d"), "ENOENT");
		break;
	case 1:
		make(here, "e");
		count("rename e d", move(here, "e", "d"), "ENOENT");
		break;
	case 2:
		make(here, "other");
		make(here, "other/e");
		count("rename other/e d", move(here, "other/e", "d"), "ENOENT");
		break;
	default:
		count("rename d e", move(here, "d", "e"), "ENOENT");
		break;
	}
}

/* As by a program whose current directory it is: the kernel forgets what nobody is in. */
static int be_in(const char *name)
{
	char path[256];

	make(there, name);
	return open(in(here, name, path), O_PATH | O_DIRECTORY);
}

static void check_takes_a_file(const char *name)
{
	char path[256], file[512];
	struct stat st;
	int fd;

	if (stat(in(there, name, path), &st) < 0)
		return;
	in(here, name, path);
	snprintf(file, sizeof(file), "%s/file", path);
	fd = open(file, O_CREAT | O_EXCL | O_WRONLY, 0600);
	if (fd < 0 || close(fd) < 0 || unlink(file) < 0) {
		printf("%s takes no file in: %s\n", name, strerrorname_np(errno));
		failures++;
		removed(there, name); /* the rest is to begin anew */
	}
}

static void *work_here(void *arg)
{
	(void)arg;
	for (int round = 0; round < rounds; round++) {
		int p = be_in("p"), q = be_in("q");

		pthread_barrier_wait(&barrier);
		for (int i = 0; i < CALLS; i++)
			call_here(round + i);
		atomic_store(&under_way, round + 1);
		pthread_barrier_wait(&barrier);
		check_takes_a_file("p");
		check_takes_a_file("q");
		check_takes_a_file("d");
		check_takes_a_file("e");
		close(p);
		close(q);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[2];

	if (argc != 4)
		return 64;
	here = argv[1];
	there = argv[2];
	rounds = atoi(argv[3]);
	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&threads[0], NULL, work_here, NULL) ||
	    pthread_create(&threads[1], NULL, work_there, NULL))
		return 1;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	printf("%d calls here were done, %d came too late\n", done, refused);
	return failures != 0;
}
