/* SPDX-License-Identifier: MIT */
/*
 * etcd transactions as JSON: what /v3/kv/txn takes and answers. Bytes travel as base64, numbers as
 * strings, and what is zero or empty is left out of an answer.
 *
 *	etcd_txn_init(&t);
 *	etcd_txn_compare_value(&t, key, "value");
 *	etcd_txn_put(&t, ETCD_THEN, key, "new");     in THEN's order, and so ELSE's, are
 *	etcd_txn_get(&t, ETCD_ELSE, key);            the answer's responses
 *	request = etcd_txn_request(&t);              NULL: no memory at any time before
 *	…
 *	etcd_txn_deinit(&t);
 */
#ifndef MASTER_ETCD_TXN_H
#define MASTER_ETCD_TXN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define ETCD_KEY_MAX_BYTES   400
#define ETCD_VALUE_MAX_BYTES 300

enum etcd_branch { ETCD_THEN, ETCD_ELSE };

struct etcd_txn {
	json_t *root, *compare, *branch[2];
	bool broken; /* no memory */
};

void etcd_txn_init(struct etcd_txn *t);
void etcd_txn_deinit(struct etcd_txn *t);
const json_t *etcd_txn_request(const struct etcd_txn *t);

/* A missing key has no value, and is equal to nothing. */
void etcd_txn_compare_value(struct etcd_txn *t, const char *key, const char *value);
/* There is no key from key up to end. */
void etcd_txn_compare_none(struct etcd_txn *t, const char *key, const char *end);

void etcd_txn_put(struct etcd_txn *t, enum etcd_branch b, const char *key, const char *value);
void etcd_txn_delete(struct etcd_txn *t, enum etcd_branch b, const char *key);
void etcd_txn_get(struct etcd_txn *t, enum etcd_branch b, const char *key);

struct etcd_range {
	const char *after; /* keys behind this one, */
	const char *end;   /* before this one, */
	int limit;	   /* so many at most, */
	int64_t revision;  /* as of then; 0: now */
};

/* Keys without their values. */
void etcd_txn_list(struct etcd_txn *t, enum etcd_branch b, const struct etcd_range *range);

/* ---- Answers ---- */

bool etcd_answer_succeeded(const json_t *answer);
/* Of the response_range at this place of the branch that was taken; 0 also if there is none. */
size_t etcd_answer_count(const json_t *answer, size_t place);
/* False: no response_range there, which no etcd does that was asked for one. */
bool etcd_answer_has(const json_t *answer, size_t place);
/* Decodes the nth key, or value, as a string. False: none, not base64, too long, with a NUL. */
bool etcd_answer_key(const json_t *answer, size_t place, size_t n, char key[ETCD_KEY_MAX_BYTES]);
bool etcd_answer_value(const json_t *answer, size_t place, size_t n,
		       char value[ETCD_VALUE_MAX_BYTES]);
/* There are more keys than the limit let through. */
bool etcd_answer_more(const json_t *answer, size_t place);
/* The revision of the whole answer; 0: none. */
int64_t etcd_answer_revision(const json_t *answer);

/* A request of /v3/kv/range for one key as this endpoint has it; free. NULL: no memory. */
char *etcd_range_local(const char *key);

#endif
