/* SPDX-License-Identifier: MIT */
/*
 * many: a crowd of names, made and used by some threads at once, each in a directory of its own,
 * since the kernel lets only one at a time make names in a directory.
 *
 *	many dirs DIR               their directories
 *	many make DIR FROM TO       names of these numbers by O_CREAT|O_EXCL
 *	many stat DIR FROM TO       they exist and are regular files
 *	many list DIR FROM TO       readdir shows exactly them, each once
 *	many remove DIR FROM TO     unlink
 *	many tree DIR COUNT         COUNT directories, each in the one before
 *	many probe DIR              statfs, once a millisecond, until SIGTERM
 *
 * Prints milliseconds: how long it took; for probe, the longest that a call took. Exit 1 with a
 * line on stderr if something is not as it should be.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#define THREADS	   32
#define PROBE_MS   1
#define NAME_BYTES 32

static const char *dir;
static long from, to;
static bool (*step)(int in, const char *name);

static long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void die(const char *what, const char *on)
{
	fprintf(stderr, "many: %s %s: %s\n", what, on, strerror(errno));
	exit(1);
}

static void name_of(char *name, long number)
{
	snprintf(name, NAME_BYTES, "held-%06ld.lock", number);
}

static bool make_one(int in, const char *name)
{
	int fd = openat(in, name, O_CREAT | O_EXCL | O_WRONLY, 0644);

	return fd >= 0 && close(fd) == 0;
}

static bool stat_one(int in, const char *name)
{
	struct stat st;

	return fstatat(in, name, &st, 0) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

static bool remove_one(int in, const char *name)
{
	return unlinkat(in, name, 0) == 0;
}

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		die("open", path);
	return fd;
}

/* The directory of a thread. */
static int open_part(long part)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%02ld", dir, part);
	return open_dir(path);
}

static void make_dirs(void)
{
	char path[PATH_MAX];

	for (long part = 0; part < THREADS; part++) {
		snprintf(path, sizeof(path), "%s/%02ld", dir, part);
		if (mkdir(path, 0755) < 0)
			die("mkdir", path);
	}
}

static void *work(void *arg)
{
	long self = (long)arg;
	int in = open_part(self);
	char name[NAME_BYTES];

	for (long i = from; i < to; i++) {
		if (i % THREADS != self)
			continue;
		name_of(name, i);
		if (!step(in, name))
			die("at", name);
	}
	close(in);
	return NULL;
}

static void all_threads(void)
{
	pthread_t threads[THREADS];

	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			die("pthread_create", "");
	for (long i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* Returns how many names there are. */
static long list_part(long part, bool *seen)
{
	DIR *d = fdopendir(open_part(part));
	struct dirent *e;
	char name[NAME_BYTES];
	long found = 0, number;

	if (!d)
		die("opendir in", dir);
	errno = 0;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		number = strtol(e->d_name + strlen("held-"), NULL, 10);
		name_of(name, number);
		errno = 0;
		if (number < from || number >= to || strcmp(name, e->d_name) || seen[number])
			die("a name that should not be listed", e->d_name);
		seen[number] = true;
		found++;
	}
	if (errno)
		die("readdir in", dir);
	closedir(d);
	return found;
}

static void list(void)
{
	bool *seen = calloc((size_t)to + 1, sizeof(*seen));
	long found = 0;

	if (!seen)
		die("calloc", dir);
	for (long part = 0; part < THREADS; part++)
		found += list_part(part, seen);
	free(seen);
	if (found != to - from)
		die("not all names are listed in", dir);
}

static void tree(long count)
{
	int in = open_dir(dir), next;

	for (long i = 0; i < count; i++) {
		if (mkdirat(in, "d", 0755) < 0)
			die("mkdir in", dir);
		next = openat(in, "d", O_RDONLY | O_DIRECTORY);
		if (next < 0)
			die("open in", dir);
		close(in);
		in = next;
	}
	close(in);
}

static volatile sig_atomic_t ended;

static void on_term(int sig)
{
	(void)sig;
	ended = 1;
}

static long probe(void)
{
	struct sigaction end = {.sa_handler = on_term, .sa_flags = SA_RESTART};
	struct statfs fs;
	long longest = 0;

	sigaction(SIGTERM, &end, NULL);
	while (!ended) {
		long began = now_us(), took;

		if (statfs(dir, &fs) < 0)
			die("statfs", dir);
		took = now_us() - began;
		longest = took > longest ? took : longest;
		poll(NULL, 0, PROBE_MS);
	}
	return longest;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	long began = now_us(), took;

	dir = argc > 2 ? argv[2] : "";
	from = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
	to = argc > 4 ? strtol(argv[4], NULL, 10) : from;
	step = !strcmp(what, "make")	 ? make_one
	       : !strcmp(what, "stat")	 ? stat_one
	       : !strcmp(what, "remove") ? remove_one
					 : NULL;
	if (step)
		all_threads();
	else if (!strcmp(what, "dirs"))
		make_dirs();
	else if (!strcmp(what, "list"))
		list();
	else if (!strcmp(what, "tree"))
		tree(from);
	else if (strcmp(what, "probe") != 0)
		return fprintf(stderr, "see the head of many.c\n"), 64;
	took = strcmp(what, "probe") ? now_us() - began : probe();
	printf("%ld\n", took / 1000);
	return 0;
}
