/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "transport/log.h"

#define LINE_MAX_BYTES 512

static const char *log_program = "dlock";
static enum log_level log_level = LOG_LEVEL_INFO;
static bool log_syslog;

void log_open(const char *program)
{
	log_program = program;
}

bool log_set_level(const char *name)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(name, names[i])) {
			log_level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

void log_to_syslog(void)
{
	openlog(log_program, LOG_PID, LOG_DAEMON);
	log_syslog = true;
}

/* What comes from outside must not write a second line, or to the terminal. */
static void make_printable(char *line)
{
	for (; *line; line++)
		if ((unsigned char)*line < ' ' || *line == 0x7f)
			*line = '?';
}

void log_line(enum log_level level, const char *format, ...)
{
	static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
	char line[LINE_MAX_BYTES];
	va_list args;

	if (level > log_level)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	make_printable(line);
	if (log_syslog)
		syslog(priorities[level], "%s", line);
	else
		fprintf(stderr, "%s: %s\n", log_program, line);
}
