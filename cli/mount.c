/* SPDX-License-Identifier: MIT */
#include "cli/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/name.h"
#include "cli/say.h"
#include "cli/text.h"

static bool trouble(struct mount *m, const char *why)
{
	if (errno == ENOTCONN)
		say_error("%s: its dlockfs has ended; unmount it and mount it again", m->path);
	else if (why)
		say_error("%s is not a dlock mount: %s", m->path, why);
	else
		say_error("%s is not a dlock mount (choose one with -m, or DLOCK_MOUNT)", m->path);
	mount_close(m);
	return false;
}

/* Of the root itself nothing is asked, since only a master knows it: the status is told without. */
bool mount_open(struct mount *m, const char *path)
{
	const char *env = getenv("DLOCK_MOUNT");
	struct stat st;

	*m = (struct mount){.fd = -1};
	m->path = path ? path : env && *env ? env : MOUNT_DEFAULT;
	m->fd = open(m->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (m->fd < 0)
		return trouble(m, strerror(errno));
	if (fstatat(m->fd, ".dlock", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return trouble(m, errno == ENOENT ? NULL : strerror(errno));
	errno = 0;
	if (!S_ISDIR(st.st_mode))
		return trouble(m, NULL);
	m->dev = st.st_dev;
	return true;
}

void mount_close(struct mount *m)
{
	if (m->fd >= 0)
		close(m->fd);
	*m = (struct mount){.fd = -1};
}

char *mount_name(const struct mount *m, const char *name)
{
	char *link = text_printf("/proc/self/fd/%d", m->fd), *real = realpath(link, NULL);
	const char *const mounts[] = {real ? real : m->path, m->path, NULL};
	char *cwd = getcwd(NULL, 0), *below;
	const char *why = NULL;

	below = name_below(mounts, cwd, name, &why);
	if (!below)
		say_error("NAME %s: %s (%s)", name, why, m->path);
	free(cwd);
	free(real);
	free(link);
	return below;
}

char *mount_path(const struct mount *m, const char *below)
{
	return text_printf("/proc/self/fd/%d/%s", m->fd, below);
}
