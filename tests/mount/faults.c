/* SPDX-License-Identifier: MIT */
/*
 * faults: preloaded into a daemon (LD_PRELOAD), so that a test can set its wall clock and break its
 * disk while it runs, and nobody else's. From the environment:
 *
 *	DLOCK_TEST_SHIFT=FILE    the seconds by which CLOCK_REALTIME is off; missing or empty: none
 *	DLOCK_TEST_BROKEN=FILE   while it exists, fsync and fdatasync fail with EIO
 *
 * The kernel's calls are made directly: what is preloaded must not call itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift_s(void)
{
	const char *path = getenv("DLOCK_TEST_SHIFT");
	char text[32] = "";
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return strtol(text, NULL, 10);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	if (!rc && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += shift_s();
	return rc;
}

time_t time(time_t *out)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out)
		*out = ts.tv_sec;
	return ts.tv_sec;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec ts;

	(void)tz;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

static int sync_or_fail(long call, int fd)
{
	const char *path = getenv("DLOCK_TEST_BROKEN");

	if (path && access(path, F_OK) == 0) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(call, fd);
}

int fsync(int fd)
{
	return sync_or_fail(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return sync_or_fail(SYS_fdatasync, fd);
}
