/* SPDX-License-Identifier: MIT */
/*
 * The master's insides, shared by master*.c alone.
 *
 *	master.c          its life, time, operations of the store, what is drained
 *	master_cell.c     leading: the cell, its lease, takeover, stepping down, handing over
 *	master_session.c  HELLO, renewals, expiry, BYE
 *	master_send.c     packets
 *	master_grace.c    reclaim and the end of grace
 *	master_exec.c     requests for names and files to the table and back
 *	master_exec_lock.c  and those for locks
 *	master_feed.c     who is told what becomes of acquisitions
 *	master_break.c    acquisitions that are taken away from their holders
 *	master_info.c     who holds a file, and for how long
 *	master_vouch.c    which session vouches for which file
 *	master_survey.c   all locks of the cluster, a page at a time
 *	master_seen.c     which session is told of which name's end
 */
#ifndef LOCKCORE_MASTER_INTERNAL_H
#define LOCKCORE_MASTER_INTERNAL_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "lockcore/channel.h"
#include "lockcore/deadline.h"
#include "lockcore/master.h"
#include "lockcore/rules.h"

/* In this order: below LOADING it has no epoch. */
enum master_state {
	MASTER_LEFT,
	MASTER_LEAVING,
	MASTER_READING,
	MASTER_TAKING,
	MASTER_LOADING,
	MASTER_GRACE,
	MASTER_SERVING,
};

/*
 *	HELLO                  PUT done
 *	──────> REGISTERING ─────────────────────────────> LIVE
 *	LOAD               HELLO               DONE          │ expiry, BYE
 *	──────> ABSENT ──────────> RECLAIMING ─────> LIVE    v            DELETE done
 *	           └── W over ─────────┴── expiry ──────> DYING ──────────────────> freed
 */
enum session_state {
	SESSION_REGISTERING,
	SESSION_ABSENT, /* in the registry, not heard of in this epoch */
	SESSION_RECLAIMING,
	SESSION_LIVE,
	SESSION_DYING,
};

/* An answer that is owed once a SWAP sent after the question has succeeded (rule 3). A question
 * that comes while that SWAP is under way waits for the next one, and does not hold up the first.
 */
struct owed {
	bool due, next_due;
	int64_t stamp_ns;   /* to be echoed */
	uint64_t need_swap; /* the number of that SWAP; 0: need none */
	int64_t next_stamp_ns;
	uint64_t next_need_swap;
};

struct session {
	UT_hash_handle hh;	/* master.sessions, by instance */
	UT_hash_handle hh_node; /* master.nodes, by node */
	char node[NODE_ID_MAX_BYTES + 1];
	uint64_t instance;
	enum session_state state;
	uint32_t peer; /* where it was heard of last */
	bool said_bye;
	bool doubted;		/* a DELETE of it was of unknown outcome, and may be done late */
	int64_t reclaim_end_ns; /* RECLAIMING: no promise after this until it is done */
	struct deadline expiry; /* DYING: when to ask the store again */
	struct deadline wake;	/* the channel's */
	struct channel channel;
	struct owed welcome, renewed;
	int64_t renew_stamp_ns; /* of its last renewal, by its own clock */
	struct message *held;	/* requests that came in grace, in order */
	struct deadline turn;	/* at the end of grace: the clock of its next retry */
	size_t held_count;
	/* master_vouch.c */
	struct pending *pendings;
	struct vouch *vouches;	   /* it vouches for these files */
	struct witness *witnesses; /* and has older records of these */
	bool watches;		   /* in master.watchers */
	uint64_t missed;	   /* changes, not told */
	struct session *watch_prev, *watch_next;
	bool ready; /* in master.ready */
	struct session *ready_prev, *ready_next;
};

/* An operation on its way to the store or not yet drained. */
struct op {
	struct engine_op op;
	int64_t sent_ns;
	struct op *prev, *next;
};

/* An answer to a peer that has no session. */
struct reply {
	uint32_t peer;
	uint64_t instance;
	struct message message;
};

struct vouch;
struct breaking;

struct master {
	struct master_config config;
	enum master_state state;
	struct engine_cell cell; /* as known */
	uint64_t epoch;		 /* while it leads */
	uint64_t clock;		 /* struct packet */
	uint64_t cluster;	 /* of the store, as it said; 0: it has not yet */
	uint64_t epoch_floor;	 /* the next takeover must go above */
	bool store_old;		 /* it was put back, and not all of W has passed since */
	int64_t valid_ns;	 /* it leads until then */
	int64_t grace_end_ns;
	/* The longest lease that a session may believe in: an earlier leader's, until then. */
	int64_t promised_ns;
	int64_t promised_until_ns;
	int64_t load_at_ns;  /* LOADING: when to read the registry once more; or NEVER */
	int64_t load_end_ns; /* and until when it is worth it */
	int64_t look_at_ns;  /* READING: when to look at the cell */
	int64_t looked_ns;   /* READING: when it was looked at last */
	int64_t seen_ns;     /* READING: when the leader in it was seen first with this sequence */
	int64_t hello_ns, hello_since_ns; /* READING: nodes say HELLO, last and without a rest */
	int64_t asked_ns;		  /* when it asked the leader for the lead */
	int64_t heard_ns;		  /* leading: when a node was heard last that hears us */
	bool giving_up;			  /* a SWAP to nobody is under way, or wanted */
	int64_t yielded_until_ns;	  /* it gave way to another: not to be taken back at once */
	int64_t leave_end_ns;		  /* LEAVING: not longer than that */
	bool doomed;			  /* no memory for what must be told: step down */

	struct op *ops;	    /* not drained */
	struct op *running; /* drained, outcome unknown yet */
	uint64_t op_ids;
	bool swap_running;
	uint64_t swaps_sent, swaps_done;
	int64_t swap_at_ns; /* the next SWAP is due */
	int64_t swap_sent_ns;

	/* Instances that are not registered again in this epoch: a late DELETE would undo it. */
	uint64_t doubted[MASTER_DOUBTED_MAX];
	size_t doubted_count;
	struct session *sessions;
	struct session *nodes;
	struct session *ready;
	struct session *watchers;
	size_t unreclaimed; /* sessions that grace waits for */
	struct deadlines expiries;
	struct deadlines wakes;
	struct table *table;
	struct vouch *vouches;
	struct breaking *breaks; /* the oldest first */
	size_t break_count;

	struct reply replies[MASTER_REPLIES_MAX];
	size_t reply_first, reply_count;
	struct master_event events[MASTER_EVENTS_MAX];
	size_t event_first, event_count;
	struct message scratch[2];
	struct reply lent;
};

/* master.c */
void master_tell(struct master *m, enum master_event_kind kind, const struct session *s,
		 uint64_t number, const char *text);
bool master_leads(const struct master *m);
/* The new operation, the master's; NULL: no memory. */
struct op *master_op(struct master *m, enum engine_kind kind, const struct session *s);
void master_forget_epoch(struct master *m); /* everything of it goes */

/* master_cell.c */
void master_step_down(struct master *m, struct moment now, const char *why);
/* A node knows this epoch, which the store does not (rule 10). */
void master_store_is_old(struct master *m, uint64_t epoch, struct moment now);
void master_check(struct master *m,
		  struct moment now); /* the lease, before anything else (rule 1) */
void master_want_swap(struct master *m, struct moment now);
void cell_renew(struct master *m, struct moment now);
void cell_hello(struct master *m, struct moment now); /* a node said HELLO to a standby */
void cell_tick_loading(struct master *m, struct moment now);
void cell_tick_leaving(struct master *m, struct moment now);
/* Outcomes of READ, LOAD and SWAP. */
void cell_read(struct master *m, const struct engine_cell *cell, struct moment now);
void cell_loaded(struct master *m, const struct engine_outcome *outcome, struct moment now);
void cell_swapped(struct master *m, const struct op *op, const struct engine_outcome *outcome,
		  struct moment now);

/* master_session.c */
struct session *session_find(struct master *m, uint64_t instance);
struct session *session_new(struct master *m, const char *node, uint64_t instance,
			    enum session_state state); /* NULL: no memory, or too many */
void session_free(struct master *m, struct session *s);
void session_push(struct master *m, struct session *s, const struct message *msg);
void session_ready(struct master *m, struct session *s);
void session_kill(struct master *m, struct session *s);
void session_stored(struct master *m, const struct engine_op *op,
		    const struct engine_outcome *outcome, struct moment now);
void sessions_tick(struct master *m, struct moment now);
/* A session that may be told something. */
bool session_is_alive(const struct session *s);

/* master_send.c */
void sessions_confirmed(struct master *m); /* swaps_done has grown */
bool session_next_packet(struct master *m, struct moment now, uint32_t *peer, struct packet *out);

/* master_grace.c */
void grace_begin(struct master *m, struct moment now);
void grace_reclaim(struct master *m, struct session *s, const struct message *msg,
		   struct moment now);
void grace_hold(struct master *m, struct session *s, struct message **slot);
void grace_check_end(struct master *m, struct moment now);

/* master_exec.c */
void exec_request(struct master *m, struct session *s, const struct message *msg,
		  struct moment now);
/* A request with req 0 (an undo) wants no reply. */
void exec_reply(struct master *m, struct session *s, const struct message *msg, struct message *r,
		enum status status);
/* Tells those whom a step on the table concerns. */
void exec_drain(struct master *m);

/* master_exec_lock.c */
/* What is no request for a lock or about holders either is dropped. */
void exec_lock_request(struct master *m, struct session *s, const struct message *msg,
		       struct moment now);
/* A lock message as the table's request; also of RECLAIM_LOCK and RECLAIM_WAIT. */
struct table_want exec_want(const struct session *s, const struct message *msg);

/* master_feed.c */
/* The session is to be told of changes, or not any more. */
void feed_watch(struct master *m, struct session *s, bool on);
void feed_drain(struct master *m);
/* The session has acknowledged something: time to tell it what it missed? */
void feed_acked(struct master *m, struct session *s);

/* master_break.c */
/* The request is answered when the acquisition is gone. */
void break_request(struct master *m, struct session *s, const struct message *msg,
		   struct moment now);
/* A node says that nobody there acts under the token any more, and has released it. */
void break_revoked(struct master *m, struct session *s, const struct message *msg);
/* The session is freed: it holds nothing and asks for nothing any more. */
void break_session_gone(struct master *m, const struct session *s);
void break_free_all(struct master *m);

/* master_info.c */
/* The answer to GETINFO, in *r, which borrows from *info. */
enum status info_get(struct master *m, const struct session *s, const struct message *msg,
		     struct moment now, struct table_info *info, struct message *r);
enum status info_set_ttl(struct master *m, const struct message *msg, struct moment now,
			 struct attr *out);

/* As the master counts it (W), CLOCK_BOOTTIME; of one that is dying now. */
int64_t info_lease_end(struct master *m, uint64_t instance, struct moment now);
/* The session's node, or "". */
const char *info_node(struct master *m, uint64_t instance);

/* master_survey.c */
/* The answer to SURVEY, in *r, which borrows from *survey. */
enum status survey_page(struct master *m, const struct message *msg, struct moment now,
			struct table_survey *survey, struct message *r);

/* master_seen.c */
/* What a session saw in an earlier epoch, or its predecessor did. */
void seen_claim(struct master *m, struct session *s, const struct message *msg);
/* Tells the sessions of the names that are gone, or have appeared. */
void seen_drain(struct master *m);

/* master_vouch.c */
void vouch_changed(struct master *m, struct session *s, uint64_t ino);
/*
 * The file is gone, by a request of s. What the reply says: REPLY_GONE, or REPLY_TOMB; then, once
 * it is pushed, vouch_tomb_pushed, so that the others are told when the reply is acknowledged.
 */
uint32_t vouch_removed(struct master *m, struct session *s, uint64_t ino);
void vouch_tomb_pushed(struct master *m, struct session *s, uint64_t ino);
/* It has changed by itself, a name's time being over: who vouches for it is to know. */
void vouch_renew(struct master *m, uint64_t ino);
/* The file is gone otherwise: its time was over, or its last handle was closed. */
void vouch_gone(struct master *m, uint64_t ino);
void vouch_acked(struct master *m, struct session *s);
void vouch_session_gone(struct master *m, struct session *s);
/* A record or, with gone, a tombstone. full: with the content as of this version. */
void vouch_reclaimed(struct master *m, struct session *s, uint64_t ino, uint64_t version, bool gone,
		     bool full);
/* A record whose owner does not vouch for it: somebody shall. */
void vouch_orphan(struct master *m, uint64_t ino);
void vouch_grace_over(struct master *m);
void vouch_free_all(struct master *m);

#endif
