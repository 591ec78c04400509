/* SPDX-License-Identifier: MIT */
#include "cli/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli/control.h"
#include "cli/entry.h"
#include "cli/text.h"

#define RECORD_BYTES_MAX 1024
/* Clocks of nodes differ: a record that stays too long does no harm, since it says when it was. */
#define MARGIN_SECONDS 60

/* ---- Reading ---- */

static bool parse(const char *text, size_t len, struct record *out)
{
	json_t *json = json_loadb(text, len, 0, NULL);
	struct record r = {
		.pid = entry_number(json, "pid"),
		.began = (time_t)entry_number(json, "began"),
		.took = entry_real(json, "took"),
	};

	snprintf(r.node, sizeof(r.node), "%s", entry_text(json, "node"));
	json_decref(json);
	if (r.began <= 0)
		return false;
	*out = r;
	return true;
}

/* What is no record is none: a file that somebody else left there, or one that goes just now. */
static bool read_one(int dir, const char *file, struct record *out)
{
	char text[RECORD_BYTES_MAX];
	int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0)
		close(fd);
	return n > 0 && parse(text, (size_t)n, out);
}

static int open_dir(const struct mount *m, const char *name)
{
	char *path = text_printf("%s.once", name);
	int fd = openat(m->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	free(path);
	return fd;
}

bool record_find(const struct mount *m, const char *name, time_t since, struct record *out)
{
	int fd = open_dir(m, name);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	bool found = false;
	struct record r;
	struct dirent *e;

	if (!dir)
		return false;
	while (!found && (e = readdir(dir))) {
		if (e->d_name[0] == '.' || !read_one(fd, e->d_name, &r) || r.began < since)
			continue;
		*out = r;
		found = true;
	}
	closedir(dir);
	return found;
}

/* ---- Keeping ---- */

/* Node names are any bytes, and "." begins what is being written. */
static char *file_of(const char *node)
{
	char *file = text_dup(node);

	for (char *c = file; *c; c++)
		if (*c == '/' || (*c == '.' && c == file))
			*c = '_';
	return file;
}

/* A mount may give its names another life than ours needs. What it does not know is no trouble: then
 * the name lives as long as the node's session, as it should. */
static void set_life(int fd, time_t until)
{
	time_t now = time(NULL);
	char *ttl =
		text_printf("%lld", (long long)(until > now ? until - now : 0) + MARGIN_SECONDS);

	fsetxattr(fd, "user.dlock.ttl", ttl, strlen(ttl), 0);
	fsetxattr(fd, "user.dlock.bind", "node", 4, 0);
	free(ttl);
}

static bool write_one(int fd, const struct record *r)
{
	json_t *json =
		json_pack("{s:i, s:s, s:I, s:I, s:f}", "version", 1, "node", r->node, "pid",
			  (json_int_t)r->pid, "began", (json_int_t)r->began, "took", r->took);
	char *text = json_dumps(json, JSON_COMPACT);
	ssize_t len = text ? (ssize_t)strlen(text) : -1;
	bool written = text && write(fd, text, (size_t)len) == len;

	if (!text)
		errno = EINVAL; /* a node whose name is no UTF-8 */
	free(text);
	json_decref(json);
	return written;
}

/* Whole or not at all: written beside, then moved. */
static bool put(int dir, const char *file, const struct record *r, time_t until)
{
	char *beside = text_printf(".%d.%s", (int)getpid(), file);
	int fd = openat(dir, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), err = 0;

	if (fd < 0)
		err = errno;
	if (!err && !write_one(fd, r))
		err = errno;
	if (!err)
		set_life(fd, until);
	if (fd >= 0 && close(fd) < 0 && !err)
		err = errno;
	if (!err && renameat(dir, beside, dir, file) < 0)
		err = errno;
	if (err && fd >= 0)
		unlinkat(dir, beside, 0);
	free(beside);
	errno = err;
	return !err;
}

bool record_keep(const struct mount *m, const char *name, const struct record *r, const char *node,
		 time_t until)
{
	char *path = text_printf("%s.once", name), *file = file_of(node);
	bool kept = false;
	int fd;

	if (!mkdirat(m->fd, path, 0755) || errno == EEXIST) {
		fd = open_dir(m, name);
		if (fd >= 0) {
			set_life(fd, until);
			kept = put(fd, file, r, until);
			close(fd);
		}
	}
	free(file);
	free(path);
	return kept;
}

bool record_node(const struct mount *m, char node[RECORD_NODE_BYTES])
{
	json_t *status = control_json(m, "status.json");

	if (!status)
		return false;
	snprintf(node, RECORD_NODE_BYTES, "%s", entry_text(status, "node"));
	json_decref(status);
	return true;
}
