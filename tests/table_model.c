/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "tests/table_model.h"

static bool same_owner(const struct model_request *a, const struct model_request *b)
{
	return a->client == b->client && a->owner == b->owner;
}

static bool exclusive(int a, int b)
{
	return a != LOCK_NONE && b != LOCK_NONE && (a == LOCK_EXCLUSIVE || b == LOCK_EXCLUSIVE);
}

static bool conflicts_with_held(const struct model *m, const struct model_request *want, int client,
				int owner)
{
	if (client == want->client && owner == want->owner)
		return false;
	for (int byte = want->first; byte <= want->last; byte++)
		if (exclusive(m->held[want->kind][client][owner][byte].mode, (int)want->mode))
			return true;
	return false;
}

static bool conflict(const struct model_request *a, const struct model_request *b)
{
	if (a->kind != b->kind || same_owner(a, b))
		return false;
	for (int byte = 0; byte < MODEL_BYTES; byte++)
		if (byte >= a->first && byte <= a->last && byte >= b->first && byte <= b->last)
			return exclusive((int)a->mode, (int)b->mode);
	return false;
}

static bool depends_on(const struct model *m, int place, const struct model_request *want)
{
	const struct model_request *waiter = &m->queue[place];

	if (waiter->kind != want->kind)
		return false;
	if (conflicts_with_held(m, waiter, want->client, want->owner))
		return true;
	for (int before = 0; before < place; before++)
		if (conflict(&m->queue[before], waiter) && depends_on(m, before, want))
			return true;
	return false;
}

/* Must it wait, standing behind the first `place` of the queue? */
static bool must_wait(const struct model *m, const struct model_request *want, int place)
{
	for (int client = 0; client < MODEL_CLIENTS; client++)
		for (int owner = 0; owner < MODEL_HANDLES; owner++)
			if (conflicts_with_held(m, want, client, owner))
				return true;
	for (int before = 0; before < place; before++)
		if (conflict(&m->queue[before], want) && !depends_on(m, before, want))
			return true;
	return false;
}

static void set_bytes(struct model *m, const struct model_request *want)
{
	for (int byte = want->first; byte <= want->last; byte++)
		m->held[want->kind][want->client][want->owner][byte] = (struct model_byte){
			.mode = (uint8_t)want->mode,
			.handle = want->mode ? (uint8_t)want->handle : 0,
		};
}

static bool holds_in_the_way(const struct model *m, const struct model_request *want, int client,
			     int owner)
{
	for (int byte = want->first; byte <= want->last; byte++)
		if (exclusive(m->held[LOCK_RANGE][client][owner][byte].mode, (int)want->mode))
			return client != want->client || owner != want->owner;
	return false;
}

static bool leads_back(const struct model *m, const struct model_request *blocked, int place,
		       const struct model_request *requester, bool *seen);

/* Does a request of this owner wait for the requester? */
static bool owner_leads_back(const struct model *m, int client, int owner,
			     const struct model_request *requester, bool *seen)
{
	for (int w = 0; w < m->waiting; w++)
		if (m->queue[w].kind == LOCK_RANGE && m->queue[w].client == client &&
		    m->queue[w].owner == owner && leads_back(m, &m->queue[w], w, requester, seen))
			return true;
	return false;
}

/* Does what this request, at its place in the queue, waits for wait for the requester? */
static bool leads_back(const struct model *m, const struct model_request *blocked, int place,
		       const struct model_request *requester, bool *seen)
{
	if (seen[place])
		return false;
	seen[place] = true;
	for (int i = 0; i < MODEL_CLIENTS * MODEL_HANDLES; i++) {
		int client = i / MODEL_HANDLES, owner = i % MODEL_HANDLES;

		if (!holds_in_the_way(m, blocked, client, owner))
			continue;
		if (client == requester->client && owner == requester->owner)
			return true;
		if (owner_leads_back(m, client, owner, requester, seen))
			return true;
	}
	for (int before = 0; before < place; before++)
		if (conflict(&m->queue[before], blocked) && !depends_on(m, before, blocked) &&
		    leads_back(m, &m->queue[before], before, requester, seen))
			return true;
	return false;
}

static void leave_queue(struct model *m, int place)
{
	m->waiting--;
	memmove(&m->queue[place], &m->queue[place + 1],
		(size_t)(m->waiting - place) * sizeof(m->queue[0]));
	memset(&m->queue[m->waiting], 0, sizeof(m->queue[0]));
}

static void settle(struct model *m)
{
	for (int place = 0; place < m->waiting; place++) {
		if (must_wait(m, &m->queue[place], place))
			continue;
		set_bytes(m, &m->queue[place]);
		m->granted[m->grants++] = m->queue[place];
		leave_queue(m, place);
		place = -1; /* from the head again */
	}
}

enum status model_lock(struct model *m, const struct model_request *want, bool *queued)
{
	struct model_request unlock = *want;
	bool seen[MODEL_QUEUE + 1] = {false};

	*queued = false;
	if (!m->open[want->client][want->handle])
		return STATUS_INVALID;
	if (want->mode == LOCK_NONE || !must_wait(m, want, m->waiting)) {
		set_bytes(m, want);
		settle(m);
		return STATUS_OK;
	}
	if (want->wait && want->kind == LOCK_RANGE && leads_back(m, want, m->waiting, want, seen))
		return STATUS_DEADLOCK;
	unlock.mode = LOCK_NONE;
	if (want->kind == LOCK_FLOCK)
		set_bytes(m, &unlock);
	*queued = want->wait;
	assert(m->waiting < MODEL_QUEUE);
	if (want->wait)
		m->queue[m->waiting++] = *want;
	settle(m);
	return want->wait ? STATUS_OK : STATUS_BUSY;
}

void model_cancel(struct model *m, int client, uint64_t req)
{
	for (int place = 0; place < m->waiting; place++) {
		if (m->queue[place].client != client || m->queue[place].req != req)
			continue;
		leave_queue(m, place);
		break;
	}
	settle(m);
}

static void forget_bytes(struct model *m, int client, int handle)
{
	struct model_byte *byte = &m->held[0][0][0][0],
			  *end = byte + sizeof(m->held) / sizeof(*byte);

	for (; byte < end; byte++) {
		int whose = (int)((byte - &m->held[0][0][0][0]) / (MODEL_HANDLES * MODEL_BYTES));

		if (whose % MODEL_CLIENTS == client && byte->handle == handle)
			*byte = (struct model_byte){0};
	}
}

/* Without settling: what happens to one handle of many. */
static void close_handle(struct model *m, int client, int handle)
{
	m->open[client][handle] = false;
	forget_bytes(m, client, handle);
	for (int place = m->waiting - 1; place >= 0; place--)
		if (m->queue[place].client == client && m->queue[place].handle == handle)
			leave_queue(m, place);
}

void model_close(struct model *m, int client, int handle)
{
	if (!m->open[client][handle])
		return;
	close_handle(m, client, handle);
	settle(m);
}

void model_drop(struct model *m, int client)
{
	for (int handle = 0; handle < MODEL_HANDLES; handle++)
		close_handle(m, client, handle);
	settle(m);
}

static int ranges_of(const struct model_byte *bytes)
{
	int ranges = 0;

	for (int byte = 0; byte < MODEL_BYTES; byte++)
		if (bytes[byte].mode && (byte == 0 || bytes[byte].mode != bytes[byte - 1].mode ||
					 bytes[byte].handle != bytes[byte - 1].handle))
			ranges++;
	return ranges;
}

int model_ranges(const struct model *m)
{
	int ranges = 0;

	for (int kind = 0; kind < 2; kind++)
		for (int client = 0; client < MODEL_CLIENTS; client++)
			for (int owner = 0; owner < MODEL_HANDLES; owner++)
				ranges += ranges_of(m->held[kind][client][owner]);
	return ranges;
}
