/* SPDX-License-Identifier: MIT */
/*
 * Grace: after a takeover the sessions of the registry reclaim what they keep (protocol rules 5 to
 * 7).
 *
 * Nothing is granted meanwhile: requests are held back in their order. Grace ends when every
 * session has reclaimed or is durably deleted. One that is not heard of is deleted when W is over;
 * one that said HELLO has a new promise, and only its own expiry ends it. If the store was put back
 * to an old state, there may be sessions that it does not know: then grace lasts all of W.
 */
#include "lockcore/master_internal.h"

void grace_begin(struct master *m, struct moment now)
{
	m->state = MASTER_GRACE;
	grace_check_end(m, now);
}

/* ---- Reclaim ---- */

static enum status reclaim_file(struct master *m, struct session *s, const struct message *msg,
				struct moment now)
{
	struct table_record record = {
		.attr = msg->attr,
		.link_count = msg->link_count,
		.content = msg->data,
		.full = (msg->flags & RECORD_FULL) != 0,
	};

	if ((record.full && msg->data_len != msg->attr.size) || msg->link_count > LINKS_MAX)
		return STATUS_INVALID;
	if (msg->link_count)
		memcpy(record.links, msg->links, msg->link_count * sizeof(*msg->links));
	if (msg->flags & RECORD_VOUCHED)
		vouch_reclaimed(m, s, msg->attr.ino, msg->attr.version, false, record.full);
	else
		vouch_orphan(m, msg->attr.ino);
	return table_restore_file(m->table, &record, now);
}

static enum status reclaim(struct master *m, struct session *s, const struct message *msg,
			   struct moment now)
{
	struct table_want want = exec_want(s, msg);

	want.since_ns = now.boot_ns - moment_age(msg->age_ns);
	switch (msg->kind) {
	case MESSAGE_RECLAIM_FILE:
		return reclaim_file(m, s, msg, now);
	case MESSAGE_RECLAIM_GONE:
		vouch_reclaimed(m, s, msg->ino, msg->version, true, true);
		return table_restore_gone(m->table, msg->ino, msg->version);
	case MESSAGE_RECLAIM_OPEN:
		return table_restore_open(m->table, s->instance, msg->handle, msg->ino);
	case MESSAGE_RECLAIM_LOCK:
		return table_restore_lock(m->table, &want, msg->token);
	case MESSAGE_RECLAIM_TIME:
		return table_restore_time(m->table, msg->ino, msg->since_ns);
	case MESSAGE_RECLAIM_WAIT:
		return table_restore_wait(m->table, &want, msg->ticket);
	default:
		return STATUS_INVALID;
	}
}

static void reclaim_done(struct master *m, struct session *s, struct moment now)
{
	s->state = SESSION_LIVE;
	m->unreclaimed--;
	master_tell(m, MASTER_EVENT_RECLAIMED, s, 0, NULL);
	grace_check_end(m, now);
}

/*
 * A claim that cannot be true is never legal (rule 6): the session is refused as a whole, and what
 * it held is freed once that is durable. A session that began in this epoch has nothing to reclaim
 * but says so too.
 */
void grace_reclaim(struct master *m, struct session *s, const struct message *msg,
		   struct moment now)
{
	enum status status;

	if (s->state == SESSION_LIVE && msg->kind == MESSAGE_RECLAIM_DONE)
		return;
	if (rule(RULE_STRANGERS_DO_NOT_RECLAIM) &&
	    (s->state != SESSION_RECLAIMING || m->state != MASTER_GRACE)) {
		master_tell(m, MASTER_EVENT_RECLAIM_REFUSED, s, 0,
			    "it came after the end of grace");
		session_kill(m, s);
		return;
	}
	if (msg->kind == MESSAGE_RECLAIM_DONE) {
		reclaim_done(m, s, now);
		return;
	}
	status = reclaim(m, s, msg, now);
	if (status == STATUS_NO_MEMORY) {
		m->doomed = true;
	} else if (status != STATUS_OK) {
		master_tell(m, MASTER_EVENT_RECLAIM_REFUSED, s, 0, message_kind_name(msg->kind));
		session_kill(m, s);
	}
}

/* ---- Requests held back ---- */

void grace_hold(struct master *m, struct session *s, struct message **slot)
{
	/* No node has more requests under way than it may. */
	if (s->held_count == NODE_REQUESTS_MAX) {
		session_kill(m, s);
		return;
	}
	DL_APPEND(s->held, *slot);
	s->held_count++;
	*slot = NULL;
}

static void release(struct master *m, struct session *s, struct message *msg, struct moment now)
{
	DL_DELETE(s->held, msg);
	s->held_count--;
	exec_request(m, s, msg, now);
	message_free(msg);
}

static void release_all(struct master *m, struct session *s, struct moment now)
{
	struct message *msg, *next;

	DL_FOREACH_SAFE (s->held, msg, next)
		release(m, s, msg, now);
}

/* NULL: it has none. */
static struct message *first_retry(const struct session *s)
{
	struct message *msg;

	DL_FOREACH (s->held, msg)
		if (msg->flags & MESSAGE_RETRY)
			return msg;
	return NULL;
}

static void take_a_turn(struct deadlines *turns, struct session *s)
{
	const struct message *retry = first_retry(s);

	if (retry && !rule(RULE_RETRIES_IN_ORDER))
		deadline_set(turns, &s->turn, (int64_t)s->instance);
	else if (retry)
		deadline_set(turns, &s->turn, (int64_t)retry->clock);
}

static struct session *by_turn(struct deadline *d)
{
	return (struct session *)(void *)((char *)d - offsetof(struct session, turn));
}

/*
 * What an earlier master may have executed already goes first: others may have seen its effect, and
 * what they ask now must not find it undone. Of several sessions' retries the one whose node had
 * heard less goes first, for the same reason. Requests of a session that are all under way may be
 * executed in any order, as long as nobody has heard of one before another was made. False: no
 * memory.
 */
static bool release_retries(struct master *m, struct moment now)
{
	struct deadlines turns = {0};
	struct deadline *next;
	struct session *s;
	bool reserved = true;

	for (s = m->sessions; s && reserved; s = s->hh.next)
		reserved = deadline_reserve(&turns);
	for (s = m->sessions; s && reserved; s = s->hh.next)
		take_a_turn(&turns, s);
	while (reserved && (next = deadlines_due(&turns, MOMENT_NEVER))) {
		s = by_turn(next);
		release(m, s, first_retry(s), now);
		take_a_turn(&turns, s);
	}
	deadlines_deinit(&turns);
	return reserved;
}

static bool is_live(void *arg, uint64_t client)
{
	const struct session *s = session_find(arg, client);

	return s && s->state == SESSION_LIVE;
}

static void grace_end(struct master *m, struct moment now)
{
	struct session *s;
	size_t lost = table_restore_end(m->table, now, is_live, m);

	if (lost == TABLE_NOT_RESTORED) {
		m->doomed = true;
		return;
	}
	m->state = MASTER_SERVING;
	master_tell(m, MASTER_EVENT_GRACE_OVER, NULL, lost, NULL);
	exec_drain(m);
	vouch_grace_over(m);
	if (rule(RULE_RETRIES_GO_FIRST) && !release_retries(m, now)) {
		m->doomed = true;
		return;
	}
	for (s = m->sessions; s; s = s->hh.next)
		release_all(m, s, now);
	exec_drain(m);
}

/* W is over: whoever has not been heard of cannot believe any more (rule 5). */
static void delete_absent(struct master *m)
{
	struct session *s, *next;

	HASH_ITER (hh, m->sessions, s, next)
		if (s->state == SESSION_ABSENT)
			session_kill(m, s);
}

/* Somebody who may reclaim yet, or who is not durably deleted. */
static bool waits_for_somebody(const struct master *m)
{
	const struct session *s;

	if (rule(RULE_GRACE_WAITS_FOR_DELETES))
		return m->unreclaimed != 0;
	for (s = m->sessions; s; s = s->hh.next)
		if (s->state == SESSION_ABSENT || s->state == SESSION_RECLAIMING)
			return true;
	return false;
}

void grace_check_end(struct master *m, struct moment now)
{
	if (m->state != MASTER_GRACE || m->doomed)
		return;
	if (now.boot_ns >= m->grace_end_ns) {
		delete_absent(m);
		m->grace_end_ns = MOMENT_NEVER;
		m->store_old = false;
	}
	if (m->store_old || (rule(RULE_GRACE_WAITS_FOR_ALL) && waits_for_somebody(m)))
		return;
	grace_end(m, now);
}
