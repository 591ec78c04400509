/* SPDX-License-Identifier: MIT */
/*
 * locker: a program that uses files and locks as it is told, line by line on stdin, so that a test
 * in shell can have several of them wait, hold and die in any order. Every line is answered by one:
 *
 *	RESULT BEGAN ENDED VALUE...
 *
 * RESULT is "ok" or the name of the errno, BEGAN and ENDED are CLOCK_BOOTTIME in milliseconds.
 * SIGUSR1 interrupts a call (EINTR), SIGUSR2 interrupts and restarts it (SA_RESTART).
 *
 * "locker port" prints a TCP port that is free, "locker numbers" the numbers that flock and fcntl
 * have in /proc/PID/syscall.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define SLOTS	   16
#define LINE_BYTES 1024
#define DATA_BYTES (1 << 20)

static int slots[SLOTS];
static char value[LINE_BYTES];
static char data[DATA_BYTES];

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The next word of the line, "" after the last. */
static const char *word(char **rest)
{
	char *next;

	do
		next = strsep(rest, " \n");
	while (next && !*next);
	return next ? next : "";
}

static long number(char **rest)
{
	return strtol(word(rest), NULL, 0);
}

static int *slot(char **rest)
{
	return &slots[(unsigned long)number(rest) % SLOTS];
}

/* ---- Commands: each returns -1 and errno, or something else ---- */

/* open SLOT LETTERS PATH: r, w or b(oth); c(reate), x (exclusive), t(runcate), a(ppend), T
 * (tmpfile)
 */
static int do_open(char **rest)
{
	int *fd = slot(rest);
	const char *letters = word(rest);
	int flags = strchr(letters, 'b') ? O_RDWR : strchr(letters, 'w') ? O_WRONLY : O_RDONLY;

	flags |= strchr(letters, 'c') ? O_CREAT : 0;
	flags |= strchr(letters, 'x') ? O_EXCL : 0;
	flags |= strchr(letters, 't') ? O_TRUNC : 0;
	flags |= strchr(letters, 'a') ? O_APPEND : 0;
	flags |= strchr(letters, 'T') ? O_TMPFILE : 0;
	*fd = open(word(rest), flags, 0666);
	return *fd;
}

static int do_close(char **rest)
{
	int *fd = slot(rest), closed = *fd;

	*fd = -1;
	return close(closed);
}

/* dup SLOT SLOT: the second becomes another descriptor of the first's description */
static int do_dup(char **rest)
{
	int from = *slot(rest);

	return *slot(rest) = dup(from);
}

/* flock SLOT sh|ex|un [nb] */
static int do_flock(char **rest)
{
	int fd = *slot(rest);
	const char *mode = word(rest);
	int op = !strcmp(mode, "ex") ? LOCK_EX : !strcmp(mode, "sh") ? LOCK_SH : LOCK_UN;

	return flock(fd, op | (!strcmp(word(rest), "nb") ? LOCK_NB : 0));
}

static struct flock read_range(char **rest)
{
	const char *mode = word(rest);
	struct flock lock = {
		.l_type = *mode == 'r'	 ? F_RDLCK
			  : *mode == 'w' ? F_WRLCK
					 : F_UNLCK,
		.l_whence = SEEK_SET,
	};

	lock.l_start = number(rest);
	lock.l_len = number(rest);
	return lock;
}

/* posix|ofd SLOT r|w|u START LENGTH [wait] */
static int do_range(char **rest, int set, int set_wait)
{
	int fd = *slot(rest);
	struct flock lock = read_range(rest);

	return fcntl(fd, !strcmp(word(rest), "wait") ? set_wait : set, &lock);
}

static int do_posix(char **rest)
{
	return do_range(rest, F_SETLK, F_SETLKW);
}

static int do_ofd(char **rest)
{
	return do_range(rest, F_OFD_SETLK, F_OFD_SETLKW);
}

/* getlk SLOT r|w START LENGTH -> free, or r|w START LENGTH PID */
static int do_getlk(char **rest)
{
	int fd = *slot(rest);
	struct flock lock = read_range(rest);
	int rc = fcntl(fd, F_GETLK, &lock);

	if (lock.l_type == F_UNLCK)
		snprintf(value, sizeof(value), "free");
	else
		snprintf(value, sizeof(value), "%c %ld %ld %d", lock.l_type == F_RDLCK ? 'r' : 'w',
			 (long)lock.l_start, (long)lock.l_len, lock.l_pid);
	return rc;
}

/* pwrite SLOT OFFSET TEXT; write SLOT TEXT */
static int do_pwrite(char **rest)
{
	int fd = *slot(rest);
	long at = number(rest);
	const char *text = word(rest);

	return (int)pwrite(fd, text, strlen(text), at);
}

static int do_write(char **rest)
{
	int fd = *slot(rest);
	const char *text = word(rest);

	return (int)write(fd, text, strlen(text));
}

/* fill SLOT OFFSET COUNT -> how many bytes were written */
static int do_fill(char **rest)
{
	int fd = *slot(rest);
	long at = number(rest);
	ssize_t n = pwrite(fd, data, (size_t)number(rest) % (sizeof(data) + 1), at);

	snprintf(value, sizeof(value), "%zd", n);
	return (int)n;
}

/* read SLOT -> the content's first line */
/* From where the last one has ended, as of a stream; lines with a bar between them. */
static int do_next(char **rest)
{
	int fd = *slot(rest);
	ssize_t n = read(fd, data, sizeof(data) - 1);

	data[n > 0 ? n : 0] = '\0';
	for (char *c = data; *c; c++)
		*c = *c == '\n' ? '|' : *c;
	snprintf(value, sizeof(value), "%zd %.*s", n, (int)sizeof(value) - 32, data);
	return (int)n;
}

static int do_read(char **rest)
{
	char text[LINE_BYTES] = "";
	ssize_t n = pread(*slot(rest), text, sizeof(text) - 1, 0);

	snprintf(value, sizeof(value), "%.*s", (int)strcspn(text, "\n"), text);
	return (int)n;
}

/* fstat SLOT -> nlink size inode */
static int do_fstat(char **rest)
{
	struct stat st;
	int rc = fstat(*slot(rest), &st);

	if (!rc)
		snprintf(value, sizeof(value), "%lu %ld %lu", (unsigned long)st.st_nlink,
			 (long)st.st_size, (unsigned long)st.st_ino);
	return rc;
}

static int do_fsync(char **rest)
{
	return fsync(*slot(rest));
}

/* ftruncate SLOT SIZE */
static int do_ftruncate(char **rest)
{
	int fd = *slot(rest);

	return ftruncate(fd, number(rest));
}

/* getx SLOT NAME [SIZE] -> length and value, whose lines are separated by | */
static int do_getx(char **rest)
{
	int fd = *slot(rest);
	const char *name = word(rest), *size = word(rest);
	char text[LINE_BYTES - 32] = "";
	ssize_t n = fgetxattr(fd, name, text, *size ? strtoul(size, NULL, 0) : sizeof(text) - 1);

	for (char *c = text; *c; c++)
		*c = *c == '\n' ? '|' : *c;
	snprintf(value, sizeof(value), "%zd %s", n, text);
	return (int)n;
}

/* setx SLOT NAME VALUE [create|replace] */
static int do_setx(char **rest)
{
	int fd = *slot(rest);
	const char *name = word(rest), *text = word(rest), *how = word(rest);

	return fsetxattr(fd, name, text, strlen(text),
			 *how == 'c'   ? XATTR_CREATE
			 : *how == 'r' ? XATTR_REPLACE
				       : 0);
}

/* remx SLOT NAME */
static int do_remx(char **rest)
{
	int fd = *slot(rest);

	return fremovexattr(fd, word(rest));
}

/* listx SLOT [SIZE] -> length, and the names in turn */
static int do_listx(char **rest)
{
	int fd = *slot(rest);
	const char *size = word(rest);
	char text[LINE_BYTES - 32] = "";
	ssize_t n = flistxattr(fd, text, *size ? strtoul(size, NULL, 0) : sizeof(text) - 1);

	for (ssize_t i = 0; *size != '0' && i + 1 < n; i++)
		text[i] = text[i] ? text[i] : ' ';
	snprintf(value, sizeof(value), "%zd %s", n, text);
	return (int)n;
}

static int do_unlink(char **rest)
{
	return unlink(word(rest));
}

/* fork -> the pid of a child that has all descriptors and does nothing */
static int do_fork(char **rest)
{
	pid_t pid = fork();

	(void)rest;
	if (!pid)
		for (;;)
			pause();
	snprintf(value, sizeof(value), "%d", pid);
	return pid;
}

/* ---- From line to answer ---- */

static const struct command {
	const char *name;
	int (*run)(char **rest);
} commands[] = {
	{"open", do_open},   {"close", do_close},   {"dup", do_dup},
	{"flock", do_flock}, {"posix", do_posix},   {"ofd", do_ofd},
	{"getlk", do_getlk}, {"pwrite", do_pwrite}, {"write", do_write},
	{"fill", do_fill},   {"read", do_read},	    {"fstat", do_fstat},
	{"fsync", do_fsync}, {"unlink", do_unlink}, {"ftruncate", do_ftruncate},
	{"fork", do_fork},   {"getx", do_getx},	    {"setx", do_setx},
	{"remx", do_remx},   {"listx", do_listx},   {"next", do_next},
};

static int run(char *line)
{
	const char *name = word(&line);

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, name))
			return commands[i].run(&line);
	fprintf(stderr, "locker: no command %s\n", name);
	exit(64);
}

static void on_signal(int sig)
{
	(void)sig;
}

/* A shell without job control makes its background programs ignore SIGINT; nohup, SIGHUP. */
static void set_signals(void)
{
	struct sigaction interrupt = {.sa_handler = on_signal};
	struct sigaction restart = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGCHLD, SIG_IGN);
	sigaction(SIGUSR1, &interrupt, NULL);
	sigaction(SIGUSR2, &restart, NULL);
}

static int print_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0) {
		perror("locker: no port");
		return 1;
	}
	printf("%d\n", ntohs(at.sin_port));
	return 0;
}

int main(int argc, char **argv)
{
	char line[LINE_BYTES];

	if (argc > 1 && !strcmp(argv[1], "port"))
		return print_port();
	if (argc > 1 && !strcmp(argv[1], "numbers"))
		return printf("%d %d\n", SYS_flock, SYS_fcntl) < 0;
	set_signals();
	memset(data, 'x', sizeof(data));
	memset(slots, -1, sizeof(slots));
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (;;) {
		long began;
		int rc;

		/* A signal that comes between two commands is no end of the commands. */
		if (!fgets(line, sizeof(line), stdin)) {
			if (feof(stdin) || errno != EINTR)
				break;
			clearerr(stdin);
			continue;
		}
		began = now_ms();
		value[0] = '\0';
		rc = run(line);
		printf("%s %ld %ld %s\n", rc < 0 ? strerrorname_np(errno) : "ok", began, now_ms(),
		       value);
	}
	return 0;
}
