/* SPDX-License-Identifier: MIT */
#include "tests/processes.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Each byte asks for a process. The end of the input, which is the test's, ends them all. */
static void lead(int in, int out)
{
	struct pollfd end = {.fd = in};
	char byte;

	setsid();
	while (read(in, &byte, 1) == 1) {
		pid_t pid = fork();

		if (!pid) {
			poll(&end, 1, -1); /* POLLHUP, once nobody can write there */
			_exit(0);
		}
		if (write(out, &pid, sizeof(pid)) != sizeof(pid))
			break;
	}
	_exit(0);
}

struct leader leader_new(void)
{
	int in[2], out[2];
	struct leader l;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	assert_int_equal(pipe2(in, 0), 0);
	assert_int_equal(pipe2(out, 0), 0);
	l.pid = fork();
	assert_true(l.pid >= 0);
	if (!l.pid) {
		close_range(3, (unsigned)in[0] - 1, 0); /* of other leaders */
		close(in[1]);
		close(out[0]);
		lead(in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	l.to = in[1];
	l.from = out[0];
	process_kill(leader_fork(&l)); /* it has its session by now */
	return l;
}

pid_t leader_fork(const struct leader *l)
{
	pid_t pid = 0;

	assert_int_equal(write(l->to, "f", 1), 1);
	assert_int_equal(read(l->from, &pid, sizeof(pid)), sizeof(pid));
	assert_true(pid > 0);
	return pid;
}

void process_kill(pid_t pid)
{
	struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

	assert_true(end.fd >= 0);
	kill(pid, SIGKILL);
	assert_int_equal(poll(&end, 1, -1), 1);
	close(end.fd);
}

void leader_end(struct leader *l)
{
	process_kill(l->pid);
	assert_int_equal(waitpid(l->pid, NULL, 0), l->pid);
	close(l->from);
}
