/* SPDX-License-Identifier: MIT */
/*
 * Node: a node's half of the protocol. It holds the session, knows until when to believe in it,
 * carries the programs' requests to the master in order, and keeps what it would have to reclaim.
 *
 * It does no I/O and has no clock: inputs are the calls that take `now`, outputs are drained
 * afterwards. After every batch of inputs, and at node_deadline, the owner of the loop does
 *
 *	node_tick(n, now);
 *	while (node_next_answer(n, now, &answer)) …   to the program
 *	while (node_next_packet(n, now, &master, &packet)) …   to the transport
 *	while (node_next_event(n, &event)) …   to the log
 *	while ((notice = node_next_notice(n))) …   to whoever watches directories
 *	while (node_next_change(n, &change)) …   to whoever watches acquisitions
 *	while (node_next_revoke(n, &revoke)) …   stop who acts under it, then node_revoked
 *
 * The session, and who may believe what (protocol.md rules 11 to 15; TS is the lease):
 *
 *	          WELCOME                     lease over, EXPIRED
 *	JOINING ───────────> OPEN ──────────────────────────────> JOINING, with a new instance
 *	   └───── node_leave ──┴──> LEAVING ── FAREWELL, 2 s ──> LEFT
 *
 * A failed renewal, second by second: TS = 10 s, renewals every 2.5 s, a drift bound of 1 %.
 *	 0.00  the node sends a renewal; it is acknowledged: the node believes until 10.00
 *	 0.00+ the master receives it: the session expires W = 10.25 after this, at the earliest
 *	 2.50  the next renewal is lost; so are all that follow
 *	 5.75  1.3 periods without acknowledgement: the node says HELLO to any master it reaches
 *	 6.00  NODE_FENCE_WARN: with onloss=kill (contract 6.2) the holders get SIGTERM
 *	 8.50  NODE_FENCE_KILL: those that are left get SIGKILL, and whoever comes after them,
 *	       so that all are gone by 10.00; an acknowledgement until then calls both off
 *	10.00  the node stops believing: its descriptors give EIO, lock calls that wait fail
 *	10.20  the latest this can be on the master's clock, each clock being off by 1 %
 *	10.25+ the master deletes the session durably, then frees and grants what it held
 * Lost before that time, or looked at after it (the node was paused), the session goes to
 * NODE_FENCE_LOST: holders that are left get SIGKILL, and until then no master hears BYE.
 */
#ifndef LOCKCORE_NODE_H
#define LOCKCORE_NODE_H

#include "lockcore/message.h"
#include "lockcore/moment.h"

#define NODE_MASTERS_MAX 16

/*
 * How long a call goes on after a signal before it is given up: long enough that a master that lives
 * answers first. No local file system interrupts calls other than lock waits at all; and a wait that
 * ends with the master's word ends for all nodes at the same moment.
 */
#define NODE_PATIENCE_NS (250 * NS_PER_MS)

/*
 * Ranges that a node may hold in one file; a request for more, and an unlock that would split one
 * into more, is STATUS_NO_SPACE (ENOLCK). Each is looked at for each new one, and again one after the
 * other when a master starts anew, for which all nodes wait.
 */
#define NODE_RANGES_MAX 4096

/* How often a HELLO is repeated while nobody has answered it; and how long all masters rest once
 * each has said that it does not lead, doubled from the second to the first. */
#define NODE_HELLO_NS	   (250 * NS_PER_MS)
#define NODE_HELLO_REST_NS (30 * NS_PER_MS)

/*
 * How long nothing at all may be heard on a link after a HELLO or a request, or after it went down,
 * before NODE_EVENT_SILENT (after a renewal it is the time of rule 14), and up to what this is
 * doubled while it goes on: masters that are only slow must not be given more work by it. A
 * transport that has connections does well to try a new one then, beside the old, and not to rely
 * on a try that goes on: both may be dead long before anybody says so. If it is the session's master,
 * the node also says HELLO to the others, so that a leader that hangs is not waited for until the
 * next renewal, which with a long lease is far away.
 */
#define NODE_SILENT_NS	   NS_PER_SEC
#define NODE_SILENT_MAX_NS (8 * NS_PER_SEC)

/* How long node_leave waits for its FAREWELL; and a node that nobody has welcomed, to whom nobody
 * may ever answer. One that has said nothing to anybody does not wait. */
#define NODE_LEAVE_NS	      (2 * NS_PER_SEC)
#define NODE_LEAVE_UNKNOWN_NS (200 * NS_PER_MS)

struct node;

struct node_config {
	char id[NODE_ID_MAX_BYTES + 1];
	/* 1 to NODE_MASTERS_MAX; links are numbered from 0. All of one store: NODE_EVENT_FOREIGN. */
	size_t masters;
	int64_t timeo_ns;	/* contract 6.3; 0: the lease */
	int64_t idle_ns;	/* for the names made here (contract 4.3) */
	int64_t ttl_ns;		/* for those that are held (4.4); 0: none */
	bool watch_all;		/* hear of the names that others make, too (contract 2.4) */
	bool fence;		/* holders are to be stopped: node_fence tells when */
	uint64_t instance_base; /* random, new at each start; sessions are numbered from it */
};

/* NULL: no memory. */
struct node *node_new(const struct node_config *config, struct moment now);
void node_free(struct node *n);

/* ---- Inputs: the transport ---- */

void node_connected(struct node *n, size_t master, struct moment now);
void node_disconnected(struct node *n, size_t master, struct moment now);
/* Takes over the packet's messages that it keeps (their slots become NULL). */
void node_receive(struct node *n, size_t master, struct packet *p, struct moment now);

/* ---- Inputs: programs ---- */

/*
 * Starts a request (message.h, from MESSAGE_LOOKUP to MESSAGE_TESTLOCK, fields as listed there
 * except req and version, which the node fills in; CREATE and OPEN get their handle from it, the
 * others carry the handle of the descriptor they came through, 0: none). The message is copied.
 * Exactly one answer follows, with this cookie. Returns the call's number, for node_interrupt; 0:
 * no memory, and no answer follows.
 */
uint64_t node_submit(struct node *n, const struct message *request, void *cookie,
		     struct moment now);

/*
 * A signal has come for a call. A waiting lock request is taken back: the answer is the master's
 * (STATUS_INTERRUPTED, or STATUS_OK if the grant came first). When no master is connected, or says
 * nothing for NODE_PATIENCE, it is STATUS_INTERRUPTED without one, and what may have been granted is
 * given back before any later request of this node. Any other call is given NODE_PATIENCE. Fine for
 * a call that has been answered.
 */
void node_interrupt(struct node *n, uint64_t call, struct moment now);

/* The descriptor's last close. Ordered before every later request; no answer. */
void node_close(struct node *n, uint64_t handle, struct moment now);

/* Does this owner have ranges locked, or asked for, in the handle's file? Then its FLUSH must
 * unlock them. */
bool node_owns_ranges(struct node *n, uint64_t handle, uint64_t owner);

/* Was the descriptor's session lost (contract 6.1)? */
bool node_handle_lapsed(struct node *n, uint64_t handle, struct moment now);

/* ---- Inputs: time, and the end ---- */

void node_tick(struct node *n, struct moment now);
/* When node_tick is to be called at the latest, CLOCK_BOOTTIME ns; MOMENT_NEVER. */
int64_t node_deadline(const struct node *n);
/* Stops believing at once and tells the master (rule 15). NODE_EVENT_LEFT follows. */
void node_leave(struct node *n, struct moment now);

/* ---- Outputs ---- */

struct node_answer {
	void *cookie;
	enum message_kind kind; /* of the request */
	enum status status;
	uint64_t handle;	     /* CREATE, OPEN with STATUS_OK: the new one */
	const struct message *reply; /* the node's until the next call; NULL unless STATUS_OK */
};

bool node_next_answer(struct node *n, struct moment now, struct node_answer *out);

/* Is there something to say to the session's master? What else is submitted now goes along. */
bool node_has_unsent(const struct node *n);
/* The packet borrows the node's messages until the next call: do not packet_deinit it. */
bool node_next_packet(struct node *n, struct moment now, size_t *master, struct packet *out);

enum node_event_kind {
	NODE_EVENT_OPENED, /* a session began; lease_ns, master */
	/* A master that was restarted, or another one, has it now; epoch, master. */
	NODE_EVENT_RESUMED,
	NODE_EVENT_LAPSED, /* the lease is lost, and with it `held` names and locks (contract 6.1)
			     */
	/* The node id's earlier session must end first; lease_ns is its rest. own: it is the one
	 * that this node itself has lost. */
	NODE_EVENT_TAKEN,
	NODE_EVENT_TWIN, /* the node id is in use by another live node */
	/* What this master says is not taken: its store is another than that of the masters who
	 * have welcomed this node; master. Said once in a session. */
	NODE_EVENT_FOREIGN,
	NODE_EVENT_SILENT, /* nothing that is said to it is answered, or it is not connected; master
			     */
	NODE_EVENT_LEFT,
};

struct node_event {
	enum node_event_kind kind;
	int64_t lease_ns;
	uint64_t epoch;
	size_t held;
	bool own;
	size_t master;
};

bool node_next_event(struct node *n, struct node_event *out);

/*
 * What others did to names that this node has seen (contract 2.4): a name is gone, by another
 * node's request or because nothing keeps it any more; or, with watch_all, has appeared. A name is
 * seen when a request of this node is answered that looks it up, makes it or moves it. Every end is
 * told once, that of an earlier session's names when there is a session again.
 *
 * The steps lead from the root to the name, each with what is known of it: of a name that is gone
 * attr.nlink is what the file has left, 0: the file is gone. Without memory, past
 * NODE_NOTICES_MAX, or where a directory on the way is not known, there is no notice.
 */
#define NODE_NOTICES_MAX      SEEN_NAMES_MAX /* not yet drained; further ones are dropped */
#define NODE_NOTICE_DEPTH_MAX 256	     /* steps; deeper names are not told of */

struct node_step {
	uint64_t parent;
	const char *name;
	struct attr attr;
};

struct node_notice {
	struct node_notice *prev, *next; /* utlist, for whoever owns the notice */
	bool appeared;
	struct attr root;
	size_t depth; /* at least 1 */
	struct node_step steps[];
};

static inline struct node_step *node_notice_last(struct node_notice *notice)
{
	return &notice->steps[notice->depth - 1];
}

/* The caller's from now on, to be freed by node_notice_free. NULL: none. */
struct node_notice *node_next_notice(struct node *n);
void node_notice_free(struct node_notice *notice);

/* The directory that this node's programs know under this name, and may be in; 0: none. */
uint64_t node_known_dir(struct node *n, uint64_t parent, const char *name);
/* Is the step's directory known to be somewhere else? */
bool node_dir_is_elsewhere(struct node *n, const struct node_step *step);
/* Does a program wait for a call during which the kernel may have the inode locked? */
bool node_may_lock(const struct node *n, uint64_t ino);

/* ---- Stopping the holders in time (contract 6.2), with config.fence ---- */

#define NODE_FENCE_WARN_PERCENT 60 /* of the lease, without an acknowledged renewal */
#define NODE_FENCE_KILL_PERCENT 85

/*
 * As of the last input or tick. node_deadline knows of each change, and what is held is asked for
 * anew as long as it lasts: a grant may still come in.
 */
enum node_fence {
	NODE_FENCE_NONE,
	NODE_FENCE_WARN,
	NODE_FENCE_KILL,
	/* The session has lapsed with something held. No new one is begun, and no master hears that
	 * this one is over, before node_fenced. */
	NODE_FENCE_LOST,
};

enum node_fence node_fence(const struct node *n);
/* The holders of the lapsed session have been stopped, or never will be: go on. Fine if nobody
 * waits for that. With stopped unset no BYE is said for it, and its lease runs out at the master. */
void node_fenced(struct node *n, bool stopped, struct moment now);

/* What the session holds, or held when it lapsed (NODE_FENCE_LOST). */
struct node_held {
	uint64_t ino;
	/* Not 0: the file has a held name, made by this process as its request said. 0: locks of
	 * the file are held, through descriptors of this node. */
	uint32_t maker;
};

/* Fills in up to max of them. Returns how many there are. */
size_t node_held(const struct node *n, struct node_held *out, size_t max);

/* ---- Giving names up before the session does ---- */

/*
 * The numbers of the calls (node_submit) that made the names of the file which this session holds,
 * as far as its record knows: another node may have taken some of them away. Returns how many.
 *
 * An UNLINK with such a number as its target, the name's parent and name, and UNLINK_LET_GO gives the
 * name up if it is still that one: STATUS_NO_ENTRY if not. It is nobody's request, so the kernel is
 * told by a notice. Answered STATUS_NO_MASTER it is done still, unless the lease ends first.
 */
size_t node_held_names(struct node *n, uint64_t ino, uint64_t calls[LINKS_MAX]);
/* ---- What becomes of acquisitions in the cluster, for who watches ---- */

/*
 * A MESSAGE_WATCH with WATCH_CHANGES, submitted as any request, begins it: whatever comes after its
 * answer is told, in order. It goes on over masters and sessions, with CHANGE_MISSED wherever
 * something may have been missed, until node_unwatch.
 */
#define NODE_CHANGES_MAX 4096 /* not yet drained; further ones are missed */

struct node_change {
	enum change_kind change;
	uint64_t missed;	     /* CHANGE_MISSED: at least so many */
	const struct surveyed *what; /* else: whose; the node's until the next call */
};

bool node_next_change(struct node *n, struct node_change *out);
void node_unwatch(struct node *n, struct moment now);

/* ---- An acquisition of this node is broken (contract 7) ---- */

/*
 * Who may believe what. As of the REVOKE from the master, before this is drained:
 *
 *  - the descriptors that the acquisition came through are as lost (node_handle_lapsed): a flock's
 *    descriptor; of a range all that its owner took ranges of the file through; of a held name all
 *    of this node's on the file. Calls on them that are under way are answered STATUS_LAPSED; what
 *    changes a file may be done all the same, as after a signal.
 *  - the node still believes, and so does the master: nobody else gets it, and a master that is
 *    started anew is told of it as before. That gives the owner of the loop the time to stop who
 *    acts under it.
 *
 * The node stops believing when node_revoked says that nobody acts under it any more; or when the
 * holder has given it up (closed the descriptors, removed the name), or after this share of the
 * lease, whichever comes first. Then it gives up what there is, and tells the master so, in this
 * order. What was given up is never reclaimed. When the session ends before, all ends.
 */
#define NODE_REVOKE_SHARE 4

struct node_revoke {
	uint64_t token, ino;
	enum holder_kind kind;
	uint32_t pid;	  /* who acquired it, as the request said; 0: not known */
	int64_t until_ns; /* CLOCK_BOOTTIME: when the node stops believing at the latest */
};

/* One that is not told yet. To be drained after the answers: one of them may be its grant. */
bool node_next_revoke(struct node *n, struct node_revoke *out);
/* Fine if it is over, for whatever reason. */
void node_revoked(struct node *n, uint64_t token, struct moment now);
/* Is it still waited for (by the node, to hear node_revoked)? */
bool node_is_revoking(const struct node *n, uint64_t token);

/* ---- Looking ---- */

bool node_is_open(const struct node *n);
uint64_t node_instance(const struct node *n);
/* Of the session, or of the last one; 0: none yet. */
int64_t node_lease(const struct node *n);
/* Until when this node believes in its session; 0: it does not. */
int64_t node_belief_end(const struct node *n);
/* The highest of a master that has welcomed it; 0: none has. */
uint64_t node_epoch(const struct node *n);
/* The link of the session's master; false: there is no session. */
bool node_master(const struct node *n, size_t *master);

/* What a master is as far as this node has heard; it asks nobody for that. */
enum node_standing {
	NODE_MASTER_SILENT,    /* not connected, or it has not answered what it was asked last */
	NODE_MASTER_STANDS_BY, /* connected; another leads, or none */
	NODE_MASTER_LEADS,     /* it has the session, and no renewal is overdue */
};

enum node_standing node_master_standing(const struct node *n, size_t master);

#endif
