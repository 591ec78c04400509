/* SPDX-License-Identifier: MIT */
/*
 * caller: one system call, to be made when nobody answers.
 *
 *	caller list           the names of the calls, one a line
 *	caller CALL DIR       prepares it in DIR and prints "ready"; with the next line on stdin
 *	                      prints "calling" and makes it; prints "ok" or the errno's name, and the
 *	                      milliseconds it took
 *
 * In DIR there have to be the files "file" and "other", and the directory "dir". Signals do what
 * they do to a program that has never heard of them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static int fd;	 /* of "file" */
static DIR *dir; /* of "dir" */

static int call_open(void)
{
	return open("file", O_RDONLY);
}

static int call_create(void)
{
	return open("made", O_CREAT | O_EXCL | O_RDWR, 0600);
}

static int call_stat(void)
{
	struct stat st;

	return stat("file", &st);
}

static int call_mkdir(void)
{
	return mkdir("newdir", 0700);
}

static int call_symlink(void)
{
	return symlink("file", "symlink");
}

static int call_link(void)
{
	return link("file", "link");
}

static int call_unlink(void)
{
	return unlink("other");
}

static int call_rename(void)
{
	return rename("other", "renamed");
}

static int call_chmod(void)
{
	return fchmod(fd, 0640);
}

static int call_read(void)
{
	char byte;

	return (int)pread(fd, &byte, 1, 0);
}

static int call_write(void)
{
	return (int)pwrite(fd, "x", 1, 0);
}

static int call_flock(void)
{
	return flock(fd, LOCK_EX);
}

static int call_flock_try(void)
{
	return flock(fd, LOCK_EX | LOCK_NB);
}

static int range(int command)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, command, &all);
}

static int call_setlk(void)
{
	return range(F_SETLK);
}

static int call_setlkw(void)
{
	return range(F_SETLKW);
}

static int call_getlk(void)
{
	return range(F_GETLK);
}

static int call_readdir(void)
{
	errno = 0;
	return readdir(dir) ? 0 : -1;
}

static int call_statfs(void)
{
	struct statfs s;

	return fstatfs(fd, &s);
}

static int call_getxattr(void)
{
	char value[64];

	return (int)fgetxattr(fd, "user.dlock.token", value, sizeof(value));
}

static const struct call {
	const char *name;
	int (*make)(void);
} calls[] = {
	{"open", call_open},	     {"create", call_create},	{"stat", call_stat},
	{"mkdir", call_mkdir},	     {"symlink", call_symlink}, {"link", call_link},
	{"unlink", call_unlink},     {"rename", call_rename},	{"chmod", call_chmod},
	{"read", call_read},	     {"write", call_write},	{"flock", call_flock},
	{"flock-n", call_flock_try}, {"setlk", call_setlk},	{"setlkw", call_setlkw},
	{"getlk", call_getlk},	     {"readdir", call_readdir}, {"statfs", call_statfs},
	{"getxattr", call_getxattr},
};

#define CALL_COUNT (sizeof(calls) / sizeof(*calls))

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static const struct call *find(const char *name)
{
	for (size_t i = 0; i < CALL_COUNT; i++)
		if (!strcmp(calls[i].name, name))
			return &calls[i];
	fprintf(stderr, "caller: no call %s\n", name);
	exit(64);
}

/* A shell without job control makes its background programs ignore SIGINT. */
static void prepare(const char *where)
{
	signal(SIGINT, SIG_DFL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (chdir(where) < 0 || (fd = open("file", O_RDWR)) < 0 || !(dir = opendir("dir"))) {
		perror("caller");
		exit(1);
	}
	puts("ready");
}

int main(int argc, char **argv)
{
	const struct call *call;
	char line[16];
	long began;
	int rc;

	if (argc == 2 && !strcmp(argv[1], "list")) {
		for (size_t i = 0; i < CALL_COUNT; i++)
			puts(calls[i].name);
		return 0;
	}
	if (argc != 3)
		return 64;
	call = find(argv[1]);
	prepare(argv[2]);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	puts("calling");
	began = now_ms();
	rc = call->make();
	printf("%s %ld\n", rc < 0 ? strerrorname_np(errno) : "ok", now_ms() - began);
	return 0;
}
