/* SPDX-License-Identifier: MIT */
#include "cli/terminal.h"

#include <fcntl.h>
#include <unistd.h>

void terminal_open(struct terminal *t)
{
	*t = (struct terminal){
		.fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC),
		.own = getpgrp(),
	};
}

void terminal_close(struct terminal *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

static bool is_ours(const struct terminal *t)
{
	return t->fd >= 0 && tcgetpgrp(t->fd) == t->own;
}

bool terminal_is_all(const struct terminal *t)
{
	return is_ours(t) && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && isatty(STDERR_FILENO);
}

bool terminal_lend(struct terminal *t, pid_t group)
{
	if (!is_ours(t) || tcsetpgrp(t->fd, group) < 0)
		return false;
	t->lent = group;
	return true;
}

void terminal_take(struct terminal *t)
{
	if (t->fd >= 0 && t->lent && tcgetpgrp(t->fd) == t->lent)
		tcsetpgrp(t->fd, t->own);
	t->lent = 0;
}
