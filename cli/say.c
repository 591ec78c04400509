/* SPDX-License-Identifier: MIT */
#include "cli/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"

void say_error(const char *format, ...)
{
	char *line = NULL, *safe = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&line, format, args);
	va_end(args);
	if (len < 0)
		line = NULL;
	if (line)
		safe = text_escape(line, (size_t)len, TEXT_LINE);
	fprintf(stderr, "dlock: %s\n", safe ? safe : "out of memory");
	free(safe);
	free(line);
}
