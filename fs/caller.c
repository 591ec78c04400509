/* SPDX-License-Identifier: MIT */
#include "fs/caller.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Name, Umask, State and Tgid stand first, and are no longer than this. */
#define STATUS_HEAD_BYTES 256

/* The kernel writes a newline in a name as \n and a backslash as \\, and nothing else so. */
static void take_name(const char *from, char to[COMMAND_MAX_BYTES + 1])
{
	size_t len = 0;

	while (*from && *from != '\n' && len < COMMAND_MAX_BYTES) {
		if (*from == '\\' && from[1] == 'n') {
			to[len++] = '\n';
			from += 2;
		} else {
			from += *from == '\\' && from[1] == '\\';
			to[len++] = *from++;
		}
	}
	to[len] = '\0';
}

void caller_parse(const char *status, struct caller *out)
{
	static const char name[] = "Name:\t", tgid[] = "\nTgid:\t";
	const char *at = strstr(status, tgid);

	if (strncmp(status, name, sizeof(name) - 1) != 0 || !at)
		return;
	take_name(status + sizeof(name) - 1, out->command);
	out->pid = (uint32_t)strtoul(at + sizeof(tgid) - 1, NULL, 10);
}

void caller_find(pid_t tid, struct caller *out)
{
	char path[sizeof("/proc/2147483647/status")], text[STATUS_HEAD_BYTES];
	ssize_t len;
	int fd;

	*out = (struct caller){.pid = (uint32_t)tid};
	if (tid <= 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return;
	text[len] = '\0';
	caller_parse(text, out);
}
