/* SPDX-License-Identifier: MIT */
/*
 * The node's insides, shared by node*.c alone.
 *
 *	node.c       the session: HELLO, renewals, belief, lapse
 *	node_times.c  when it changed which directory
 *	node_giveup.c  calls that end without their reply
 *	node_request.c  sorts of requests
 *	node_link.c  the links to the masters, and their silence
 *	node_call.c  the programs' requests and their answers
 *	node_kept.c  what the session keeps: records of files, handles; what is reclaimed
 *	node_locks.c the locks among it
 *	node_feed.c  what becomes of acquisitions in the cluster
 *	node_revoke.c acquisitions that are broken
 *	node_fence.c when holders are to be stopped, and of what
 *	node_sight.c  the names that its programs have seen, and the notices of their end
 */
#ifndef LOCKCORE_NODE_INTERNAL_H
#define LOCKCORE_NODE_INTERNAL_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "lockcore/channel.h"
#include "lockcore/deadline.h"
#include "lockcore/node.h"
#include "lockcore/range.h"
#include "lockcore/rules.h"

/* Not yet drained; the oldest give way. Of each master one may say that it is silent. */
#define NODE_EVENTS_MAX (16 + NODE_MASTERS_MAX)

enum node_state { NODE_JOINING, NODE_OPEN, NODE_LEAVING, NODE_LEFT };

/* A program's request, from node_submit until its answer is drained, or its late reply is in. */
struct call {
	UT_hash_handle hh;	  /* node.calls, by req */
	struct call *prev, *next; /* node.order, then node.answers */
	uint64_t req;
	void *cookie;
	struct message *request;
	struct message *reply;
	enum status status;
	struct deadline deadline; /* until when it waits for a master or, interrupted, goes on */
	enum status late;	  /* what the deadline answers */
	uint64_t instance;	  /* of the session whose reply this is */
	int64_t since_ns;	  /* of its submission; CLOCK_BOOTTIME */
	uint64_t ticket;	  /* not 0: a lock request that waits in the master's queue */
	bool sent;		  /* in the channel of this epoch, or of an earlier one */
	struct lock_owner *owner; /* LOCK: not answered yet */
	struct call *owner_prev, *owner_next; /* owner.calls */
	struct range *weakened; /* what the node would lose by its grant: a downgrade of ranges */
	bool reclaimed_weak;	/* and was reclaimed as lost, so that others may have it by now */
	bool cancelled;		/* CANCEL is sent, and its verdict awaited */
	bool settled;		/* answered; kept only for its effect and what its reply says */
};

/* Whose lock requests for one file are not answered yet; it exists while there are any. */
struct lock_owner {
	UT_hash_handle hh; /* node.lock_owners, by key */
	struct {
		uint64_t ino, owner, kind; /* enum lock_kind; LOCK_FLOCK: the handle is the owner */
	} key;
	struct call *calls; /* in the order of submission */
};

/* An open file of a program. It outlives the session it was opened under. */
struct node_handle {
	UT_hash_handle hh; /* node.handles, by id */
	uint64_t id;
	uint64_t ino;
	uint32_t pid;
	bool lapsed;
	bool broken;			 /* what it stood for is being revoked */
	struct attr attr;		 /* lapsed: as last known, for fstat */
	struct kept *kept;		 /* NULL: lapsed */
	struct node_handle *prev, *next; /* kept.handles, or node.lapsed */
};

/* What the session keeps of a file. It ends with its last handle, unless the session vouches for
 * it. */
struct kept {
	UT_hash_handle hh; /* node.kept, by ino */
	uint64_t ino;
	struct attr attr;
	struct names *names; /* NULL: none */
	int64_t named_ns;    /* when their ages were told; CLOCK_BOOTTIME */
	void *content;	     /* attr.size bytes, if full */
	bool full;	     /* content is that of attr.version */
	bool vouched;	     /* the session changed the file once: the record stays until FORGET */
	bool gone;	     /* only the memory of its end */
	struct node_handle *handles;
	struct range *locks[2]; /* by kind; client is 0 */
	struct kept *next;	/* node.lost */
};

/* A name that has been seen, and is believed to exist. */
struct sight {
	UT_hash_handle hh;	   /* node.sights, by key */
	UT_hash_handle hh_dir;	   /* node.dirs, by attr.ino, if in_dirs */
	struct sight *prev, *next; /* node.told or node.untold, by `is_told`, the oldest first */
	bool in_dirs;		   /* it is where this directory is */
	bool is_told;		   /* the master knows that this session has seen it */
	bool looked;		   /* the kernel knows it, and not only by a notice */
	struct attr attr;
	size_t key_len;
	unsigned char key[]; /* parent's inode number, then the name with its NUL */
};

/* The way to a master. */
struct master_link {
	bool up;
	bool foreign;	      /* of another cluster, and said to be */
	int64_t silent_at_ns; /* said to be silent then, unless something is heard on it; or NEVER */
	int64_t patience_ns;  /* the next time; 0: NODE_SILENT_NS */
};

struct revoke;

struct node {
	struct node_config config;
	enum node_state state;
	uint64_t instance;
	uint64_t last_instance; /* the one that lapsed before this, for its BYE; 0: none */
	uint64_t epoch;		/* of the channel; 0: none yet */
	uint64_t highest_epoch;
	uint64_t cluster;      /* of the master that welcomed it last; 0: none, or it did not say */
	uint64_t clock;	       /* the highest heard */
	int64_t now_ns;	       /* CLOCK_BOOTTIME of the last input */
	size_t master;	       /* the link of the session */
	size_t hello_to;       /* the link to say HELLO to next */
	bool hello_asks;       /* one has been said since "not me" was heard last */
	size_t hello_refused;  /* so many have said "not me" in this round */
	int64_t hello_rest_ns; /* once all have */
	bool said_hello;       /* some master may know the instance */
	bool doomed;	       /* no memory for what must be sent: lapse at the next occasion */
	struct master_link links[NODE_MASTERS_MAX];

	int64_t lease_ns;
	int64_t belief_ns;   /* OPEN: until when */
	int64_t renew_at_ns; /* OPEN: next renewal */
	int64_t doubt_at_ns; /* OPEN: unless a renewal is acknowledged before, ask any master */
	int64_t hello_at_ns; /* next HELLO; MOMENT_NEVER: none wanted */
	int64_t leave_at_ns; /* LEAVING: given up then */
	int64_t bye_at_ns;
	int64_t taken_until_ns;
	uint64_t taken_epoch; /* of the master that said so */

	struct changed_dir *changed_dirs; /* node_times.c */
	struct channel channel;
	struct call *calls; /* and keeps.call: call_find and calls_count know of it */
	struct lock_owner *lock_owners;
	/* Of nobody: a table that has become empty is freed, and made anew for the next request. */
	struct {
		struct call call;
		struct lock_owner owner; /* of no kind of lock */
	} keeps;
	struct call *order;   /* not answered, in the order of submission */
	struct call *answers; /* answered, not drained */
	struct call *drained; /* the one lent by node_next_answer */
	struct deadlines deadlines;
	uint64_t reqs, handles_made;
	uint64_t token_seen; /* the highest that a reply told of */
	struct node_handle *handles;
	struct node_handle *lapsed;
	struct kept *kept;
	enum node_fence fence;
	struct kept *lost; /* NODE_FENCE_LOST: names and locks that the last session held */

	struct revoke *revokes; /* the oldest first */
	bool watching;
	struct message *changes; /* not drained; the oldest first */
	struct message *change_lent;
	size_t change_count;
	uint64_t changes_missed; /* after those */

	struct sight *sights, *dirs, *told, *untold;
	struct attr root; /* as last known; ino 0: not yet */
	struct node_notice *notices;
	size_t notice_count;

	struct node_event events[NODE_EVENTS_MAX];
	size_t event_first, event_count;
	struct message scratch[2]; /* session messages of the packet being lent */
};

/* node.c */
void node_push(struct node *n,
	       const struct message *m); /* copies; without memory the session lapses */
void node_lapse(struct node *n, struct moment now);
void node_check_belief(struct node *n, struct moment now);
/* OPEN, and the session's master may be dead: HELLO to the others, then to it (rule 14). */
void node_doubt(struct node *n, struct moment now);

void node_tell(struct node *n, struct node_event event);

/* node_link.c */
/* The link at or after `from` that is up; false: none is. */
bool node_link_up(const struct node *n, size_t from, size_t *out);
/* Something was said that has an answer, which is to come within this time, or anything else. */
void link_expect_word(struct node *n, size_t master, int64_t within_ns, struct moment now);
int64_t link_patience(const struct master_link *l);
void link_heard(struct node *n, size_t master);
/*
 * The master says that it is of this cluster. True: it is not ours, and nothing is taken from it.
 * The one who welcomed us last may say otherwise than before: then its store was made anew, and ours
 * is no more.
 */
bool link_is_foreign(struct node *n, size_t master, uint64_t cluster);
void links_check_silence(struct node *n, struct moment now);
int64_t links_silence_deadline(const struct node *n);

/* node_request.c */
bool request_changes_file(const struct message *m);
bool request_only_looks(const struct message *m);
bool request_shows_nothing(const struct message *m);
bool request_makes_held_name(const struct message *m);
bool request_opens(const struct message *m);

/* node_call.c */
bool node_calls_init(struct node *n);  /* false: no memory */
void node_calls_start(struct node *n); /* a session began, or another epoch: send what waits */
struct call *call_find(struct node *n, uint64_t req); /* NULL: there is none */
size_t calls_count(const struct node *n);
size_t lock_owners_count(const struct node *n);
void call_free(struct node *n, struct call *c);
void call_forget(struct node *n, struct call *c); /* no reply is waited for; it is the caller's */
/* The program gets this; the call leaves the order and waits to be drained. */
void call_answer(struct node *n, struct call *c, enum status status);
/*
 * A request that no program waits for, for the sake of its reply and, in a new epoch, of its
 * effect. It stands before `next` in the order (NULL: last).
 */
void call_leave_behind(struct node *n, const struct message *request, uint64_t req,
		       struct call *next);
void node_reply(struct node *n, struct message **reply, struct moment now);
void node_queued(struct node *n, const struct message *m);
void node_calls_free(struct node *n);

/* The master's answer tells whether the request was granted before, or has waited until now. */
void call_ask_to_cancel(struct node *n, struct call *c);
/* As node_handle_lapsed, without a look at the clock; 0 is no handle. */
bool node_handle_is_lost(struct node *n, uint64_t handle);

/* node_giveup.c */
/* Answers without waiting for the reply. */
void call_give_up(struct node *n, struct call *c, enum status status);
void node_calls_lapse(struct node *n);
void node_calls_tick(struct node *n, struct moment now);
/* A look at the root is answered from memory, if no master answers and it is known. */
bool call_root_from_memory(struct node *n, struct call *c);
/* No master answers from now on: whoever waits to look at the root need not. */
void node_calls_look_at_root(struct node *n);
/* Sends what undoes a request that was sent and whose reply nobody will wait for. */
void call_undo(struct node *n, const struct call *c);
/*
 * Nobody can tell any more which of its ranges the owner of this lock request has in the file: better
 * none. He is told so by the answer to it, and to whatever else he asks there.
 */
void call_lose_ranges(struct node *n, const struct message *m);

/* node_times.c */
struct changed_dir;
void times_reply(struct node *n, const struct message *request, const struct message *reply);
void times_reclaim(struct node *n);
void times_free(struct node *n);

/* node_kept.c */
struct kept *kept_find(struct node *n, uint64_t ino);
struct node_handle *node_handle_find(struct node *n, uint64_t id);
/* What a reply says of a file's record; the request tells how it changed. */
void kept_apply(struct node *n, const struct message *request, const struct message *reply);
void kept_vouch(struct node *n, const struct message *m);
void kept_forget(struct node *n, uint64_t ino);
/* Drops the record, if any, unless it is open or vouched for. */
void kept_trim(struct node *n, uint64_t ino);
/* The version of the content that the node has, 0: none. */
uint64_t kept_version(struct node *n, uint64_t ino);
bool kept_add_handle(struct node *n, const struct message *request, const struct message *reply);
void kept_close(struct node *n, struct node_handle *h);
/* It is lost as if by a lapse, and with it the locks that were taken through it. */
void kept_lose_handle(struct node *n, struct node_handle *h);
void kept_reclaim(struct node *n);
/* The session lapsed: handles stay, with their attributes; all else goes, or with remember what
 * was held to node.lost. Returns how many names and locks. */
size_t kept_lapse(struct node *n, bool remember);
/* How many of the record's names the file has. */
size_t kept_names(const struct kept *k);
/* How many names and locks of the session are in the record. */
size_t kept_held(const struct kept *k, uint64_t instance);
void kept_forget_lost(struct node *n);
void kept_free(struct node *n);

/* node_fence.c */
void fence_tick(struct node *n, struct moment now);
int64_t fence_deadline(const struct node *n);

/* node_feed.c */
void changes_asked(struct node *n, const struct message *m); /* a request is submitted */
void changes_begin(struct node *n);			     /* a session or an epoch begins */
void changes_take(struct node *n, struct message **slot);    /* takes the slot if it keeps it */
void changes_free(struct node *n);

/* node_revoke.c */
void revoke_begin(struct node *n, const struct message *m, struct moment now);
void revokes_tick(struct node *n, struct moment now);
int64_t revokes_deadline(const struct node *n);
void revokes_free(struct node *n); /* the session is over */

/* node_sight.c */
/* What a reply says of names. */
void sight_reply(struct node *n, const struct message *request, const struct message *reply,
		 bool settled);
void sight_unseen(struct node *n, const struct message *m);
void sight_appeared(struct node *n, const struct message *m);
/* A session or an epoch begins: the master knows nothing of what was seen. */
void sight_begin(struct node *n);
/* Says so to the master, a bit at a time, before a packet is filled. */
void sight_tell(struct node *n);
void sight_free(struct node *n);

/* node_locks.c */
/* A lock request is submitted (false: no memory); any request is answered. */
bool lock_asked(struct node *n, struct call *c);
void lock_answered(struct node *n, struct call *c);
/* A lock was granted. */
void kept_apply_lock(struct node *n, const struct message *request, const struct message *reply);
/* A request is about to be sent: what it releases is no longer ours (rule 12). */
void kept_release(struct node *n, const struct message *request, struct range **weakened);
/* The request was refused: what kept_release weakened for it is as strong as before. */
void kept_strengthen(struct node *n, const struct message *request, const struct range *weakened);
/* Sends what puts the master's view of a given-up lock request back to ours. */
/* Would it make more ranges of the node in one file than NODE_RANGES_MAX? */
bool kept_has_no_room(struct node *n, const struct message *request);
void kept_undo_lock(struct node *n, const struct message *request);
/* The owner's first request of that kind in the file that is not answered; NULL: there is none. */
struct call *lock_first_asked(struct node *n, const struct message *like);
/* The request is taken back, and with it all ranges that its owner has in the file. */
void kept_lose_ranges(struct node *n, const struct message *request);

#endif
