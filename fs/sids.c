/* SPDX-License-Identifier: MIT */
#include "fs/sids.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/process.h"
#include "lockcore/moment.h"

pid_t sids_of(pid_t tid)
{
	pid_t sid = tid > 0 ? getsid(tid) : 0;

	return sid > 0 ? sid : 0;
}

int64_t sids_start_ns(uint64_t start)
{
	return (int64_t)start * (NS_PER_SEC / sysconf(_SC_CLK_TCK));
}

/*
 * Is it alive, a program's, and of the session? The last is asked again, since numbers change hands.
 * 0; ESRCH: no; anything else is why that could not be seen.
 */
static int is_member(pid_t sid, pid_t pid, struct process *out)
{
	pid_t of = getsid(pid);

	if (of != sid)
		return of < 0 ? errno : ESRCH;
	errno = 0;
	if (!process_read(pid, out))
		return errno && errno != ENOENT ? errno : ESRCH;
	return out->ended || out->kernel || sids_of(pid) != sid ? ESRCH : 0;
}

bool sids_leader(pid_t sid, uint64_t *start)
{
	struct process p;

	if (is_member(sid, sid, &p))
		return false;
	*start = p.start;
	return true;
}

int sids_open(pid_t sid, pid_t member, uint64_t start)
{
	int fd = (int)syscall(SYS_pidfd_open, member, 0);
	struct process p;
	int err;

	if (fd < 0)
		return -1;
	/* Looked at with the process in hand: the number is its own until it ends. */
	err = is_member(sid, member, &p);
	if (!err && p.start == start)
		return fd;
	close(fd);
	errno = err ? err : ESRCH;
	return -1;
}

/* ---- A look ---- */

static int by_sid(const void *key, const void *element)
{
	pid_t sid = *(const pid_t *)key, other = ((const struct sid_look *)element)->sid;

	return sid < other ? -1 : sid > other;
}

/* False: it may be a process of one of them, for all that could be seen. */
static bool look_at(struct sid_look *looks, size_t count, pid_t pid)
{
	pid_t sid = getsid(pid);
	struct sid_look *look;
	struct process p;
	int err;

	if (sid < 0)
		return errno == ESRCH;
	look = bsearch(&sid, looks, count, sizeof(*looks), by_sid);
	err = look ? is_member(sid, pid, &p) : ESRCH;
	if (!err && (!look->member || p.start < look->start)) {
		look->member = pid;
		look->start = p.start;
	}
	return !err || err == ESRCH;
}

bool sids_look(struct sid_look *looks, size_t count)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool complete = true;

	if (!proc)
		return false;
	for (size_t i = 0; i < count; i++)
		looks[i].member = 0;
	while (errno = 0, (entry = readdir(proc))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);

		if (!*end && pid > 0 && !look_at(looks, count, (pid_t)pid))
			complete = false;
	}
	complete = complete && errno == 0;
	closedir(proc);
	return complete;
}

/* ---- Can it work here? ---- */

/* A /proc of another PID namespace has another number for us. */
static bool is_our_proc(void)
{
	char text[sizeof("2147483647")] = "";
	struct process self, first;

	return readlink("/proc/self", text, sizeof(text) - 1) > 0 &&
	       strtol(text, NULL, 10) == getpid() && process_read(getpid(), &self) &&
	       process_read(1, &first);
}

/* Who is not root may not be shown everybody. */
const char *sids_trouble(void)
{
	int fd;

	if (geteuid() != 0)
		return "bind=session needs root, who alone sees everybody's processes";
	if (!is_our_proc())
		return "bind=session needs /proc, of the PID namespace that dlockfs runs in";
	fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (fd < 0)
		return "bind=session needs pidfd_open(2)";
	close(fd);
	return NULL;
}
