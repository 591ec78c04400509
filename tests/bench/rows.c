/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "rows.h"

void row_path(char *path, size_t size, const char *dir, int n)
{
	snprintf(path, size, "%s/bench.%d.%d", dir, (int)getpid(), n);
}

int row_fail(const char *what, const char *path)
{
	fprintf(stderr, "dlock-bench: %s %s: %s\n", what, path, strerror(errno));
	return -1;
}

int row_make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0666);

	if (fd < 0)
		return row_fail("open", path);
	return close(fd) ? row_fail("close", path) : 0;
}

static int step_flock(const char *path, int fd)
{
	if (flock(fd, LOCK_EX))
		return row_fail("flock", path);
	if (flock(fd, LOCK_UN))
		return row_fail("unlock", path);
	return 0;
}

/* As flock(1) and "exec 9>file; flock 9" do it: the close is what unlocks. */
static int step_open_flock_close(const char *path, int unused)
{
	int fd = open(path, O_RDONLY | O_CREAT | O_NOCTTY, 0666);

	if (fd < 0)
		return row_fail("open", path);
	if (flock(fd, LOCK_EX)) {
		row_fail("flock", path);
		close(fd);
		return -1;
	}
	return close(fd) ? row_fail("close", path) : 0;
}

static int step_excl_close_unlink(const char *path, int unused)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);

	if (fd < 0)
		return row_fail("create", path);
	if (close(fd))
		return row_fail("close", path);
	return unlink(path) ? row_fail("unlink", path) : 0;
}

static int step_fcntl(const char *path, int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_SETLKW, &lock))
		return row_fail("fcntl lock", path);
	lock.l_type = F_UNLCK;
	if (fcntl(fd, F_SETLK, &lock))
		return row_fail("fcntl unlock", path);
	return 0;
}

/* One clock call a pair: the end of one is the beginning of the next. */
static int64_t repeat(const struct row *row, const char *path, int fd, uint64_t span_ns,
		      struct latency *lat)
{
	const uint64_t start = now_ns();
	uint64_t before, now = start;

	do {
		before = now;
		if (row->step(path, fd))
			return -1;
		now = now_ns();
		latency_add(lat, now - before);
	} while (now - start < span_ns);
	return (int64_t)(now - start);
}

static int64_t run_on_open_file(const struct row *row, const struct target *t, uint64_t span_ns,
				struct latency *lat)
{
	char path[4096];
	int64_t took;
	int fd;

	row_path(path, sizeof(path), t->dir[0], 0);
	fd = open(path, O_RDWR | O_CREAT, 0666);
	if (fd < 0)
		return row_fail("open", path);
	took = repeat(row, path, fd, span_ns, lat);
	close(fd);
	unlink(path);
	return took;
}

static int64_t run_on_name(const struct row *row, const struct target *t, uint64_t span_ns,
			   struct latency *lat)
{
	char path[4096];
	int64_t took;

	row_path(path, sizeof(path), t->dir[0], 0);
	took = repeat(row, path, -1, span_ns, lat);
	unlink(path);
	return took;
}

int row_repeat(const struct row *row, const struct target *t, int count)
{
	char path[4096];
	int fd = -1, err = 0;

	row_path(path, sizeof(path), t->dir[0], 0);
	if (row->run == run_on_open_file) {
		fd = open(path, O_RDWR | O_CREAT, 0666);
		if (fd < 0)
			return row_fail("open", path);
	}
	for (int i = 0; i < count && !err; i++)
		err = row->step(path, fd);
	if (fd >= 0)
		close(fd);
	unlink(path);
	return err;
}

const struct row rows[] = {
	{.id = "flock",
	 .title = "flock pair, open file",
	 .run = run_on_open_file,
	 .step = step_flock},
	{.id = "open_flock_close",
	 .title = "open+flock+close",
	 .run = run_on_name,
	 .step = step_open_flock_close},
	{.id = "excl_close_unlink",
	 .title = "O_EXCL+close+unlink",
	 .run = run_on_name,
	 .step = step_excl_close_unlink},
	{.id = "fcntl",
	 .title = "fcntl pair, open file",
	 .run = run_on_open_file,
	 .step = step_fcntl},
	{.id = "many", .title = "16 processes, flock", .run = crowd_run, .step = step_flock},
	{.id = "handover",
	 .title = "hand-over, 2 processes",
	 .run = handover_run,
	 .beside_nng = true},
	{.id = "contended",
	 .title = "contended, 2 processes",
	 .run = contended_run,
	 .beside_nng = true,
	 .may_be_empty = true},
};
const size_t rows_count = sizeof(rows) / sizeof(rows[0]);
