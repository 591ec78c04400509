/* SPDX-License-Identifier: MIT */
/*
 * errors: calls that a file system must refuse, or must not, each with the errno that Linux
 * documents, in a directory on the mount.
 *
 *	errors DIR      one line for each that goes otherwise, exit 1 if there are any
 *	errors fill DIR writes past what a file can hold, in many ways
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#define FILE_MAX (64 * 1024) /* contract 3.1 */

static int failures;

static const char *name_of(int err)
{
	return err ? strerrorname_np(err) : "ok";
}

static void wrong(const char *call, const char *got, const char *want)
{
	printf("%s: %s, not %s\n", call, got, want);
	failures++;
}

static void expect_errno(long rc, int want, const char *call)
{
	int got = rc < 0 ? errno : 0;

	if (got != want)
		wrong(call, name_of(got), name_of(want));
}

static void expect_number(long got, long want, const char *call)
{
	char a[32], b[32];

	if (got == want)
		return;
	snprintf(a, sizeof(a), "%ld (%s)", got, got < 0 ? name_of(errno) : "ok");
	snprintf(b, sizeof(b), "%ld", want);
	wrong(call, a, b);
}

#define FAILS(err, call)   expect_errno((long)(call), err, #call)
#define WORKS(call)	   expect_errno((long)(call), 0, #call)
#define GIVES(value, call) expect_number((long)(call), (long)(value), #call)

static int opened(const char *name, int flags)
{
	int fd = open(name, flags, 0644);

	if (fd < 0)
		wrong(name, name_of(errno), "opened");
	return fd;
}

/* ---- Names ---- */

static void names_too_long(void)
{
	char n255[256], n256[257], path[PATH_MAX + 2], target[PATH_MAX + 1];

	memset(n255, 'n', 255), n255[255] = '\0';
	memset(n256, 'n', 256), n256[256] = '\0';
	memset(path, '/', PATH_MAX + 1), path[PATH_MAX + 1] = '\0';
	memset(target, 't', PATH_MAX), target[PATH_MAX] = '\0';
	WORKS(close(opened(n255, O_CREAT | O_EXCL | O_RDWR)));
	FAILS(ENAMETOOLONG, open(n256, O_CREAT | O_RDWR, 0644));
	FAILS(ENAMETOOLONG, open(n256, O_RDONLY));
	FAILS(ENAMETOOLONG, mkdir(n256, 0755));
	FAILS(ENAMETOOLONG, symlink("x", n256));
	FAILS(ENAMETOOLONG, link(n255, n256));
	FAILS(ENAMETOOLONG, rename(n255, n256));
	FAILS(ENAMETOOLONG, rename(n256, "x"));
	FAILS(ENAMETOOLONG, unlink(n256));
	FAILS(ENAMETOOLONG, rmdir(n256));
	FAILS(ENAMETOOLONG, mknod(n256, S_IFREG | 0644, 0));
	FAILS(ENAMETOOLONG, access(n256, F_OK));
	FAILS(ENAMETOOLONG, open(path, O_RDONLY));
	FAILS(ENAMETOOLONG, symlink(target, "long"));
	target[PATH_MAX - 1] = '\0';
	WORKS(symlink(target, "long"));
	GIVES(PATH_MAX - 1, readlink("long", path, sizeof(path)));
	FAILS(ENAMETOOLONG, open("long", O_RDONLY));
	FAILS(ENOENT, symlink("", "empty"));
	WORKS(unlink("long"));
	WORKS(unlink(n255));
}

static void kinds_that_are_none(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "socket"};
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	FAILS(EPERM, mkfifo("fifo", 0644));
	FAILS(EPERM, mknod("chr", S_IFCHR | 0644, makedev(1, 3)));
	FAILS(EPERM, mknod("blk", S_IFBLK | 0644, makedev(7, 0)));
	FAILS(EPERM, mknod("sock", S_IFSOCK | 0644, 0));
	FAILS(EPERM, bind(s, (struct sockaddr *)&at, sizeof(at)));
	close(s);
	FAILS(EOPNOTSUPP, open(".", O_TMPFILE | O_RDWR, 0644));
	WORKS(mknod("reg", S_IFREG | 0644, 0));
	FAILS(EEXIST, mknod("reg", S_IFREG | 0644, 0));
	WORKS(unlink("reg"));
}

static long rename2(const char *from, const char *to, unsigned flags)
{
	return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void moves(void)
{
	WORKS(mkdir("dir", 0755));
	WORKS(mkdir("dir/in", 0755));
	WORKS(mkdir("other", 0755));
	WORKS(close(opened("file", O_CREAT | O_EXCL | O_RDWR)));
	WORKS(close(opened("file2", O_CREAT | O_EXCL | O_RDWR)));
	FAILS(EINVAL, rename2("file", "file2", RENAME_EXCHANGE));
	FAILS(EINVAL, rename2("file", "new", RENAME_WHITEOUT));
	FAILS(EINVAL, rename2("file", "file2", RENAME_EXCHANGE | RENAME_NOREPLACE));
	FAILS(EINVAL, rename2("file", "file2", 0x80));
	FAILS(EEXIST, rename2("file", "file2", RENAME_NOREPLACE));
	FAILS(EINVAL, rename("dir", "dir/in/dir"));
	FAILS(EISDIR, rename("file", "other"));
	FAILS(ENOTDIR, rename("dir", "file"));
	FAILS(ENOTEMPTY, rename("other", "dir"));
	FAILS(ENOENT, rename("none", "file"));
	FAILS(ENOENT, rename("file", "none/file"));
	FAILS(EBUSY, rename("dir", "."));
	FAILS(EXDEV, rename("file", "/tmp/dlock-no-such-file"));
	FAILS(EXDEV, link("file", "/tmp/dlock-no-such-file"));
	FAILS(EPERM, link("dir", "dir2"));
	FAILS(EEXIST, link("file", "file2"));
	FAILS(ENOTEMPTY, rmdir("dir"));
	FAILS(ENOTDIR, rmdir("file"));
	FAILS(EISDIR, unlink("dir"));
	FAILS(EINVAL, rmdir("other/."));
	FAILS(EEXIST, mkdir("dir", 0755));
	FAILS(ENOTDIR, mkdir("file/x", 0755));
	WORKS(rmdir("dir/in"));
	WORKS(rmdir("dir"));
	WORKS(rmdir("other"));
	WORKS(unlink("file"));
	WORKS(unlink("file2"));
}

static void links_without_end(void)
{
	char name[16];
	int made = 1;

	WORKS(close(opened("l0", O_CREAT | O_EXCL | O_RDWR)));
	for (; made < 100; made++) {
		snprintf(name, sizeof(name), "l%d", made);
		if (link("l0", name) < 0)
			break;
	}
	FAILS(EMLINK, link("l0", "one-more"));
	GIVES(32, made);
	while (made--) {
		snprintf(name, sizeof(name), "l%d", made);
		WORKS(unlink(name));
	}
}

static void opens(void)
{
	char byte;
	int fd;

	WORKS(mkdir("dir", 0755));
	WORKS(symlink("loop", "loop"));
	WORKS(close(opened("file", O_CREAT | O_EXCL | O_RDWR)));
	FAILS(EEXIST, open("file", O_CREAT | O_EXCL | O_RDWR, 0644));
	FAILS(EEXIST, open("loop", O_CREAT | O_EXCL | O_RDWR, 0644));
	FAILS(ELOOP, open("loop", O_RDONLY));
	FAILS(ELOOP, open("loop", O_RDONLY | O_NOFOLLOW));
	FAILS(EISDIR, open("dir", O_WRONLY));
	FAILS(EISDIR, open("dir", O_CREAT | O_RDWR, 0644));
	FAILS(ENOTDIR, open("file", O_RDONLY | O_DIRECTORY));
	FAILS(ENOTDIR, open("file/x", O_RDONLY));
	FAILS(ENOENT, open("none", O_RDONLY));
	FAILS(ENOENT, open("none/x", O_CREAT | O_RDWR, 0644));
	FAILS(EINVAL, readlink("file", &byte, 1));
	fd = opened("dir", O_RDONLY);
	FAILS(EISDIR, read(fd, &byte, 1));
	FAILS(EINVAL, ftruncate(fd, 1));
	FAILS(EINVAL, syscall(SYS_getdents64, fd, &byte, 1));
	close(fd);
	fd = opened("file", O_RDONLY);
	FAILS(EBADF, write(fd, "x", 1));
	FAILS(EINVAL, ftruncate(fd, 1));
	close(fd);
	fd = opened("file", O_WRONLY);
	FAILS(EBADF, read(fd, &byte, 1));
	close(fd);
	WORKS(unlink("file"));
	WORKS(unlink("loop"));
	WORKS(rmdir("dir"));
	FAILS(ENOENT, unlink("file"));
	FAILS(ENOENT, rmdir("dir"));
}

/* ---- Locks ---- */

static long range(int fd, int cmd, short type, off_t start, off_t len, short whence)
{
	struct flock l = {.l_type = type, .l_start = start, .l_len = len, .l_whence = whence};

	return fcntl(fd, cmd, &l);
}

static void ranges(void)
{
	const off_t most = INT64_MAX;
	int fd = opened("file", O_CREAT | O_EXCL | O_RDWR);
	int reader = opened("file", O_RDONLY), writer = opened("file", O_WRONLY);
	struct flock pid = {.l_type = F_WRLCK, .l_pid = 1};

	FAILS(EINVAL, range(fd, F_SETLK, F_WRLCK, -1, 1, SEEK_SET));
	FAILS(EINVAL, range(fd, F_SETLK, F_WRLCK, 5, -6, SEEK_SET));
	FAILS(EINVAL, range(fd, F_SETLK, F_WRLCK, -1, 0, SEEK_CUR));
	FAILS(EINVAL, range(fd, F_SETLK, F_WRLCK, -1, 0, SEEK_END));
	FAILS(EINVAL, range(fd, F_SETLK, F_WRLCK, 0, 0, 77));
	FAILS(EINVAL, range(fd, F_SETLK, 77, 0, 0, SEEK_SET));
	FAILS(EINVAL, range(fd, F_GETLK, F_UNLCK, 0, 0, SEEK_SET));
	FAILS(EOVERFLOW, range(fd, F_SETLK, F_WRLCK, most, 2, SEEK_SET));
	FAILS(EINVAL, fcntl(fd, F_OFD_SETLK, &pid));
	FAILS(EBADF, range(reader, F_SETLK, F_WRLCK, 0, 0, SEEK_SET));
	FAILS(EBADF, range(writer, F_SETLK, F_RDLCK, 0, 0, SEEK_SET));
	FAILS(EINVAL, flock(fd, 0));
	FAILS(EINVAL, flock(fd, LOCK_SH | LOCK_EX));
	WORKS(range(fd, F_SETLK, F_WRLCK, most, 1, SEEK_SET));
	WORKS(range(fd, F_SETLK, F_WRLCK, most, 0, SEEK_SET));
	WORKS(range(fd, F_SETLK, F_RDLCK, most - 1, 2, SEEK_SET));
	WORKS(range(fd, F_SETLK, F_WRLCK, 10, -5, SEEK_SET));
	WORKS(range(fd, F_SETLKW, F_WRLCK, 0, 0, SEEK_SET));
	WORKS(range(fd, F_SETLK, F_UNLCK, 0, 0, SEEK_SET));
	WORKS(flock(reader, LOCK_EX));
	FAILS(EWOULDBLOCK, flock(writer, LOCK_SH | LOCK_NB));
	close(reader);
	close(writer);
	close(fd);
	WORKS(unlink("file"));
}

/* ---- What is no reading or writing ---- */

static void ioctls(void)
{
	struct termios t;
	long flags = 0;
	int fd = opened("file", O_CREAT | O_EXCL | O_RDWR), dir = opened(".", O_RDONLY);

	FAILS(ENOTTY, ioctl(fd, TCGETS, &t));
	FAILS(ENOTTY, ioctl(fd, _IO('d', 200), 0));
	FAILS(ENOTTY, ioctl(fd, FS_IOC_GETFLAGS, &flags));
	FAILS(ENOTTY, ioctl(dir, FS_IOC_GETFLAGS, &flags));
	FAILS(ENOTTY, ioctl(dir, _IOWR('d', 201, long), &flags));
	close(dir);
	close(fd);
	WORKS(unlink("file"));
}

static bool has(int fd, const char *text)
{
	char buf[64] = "";

	return pread(fd, buf, sizeof(buf) - 1, 0) == (ssize_t)strlen(text) && !strcmp(buf, text);
}

static void mappings(void)
{
	int fd = opened("file", O_CREAT | O_EXCL | O_RDWR);
	char *map;

	GIVES(5, write(fd, "bytes", 5));
	FAILS(ENODEV, mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		wrong("mmap(MAP_PRIVATE)", name_of(errno), "ok");
	} else {
		GIVES(0, memcmp(map, "bytes\0", 6));
		map[0] = 'x';
		GIVES(true, has(fd, "bytes"));
		munmap(map, 4096);
	}
	close(fd);
	WORKS(unlink("file"));
}

static void holes_and_copies(void)
{
	int fd = opened("file", O_CREAT | O_EXCL | O_RDWR);
	int to = opened("copy", O_CREAT | O_EXCL | O_RDWR);
	off_t in = 0, out = 0;

	GIVES(5, write(fd, "bytes", 5));
	FAILS(EOPNOTSUPP, fallocate(fd, 0, 0, 100));
	FAILS(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1));
	FAILS(EINVAL, fallocate(fd, 0, -1, 100));
	GIVES(true, has(fd, "bytes"));
	GIVES(0, lseek(fd, 0, SEEK_DATA));
	GIVES(5, lseek(fd, 0, SEEK_HOLE));
	FAILS(ENXIO, lseek(fd, 5, SEEK_DATA));
	FAILS(ENXIO, lseek(fd, 6, SEEK_HOLE));
	FAILS(EINVAL, lseek(fd, -1, SEEK_SET));
	FAILS(EINVAL, lseek(fd, 0, 77));
	GIVES(5, lseek(fd, 0, SEEK_END));
	GIVES(5, copy_file_range(fd, &in, to, &out, 100, 0));
	GIVES(true, has(to, "bytes"));
	FAILS(EINVAL, copy_file_range(fd, &in, to, &out, 1, 1));
	in = 0;
	lseek(to, 5, SEEK_SET);
	GIVES(5, sendfile(to, fd, &in, 100));
	GIVES(true, has(to, "bytesbytes"));
	WORKS(fsync(fd));
	WORKS(fdatasync(fd));
	WORKS(syncfs(fd));
	GIVES(0, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	close(to);
	close(fd);
	WORKS(unlink("copy"));
	WORKS(unlink("file"));
}

static void direct(void)
{
	int fd = opened("file", O_CREAT | O_EXCL | O_RDWR | O_DIRECT);

	GIVES(5, write(fd, "bytes", 5)); /* of any length and alignment: there is no block */
	GIVES(true, has(fd, "bytes"));
	close(fd);
	fd = opened("file", O_RDWR | O_SYNC | O_DSYNC | O_NOATIME);
	GIVES(true, has(fd, "bytes"));
	close(fd);
	WORKS(unlink("file"));
}

/* ---- More than a file holds ---- */

static char *pattern;

/* The file is as long as this, and begins with the pattern from `from` on. */
static void expect_content(int fd, size_t len, size_t from, const char *after)
{
	char *read_back = malloc(2 * FILE_MAX);
	struct stat st;

	GIVES(0, fstat(fd, &st));
	if ((size_t)st.st_size != len || pread(fd, read_back, 2 * FILE_MAX, 0) != (ssize_t)len ||
	    memcmp(read_back, pattern + from, len) != 0)
		wrong(after, "other content", "what was there");
	free(read_back);
}

static void one_write_past_the_end(size_t misaligned)
{
	int fd = opened("file", O_CREAT | O_EXCL | O_RDWR);

	GIVES(FILE_MAX, write(fd, pattern + misaligned, 70000));
	FAILS(EFBIG, write(fd, pattern, 1));
	expect_content(fd, FILE_MAX, misaligned, "a write of 70000 bytes");
	FAILS(EFBIG, pwrite(fd, pattern, 1, FILE_MAX));
	FAILS(EFBIG, pwrite(fd, pattern, 1, 70000));
	FAILS(EFBIG, pwrite(fd, pattern, 1, INT64_MAX - 1));
	FAILS(EINVAL, pwrite(fd, pattern, 1, -1));
	GIVES(0, pwrite(fd, pattern, 0, 0));
	GIVES(1, pwrite(fd, pattern + misaligned + FILE_MAX - 1, 10, FILE_MAX - 1));
	FAILS(EFBIG, ftruncate(fd, FILE_MAX + 1));
	FAILS(EFBIG, ftruncate(fd, INT64_MAX));
	FAILS(EINVAL, ftruncate(fd, -1));
	expect_content(fd, FILE_MAX, misaligned, "what was refused");
	close(fd);
	WORKS(unlink("file"));
}

static void writes_past_the_end(void)
{
	struct iovec parts[] = {{pattern, 40001}, {pattern + 40001, 40000}};
	int fd = opened("file", O_CREAT | O_EXCL | O_RDWR | O_APPEND);

	GIVES(100, write(fd, pattern, 100));
	GIVES(FILE_MAX - 100, write(fd, pattern + 100, 70000));
	FAILS(EFBIG, write(fd, pattern, 1));
	expect_content(fd, FILE_MAX, 0, "an appended write");
	close(fd);
	fd = opened("file", O_RDWR | O_TRUNC);
	GIVES(FILE_MAX, writev(fd, parts, 2));
	expect_content(fd, FILE_MAX, 0, "writev");
	WORKS(ftruncate(fd, 10));
	expect_content(fd, 10, 0, "ftruncate");
	GIVES(FILE_MAX - 10, pwrite(fd, pattern + 10, 1 << 17, 10));
	expect_content(fd, FILE_MAX, 0, "pwrite");
	WORKS(ftruncate(fd, 0));
	WORKS(ftruncate(fd, FILE_MAX));
	GIVES(0, lseek(fd, 0, SEEK_DATA));
	close(fd);
	FAILS(EFBIG, truncate("file", FILE_MAX + 1));
	WORKS(unlink("file"));
}

static void fill(void)
{
	pattern = malloc(4 * FILE_MAX);
	for (size_t i = 0; i < 4 * FILE_MAX; i++)
		pattern[i] = (char)(i * 31 + i / 251);
	for (size_t misaligned = 0; misaligned < 4096; misaligned += 511)
		one_write_past_the_end(misaligned);
	writes_past_the_end();
	free(pattern);
}

int main(int argc, char **argv)
{
	bool filling = argc > 2 && !strcmp(argv[1], "fill");

	if (argc < 2 || chdir(argv[argc - 1]) < 0)
		return fprintf(stderr, "errors: no directory\n"), 64;
	signal(SIGXFSZ, SIG_IGN);
	if (filling) {
		fill();
		return failures != 0;
	}
	names_too_long();
	kinds_that_are_none();
	moves();
	links_without_end();
	opens();
	ranges();
	ioctls();
	mappings();
	holes_and_copies();
	direct();
	return failures != 0;
}
