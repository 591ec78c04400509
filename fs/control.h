/* SPDX-License-Identifier: MIT */
/*
 * .dlock/, the control directory (contract 8): reachable in the root, not listed there, and the same
 * files in every mount.
 *
 *	control.c         the directory, and which of its files a request is for
 *	control_text.c    files that are a text made anew for each reader (status, locks, ...)
 *	control_stream.c  files that are a stream of lines (changes, lease)
 *	control_break.c   the file that takes an acquisition away
 *	control_status.c  what this node knows of itself and its masters
 *	control_survey.c  the locks of the cluster, asked of the master page by page (survey.h)
 *
 * None of it is in the cluster's table: its inode numbers are of no epoch, and no request for it goes
 * to the core but those that a file makes itself. A file is an entry of control_files with what it can
 * do; the directory knows nothing else of it.
 */
#ifndef FS_CONTROL_H
#define FS_CONTROL_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONTROL_NAME ".dlock"

/*
 * The directory's inode number; those of its files follow. The table's begin at 1 << TABLE_EPOCH_SHIFT,
 * but for the root's, which is 1.
 */
#define CONTROL_INO	  UINT64_C(2)
#define CONTROL_FILES_MAX 16

struct fs;
struct asked;
struct node_answer;
struct survey;

struct control_file {
	const char *name;
	uint32_t mode; /* permissions */
	/*
	 * Each answers the request, once, now or later. fi->fh is the file's own between open and
	 * release; an open that is not answered with a success has no release. NULL: the file cannot be
	 * read, or written (an open for that is EACCES); it is always ready (poll).
	 */
	void (*open)(fuse_req_t req, const struct control_file *file, struct fuse_file_info *fi);
	void (*read)(fuse_req_t req, const struct control_file *file, size_t size, off_t off,
		     struct fuse_file_info *fi);
	void (*write)(fuse_req_t req, const struct control_file *file, const char *buf, size_t size,
		      off_t off, struct fuse_file_info *fi);
	/* Answers nothing. */
	void (*release)(struct fs *fs, const struct control_file *file, struct fuse_file_info *fi);
	/* Owns ph, which may be NULL. */
	void (*poll)(fuse_req_t req, const struct control_file *file, struct fuse_file_info *fi,
		     struct fuse_pollhandle *ph);
	/*
	 * Of those that control_text.c opens and reads. Writes a piece of the text, counted from 0, a
	 * few lines at most. 1; 0: there is no such piece; or -ENOMEM. The text of a file with `surveys` set is
	 * of the locks of the cluster; for others survey is NULL.
	 */
	bool surveys;
	int (*text)(const struct fs *fs, const struct survey *survey, size_t piece, FILE *to);
};

/*
 * ---- The kernel's requests. Each answers the request and returns true if it is about the control
 * directory or what is in it.
 * ----
 */
bool control_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
bool control_getattr(fuse_req_t req, fuse_ino_t ino);
bool control_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off);
bool control_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
bool control_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
bool control_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		  struct fuse_file_info *fi);
bool control_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		   struct fuse_file_info *fi);
bool control_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		  struct fuse_pollhandle *ph);
/* Something is to be made under this name: EEXIST for the directory's own, EPERM in it. */
bool control_refuses_new(fuse_req_t req, fuse_ino_t parent, const char *name);
/* The name is to be removed or moved: EPERM. */
bool control_refuses_end(fuse_req_t req, fuse_ino_t parent, const char *name);
/* The request is not for such a file: this error. */
bool control_refuses(fuse_req_t req, fuse_ino_t ino, int error);
/* It has no attributes. */
bool control_lists_none(fuse_req_t req, fuse_ino_t ino, size_t size);

/* ---- control_text.c: open, read and release of files that are a text ---- */

/* All that readers have been given and may read on in; beyond that a read is ENOMEM. */
#define CONTROL_TEXTS_MAX_BYTES (UINT64_C(512) << 20)
/* Open descriptions of such files; beyond that an open is ENFILE. */
#define CONTROL_TEXTS_MAX 4096

void control_text_open(fuse_req_t req, const struct control_file *file, struct fuse_file_info *fi);
void control_text_read(fuse_req_t req, const struct control_file *file, size_t size, off_t off,
		       struct fuse_file_info *fi);
void control_text_release(struct fs *fs, const struct control_file *file,
			  struct fuse_file_info *fi);

/* ---- control_survey.c: who has what ---- */

#define CONTROL_LOCKS_XATTR "user.dlock.locks"

/* Gathers what there is now, for a read of the file's text: control_text_surveyed follows, unless the
 * request is answered with an error. */
void control_survey_read(fuse_req_t req, const struct control_file *file, size_t size, off_t off,
			 struct fuse_file_info *fi);
/* The attribute of that name of a file: locks.json for this file alone. */
void control_survey_xattr(fuse_req_t req, fuse_ino_t ino, size_t size);
/* An answer to SURVEY. Takes a over. */
void control_survey_answer(struct fs *fs, struct asked *a, const struct node_answer *answer);

/* The text is of this survey from now on, which it takes over; answers the read. */
void control_text_surveyed(fuse_req_t req, const struct control_file *file, struct survey *survey,
			   size_t size, off_t off, struct fuse_file_info *fi);

/* ---- control_break.c ---- */

void control_break_open(fuse_req_t req, const struct control_file *file, struct fuse_file_info *fi);
void control_break_write(fuse_req_t req, const struct control_file *file, const char *buf,
			 size_t size, off_t off, struct fuse_file_info *fi);

/* ---- The files' texts ---- */

int control_status(const struct fs *fs, const struct survey *survey, size_t piece, FILE *to);
int control_status_json(const struct fs *fs, const struct survey *survey, size_t piece, FILE *to);

#endif
