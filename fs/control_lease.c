/* SPDX-License-Identifier: MIT */
/*
 * .dlock/lease: until when this node believes in its session, for programs that hold something and
 * have to stop in time whatever becomes of dlockfs. A description is about the session of the time of
 * its open, and ends with it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <utlist.h>

#include "fs/control_stream.h"
#include "fs/fs.h"
#include "fs/json_text.h"

static const char lost_line[] = "{\"lost\":true}\n";

static bool is_lease(const struct reader *r)
{
	return r->file->open == lease_open;
}

/* Whoever cannot be told what he holds no longer is told that he holds nothing. */
static void lose(struct fs *fs, struct reader *r)
{
	r->over = true;
	r->until_due = false;
	fs->readers_stir = true;
	if (!stream_add(&r->lines, lost_line, sizeof(lost_line) - 1))
		r->lines.missed = 0; /* the end of the file says as much */
}

/* Microseconds, and none more than there are. */
static double seconds(int64_t ns)
{
	return (double)(ns / 1000) / 1e6;
}

void lease_tell(const struct fs *fs, struct reader *r)
{
	json_t *object = json_pack("{s:f,s:f}", "until", seconds(r->until_ns), "lease",
				   seconds(node_lease(fs->node)));
	char *text = object ? json_dumps(object, JSON_TEXT_FLAGS) : NULL;
	char line[128];
	int len = text ? snprintf(line, sizeof(line), "%s\n", text) : 0;

	if (len > 0 && stream_add(&r->lines, line, (size_t)len))
		r->until_due = false;
	else
		r->lines.missed = 0; /* it is still due */
	free(text);
	json_decref(object);
}

static void look(struct fs *fs, struct reader *r)
{
	int64_t until_ns = node_belief_end(fs->node);

	if (r->over)
		return;
	if (!until_ns || node_instance(fs->node) != r->instance) {
		lose(fs, r);
	} else if (until_ns != r->until_ns) {
		r->until_ns = until_ns;
		r->until_due = true;
		fs->readers_stir = true;
	}
}

void lease_open(fuse_req_t req, const struct control_file *file, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	struct reader *r = reader_new(req, file);
	struct caller caller;

	if (!r)
		return;
	callers_find(fs->callers, fuse_req_ctx(req)->pid, &caller);
	r->opener = (pid_t)caller.pid;
	r->instance = node_instance(fs->node);
	look(fs, r);
	reader_opened(req, r, fi);
}

void lease_turn(struct fs *fs)
{
	int64_t until_ns = node_belief_end(fs->node);
	struct reader *r;

	if (until_ns == fs->lease_told_ns)
		return; /* of two sessions it is never the same */
	fs->lease_told_ns = until_ns;
	DL_FOREACH (fs->readers, r)
		if (is_lease(r))
			look(fs, r);
}

void lease_broken(struct fs *fs, uint64_t token)
{
	char line[64];
	int len = snprintf(line, sizeof(line), "{\"broken\":\"%" PRIu64 "\"}\n", token);
	struct reader *r;

	DL_FOREACH (fs->readers, r)
		if (is_lease(r) && !r->over && !stream_add(&r->lines, line, (size_t)len))
			lose(fs, r);
	fs->readers_stir = true;
}

bool lease_is_open_by(const struct fs *fs, pid_t pid)
{
	const struct reader *r;

	DL_FOREACH (fs->readers, r)
		if (is_lease(r) && pid && r->opener == pid)
			return true;
	return false;
}
