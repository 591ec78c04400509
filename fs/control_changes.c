/* SPDX-License-Identifier: MIT */
/* .dlock/changes: what becomes of locks, held names and waits in the cluster, a line for each. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "fs/control_stream.h"
#include "fs/errors.h"
#include "fs/fs.h"
#include "fs/survey.h"

static const char *event_name(enum change_kind change)
{
	static const char *const names[] = {
		[CHANGE_GRANTED] = "granted", [CHANGE_RELEASED] = "released",
		[CHANGE_EXPIRED] = "expired", [CHANGE_BROKEN] = "broken",
		[CHANGE_WAITS] = "waits",     [CHANGE_GAVE_UP] = "gave-up",
	};

	return change > CHANGE_NONE && change < CHANGE_MISSED ? names[change] : NULL;
}

/* ---- Opening: whoever has it open hears of everything that is done afterwards ---- */

static void unwatch(struct fs *fs)
{
	if (--fs->watching == 0)
		node_unwatch(fs->node, loop_now());
}

void changes_open(fuse_req_t req, const struct control_file *file, struct fuse_file_info *fi)
{
	struct message m = {.kind = MESSAGE_WATCH, .flags = WATCH_CHANGES};
	struct fs *fs = fuse_req_userdata(req);
	struct asked *a = fs_asked_new(req, fi);

	if (!a)
		return;
	a->control = file;
	fs->watching++;
	if (!fs_ask_as(a, &m))
		unwatch(fs);
}

void changes_answer(struct fs *fs, struct asked *a, const struct node_answer *answer)
{
	struct reader *r = NULL;

	if (answer->status == STATUS_OK)
		r = reader_new(a->req, a->control);
	else
		fuse_reply_err(a->req, errors_errno(answer->kind, answer->status));
	if (!r || !reader_opened(a->req, r, &a->fi))
		unwatch(fs);
	free(a);
}

void changes_release(struct fs *fs, const struct control_file *file, struct fuse_file_info *fi)
{
	reader_release(fs, file, fi);
	unwatch(fs);
}

/* ---- Telling ---- */

static void tell(struct reader *r, const struct node_change *change, const char *line)
{
	if (change->change == CHANGE_MISSED)
		stream_miss(&r->lines, change->missed);
	else if (line)
		stream_add(&r->lines, line, strlen(line));
	else
		stream_miss(&r->lines, 1);
}

void changes_turn(struct fs *fs)
{
	struct node_change change;
	struct reader *r;

	while (node_next_change(fs->node, &change)) {
		const char *event = event_name(change.change);
		char *line = event ? survey_event(event, change.what) : NULL;

		DL_FOREACH (fs->readers, r)
			if (r->file->open == changes_open)
				tell(r, &change, line);
		fs->readers_stir = true;
		free(line);
	}
}
