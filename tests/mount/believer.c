/* SPDX-License-Identifier: MIT */
/*
 * believer: a holder who looks, and a witness of when he believed.
 *
 *	believer hold NAME PATH RECORD    until SIGTERM: takes the flock of PATH, proves over and
 *	                                  over that it is his, and when a call fails takes it anew
 *	believer check RECORD...          of all nodes: did two of them ever believe at once?
 *	believer token PATH               user.dlock.token, or the name of the errno
 *
 * What is proven. A belief is an interval [from, to] of CLOCK_BOOTTIME in RECORD, which is not on
 * the file system under test. `from` is read after flock(2) has returned: the grant was before. `to`
 * is read before a call through the locked descriptor that then succeeded: the node still took itself
 * for the holder after it. So the two ends are moved towards each other, and an overlap of two
 * intervals cannot be the fault of a slow machine: one node has told a program "it is yours" after
 * another one had. Belief ends with the first call that fails, and with it the interval.
 *
 * What is not: that a program has stopped which does not look. With onloss=none nobody stops it; it
 * is told at its next call, and what it does elsewhere before that is its own affair.
 *
 * The proofs also see what a late holder has done: each writes a line of its own and must read it
 * back, so that a write which took effect under somebody else's lock shows there. And descriptors of
 * a lost belief are kept and tried again under each later one: they must give EIO for good.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define BELIEFS_MAX 4096 /* intervals, in all records */
#define DEAD_MAX    8	 /* descriptors of lost beliefs, kept open */
#define LINE_BYTES  80	 /* of a record, and of what is written under the lock */
#define PAUSE_NS    2000000

static volatile sig_atomic_t stopping;

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "believer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static _Noreturn void violation(const char *what)
{
	fprintf(stderr, "believer: VIOLATION: %s\n", what);
	exit(2);
}

/* ---- Holding ---- */

struct believer {
	const char *name, *path;
	int record;
	long beliefs; /* so far: the place in the record */
	long proofs;
	int64_t from;
	int dead[DEAD_MAX];
	size_t dead_count;
};

/* One line for each belief, written again with each proof: it is right whenever we are killed. */
static void note(const struct believer *b, int64_t to, const char *state)
{
	char line[LINE_BYTES + 1];

	snprintf(line, sizeof(line), "%19lld %19lld %-*s\n", (long long)b->from, (long long)to,
		 LINE_BYTES - 41, state);
	if (pwrite(b->record, line, LINE_BYTES, b->beliefs * LINE_BYTES) != LINE_BYTES)
		die("the record");
}

/* What is in the file must be what this holder wrote. False: a call failed. */
static bool write_and_read(struct believer *b, int fd)
{
	char mine[LINE_BYTES] = "", is[LINE_BYTES];

	snprintf(mine, sizeof(mine), "%s %ld", b->name, ++b->proofs);
	if (pwrite(fd, mine, sizeof(mine), 0) != sizeof(mine))
		return false;
	if (pread(fd, is, sizeof(is), 0) != sizeof(is))
		return false;
	if (memcmp(mine, is, sizeof(is)) != 0) {
		is[LINE_BYTES - 1] = '\0';
		fprintf(stderr, "believer: %s reads \"%s\" for \"%s\"\n", b->name, is, mine);
		violation("somebody has written under our lock");
	}
	return true;
}

/* The calls take turns, since each could be the one that does not look at the lease. */
static bool prove(struct believer *b, int fd)
{
	switch (b->proofs % 4) {
	case 0:
		b->proofs++;
		return fsync(fd) == 0;
	case 1:
		b->proofs++;
		return flock(fd, LOCK_EX) == 0;
	default:
		return write_and_read(b, fd);
	}
}

static void try_the_dead(const struct believer *b)
{
	char byte;
	struct stat st;

	for (size_t i = 0; i < b->dead_count; i++) {
		if (pread(b->dead[i], &byte, 1, 0) >= 0 || errno != EIO)
			violation("a lost descriptor can be read again");
		if (pwrite(b->dead[i], "x", 1, 0) >= 0 || errno != EIO)
			violation("a lost descriptor can be written again");
		if (flock(b->dead[i], LOCK_EX | LOCK_NB) == 0 || errno != EIO)
			violation("a lost descriptor can be locked again");
		if (fstat(b->dead[i], &st) < 0)
			violation("fstat of a lost descriptor fails");
	}
}

static void bury(struct believer *b, int fd)
{
	if (b->dead_count == DEAD_MAX && close(b->dead[--b->dead_count]) < 0)
		violation("close of a lost descriptor fails");
	b->dead[b->dead_count++] = fd;
}

/* From the grant to the first failure, or until told to stop. */
static void believe(struct believer *b, int fd)
{
	char state[LINE_BYTES];
	int64_t to = b->from = now_ns();

	note(b, to, "holds");
	try_the_dead(b);
	while (!stopping) {
		int64_t before = now_ns();

		if (!prove(b, fd)) {
			if (errno == EINTR)
				continue;
			snprintf(state, sizeof(state), "lost by %s", strerrorname_np(errno));
			note(b, to, state);
			b->beliefs++;
			bury(b, fd);
			return;
		}
		to = before;
		note(b, to, "holds");
		pause_a_little();
	}
	note(b, to, "freed");
	b->beliefs++;
	close(fd);
}

static void on_term(int sig)
{
	(void)sig;
	stopping = 1;
}

/* A call that fails before there is a lock is no belief: it is only made again. */
static int hold(struct believer *b, const char *record)
{
	sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_term}, NULL);
	b->record = open(record, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (b->record < 0)
		die(record);
	while (!stopping) {
		int fd = open(b->path, O_RDWR | O_CREAT, 0666);

		if (fd >= 0 && flock(fd, LOCK_EX) == 0) {
			believe(b, fd);
			continue;
		}
		if (fd >= 0)
			close(fd);
		pause_a_little();
	}
	return 0;
}

/* ---- Checking ---- */

struct interval {
	int64_t from, to;
	const char *record;
};

static struct interval intervals[BELIEFS_MAX];
static size_t interval_count;

static void load(const char *record)
{
	FILE *in = fopen(record, "r");
	long long from, to;

	if (!in)
		die(record);
	while (fscanf(in, "%lld %lld %*[^\n]", &from, &to) == 2) {
		if (interval_count == BELIEFS_MAX || from > to) {
			fprintf(stderr, "believer: %s is no record\n", record);
			exit(1);
		}
		intervals[interval_count++] = (struct interval){from, to, record};
	}
	fclose(in);
}

static int by_start(const void *a, const void *b)
{
	const struct interval *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* In the order of their starts each must be over before the next one begins. */
static int check(void)
{
	int bad = 0;

	qsort(intervals, interval_count, sizeof(*intervals), by_start);
	for (size_t i = 1; i < interval_count; i++) {
		const struct interval *a = &intervals[i - 1], *b = &intervals[i];

		if (a->to <= b->from)
			continue;
		bad = 1;
		printf("%s believed until %lld, and %s from %lld: %lld ns too long\n", a->record,
		       (long long)a->to, b->record, (long long)b->from,
		       (long long)(a->to - b->from));
	}
	printf("%zu beliefs, %s\n", interval_count, bad ? "OVERLAPS" : "none overlap");
	return bad;
}

static int token(const char *path)
{
	char value[LINE_BYTES];
	ssize_t len = getxattr(path, "user.dlock.token", value, sizeof(value));

	if (len < 0)
		printf("%s\n", strerrorname_np(errno));
	else
		printf("%.*s\n", (int)len, value);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "hold")) {
		struct believer b = {.name = argv[2], .path = argv[3]};

		return hold(&b, argv[4]);
	}
	if (argc > 2 && !strcmp(argv[1], "check")) {
		for (int i = 2; i < argc; i++)
			load(argv[i]);
		return check();
	}
	if (argc == 3 && !strcmp(argv[1], "token"))
		return token(argv[2]);
	fprintf(stderr, "believer: see the top of believer.c\n");
	return 64;
}
