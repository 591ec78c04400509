/* SPDX-License-Identifier: MIT */
#include "fs/holdings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "lockcore/message.h"

/* A session that names are bound to. */
struct bound_sid {
	UT_hash_handle hh; /* holdings.sids, by sid */
	pid_t sid;
	struct holding *names; /* the oldest first */
};

struct holdings {
	struct holding *names;
	struct holding *calls;
	struct bound_sid *sids;
	struct holding *over;
	struct holding *leaving;
	size_t leaving_count;
	size_t sweep_at;
};

struct holdings *holdings_new(void)
{
	struct holdings *hs = calloc(1, sizeof(*hs));

	if (hs)
		hs->sweep_at = HOLDINGS_MIN;
	return hs;
}

void holdings_free(struct holdings *hs)
{
	struct holding *h, *next;

	if (!hs)
		return;
	HASH_ITER (hh, hs->names, h, next)
		holdings_drop(hs, h);
	free(hs);
}

/* ---- A name ---- */

uint64_t holding_parent(const struct holding *h)
{
	uint64_t parent;

	memcpy(&parent, h->key, sizeof(parent));
	return parent;
}

const char *holding_name(const struct holding *h)
{
	return (const char *)h->key + sizeof(uint64_t);
}

static size_t make_key(unsigned char *key, uint64_t parent, const char *name)
{
	size_t len = strlen(name) + 1;

	memcpy(key, &parent, sizeof(parent));
	memcpy(key + sizeof(parent), name, len);
	return sizeof(parent) + len;
}

struct holding *holding_new(uint64_t parent, const char *name)
{
	struct holding *h = calloc(1, sizeof(*h) + sizeof(parent) + strlen(name) + 1);

	if (h)
		h->key_len = make_key(h->key, parent, name);
	return h;
}

void holding_free(struct holding *h)
{
	assert(!h || !h->in);
	free(h);
}

struct holding *holdings_find(struct holdings *hs, uint64_t parent, const char *name)
{
	unsigned char key[sizeof(parent) + NAME_MAX_BYTES + 1];
	struct holding *h;

	assert(strlen(name) <= NAME_MAX_BYTES);
	HASH_FIND(hh, hs->names, key, make_key(key, parent, name), h);
	return h;
}

struct holding *holdings_find_call(struct holdings *hs, uint64_t call)
{
	struct holding *h;

	HASH_FIND(hh_call, hs->calls, &call, sizeof(call), h);
	return h;
}

size_t holdings_count(const struct holdings *hs)
{
	return HASH_COUNT(hs->names);
}

/* ---- Its session ---- */

/* Returns the session's number if it ends by this. */
static pid_t leave_sid(struct holdings *hs, struct holding *h)
{
	struct bound_sid *in = h->in;
	pid_t sid;

	if (!in)
		return 0;
	sid = in->sid;
	DL_DELETE(in->names, h);
	h->in = NULL;
	if (in->names)
		return 0;
	HASH_DEL(hs->sids, in);
	free(in);
	return sid;
}

static struct bound_sid *find_sid(const struct holdings *hs, pid_t sid)
{
	struct bound_sid *in;

	HASH_FIND(hh, hs->sids, &sid, sizeof(sid), in);
	return in;
}

/* False: no memory. */
static bool join_sid(struct holdings *hs, struct holding *h, pid_t *begins)
{
	struct bound_sid *in = find_sid(hs, h->sid);

	assert(!h->in && h->sid && h->state == HOLDING_KEPT);
	if (!in) {
		in = calloc(1, sizeof(*in));
		if (!in)
			return false;
		in->sid = h->sid;
		HASH_ADD(hh, hs->sids, sid, sizeof(in->sid), in);
		if (!in->hh.tbl) {
			free(in);
			return false;
		}
		*begins = h->sid;
	}
	DL_APPEND(in->names, h);
	h->in = in;
	return true;
}

bool holdings_bind(struct holdings *hs, struct holding *h, bool to_session, pid_t *begins,
		   pid_t *ends)
{
	*begins = *ends = 0;
	if (h->state != HOLDING_KEPT || to_session == (h->in != NULL))
		return true;
	h->bound = to_session && join_sid(hs, h, begins);
	if (!to_session)
		*ends = leave_sid(hs, h);
	return h->bound == to_session;
}

/* ---- All of them ---- */

pid_t holdings_drop(struct holdings *hs, struct holding *h)
{
	pid_t ends = leave_sid(hs, h);

	if (h->state == HOLDING_OVER)
		DL_DELETE(hs->over, h);
	if (h->state == HOLDING_LEAVING) {
		DL_DELETE(hs->leaving, h);
		hs->leaving_count--;
	}
	HASH_DELETE(hh, hs->names, h);
	HASH_DELETE(hh_call, hs->calls, h);
	free(h);
	return ends;
}

/* False: no memory, and nothing has changed. */
static bool hash(struct holdings *hs, struct holding *h)
{
	HASH_ADD_KEYPTR(hh, hs->names, h->key, h->key_len, h);
	if (!h->hh.tbl)
		return false;
	HASH_ADD(hh_call, hs->calls, call, sizeof(h->call), h);
	if (h->hh_call.tbl)
		return true;
	HASH_DELETE(hh, hs->names, h);
	return false;
}

/* In this order, so that a session whose name is made anew does not end in between. */
bool holdings_add(struct holdings *hs, struct holding *h, pid_t *begins, pid_t *ends)
{
	struct holding *old = holdings_find(hs, holding_parent(h), holding_name(h));
	pid_t own;

	*begins = *ends = 0;
	assert(h->call && !h->in);
	if (h->bound && !join_sid(hs, h, begins))
		goto out_free;
	if (old)
		*ends = holdings_drop(hs, old);
	if (hash(hs, h))
		return true;
	own = leave_sid(hs, h);
	if (own != *begins)
		*ends = own;
	*begins = 0;
out_free:
	free(h);
	return false;
}

/* ---- The end of a session ---- */

bool holdings_over(struct holdings *hs, pid_t sid, int64_t before_ns, int64_t *since_ns)
{
	struct bound_sid *in = find_sid(hs, sid);
	struct holding *h, *next;
	bool later = false;

	if (!in)
		return false;
	DL_FOREACH_SAFE (in->names, h, next) {
		if (h->made_ns >= before_ns) {
			*since_ns = later && *since_ns < h->made_ns ? *since_ns : h->made_ns;
			later = true;
			continue;
		}
		leave_sid(hs, h);
		h->state = HOLDING_OVER;
		DL_PREPEND(hs->over, h);
	}
	return later;
}

struct holding *holdings_next_over(struct holdings *hs)
{
	return hs->over;
}

void holdings_leaving(struct holdings *hs, struct holding *h)
{
	assert(h->state == HOLDING_OVER);
	DL_DELETE(hs->over, h);
	h->state = HOLDING_LEAVING;
	DL_APPEND(hs->leaving, h);
	hs->leaving_count++;
}

void holdings_again(struct holdings *hs, struct holding *h)
{
	assert(h->state == HOLDING_LEAVING);
	DL_DELETE(hs->leaving, h);
	hs->leaving_count--;
	h->state = HOLDING_OVER;
	DL_APPEND(hs->over, h);
}

size_t holdings_leaving_count(const struct holdings *hs)
{
	return hs->leaving_count;
}

/* ---- Those that are gone ---- */

bool holdings_full(const struct holdings *hs)
{
	return HASH_COUNT(hs->names) >= hs->sweep_at;
}

void holdings_sweep(struct holdings *hs, bool (*held)(void *arg, const struct holding *h),
		    void (*ended)(void *arg, pid_t sid), void *arg)
{
	struct holding *h, *next;

	HASH_ITER (hh, hs->names, h, next) {
		pid_t sid;

		if (held(arg, h))
			continue;
		sid = holdings_drop(hs, h);
		if (sid)
			ended(arg, sid);
	}
	hs->sweep_at = HASH_COUNT(hs->names) * 2;
	if (hs->sweep_at < HOLDINGS_MIN)
		hs->sweep_at = HOLDINGS_MIN;
}
