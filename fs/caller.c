/* SPDX-License-Identifier: MIT */
#include "fs/caller.h"
#include "fs/process.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Name, Umask, State and Tgid stand first, and are no longer than this. */
#define STATUS_HEAD_BYTES 256

/* A thread that was the last to ask of those that share the slot. */
struct slot {
	pid_t tid; /* 0: none yet */
	uint32_t pid;
	int comm_fd; /* -1: it has asked once only */
};

struct callers {
	struct slot slots[CALLERS_MAX];
};

struct callers *callers_new(void)
{
	struct callers *c = calloc(1, sizeof(*c));

	for (size_t i = 0; c && i < CALLERS_MAX; i++)
		c->slots[i].comm_fd = -1;
	return c;
}

static void slot_clear(struct slot *slot)
{
	if (slot->comm_fd >= 0)
		close(slot->comm_fd);
	*slot = (struct slot){.comm_fd = -1};
}

void callers_free(struct callers *c)
{
	for (size_t i = 0; c && i < CALLERS_MAX; i++)
		slot_clear(&c->slots[i]);
	free(c);
}

/* ---- Looking it up ---- */

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

bool caller_parse(const char *status, struct caller *out)
{
	static const char name[] = "Name:\t", tgid[] = "\nTgid:\t";
	const char *at = strstr(status, tgid);

	if (strncmp(status, name, sizeof(name) - 1) != 0 || !at)
		return false;
	take_name(status + sizeof(name) - 1, out->command);
	out->pid = (uint32_t)strtoul(at + sizeof(tgid) - 1, NULL, 10);
	return true;
}

static bool look_up(pid_t tid, struct caller *out)
{
	char text[STATUS_HEAD_BYTES];

	return process_text(tid, "status", text, sizeof(text)) && caller_parse(text, out);
}

/* ---- Remembering it ---- */

/* The file has the name as it is, and a newline. False: the thread is gone. */
static bool read_comm(int fd, char command[COMMAND_MAX_BYTES + 1])
{
	char text[COMMAND_MAX_BYTES + 1];
	ssize_t len = pread(fd, text, sizeof(text), 0);

	if (len <= 0 || text[len - 1] != '\n')
		return false;
	text[len - 1] = '\0';
	strcpy(command, text);
	return true;
}

static bool recall(struct slot *slot, pid_t tid, struct caller *out)
{
	if (slot->tid != tid || slot->comm_fd < 0 || !read_comm(slot->comm_fd, out->command))
		return false;
	out->pid = slot->pid;
	return true;
}

/* The descriptor is opened before the look-up and read after it: both were of one thread. */
void callers_find(struct callers *c, pid_t tid, struct caller *out)
{
	struct slot *slot = &c->slots[(unsigned)tid % CALLERS_MAX];
	bool again = slot->tid == tid;

	*out = (struct caller){.pid = (uint32_t)tid};
	if (tid <= 0 || recall(slot, tid, out))
		return;
	slot_clear(slot);
	if (again)
		slot->comm_fd = process_open(tid, "comm");
	slot->tid = tid;
	if (!look_up(tid, out) || !again)
		return;
	slot->pid = out->pid;
	if (slot->comm_fd >= 0 && !read_comm(slot->comm_fd, out->command))
		slot_clear(slot);
}
