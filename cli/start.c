/* SPDX-License-Identifier: MIT */
#include "cli/start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/terminal.h"

/* Shells name the descriptors up to 9, and keep their own from 10 on. */
#define FD_MIN 60

/* A copy that is inherited; with few descriptors allowed, under any number. */
static int inheritable(int fd)
{
	int copy = fcntl(fd, F_DUPFD, FD_MIN);

	return copy < 0 && errno == EINVAL ? fcntl(fd, F_DUPFD, 0) : copy;
}

static void lend_terminal(void)
{
	struct terminal t;

	terminal_open(&t);
	if (t.fd >= 0)
		tcsetpgrp(t.fd, getpid());
	terminal_close(&t);
}

/* In the child. Comes back with errno only. */
static void become(const struct job *job, const struct origin *origin, pid_t parent, int lock_fd,
		   int marker_fd, const char *token)
{
	if (setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return;
	if (getppid() != parent)
		_exit(1); /* it died before it could be our death */
	if (inheritable(lock_fd) < 0 || inheritable(marker_fd) < 0)
		return;
	if (setenv("DLOCK_NAME", job->name, 1) < 0 || setenv("DLOCK_TOKEN", token, 1) < 0)
		return;
	if (origin->lend)
		lend_terminal();
	sigaction(SIGCHLD, &origin->on_child, NULL);
	sigprocmask(SIG_SETMASK, &origin->mask, NULL);
	execvp(job->argv[0], job->argv);
}

pid_t start_command(const struct job *job, const struct origin *origin, int lock_fd, int marker_fd,
		    const char *token)
{
	int said[2], err = 0;
	pid_t pid, parent = getpid();

	if (pipe2(said, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (!pid) {
		become(job, origin, parent, lock_fd, marker_fd, token);
		err = errno;
		if (write(said[1], &err, sizeof(err)) != sizeof(err))
			_exit(2);
		_exit(1);
	}
	err = pid < 0 ? errno : 0;
	close(said[1]);
	/* Its end is closed by execvp. */
	if (pid > 0 && read(said[0], &err, sizeof(err)) < 0)
		err = errno;
	close(said[0]);
	if (!err)
		return pid;
	if (pid > 0)
		waitpid(pid, NULL, 0);
	errno = err;
	return -1;
}
