/* SPDX-License-Identifier: MIT */
#include "cli/take.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/control.h"
#include "cli/patience.h"
#include "cli/say.h"

#define FILE_MODE 0666

/* ---- The file ---- */

/* With O_CREAT a file that another user made in the root, which is as /tmp, may be refused
 * (fs.protected_regular), though it may be locked. */
static int open_file(const struct job *job)
{
	int flags = O_RDONLY | O_NOCTTY | O_CLOEXEC;
	int fd = openat(job->mount->fd, job->name, flags);

	if (fd < 0 && errno == ENOENT)
		fd = openat(job->mount->fd, job->name, flags | O_CREAT, FILE_MODE);
	if (fd < 0 && errno == EACCES)
		fd = openat(job->mount->fd, job->name, flags);
	return fd;
}

static int refuse(const struct job *job, const char *why, int status)
{
	say_error("%s: %s", job->name, why);
	return status;
}

static int refuse_open(const struct job *job)
{
	if (errno == EIO)
		return refuse(job, "no master answers", EX_OSERR);
	if (errno == ENOTCONN)
		return refuse(job, "the mount's dlockfs has ended", EX_OSERR);
	if (errno == ENOMEM || errno == EMFILE || errno == ENFILE)
		return refuse(job, strerror(errno), EX_OSERR);
	return refuse(job, strerror(errno), EX_NOINPUT);
}

/* What flock(2) would lock on this node alone is no lock. */
static int check(const struct job *job, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return refuse_open(job);
	if (S_ISDIR(st.st_mode))
		return refuse(job, "is a directory: no flock on it is seen by other nodes",
			      EX_NOINPUT);
	if (st.st_dev != job->mount->dev)
		return refuse(job, "leads out of the mount", EX_NOINPUT);
	return 0;
}

static int open_checked(const struct job *job, int *fd)
{
	int status;

	*fd = open_file(job);
	if (*fd < 0)
		return refuse_open(job);
	status = check(job, *fd);
	if (status)
		close(*fd);
	return status;
}

/* ---- The lock ---- */

/* 0: locked; EIO: the session of the open has ended, and another begins with the next. */
static int lock(const struct job *job, int fd)
{
	int how = job->shared ? LOCK_SH : LOCK_EX;

	if (job->nonblock || patience_over())
		how |= LOCK_NB;
	while (flock(fd, how) < 0) {
		if (errno != EINTR)
			return errno;
		if (patience_over())
			return EWOULDBLOCK;
	}
	return 0;
}

int take_lock(const struct job *job, int *lock_fd)
{
	int fd, err, status;

	patience_begin(job->nonblock ? PATIENCE_FOREVER : job->wait_ns);
	do {
		status = open_checked(job, &fd);
		if (status)
			return status;
		err = lock(job, fd);
		if (err)
			close(fd);
	} while (err == EIO);
	patience_end();
	if (err == EWOULDBLOCK)
		return -1;
	if (err == ENOLCK)
		return refuse(job, "no master answers", EX_OSERR);
	if (err)
		return refuse(job, strerror(err), err == ENOMEM ? EX_OSERR : EX_DATAERR);
	*lock_fd = fd;
	return 0;
}

/* ---- What goes with it ---- */

static bool read_token(int fd, char token[TAKE_TOKEN_BYTES])
{
	ssize_t n = fgetxattr(fd, "user.dlock.token", token, TAKE_TOKEN_BYTES - 1);

	if (n <= 0)
		return false;
	token[n] = '\0';
	return true;
}

static bool read_line(int fd, struct taken *t)
{
	ssize_t n;

	do {
		n = read(fd, t->line, sizeof(t->line));
	} while (n < 0 && errno == EINTR);
	t->line_len = n > 0 ? (size_t)n : 0;
	return n > 0;
}

/*
 * The lease is opened after the lock, and then the lock is tried by a read, which a session that has
 * ended refuses: so the lock's session lived when the lease was opened, and is that of the lease.
 */
int take_lease(const struct job *job, int lock_fd, struct taken *out)
{
	char byte;

	out->lock_fd = lock_fd;
	out->lease_fd = control_open(job->mount, "lease", O_RDONLY);
	if (out->lease_fd < 0)
		return EX_OSERR;
	if (!read_line(out->lease_fd, out))
		return refuse(job, "the mount does not tell of its lease", EX_OSERR);
	if (!read_token(lock_fd, out->token))
		return refuse(job, errno == EIO ? "the lock was lost" : strerror(errno), EX_OSERR);
	if (pread(lock_fd, &byte, 1, 0) < 0)
		return refuse(job, errno == EIO ? "the lock was lost" : strerror(errno),
			      errno == EIO ? EX_TEMPFAIL : EX_OSERR);
	return 0;
}
