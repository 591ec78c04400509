/* SPDX-License-Identifier: MIT */
/* Sessions: HELLO, renewals, expiry, BYE, and the packets to a node (protocol rules 2 to 4, 9, 15).
 */
#include "lockcore/master_internal.h"

/* ---- Life of the struct ---- */

struct session *session_find(struct master *m, uint64_t instance)
{
	struct session *s;

	HASH_FIND(hh, m->sessions, &instance, sizeof(instance), s);
	return s;
}

static struct session *find_node(struct master *m, const char *node)
{
	struct session *s;

	HASH_FIND(hh_node, m->nodes, node, strlen(node), s);
	return s;
}

static bool reserve_deadlines(struct master *m, struct session *s)
{
	if (!deadline_reserve(&m->expiries))
		return false;
	if (deadline_reserve(&m->wakes))
		return true;
	deadline_release(&m->expiries, &s->expiry);
	return false;
}

struct session *session_new(struct master *m, const char *node, uint64_t instance,
			    enum session_state state)
{
	struct session *s = calloc(1, sizeof(*s));

	assert(strlen(node) <= NODE_ID_MAX_BYTES);
	if (!s || HASH_COUNT(m->sessions) >= MASTER_SESSIONS_MAX || !reserve_deadlines(m, s))
		goto out_free;
	strcpy(s->node, node);
	s->instance = instance;
	s->state = state;
	channel_init(&s->channel);
	HASH_ADD(hh, m->sessions, instance, sizeof(instance), s);
	if (!s->hh.tbl)
		goto out_release;
	HASH_ADD_KEYPTR(hh_node, m->nodes, s->node, strlen(s->node), s);
	if (!s->hh_node.tbl)
		goto out_unhash;
	m->unreclaimed += state == SESSION_ABSENT;
	return s;

out_unhash:
	HASH_DEL(m->sessions, s);
out_release:
	deadline_release(&m->expiries, &s->expiry);
	deadline_release(&m->wakes, &s->wake);
out_free:
	free(s);
	return NULL;
}

void session_free(struct master *m, struct session *s)
{
	struct message *msg, *next;

	vouch_session_gone(m, s);
	break_session_gone(m, s);
	feed_watch(m, s, false);
	if (s->ready)
		DL_DELETE2(m->ready, s, ready_prev, ready_next);
	HASH_DEL(m->sessions, s);
	HASH_DELETE(hh_node, m->nodes, s);
	deadline_release(&m->expiries, &s->expiry);
	deadline_release(&m->wakes, &s->wake);
	channel_deinit(&s->channel);
	DL_FOREACH_SAFE (s->held, msg, next) {
		DL_DELETE(s->held, msg);
		message_free(msg);
	}
	free(s);
}

/* ---- Telling a node ---- */

void session_ready(struct master *m, struct session *s)
{
	if (s->ready)
		return;
	s->ready = true;
	DL_APPEND2(m->ready, s, ready_prev, ready_next);
}

static void end_unheard(struct master *m, struct session *s)
{
	if (s->state != SESSION_DYING)
		master_tell(m, MASTER_EVENT_UNHEARD, s, 0, NULL);
	session_kill(m, s);
}

void session_push(struct master *m, struct session *s, const struct message *msg)
{
	struct message *copy = message_copy(msg);

	if (!copy) {
		m->doomed = true;
		return;
	}
	channel_push(&s->channel, copy);
	session_ready(m, s);
	if (s->channel.bytes > MASTER_UNHEARD_MAX_BYTES)
		end_unheard(m, s);
}

static void reply_to(struct master *m, uint32_t peer, uint64_t instance,
		     const struct message *message)
{
	struct reply *r;

	if (m->reply_count == MASTER_REPLIES_MAX)
		return;
	r = &m->replies[(m->reply_first + m->reply_count++) % MASTER_REPLIES_MAX];
	*r = (struct reply){.peer = peer, .instance = instance, .message = *message};
}

/* ---- Dying (rule 4): delete durably, then free ---- */

bool session_is_alive(const struct session *s)
{
	return s->state == SESSION_LIVE || s->state == SESSION_RECLAIMING;
}

void session_kill(struct master *m, struct session *s)
{
	if (s->state == SESSION_DYING)
		return;
	/* Grace goes on waiting for it until it is deleted. */
	m->unreclaimed += s->state == SESSION_REGISTERING || s->state == SESSION_LIVE;
	s->state = SESSION_DYING;
	deadline_clear(&m->expiries, &s->expiry);
	deadline_clear(&m->wakes, &s->wake);
	if (rule(RULE_DEAD_WAITERS_LEAVE))
		table_drop_waiters(m->table, s->instance);
	if (!master_op(m, ENGINE_DELETE, s))
		m->doomed = true;
}

static void deleted(struct master *m, struct session *s, struct moment now)
{
	struct message farewell = {.kind = MESSAGE_FAREWELL, .target = s->instance};
	bool full;

	master_tell(m, s->said_bye ? MASTER_EVENT_LEFT : MASTER_EVENT_EXPIRED, s, 0, NULL);
	if (s->said_bye)
		reply_to(m, s->peer, s->instance, &farewell);
	table_drop_client(m->table, s->instance, now);
	exec_drain(m);
	m->unreclaimed--;
	full = s->doubted && m->doubted_count == MASTER_DOUBTED_MAX;
	if (s->doubted && !full)
		m->doubted[m->doubted_count++] = s->instance;
	session_free(m, s);
	if (full)
		master_step_down(m, now,
				 "the store left too much in doubt, which a new epoch ends");
}

static bool is_doubted(const struct master *m, uint64_t instance)
{
	for (size_t i = 0; i < m->doubted_count; i++)
		if (m->doubted[i] == instance)
			return true;
	return false;
}

static void extend(struct master *m, struct session *s, struct moment now)
{
	deadline_set(&m->expiries, &s->expiry, now.boot_ns + master_wait_ns(m->config.lease_ns));
}

static void registered(struct master *m, struct session *s, struct moment now)
{
	s->state = SESSION_LIVE;
	extend(m, s, now);
	s->welcome.due = true;
	s->welcome.need_swap = 0; /* the write itself was fenced by the epoch */
	master_tell(m, MASTER_EVENT_OPENED, s, 0, NULL);
	session_ready(m, s);
}

/* Of a PUT or DELETE of unknown outcome nothing is believed; it is simply done again. */
void session_stored(struct master *m, const struct engine_op *op,
		    const struct engine_outcome *outcome, struct moment now)
{
	struct session *s = session_find(m, op->session.instance);

	if (!s)
		return;
	/* An outcome that comes late, of an operation done twice, says nothing any more. */
	if (s->state != (op->kind == ENGINE_PUT ? SESSION_REGISTERING : SESSION_DYING))
		return;
	if (outcome->result == ENGINE_UNKNOWN && op->kind == ENGINE_DELETE)
		s->doubted = !m->config.exclusive_store;
	if (outcome->result == ENGINE_UNKNOWN)
		deadline_set(&m->expiries, &s->expiry, now.boot_ns + MASTER_STORE_RETRY_NS);
	else if (op->kind == ENGINE_PUT)
		registered(m, s, now);
	else
		deleted(m, s, now);
}

/* ---- HELLO, RENEW, BYE ---- */

static void owe(struct master *m, struct owed *o, int64_t stamp_ns, struct moment now)
{
	uint64_t need = rule(RULE_ACKNOWLEDGED_AFTER_SWAP) ? m->swaps_sent + 1 : 0;

	if (!o->due || o->need_swap == need) {
		o->due = true;
		o->stamp_ns = stamp_ns;
		o->need_swap = need;
	} else {
		o->next_due = true;
		o->next_stamp_ns = stamp_ns;
		o->next_need_swap = need;
	}
	master_want_swap(m, now);
}

static int64_t rest_ns(const struct master *m, const struct session *s, struct moment now)
{
	int64_t end = s->state == SESSION_ABSENT ? m->grace_end_ns : s->expiry.at_ns;

	return s->state == SESSION_DYING || end < now.boot_ns ? 1 : end - now.boot_ns;
}

/* Who reclaims without end would keep grace going for all: W is enough, then its lease runs out. */
static bool may_promise(const struct session *s, struct moment now)
{
	return s->state != SESSION_RECLAIMING || now.boot_ns < s->reclaim_end_ns;
}

static void hello_again(struct master *m, struct session *s, uint32_t peer,
			const struct message *msg, struct moment now)
{
	struct message expired = {.kind = MESSAGE_EXPIRED, .text = "its lease ran out"};

	if (s->state == SESSION_DYING) {
		reply_to(m, peer, s->instance, &expired);
		return;
	}
	s->peer = peer;
	/* The write that is under way vouches only for the HELLO that came before it (rule 2). */
	if (s->state == SESSION_REGISTERING)
		return;
	if (s->state == SESSION_ABSENT) {
		s->state = SESSION_RECLAIMING;
		s->reclaim_end_ns = now.boot_ns + master_wait_ns(m->config.lease_ns);
	}
	if (!may_promise(s, now))
		return;
	channel_rewind(&s->channel);
	extend(m, s, now);
	owe(m, &s->welcome, msg->stamp_ns, now);
}

static void hello_first(struct master *m, uint64_t instance, uint32_t peer,
			const struct message *msg, struct moment now)
{
	struct message expired = {
		.kind = MESSAGE_EXPIRED,
		.text = "the master does not know it",
	};
	struct session *other = find_node(m, msg->text), *s;
	struct message taken = {.kind = MESSAGE_TAKEN};

	if ((msg->resume && rule(RULE_STRANGERS_DO_NOT_RECLAIM)) || is_doubted(m, instance)) {
		reply_to(m, peer, instance, &expired);
		return;
	}
	if (other) {
		taken.lease_ns = rest_ns(m, other, now);
		reply_to(m, peer, instance, &taken);
		if (other->state != SESSION_DYING) /* whose end is told of by itself */
			master_tell(m, MASTER_EVENT_TAKEN, other, 0, NULL);
		if (!rule(RULE_NO_EARLY_TAKEOVER))
			session_kill(m, other);
		return;
	}
	s = session_new(m, msg->text, instance, SESSION_REGISTERING);
	if (!s)
		return; /* as if lost: it will be said again */
	s->peer = peer;
	s->welcome.stamp_ns = msg->stamp_ns;
	extend(m, s, now);
	if (!master_op(m, ENGINE_PUT, s))
		m->doomed = true;
	if (!rule(RULE_REGISTERED_BEFORE_WELCOME))
		registered(m, s, now);
}

static void on_hello(struct master *m, const struct packet *p, uint32_t peer,
		     const struct message *msg, struct moment now)
{
	struct session *s = session_find(m, p->instance);

	m->heard_ns = now.boot_ns;
	if (!msg->text || !*msg->text || strlen(msg->text) > NODE_ID_MAX_BYTES || !p->instance)
		return;
	if (rule(RULE_OLD_STORE_IS_REFUSED) && msg->epoch > m->epoch &&
	    msg->epoch < UINT64_C(1) << (62 - TABLE_EPOCH_SHIFT)) {
		master_tell(m, MASTER_EVENT_STORE_OLD, NULL, 0, NULL);
		master_store_is_old(m, msg->epoch, now);
		return;
	}
	if (s && !strcmp(s->node, msg->text))
		hello_again(m, s, peer, msg, now);
	else if (!s)
		hello_first(m, p->instance, peer, msg, now);
}

static void on_renew(struct master *m, struct session *s, const struct message *msg,
		     struct moment now)
{
	if (!s || !session_is_alive(s))
		return;
	/* Another session of that instance (take_ordered): this one has not received so much. */
	if (msg->target > s->channel.received) {
		session_kill(m, s);
		return;
	}
	if (!may_promise(s, now))
		return;
	extend(m, s, now);
	owe(m, &s->renewed, msg->stamp_ns, now);
}

/* The session itself says that it has stopped believing: no need to wait for its lease. */
static void on_bye(struct master *m, const struct packet *p, uint32_t peer,
		   const struct message *msg, struct moment now)
{
	struct session *s = session_find(m, msg->target);
	struct message farewell = {.kind = MESSAGE_FAREWELL, .target = msg->target};

	if (!s) {
		reply_to(m, peer, p->instance, &farewell);
	} else if (msg->text && !strcmp(s->node, msg->text)) {
		s->said_bye = true;
		s->peer = peer;
		session_kill(m, s);
	}
}

static void on_session_message(struct master *m, uint32_t peer, const struct packet *p,
			       const struct message *msg, struct moment now)
{
	switch (msg->kind) {
	case MESSAGE_HELLO:
		on_hello(m, p, peer, msg, now);
		break;
	case MESSAGE_RENEW:
		if (p->epoch == m->epoch)
			on_renew(m, session_find(m, p->instance), msg, now);
		break;
	case MESSAGE_BYE:
		on_bye(m, p, peer, msg, now);
		break;
	default:
		break; /* a master's message: not for us */
	}
}

/* ---- What arrives ---- */

static bool is_reclaim(const struct message *msg)
{
	return msg->kind >= MESSAGE_RECLAIM_FILE && msg->kind <= MESSAGE_RECLAIM_DONE;
}

/* Takes the message's slot if it keeps it. */
static void on_ordered(struct master *m, struct session *s, struct message **slot,
		       struct moment now)
{
	if (!channel_accept(&s->channel, (*slot)->seq, now))
		return;
	if (is_reclaim(*slot))
		grace_reclaim(m, s, *slot, now);
	else if ((*slot)->kind == MESSAGE_SEEN)
		seen_claim(m, s, *slot);
	else if (m->state == MASTER_GRACE && rule(RULE_NO_GRANT_IN_GRACE))
		grace_hold(m, s, slot);
	else
		exec_request(m, s, *slot, now);
}

/* Requests of a session that is in no registry: worth a word, once for a peer. */
static void tell_stranger(struct master *m, uint32_t peer, const struct packet *p)
{
	struct session stranger = {.peer = peer};

	for (size_t i = 0; i < p->count; i++) {
		if (message_is_ordered(p->messages[i])) {
			master_tell(m, MASTER_EVENT_STRANGER, &stranger, 0, NULL);
			return;
		}
	}
}

static void take_ordered(struct master *m, uint32_t peer, struct packet *p, struct moment now)
{
	struct session *s = session_find(m, p->instance);
	uint64_t epoch = m->epoch;

	if (!s)
		tell_stranger(m, peer, p);
	/* What a node sent before it knew of this epoch, or of its end, it will send again or not.
	 */
	if (!s || !session_is_alive(s) || p->epoch != epoch)
		return;
	/*
	 * Who acknowledges what was never said speaks of another session of that instance: one that
	 * ended before a late HELLO made this one (its clock must have stood still), or of a master
	 * whose epoch an old store has given out again. It cannot go on, and shall hear so.
	 */
	if (!channel_acked(&s->channel, p->ack, now)) {
		session_kill(m, s);
		return;
	}
	s->peer = peer;
	m->heard_ns = now.boot_ns;
	vouch_acked(m, s);
	feed_acked(m, s);
	/* What came before may have failed for want of memory: nothing is judged by it. */
	for (size_t i = 0; i < p->count && m->epoch == epoch && session_is_alive(s) && !m->doomed;
	     i++)
		if (message_is_ordered(p->messages[i]))
			on_ordered(m, s, &p->messages[i], now);
	if (m->epoch == epoch)
		session_ready(m, s);
}

void master_receive(struct master *m, uint32_t peer, struct packet *p, struct moment now)
{
	struct message not_me = {.kind = MESSAGE_NOT_ME};

	master_check(m, now);
	for (size_t i = 0; i < p->count; i++) {
		if (!master_leads(m)) {
			if (p->messages[i]->kind != MESSAGE_HELLO)
				continue;
			reply_to(m, peer, p->instance, &not_me);
			cell_hello(m, now);
			continue;
		}
		if (!message_is_ordered(p->messages[i]))
			on_session_message(m, peer, p, p->messages[i], now);
	}
	if (master_leads(m))
		take_ordered(m, peer, p, now);
	if (master_leads(m))
		exec_drain(m);
}

/* ---- Time ---- */

static struct session *by_expiry(struct deadline *d)
{
	return (struct session *)(void *)((char *)d - offsetof(struct session, expiry));
}

static struct session *by_wake(struct deadline *d)
{
	return (struct session *)(void *)((char *)d - offsetof(struct session, wake));
}

static void expiry_due(struct master *m, struct session *s, struct moment now)
{
	if (s->state == SESSION_REGISTERING || s->state == SESSION_DYING) {
		/* The store's answer was unknown: ask again. */
		if (!master_op(m, s->state == SESSION_DYING ? ENGINE_DELETE : ENGINE_PUT, s))
			m->doomed = true;
	} else {
		session_kill(m, s);
		if (!rule(RULE_DELETED_BEFORE_FREED))
			table_drop_client(m->table, s->instance, now);
	}
}

void sessions_tick(struct master *m, struct moment now)
{
	struct deadline *due;

	while ((due = deadlines_due(&m->expiries, now.boot_ns)))
		expiry_due(m, by_expiry(due), now);
	while ((due = deadlines_due(&m->wakes, now.boot_ns))) {
		channel_tick(&by_wake(due)->channel, now);
		session_ready(m, by_wake(due));
	}
}
