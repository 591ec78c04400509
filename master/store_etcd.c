/* SPDX-License-Identifier: MIT */
/*
 * "etcd:URL,URL,…": a store in an etcd cluster, for several masters. Each operation is one
 * transaction (LOAD: one a page, all as of one revision), with its comparisons inside, committed by
 * etcd's majority before it is DONE. Registry writes that wait in the queue share one, up to
 * STORE_BATCH_MAX, and its outcome. Keys and values: store_etcd.h.
 *
 * What an operation comes to. "Not sent" and "not executed" are etcd_client.h's ETCD_NOT_EXECUTED:
 * no connection, or an answer that etcd gives only where it did nothing; the next endpoint has been
 * tried then, until all had failed.
 *
 *	                          READ, LOAD           SWAP, PUT, DELETE
 *	succeeded                 DONE                 DONE
 *	not, and the values       UNKNOWN: the key     REFUSED, if they differ from what was
 *	that were compared        space is another     expected; if not, the answer contradicts
 *	come with the answer                           itself: UNKNOWN
 *	not executed              next endpoint,       next endpoint, then UNKNOWN
 *	                          then UNKNOWN
 *	sent, no answer, torn,    next endpoint,       UNKNOWN, and nobody else is asked
 *	garbage, any other error  then UNKNOWN
 *
 * Why nobody else is asked. Say a SWAP's first try was executed and its answer lost. The second try
 * finds the cell as `next`, and is not executed; REFUSED would be false. That the cell is `next` and
 * `next` bears our instance does not say that *this* operation did it: the core sends the same SWAP
 * again after an UNKNOWN, and the earlier one may have been executed before this one was sent. DONE
 * would then date the leader's lease by a SWAP that came after what a standby counts from: two
 * leaders. As it is, the core's own next SWAP is REFUSED, truly, with the cell as it is, from where
 * the core goes on. In the same way the fence may have moved between two tries of a PUT.
 *
 * Executed late. A transaction whose answer was lost can be executed any time after, also after
 * later ones of ours. A SWAP then finds another cell: its sequence only grows. A PUT or DELETE is
 * shut out once the epoch has changed, and until then has a key of its own, node and instance.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/store_etcd.h"
#include "master/store_file.h"

/* ---- Troubles ---- */

bool etcd_store_fail_call(struct etcd_store *s)
{
	const struct etcd_error *error = etcd_client_error(s->client);

	return etcd_store_fail(s, error->hopeless ? -EACCES : 0, "%s", error->text);
}

static bool fail_damaged(struct etcd_store *s, const char *name)
{
	return etcd_store_fail(
		s, -EBADMSG,
		"%s%s is missing or has a value that no dlock wrote; restore the key "
		"space, or remove all of it while no master runs",
		s->prefix, name);
}

/* ---- Transactions ---- */

enum etcd_result etcd_store_run(struct etcd_store *s, const struct etcd_txn *t, bool writes,
				json_t **answer)
{
	const json_t *request = etcd_txn_request(t);
	enum etcd_result result;

	if (!request) {
		etcd_store_fail(s, 0, "no memory");
		return ETCD_NOT_EXECUTED;
	}
	result = etcd_client_call(s->client, "/v3/kv/txn", request, writes, answer);
	if (result != ETCD_ANSWERED)
		etcd_store_fail_call(s);
	return result;
}

void etcd_store_begin(const struct etcd_store *s, struct etcd_txn *t)
{
	char key[ETCD_KEY_MAX_BYTES];

	etcd_txn_init(t);
	etcd_store_key(s, key, "dlock");
	etcd_txn_compare_value(t, key, s->identity);
	etcd_txn_get(t, ETCD_ELSE, key);
}

static void get(const struct etcd_store *s, struct etcd_txn *t, enum etcd_branch b,
		const char *name)
{
	char key[ETCD_KEY_MAX_BYTES];

	etcd_store_key(s, key, name);
	etcd_txn_get(t, b, key);
}

bool etcd_store_check_identity(struct etcd_store *s, const json_t *answer)
{
	char identity[ETCD_VALUE_MAX_BYTES];

	if (!etcd_answer_has(answer, 0))
		return etcd_store_fail(s, 0, "an answer without what was asked for");
	if (!etcd_answer_value(answer, 0, 0, identity))
		return fail_damaged(s, "dlock");
	return strcmp(identity, s->identity) == 0 || etcd_store_judge_identity(s, identity);
}

/* leader at this place of the answer, and fence at the next, which must agree. */
static bool take_cell(struct etcd_store *s, const json_t *answer, size_t place,
		      struct engine_cell *cell)
{
	char leader[ETCD_VALUE_MAX_BYTES], fence[ETCD_VALUE_MAX_BYTES], same[ETCD_VALUE_MAX_BYTES];
	struct engine_cell c;

	if (!etcd_answer_has(answer, place) || !etcd_answer_has(answer, place + 1))
		return etcd_store_fail(s, 0, "an answer without what was asked for");
	if (!etcd_answer_value(answer, place, 0, leader) || !etcd_cell_parse(leader, &c))
		return fail_damaged(s, "leader");
	etcd_fence_format(same, &c);
	if (!etcd_answer_value(answer, place + 1, 0, fence) || strcmp(fence, same) != 0)
		return fail_damaged(s, "fence");
	*cell = c;
	return true;
}

/* ---- Operations: false leaves the outcome UNKNOWN, with s->trouble ---- */

static bool read_cell(struct etcd_store *s, struct engine_outcome *out)
{
	json_t *answer = NULL;
	struct etcd_txn t;
	bool ok = false;

	etcd_store_begin(s, &t);
	get(s, &t, ETCD_THEN, "leader");
	get(s, &t, ETCD_THEN, "fence");
	if (etcd_store_run(s, &t, false, &answer) != ETCD_ANSWERED)
		goto out;
	if (etcd_answer_succeeded(answer))
		ok = take_cell(s, answer, 0, &out->cell);
	else if (etcd_store_check_identity(s, answer))
		etcd_store_fail(s, 0, "an answer that contradicts itself");
out:
	json_decref(answer);
	etcd_txn_deinit(&t);
	return ok;
}

static void compose_swap(const struct etcd_store *s, struct etcd_txn *t, const struct engine_op *op)
{
	char leader[ETCD_KEY_MAX_BYTES], fence[ETCD_KEY_MAX_BYTES];
	char expected[ETCD_VALUE_MAX_BYTES], next[ETCD_VALUE_MAX_BYTES];

	etcd_store_key(s, leader, "leader");
	etcd_store_key(s, fence, "fence");
	etcd_cell_format(expected, &op->expect);
	etcd_txn_compare_value(t, leader, expected);
	etcd_cell_format(next, &op->next);
	etcd_txn_put(t, ETCD_THEN, leader, next);
	etcd_fence_format(expected, &op->expect);
	etcd_fence_format(next, &op->next);
	if (strcmp(expected, next) != 0)
		etcd_txn_put(t, ETCD_THEN, fence, next);
}

static void compose_sessions(const struct etcd_store *s, struct etcd_txn *t,
			     const struct engine_op *const ops[], size_t count)
{
	char key[ETCD_KEY_MAX_BYTES], expected[ETCD_VALUE_MAX_BYTES];

	etcd_store_key(s, key, "fence");
	etcd_fence_format(expected, &ops[0]->expect);
	etcd_txn_compare_value(t, key, expected);
	for (size_t i = 0; i < count; i++) {
		etcd_session_key(s, key, &ops[i]->session);
		if (ops[i]->kind == ENGINE_PUT)
			etcd_txn_put(t, ETCD_THEN, key, "");
		else
			etcd_txn_delete(t, ETCD_THEN, key);
	}
}

static bool as_expected(const struct engine_op *op, const struct engine_cell *cell)
{
	return cell->instance == op->expect.instance && cell->epoch == op->expect.epoch &&
	       (op->kind != ENGINE_SWAP || memcmp(cell, &op->expect, sizeof(*cell)) == 0);
}

/* REFUSED is said only where the answer itself shows the difference. */
static bool refused(struct etcd_store *s, const struct engine_op *op, const json_t *answer,
		    struct engine_outcome *out)
{
	struct engine_cell cell;

	if (!etcd_store_check_identity(s, answer) || !take_cell(s, answer, 1, &cell))
		return false;
	if (as_expected(op, &cell))
		return etcd_store_fail(s, 0, "an answer that contradicts itself");
	out->result = ENGINE_REFUSED;
	out->cell = cell;
	return true;
}

/* A SWAP, or registry writes that share their fence. */
static bool write_what(struct etcd_store *s, const struct engine_op *const ops[], size_t count,
		       struct engine_outcome *out)
{
	json_t *answer = NULL;
	struct etcd_txn t;
	bool ok = false;

	etcd_store_begin(s, &t);
	get(s, &t, ETCD_ELSE, "leader");
	get(s, &t, ETCD_ELSE, "fence");
	if (ops[0]->kind == ENGINE_SWAP)
		compose_swap(s, &t, ops[0]);
	else
		compose_sessions(s, &t, ops, count);
	if (etcd_store_run(s, &t, true, &answer) == ETCD_ANSWERED)
		ok = etcd_answer_succeeded(answer) || refused(s, ops[0], answer, out);
	json_decref(answer);
	etcd_txn_deinit(&t);
	return ok;
}

/* ---- The driver ---- */

static bool run_operations(struct etcd_store *s, const struct engine_op *const ops[], size_t count,
			   struct engine_outcome *out)
{
	if (!etcd_store_attach(s))
		return false;
	switch (ops[0]->kind) {
	case ENGINE_READ:
		return read_cell(s, out);
	case ENGINE_LOAD:
		return etcd_store_load(s, out);
	case ENGINE_SWAP:
	case ENGINE_PUT:
	case ENGINE_DELETE:
		return write_what(s, ops, count, out);
	}
	abort(); /* there is no other kind */
}

static void etcd_run_batch(void *priv, const struct engine_op *const ops[], size_t count,
			   struct engine_outcome *out)
{
	struct etcd_store *s = priv;

	out->result = ENGINE_DONE;
	etcd_client_begin(s->client, s->limit_ns);
	if (run_operations(s, ops, count, out)) {
		out->cluster = etcd_store_cluster(s);
		return;
	}
	out->result = ENGINE_UNKNOWN;
	snprintf(out->error, sizeof(out->error), "%.*s", (int)sizeof(out->error) - 1,
		 s->trouble.text);
}

static void etcd_run(void *priv, const struct engine_op *op, struct engine_outcome *out)
{
	etcd_run_batch(priv, &op, 1, out);
}

/* What is still to run shares one budget, however much it is. */
static void etcd_stop(void *priv)
{
	struct etcd_store *s = priv;

	etcd_client_stop(s->client, s->limit_ns);
}

static void etcd_close(void *priv)
{
	struct etcd_store *s = priv;

	etcd_client_free(s->client);
	explicit_bzero(s->config.password, sizeof(s->config.password));
	free(s);
}

/*
 * Refused is what people must mend. What may pass, an etcd that starts at the same time as we do
 * above all, is left to the operations: the core goes on asking, and the log says why in a line.
 */
static int connect_first(struct etcd_store *s, char *why, size_t why_len)
{
	size_t usable;

	etcd_client_begin(s->client, s->open_limit_ns);
	usable = etcd_store_probe(s);
	if (!usable)
		return s->trouble.err;
	if (usable < s->config.endpoint_count)
		snprintf(why, why_len, "%s", s->trouble.text);
	s->trouble.err = 0;
	return etcd_store_attach(s) ? 0 : s->trouble.err;
}

static int etcd_open(const char *list, const struct store_options *options, void **priv, char *why,
		     size_t why_len)
{
	struct etcd_store *s = calloc(1, sizeof(*s));
	struct reason reason = {why, why_len};
	int err;

	if (!s)
		return refuse(&reason, -ENOMEM, "no memory for the store");
	err = etcd_store_parse(s, list, options);
	if (err)
		goto out_free;
	s->client = etcd_client_new(&s->config);
	err = s->client ? connect_first(s, why, why_len) : -ENOMEM;
	if (err)
		goto out_client;
	*priv = s;
	return 0;

out_client:
	if (err == -ENOMEM)
		etcd_store_fail(s, 0, "no memory");
	etcd_client_free(s->client);
out_free:
	refuse(&reason, err, "%s", s->trouble.text);
	explicit_bzero(s->config.password, sizeof(s->config.password));
	free(s);
	return err;
}

const struct store_driver store_etcd = {
	.scheme = "etcd",
	.exclusive = false,
	.open = etcd_open,
	.run = etcd_run,
	.run_batch = etcd_run_batch,
	.stop = etcd_stop,
	.close = etcd_close,
};
