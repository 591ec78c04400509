/* SPDX-License-Identifier: MIT */
/*
 * etcd cluster: real etcds that a test starts, kills and freezes, each in a directory below the
 * test's, at an address of 127.0.0.0/8 that nobody else has. They die with the test. All helpers
 * fail the test when they fail.
 */
#ifndef TESTS_ETCD_CLUSTER_H
#define TESTS_ETCD_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lockcore/moment.h"
#include "master/etcd_client.h"
#include "master/etcd_txn.h"

/*
 * Leases for store_open. ROOMY: an operation has a minute, so that on a slow machine it is not
 * UNKNOWN; SHORT: one that hangs has a second.
 */
#define ETCD_ROOMY_NS (240 * NS_PER_SEC)
#define ETCD_SHORT_NS (4 * NS_PER_SEC)

#define ETCD_MEMBERS_MAX 3
#define ETCD_ARGS_MAX	 12

struct etcd_member {
	pid_t pid; /* 0: does not run */
	char url[64], peer_url[64];
};

struct etcd_cluster {
	char dir[64];
	char address[20]; /* of all members */
	size_t count;
	const char *args[ETCD_ARGS_MAX]; /* more of them for each etcd, NULL at the end */
	bool https;
	struct etcd_member members[ETCD_MEMBERS_MAX];
	struct etcd_client_config config; /* of raw calls, to all members */
	struct etcd_client *client;
};

/* Skips the whole program (77) where there is no etcd. */
void need_etcd(void);

/*
 * prepare chooses addresses and a directory, start starts and waits until all members serve; args
 * and https may be set between the two, and config's TLS and user.
 */
void etcd_prepare(struct etcd_cluster *c, size_t count);
void etcd_start(struct etcd_cluster *c);
void etcd_remove(struct etcd_cluster *c);

/* "etcd:URL,URL" of all members, for store_open. */
void etcd_spec(const struct etcd_cluster *c, char *spec, size_t size);

void etcd_run(struct etcd_cluster *c, size_t member); /* does not wait until it serves */
void etcd_kill(struct etcd_cluster *c, size_t member);
void etcd_signal(struct etcd_cluster *c, size_t member, int sig); /* SIGSTOP: until it stands */
void etcd_wait_serving(struct etcd_cluster *c);
/* Who leads, as the first member that answers says. */
size_t etcd_leader(struct etcd_cluster *c);

/* A raw call, which must be answered; *answer: json_decref. */
json_t *etcd_raw(struct etcd_cluster *c, const char *path, json_t *request);
void etcd_raw_put(struct etcd_cluster *c, const char *key, const char *value);
void etcd_raw_delete(struct etcd_cluster *c, const char *key);
/* The value as of a revision (0: now); false: there was no such key. *now: the store's revision. */
bool etcd_raw_get(struct etcd_cluster *c, const char *key, int64_t revision,
		  char value[ETCD_VALUE_MAX_BYTES], int64_t *now);

#endif
