/* SPDX-License-Identifier: MIT */
#include "cli/look.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_DEFAULT 80
#define WIDTH_MIN     20

bool look_colours(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

size_t look_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col)
		return WIDTH_DEFAULT;
	return size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
}

const char *look_on(enum look look)
{
	static const char *const on[] = {
		[LOOK_PLAIN] = "",	  [LOOK_BOLD] = "\033[1m",  [LOOK_DIM] = "\033[2m",
		[LOOK_GOOD] = "\033[32m", [LOOK_WARN] = "\033[33m", [LOOK_BAD] = "\033[31m",
	};

	return look_colours() ? on[look] : "";
}

const char *look_off(enum look look)
{
	return look != LOOK_PLAIN && look_colours() ? "\033[0m" : "";
}
