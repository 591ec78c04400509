/* SPDX-License-Identifier: MIT */
/*
 * releases DIR DAEMON COUNT: closes COUNT flocked files of DIR at once, while the daemon (a process
 * number) is stopped, then asks for the last of the locks, and lets the daemon go on. Status 0 if
 * the lock was free, as the close came before, and 1 if not.
 *
 * Files that a process closes one by one make the daemon answer for each. Those that are on their
 * way in a socket are closed with the socket, all at once and without a question to the daemon.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES_MAX 200 /* fewer than SCM_RIGHTS takes */
#define TRIES_MAX 3000
#define TRY_US	  10000

static pid_t stopped;

static void go_on(void)
{
	if (stopped)
		kill(stopped, SIGCONT);
	stopped = 0;
}

static void die(const char *what)
{
	int err = errno;

	go_on();
	fprintf(stderr, "releases: %s: %s\n", what, strerror(err));
	exit(2);
}

static int open_one(const char *dir, int number)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/release-%d", dir, number);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		die(path);
	return fd;
}

/* From here on they are in the socket alone. */
static void send_all(int socket, const int *fds, size_t count)
{
	char space[CMSG_SPACE(FILES_MAX * sizeof(int))] = {0}, byte = 0;
	struct iovec data = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(head), fds, count * sizeof(int));
	if (sendmsg(socket, &message, 0) != 1)
		die("sendmsg");
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

/* Asks in a process of its own, since the answer comes when the daemon goes on. */
static pid_t ask(int fd)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0)
		_exit(flock(fd, LOCK_EX | LOCK_NB) < 0);
	return pid;
}

static int is_in_flock(pid_t pid)
{
	char path[64], text[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	file = fopen(path, "r");
	if (!file)
		die(path);
	if (!fgets(text, sizeof(text), file))
		*text = '\0';
	fclose(file);
	return *text >= '0' && *text <= '9' && atol(text) == SYS_flock;
}

static void wait_until_asked(pid_t pid)
{
	for (int i = 0; i < TRIES_MAX; i++) {
		if (is_in_flock(pid))
			return;
		usleep(TRY_US);
	}
	errno = ETIMEDOUT;
	die("the lock call");
}

int main(int argc, char **argv)
{
	int fds[FILES_MAX], sockets[2], last, status;
	int count = argc == 4 ? atoi(argv[3]) : 0;
	pid_t asker;

	if (count < 1 || count > FILES_MAX || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) < 0)
		return 64;
	for (int i = 0; i < count; i++) {
		fds[i] = open_one(argv[1], i);
		if (flock(fds[i], LOCK_EX) < 0)
			die("flock");
	}
	last = open_one(argv[1], count - 1);
	send_all(sockets[0], fds, (size_t)count);
	stopped = (pid_t)atol(argv[2]);
	if (kill(stopped, SIGSTOP) < 0)
		die("SIGSTOP");
	close(sockets[0]);
	close(sockets[1]);
	asker = ask(last);
	wait_until_asked(asker);
	go_on();
	if (waitpid(asker, &status, 0) < 0)
		die("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
