/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/say.h"
#include "cli/text.h"

/* A full disk, or a closed pipe when SIGPIPE is ignored: what was asked for has not been said. */
static int flushed(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	say_error("standard output: %s", strerror(errno));
	return status ? status : 1;
}

static int no_mount(enum command command)
{
	switch (command) {
	case COMMAND_RUN:
	case COMMAND_ELECT:
	case COMMAND_ONCE:
		return EX_NOINPUT;
	default:
		return 1;
	}
}

/* What is opened later must not become the input or output of a command. */
static void open_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	static int (*const commands[COMMAND_END])(const struct args *, const struct mount *) = {
		[COMMAND_STATUS] = command_status, [COMMAND_LS] = command_ls,
		[COMMAND_WHO] = command_who,	   [COMMAND_WAIT] = command_wait,
		[COMMAND_WATCH] = command_watch,   [COMMAND_BREAK] = command_break,
		[COMMAND_RUN] = command_run,	   [COMMAND_ELECT] = command_elect,
		[COMMAND_ONCE] = command_once,
	};
	struct args args;
	struct mount mount;
	int status;

	open_standard();
	text_init();
	status = args_parse(&args, argc, argv);
	if (status >= 0)
		return flushed(status);
	if (!mount_open(&mount, args.mount))
		return no_mount(args.command);
	status = commands[args.command](&args, &mount);
	mount_close(&mount);
	return flushed(status);
}
