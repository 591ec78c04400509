/* SPDX-License-Identifier: MIT */
/*
 * Messages: what nodes and masters tell each other, as the core sees it.
 *
 * One flat struct serves every kind; the table at enum message_kind says which fields a kind uses,
 * the others are zero. transport/wire.h turns a packet of messages into bytes and back, and is the
 * only place that reads bytes.
 *
 * Ownership: a message owns what its pointers point to when it was made by message_new or
 * message_copy, and is then freed by message_free. A message on the stack may borrow its strings.
 */
#ifndef LOCKCORE_MESSAGE_H
#define LOCKCORE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds of the wire. Each is also a bound of a field in transport/wire.proto. */
#define NAME_MAX_BYTES	  255	       /* contract 3.1: a name, without its final NUL */
#define CONTENT_MAX_BYTES 65536	       /* contract 3.1: a file's content */
#define NODE_ID_MAX_BYTES 64	       /* a host name (HOST_NAME_MAX) */
#define TEXT_MAX_BYTES	  255	       /* a URL, or a reason for people */
#define LINKS_MAX	  32	       /* names of one file (EMLINK past that) */
#define LISTING_MAX	  128	       /* directory entries in one reply; a page of readdir */
#define HOLDERS_MAX	  32	       /* holders in one reply */
#define SURVEY_MAX	  256	       /* locks, held names and waiters in one reply */
#define SURVEY_NAME_MAX	  4095	       /* bytes of a path below the mount (PATH_MAX) */
#define SURVEY_NAMES_MAX  32768	       /* bytes of all paths in one reply, with their NULs */
#define COMMAND_MAX_BYTES 15	       /* a program's name (TASK_COMM_LEN), without its NUL */
#define PACKET_MAX_COUNT  256	       /* messages in one packet: bounds the work of one input */
#define NODE_REQUESTS_MAX 65536	       /* requests of one node under way, waiting locks included */
#define PACKET_MAX_BYTES  (512 * 1024) /* and their bytes: half of what nng is told to take */

/* Names that a node remembers to have seen, and hears the end of; of more the oldest give way. So
 * many are in a directory that somebody lists with all attributes; at a node they take 20 MiB. */
#define SEEN_NAMES_MAX 65536

/* The whole range of a file, for locks (lseek(2): offsets are signed). Ranges are inclusive. */
#define RANGE_END INT64_MAX

#define ROOT_INO 1 /* the root directory's inode number, FUSE_ROOT_ID */

/*
 * What a request came to. The core speaks of outcomes; fs/errors.h turns them into errno, in
 * one table, as the kind of call demands.
 */
enum status {
	STATUS_OK = 0,
	STATUS_BUSY,	  /* a lock is held by someone else and the caller would not wait */
	STATUS_DEADLOCK,  /* waiting would never end */
	STATUS_NO_ENTRY,  /* no such name */
	STATUS_EXISTS,	  /* the name exists */
	STATUS_STALE,	  /* no such inode any more: look the name up again */
	STATUS_TOO_BIG,	  /* past CONTENT_MAX_BYTES */
	STATUS_NO_SPACE,  /* the master's limit of files */
	STATUS_NO_MEMORY, /* an allocation failed, or a bound of a queue was met */
	STATUS_NOT_DIR,
	STATUS_IS_DIR,
	STATUS_NOT_EMPTY,
	STATUS_NOT_PERMITTED,
	STATUS_INVALID,
	STATUS_NAME_TOO_LONG,
	STATUS_TOO_MANY_LINKS,
	STATUS_INTERRUPTED, /* the node: a signal ended the wait */
	STATUS_NO_MASTER,   /* the node: no master answered within timeo (contract 6.3) */
	STATUS_LAPSED,	    /* the node: the lease under this descriptor is gone (contract 6.1) */
	STATUS_CHANGED,	    /* the name is another file's than the asker knows: look again */
	STATUS_MAX = STATUS_CHANGED,
};

/*
 * Session messages travel outside the ordered channel: each may be lost, repeated or late, and is
 * written so that this does no harm. Ordered messages (from MESSAGE_FIRST_ORDERED) carry seq and
 * are executed exactly once, in order (protocol.md, "The session").
 *
 * Fields by kind; "node" and "instance" of the sender stand in the packet.
 */
enum message_kind {
	MESSAGE_NONE = 0,
	/* node to master */
	MESSAGE_HELLO, /* text (node id), stamp, resume, epoch (the highest seen) */
	MESSAGE_RENEW, /* stamp, target (all up to this seq has been acknowledged to the node) */
	MESSAGE_BYE,   /* text (node id), target (the instance that has stopped believing) */
	/* master to node */
	MESSAGE_WELCOME, /* stamp (echo), lease_ns */
	MESSAGE_RENEWED, /* stamp (echo) */
	MESSAGE_TAKEN, /* the node id has a live session of another instance: lease_ns (its rest) */
	MESSAGE_EXPIRED,  /* HELLO with resume for a session that is gone: text (why) */
	MESSAGE_NOT_ME,	  /* ask another master: text (URL, may be empty) */
	MESSAGE_FAREWELL, /* BYE done: target */
	MESSAGE_LAST_SESSION = MESSAGE_FAREWELL,

	MESSAGE_FIRST_ORDERED = 32,
	/* Requests, node to master. All have req; handle and record are the node's own numbers. */
	MESSAGE_LOOKUP = MESSAGE_FIRST_ORDERED, /* parent, name */
	MESSAGE_GETATTR,			/* ino */
	MESSAGE_SETATTR, /* ino, set (SET_*), attr (the new values), version (of the record held);
			    SET_TTL, alone: ttl_ns, uid (who asks), flags (TTL_*) */
	MESSAGE_CREATE,	 /* parent, name, flags (OPEN_*), mode, uid, gid, pid, command, handle,
			    idle_ns, ttl_ns */
	MESSAGE_OPEN,	 /* ino, flags, pid, handle, version */
	MESSAGE_READ,	 /* ino, start (offset), length */
	MESSAGE_WRITE,	 /* ino, start (offset), flags (OPEN_APPEND, OPEN_UNPRIVILEGED),
			    data, version */
	/* parent, name; flags: UNLINK_DIR for rmdir; token: the highest the node knew at the first
	   try; target: 0, or only if made by this req (undo; flags: UNLINK_LET_GO); known, uid (who
	   asks), flags: KNOWN_ANY */
	MESSAGE_UNLINK,
	MESSAGE_MKDIR,	 /* parent, name, mode, uid, gid, pid, command, ttl_ns */
	MESSAGE_SYMLINK, /* the same, data: what it points to */
	MESSAGE_LINK,	 /* ino, parent, name, uid, pid, command, ttl_ns, version */
	/* parent, name, target (new parent), name2, flags, uid, pid, command, ttl_ns; token, known and
	   KNOWN_ANY as of UNLINK; known2 */
	MESSAGE_RENAME,
	MESSAGE_READDIR, /* ino, start (cookie to go on after) */
	MESSAGE_STATFS,
	MESSAGE_GETINFO, /* ino, pid (who asks): who holds the file, and for how long? */
	MESSAGE_BREAK,	 /* token, uid (who asks): take this acquisition away from its holder */
	MESSAGE_WATCH, /* flags (WATCH_CHANGES or 0): tell of all acquisitions from now on, or no more */
	/* ino, or 0: all locks, held names and waiters of the file, or of the cluster; start, target,
	   ticket: where to go on, as the reply to the page before said, or 0 */
	MESSAGE_SURVEY,
	MESSAGE_LOCK,	  /* ino, handle, owner, lock (kind, mode), start, end, flags (LOCK_WAIT),
			    pid, uid, command */
	MESSAGE_TESTLOCK, /* as LOCK: who is in the way? */
	/* One-way: no reply. */
	MESSAGE_CLOSE,	/* handle: the open is over, and every lock taken through it */
	MESSAGE_CANCEL, /* target (req): no longer waits */
	/* token: nobody here acts under it any more, and what had to be released for that has been,
	   in messages before this one; or nobody has it (any more) */
	MESSAGE_REVOKED,
	/* Reclaim, one-way (protocol rules 5 to 7). */
	MESSAGE_RECLAIM_FILE, /* attr, links, data, flags (RECORD_*) */
	MESSAGE_RECLAIM_GONE, /* ino, version: removed, whatever others may say */
	MESSAGE_RECLAIM_OPEN, /* ino, handle, pid */
	MESSAGE_RECLAIM_LOCK, /* ino, handle, owner, lock, start, end, token, age_ns, pid, uid,
				 command */
	MESSAGE_RECLAIM_WAIT, /* req, ino, handle, owner, lock, start, end, ticket, age_ns, pid, uid,
				 command */
	MESSAGE_RECLAIM_TIME, /* ino (a directory), since_ns: a name in it was changed then */
	MESSAGE_RECLAIM_DONE,
	/* master to node */
	MESSAGE_REPLY,	  /* req, status, and by request: attr, start, token (of the lock, or of the
			  name looked up), age_ns, data, entries, lock, pid, parent, links; flags
			  (REPLY_*). GETINFO: attr, holders (the newest first), token, lock (mode),
			  length (waiting requests), keeper, lease_ns (how long that keeps the name),
			  ttl_ns. SURVEY: surveyed; start, target, ticket (to go on), epoch (cursors
			  mean nothing in another), REPLY_END */
	MESSAGE_QUEUED,	  /* req, ticket: the lock request waits; its REPLY comes later */
	MESSAGE_VOUCH,	  /* as RECLAIM_FILE: keep this record from now on */
	MESSAGE_FORGET,	  /* ino: the file is gone everywhere, drop its record */
	MESSAGE_UNSEEN,	  /* parent, name, ino, attr (with only ino, once the file is forgotten): a
			     name that the session has seen is gone, by no request of its own */
	MESSAGE_APPEARED, /* parent, name, attr: a name made by another, in a directory that the
			     session has seen; for who said SEEN with WATCH_ALL */
	MESSAGE_REVOKE, /* token, ino, handle (of a lock): it is being broken; REVOKED is awaited */
	/* change, surveyed (one: of whom; its age is 0, of a wait it has no token); MISSED: length (how
	   many). For who said WATCH */
	MESSAGE_CHANGE,
	/*
	 * Node to master, one-way, at any time. parent, name, ino: seen in an earlier epoch or
	 * session; if the name is not, or no longer, that file's, UNSEEN follows. Without a name:
	 * flags.
	 */
	MESSAGE_SEEN,
	MESSAGE_KIND_END,
};

enum lock_kind { LOCK_FLOCK = 0, LOCK_RANGE = 1 }; /* flock(2); fcntl(2), POSIX and OFD */
enum lock_mode { LOCK_NONE = 0, LOCK_SHARED = 1, LOCK_EXCLUSIVE = 2 };

/* message.flags; the sets do not meet in one kind of message. */
#define OPEN_EXCL   0x01u /* O_EXCL: the name must be new, and is held (contract 4.1) */
#define OPEN_TRUNC  0x02u
#define OPEN_APPEND 0x04u
/* By no superuser: what changes the content takes its set-user and set-group bits (write(2)). */
#define OPEN_UNPRIVILEGED 0x100000u
#define OPEN_UNLINKED	  0x4000u /* also a file that has lost its name just now */
#define LOCK_WAIT	  0x08u
#define MESSAGE_RETRY                                                                              \
	0x10u /* an earlier epoch's master may have executed this, and others may have seen it */
#define RECORD_FULL    0x20u  /* data is the whole content as of attr.version */
#define REPLY_CONTENT  0x40u  /* data is the file's whole content, for the record, not for a read */
#define REPLY_LINKS    0x80u  /* links are all the names of attr.ino */
#define REPLY_CREATED  0x100u /* CREATE made the file */
#define REPLY_END      0x200u /* READDIR: nothing follows */
#define REPLY_GONE     0x8000u	/* the file `ino` is gone everywhere by this: drop its record */
#define REPLY_TOMB     0x10000u /* it is gone: remember that, with `version`, until FORGET comes */
#define WATCH_ALL      0x20000u /* SEEN: the session is to hear of what others make, too */
#define UNLINK_DIR     0x1000u	/* rmdir(2) */
#define MOVE_NOREPLACE 0x2000u	/* RENAME: the new name must be free */
/*
 * UNLINK with a target: a directory with names in it is no longer held instead, and goes when it is
 * empty, as at the end of its holder's session. The reply is that of a change then (REPLY_LINKS).
 */
#define UNLINK_LET_GO 0x400000u
/*
 * UNLINK, RENAME: `known` or `known2` is not what the asker insists on. Whatever the name stands for
 * may lose it, if the sticky bit lets uid take it away.
 */
#define KNOWN_ANY      0x80000u
#define RECORD_VOUCHED 0x800u	/* the sender keeps the record until it hears FORGET */
#define TTL_CREATE     0x20000u /* SETATTR of a ttl: there must be none (XATTR_CREATE) */
#define TTL_REPLACE    0x40000u /* there must be one (XATTR_REPLACE, and its removal) */
/* CLOSE, UNLINK: the holder gives it up because it is broken, and not of its own accord. With UNLINK
 * a directory that is not empty is no longer held, and stays until it is. */
#define BROKEN	      0x200000u
#define WATCH_CHANGES 0x400000u /* WATCH: on */

/* message.set: what SETATTR sets (setattr's valid mask of FUSE, without its numbers). */
#define SET_MODE      0x01u
#define SET_UID	      0x02u
#define SET_GID	      0x04u
#define SET_SIZE      0x08u
#define SET_ATIME     0x10u
#define SET_MTIME     0x20u
#define SET_ATIME_NOW 0x40u
#define SET_MTIME_NOW 0x80u
#define SET_TTL	      0x100u /* no part of FUSE's mask */

/*
 * A file's attributes, the same on every node (contract 3.2). Also the head of a record: what a
 * session keeps of a file so as to reclaim it.
 */
struct attr {
	uint64_t ino;
	uint64_t version; /* grows with every change; of two records the higher wins (rule 7) */
	uint32_t mode;	  /* file type and permissions, as st_mode */
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink;
	uint64_t size;	  /* bytes */
	int64_t atime_ns; /* wall clock, ns since 1970 */
	int64_t mtime_ns;
	int64_t ctime_ns;
};

/* A name of a file, in the file's record. */
struct link {
	uint64_t parent;
	uint64_t token;	    /* fencing token of the name's making (contract 5.7) */
	uint64_t holder;    /* session instance that holds the name, 0: none */
	uint64_t maker_req; /* the holder's request that made it */
	uint32_t maker_pid, maker_uid;
	int64_t idle_ns; /* life after the last use, of a name that nobody holds (contract 4.3) */
	int64_t ttl_ns;	 /* life after the last touch, of a held name; 0: as the session (4.4) */
	int64_t age_ns;	 /* since it was made, as of the message that says so */
	char maker_command[COMMAND_MAX_BYTES + 1];
	uint64_t flags; /* LINK_*; of 64 bits so that nothing of the struct is padding */
	const char *name;
};

/* link.flags */
#define LINK_TTL_SET 0x1u /* ttl_ns was given to the file and no mount's option: it moves along */

/*
 * Who holds something, for people and for storage that fences. Of a name start to end is 0 to
 * RANGE_END and mode LOCK_NONE.
 */
enum holder_kind { HOLDER_FLOCK = 0, HOLDER_RANGE = 1, HOLDER_NAME = 2 };

struct holder {
	uint64_t token;
	uint64_t session;   /* its instance */
	int64_t start, end; /* inclusive */
	int64_t age_ns;	    /* since it was acquired */
	uint32_t pid, uid;
	enum holder_kind kind;
	enum lock_mode mode;
	char command[COMMAND_MAX_BYTES + 1]; /* any bytes but NUL; empty: unknown */
	const char *node;		     /* of the session; at most NODE_ID_MAX_BYTES */
};

/*
 * A lock, a held name (mode LOCK_NONE, 0 to RANGE_END) or a request that waits for a lock, wherever in
 * the cluster.
 */
struct surveyed {
	uint64_t token;	  /* of the acquisition; 0: it waits */
	uint64_t ticket;  /* of the wait: of two the lower came first; 0: it is none */
	uint64_t session; /* its instance */
	uint64_t ino;
	uint64_t queue; /* locks and waiters with one number stand in each other's way, and a held
			       name's file is locked there; 0: nothing is locked in it */
	int64_t start, end; /* inclusive */
	int64_t age_ns;	    /* since it was acquired, or has waited */
	int64_t left_ns;    /* at most, if nobody renews anything; of no waiter */
	uint32_t pid, uid;
	uint32_t flags; /* SURVEYED_* */
	enum holder_kind kind;
	enum lock_mode mode;
	char command[COMMAND_MAX_BYTES + 1]; /* any bytes but NUL; empty: unknown */
	/* From the root of the mount, without a slash before it: at most SURVEY_NAME_MAX bytes, any
	 * but NUL. Of a longer one the end, after ".../"; empty: unknown. */
	const char *name;
	const char *node; /* of the session; at most NODE_ID_MAX_BYTES */
};

#define SURVEYED_TTL	 0x1u /* left_ns is of a time-to-live, else of the lease */
#define SURVEYED_REMOVED 0x2u /* the file has no name any more; the name is the last it had */

/* What keeps a name. Of several the one that keeps it longest. */
enum keeper {
	KEEPER_NONE = 0, /* it has no name, or needs nothing (the root) */
	KEEPER_LEASE,	 /* a live session holds or uses it */
	KEEPER_TTL,	 /* the same, but its time-to-live ends before the lease */
	KEEPER_IDLE,	 /* nobody, and its idle time runs */
	KEEPER_MAX = KEEPER_IDLE,
};

/* What became of an acquisition, or of a wait for one. */
enum change_kind {
	CHANGE_NONE = 0,
	CHANGE_GRANTED,	 /* a lock is granted, or a held name is made */
	CHANGE_RELEASED, /* given back, or the name removed by whomever */
	CHANGE_EXPIRED,	 /* ended by its time-to-live, or with its session */
	CHANGE_BROKEN,	 /* taken away from its holder */
	CHANGE_WAITS,	 /* a request begins to wait */
	CHANGE_GAVE_UP,	 /* a wait has ended without the lock */
	CHANGE_MISSED,	 /* some of these were not told */
	CHANGE_MAX = CHANGE_MISSED,
};

/* The names of a file, kept: one allocation, for free(). */
struct names {
	size_t count;
	struct link links[];
};

struct entry { /* of a directory */
	uint64_t ino;
	uint64_t cookie; /* pass as MESSAGE_READDIR.start to go on after this entry */
	uint32_t mode;	 /* file type, as st_mode */
	const char *name;
};

/* So much of a write at this offset a file takes; the rest is past what it can hold (EFBIG). */
static inline size_t write_fits(int64_t offset, size_t len)
{
	size_t room = offset < CONTENT_MAX_BYTES ? (size_t)(CONTENT_MAX_BYTES - offset) : 0;

	return len < room ? len : room;
}

struct message {
	enum message_kind kind;
	enum status status;
	uint64_t seq; /* place in the ordered channel, from 1; 0: not numbered */
	uint64_t req; /* the node's number for a request; never used twice by a session instance */
	uint64_t ino;
	uint64_t parent;
	uint64_t handle; /* an open; numbered by the node, never used twice by an instance */
	uint64_t owner;	 /* lock owner as the node's kernel names it */
	uint64_t target;
	/*
	 * Inode of `name`, or of `name2`, as the asker has checked it and will treat it: if it is another's now,
	 * STATUS_CHANGED. 0: not known, or known to be free.
	 */
	uint64_t known, known2;
	uint64_t version;
	uint64_t token;
	uint64_t ticket; /* place in a queue: of two waiters the lower came first */
	uint64_t epoch;
	uint64_t clock;	  /* MESSAGE_RETRY: the packets' clock as heard before the first try */
	int64_t stamp_ns; /* the node's CLOCK_BOOTTIME at sending; echoed, never compared by a
			     master */
	int64_t lease_ns;
	int64_t idle_ns;
	int64_t ttl_ns;
	int64_t start; /* first byte of a range; offset; cookie */
	int64_t end;   /* last byte of a range, inclusive */
	uint64_t length;
	uint32_t flags;
	uint32_t set;
	uint32_t mode; /* permissions, as st_mode */
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	enum lock_kind lock_kind;
	enum lock_mode lock_mode;
	bool resume; /* HELLO: this instance believes in a session */
	enum keeper keeper;
	int64_t since_ns; /* RECLAIM_TIME: wall clock, ns since 1970 */
	int64_t age_ns;	  /* of a lock, or of a wait; not negative */
	enum change_kind change;
	char command[COMMAND_MAX_BYTES + 1]; /* of the process; any bytes but NUL */
	struct attr attr;
	const char *name;  /* NUL-terminated, at most NAME_MAX_BYTES; NULL: none */
	const char *name2; /* as name */
	const char *text;  /* NUL-terminated, at most TEXT_MAX_BYTES; NULL: none */
	const void *data;  /* data_len bytes */
	size_t data_len;
	const struct entry *entries;
	size_t entry_count;
	const struct link *links;
	size_t link_count;
	const struct holder *holders;
	size_t holder_count;
	const struct surveyed *surveyed;
	size_t surveyed_count;
	struct message *prev, *next; /* utlist, for whoever owns the message */
};

/*
 * What travels in one nng message. A receiver takes a message over by setting its slot to NULL;
 * packet_deinit frees the rest.
 */
struct packet {
	uint64_t instance; /* of the node's session, both ways */
	uint64_t epoch;	   /* of the master: its own, or the one the node's channel belongs to */
	uint64_t ack;	   /* highest seq up to which the sender has received everything */
	/*
	 * From the master: how much it and those before it have executed; only its order counts.
	 * Whoever has seen the effect of a request has heard a higher clock than the request's maker
	 * had before (Lamport's happened-before), so it orders retries of several nodes.
	 */
	uint64_t clock;
	size_t count;
	struct message *messages[PACKET_MAX_COUNT];
};

static inline bool message_is_ordered(const struct message *m)
{
	return m->kind >= MESSAGE_FIRST_ORDERED;
}

/* A bound on the bytes a message takes on the wire, for filling packets. */
size_t message_wire_bound(const struct message *m);

/* A deep copy on the heap; its list links are NULL. NULL: no memory. */
struct message *message_copy(const struct message *m);
void message_free(struct message *m);
/* A deep copy; NULL: no memory. */
struct names *names_copy(const struct link *links, size_t count);
void packet_deinit(struct packet *p);

/* "LOOKUP" and the like, for logs and traces; never NULL. */
const char *message_kind_name(enum message_kind kind);
const char *status_name(enum status status);

#endif
