/* SPDX-License-Identifier: MIT */
#include "fs/holders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TASK_PATH_BYTES sizeof("/proc/2147483647/task/2147483647/fdinfo")
#define FD_PATH_BYTES	(TASK_PATH_BYTES + sizeof("/2147483647"))

/* pos, flags, mnt_id and ino stand first, whatever the file. */
#define FDINFO_HEAD_BYTES 160

struct search {
	const struct sought *sought;
	bool (*found)(void *arg, const struct found *f);
	void *arg;
	bool over;
	bool blind; /* something could not be looked at that may be there */
};

/* A process or file that has gone meanwhile is no trouble. */
static void note_failure(struct search *s)
{
	s->blind = s->blind || errno == EMFILE || errno == ENFILE || errno == ENOMEM;
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

void holders_sort(struct sought *sought)
{
	if (sought->ino_count)
		qsort(sought->inos, sought->ino_count, sizeof(*sought->inos), by_number);
}

static int number_of(const struct dirent *entry)
{
	char *end;
	long n = strtol(entry->d_name, &end, 10);

	return *end || n < 0 || n > INT32_MAX ? -1 : (int)n;
}

/* ---- A descriptor ---- */

/* 0: /proc does not say. */
static uint64_t ino_of(struct search *s, int fdinfo_dir, const char *number)
{
	char text[FDINFO_HEAD_BYTES];
	int fd = openat(fdinfo_dir, number, O_RDONLY | O_CLOEXEC);
	const char *at;
	ssize_t len;

	if (fd < 0) {
		note_failure(s);
		return 0;
	}
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return 0;
	text[len] = '\0';
	at = strstr(text, "\nino:\t");
	return at ? strtoull(at + sizeof("\nino:\t") - 1, NULL, 10) : 0;
}

/* By now the descriptor may be another file's. */
static bool is_ours(const struct sought *sought, const char *path, uint64_t ino)
{
	struct statx st;

	return statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO, &st) == 0 &&
	       st.stx_dev_major == sought->dev_major && st.stx_dev_minor == sought->dev_minor &&
	       st.stx_ino == ino;
}

static bool is_sought(const struct sought *sought, uint64_t ino)
{
	return ino && sought->ino_count &&
	       bsearch(&ino, sought->inos, sought->ino_count, sizeof(ino), by_number);
}

/* ---- A process ---- */

static void take_path(const char *fd_path, struct found *f)
{
	ssize_t len = readlink(fd_path, f->path, sizeof(f->path) - 1);

	f->path[len > 0 ? len : 0] = '\0';
}

/* Has the thread's table of descriptors a sought file? */
static bool has_open(struct search *s, pid_t pid, pid_t tid, struct found *f)
{
	char dir_path[TASK_PATH_BYTES], path[FD_PATH_BYTES];
	struct dirent *entry;
	bool has = false;
	DIR *dir;

	snprintf(dir_path, sizeof(dir_path), "/proc/%d/task/%d/fdinfo", pid, tid);
	dir = opendir(dir_path);
	if (!dir) {
		note_failure(s);
		return false;
	}
	while (!has && (entry = readdir(dir))) {
		int fd = number_of(entry);

		if (fd < 0)
			continue;
		f->ino = ino_of(s, dirfd(dir), entry->d_name);
		if (!is_sought(s->sought, f->ino))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%d/fd/%d", pid, tid, fd);
		has = is_ours(s->sought, path, f->ino);
		if (has)
			take_path(path, f);
	}
	closedir(dir);
	return has;
}

/* Where the kernel cannot tell, no. */
static bool same_table(pid_t a, pid_t b)
{
	return a == b || syscall(SYS_kcmp, a, b, KCMP_FILES, 0, 0) == 0;
}

/* Threads that have a table of their own; all of them, once the first thread has ended. */
static bool threads_have_open(struct search *s, pid_t pid, struct found *f)
{
	char path[TASK_PATH_BYTES];
	pid_t looked = pid, tid;
	struct dirent *entry;
	bool has = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir) {
		note_failure(s);
		return false;
	}
	while (!has && (entry = readdir(dir))) {
		tid = number_of(entry);
		if (tid <= 0 || same_table(pid, tid) || same_table(looked, tid))
			continue;
		has = has_open(s, pid, tid, f);
		looked = tid;
	}
	closedir(dir);
	return has;
}

static bool has_any_open(struct search *s, struct found *f)
{
	pid_t pid = f->process.pid;

	return has_open(s, pid, pid, f) || (f->process.threads > 1 && threads_have_open(s, pid, f));
}

static bool is_spared(const struct process *p)
{
	return p->pid <= 1 || p->pid == getpid() || p->kernel || p->ended;
}

/* The number may have been another's when it was looked at: once more, with the process in hand. */
static bool take_in_hand(struct found *f)
{
	uint64_t start = f->process.start;

	f->pidfd = (int)syscall(SYS_pidfd_open, f->process.pid, 0);
	if (f->pidfd < 0 && errno == ESRCH)
		return false;
	if (process_lives(f->process.pid, start))
		return true;
	if (f->pidfd >= 0)
		close(f->pidfd);
	return false;
}

/* ---- The search ---- */

static void report(struct search *s, struct found *f)
{
	if (!take_in_hand(f))
		return;
	s->over = !s->found(s->arg, f);
	if (f->pidfd >= 0)
		close(f->pidfd);
}

/* False: there is none, or it is nobody's business. */
static bool look_at(struct search *s, pid_t pid, struct process *out)
{
	if (!process_read(pid, out)) {
		note_failure(s);
		return false;
	}
	return !is_spared(out);
}

static void search_makers(struct search *s)
{
	for (size_t i = 0; i < s->sought->maker_count && !s->over; i++) {
		const struct maker_of *maker = &s->sought->makers[i];
		struct found f = {.made = true, .ino = maker->ino};

		if (look_at(s, maker->pid, &f.process) && f.process.start == maker->start)
			report(s, &f);
	}
}

static void search_files(struct search *s)
{
	struct dirent *entry;
	DIR *proc;

	if (!s->sought->ino_count)
		return;
	proc = opendir("/proc");
	if (!proc) {
		s->blind = true;
		return;
	}
	while (!s->over && (entry = readdir(proc))) {
		struct found f = {0};
		pid_t pid = number_of(entry);

		if (pid > 1 && look_at(s, pid, &f.process) && has_any_open(s, &f))
			report(s, &f);
	}
	closedir(proc);
}

bool holders_find(const struct sought *sought, bool (*found)(void *arg, const struct found *f),
		  void *arg)
{
	struct search s = {.sought = sought, .found = found, .arg = arg};

	search_makers(&s);
	search_files(&s);
	return !s.over && !s.blind;
}

/* ---- Can it work here? ---- */

const char *holders_trouble(void)
{
	struct search none = {0};
	const char *why = NULL;
	struct process self;
	int dir, pidfd;

	if (geteuid() != 0)
		return "onloss=kill needs root, who alone may see and stop everybody's processes";
	dir = open("/proc/self/fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || !process_read(getpid(), &self)) {
		why = "onloss=kill needs /proc, of the PID namespace that dlockfs runs in";
	} else {
		char number[sizeof("2147483647")];

		snprintf(number, sizeof(number), "%d", dir);
		if (!ino_of(&none, dir, number))
			why = "onloss=kill needs a /proc that tells the inodes of open files "
			      "(Linux 5.14)";
	}
	pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (!why && pidfd < 0)
		why = "onloss=kill needs pidfd_open(2)";
	if (pidfd >= 0)
		close(pidfd);
	if (dir >= 0)
		close(dir);
	return why;
}
