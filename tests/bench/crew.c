/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "crew.h"
#include "rows.h"

void *crew_memory(size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (mem != MAP_FAILED)
		return mem;
	row_fail("mmap", "shared memory");
	return NULL;
}

void crew_memory_free(void *mem, size_t size)
{
	if (mem)
		munmap(mem, size);
}

int crew_init(struct crew *c)
{
	*c = (struct crew){.ready_fd = {-1, -1}, .go_fd = {-1, -1}};
	if (pipe(c->ready_fd) || pipe(c->go_fd))
		return row_fail("pipe for", "a crew");
	return 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int crew_start(struct crew *c, int (*work)(struct crew *c, void *arg), void *arg, uint64_t span_ns)
{
	pid_t pid = fork();

	assert(c->count < CREW_MAX);
	if (pid < 0)
		return row_fail("fork for", "a crew");
	if (pid) {
		c->pid[c->count++] = pid;
		return 0;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGALRM, SIG_DFL);
	alarm((unsigned int)(span_ns / 1000000000u) + CREW_SLACK_S);
	/* The ends that are the bench's: what they tell is that it, or all members, are gone. */
	close_one(&c->ready_fd[0]);
	close_one(&c->go_fd[1]);
	_exit(work(c, arg) ? 1 : 0);
}

int crew_ready(struct crew *c)
{
	char go;

	if (write(c->ready_fd[1], "", 1) != 1)
		return row_fail("write to", "the bench");
	return read(c->go_fd[0], &go, 1) == 1 ? 0 : -1;
}

int crew_go(struct crew *c)
{
	char ready[CREW_MAX];

	close_one(&c->ready_fd[1]);
	for (size_t i = 0; i < c->count; i++) {
		/* The end of file: all that are left have their byte written, or have ended. */
		if (read(c->ready_fd[0], ready, 1) != 1)
			return -1;
	}
	return write(c->go_fd[1], ready, c->count) == (ssize_t)c->count
		       ? 0
		       : row_fail("write to", "a crew");
}

static int member_end(pid_t pid, const char *what)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return row_fail("waitpid", what);
	}
	if (WIFSIGNALED(status))
		fprintf(stderr, "dlock-bench: %s: a process was stuck and is gone\n", what);
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -1;
}

int crew_end(struct crew *c, const char *what)
{
	int bad = 0;

	/* Who still waits to begin need not. */
	close_one(&c->go_fd[1]);
	for (size_t i = 0; i < c->count; i++)
		bad |= member_end(c->pid[i], what);
	close_one(&c->ready_fd[0]);
	close_one(&c->ready_fd[1]);
	close_one(&c->go_fd[0]);
	return bad;
}
