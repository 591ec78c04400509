/* SPDX-License-Identifier: MIT */
/*
 * Report: what the master's log says. One line an event; what a peer could cause without end is
 * said once for each peer's address or node, and bounded (transport/log.h).
 */
#ifndef MASTER_REPORT_H
#define MASTER_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "lockcore/master.h"
#include "transport/endpoint.h"
#include "transport/log.h"

/* Addresses remembered so as to be named only once; past it the oldest are forgotten. */
#define REPORT_PEERS_MAX  64
#define REPORT_NAME_BYTES 64

/* Nodes remembered that were refused. */
#define REPORT_REFUSED_MAX 64

struct report_refused {
	char node[NODE_ID_MAX_BYTES + 1];
	int64_t asked_ns; /* last */
};

struct report {
	const char *name; /* this master's, in its lines */
	char peers[REPORT_PEERS_MAX][REPORT_NAME_BYTES];
	unsigned peer_next;
	uint64_t dropped;   /* messages and connections refused, all peers */
	char trouble[160];  /* what the store said last, "": nothing wrong */
	int64_t trouble_ns; /* when it was in trouble last, */
	int64_t said_ns;    /* and when that was said */
	struct report_refused refused[REPORT_REFUSED_MAX];
	unsigned refused_next;
	bool ending;
	uint64_t other_epoch;	   /* whose leader we were said to stand by for */
	struct log_limit comings;  /* of nodes that come and go */
	struct log_limit troubles; /* and of those that have or make trouble */
};

/* name is kept. */
void report_init(struct report *r, const char *name);
void report_event(struct report *r, struct endpoint *e, const struct master_event *event);
/* Fine to call at every turn of the loop: it says once for whose epoch it stands by. */
void report_role(struct report *r, enum master_role role, uint64_t epoch);
/* It was asked to stop: that it leads no longer is no trouble. */
void report_ending(struct report *r);
/* An operation of the store had an outcome that is known. */
void report_store_well(struct report *r);
/* Something from this peer was dropped: malformed, oversized, of an unknown version or session. */
void report_dropped(struct report *r, struct endpoint *e, uint32_t peer, const char *why);

#endif
