/* SPDX-License-Identifier: MIT */
/*
 * Log: one line an event, for people: on stderr, or in the background to syslog (which is the
 * journal on a Debian system). If stderr is the journal itself, each line begins with its level as
 * sd-daemon(3) has it, and the program is named by systemd.
 *
 *	error    somebody has lost something, or a thing that is relied on does not work
 *	warning  somebody may have to look
 *	info     who comes, goes and leads
 *	debug    for whoever looks for a fault
 */
#ifndef TRANSPORT_LOG_H
#define TRANSPORT_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* program is kept. The first level is INFO, the first place stderr. */
void log_open(const char *program);
/* "error", "warning", "info", "debug"; false: none of them. */
bool log_set_level(const char *name);
/* From now on to syslog: the process is in the background. */
void log_to_syslog(void);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * For lines that a peer or a program could cause without end: a burst of them, then one each so
 * often. What was kept back is counted, and told before the next that is not. All zero to begin
 * with.
 */
#define LOG_BURST    100
#define LOG_EVERY_NS INT64_C(2000000000)

struct log_limit {
	int64_t until_ns; /* lines have been written that would take until then, one each so often */
	uint64_t kept_back;
};

/* May a line be written now (CLOCK_BOOTTIME, ns)? */
bool log_allows(struct log_limit *limit, int64_t now_ns);

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
