/* SPDX-License-Identifier: MIT */
/*
 * The engine: the little that a master keeps durable, as the core asks for it (protocol.md,
 * "Shape").
 *
 * A store holds one leader cell and one registry of sessions. The core emits operations; the
 * program runs them beside its loop, in the order emitted, and brings each outcome back with
 * master_engine_done. Whatever the store is, an operation is atomic and durable when it says DONE.
 */
#ifndef LOCKCORE_ENGINE_H
#define LOCKCORE_ENGINE_H

#include "lockcore/message.h"

enum engine_kind {
	ENGINE_READ, /* the cell */
	ENGINE_SWAP, /* the cell, from expect to next; REFUSED if it was not expect, all of it */
	ENGINE_LOAD, /* the registry */
	/* Fenced: REFUSED unless the cell's epoch and instance are those of `expect`. */
	/*
	 * session: node and instance together are the key, unless no operation is ever executed
	 * late. A PUT of unknown outcome that came after its successor's would overwrite it.
	 */
	ENGINE_PUT,
	ENGINE_DELETE, /* session; absent is DONE too */
};

enum engine_result {
	ENGINE_DONE,
	ENGINE_REFUSED, /* definitely not executed: the comparison failed */
	/*
	 * Unavailable, timed out, disk error: may have been executed, or not, or may yet be, even
	 * after a READ or LOAD that did not show it. A later SWAP that is DONE settles an unknown
	 * SWAP; one that changes the epoch settles every operation of earlier epochs.
	 */
	ENGINE_UNKNOWN,
};

struct engine_cell {
	/* Of the leading master, random, new at each start; 0: nobody leads, and whoever likes may. */
	uint64_t instance;
	uint64_t epoch;
	uint64_t sequence; /* grows with every renewal of the leader */
	/* The longest session lease that this leader grants, or that may still be believed in of
	 * an earlier one's; less than 0: and the store was put back to an old state, and may not yet
	 * know all sessions that believe (rule 10). */
	int64_t lease_ns;
	int64_t leader_lease_ns; /* TL of this leader */
	uint64_t
		asked_by; /* the instance of a standby that hears nodes ask for a leader; 0: none */
};

struct engine_session {
	char node[NODE_ID_MAX_BYTES + 1];
	uint64_t instance;
};

struct engine_op {
	uint64_t id; /* of this operation, never 0 */
	enum engine_kind kind;
	struct engine_cell expect;     /* SWAP: all of it; PUT, DELETE: epoch and instance */
	struct engine_cell next;       /* SWAP */
	struct engine_session session; /* PUT, DELETE */
};

struct engine_outcome {
	uint64_t id;
	enum engine_result result;
	struct engine_cell cell; /* READ, and SWAP when REFUSED: what the cell is */
	/* READ, LOAD when DONE: of this key space, random, made with it; never 0. */
	uint64_t cluster;
	struct engine_session
		*sessions; /* LOAD: session_count of them, on the heap, the caller's */
	size_t session_count;
	char error[160]; /* UNKNOWN: why, for the log */
};

#endif
