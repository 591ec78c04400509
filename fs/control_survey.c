/* SPDX-License-Identifier: MIT */
/* Who has what: a survey is asked of the master a page at a time, and then it is somebody's answer. */
#include <errno.h>
#include <linux/limits.h>
#include <stdlib.h>

#include "fs/control.h"
#include "fs/errors.h"
#include "fs/fs.h"
#include "fs/survey.h"

/* Answers with an error, unless it is 0, and ends it. */
static void end(struct asked *a, int error)
{
	if (error)
		fuse_reply_err(a->req, error);
	survey_free(a->survey);
	free(a);
}

static void ask_page(struct asked *a)
{
	struct survey *survey = a->survey;
	struct message m;

	survey_request(survey, &m);
	if (!fs_ask_as(a, &m))
		survey_free(survey); /* the rest is gone, and answered */
}

static void begin(struct asked *a, fuse_ino_t ino)
{
	a->survey = survey_new(ino);
	if (a->survey)
		ask_page(a);
	else
		end(a, ENOMEM);
}

void control_survey_read(fuse_req_t req, const struct control_file *file, size_t size, off_t off,
			 struct fuse_file_info *fi)
{
	struct asked *a = fs_asked_new(req, fi);

	if (!a)
		return;
	a->control = file;
	a->size = size;
	a->offset = off;
	begin(a, 0);
}

void control_survey_xattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct asked *a = fs_asked_new(req, NULL);

	if (!a)
		return;
	a->size = size;
	begin(a, ino);
}

/* The kernel takes no attribute that is longer: E2BIG, and who needs it reads locks.json. */
static void answer_xattr(struct fs *fs, struct asked *a)
{
	char *bytes = NULL;
	size_t len = 0, piece = 0;
	FILE *to = open_memstream(&bytes, &len);
	int more = to ? 1 : -ENOMEM;

	while (more > 0 && ftell(to) <= XATTR_SIZE_MAX)
		more = survey_json(fs, a->survey, piece++, to);
	if (to && (fclose(to) != 0 || !bytes))
		more = -ENOMEM;
	if (more < 0)
		fuse_reply_err(a->req, -more);
	else if (more || len > XATTR_SIZE_MAX)
		fuse_reply_err(a->req, E2BIG);
	else if (!a->size)
		fuse_reply_xattr(a->req, len);
	else if (len > a->size)
		fuse_reply_err(a->req, ERANGE);
	else
		fuse_reply_buf(a->req, bytes, len);
	free(bytes);
	end(a, 0);
}

static void answer_read(struct asked *a)
{
	struct survey *survey = a->survey;

	a->survey = NULL;
	control_text_surveyed(a->req, a->control, survey, a->size, a->offset, &a->fi);
	end(a, 0);
}

void control_survey_answer(struct fs *fs, struct asked *a, const struct node_answer *answer)
{
	if (answer->status != STATUS_OK)
		end(a, errors_errno(answer->kind, answer->status));
	else if (!survey_add(a->survey, answer->reply))
		end(a, ENOMEM);
	else if (!survey_is_done(a->survey) && fuse_req_interrupted(a->req))
		end(a, EINTR);
	else if (!survey_is_done(a->survey))
		ask_page(a);
	else if (a->control)
		answer_read(a);
	else
		answer_xattr(fs, a);
}
