/* SPDX-License-Identifier: MIT */
#include "fs/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first 22 fields of proc_pid_stat(5): 21 numbers of up to 20 digits, and a command. */
#define STAT_HEAD_BYTES 512

#define KERNEL_THREAD 0x00200000u /* PF_KTHREAD of the flags */

enum stat_field {
	FIELD_STATE = 3,
	FIELD_PARENT = 4,
	FIELD_FLAGS = 9,
	FIELD_THREADS = 20,
	FIELD_START = 22,
};

static void take_command(char to[COMMAND_MAX_BYTES + 1], const char *from, size_t len)
{
	len = len < COMMAND_MAX_BYTES ? len : COMMAND_MAX_BYTES;
	memcpy(to, from, len);
	to[len] = '\0';
}

/* The command is the program's to choose: it ends at the last parenthesis of the line. */
bool process_parse(const char *stat, struct process *out)
{
	const char *name = strchr(stat, '('), *end = strrchr(stat, ')'), *at = end;
	struct process p = {.pid = (pid_t)strtol(stat, NULL, 10)};
	uint64_t fields[FIELD_START + 1] = {0};
	char state;

	if (p.pid <= 0 || !name || !end || end < name || end[1] != ' ' || !end[2])
		return false;
	take_command(p.command, name + 1, (size_t)(end - name - 1));
	state = end[2];
	at = end + 3;
	for (int i = FIELD_STATE + 1; i <= FIELD_START; i++) {
		char *next;

		fields[i] = strtoull(at, &next, 10);
		if (next == at || (*next != ' ' && *next != '\n'))
			return false;
		at = next;
	}
	p.start = fields[FIELD_START];
	p.parent = (pid_t)fields[FIELD_PARENT];
	p.threads = (unsigned)fields[FIELD_THREADS];
	p.kernel = fields[FIELD_FLAGS] & KERNEL_THREAD;
	p.ended = state == 'X' || (state == 'Z' && p.threads <= 1);
	*out = p;
	return true;
}

int process_open(pid_t pid, const char *file)
{
	char path[sizeof("/proc/2147483647/status")];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool process_text(pid_t pid, const char *file, char *text, size_t size)
{
	int fd = process_open(pid, file);
	ssize_t len;

	if (fd < 0)
		return false;
	len = read(fd, text, size - 1);
	close(fd);
	if (len <= 0)
		return false;
	text[len] = '\0';
	return true;
}

bool process_read(pid_t pid, struct process *out)
{
	char text[STAT_HEAD_BYTES];

	return process_text(pid, "stat", text, sizeof(text)) && process_parse(text, out) &&
	       out->pid == pid;
}

bool process_lives(pid_t pid, uint64_t start)
{
	struct process p;

	return process_read(pid, &p) && p.start == start && !p.ended;
}
