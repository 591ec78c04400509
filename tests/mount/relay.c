/* SPDX-License-Identifier: MIT */
/*
 * relay: stands between nodes and their master, on Unix sockets, so that a test can cut them off
 * while the connections stay up: SIGSTOP, and SIGCONT to let everything through.
 *
 *	relay LISTEN-PATH MASTER-PATH [MILLISECONDS]
 *
 * With the third argument it is a long way: so long each piece of what is said takes.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PAIRS_MAX    32
#define BUFFER_BYTES 65536

/* [2i] and [2i + 1] are the two ends of one connection; the last is the listener. */
static struct pollfd fds[2 * PAIRS_MAX + 1];

static unsigned way_ms;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	return at;
}

static int listen_at(const char *path)
{
	struct sockaddr_un at = address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, PAIRS_MAX) < 0)
		die(path);
	return fd;
}

/* A node whose master is not there finds the connection closed, and tries again. */
static void begin(int listener, const char *master)
{
	struct sockaddr_un at = address(master);
	int node = accept(listener, NULL, NULL), fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t i = 0;

	while (i < PAIRS_MAX && fds[2 * i].fd >= 0)
		i++;
	if (node >= 0 && fd >= 0 && i < PAIRS_MAX &&
	    connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0) {
		fds[2 * i].fd = node;
		fds[2 * i + 1].fd = fd;
		return;
	}
	close(node);
	close(fd);
}

static void end(size_t pair)
{
	for (size_t i = 2 * pair; i < 2 * pair + 2; i++) {
		close(fds[i].fd);
		fds[i].fd = -1;
	}
}

static void copy(size_t from)
{
	static char buffer[BUFFER_BYTES];
	int to = fds[from ^ 1].fd;
	ssize_t len = read(fds[from].fd, buffer, sizeof(buffer)), at = 0;

	usleep(way_ms * 1000);
	while (at < len) {
		ssize_t n = write(to, buffer + at, (size_t)(len - at));

		if (n <= 0)
			break;
		at += n;
	}
	if (len <= 0 || at < len)
		end(from / 2);
}

int main(int argc, char **argv)
{
	struct pollfd *listener = &fds[2 * PAIRS_MAX];

	if (argc != 3 && argc != 4)
		return 64;
	way_ms = argc == 4 ? (unsigned)atoi(argv[3]) : 0;
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < 2 * PAIRS_MAX; i++)
		fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	*listener = (struct pollfd){.fd = listen_at(argv[1]), .events = POLLIN};
	for (;;) {
		if (poll(fds, 2 * PAIRS_MAX + 1, -1) < 0)
			continue;
		if (listener->revents)
			begin(listener->fd, argv[2]);
		for (size_t i = 0; i < 2 * PAIRS_MAX; i++)
			if (fds[i].fd >= 0 && fds[i].revents)
				copy(i);
	}
}
