/* SPDX-License-Identifier: MIT */
/*
 * The files of .dlock/ that are streams: `changes` and `lease`. Each open description is a reader of its
 * own; a read waits until there is a line, a signal ends it, and poll(2) works.
 *
 *	control_stream.c   readers: reading, waiting, polling
 *	control_changes.c  what becomes of acquisitions in the cluster
 *	control_lease.c    what this node believes
 *
 * Everything is on the loop's thread, and nothing of it waits.
 */
#ifndef FS_CONTROL_STREAM_H
#define FS_CONTROL_STREAM_H

#include "fs/control.h"
#include "fs/stream.h"

#define READERS_MAX	  4096 /* open descriptions; beyond that an open is ENFILE */
#define READER_BUFFER_MIN 4096 /* a read with less is EINVAL */

struct node_answer;

struct reader {
	struct reader *prev, *next; /* fs.readers */
	const struct control_file *file;
	struct stream lines;
	bool over;		      /* no more lines: then end of file */
	fuse_req_t waiting;	      /* a read; NULL: none */
	size_t size;		      /* of its buffer */
	bool signalled;		      /* a signal has come for it */
	struct fuse_pollhandle *poll; /* who polls; NULL: nobody */
	/* lease */
	bool until_due;	   /* `until` has changed, and has not been told */
	uint64_t instance; /* of the session it is about */
	int64_t until_ns;
	pid_t opener; /* the process */
};

/* NULL: the open is answered with an error. */
struct reader *reader_new(fuse_req_t req, const struct control_file *file);
/* Unlists and frees one that nobody waits for. */
void reader_free(struct fs *fs, struct reader *r);
/* The open succeeds; false: the caller is gone, and the reader with it. */
bool reader_opened(fuse_req_t req, struct reader *r, struct fuse_file_info *fi);
/* After every turn of the loop: what there is to tell goes to the readers. */
void readers_turn(struct fs *fs);
/* None waits any more, and all are freed. */
void readers_end(struct fs *fs);

void reader_read(fuse_req_t req, const struct control_file *file, size_t size, off_t off,
		 struct fuse_file_info *fi);
void reader_poll(fuse_req_t req, const struct control_file *file, struct fuse_file_info *fi,
		 struct fuse_pollhandle *ph);
void reader_release(struct fs *fs, const struct control_file *file, struct fuse_file_info *fi);

/* ---- changes ---- */

void changes_open(fuse_req_t req, const struct control_file *file, struct fuse_file_info *fi);
/* The answer to the question that an open has led to; takes a over. */
void changes_answer(struct fs *fs, struct asked *a, const struct node_answer *answer);
void changes_release(struct fs *fs, const struct control_file *file, struct fuse_file_info *fi);
void changes_turn(struct fs *fs);

/* ---- lease ---- */

void lease_open(fuse_req_t req, const struct control_file *file, struct fuse_file_info *fi);
void lease_turn(struct fs *fs);
/* A line for what the reader is due; called when he has read all others. */
void lease_tell(const struct fs *fs, struct reader *r);
/* An acquisition of this node is being broken. */
void lease_broken(struct fs *fs, uint64_t token);
/* Has this process it open? */
bool lease_is_open_by(const struct fs *fs, pid_t pid);

#endif
