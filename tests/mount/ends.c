/* SPDX-License-Identifier: MIT */
/*
 * ends: prints when processes end, as "PID MILLISECONDS" on CLOCK_BOOTTIME, each at its end, and
 * ends when all have:
 *
 *	ends PID...
 *
 * Before that "watching", once nobody can end unseen. Who has ended before counts as ended now.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PIDS_MAX 64

static void print_end(const char *pid)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	printf("%s %ld\n", pid, ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

int main(int argc, char **argv)
{
	struct pollfd fds[PIDS_MAX];
	int left = argc - 1;

	if (argc < 2 || argc - 1 > PIDS_MAX)
		return 64;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < argc - 1; i++) {
		int fd = (int)syscall(SYS_pidfd_open, atoi(argv[i + 1]), 0);

		fds[i] = (struct pollfd){.fd = fd, .events = POLLIN};
		if (fd < 0) {
			print_end(argv[i + 1]);
			left--;
		}
	}
	puts("watching");
	while (left > 0) {
		if (poll(fds, (nfds_t)(argc - 1), -1) < 0)
			continue;
		for (int i = 0; i < argc - 1; i++) {
			if (fds[i].fd < 0 || !fds[i].revents)
				continue;
			print_end(argv[i + 1]);
			close(fds[i].fd);
			fds[i].fd = -1;
			left--;
		}
	}
	return 0;
}
