/* SPDX-License-Identifier: MIT */
/*
 * Report: what the master's log says. One line an event; what a peer could cause without end is
 * said once for each peer's address, and counted.
 */
#ifndef MASTER_REPORT_H
#define MASTER_REPORT_H

#include <stdint.h>

#include "lockcore/master.h"
#include "transport/endpoint.h"

/* Addresses remembered so as to be named only once; past it the oldest are forgotten. */
#define REPORT_PEERS_MAX  64
#define REPORT_NAME_BYTES 64

struct report {
	const char *name; /* this master's, in its lines */
	char peers[REPORT_PEERS_MAX][REPORT_NAME_BYTES];
	unsigned peer_next;
	uint64_t dropped;   /* messages and connections refused, all peers */
	char trouble[160];  /* what the store said last, "": nothing wrong */
	int64_t trouble_ns; /* when it was in trouble last, */
	int64_t said_ns;    /* and when that was said */
	int64_t taken_ns;   /* when a node was last said to be refused */
};

/* name is kept. */
void report_init(struct report *r, const char *name);
void report_event(struct report *r, struct endpoint *e, const struct master_event *event);
/* An operation of the store had an outcome that is known. */
void report_store_well(struct report *r);
/* Something from this peer was dropped: malformed, oversized, of an unknown version or session. */
void report_dropped(struct report *r, struct endpoint *e, uint32_t peer, const char *why);

#endif
