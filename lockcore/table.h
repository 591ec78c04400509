/* SPDX-License-Identifier: MIT */
/*
 * The table: names, files with their small content, flock and range locks, first-come queues.
 *
 * It is a file system in memory and knows clients by number only: no session, lease or network. The
 * master asks it for the whole cluster. Every call is one atomic step; time is an argument; what a
 * step does to others (a waiter granted, a file gone) is drained afterwards with table_next_grant
 * and table_next_gone.
 *
 *	table_create(t, &make, now, &attr)     a name and an open handle
 *	table_lock(t, &want, &got)             granted, refused, or queued under want.req
 *	table_close(t, client, handle, now)    drops the handle, its locks and its waiting requests
 *	while (table_next_grant(t, &grant)) …  tell those who got a lock
 *
 * What a name lives on (contract 4): one made by a plain create lives while an open handle uses its
 * file and idle_ns longer; every other is held by the client that made it and goes with
 * table_drop_client, or ttl_ns after its last touch. A directory that has names in it outlives its
 * holder until it is empty.
 *
 * A lock belongs to the name (contract 5.5): files of which one was removed and another made under
 * the name share their locks and their queue.
 *
 * An inode whose last name and last handle are gone is gone. Memory for a step is allocated before
 * anything changes: STATUS_NO_MEMORY means that nothing happened.
 */
#ifndef LOCKCORE_TABLE_H
#define LOCKCORE_TABLE_H

#include "lockcore/message.h"
#include "lockcore/moment.h"

struct table;

/*
 * Tokens, inode numbers and tickets are (epoch << TABLE_EPOCH_SHIFT) + a counter, so that they grow
 * over restarts (protocol rule 8): 2^40 of each an epoch, 2^24 epochs.
 */
#define TABLE_EPOCH_SHIFT 40

#define SYMLINK_MAX_BYTES 4095 /* PATH_MAX without its NUL */
/* A file that is gone can be looked at for so long still, of so many the youngest (table_limbo.c).
 */
#define TABLE_LIMBO_NS	NS_PER_SEC
#define TABLE_LIMBO_MAX 1024

#define TABLE_FILES_DEFAULT 1000000 /* contract 3.1 */

/* A table with an empty root directory of mode 1777. NULL: no memory. */
struct table *table_new(uint64_t epoch, uint64_t max_files, struct moment now);
void table_free(struct table *t);
/* Said before a batch of calls: what is acquired by those that do not tell the time counts from here,
 * and so do the ages in what is asked for. */
void table_now(struct table *t, struct moment now);

/* ---- Names and files. Calls that change a file write its attributes after the change to *out.
 * ---- */

struct table_make {
	uint64_t client;
	uint64_t handle; /* table_create: for the open that comes with it */
	uint64_t req;	 /* of the client; table_unlink can undo by it */
	uint64_t parent;
	const char *name;
	uint32_t flags; /* OPEN_EXCL, OPEN_TRUNC, OPEN_UNPRIVILEGED */
	uint32_t mode, uid, gid, pid;
	const char *command; /* of the process, up to COMMAND_MAX_BYTES of it; NULL: unknown */
	int64_t idle_ns;     /* table_create without OPEN_EXCL */
	int64_t ttl_ns;	     /* held names; 0: none */
};

enum status table_lookup(struct table *t, uint64_t parent, const char *name, struct attr *out);
/* The fencing token of the name's making; 0: there is no such name. */
uint64_t table_name_token(struct table *t, uint64_t parent, const char *name);
/* A STATUS_STALE from any call by inode number: there is no such inode (any more). */
enum status table_getattr(struct table *t, uint64_t ino, struct attr *out);

/*
 * Makes a regular file, or opens the one that is there unless OPEN_EXCL is set. *created tells
 * which. Permission to open an existing file is the kernel's to check; where the caller is not
 * plainly allowed, STATUS_STALE makes it look again and open the file as an existing one.
 */
enum status table_create(struct table *t, const struct table_make *make, struct moment now,
			 struct attr *out, bool *created);
enum status table_open(struct table *t, uint64_t client, uint64_t handle, uint64_t ino,
		       uint32_t flags, struct moment now, struct attr *out);
/* An unknown handle is fine: closing is idempotent. */
void table_close(struct table *t, uint64_t client, uint64_t handle, struct moment now);

/* *data points into the table until the next call; *len is 0 at and after the end. */
enum status table_read(struct table *t, uint64_t ino, int64_t offset, uint64_t length,
		       const void **data, size_t *len);
/*
 * With OPEN_APPEND the offset is the end of the file. *at is where it was written. Of what would
 * pass CONTENT_MAX_BYTES as much is written as fits (write_fits), STATUS_TOO_BIG if nothing does.
 */
enum status table_write(struct table *t, uint64_t ino, int64_t offset, uint32_t flags,
			const void *data, size_t len, struct moment now, struct attr *out,
			int64_t *at);
enum status table_setattr(struct table *t, uint64_t ino, uint32_t set, const struct attr *to,
			  struct moment now, struct attr *out);
/* make->mode without the type. A symbolic link's content is its target, up to SYMLINK_MAX_BYTES. */
enum status table_mkdir(struct table *t, const struct table_make *make, struct moment now,
			struct attr *out);
enum status table_symlink(struct table *t, const struct table_make *make, const char *target,
			  size_t len, struct moment now, struct attr *out);
/* A further name for a file that has one; make's mode, uid and gid are not used. */
enum status table_link(struct table *t, uint64_t ino, const struct table_make *make,
		       struct moment now, struct attr *out);
/*
 * Moves a name (rename(2)): the new one is held by make->client. What the new name stood for before
 * loses it: *replaced is its attributes then, or has ino 0.
 */
enum status table_rename(struct table *t, uint64_t parent, const char *name,
			 const struct table_make *make, bool noreplace, struct moment now,
			 struct attr *out, struct attr *replaced);
/*
 * May the name be taken from what it stands for, by a kernel that has checked the caller's permission
 * against `known` and will treat that one as removed? STATUS_OK; STATUS_CHANGED: it is another's. With
 * any it may be, unless the directory is sticky and uid neither its owner, the file's, nor root
 * (STATUS_NOT_PERMITTED). STATUS_NO_ENTRY: there is no such name.
 */
enum status table_expect(struct table *t, uint64_t parent, const char *name, uint64_t known,
			 bool any, uint32_t uid);
/*
 * Removes a name, of a directory if dir is set (which must be empty), else of anything else. With
 * only_req, only if that request of that client made it (undo of a request whose answer was not
 * delivered), and whichever it is; otherwise only_req is 0.
 */
enum status table_unlink(struct table *t, uint64_t parent, const char *name, bool dir,
			 uint64_t client, uint64_t only_req, struct moment now, struct attr *out);
/*
 * The directory that this request of that client made has names in it (table_unlink said so): it is
 * no longer held, and goes when it is empty.
 */
enum status table_let_go(struct table *t, uint64_t parent, const char *name, uint64_t client,
			 uint64_t req, struct moment now, struct attr *out);
/*
 * Up to max entries of a directory after the cookie, in the order of their making, *count of them.
 * Names point into the table until the next call. *end: nothing follows. A name that exists during
 * the whole of several calls is listed exactly once.
 */
enum status table_list(struct table *t, uint64_t ino, uint64_t cookie, struct entry *entries,
		       size_t max, size_t *count, bool *end);

/* The directory that a directory is in; of the root and of a removed one its own number. */
uint64_t table_parent(struct table *t, uint64_t ino);

/* ---- Locks ---- */

struct table_want {
	uint64_t client;
	uint64_t req; /* names the request while it waits; unique for the client */
	uint64_t ino;
	uint64_t handle; /* the open that it is taken through, and goes with */
	uint64_t owner;	 /* LOCK_RANGE: the process; LOCK_FLOCK: not used, the handle owns */
	enum lock_kind kind;
	enum lock_mode mode; /* LOCK_NONE: unlock, always granted */
	int64_t start, end;  /* inclusive, 0 <= start <= end; LOCK_FLOCK: 0 to RANGE_END */
	bool wait;
	uint32_t pid, uid;
	const char *command; /* of the process, up to COMMAND_MAX_BYTES of it; NULL: unknown */
	int64_t since_ns; /* CLOCK_BOOTTIME: of the call; restored, of the grant or that of the wait */
};

struct table_got {
	bool queued;	  /* STATUS_OK, but it waits */
	uint64_t token;	  /* of the lock granted */
	int64_t since_ns; /* and when that was */
	uint64_t ticket;  /* of the place in the queue */
};

/* A lock in someone's way. */
struct table_holder {
	uint64_t client;
	enum lock_mode mode; /* LOCK_NONE: nobody is in the way */
	int64_t start, end;
	uint32_t pid;
};

/*
 * STATUS_OK (granted or, with queued, waiting), STATUS_BUSY (would have to wait, may not),
 * STATUS_DEADLOCK (would wait, through others, for itself),
 * STATUS_STALE, STATUS_INVALID (a bad range or an unknown handle), STATUS_NO_MEMORY.
 *
 * First come, first served (contract 5.2): a request also waits behind earlier waiting ones that
 * conflict with it, except behind one that itself waits for the requester. A flock that is
 * converted gives up the old lock first if it cannot be granted at once, as flock(2) says and Linux
 * does.
 */
enum status table_lock(struct table *t, const struct table_want *want, struct table_got *got);
enum status table_test_lock(struct table *t, const struct table_want *want,
			    struct table_holder *out);
/* The waiting request no longer waits. Fine if it does not. */
bool table_cancel(struct table *t, uint64_t client, uint64_t req);

/* ---- Who holds a file, and what keeps it (contract 5.7) ---- */

struct table_info {
	/*
	 * Of the granted locks and held names, the newest of each process (of each lock, where the
	 * process is unknown), the newest first. No nodes: the table knows none.
	 */
	struct holder holders[HOLDERS_MAX];
	size_t holder_count;
	uint64_t token;	     /* the newest, or the asker's own newest; 0: nobody holds anything */
	enum lock_mode mode; /* of the granted locks; LOCK_NONE: there are none */
	uint64_t waiting;
	int64_t ttl_ns; /* 0: none */
};

/* client and pid are who asks; pid 0: unknown. */
enum status table_info(struct table *t, uint64_t ino, uint64_t client, uint32_t pid,
		       struct table_info *out);
/*
 * A page of all locks, held names and waiters, of a file (and of those that share its locks) or, with
 * ino 0, of all, in the order in which the names and the files' first locks came. What is there during
 * the whole of several pages is listed exactly once, if nothing of it is moved or converted. The work
 * of a page is bounded: TABLE_SURVEY_LOOKS names and files, and once all locks and waiters of one file,
 * as for a lock request there.
 */
struct table_cursor {
	uint64_t place, range, ticket; /* all 0: from the beginning */
};

struct table_survey {
	struct table_cursor next; /* the next page's, if it is not the end */
	bool end;
	size_t count;
	/* Without their nodes, which the table does not know; left_ns is that of the time-to-live, with
	 * SURVEYED_TTL, or MOMENT_NEVER. */
	struct surveyed found[SURVEY_MAX];
	size_t names_len;
	char names[SURVEY_NAMES_MAX]; /* of found */
};

#define TABLE_SURVEY_LOOKS 8192

/* STATUS_STALE: there is no such file. */
enum status table_survey(struct table *t, uint64_t ino, struct table_cursor from,
			 struct table_survey *out);

/*
 * What keeps the file's name longest, and until when at most (*end_ns, CLOCK_BOOTTIME) if nobody
 * renews anything; lease_end says until when a client is one. Of a directory that lives on what is
 * in it, TABLE_KEEPER_LOOKS names are looked at.
 */
enum keeper table_keeper(struct table *t, uint64_t ino,
			 int64_t (*lease_end)(void *arg, uint64_t client), void *arg,
			 int64_t *end_ns);
#define TABLE_KEEPER_LOOKS 1024 /* bounds the work and the stack of one question */

/*
 * Gives the file a time-to-live, which counts from now and from every touch or write, for its held
 * names and those that it gets later (contract 4.4); 0: none. flags: TTL_CREATE (STATUS_EXISTS if
 * it has one), TTL_REPLACE (STATUS_NO_ENTRY if it has none). It can end a name that the sticky bit
 * keeps others from removing: only the owner may, and root. A file without a name has none either:
 * STATUS_NOT_PERMITTED.
 */
enum status table_set_ttl(struct table *t, uint64_t ino, int64_t ttl_ns, uint32_t flags,
			  uint32_t uid, struct moment now, struct attr *out);
int64_t table_ttl(struct table *t, uint64_t ino); /* 0: none, or no such file */

/* ---- What becomes of acquisitions (message.h, enum change_kind) ---- */

/*
 * From now on they are told, or not any more. A lock that its owner's next one replaces is not told to
 * have ended: the new one says which bytes it has.
 */
void table_watch_changes(struct table *t, bool on);
/* What ends in the steps that follow is said to be broken, or released again. */
void table_breaks(struct table *t, bool on);

struct table_change {
	enum change_kind change;
	uint64_t missed; /* CHANGE_MISSED: so many */
	struct surveyed
		what; /* else; without a node. Its name is the table's until the next call */
};

/* To be drained after each step. Beyond this, and without memory, they are missed. */
#define TABLE_CHANGES_MAX 4096
bool table_next_change(struct table *t, struct table_change *out);

/* ---- Breaking an acquisition (master_internal.h has the rules) ---- */

struct table_acquired {
	uint64_t client;
	uint64_t ino;
	uint64_t handle; /* that a lock was taken through; 0: it is a held name */
};

/* Who holds the lock or the name that was got under this token? Looks at all of the table. */
bool table_find_token(const struct table *t, uint64_t token, struct table_acquired *out);
/* The client's locks that it got under this token, if there are any, are released. */
void table_release(struct table *t, uint64_t token, uint64_t client);

/* ---- Life ---- */

/* A client that is about to end waits for nothing any more (protocol rule 9); it keeps what it
 * holds. */
void table_drop_waiters(struct table *t, uint64_t client);
/* Everything of a client ends: held names, handles, locks, waiting requests. */
void table_drop_client(struct table *t, uint64_t client, struct moment now);
/* Removes the names whose idle time is over. */
void table_tick(struct table *t, struct moment now);
/* When table_tick should be called next, CLOCK_BOOTTIME ns; MOMENT_NEVER. */
int64_t table_deadline(const struct table *t);

/* ---- What happened to others ---- */

struct table_grant {
	uint64_t client, req, token;
};

bool table_next_grant(struct table *t, struct table_grant *out);
/* An inode that no longer exists, but for limbo. */
bool table_next_gone(struct table *t, uint64_t *ino);
/* An inode of which table_tick has ended a name, or the holding of one, and which lives on: its record
 * is another now, by nobody's request. */
bool table_next_changed(struct table *t, uint64_t *ino);

/*
 * ---- Who has seen which name (contract 2.4) ----
 *
 * A client that has seen a name is told when the name goes, once and in the order of events, unless
 * it goes by the client's own request. What it has seen and cannot be noted, for want of memory or
 * past the bounds, it is not told of: nothing ever fails for that.
 */
#define TABLE_SEEN_CLIENT_MAX SEEN_NAMES_MAX
/* Of all clients together: about 600 MiB at worst. Beyond, a client's oldest gives way. */
#define TABLE_SEEN_MAX (4 * 1024 * 1024)

/* The client has been told of this name; fine if there is none. */
void table_saw(struct table *t, uint64_t client, uint64_t parent, const char *name);
/*
 * The client saw the name as that of `ino`, in an earlier session or epoch: if it is not any more,
 * the client is told so. With restoring set, which begins a restoring as table_restore_file does,
 * that is looked at in table_restore_end.
 */
void table_saw_before(struct table *t, uint64_t client, uint64_t parent, const char *name,
		      uint64_t ino, bool restoring);
/* The client is also told what others make, in the root and in every directory it has seen. */
void table_watch_all(struct table *t, uint64_t client);

struct table_news {
	uint64_t client;
	bool appeared; /* else it is gone */
	uint64_t parent;
	char name[NAME_MAX_BYTES + 1];
	struct attr attr; /* as of now; with only ino once the inode is forgotten */
};

bool table_next_news(struct table *t, struct table_news *out);

/* ---- Restoring a table after a master's restart (protocol rules 5 to 7) ---- */

struct table_record {
	struct attr attr;
	struct link links[LINKS_MAX];
	size_t link_count;   /* if attr.nlink is 0: 1 for the name it had last, whose locks are its
			      own too (contract 5.5), or 0 */
	const void *content; /* attr.size bytes if full */
	bool full;
};

/*
 * While restoring, only these may be called, in any order over the clients, except that a file
 * comes before the handles and locks of the client that uses it. Nothing is granted and no name
 * exists until table_restore_end.
 */
/* Of two records of a file the higher version wins; a full one brings its content. */
enum status table_restore_file(struct table *t, const struct table_record *record,
			       struct moment now);
enum status table_restore_gone(struct table *t, uint64_t ino, uint64_t version);
enum status table_restore_open(struct table *t, uint64_t client, uint64_t handle, uint64_t ino);
/* STATUS_BUSY: it conflicts with another's; STATUS_INVALID: its token is not of an earlier epoch.
 */
enum status table_restore_lock(struct table *t, const struct table_want *lock, uint64_t token);
/* A name in the directory was changed at this time, wall clock; it need not be restored yet. */
enum status table_restore_time(struct table *t, uint64_t ino, int64_t time_ns);
enum status table_restore_wait(struct table *t, const struct table_want *want, uint64_t ticket);
/*
 * Links the names, drops what nobody keeps (holders that are not alive as alive() tells, files
 * without a name or handle), and grants what waits first. Returns how many names could not be
 * linked because two files claim one (never legal, protocol rule 6; the one that got it later has
 * it). TABLE_NOT_RESTORED: there was no memory for some name, whose holder may live: the table is
 * fit for nothing but table_free.
 */
#define TABLE_NOT_RESTORED SIZE_MAX
size_t table_restore_end(struct table *t, struct moment now,
			 bool (*alive)(void *arg, uint64_t client), void *arg);

/* ---- Looking ---- */

struct table_counts {
	uint64_t files, max_files, handles, locks, waiting;
	uint64_t content_bytes;
};

void table_counts(const struct table *t, struct table_counts *out);

/*
 * The record of an inode, for a session that is to vouch for it. record->name and content point
 * into the table until the next call.
 */
enum status table_record(struct table *t, uint64_t ino, struct table_record *record);
/* A client that has the inode open, other than `but`; 0: none. */
uint64_t table_opener(struct table *t, uint64_t ino, uint64_t but);

/* Asserts every invariant of the table. Slow; for tests. */
void table_check(struct table *t);

#endif
