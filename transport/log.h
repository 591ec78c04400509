/* SPDX-License-Identifier: MIT */
/*
 * Log: one line an event, for people: on stderr, or in the background to syslog (which is the
 * journal on a Debian system).
 */
#ifndef TRANSPORT_LOG_H
#define TRANSPORT_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* program is kept. The first level is INFO, the first place stderr. */
void log_open(const char *program);
/* "error", "warning", "info", "debug"; false: none of them. */
bool log_set_level(const char *name);
/* From now on to syslog: the process is in the background. */
void log_to_syslog(void);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
