/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "master/store.h"
#include "master/store_file.h"

int refuse(struct reason *why, int err, const char *format, ...)
{
	va_list args;

	assert(err < 0);
	va_start(args, format);
	vsnprintf(why->text, why->len, format, args);
	va_end(args);
	return err;
}

void store_file_name(char name[STORE_NAME_MAX], const char *path, const char *suffix)
{
	int n = snprintf(name, STORE_NAME_MAX, "%s%s", path, suffix);

	assert(n > 0 && n < STORE_NAME_MAX);
}

/*
 * The kernel's lock holds on one machine only. On a network file system another host could take it
 * while this one still serves, and nobody would wait for a lease.
 */
static int check_local(const char *directory, struct reason *why)
{
	struct statfs fs;

	if (statfs(directory, &fs) < 0)
		return refuse(why, -errno, "%s: %s", directory, strerror(errno));
	switch ((unsigned long)fs.f_type & 0xffffffff) {
	case NFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case CEPH_SUPER_MAGIC:
	case AFS_SUPER_MAGIC:
	case AFS_FS_MAGIC:
		return refuse(why, -EINVAL,
			      "%s is on a network file system; a store needs a local disk",
			      directory);
	}
	return 0;
}

/* Only the packaged default is made, so that a mistyped path is not. */
static int find_directory(const char *directory, char real[PATH_MAX], struct reason *why)
{
	if (strcmp(directory, STORE_DEFAULT_DIR) == 0 && mkdir(directory, 0700) < 0 &&
	    errno != EEXIST)
		return refuse(why, -errno, "the directory %s cannot be made: %s", directory,
			      strerror(errno));
	if (realpath(directory, real))
		return check_local(real, why);
	if (errno == ENOENT)
		return refuse(why, -ENOENT, "the directory %s does not exist; make it first",
			      directory);
	return refuse(why, -errno, "the directory %s: %s", directory, strerror(errno));
}

/*
 * One name for one file, whatever links lead there, because the lock is found by name. Hard links
 * cannot be followed back, so they are refused.
 */
static int find_existing(const char *given, char path[PATH_MAX], struct reason *why)
{
	struct stat st;

	if (!realpath(given, path) || stat(path, &st) < 0)
		return refuse(why, -errno, "%s: %s", given, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return refuse(why, -EISDIR, "%s is a directory; name a file in it", given);
	if (!S_ISREG(st.st_mode))
		return refuse(why, -EINVAL, "%s is not a regular file", given);
	if (st.st_nlink > 1)
		return refuse(why, -EINVAL, "%s has several names (hard links); a store has one",
			      given);
	return 0;
}

int store_file_find(struct store_file *f, const char *given, struct reason *why)
{
	char head[PATH_MAX], tail[PATH_MAX], directory[PATH_MAX];
	struct stat st;
	int err;

	if (strlen(given) >= PATH_MAX)
		return refuse(why, -ENAMETOOLONG, "the store's path is too long");
	if (!*given || given[strlen(given) - 1] == '/')
		return refuse(why, -EINVAL, "a store needs a file's path, as in sqlite:%s/store.db",
			      STORE_DEFAULT_DIR);
	strcpy(head, given);
	strcpy(tail, given);
	err = find_directory(dirname(head), directory, why);
	if (err)
		return err;
	if (lstat(given, &st) == 0)
		return find_existing(given, f->path, why);
	if (errno != ENOENT)
		return refuse(why, -errno, "%s: %s", given, strerror(errno));
	if (snprintf(f->path, PATH_MAX, "%s/%s", directory, basename(tail)) >= PATH_MAX)
		return refuse(why, -ENAMETOOLONG, "the store's path is too long");
	return 0;
}

static int refuse_locked(struct reason *why, const char *path, int fd)
{
	char pid[24] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	if (!*pid)
		return refuse(why, -EBUSY, "%s is in use by another dlock-master", path);
	return refuse(why, -EBUSY, "%s is in use by another dlock-master (pid %s)", path, pid);
}

/*
 * The lock file is never removed: a master that waits at a removed one and a master that made a new
 * one would both hold "the" lock.
 */
int store_file_lock(struct store_file *f, struct reason *why)
{
	char name[STORE_NAME_MAX];
	int err;

	store_file_name(name, f->path, ".lock");
	f->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->lock_fd < 0)
		return refuse(why, -errno, "%s cannot be opened for writing: %s", name,
			      strerror(errno));
	if (flock(f->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		err = refuse_locked(why, f->path, f->lock_fd);
	else
		err = refuse(why, -errno, "%s cannot be locked: %s", name, strerror(errno));
	close(f->lock_fd);
	return err;
}

/* For people only; so a full disk, which may keep it out, is no reason to refuse. */
void store_file_claim(struct store_file *f)
{
	if (ftruncate(f->lock_fd, 0) == 0)
		dprintf(f->lock_fd, "%ld\n", (long)getpid());
}

void store_file_unlock(struct store_file *f)
{
	close(f->lock_fd);
}

int store_file_sync_directory(const char *path)
{
	char copy[PATH_MAX];
	int fd, err = 0;

	assert(strlen(path) < sizeof(copy));
	strcpy(copy, path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}
