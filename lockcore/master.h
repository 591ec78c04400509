/* SPDX-License-Identifier: MIT */
/*
 * Master: the lease master's half of the protocol. It leads by the store's leader cell, keeps
 * sessions and their leases, executes their requests on the table, and restores the table after a
 * takeover.
 *
 * No I/O and no clock: inputs take `now`; outputs are drained after every batch of inputs and at
 * master_deadline:
 *
 *	master_tick(m, now);
 *	while (master_next_op(m, &op)) …                   to the store
 *	while (master_next_packet(m, now, &peer, &packet)) …   to the transport
 *	while (master_next_event(m, &event)) …             to the log
 *
 *	        READ          SWAP epoch+1         LOAD       all reclaimed, or W over
 *	READING ────> TAKING ────────────> LOADING ────> GRACE ──────────────────────> SERVING
 *	   ^                                 │             │                              │
 *	   └──── lost the cell, or its lease (TL) ran out ─┴──────────────────────────────┤
 *	                                 SWAP to nobody                     master_leave  │
 *	                     LEFT <──────────────────────── LEAVING <─────────────────────┘
 *
 * Leaving leadership forgets everything: the nodes have it all, and reclaim it from the next epoch.
 *
 * Time (protocol.md): a session is believed dead W = TS (1 + rho) / (1 - rho) + 50 ms after its
 * last renewal arrived; a leader serves until TL after it sent its last successful SWAP.
 */
#ifndef LOCKCORE_MASTER_H
#define LOCKCORE_MASTER_H

#include "lockcore/engine.h"
#include "lockcore/message.h"
#include "lockcore/moment.h"
#include "lockcore/table.h"

#define MASTER_LEASE_DEFAULT_NS (10 * NS_PER_SEC)
#define MASTER_LEASE_MIN_NS	NS_PER_SEC
#define MASTER_LEASE_MAX_NS	(3600 * NS_PER_SEC)

#define MASTER_LEADER_LEASE_DEFAULT_NS (5 * NS_PER_SEC) /* TL */
#define MASTER_LEADER_LEASE_MIN_NS     NS_PER_SEC
#define MASTER_LEADER_LEASE_MAX_NS     (60 * NS_PER_SEC)
#define MASTER_RENEWALS		       5  /* in each TL, at least */
#define MASTER_LOOKS		       10 /* at the cell, by a standby, in each TL */
#define MASTER_LEAVE_SHARE	       4  /* of TL: giving up the cell may take no longer */
/* A standby that hears HELLO looks at once, but not more often than this. */
#define MASTER_LOOK_GAP_NS (50 * NS_PER_MS)
/* It asks for the lead once nodes have looked for a leader for so long, with rests no longer. */
#define MASTER_ASK_NS NS_PER_SEC
/* A leader that hears no node for this share of the lease, in which each speaks once, gives way to
 * one that does. */
#define MASTER_DEAF_SHARE     4
#define MASTER_DRIFT_PERCENT  1 /* rho */
#define MASTER_SLACK_NS	      (50 * NS_PER_MS)
#define MASTER_STORE_RETRY_NS (200 * NS_PER_MS) /* after an operation of unknown outcome */

/* One SWAP acknowledges all renewals that came before it was sent; this is how far SWAPs are apart
 * at least, so that many nodes cost the store no more than few, fewer than two writes a second; a
 * 16th of a short lease. */
#define MASTER_SWAP_GAP_MAX_NS (550 * NS_PER_MS)
#define MASTER_SWAP_GAP_SHARE  16
/* And in grace, which ends the sooner. */
#define MASTER_SWAP_GAP_GRACE_NS (20 * NS_PER_MS)

#define MASTER_SESSIONS_MAX 10000 /* HELLOs beyond are not answered */
/*
 * What is kept at most for a session that acknowledges nothing, before it is ended: 250,000 small
 * messages, so that a partition shorter than the lease costs nobody his session whatever the others
 * do meanwhile.
 */
#define MASTER_UNHEARD_MAX_BYTES (UINT64_C(128) << 20)
/* Sessions of an epoch whose DELETE was of unknown outcome first; with more, a new epoch settles
 * them all. */
#define MASTER_DOUBTED_MAX 64
/* Of a session that has more than this unacknowledged, what changes is not told to who watches there:
 * some thousand changes. */
#define MASTER_FEED_MAX_BYTES (UINT64_C(4) << 20)
#define MASTER_BREAKS_MAX     1024 /* acquisitions being broken; a request for more gets NO_MEMORY */
#define MASTER_REPLIES_MAX    256  /* answers to HELLO and BYE not yet drained; more are dropped */
#define MASTER_EVENTS_MAX     64   /* not yet drained; the oldest give way */

struct master;

struct master_config {
	uint64_t instance;	 /* random, new at each start, not 0 */
	int64_t lease_ns;	 /* TS */
	int64_t leader_lease_ns; /* TL */
	uint64_t max_files;	 /* contract 3.1 */
	bool exclusive_store;	 /* no other process can have the store open: take over at once */
};

/* NULL: no memory. */
struct master *master_new(const struct master_config *config, struct moment now);
void master_free(struct master *m);

/* Takes over the packet's messages that it keeps (their slots become NULL). */
void master_receive(struct master *m, uint32_t peer, struct packet *p, struct moment now);
void master_engine_done(struct master *m, const struct engine_outcome *outcome, struct moment now);
void master_tick(struct master *m, struct moment now);
int64_t master_deadline(const struct master *m);

/*
 * To end in order: it stops leading at once, and gives up the cell, so that a standby may lead
 * without waiting. The operations go on to be drained until master_has_left, which an unwilling
 * store can put off for a share of TL.
 */
void master_leave(struct master *m, struct moment now);
bool master_has_left(const struct master *m);

bool master_next_op(struct master *m, struct moment now, struct engine_op *out);
/* The packet borrows the master's messages until the next call: do not packet_deinit it. */
bool master_next_packet(struct master *m, struct moment now, uint32_t *peer, struct packet *out);

enum master_event_kind {
	MASTER_EVENT_LEADING,	    /* took over; epoch, count: sessions to reclaim */
	MASTER_EVENT_GRACE_OVER,    /* epoch, count: names that could not be restored */
	MASTER_EVENT_STEPPED_DOWN,  /* text: why */
	MASTER_EVENT_STORE_TROUBLE, /* text: what the store said */
	MASTER_EVENT_STORE_OLD, /* a node has seen a higher epoch: the store was put back; epoch */
	MASTER_EVENT_OPENED,	/* node */
	MASTER_EVENT_RECLAIMED, /* node */
	MASTER_EVENT_EXPIRED,	/* node: its lease ran out; what it held is free */
	MASTER_EVENT_LEFT,	/* node said BYE */
	MASTER_EVENT_TAKEN,	/* node: refused, its id has a live session */
	MASTER_EVENT_RECLAIM_REFUSED, /* node: it claimed what it cannot have; text */
	MASTER_EVENT_UNHEARD,	      /* node: it acknowledges nothing, and is ended */
	MASTER_EVENT_STANDS_BY,	      /* another master leads; count: its epoch */
	MASTER_EVENT_STRANGER,	      /* peer sent requests for a session that is unknown */
};

struct master_event {
	enum master_event_kind kind;
	uint64_t epoch;
	size_t count;
	uint32_t peer;
	char node[NODE_ID_MAX_BYTES + 1];
	char text[160];
};

bool master_next_event(struct master *m, struct master_event *out);

/* ---- Looking ---- */

/* What it is to the cluster, for people. */
enum master_role {
	MASTER_ROLE_WAITS,     /* it has not learned yet who leads: for the store */
	MASTER_ROLE_STANDS_BY, /* another master leads, or did until just now */
	MASTER_ROLE_RESTORES,  /* it has taken over, and nodes reclaim what they hold */
	MASTER_ROLE_LEADS,
	MASTER_ROLE_ENDS,
};

/* *epoch: the leader's, which may be this master. */
enum master_role master_role(const struct master *m, uint64_t *epoch);
bool master_is_serving(const struct master *m);
uint64_t master_epoch(const struct master *m); /* 0: does not lead */
/* NULL while it does not lead; for tests and figures. */
struct table *master_table(struct master *m);
/* W for a lease, ns. */
int64_t master_wait_ns(int64_t lease_ns);

#endif
