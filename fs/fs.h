/* SPDX-License-Identifier: MIT */
/*
 * dlockfs: one thread, one loop, that owns everything.
 *
 *	main.c      from the command line to a mount that serves, and back to the shell
 *	serve.c     the loop: kernel, masters, time
 *	requests.c  the kernel's requests, to the core
 *	answers.c   the core's answers, to the kernel
 *	errors.c    the one table of errno
 *
 * A request of the kernel becomes a struct asked and a call of the core, and is answered whenever
 *the core does: out of order, and without a thread waiting for it.
 */
#ifndef FS_FS_H
#define FS_FS_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "fs/options.h"
#include "lockcore/node.h"
#include "transport/endpoint.h"
#include "transport/loop.h"
#include "transport/wire.h"

/* Contract 3.1 and 3.2: what one file can hold, in the blocks that statfs counts. */
#define FS_BLOCK_BYTES 4096

/* A thread whose open(2) was answered ESTALE: the kernel looks the name up again, but only once. */
struct stale_open {
	pid_t tid;
	int64_t at_ns;
};

#define FS_STALE_OPENS 64	  /* remembered; the oldest give way */
#define FS_STALE_NS    NS_PER_SEC /* how soon the second try comes at the latest */

struct fs {
	struct options options;
	struct loop loop;
	struct wire *wire;
	struct endpoint *endpoints[NODE_MASTERS_MAX];
	struct node *node;
	struct fuse_session *session; /* NULL: not made yet, or ended */
	bool mounted;
	bool ready;	     /* the kernel has said INIT and agreed */
	char refused[160];   /* why the kernel will not do, from INIT */
	struct fuse_buf buf; /* libfuse's, for requests */
	struct stale_open stale_opens[FS_STALE_OPENS];
	size_t stale_next;
	uint64_t *interrupts; /* calls that signals have come for, not yet passed on */
	size_t interrupt_count, interrupt_room;
};

/* A request of the kernel that the core has not answered yet. */
struct asked {
	fuse_req_t req;
	struct fuse_file_info fi;
	pid_t tid;	/* OPEN: who asks */
	size_t size;	/* READ, READDIR: at most so many bytes; WRITE: how many */
	bool make_only; /* CREATE for mknod(2): nobody keeps the handle */
	bool flush;	/* LOCK for the close of a descriptor */
	bool readlink;	/* READ of a symbolic link's target */
	off_t offset;	/* READDIR */
	fuse_ino_t ino; /* READDIR: of the directory */
};

/* requests.c */
extern const struct fuse_lowlevel_ops fs_ops;
/* Passes the signals on that came while a request was read. */
void fs_pass_interrupts(struct fs *fs);

/* answers.c */
void fs_answer(struct fs *fs, const struct node_answer *answer);

/* serve.c: each runs the loop until what it is named for has come about. */
/* 0, or an exit status after one line of why. */
int fs_serve_until_open(struct fs *fs);
int fs_serve_until_ready(struct fs *fs);
/* Until it is unmounted or told to stop. */
void fs_serve(struct fs *fs);
/* Until the master has heard BYE, or will not. */
void fs_serve_until_left(struct fs *fs);

#endif
