/* SPDX-License-Identifier: MIT */
/* ENGINE_LOAD: the registry, page by page. */
#include <errno.h>
#include <stdlib.h>

#include "master/store_etcd.h"

/* A page has a quarter of a megabyte, and takes etcd and us some milliseconds. */
#define PAGE_SESSIONS 1000
/* MASTER_SESSIONS_MAX and as many again that an operation executed late may have left. */
#define LOAD_SESSIONS_MAX (2 * MASTER_SESSIONS_MAX)

struct loading {
	struct engine_session *sessions;
	size_t count, room;
	char last[ETCD_KEY_MAX_BYTES]; /* the last key taken */
	int64_t revision;
};

static bool take_page(struct etcd_store *s, const json_t *answer, struct loading *l)
{
	size_t count = etcd_answer_count(answer, 0);
	struct engine_session *more;

	if (!etcd_answer_has(answer, 0))
		return etcd_store_fail(s, 0, "an answer without what was asked for");
	if (l->count + count > LOAD_SESSIONS_MAX)
		return etcd_store_fail(s, 0, "%ssession/ has more than %d keys", s->prefix,
				       LOAD_SESSIONS_MAX);
	more = reallocarray(l->sessions, l->count + count + 1, sizeof(*more));
	if (!more)
		return etcd_store_fail(s, 0, "no memory");
	l->sessions = more;
	for (size_t i = 0; i < count; i++) {
		if (!etcd_answer_key(answer, 0, i, l->last) ||
		    !etcd_session_parse(s, l->last, &l->sessions[l->count]))
			return etcd_store_fail(
				s, -EBADMSG,
				"%ssession/ has a key that no dlock wrote (%.80s); remove it",
				s->prefix, l->last);
		l->count++;
	}
	return true;
}

/* *more: there is another page. */
static bool load_page(struct etcd_store *s, struct loading *l, bool *more)
{
	char end[ETCD_KEY_MAX_BYTES];
	struct etcd_range range = {
		.after = l->last, .end = end, .limit = PAGE_SESSIONS, .revision = l->revision};
	json_t *answer = NULL;
	struct etcd_txn t;
	bool ok = false;

	etcd_store_key(s, end, "session0"); /* '0' comes behind '/' */
	etcd_store_begin(s, &t);
	etcd_txn_list(&t, ETCD_THEN, &range);
	if (etcd_store_run(s, &t, false, &answer) != ETCD_ANSWERED)
		goto out;
	if (etcd_answer_succeeded(answer))
		ok = take_page(s, answer, l);
	else if (etcd_store_check_identity(s, answer))
		etcd_store_fail(s, 0, "an answer that contradicts itself");
	*more = etcd_answer_more(answer, 0);
	if (!l->revision)
		l->revision = etcd_answer_revision(answer);
	if (ok && *more && (!l->revision || !etcd_answer_count(answer, 0)))
		ok = etcd_store_fail(s, 0, "a page of the registry that cannot be followed");
out:
	json_decref(answer);
	etcd_txn_deinit(&t);
	return ok;
}

/* The first page is as of now, which is what linearizable means; the others are as of the first. */
bool etcd_store_load(struct etcd_store *s, struct engine_outcome *out)
{
	struct loading l = {0};
	bool more = true, ok = true;

	etcd_store_key(s, l.last, "session/");
	while (ok && more)
		ok = load_page(s, &l, &more);
	if (!ok) {
		free(l.sessions);
		return false;
	}
	out->sessions = l.sessions;
	out->session_count = l.count;
	return true;
}
