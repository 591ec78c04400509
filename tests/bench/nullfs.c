/* SPDX-License-Identifier: MIT */
/*
 * The ceiling of the bench: a FUSE daemon which decides everything from its own memory.
 *
 * It has the loop the real daemon has (one thread, poll, then one request), and sends no message to
 * anyone. What a lock costs here is the price of FUSE itself; no daemon with a master behind it can
 * be faster, and the distance to this one is what the cluster costs.
 *
 * One flat directory. flock is real, though every lock counts as exclusive: one owner and a queue,
 * so that a hand-over can be measured. POSIX locks are granted blindly; nothing is read or written.
 */
#define FUSE_USE_VERSION 312
#include <assert.h>
#include <errno.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

/* A signal can arrive just before poll() begins; the loop looks again after this time. */
#define POLL_MAX_MS 1000

/* The inode number is the address, so that a request needs no second table. */
struct file {
	char *name;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	bool linked;
	uint64_t nlookup;
	uint64_t owner; /* handle that holds the flock, 0 if none */
	UT_hash_handle hh;
};

/* Waiters of all files in one list in order of arrival: the bench never has more than a few. */
struct waiter {
	fuse_req_t req;
	struct file *file;
	uint64_t handle;
	bool interrupted;
	struct waiter *prev, *next;
};

static struct file *files;
static struct waiter *waiters;
static uint64_t last_handle;

static struct file *file_of(fuse_ino_t ino)
{
	assert(ino != FUSE_ROOT_ID);
	return (struct file *)ino;
}

static struct file *file_find(const char *name)
{
	struct file *f;

	HASH_FIND_STR(files, name, f);
	return f;
}

static struct file *file_new(const char *name, mode_t mode, const struct fuse_ctx *ctx)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->name = strdup(name);
	if (!f->name) {
		free(f);
		return NULL;
	}
	f->mode = S_IFREG | (mode & 07777);
	f->uid = ctx->uid;
	f->gid = ctx->gid;
	f->linked = true;
	HASH_ADD_KEYPTR(hh, files, f->name, strlen(f->name), f);
	return f;
}

static void file_free_if_unused(struct file *f)
{
	if (f->linked || f->nlookup)
		return;
	free(f->name);
	free(f);
}

static struct stat attr_of(fuse_ino_t ino)
{
	struct stat st = {.st_ino = ino, .st_mode = S_IFDIR | 01777, .st_nlink = 2};
	const struct file *f;

	if (ino == FUSE_ROOT_ID)
		return st;
	f = file_of(ino);
	st.st_mode = f->mode;
	st.st_nlink = f->linked;
	st.st_uid = f->uid;
	st.st_gid = f->gid;
	return st;
}

/* Timeouts stay 0, as they must in the real daemon: it may not trust what the kernel remembers. */
static struct fuse_entry_param entry_of(struct file *f)
{
	struct fuse_entry_param e = {.ino = (fuse_ino_t)f, .attr = attr_of((fuse_ino_t)f)};

	f->nlookup++;
	return e;
}

static void null_init(void *userdata, struct fuse_conn_info *conn)
{
	const unsigned int locks = FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS;

	/* Without these the kernel would lock by itself and the bench would measure the kernel. */
	if ((conn->capable & locks) != locks) {
		fprintf(stderr, "nullfs: the kernel does not pass locks to FUSE daemons\n");
		exit(1);
	}
	conn->want |= locks;
	conn->want &= ~(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	printf("ready\n");
	fflush(stdout);
}

static void null_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct file *f = file_find(name);
	struct fuse_entry_param e;

	if (!f) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	e = entry_of(f);
	fuse_reply_entry(req, &e);
}

static void null_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	if (ino != FUSE_ROOT_ID) {
		struct file *f = file_of(ino);

		assert(f->nlookup >= nlookup);
		f->nlookup -= nlookup;
		file_free_if_unused(f);
	}
	fuse_reply_none(req);
}

static void null_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = attr_of(ino);

	fuse_reply_attr(req, &st, 0);
}

static void null_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
			 struct fuse_file_info *fi)
{
	if ((to_set & FUSE_SET_ATTR_MODE) && ino != FUSE_ROOT_ID)
		file_of(ino)->mode = S_IFREG | (attr->st_mode & 07777);
	null_getattr(req, ino, fi);
}

/* A handle stands for one open file description, which is what owns a flock. */
static void open_handle(struct fuse_file_info *fi)
{
	fi->fh = ++last_handle;
	fi->direct_io = 1;
}

static void null_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
			struct fuse_file_info *fi)
{
	struct file *f = file_find(name);
	struct fuse_entry_param e;

	if (f && (fi->flags & O_EXCL)) {
		fuse_reply_err(req, EEXIST);
		return;
	}
	if (!f)
		f = file_new(name, mode, fuse_req_ctx(req));
	if (!f) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	open_handle(fi);
	e = entry_of(f);
	fuse_reply_create(req, &e, fi);
}

static void null_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	open_handle(fi);
	fuse_reply_open(req, fi);
}

static void null_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static void null_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct file *f = file_find(name);

	if (!f) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	HASH_DEL(files, f);
	f->linked = false;
	file_free_if_unused(f);
	fuse_reply_err(req, 0);
}

static void waiter_answer(struct waiter *w, int err)
{
	DL_DELETE(waiters, w);
	fuse_reply_err(w->req, err);
	free(w);
}

/* Only marks: the callback runs inside libfuse, with the lock of the request held. */
static void on_interrupt(fuse_req_t req, void *data)
{
	struct waiter *w = data;

	w->interrupted = true;
}

static void waiter_new(fuse_req_t req, struct file *f, uint64_t handle)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w) {
		fuse_reply_err(req, ENOLCK);
		return;
	}
	w->req = req;
	w->file = f;
	w->handle = handle;
	DL_APPEND(waiters, w);
	/* With one thread the request and its waiter end together, so the pointer stays valid. */
	fuse_req_interrupt_func(req, on_interrupt, w);
}

static void answer_interrupted(void)
{
	struct waiter *w, *tmp;

	DL_FOREACH_SAFE (waiters, w, tmp) {
		if (w->interrupted)
			waiter_answer(w, EINTR);
	}
}

/* The next in line is answered before the one that lets go: somebody waits for that answer. */
static void flock_release(struct file *f, uint64_t handle)
{
	struct waiter *w;

	if (f->owner != handle)
		return;
	f->owner = 0;
	DL_FOREACH (waiters, w) {
		if (w->file == f && !w->interrupted) {
			f->owner = w->handle;
			waiter_answer(w, 0);
			return;
		}
	}
}

static void null_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
	struct file *f = file_of(ino);

	if ((op & ~LOCK_NB) == LOCK_UN) {
		flock_release(f, fi->fh);
		fuse_reply_err(req, 0);
	} else if (!f->owner || f->owner == fi->fh) {
		f->owner = fi->fh;
		fuse_reply_err(req, 0);
	} else if (op & LOCK_NB) {
		fuse_reply_err(req, EWOULDBLOCK);
	} else {
		waiter_new(req, f, fi->fh);
	}
}

static void null_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		       struct flock *lock, int sleep)
{
	fuse_reply_err(req, 0);
}

static void null_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		       struct flock *lock)
{
	lock->l_type = F_UNLCK;
	fuse_reply_lock(req, lock);
}

static void null_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	flock_release(file_of(ino), fi->fh);
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops null_ops = {
	.init = null_init,
	.lookup = null_lookup,
	.forget = null_forget,
	.getattr = null_getattr,
	.setattr = null_setattr,
	.create = null_create,
	.open = null_open,
	.flush = null_flush,
	.unlink = null_unlink,
	.flock = null_flock,
	.setlk = null_setlk,
	.getlk = null_getlk,
	.release = null_release,
};

/* Returns 0 after an unmount or a signal. */
static int serve(struct fuse_session *se)
{
	struct pollfd pfd = {.fd = fuse_session_fd(se), .events = POLLIN};
	struct fuse_buf buf = {.mem = NULL};
	int res = 0;

	while (!fuse_session_exited(se)) {
		int ready = poll(&pfd, 1, POLL_MAX_MS);

		if (ready < 0 && errno != EINTR)
			res = -errno;
		else if (ready > 0)
			res = fuse_session_receive_buf(se, &buf);
		if (res > 0) {
			fuse_session_process_buf(se, &buf);
			answer_interrupted();
		} else if (res < 0 && res != -EINTR && res != -EAGAIN) {
			break;
		}
		/* A poll that found nothing must not process the last request again. */
		res = 0;
	}
	free(buf.mem);
	return res;
}

static int mount_and_serve(const char *mountpoint)
{
	char *argv[] = {"nullfs", "-o", "allow_other,default_permissions,fsname=nullfs", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct fuse_session *se;
	int err = -1;

	se = fuse_session_new(&args, &null_ops, sizeof(null_ops), NULL);
	if (!se)
		goto out_args;
	if (fuse_set_signal_handlers(se))
		goto out_session;
	if (fuse_session_mount(se, mountpoint))
		goto out_signals;
	err = serve(se);
	fuse_session_unmount(se);
out_signals:
	fuse_remove_signal_handlers(se);
out_session:
	fuse_session_destroy(se);
out_args:
	fuse_opt_free_args(&args);
	return err;
}

int main(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "f")) != -1) {
		if (opt != 'f')
			goto usage;
	}
	if (optind + 1 != argc)
		goto usage;
	return mount_and_serve(argv[optind]) ? 1 : 0;
usage:
	fprintf(stderr, "usage: nullfs [-f] MOUNTPOINT\n"
			"Stays in the foreground and prints \"ready\" once it serves.\n");
	return 64;
}
