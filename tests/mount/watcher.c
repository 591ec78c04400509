/* SPDX-License-Identifier: MIT */
/*
 * watcher: prints what inotify(7) tells, until it is killed:
 *
 *	watcher [-r] PATH...
 *
 * "ready" once it watches; then a line for each event, KIND PATH/NAME, with a slash behind what is a
 * directory. KIND is DELETE, CREATE, MOVED_FROM or MOVED_TO in a directory that is watched, and
 * DELETE_SELF of what is watched. With -r also the directories below, and those that are made later.
 *
 * "watcher numbers" prints the number that unlinkat has in /proc/PID/syscall.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WATCHES_MAX 10000
#define READ_BYTES  65536

static int inotify;
static char *watched[WATCHES_MAX]; /* by watch descriptor */

static void watch(const char *path, int deep);

static void watch_below(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char below[PATH_MAX];
		struct stat st;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(below, sizeof(below), "%.2000s/%s", path, entry->d_name);
		if (lstat(below, &st) == 0 && S_ISDIR(st.st_mode))
			watch(below, 1);
	}
	if (dir)
		closedir(dir);
}

static void watch(const char *path, int deep)
{
	int number =
		inotify_add_watch(inotify, path, IN_DELETE | IN_CREATE | IN_MOVE | IN_DELETE_SELF);

	if (number < 0 || number >= WATCHES_MAX) {
		fprintf(stderr, "watcher: cannot watch %s\n", path);
		return;
	}
	free(watched[number]);
	watched[number] = strdup(path);
	if (deep)
		watch_below(path);
}

static void print(const struct inotify_event *event, int deep)
{
	const char *kind = event->mask & IN_DELETE	  ? "DELETE"
			   : event->mask & IN_CREATE	  ? "CREATE"
			   : event->mask & IN_MOVED_FROM  ? "MOVED_FROM"
			   : event->mask & IN_MOVED_TO	  ? "MOVED_TO"
			   : event->mask & IN_DELETE_SELF ? "DELETE_SELF"
							  : NULL;
	char path[PATH_MAX];

	if (!kind || event->wd < 0 || !watched[event->wd])
		return;
	snprintf(path, sizeof(path), "%.2000s%s%s", watched[event->wd], event->len ? "/" : "",
		 event->len ? event->name : "");
	printf("%s %s%s\n", kind, path, event->mask & IN_ISDIR ? "/" : "");
	if (deep && event->mask & IN_CREATE && event->mask & IN_ISDIR)
		watch(path, 1);
}

int main(int argc, char **argv)
{
	static char buf[READ_BYTES] __attribute__((aligned(8)));
	int deep = argc > 1 && !strcmp(argv[1], "-r");
	ssize_t n;

	if (argc == 2 && !strcmp(argv[1], "numbers"))
		return printf("%d\n", SYS_unlinkat) < 0;
	if (argc < 2 + deep)
		return 64;
	setvbuf(stdout, NULL, _IOLBF, 0);
	inotify = inotify_init1(IN_CLOEXEC);
	for (int i = 1 + deep; i < argc; i++)
		watch(argv[i], deep);
	puts("ready");
	while ((n = read(inotify, buf, sizeof(buf))) > 0)
		for (char *at = buf; at < buf + n;) {
			const struct inotify_event *event = (const void *)at;

			print(event, deep);
			at += sizeof(*event) + event->len;
		}
	return 1;
}
