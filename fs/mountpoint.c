/* SPDX-License-Identifier: MIT */
#include "fs/mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transport/log.h"

/* Daemons that have died at one place, one after the other, without anybody's umount. */
#define DEAD_MAX 64

#define TYPE_BYTES 64

static int cannot(const char *path, const char *why)
{
	log_error("cannot mount %s: %s", path, why);
	return EXIT_FAILURE;
}

/* ---- What is mounted ---- */

/* The kernel's number of the mount that fd is in; -1: not to be had. */
static int mount_of(int fd)
{
	char name[64], line[128];
	int id = -1;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	f = fopen(name, "re");
	while (f && id < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "mnt_id: %d", &id);
	if (f)
		fclose(f);
	return id;
}

/* The mount's type, as in "fuse.dlock"; "": not to be had. */
static void type_of(int fd, char type[TYPE_BYTES])
{
	int id = mount_of(fd), line_id;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *dash;
	size_t room = 0;

	type[0] = '\0';
	while (f && getline(&line, &room, f) > 0) {
		/* No other field can have it: a space in one of them is written \040. */
		dash = strstr(line, " - ");
		if (dash && sscanf(line, "%d", &line_id) == 1 && line_id == id)
			sscanf(dash, " - %63s", type);
	}
	free(line);
	if (f)
		fclose(f);
}

/* ---- Looking ---- */

enum place {
	PLACE_FREE,
	PLACE_DEAD, /* a mount of ours without a daemon */
	PLACE_NONE, /* nothing can be mounted here */
};

static bool is_dead(int err)
{
	return err == ENOTCONN || err == ECONNABORTED;
}

static enum place judge(int fd, const char **why)
{
	char type[TYPE_BYTES];
	struct statx st;

	type_of(fd, type);
	if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_TYPE, &st) < 0) {
		if (is_dead(errno) && !strcmp(type, "fuse.dlock"))
			return PLACE_DEAD;
		*why = is_dead(errno) ? "a mount whose daemon is gone, and which is none of "
					"dlock, is in the way; umount it first"
				      : strerror(errno);
		return PLACE_NONE;
	}
	if (!S_ISDIR(st.stx_mode)) {
		*why = "it is not a directory";
		return PLACE_NONE;
	}
	if ((st.stx_attributes & st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) &&
	    strcmp(type, "autofs") != 0) {
		*why = "something is mounted there already";
		return PLACE_NONE;
	}
	return PLACE_FREE;
}

/* O_PATH asks no daemon and springs no automount's trap. */
static enum place look(const char *path, int *fd, const char **why)
{
	*fd = open(path, O_PATH | O_CLOEXEC);
	if (*fd >= 0)
		return judge(*fd, why);
	*why = errno == ENOENT	? "there is no such directory; make it first"
	       : is_dead(errno) ? "it is in a mount whose daemon is gone"
				: strerror(errno);
	return PLACE_NONE;
}

/* ---- Finding, clearing ---- */

int mountpoint_find(char **path)
{
	size_t len = strlen(*path);
	const char *why = NULL;
	enum place place;
	char *full;
	int fd;

	/* Behind "/" the kernel would look into the directory, be it dead or a trap. */
	while (len > 1 && (*path)[len - 1] == '/')
		(*path)[--len] = '\0';
	place = look(*path, &fd, &why);
	if (fd >= 0)
		close(fd);
	if (place == PLACE_NONE)
		return cannot(*path, why);
	full = realpath(*path, NULL);
	if (!full)
		return cannot(*path, strerror(errno));
	free(*path);
	*path = full;
	return 0;
}

/* By the descriptor, so that it is this mount and none that came in its place meanwhile. */
static int detach(int fd)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return umount2(self, MNT_DETACH) < 0 ? errno : 0;
}

int mountpoint_clear(const char *path)
{
	const char *why = NULL;

	for (int i = 0; i < DEAD_MAX; i++) {
		int fd, err = 0;
		enum place place = look(path, &fd, &why);

		if (place == PLACE_DEAD)
			err = detach(fd);
		if (fd >= 0)
			close(fd);
		if (place == PLACE_FREE)
			return 0;
		if (place == PLACE_NONE)
			return cannot(path, why);
		/* EINVAL: somebody else has taken it away. */
		if (err && err != EINVAL)
			return cannot(path, strerror(err));
		if (!err)
			log_info("%s: took away the mount of a dlockfs that has died", path);
	}
	return cannot(path, "too many dead mounts are in the way; umount them first");
}
