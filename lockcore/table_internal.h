/* SPDX-License-Identifier: MIT */
/*
 * The table's insides, shared by table*.c alone.
 *
 *	client ── handles ──> inode <── dentries ── directory (an inode with a dir)
 *	            │           └ lockset: granted ranges by kind, and the queue
 *	            └ waiters, in the queue, and by owner
 *
 * A name (dentry) is held by a client or lives on the use of its inode; an inode lives as long as
 * it has a name or a handle.
 */
#ifndef LOCKCORE_TABLE_INTERNAL_H
#define LOCKCORE_TABLE_INTERNAL_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "lockcore/deadline.h"
#include "lockcore/range.h"
#include "lockcore/roster.h"
#include "lockcore/rules.h"
#include "lockcore/table.h"

/* A directory's listing in the order of making; a removed name leaves a slot without dentry. */
struct dir_slot {
	uint64_t cookie;
	struct dentry *dentry;
};

struct dir {
	struct dir_slot *slots;
	size_t count; /* slots in use, removed ones included */
	size_t room;
	size_t live;
	uint32_t subdirs;    /* of live */
	struct dentry *lost; /* names that inodes in use had last (table_kin.c) */
};

struct dentry {
	UT_hash_handle hh; /* table.dentries, by key */
	struct inode *inode;
	struct inode *parent;
	struct dentry *inode_prev, *inode_next; /* inode.dentries; or dir.lost */
	struct seen *seen;			/* by whom */
	struct client *holder;			/* NULL: lives on use */
	struct roster_entry taken;		/* ROSTER_NAME, while it has a holder */
	union {
		struct {
			struct dentry *held_prev, *held_next; /* holder.held */
		};
		struct {			 /* of a lost name (table_attic.c) */
			struct dentry *attic;	 /* what is in it */
			struct dentry *attic_of; /* it is in this one */
		};
	};
	uint64_t maker_req;
	uint32_t maker_pid, maker_uid;
	uint64_t token;
	uint64_t cookie;
	int64_t idle_ns;
	int64_t ttl_ns;
	int64_t since_ns; /* when it was made; CLOCK_BOOTTIME */
	char maker_command[COMMAND_MAX_BYTES + 1];
	/* The end of an unused unheld name's idle time, or of a held one's time-to-live. */
	struct deadline life;
	uint32_t key_len;
	bool ttl_set;	     /* LINK_TTL_SET */
	unsigned char key[]; /* parent's inode number, then the name with its NUL */
};

struct inode {
	UT_hash_handle hh; /* table.inodes, by ino */
	uint64_t ino;
	uint64_t version;
	uint32_t mode, uid, gid;
	uint32_t nlink; /* names; 1 for the root, which has none */
	uint64_t size;
	int64_t atime_ns, mtime_ns, ctime_ns;
	unsigned char *content; /* size bytes; NULL if 0 */
	struct dentry *dentries;
	struct dentry *last_name; /* of a file without a name: the one it lost last */
	struct handle *handles;
	struct lockset *locks;		   /* made with the first lock request; shared by kin */
	struct inode *set_prev, *set_next; /* lockset.members */
	struct dir *dir;		   /* directories only */
	struct restore *restore;
	struct inode *gone_next;		   /* table.gone */
	struct inode *changed_prev, *changed_next; /* table.changed, if changed_prev is set */
	int64_t limbo_end_ns;			   /* table.limbo: remembered until then */
};

struct handle {
	UT_hash_handle hh; /* table.handles, by key */
	struct {
		uint64_t client, id;
	} key;
	struct client *client;
	struct inode *inode;
	struct handle *inode_prev, *inode_next;	  /* inode.handles */
	struct handle *client_prev, *client_next; /* client.handles */
	struct waiter *waiters;
};

struct client {
	UT_hash_handle hh; /* table.clients, by id */
	uint64_t id;
	struct handle *handles;
	struct dentry *held;
	struct seen *seen; /* the oldest first */
	size_t seen_count;
	bool watches_all;
	struct client *watcher_prev, *watcher_next; /* table.watchers, if it does */
};

struct waiter {
	struct waiter *prev, *next;		  /* lockset.queue, then table.granted */
	struct waiter *handle_prev, *handle_next; /* handle.waiters */
	UT_hash_handle hh;			  /* table.waiters, by key */
	struct {
		uint64_t client, req;
	} key;
	uint64_t ticket;
	struct owner *owner;
	struct waiter *owner_prev, *owner_next; /* owner.waiters */
	uint64_t searched;			/* the last search for a deadlock that came by */
	struct waiter *search_next;		/* what that search has still to look at */
	bool may_hold; /* false: the owner holds nothing of this kind in the file */
	bool exempt;   /* scratch of must_wait: waits for the requester, who need not wait for it */
	struct handle *handle;
	struct range want; /* in no list */
	struct range *spares[RANGE_SPARES];
};

/* An owner of locks that waits, in how many threads whatever; it exists as long as it does. */
struct owner {
	UT_hash_handle hh; /* table.owners, by key */
	struct {
		uint64_t client, owner, kind; /* enum lock_kind */
	} key;
	struct waiter *waiters; /* in all files */
};

/* The hull of some ranges; `any` false: of none. */
struct span {
	bool any;
	int64_t start, end;
};

/* The locks of an inode, or of several that share a name (table_kin.c). */
struct lockset {
	struct inode *members;
	struct roster_entry taken; /* ROSTER_LOCKS */
	struct range *granted[2];  /* by enum lock_kind */
	struct waiter *queue;	   /* both kinds, first come first */
	size_t waiting[2];	   /* of the queue, by enum lock_kind */
	/* What was released, or left the queue, since it was settled last: whoever does not wait
	 * for some of that waits as before. */
	struct span changed[2];
	struct lockset *contended_prev, *contended_next; /* table.contended */
	/* Of one search for a deadlock: a request that waits for all that those before it in the
	 * queue, and within it, wait for. */
	struct {
		uint64_t search;
		struct range want;
		uint64_t ticket;
	} cover;
};

struct feed_event;

struct table {
	struct inode *inodes;
	struct dentry *dentries;
	struct handle *handles;
	struct client *clients;
	struct waiter *waiters;
	struct owner *owners;
	struct lockset *contended; /* ranges of it are waited for */
	struct waiter *granted;	   /* not yet drained */
	struct seen *seens;	   /* that are attached to a name */
	struct seen *claims;	   /* while restoring: seen before */
	struct seen *news;	   /* not yet drained */
	struct client *watchers;
	struct inode *gone;    /* not yet drained */
	struct inode *changed; /* by time, and lives on; not yet drained */
	struct inode *limbo;   /* gone, by ino, the oldest first */
	struct deadlines lives;
	uint64_t epoch_base; /* epoch << TABLE_EPOCH_SHIFT */
	uint64_t tokens, inos, tickets, cookies;
	int64_t now_ns;	     /* CLOCK_BOOTTIME as last told: when a waiter is granted its lock */
	struct roster taken; /* held names and locksets, for who lists them (table_survey.c) */
	uint64_t searches;   /* for deadlocks so far */
	bool watched;
	enum change_kind ends_by;   /* what an acquisition that ends now ends by */
	struct feed_event *changes; /* not drained; the oldest first */
	struct feed_event *lent;
	size_t change_count;
	uint64_t missed; /* after those */
	uint64_t max_files;
	uint64_t files, locks, content_bytes;
	struct restore *restores;
	struct changed *changed_dirs; /* table_times.c */
	struct {
		uint64_t ino, version;
	} * tombs; /* while restoring: files that were removed */
	size_t tomb_count;
	bool restoring;
};

/* table_survey.c */
enum roster_sort { ROSTER_NAME, ROSTER_LOCKS };
/* Enters it; the caller has reserved room. */
void taken_add(struct table *t, struct roster_entry *e, enum roster_sort sort);
static inline const struct dentry *taken_name(const struct roster_entry *e)
{
	return (const struct dentry *)(const void *)((const char *)e -
						     offsetof(struct dentry, taken));
}
static inline const struct lockset *taken_locks(const struct roster_entry *e)
{
	return (const struct lockset *)(const void *)((const char *)e -
						      offsetof(struct lockset, taken));
}
/* What there is to say of a held name; of a lock, or with a ticket of what a request waits for, its
 * file being this. Without a name. */
struct surveyed survey_of_name(const struct table *t, const struct dentry *d);
struct surveyed survey_of_range(const struct table *t, const struct range *r,
				const struct inode *inode, uint64_t ticket);
/* The name of the file whose lock it is; NULL: it has had none. */
const struct dentry *survey_name(const struct inode *inode);
/* Writes the path so that it ends right before `end`, with its NUL, and returns where it begins. */
char *survey_path(const struct dentry *d, char *begin, char *end);

/* table_feed.c. Without a watcher each of these is one look at a flag. */
/* Of what the owner of `want` holds there, this much is about to be given up. */
void feed_release(struct table *t, const struct lockset *set, const struct range *want);
/* All that is taken through the handle. */
void feed_release_handle(struct table *t, const struct lockset *set, const struct handle *h);
void feed_range(struct table *t, enum change_kind change, const struct range *r);
void feed_waiter(struct table *t, enum change_kind change, const struct waiter *w);
/* A held name is made; or it is about to end, by what t->ends_by says. */
void feed_name_made(struct table *t, const struct dentry *d);
void feed_name_ends(struct table *t, const struct dentry *d);
void feed_free(struct table *t);

/* table.c */
struct client *table_client(struct table *t, uint64_t id); /* finds or makes; NULL: no memory */
struct handle *table_handle(struct table *t, uint64_t client, uint64_t id); /* NULL: none */
enum status table_add_handle(struct table *t, uint64_t client, uint64_t id, struct inode *inode);
void table_remove_handle(struct table *t, struct handle *h);
uint64_t table_next_token(struct table *t);
/* It is gone: no word of its change is due any more. */
void table_drop_changed(struct table *t, struct inode *inode);

/* table_file.c */
struct inode *inode_find(struct table *t, uint64_t ino);
struct inode *inode_new(struct table *t, uint64_t ino); /* NULL: no memory */
void inode_attr(const struct inode *inode, struct attr *out);
/* It goes, by way of the gone list and limbo, if it has neither name nor handle. */
void inode_put(struct table *t, struct inode *inode, struct moment now);
/* Frees one that nobody has seen yet: it is not reported gone. */
void inode_discard(struct table *t, struct inode *inode);
void inode_changed(struct inode *inode, struct moment now);
enum status inode_resize(struct table *t, struct inode *inode, uint64_t size);
/* The use of an inode began or ended: its unheld names' idle time stops or starts. */
void inode_use_changed(struct table *t, struct inode *inode, struct moment now);
/* A held name was made, or its file touched: its life counts from now. */
void dentry_touched(struct table *t, struct dentry *d, struct moment now);
/* A touch or a write: the life of its names counts from now. */
void inode_touched(struct table *t, struct inode *inode, struct moment now);
/* A new inode of this type and the maker's mode, without names; it counts as a file. Its group is
 * the maker's, or that of a set-group-ID directory (mkdir(2)). */
struct inode *inode_make(struct table *t, uint32_t type, const struct table_make *make,
			 const struct inode *parent, struct moment now);

/* table_deadlock.c */
/* Would waiting for what is in want's way never end? */
bool would_deadlock(struct table *t, struct lockset *set, const struct range *want);

/* table_tree.c */
/* Is `dir` the inode or somewhere below it? */
bool inode_is_below(const struct inode *dir, const struct inode *inode);

/* table_limbo.c */
void limbo_add(struct table *t, struct inode *inode);
struct inode *limbo_find(struct table *t, uint64_t ino); /* NULL: none */
/* It exists again, for a handle. NULL: there is none, or no memory. */
struct inode *limbo_revive(struct table *t, uint64_t ino);
void limbo_tick(struct table *t, struct moment now);
void limbo_free(struct table *t);

/* table_seen.c */
/* The name no longer stands for its inode: whoever has seen it is told, now or when drained. */
void seen_end(struct table *t, struct dentry *d);
/* The client itself is about to end the name. */
void seen_forget(struct table *t, uint64_t client, struct dentry *d);
/* The name was made by this client. */
void seen_appeared(struct table *t, struct dentry *d, uint64_t maker);
void seen_drop_client(struct table *t, struct client *client);
/* Restoring is over: the names are there. */
void seen_settle_claims(struct table *t);
void seen_check(const struct table *t);

/* table_name.c */
struct dentry *dentry_find(struct table *t, uint64_t parent, const char *name);
static inline const char *dentry_name(const struct dentry *d)
{
	return (const char *)d->key + sizeof(uint64_t);
}
/* The directory's number, also when the directory is gone. */
static inline uint64_t dentry_parent(const struct dentry *d)
{
	uint64_t ino;

	memcpy(&ino, d->key, sizeof(ino));
	return ino;
}
/* The name has another holder from now on, or none; for one the caller has reserved room in
 * table.taken. */
void dentry_set_holder(struct table *t, struct dentry *d, struct client *holder);
/* Links a new name; the caller has checked that it is free. NULL: no memory, nothing changed. */
struct dentry *dentry_link(struct table *t, struct inode *parent, const char *name,
			   struct inode *inode, struct client *holder);
/* Links, and notes what make says of its maker; held by the maker unless plain is set. */
struct dentry *dentry_make(struct table *t, struct inode *parent, const struct table_make *make,
			   struct inode *inode, bool plain, struct moment now);
void dentry_unlink(struct table *t, struct dentry *d, struct moment now);
/* Memory for a lost name of so many bytes, for dentry_replace and lost_keep. NULL: none. */
struct dentry *dentry_lost(size_t name_len);
void dentry_set_key(struct dentry *d, uint64_t parent, const char *name);
/* The name stands for another inode from now on; the old one loses it, and may keep the spare. */
void dentry_replace(struct table *t, struct dentry *d, struct inode *inode, struct dentry *spare,
		    struct moment now);
/* The holder is gone; the name stays as long as something else keeps it. */
void dentry_orphan(struct table *t, struct dentry *d, struct moment now);
void dentry_set_maker(struct table *t, struct dentry *d, const struct table_make *make,
		      struct client *holder, struct moment now);
enum status dir_find(struct table *t, uint64_t parent, const char *name, struct inode **dir,
		     struct dentry **d);
void dir_touched(struct inode *dir, struct moment now);
enum status name_check(const char *name);
/* A process's name, cut if need be; what follows it is zero. NULL: empty. */
void command_copy(char to[COMMAND_MAX_BYTES + 1], const char *from);

/* table_times.c: what was told of directories holds, all of them being restored. */
void times_restored(struct table *t);

/* table_owner.c: who waits. */
struct owner *owner_find(struct table *t, const struct range *like); /* NULL: does not wait */
/* A waiter has joined the queue, or is about to leave it. False: no memory, nothing has changed. */
bool owner_waits(struct table *t, struct lockset *set, struct waiter *w);
void owner_waits_no_more(struct table *t, struct lockset *set, struct waiter *w);
/* The waiters of one lockset become the other's. */
void owners_move(struct table *t, struct lockset *into, struct lockset *from);
/* The owner has been granted something in the file: its own waiters there may have less to wait
 * for. */
void owner_gained(struct table *t, struct lockset *set, const struct range *got);

/* table_lock.c */
/* Grants what is due. For callers that know nothing of what has changed; the second one looks only
 * at those whom lockset.changed concerns. */
void lockset_settle(struct table *t, struct inode *inode);
void lockset_settle_changed(struct table *t, struct inode *inode);
/* These bytes may have become free. */
void lockset_changed(struct lockset *set, enum lock_kind kind, int64_t start, int64_t end);
/* Sets `exempt` of the waiters before `until` (NULL: all) with regard to want. */
void lockset_mark_exempt(const struct lockset *set, const struct range *want,
			 const struct waiter *until, bool holds);
bool lockset_owner_holds(const struct lockset *set, const struct range *want);
/* Its waiters; its locks too; the caller settles. */
void handle_drop_waiters(struct table *t, struct handle *h);
void lockset_drop_handle(struct table *t, struct handle *h);

/* table_kin.c */
/* Finds or makes; NULL: no memory. */
struct lockset *lockset_make(struct table *t, struct inode *inode);
void lockset_leave(struct inode *inode);
void lockset_free_if_empty(struct table *t, struct inode *inode);
/* The queue, by tickets. */
void lockset_sort(struct lockset *set);
/* From now on the inode shares the locks of its kin; the caller settles. */
void lockset_join_kin(struct table *t, struct inode *inode);
/* d, no longer a name of the table, is what the inode was called last: it is the inode's now. */
void lost_keep(struct table *t, struct inode *inode, struct dentry *d);
/* The inode is in use (again), or no longer: only then its last name counts. */
void lost_list(struct table *t, struct inode *inode);
void lost_unlist(struct inode *inode);
/* The directory ends and has had no name, for want of memory to restore it. */
void lost_unlist_all(struct dir *dir);

/* table_attic.c */
/* The directory has lost its last name, d, which is no name of the table any more, and has lost
 * names in it: d is kept for them. */
void attic_keep(struct inode *dir, struct dentry *d);
/* The lost name is no longer in its attic. */
void attic_take(struct dentry *d);
/* The directory has got this name, and with it what is in an attic of the same. */
void attic_adopt(struct inode *dir, const struct dentry *as);
void attic_check(const struct dentry *attic);

#endif
