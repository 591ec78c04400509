/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "transport/log.h"

#define LINE_MAX_BYTES 512

static const char *log_program = "dlock";
static enum log_level log_level = LOG_LEVEL_INFO;
static bool log_syslog;
static bool log_journal; /* stderr is it */

/* JOURNAL_STREAM is inherited by programs whose stderr is somewhere else. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%ju:%ju", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_open(const char *program)
{
	log_program = program;
	log_journal = stderr_is_journal();
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
	else if (log_journal)
		fprintf(stderr, "<%d>%s\n", priorities[level], line);
	else
		fprintf(stderr, "%s: %s\n", log_program, line);
}

bool log_allows(struct log_limit *limit, int64_t now_ns)
{
	uint64_t kept_back = limit->kept_back;

	if (limit->until_ns < now_ns)
		limit->until_ns = now_ns;
	if (limit->until_ns > now_ns + (LOG_BURST - 1) * LOG_EVERY_NS) {
		limit->kept_back++;
		return false;
	}
	limit->until_ns += LOG_EVERY_NS;
	limit->kept_back = 0;
	if (kept_back)
		log_warning("%" PRIu64 " more lines like the next were not written", kept_back);
	return true;
}
