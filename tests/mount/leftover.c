/* SPDX-License-Identifier: MIT */
/*
 * leftover: what a program can do in a current directory that has been removed.
 *
 *	leftover DIR OTHER [held]   makes OTHER/gone, goes to DIR/gone, which is the same directory, and
 *	                            removes OTHER/gone; held: with a descriptor of it open
 *
 * Prints each call and its errno. DIR and OTHER may be one and the same.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int held = -1;
static struct stat st;
static struct statvfs vfs;
static char path[512], outside[512];

#define CALL(call)                                                                                 \
	do {                                                                                       \
		errno = 0;                                                                         \
		long rc_ = (long)(call);                                                           \
		printf("%s: %s\n", #call, rc_ < 0 ? strerrorname_np(errno) : "ok");                \
	} while (0)
#define NUMBER(call, number)                                                                       \
	do {                                                                                       \
		CALL(call);                                                                        \
		printf("%s %ld\n", #number, (long)(number));                                       \
	} while (0)

static long names_in(int fd)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	long names = 0;

	if (!dir)
		return -1;
	while (readdir(dir))
		names++;
	closedir(dir);
	return names;
}

static void look(void)
{
	CALL(getcwd(path, sizeof(path)) ? 0 : -1);
	NUMBER(stat(".", &st), st.st_nlink);
	NUMBER(lstat("./", &st), S_ISDIR(st.st_mode));
	CALL(access(".", R_OK | W_OK | X_OK));
	CALL(open(".", O_RDONLY));
	NUMBER(0, names_in(open(".", O_RDONLY | O_DIRECTORY)));
	CALL(statvfs(".", &vfs));
	NUMBER(chmod(".", 0710), stat(".", &st) == 0 ? st.st_mode : 0);
	CALL(utimensat(AT_FDCWD, ".", NULL, 0));
	CALL(chdir("."));
	CALL(stat("x", &st));
	CALL(open("x", O_RDONLY));
}

static void look_held(void)
{
	NUMBER(fstat(held, &st), st.st_nlink);
	NUMBER(0, names_in(dup(held)));
	NUMBER(fchmod(held, 0700), fstat(held, &st) == 0 ? st.st_mode : 0);
	CALL(fsync(held));
	CALL(fchdir(held));
	CALL(fstatvfs(held, &vfs));
	CALL(fstatat(held, "x", &st, 0));
	CALL(openat(held, "x", O_CREAT | O_WRONLY, 0600));
	CALL(mkdirat(held, "x", 0700));
}

static void make(void)
{
	CALL(open("x", O_CREAT | O_WRONLY, 0600));
	CALL(open("x", O_CREAT | O_EXCL | O_WRONLY, 0600));
	CALL(mkdir("x", 0700));
	CALL(symlink("target", "x"));
	CALL(mknod("x", S_IFREG | 0600, 0));
	CALL(link(outside, "x"));
	CALL(rename(outside, "x"));
	CALL(rename("x", "y"));
	CALL(unlink("x"));
	CALL(rmdir("x"));
	CALL(rmdir("."));
	CALL(rmdir("../gone"));
}

static void leave(void)
{
	CALL(stat("..", &st));
	CALL(stat("../outside", &st));
	CALL(open("..", O_RDONLY));
	CALL(chdir(".."));
	CALL(stat("outside", &st));
	CALL(unlink("outside"));
}

int main(int argc, char **argv)
{
	int fd;

	setvbuf(stdout, NULL, _IOFBF, BUFSIZ);
	if (argc < 3)
		return 64;
	snprintf(outside, sizeof(outside), "%s/outside", argv[1]);
	fd = open(outside, O_CREAT | O_WRONLY, 0600);
	snprintf(path, sizeof(path), "%s/gone", argv[2]);
	if (fd < 0 || mkdir(path, 0755) < 0)
		return 1;
	snprintf(path, sizeof(path), "%s/gone", argv[1]);
	if (chdir(path) < 0 || (argc > 3 && (held = open(".", O_RDONLY | O_DIRECTORY)) < 0))
		return 1;
	snprintf(path, sizeof(path), "%s/gone", argv[2]);
	if (rmdir(path) < 0)
		return 1;
	/* A kernel that has not looked since hears of it a message's time later (contract 2.4), and until
	 * then has a name for the directory that it is in: getcwd(2) asks nobody else. */
	snprintf(path, sizeof(path), "%s/gone", argv[1]);
	if (stat(path, &st) == 0 || errno != ENOENT)
		return 1;
	look();
	if (held >= 0)
		look_held();
	make();
	leave();
	return 0;
}
