/* SPDX-License-Identifier: MIT */
/*
 * dlockfs: one thread, one loop, that owns everything.
 *
 *	main.c      from the command line to a mount that serves, and back to the shell
 *	options.c   the command line; helper.c: when mount(8) calls
 *	mountpoint.c  the place, and what may be in the way there
 *	serve.c     the loop: kernel, masters, time; wakes.c: it waits for them
 *	requests.c  what is agreed with the kernel, and the table of its requests, which are in
 *	            names.c, files.c, locks.c and xattrs.c
 *	caller.c    who asks
 *	told.c      what the kernel takes names for
 *	dirs.c      the directories that it knows, should they go
 *	xattr_text.c  the attributes as text
 *	ask.c       a request as a call of the core
 *	answers.c   the core's answers, to the kernel
 *	onloss.c    when holders are stopped before the lease ends
 *	fence.c     a thread that stops them: holders.c finds them, in what process.c reads
 *	makers.c    which processes made held names
 *	bind.c      names that end with their maker's session: holdings.c has them, vigil.c is a thread
 *	            that watches the sessions, verdicts.c says which live, by what sids.c reads
 *	notify.c    a thread that makes the kernel tell inotify(7) of what other nodes did
 *	breaks.c    when what is held here is broken: who is stopped, and waited for
 *	control.c   .dlock/, which is answered here and by control_*.c
 *	own.c       the requests that this thread causes, answered from memory
 *	errors.c    the one table of errno
 *
 * A request of the kernel becomes a struct asked and a call of the core, and is answered whenever
 * the core does: out of order, and without a thread waiting for it.
 */
#ifndef FS_FS_H
#define FS_FS_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "fs/bind.h"
#include "fs/breaks.h"
#include "fs/caller.h"
#include "fs/control.h"
#include "fs/dirs.h"
#include "fs/notify.h"
#include "fs/onloss.h"
#include "fs/options.h"
#include "fs/told.h"
#include "fs/wakes.h"
#include "fs/xattr_text.h"
#include "lockcore/node.h"
#include "transport/endpoint.h"
#include "transport/log.h"
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

/* What wakes the loop. */
enum wake {
	WAKE_KERNEL,
	WAKE_TIMER,
	WAKE_SIGNAL,
	WAKE_THREAD,  /* one of ours has something to say */
	WAKE_MASTERS, /* the endpoints', and their numbers */
};

struct fs {
	struct options options;
	struct loop loop;
	struct wakes wakes;
	struct wire *wire;
	struct endpoint *endpoints[NODE_MASTERS_MAX];
	struct node *node;
	struct callers *callers;
	struct told *told;
	struct dirs *dirs;
	struct fuse_session *session; /* NULL: not made yet, or ended */
	struct notify *notify;	      /* NULL: none could be made */
	struct onloss onloss;
	struct bind bind;
	struct breaks breaks;
	struct reader *readers; /* control_stream.h */
	size_t reader_count;
	size_t watching;       /* readers of changes, and opens that will be */
	int64_t lease_told_ns; /* what node_belief_end said when readers were told last */
	bool readers_stir;     /* one of them may have something to read, or a signal */
	bool unawaited;	   /* the request at hand is one whose maker goes on without an answer */
	bool crowded;	   /* more requests came than one at a time, when we looked last */
	unsigned taken;	   /* requests, of which now and then one is followed by such a look */
	bool threads_stir; /* one of onloss, bind and breaks has something to say */
	bool mounted;
	bool ready;		/* the kernel has said INIT and agreed */
	char refused[160];	/* why the kernel will not do, from INIT */
	bool twin_said;		/* that another host has our name, since the last session */
	struct log_limit limit; /* lines that a master or a program can cause */
	struct fuse_buf buf;	/* libfuse's, for requests */
	struct stale_open stale_opens[FS_STALE_OPENS];
	size_t stale_next;
	uint64_t *interrupts; /* calls that signals have come for, not yet passed on */
	size_t interrupt_count, interrupt_room;
};

/* A request of the kernel that the core has not answered yet. */
struct asked {
	fuse_req_t req;
	struct fuse_file_info fi;
	pid_t tid;	  /* who asks */
	uint64_t look;	  /* LOOKUP: told.h */
	size_t size;	  /* READ, READDIR, GETINFO: at most so many bytes; WRITE: how many */
	bool make_only;	  /* CREATE for mknod(2): nobody keeps the handle */
	bool flush;	  /* LOCK for the close of a descriptor */
	bool readlink;	  /* READ of a symbolic link's target */
	bool setxattr;	  /* SETATTR, GETINFO for setxattr(2), which wants nothing back */
	enum xattr xattr; /* GETINFO: which is wanted; XATTR_END: the list */
	off_t offset;	  /* READDIR */
	fuse_ino_t ino;	  /* the request's */
	uint32_t set;	  /* SETATTR, and what to */
	struct attr to;
	pid_t maker;		   /* onloss=kill: who makes a held name by this */
	struct holding *makes;	   /* the held name that it makes; NULL: none */
	struct holding *removes;   /* UNLINK, RENAME: the name that goes */
	uint64_t gives_up;	   /* the call whose name the node itself gives up by this */
	enum bind_to bind_to;	   /* GETINFO with setxattr, for XATTR_BIND */
	struct asked *prev, *next; /* onloss.flushes */
	struct survey *survey;	   /* SURVEY: what is known so far */
	const struct control_file
		*control; /* and the file whose text is read; NULL: an attribute */
};

/* main.c */
/* The last line that libfuse had to say; empty: none. */
const char *fs_fuse_reason(void);

/* ask.c */
/* NULL: no memory, and the kernel has been told. fi is copied; it may be NULL. */
struct asked *fs_asked_new(fuse_req_t req, const struct fuse_file_info *fi);
/* Submits m for a, which it takes over. Returns the call's number; 0: it is answered already. */
uint64_t fs_ask_as(struct asked *a, const struct message *m);
void fs_ask(fuse_req_t req, const struct fuse_file_info *fi, const struct message *m);
/* OPEN_UNPRIVILEGED or 0: libfuse leaves it to us to clear what a write clears. */
uint32_t fs_privilege(fuse_req_t req);
/* Notes in m who asks for something that he will hold: pid, uid, command. */
void fs_note_caller(fuse_req_t req, struct message *m);
/* True: the name has more than NAME_MAX_BYTES, and the kernel has been told. */
bool fs_too_long(fuse_req_t req, const char *name);
/* Passes the signals on that came while a request was read. */
void fs_pass_interrupts(struct fs *fs);

/* requests.c */
extern const struct fuse_lowlevel_ops fs_ops;

/* names.c */
void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void fs_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void fs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void fs_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void fs_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void fs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
	       const char *newname, unsigned int flags);
void fs_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_readlink(fuse_req_t req, fuse_ino_t ino);

/* files.c */
void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
		struct fuse_file_info *fi);
void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void fs_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	      struct fuse_file_info *fi);
void fs_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

void fs_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph);

/* locks.c */
void fs_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock);
void fs_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
	      int sleep);
void fs_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op);
void fs_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* xattrs.c */
void fs_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void fs_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void fs_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags);
void fs_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
void fs_answer_info(const struct asked *a, const struct message *info);

/* own.c: each answers the request and returns true if our helper thread made it. */
bool fs_own_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
bool fs_own_getattr(fuse_req_t req, fuse_ino_t ino);
bool fs_own_remove(fuse_req_t req, fuse_ino_t parent, const char *name);
bool fs_own_make(fuse_req_t req, fuse_ino_t parent, const char *name);

/* answers.c */
void fs_reply_entry(fuse_req_t req, const struct attr *attr);
void fs_reply_attr(fuse_req_t req, const struct attr *attr);
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
