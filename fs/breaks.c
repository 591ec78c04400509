/* SPDX-License-Identifier: MIT */
#include "fs/breaks.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "fs/control_stream.h"
#include "fs/fs.h"
#include "transport/log.h"

struct breaking {
	struct breaking *prev, *next; /* breaks.list */
	struct node_revoke revoke;
	pid_t reader;	    /* who has `lease` open, and is waited for; 0: nobody */
	bool kill;	    /* holders are stopped */
	int64_t kill_at_ns; /* SIGTERM before, SIGKILL from then on */
	int64_t pass_at_ns; /* the next */
	bool termed;
};

/* ---- Life ---- */

int breaks_start(struct fs *fs, const char **why)
{
	int err;

	if (!fs->options.onloss_kill)
		return 0;
	fs->breaks.fence = fence_new(fs->options.mountpoint);
	if (!fs->breaks.fence)
		err = -errno;
	else
		err = wakes_add(&fs->wakes, fence_fd(fs->breaks.fence), WAKE_THREAD);
	*why = strerror(-err);
	return err ? -1 : 0;
}

static void drop(struct fs *fs, struct breaking *b)
{
	if (fs->breaks.looking == b) {
		fence_call_off(fs->breaks.fence);
		fs->breaks.looking = NULL;
	}
	DL_DELETE(fs->breaks.list, b);
	free(b);
}

void breaks_stop(struct fs *fs)
{
	while (fs->breaks.list)
		drop(fs, fs->breaks.list);
	fence_free(fs->breaks.fence);
	fs->breaks.fence = NULL;
}

/* ---- It begins ---- */

static const char *kind_name(enum holder_kind kind)
{
	return kind == HOLDER_FLOCK   ? "the flock on"
	       : kind == HOLDER_RANGE ? "the fcntl lock on"
				      : "the held name of";
}

/* The holder, or the process that started it: one of them reads what is broken. 0: neither. */
static pid_t find_reader(const struct fs *fs, pid_t holder)
{
	struct process p;

	if (lease_is_open_by(fs, holder))
		return holder;
	return holder && process_read(holder, &p) && lease_is_open_by(fs, p.parent) ? p.parent : 0;
}

/* Without memory nobody is waited for: what is broken must end. */
static void begin(struct fs *fs, const struct node_revoke *revoke)
{
	pid_t reader = find_reader(fs, (pid_t)revoke->pid);
	struct breaking *b = NULL;
	int64_t now_ns = loop_now().boot_ns;

	log_warning("%s inode %" PRIu64 " (token %" PRIu64 ", process %" PRIu32 ") is broken",
		    kind_name(revoke->kind), revoke->ino, revoke->token, revoke->pid);
	lease_broken(fs, revoke->token);
	if (fs->breaks.fence || reader)
		b = calloc(1, sizeof(*b));
	if (!b) {
		node_revoked(fs->node, revoke->token, loop_now());
		return;
	}
	b->revoke = *revoke;
	b->reader = reader;
	b->kill = fs->breaks.fence != NULL;
	b->kill_at_ns = now_ns + (revoke->until_ns - now_ns) / 2;
	b->pass_at_ns = b->kill ? now_ns : MOMENT_NEVER;
	DL_APPEND(fs->breaks.list, b);
}

/* ---- Passes: one at a time ---- */

/* Signal 0 only looks whether somebody is left. */
static int signal_for(const struct breaking *b, int64_t now_ns)
{
	if (!b->termed)
		return SIGTERM;
	return now_ns >= b->kill_at_ns ? SIGKILL : 0;
}

static void fill(const struct fs *fs, const struct breaking *b, struct sought *to)
{
	uint64_t start;

	if (b->revoke.kind != HOLDER_NAME)
		to->inos[to->ino_count++] = b->revoke.ino;
	else if (makers_find(fs->onloss.makers, (pid_t)b->revoke.pid, &start))
		to->makers[to->maker_count++] =
			(struct maker_of){(pid_t)b->revoke.pid, start, b->revoke.ino};
}

static void begin_pass(struct fs *fs, struct breaking *b, int64_t now_ns)
{
	struct fence_job *job = fence_job_new(signal_for(b, now_ns), 1, 1);

	b->pass_at_ns = now_ns + ONLOSS_ROUND_NS;
	if (!job)
		return; /* no memory; perhaps next time */
	job->why = "what it holds is broken";
	fill(fs, b, &job->sought);
	b->termed = true;
	fs->breaks.pass = fence_post(fs->breaks.fence, job);
	fs->breaks.looking = b;
}

static void end_pass(struct fs *fs, int64_t now_ns)
{
	struct breaking *b = fs->breaks.looking;
	bool clear = false;
	uint64_t passed = fence_passed(fs->breaks.fence, &clear);

	if (!b || passed != fs->breaks.pass)
		return;
	fs->breaks.looking = NULL;
	b->pass_at_ns = now_ns + ONLOSS_ROUND_NS;
	if (clear)
		node_revoked(fs->node, b->revoke.token, loop_now());
}

static void next_pass(struct fs *fs, int64_t now_ns)
{
	struct breaking *b, *due = NULL;

	DL_FOREACH (fs->breaks.list, b)
		if (b->kill && b->pass_at_ns <= now_ns && (!due || b->pass_at_ns < due->pass_at_ns))
			due = b;
	if (due)
		begin_pass(fs, due, now_ns);
}

/* ---- Turns ---- */

/* Whoever was waited for reads no more. */
static bool is_deserted(const struct fs *fs, const struct breaking *b)
{
	return !b->kill && !lease_is_open_by(fs, b->reader);
}

static void drop_done(struct fs *fs)
{
	struct breaking *b, *next;

	DL_FOREACH_SAFE (fs->breaks.list, b, next) {
		if (is_deserted(fs, b))
			node_revoked(fs->node, b->revoke.token, loop_now());
		if (!node_is_revoking(fs->node, b->revoke.token))
			drop(fs, b);
	}
}

void breaks_turn(struct fs *fs)
{
	struct node_revoke revoke;
	int64_t now_ns;

	while (node_next_revoke(fs->node, &revoke))
		begin(fs, &revoke);
	if (!fs->breaks.fence && !fs->breaks.list)
		return;
	now_ns = loop_now().boot_ns;
	if (fs->breaks.fence && fs->threads_stir)
		end_pass(fs, now_ns); /* be it of one that is done already */
	drop_done(fs);
	if (fs->breaks.fence && !fs->breaks.looking)
		next_pass(fs, now_ns);
}

int64_t breaks_deadline(const struct fs *fs)
{
	int64_t at = MOMENT_NEVER;
	const struct breaking *b;

	if (fs->breaks.looking)
		return MOMENT_NEVER; /* its end is told */
	DL_FOREACH (fs->breaks.list, b)
		at = b->pass_at_ns < at ? b->pass_at_ns : at;
	return at;
}
