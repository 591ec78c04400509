/* SPDX-License-Identifier: MIT */
#include "cli/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/control.h"
#include "cli/entry.h"
#include "cli/text.h"

/* A read gives whole lines; none is longer than a name and a command in JSON, each byte as \u00xx
 * and in hexadecimal. */
#define READ_BYTES 65536

struct changes {
	int fd;
	json_t *event;
	size_t at, used; /* in text: the lines that are not given yet */
	char text[READ_BYTES];
};

struct changes *changes_open(const struct mount *m)
{
	int fd = control_open(m, "changes", O_RDONLY);
	struct changes *c;

	if (fd < 0)
		return NULL;
	c = text_realloc(NULL, sizeof(*c));
	c->fd = fd;
	c->event = NULL;
	c->at = c->used = 0;
	return c;
}

void changes_close(struct changes *c)
{
	if (!c)
		return;
	json_decref(c->event);
	close(c->fd);
	free(c);
}

static bool fill(struct changes *c)
{
	ssize_t n = read(c->fd, c->text, sizeof(c->text));

	if (n <= 0) {
		errno = n < 0 ? errno : EPIPE;
		return false;
	}
	c->at = 0;
	c->used = (size_t)n;
	return true;
}

const json_t *changes_next(struct changes *c, const char **line)
{
	char *end;

	if (c->at == c->used && !fill(c))
		return NULL;
	end = memchr(c->text + c->at, '\n', c->used - c->at);
	if (!end) {
		errno = EPROTO;
		return NULL;
	}
	*end = '\0';
	*line = c->text + c->at;
	c->at = (size_t)(end - c->text) + 1;
	json_decref(c->event);
	c->event = json_loads(*line, JSON_ALLOW_NUL, NULL);
	if (!c->event)
		errno = EPROTO;
	return c->event;
}

bool changes_missed(const json_t *event)
{
	return !strcmp(entry_text(event, "event"), "missed");
}

bool changes_about(const json_t *event, const char *name)
{
	return !name || changes_missed(event) || entry_is(event, name);
}
