/* SPDX-License-Identifier: MIT */
#include "cli/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli/entry.h"
#include "cli/say.h"
#include "cli/text.h"

#define READ_BYTES  65536
#define VERSION	    1
#define XATTR_TRIES 8 /* an attribute may grow between asking for its size and reading it */

/* ---- Files ---- */

static void say_file(const struct mount *m, const char *file)
{
	const char *why = errno == EIO	      ? "no master answers"
			  : errno == ENOTCONN ? "its dlockfs has ended; mount it again"
			  : errno == ENOENT   ? "this dlockfs has no such file; it is older than "
						"this program"
					      : strerror(errno);

	say_error("%s/.dlock/%s: %s", m->path, file, why);
}

int control_open(const struct mount *m, const char *file, int flags)
{
	char *path = text_printf(".dlock/%s", file);
	int fd = openat(m->fd, path, flags | O_CLOEXEC);

	if (fd < 0)
		say_file(m, file);
	free(path);
	return fd;
}

char *control_text(const struct mount *m, const char *file, size_t *len)
{
	int fd = control_open(m, file, O_RDONLY);
	size_t room = 0, used = 0;
	char *text = NULL;
	ssize_t n;

	if (fd < 0)
		return NULL;
	do {
		if (room - used <= READ_BYTES) {
			room = room * 2 + 2 * READ_BYTES;
			text = text_realloc(text, room);
		}
		n = read(fd, text + used, room - used - 1);
		used += n > 0 ? (size_t)n : 0;
		if (used > CONTROL_BYTES_MAX) {
			errno = EFBIG;
			n = -1;
		}
	} while (n > 0);
	if (n < 0) {
		say_file(m, file);
		free(text);
		text = NULL;
	} else {
		text[used] = '\0';
		*len = used;
	}
	close(fd);
	return text;
}

/* ---- JSON ---- */

static json_t *parse(const struct mount *m, const char *what, const char *text, size_t len)
{
	json_error_t error;
	json_t *json = json_loadb(text, len, JSON_ALLOW_NUL, &error);

	if (!json)
		say_error("%s/.dlock/%s: is no JSON: %s", m->path, what, error.text);
	else if (json_integer_value(json_object_get(json, "version")) != VERSION)
		say_error("%s/.dlock/%s: is of a version that this program does not know", m->path,
			  what);
	else
		return json;
	json_decref(json);
	return NULL;
}

json_t *control_json(const struct mount *m, const char *file)
{
	size_t len;
	char *text = control_text(m, file, &len);
	json_t *json = text ? parse(m, file, text, len) : NULL;

	free(text);
	return json;
}

/* Only when all of it is there: half an answer is none. */
bool control_print(const struct mount *m, const char *file)
{
	size_t len;
	char *text = control_text(m, file, &len);

	if (!text)
		return false;
	fwrite(text, 1, len, stdout);
	if (len && text[len - 1] != '\n')
		putchar('\n');
	free(text);
	return true;
}

/* ---- Attributes ---- */

char *control_attribute(const struct mount *m, const char *name, const char *what)
{
	char *path = mount_path(m, name), *attribute = text_printf("user.dlock.%s", what);
	char *text = NULL;
	ssize_t len = -1;

	errno = ERANGE;
	for (int i = 0; i < XATTR_TRIES && len < 0 && errno == ERANGE; i++) {
		len = lgetxattr(path, attribute, NULL, 0);
		if (len < 0)
			break;
		text = text_realloc(text, (size_t)len + 1);
		len = lgetxattr(path, attribute, text, (size_t)len);
	}
	if (len < 0) {
		int err = errno;

		free(text);
		text = NULL;
		errno = err;
	} else {
		text[len] = '\0';
	}
	free(attribute);
	free(path);
	return text;
}

/* ---- One name ---- */

/* A file that is gone may still be locked, and has no attribute; nor has one with a great queue. */
static json_t *from_list(const struct mount *m, const char *name)
{
	json_t *all = control_json(m, "locks.json"), *one, *entry;
	static const char *const lists[] = {"locks", "waiters"};
	size_t i;

	if (!all)
		return NULL;
	one = json_pack("{s:i, s:[], s:[]}", "version", VERSION, lists[0], lists[1]);
	for (int l = 0; l < 2; l++)
		json_array_foreach(json_object_get(all, lists[l]), i,
				   entry) if (entry_is(entry, name))
			json_array_append(json_object_get(one, lists[l]), entry);
	json_decref(all);
	return one;
}

json_t *control_locks_of(const struct mount *m, const char *name)
{
	char *text = control_attribute(m, name, "locks");
	json_t *json;

	if (text) {
		json = parse(m, "locks.json", text, strlen(text));
		free(text);
		return json;
	}
	if (errno == EIO || errno == ENOTCONN || errno == EACCES) {
		say_error("%s: %s", name, errno == EIO ? "no master answers" : strerror(errno));
		return NULL;
	}
	return from_list(m, name);
}
