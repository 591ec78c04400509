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
#include <stdbool.h>
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

static int call_rename_over(void)
{
	return rename("other", "file");
}

static int call_rmdir(void)
{
	return rmdir("dir");
}

static int call_open_trunc(void)
{
	return open("other", O_CREAT | O_TRUNC | O_RDWR, 0600);
}

static int call_truncate(void)
{
	return truncate("file", 3);
}

static int call_touch(void)
{
	return utimensat(AT_FDCWD, "file", NULL, 0);
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

/* Of what prepare() has locked. */
static int call_setlk_share(void)
{
	struct flock all = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_SETLKW, &all);
}

static int call_setlk_unlock(void)
{
	struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_SETLK, &all);
}

static int call_close(void)
{
	return close(fd);
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

static int call_listxattr(void)
{
	char names[256];

	return (int)flistxattr(fd, names, sizeof(names));
}

static int call_setxattr(void)
{
	return fsetxattr(fd, "user.dlock.ttl", "0", 1, 0);
}

static const struct call {
	const char *name;
	int (*make)(void);
	bool locked; /* the file is locked before */
} calls[] = {
	{.name = "open", .make = call_open},
	{.name = "create", .make = call_create},
	{.name = "stat", .make = call_stat},
	{.name = "mkdir", .make = call_mkdir},
	{.name = "symlink", .make = call_symlink},
	{.name = "link", .make = call_link},
	{.name = "unlink", .make = call_unlink},
	{.name = "rename", .make = call_rename},
	{.name = "chmod", .make = call_chmod},
	{.name = "read", .make = call_read},
	{.name = "write", .make = call_write},
	{.name = "flock", .make = call_flock},
	{.name = "flock-n", .make = call_flock_try},
	{.name = "setlk", .make = call_setlk},
	{.name = "setlkw", .make = call_setlkw},
	{.name = "getlk", .make = call_getlk},
	{.name = "readdir", .make = call_readdir},
	{.name = "statfs", .make = call_statfs},
	{.name = "getxattr", .make = call_getxattr},
	{.name = "listxattr", .make = call_listxattr},
	{.name = "setxattr", .make = call_setxattr},
	{.name = "rename-over", .make = call_rename_over},
	{.name = "rmdir", .make = call_rmdir},
	{.name = "open-trunc", .make = call_open_trunc},
	{.name = "truncate", .make = call_truncate},
	{.name = "touch", .make = call_touch},
	{.name = "setlk-share", .make = call_setlk_share, .locked = true},
	{.name = "setlk-unlock", .make = call_setlk_unlock, .locked = true},
	{.name = "close", .make = call_close, .locked = true},
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
static void prepare(const char *where, bool locked)
{
	signal(SIGINT, SIG_DFL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (chdir(where) < 0 || (fd = open("file", O_RDWR)) < 0 || !(dir = opendir("dir"))) {
		perror("caller");
		exit(1);
	}
	if (locked && call_setlk() < 0) {
		perror("caller: F_SETLK");
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
	prepare(argv[2], call->locked);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	puts("calling");
	began = now_ms();
	rc = call->make();
	printf("%s %ld\n", rc < 0 ? strerrorname_np(errno) : "ok", now_ms() - began);
	return 0;
}
