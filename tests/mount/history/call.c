/* SPDX-License-Identifier: MIT */
/* The calls themselves. Paths are below the mount, which is the working directory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"

/* A wait is ended after up to so long, and then again and again, since a signal may come before the
 * call has begun. */
#define WAIT_LEAST_NS 200000
#define WAIT_MOST_NS  30000000
#define WAIT_AGAIN_NS 20000000

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static const char *path_of(int place)
{
	static char paths[2][32];
	static int next;

	next = !next;
	place_path(place, paths[next], sizeof(paths[next]));
	return paths[next];
}

static uint32_t index_of(const struct client *c, const struct op *op)
{
	return (uint32_t)(op - c->room->ops);
}

/* ---- The end of waits ---- */

static void set_timer(timer_t timer, long first_ns, long again_ns)
{
	struct itimerspec at = {
		.it_value = {first_ns / 1000000000, first_ns % 1000000000},
		.it_interval = {again_ns / 1000000000, again_ns % 1000000000},
	};

	if (timer_settime(timer, 0, &at, NULL) < 0)
		abort();
}

static timer_t timer_of(int signal)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal};
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
		abort();
	return timer;
}

/* Calls what a signal or a kill may end, as the operation says. */
static int waiting(struct client *c, struct op *op, int (*lock)(struct client *, struct op *))
{
	static timer_t timers[3];
	timer_t *timer = &timers[op->arg[1]];
	long first =
		WAIT_LEAST_NS + (long)(random_next(&c->random) % (WAIT_MOST_NS - WAIT_LEAST_NS));
	int result, err;

	if (op->arg[1] == WAIT_NOT)
		return lock(c, op);
	if (!*timer)
		*timer = timer_of(op->arg[1] == WAIT_KILL ? SIGKILL : SIGALRM);
	set_timer(*timer, first, WAIT_AGAIN_NS);
	result = lock(c, op);
	err = errno;
	set_timer(*timer, 0, 0);
	errno = err;
	return result;
}

/* ---- Files ---- */

static int open_flags(int64_t flags)
{
	int access = flags & OPEN_READ ? flags & OPEN_WRITE ? O_RDWR : O_RDONLY : O_WRONLY;

	return access | (flags & OPEN_CREATE ? O_CREAT : 0) | (flags & OPEN_EXCL ? O_EXCL : 0) |
	       (flags & OPEN_TRUNC ? O_TRUNC : 0) | (flags & OPEN_APPEND ? O_APPEND : 0);
}

static int do_open(struct client *c, struct op *op)
{
	int fd = open(path_of(op->place), open_flags(op->arg[0]), (mode_t)op->arg[1]);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return -1;
	op->got[0] = (int64_t)st.st_ino;
	op->got[1] = S_ISDIR(st.st_mode);
	if (S_ISDIR(st.st_mode))
		close(fd);
	else
		c->fd[op->slot] = fd;
	return 0;
}

static int do_close(struct client *c, struct op *op)
{
	int fd = c->fd[op->slot];

	c->fd[op->slot] = -1;
	return close(fd);
}

static int do_dup(struct client *c, struct op *op)
{
	return c->fd[op->slot2] = dup(c->fd[op->slot]);
}

static int do_read(struct client *c, struct op *op)
{
	int fd = c->fd[op->slot];
	void *to = c->room->data[index_of(c, op)];
	ssize_t n = op->arg[0] < 0 ? read(fd, to, (size_t)op->arg[1])
				   : pread(fd, to, (size_t)op->arg[1], op->arg[0]);

	if (n < 0)
		return -1;
	c->room->data_len[index_of(c, op)] = (uint32_t)n;
	return 0;
}

static int do_write(struct client *c, struct op *op)
{
	int fd = c->fd[op->slot];
	const void *from = c->room->data[index_of(c, op)];
	ssize_t n = op->arg[0] < 0 ? write(fd, from, (size_t)op->arg[1])
				   : pwrite(fd, from, (size_t)op->arg[1], op->arg[0]);

	if (n < 0)
		return -1;
	op->got[0] = n;
	if (op->arg[0] < 0)
		op->got[1] = lseek(fd, 0, SEEK_CUR);
	return 0;
}

static int do_truncate(struct client *c, struct op *op)
{
	if (op->slot >= 0)
		return ftruncate(c->fd[op->slot], op->arg[0]);
	return truncate(path_of(op->place), op->arg[0]);
}

static int do_chmod(struct client *c, struct op *op)
{
	return chmod(path_of(op->place), (mode_t)op->arg[0]);
}

static int do_touch(struct client *c, struct op *op)
{
	struct timespec times[2] = {{.tv_sec = op->arg[0]}, {.tv_sec = op->arg[0]}};

	return utimensat(AT_FDCWD, path_of(op->place), times, AT_SYMLINK_NOFOLLOW);
}

static int do_stat(struct client *c, struct op *op)
{
	struct stat st;
	int result = op->slot >= 0 ? fstat(c->fd[op->slot], &st)
		     : op->arg[0]  ? stat(path_of(op->place), &st)
				   : lstat(path_of(op->place), &st);

	if (result < 0)
		return -1;
	op->got[GOT_INO] = (int64_t)st.st_ino;
	op->got[GOT_TYPE] = S_ISREG(st.st_mode)	  ? TYPE_FILE
			    : S_ISDIR(st.st_mode) ? TYPE_DIR
						  : TYPE_LINK;
	op->got[GOT_MODE] = st.st_mode & 07777;
	op->got[GOT_NLINK] = (int64_t)st.st_nlink;
	op->got[GOT_SIZE] = S_ISDIR(st.st_mode) ? 0 : st.st_size;
	op->got[GOT_MTIME] = st.st_mtime;
	return 0;
}

/* ---- Names ---- */

static int do_mknod(struct client *c, struct op *op)
{
	return mknod(path_of(op->place), S_IFREG | (mode_t)op->arg[0], 0);
}

static int do_mkdir(struct client *c, struct op *op)
{
	return mkdir(path_of(op->place), (mode_t)op->arg[0]);
}

static int do_symlink(struct client *c, struct op *op)
{
	char target[32];

	snprintf(target, sizeof(target), TARGET_FORMAT, (int)op->arg[0]);
	return symlink(target, path_of(op->place));
}

static int do_readlink(struct client *c, struct op *op)
{
	char target[32] = "";
	int tag = -1;

	if (readlink(path_of(op->place), target, sizeof(target) - 1) < 0)
		return -1;
	if (strlen(target) == TARGET_BYTES)
		sscanf(target, TARGET_FORMAT, &tag);
	op->got[0] = tag;
	return 0;
}

static int do_link(struct client *c, struct op *op)
{
	return link(path_of(op->place), path_of(op->place2));
}

static int do_rename(struct client *c, struct op *op)
{
	return renameat2(AT_FDCWD, path_of(op->place), AT_FDCWD, path_of(op->place2),
			 op->arg[0] ? RENAME_NOREPLACE : 0);
}

static int do_unlink(struct client *c, struct op *op)
{
	return unlink(path_of(op->place));
}

static int do_rmdir(struct client *c, struct op *op)
{
	return rmdir(path_of(op->place));
}

/* A name that is none of ours, or one too many, is noted as one that nobody knows. */
static void note_entry(struct op *op, int *count, const struct dirent *entry)
{
	int name = NAMES;

	if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
		return;
	if (sscanf(entry->d_name, "n%d", &name) != 1 || *count + 2 >= GOTS_MAX) {
		name = NAMES;
		*count = 0;
	}
	op->got[*count] = name;
	op->got[*count + 1] = (int64_t)entry->d_ino;
	*count += 2;
}

static int do_list(struct client *c, struct op *op)
{
	char path[8];
	const struct dirent *entry;
	int count = 0, err;
	DIR *dir;

	snprintf(path, sizeof(path), "d%d", (int)op->arg[0]);
	dir = opendir(path);
	if (!dir)
		return -1;
	for (errno = 0; (entry = readdir(dir)); errno = 0)
		note_entry(op, &count, entry);
	err = errno;
	op->got[count] = -1;
	closedir(dir);
	errno = err;
	return err ? -1 : 0;
}

/* ---- Locks ---- */

static int do_flock(struct client *c, struct op *op)
{
	static const int modes[] = {LOCK_UN, LOCK_SH, LOCK_EX};

	return flock(c->fd[op->slot], modes[op->arg[0]] | (op->arg[1] == WAIT_NOT ? LOCK_NB : 0));
}

static struct flock range_of(const struct op *op)
{
	static const short modes[] = {F_UNLCK, F_RDLCK, F_WRLCK};

	return (struct flock){
		.l_type = modes[op->arg[0]],
		.l_whence = SEEK_SET,
		.l_start = op->arg[2],
		.l_len = op->arg[3] == BYTES - 1 ? 0 : op->arg[3] - op->arg[2] + 1,
	};
}

static int do_range(struct client *c, struct op *op)
{
	struct flock lock = range_of(op);
	bool wait = op->arg[1] != WAIT_NOT;

	return fcntl(c->fd[op->slot],
		     op->arg[4] ? wait ? F_OFD_SETLKW : F_OFD_SETLK
		     : wait	? F_SETLKW
				: F_SETLK,
		     &lock);
}

/* got[3] is the holder's process; the driver knows whose it is. */
static int do_test(struct client *c, struct op *op)
{
	struct flock lock = range_of(op);

	if (fcntl(c->fd[op->slot], op->arg[4] ? F_OFD_GETLK : F_GETLK, &lock) < 0)
		return -1;
	if (lock.l_type == F_UNLCK)
		return 0;
	op->got[0] = lock.l_type == F_WRLCK ? MODE_EXCLUSIVE : MODE_SHARED;
	op->got[1] = lock.l_start;
	op->got[2] = lock.l_len ? lock.l_start + lock.l_len - 1 : BYTES - 1;
	op->got[3] = lock.l_pid;
	return 0;
}

/* ---- All of them ---- */

static int do_die(struct client *c, struct op *op)
{
	return raise(SIGKILL);
}

/* In which order the kernel will close the slots: by descriptor. */
static void note_order(const struct client *c, struct op *op)
{
	int count = 0;

	for (int slot = 0; slot < SLOTS; slot++)
		op->got[slot] = -1;
	for (int slot = 0; slot < SLOTS; slot++) {
		int at = count;

		if (c->fd[slot] < 0)
			continue;
		for (; at > 0 && c->fd[op->got[at - 1]] > c->fd[slot]; at--)
			op->got[at] = op->got[at - 1];
		op->got[at] = slot;
		count++;
	}
}

static int make_call(struct client *c, struct op *op)
{
	static int (*const calls[OP_KINDS])(struct client *, struct op *) = {
		[OP_OPEN] = do_open,	     [OP_CLOSE] = do_close, [OP_DUP] = do_dup,
		[OP_READ] = do_read,	     [OP_WRITE] = do_write, [OP_TRUNCATE] = do_truncate,
		[OP_CHMOD] = do_chmod,	     [OP_TOUCH] = do_touch, [OP_STAT] = do_stat,
		[OP_MKNOD] = do_mknod,	     [OP_MKDIR] = do_mkdir, [OP_SYMLINK] = do_symlink,
		[OP_READLINK] = do_readlink, [OP_LINK] = do_link,   [OP_RENAME] = do_rename,
		[OP_UNLINK] = do_unlink,     [OP_RMDIR] = do_rmdir, [OP_LIST] = do_list,
		[OP_FLOCK] = do_flock,	     [OP_RANGE] = do_range, [OP_TEST] = do_test,
		[OP_DIE] = do_die,
	};

	if (op->kind == OP_FLOCK || op->kind == OP_RANGE)
		return waiting(c, op, calls[op->kind]);
	return calls[op->kind](c, op);
}

static bool may_be_killed(const struct op *op)
{
	return op->kind == OP_DIE ||
	       ((op->kind == OP_FLOCK || op->kind == OP_RANGE) && op->arg[1] == WAIT_KILL);
}

void call(struct client *c, struct op *op)
{
	bool noted = may_be_killed(op);
	int result, err;

	if (noted)
		note_order(c, op);
	__atomic_store_n(&c->room->count, c->room->count + 1, __ATOMIC_SEQ_CST);
	op->begin = now_ns();
	result = make_call(c, op);
	err = errno;
	if (noted)
		memset(op->got, 0, sizeof(op->got));
	op->err = result < 0 ? err : 0;
	__atomic_store_n(&op->end, now_ns(), __ATOMIC_SEQ_CST);
}
