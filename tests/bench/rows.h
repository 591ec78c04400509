/* SPDX-License-Identifier: MIT */
/*
 * What the bench measures: one row is one thing that programs do with a lock file.
 *
 * A row's run() makes the files it needs in the target's folders, does the row's pair over and over
 * for about @span_ns, adds the latency of each pair to @lat, and removes the files. It returns the
 * nanoseconds which those pairs took in all, or -1 after an error, which it has then printed to
 * stderr (what failed, on what, why).
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include "latency.h"

struct target {
	const char *name;
	const char *dir[2]; /* the same folder twice, or one file system through two mounts */
};

struct row {
	const char *id;	   /* for programs */
	const char *title; /* for people */
	bool beside_nng;   /* nng's round trip is measured in the same rounds (echo.h) */
	bool may_be_empty; /* no pair at all is a result, too */
	int64_t (*run)(const struct row *row, const struct target *t, uint64_t span_ns,
		       struct latency *lat);
	/* Of the rows of one kind of pair: one. @fd is that of @path, or -1 for those that open it. */
	int (*step)(const char *path, int fd);
};

extern const struct row rows[];
extern const size_t rows_count;

/* The rows with more than one process; each is in a file of its own. */
int64_t crowd_run(const struct row *row, const struct target *t, uint64_t span_ns,
		  struct latency *lat);
int64_t handover_run(const struct row *row, const struct target *t, uint64_t span_ns,
		     struct latency *lat);
int64_t contended_run(const struct row *row, const struct target *t, uint64_t span_ns,
		      struct latency *lat);

/* "dir/bench.PID.N" in @path; a name of this process, so that two benches can share a target. */
void row_path(char *path, size_t size, const char *dir, int n);

/* Does the pair of a row of one process @count times, in the first folder. 0, or -1 and a line. */
int row_repeat(const struct row *row, const struct target *t, int count);

/*
 * Makes the file that two processes are to open at once. (With O_CREAT in both, one of them fails on
 * some peers.) 0, or -1 after an error, which it prints.
 */
int row_make_file(const char *path);

/* Prints "what path: reason" from errno; returns -1. */
int row_fail(const char *what, const char *path);

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

#endif
