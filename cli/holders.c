/* SPDX-License-Identifier: MIT */
#include "cli/holders.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PIPE_NAME_BYTES sizeof("pipe:[18446744073709551615]")

/* A link of /proc is read without a word to the file system of the file. */
static bool has_pipe(const char *pid, const char *pipe_name)
{
	char path[sizeof("/proc/2147483647/fd")], link[PIPE_NAME_BYTES + 1];
	struct dirent *e;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.10s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false; /* it has ended, or is not ours to signal */
	while (!found && (e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, link, sizeof(link) - 1);

		link[n > 0 ? n : 0] = '\0';
		found = !strcmp(link, pipe_name);
	}
	closedir(dir);
	return found;
}

/* The number is looked at between taking hold of the process and signalling it: no other process
 * that gets it later is meant. */
static bool signal_if(const char *word, const char *pipe_name, int group, int signal)
{
	pid_t pid = (pid_t)strtol(word, NULL, 10);
	bool sent = false;
	int pidfd;

	if (pid <= 1 || pid == getpid() || getpgid(pid) == group)
		return false;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return false;
	if (has_pipe(word, pipe_name))
		sent = !syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
	close(pidfd);
	return sent;
}

int holders_signal(uint64_t pipe_ino, int group, int signal)
{
	char pipe_name[PIPE_NAME_BYTES];
	struct dirent *e;
	DIR *proc = opendir("/proc");
	int count = 0;

	if (!proc)
		return 0;
	snprintf(pipe_name, sizeof(pipe_name), "pipe:[%" PRIu64 "]", pipe_ino);
	while ((e = readdir(proc)))
		count += signal_if(e->d_name, pipe_name, group, signal);
	closedir(proc);
	return count;
}
