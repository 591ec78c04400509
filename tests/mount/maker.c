/* SPDX-License-Identifier: MIT */
/*
 * maker: processes that make and remove files in one directory as fast as they can, so that at
 * almost any moment one of them has the directory locked in the kernel and waits for an answer:
 *
 *	maker DIRECTORY COUNT
 *
 * Each ends with the first error; the program ends when all have, or takes all with it when killed.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void make(const char *directory, pid_t parent)
{
	char name[32];
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || chdir(directory) < 0)
		_exit(1);
	snprintf(name, sizeof(name), "maker-%d", getpid());
	while ((fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600)) >= 0) {
		close(fd);
		if (unlink(name) < 0)
			break;
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	pid_t parent = getpid();
	int count = argc == 3 ? atoi(argv[2]) : 0;

	if (count < 1)
		return 64;
	for (int i = 0; i < count; i++)
		if (fork() == 0)
			make(argv[1], parent);
	while (wait(NULL) > 0)
		;
	return 0;
}
