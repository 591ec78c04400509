/* SPDX-License-Identifier: MIT */
/* How a request of the kernel becomes a call of the core, and how a signal follows it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/errors.h"
#include "fs/fs.h"

#define INTERRUPTS_FIRST_ROOM 64

/* ---- Interrupts ---- */

/*
 * libfuse calls this with a lock of the request held, perhaps while it is registered: only note the
 * call's number. Without memory for that the signal is lost, and the call ends when it ends.
 */
static void on_interrupt(fuse_req_t req, void *call)
{
	struct fs *fs = fuse_req_userdata(req);

	if (fs->interrupt_count == fs->interrupt_room) {
		size_t room = fs->interrupt_room ? fs->interrupt_room * 2 : INTERRUPTS_FIRST_ROOM;
		uint64_t *more = realloc(fs->interrupts, room * sizeof(*more));

		if (!more)
			return;
		fs->interrupts = more;
		fs->interrupt_room = room;
	}
	fs->interrupts[fs->interrupt_count++] = (uintptr_t)call;
}

void fs_pass_interrupts(struct fs *fs)
{
	for (size_t i = 0; i < fs->interrupt_count; i++)
		node_interrupt(fs->node, fs->interrupts[i], loop_now());
	fs->interrupt_count = 0;
}

/* ---- Asking ---- */

/* glibc's calloc gives back no block that was freed just now, and takes some 80 ns more for that. */
struct asked *fs_asked_new(fuse_req_t req, const struct fuse_file_info *fi)
{
	struct asked *a = malloc(sizeof(*a));

	if (!a) {
		fuse_reply_err(req, ENOMEM);
		return NULL;
	}
	*a = (struct asked){.req = req, .tid = fuse_req_ctx(req)->pid};
	if (fi)
		a->fi = *fi;
	return a;
}

/* Takes a over. */
uint64_t fs_ask_as(struct asked *a, const struct message *m)
{
	struct fs *fs = fuse_req_userdata(a->req);
	fuse_req_t req = a->req;
	uint64_t call = bind_asks(fs, a, m) ? node_submit(fs->node, m, a, loop_now()) : 0;

	a->ino = m->ino;
	a->set = m->set;
	a->to = m->attr;
	told_asks(fs->told, fuse_req_ctx(req)->pid, m);
	if (call) {
		/* The answer comes from the loop later, so req and a are still ours. */
		fuse_req_interrupt_func(req, on_interrupt, (void *)(uintptr_t)call);
		bind_asked(a, call);
		onloss_makes(fs, a, m);
		if (a->flush)
			onloss_flush(fs, a);
	} else {
		fuse_reply_err(req, errors_errno(m->kind, STATUS_NO_MEMORY));
		bind_drop(a);
		free(a);
	}
	return call;
}

uint32_t fs_privilege(fuse_req_t req)
{
	return fuse_req_ctx(req)->uid ? OPEN_UNPRIVILEGED : 0;
}

void fs_ask(fuse_req_t req, const struct fuse_file_info *fi, const struct message *m)
{
	struct asked *a = fs_asked_new(req, fi);

	if (a)
		fs_ask_as(a, m);
}

void fs_note_caller(fuse_req_t req, struct message *m)
{
	const struct fs *fs = fuse_req_userdata(req);
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct caller caller;

	callers_find(fs->callers, ctx->pid, &caller);
	m->pid = caller.pid;
	m->uid = ctx->uid;
	memcpy(m->command, caller.command, sizeof(m->command));
}

bool fs_too_long(fuse_req_t req, const char *name)
{
	if (strlen(name) <= NAME_MAX_BYTES)
		return false;
	fuse_reply_err(req, ENAMETOOLONG);
	return true;
}
