/* SPDX-License-Identifier: MIT */
/*
 * What an answer of an etcd says of the request: whether it was executed, above all. Knows etcd's
 * words, and no more of it.
 */
#ifndef MASTER_ETCD_VERDICT_H
#define MASTER_ETCD_VERDICT_H

#include <jansson.h>

#include "master/etcd_http.h"

#define ETCD_CLUSTER_ID_BYTES 24 /* an unsigned 64-bit number in decimal */

enum etcd_verdict {
	ETCD_SAYS_GOOD,		/* here is the answer */
	ETCD_SAYS_NOT_EXECUTED, /* and never will be; another endpoint may do better */
	ETCD_SAYS_NO_TOKEN,	/* the same, for want of a token that is good */
	ETCD_SAYS_STRANGER,	/* the same: it is of another etcd cluster */
	ETCD_SAYS_LOST,		/* executed, or not, or it may yet be */
};

/* Why not GOOD. */
struct etcd_reason {
	char text[ETCD_HTTP_ERROR_BYTES]; /* one line */
	bool hopeless;			  /* people must act: trying again does not help */
};

/*
 * cluster: the id that answers must have; if it is "", it becomes this one's. *answer is the
 * caller's, with GOOD only: an object.
 */
enum etcd_verdict etcd_judge(const struct etcd_http_answer *http,
			     char cluster[ETCD_CLUSTER_ID_BYTES], json_t **answer,
			     struct etcd_reason *reason);

#endif
