/* SPDX-License-Identifier: MIT */
/*
 * The parts of "etcd:URL,URL,…": store_etcd.c runs operations, store_etcd_open.c finds out whether
 * what is under our prefix is a store, and makes it; both by etcd_client.h. For these files only.
 *
 * The key space, all of it below the prefix, every value a line that people can read:
 *
 *	dlock                    format=1 cluster=NAME id=32 hexadecimal digits, random
 *	leader                   epoch=7 instance=16 digits sequence=4711 lease_ns=10000000000
 *	fence                    epoch=7 instance=16 digits
 *	session/NODE/INSTANCE    (empty)
 *
 * leader is the cell. fence is its part that does not change when the leader renews, so that a
 * session's write can compare it; only a transaction that writes leader writes it. Both are there
 * from the beginning, as zeros: a key space that lost one is damaged, not new.
 *
 * dlock, the identity, is compared by every transaction. It shuts out a process that was started on
 * a key space which since was removed, replaced, or taken over by a newer version; and it is why a
 * transaction that strays to another etcd cluster changes nothing there.
 */
#ifndef MASTER_STORE_ETCD_H
#define MASTER_STORE_ETCD_H

#include "lockcore/engine.h"
#include "lockcore/master.h"
#include "master/etcd_client.h"
#include "master/etcd_txn.h"
#include "master/store.h"

#define ETCD_FORMAT	       1
#define ETCD_PREFIX_MAX_BYTES  200
#define ETCD_CLUSTER_MAX_BYTES 64

struct etcd_trouble {
	int err; /* -errno: people must act; 0: it may pass */
	char text[ETCD_ERROR_MAX_BYTES];
};

struct etcd_store {
	struct etcd_client_config config;
	struct etcd_client *client;
	char prefix[ETCD_PREFIX_MAX_BYTES + 1];	  /* ends with a slash */
	char cluster[ETCD_CLUSTER_MAX_BYTES + 1]; /* the name that the identity must have */
	char identity[ETCD_VALUE_MAX_BYTES];	  /* as found or made; "": not attached yet */
	/*
	 * An operation's budget, over all endpoints: of a leader's lease a quarter, so that after
	 * one renewal that was in vain there is time for others. Opening, which asks every endpoint,
	 * has all of it: nobody waits then but the service manager.
	 */
	int64_t limit_ns, open_limit_ns;
	struct etcd_trouble trouble;
};

/* Notes the trouble; false, for the caller to return. */
bool etcd_store_fail(struct etcd_store *s, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same, of what the client said last. */
bool etcd_store_fail_call(struct etcd_store *s);

/* prefix and name in one. */
void etcd_store_key(const struct etcd_store *s, char key[ETCD_KEY_MAX_BYTES], const char *name);

/*
 * The values of leader and fence. parse is strict: what format would not write is no value of ours.
 */
void etcd_cell_format(char value[ETCD_VALUE_MAX_BYTES], const struct engine_cell *cell);
void etcd_fence_format(char value[ETCD_VALUE_MAX_BYTES], const struct engine_cell *cell);
bool etcd_cell_parse(const char *value, struct engine_cell *cell);

/* A session's key, which has no value; as strict. */
void etcd_session_key(const struct etcd_store *s, char key[ETCD_KEY_MAX_BYTES],
		      const struct engine_session *session);
bool etcd_session_parse(const struct etcd_store *s, const char *key,
			struct engine_session *session);

/*
 * Runs a transaction within what is left of the budget. On ETCD_ANSWERED *answer is the caller's.
 * Otherwise s->trouble says why.
 */
enum etcd_result etcd_store_run(struct etcd_store *s, const struct etcd_txn *t, bool writes,
				json_t **answer);

/* Fills *s from the store's argument and options; asks nobody. 0, or -errno and s->trouble. */
int etcd_store_parse(struct etcd_store *s, const char *list, const struct store_options *options);

/* How many of the endpoints can be used. Fewer than all: s->trouble says why. */
size_t etcd_store_probe(struct etcd_store *s);

/*
 * The key space is a store of this cluster, of a version that we know; made if there is nothing
 * below the prefix. Once that has been seen it is not asked again. False: s->trouble says why.
 */
bool etcd_store_attach(struct etcd_store *s);

/*
 * Every transaction on the attached key space begins with this: it compares the identity, which is
 * ELSE's first response.
 */
void etcd_store_begin(const struct etcd_store *s, struct etcd_txn *t);
/* Of a transaction that did not succeed: the identity was not why. False: it was; s->trouble. */
bool etcd_store_check_identity(struct etcd_store *s, const json_t *answer);
/* An identity that is not the one we know; always false, with s->trouble. */
bool etcd_store_judge_identity(struct etcd_store *s, const char *identity);

/* Of the attached key space, as engine.h's outcomes have it. */
uint64_t etcd_store_cluster(const struct etcd_store *s);

/* ENGINE_LOAD. False: *out is untouched, and s->trouble says why. */
bool etcd_store_load(struct etcd_store *s, struct engine_outcome *out);

#endif
