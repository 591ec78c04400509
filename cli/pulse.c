/* SPDX-License-Identifier: MIT */
#include "cli/pulse.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* The least that a read of the stream may ask for; a pipe takes that in one piece. */
#define READ_BYTES 4096
_Static_assert(READ_BYTES <= PIPE_BUF, "lines come out as they went in");

struct ends {
	int lease_fd, pipe_fd;
};

static void *bring(void *data)
{
	struct ends ends = *(struct ends *)data;
	char lines[READ_BYTES];
	ssize_t n;

	free(data);
	do {
		n = read(ends.lease_fd, lines, sizeof(lines));
		if (n > 0 && write(ends.pipe_fd, lines, (size_t)n) != n)
			break;
	} while (n > 0 || (n < 0 && errno == EINTR));
	close(ends.pipe_fd);
	return NULL;
}

int pulse_start(int lease_fd)
{
	struct ends *ends = malloc(sizeof(*ends));
	pthread_t thread;
	int pipe_fds[2];

	if (!ends || pipe2(pipe_fds, O_CLOEXEC) < 0) {
		free(ends);
		return -1;
	}
	fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
	*ends = (struct ends){lease_fd, pipe_fds[1]};
	errno = pthread_create(&thread, NULL, bring, ends);
	if (!errno) {
		pthread_detach(thread);
		return pipe_fds[0];
	}
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	free(ends);
	return -1;
}
