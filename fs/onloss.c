/* SPDX-License-Identifier: MIT */
#include "fs/onloss.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "fs/fs.h"
#include "transport/log.h"

/* ---- Passes ---- */

/* A maker that is not noted has no process that could be told from others. */
static void fill(const struct fs *fs, struct fence_job *job, const struct node_held *held,
		 size_t count)
{
	struct sought *to = &job->sought;

	for (size_t i = 0; i < count; i++) {
		pid_t pid = (pid_t)held[i].maker;
		uint64_t start;

		if (!pid)
			to->inos[to->ino_count++] = held[i].ino;
		else if (makers_find(fs->onloss.makers, pid, &start))
			to->makers[to->maker_count++] = (struct maker_of){pid, start, held[i].ino};
	}
	holders_sort(to);
}

/* NULL: no memory. */
static struct fence_job *job_for(const struct fs *fs, int signal, size_t count)
{
	struct node_held *held = calloc(count, sizeof(*held));
	struct fence_job *job = held ? fence_job_new(signal, count, count) : NULL;

	if (job)
		fill(fs, job, held, node_held(fs->node, held, count));
	free(held);
	return job;
}

static void end_of_loss(struct fs *fs, bool stopped)
{
	if (!stopped)
		log_error("%s: holders of the lost lease could not be stopped; the master frees "
			  "what they held when its own time is over",
			  fs->options.node);
	node_fenced(fs->node, stopped, loop_now());
}

static void begin_pass(struct fs *fs)
{
	struct onloss *o = &fs->onloss;
	size_t count = node_held(fs->node, NULL, 0);
	struct fence_job *job;

	o->pass_at_ns = loop_now().boot_ns + ONLOSS_ROUND_NS;
	if (!count && o->stage == NODE_FENCE_LOST)
		end_of_loss(fs, true);
	if (!count)
		return;
	job = job_for(fs, o->stage == NODE_FENCE_WARN ? SIGTERM : SIGKILL, count);
	if (!job)
		return; /* no memory; perhaps next time */
	o->pass = fence_post(o->fence, job);
	o->pass_at_ns = MOMENT_NEVER;
}

static void end_pass(struct fs *fs)
{
	struct onloss *o = &fs->onloss;
	bool clear = false;
	uint64_t passed = fence_passed(o->fence, &clear);

	if (!o->pass || passed != o->pass)
		return;
	o->pass = 0;
	if (o->stage == NODE_FENCE_LOST && clear)
		end_of_loss(fs, true);
	else if (o->stage >= NODE_FENCE_KILL)
		o->pass_at_ns = loop_now().boot_ns + ONLOSS_ROUND_NS;
}

/* ---- Stages ---- */

static void answer_flushes(struct onloss *o)
{
	struct asked *a;

	while ((a = o->flushes)) {
		DL_DELETE(o->flushes, a);
		fuse_reply_err(a->req, 0);
		a->req = NULL;
	}
}

/* SIGTERM goes out once, when the first stage begins; an outage that has become shorter is over for
 * those who have had theirs. */
static void enter(struct fs *fs, enum node_fence stage)
{
	struct onloss *o = &fs->onloss;
	enum node_fence from = o->stage;

	o->stage = stage;
	o->pass = 0;
	o->pass_at_ns = MOMENT_NEVER;
	if (stage < from)
		fence_call_off(o->fence);
	else
		begin_pass(fs);
	if (stage == NODE_FENCE_LOST)
		o->patience_ns = loop_now().boot_ns + node_lease(fs->node);
	if (stage != NODE_FENCE_NONE)
		answer_flushes(o);
}

void onloss_turn(struct fs *fs)
{
	struct onloss *o = &fs->onloss;
	int64_t now;

	if (!o->fence)
		return;
	if (fs->threads_stir)
		end_pass(fs);
	if (node_fence(fs->node) != o->stage)
		enter(fs, node_fence(fs->node));
	now = loop_now().boot_ns;
	if (o->stage == NODE_FENCE_LOST && now >= o->patience_ns)
		end_of_loss(fs, false);
	else if (now >= o->pass_at_ns)
		begin_pass(fs);
	if (node_fence(fs->node) != o->stage)
		enter(fs, node_fence(fs->node));
}

int64_t onloss_deadline(const struct fs *fs)
{
	const struct onloss *o = &fs->onloss;
	int64_t at = o->fence ? o->pass_at_ns : MOMENT_NEVER;

	if (o->fence && o->stage == NODE_FENCE_LOST && o->patience_ns < at)
		at = o->patience_ns;
	return at;
}

/* ---- Makers ---- */

void onloss_makes(struct fs *fs, struct asked *a, const struct message *m)
{
	bool holds = m->kind == MESSAGE_MKDIR || m->kind == MESSAGE_SYMLINK ||
		     m->kind == MESSAGE_LINK || m->kind == MESSAGE_RENAME ||
		     (m->kind == MESSAGE_CREATE && (m->flags & OPEN_EXCL));

	if (fs->onloss.fence && holds)
		a->maker = (pid_t)m->pid;
}

void onloss_made(struct fs *fs, const struct asked *a)
{
	if (a->maker && !makers_note(fs->onloss.makers, a->maker) &&
	    log_allows(&fs->limit, loop_now().boot_ns))
		log_warning("process %d has made a held name and could not be noted: onloss=kill "
			    "will not stop it",
			    (int)a->maker);
}

/* ---- Closing ---- */

void onloss_flush(struct fs *fs, struct asked *a)
{
	struct onloss *o = &fs->onloss;

	if (!o->fence)
		return;
	DL_APPEND(o->flushes, a);
	if (o->stage != NODE_FENCE_NONE)
		answer_flushes(o);
}

void onloss_flushed(struct fs *fs, struct asked *a)
{
	if (fs->onloss.fence && a->req)
		DL_DELETE(fs->onloss.flushes, a);
}

/* ---- Life ---- */

int onloss_start(struct fs *fs, const char **why)
{
	struct onloss *o = &fs->onloss;
	int err;

	if (!fs->options.onloss_kill)
		return 0;
	*why = holders_trouble();
	if (*why)
		return -1;
	o->pass_at_ns = MOMENT_NEVER;
	o->makers = makers_new();
	o->fence = o->makers ? fence_new(fs->options.mountpoint) : NULL;
	if (o->fence)
		err = wakes_add(&fs->wakes, fence_fd(o->fence), WAKE_THREAD);
	else
		err = o->makers ? -errno : -ENOMEM;
	*why = strerror(-err);
	return err ? -1 : 0;
}

void onloss_stop(struct fs *fs)
{
	fence_free(fs->onloss.fence);
	fs->onloss.fence = NULL;
	makers_free(fs->onloss.makers);
	fs->onloss.makers = NULL;
}
