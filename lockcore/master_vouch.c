/* SPDX-License-Identifier: MIT */
/*
 * Who vouches for which file (protocol rule 7).
 *
 * The session that changed a file last has its whole record and reclaims it; those that changed it
 * before have older ones, which lose against it. When the file goes, nobody may bring it back: the
 * one that removed it keeps the memory of its end (a tombstone) until all the others have forgotten
 * it.
 *
 *	removal by S ──> reply with REPLY_TOMB to S ──acked──> FORGET to each other
 *	last close ──> the voucher has acknowledged what it vouches for ──┘
 *	                                                       ──acked──> FORGET to S
 *
 * Each arrow waits for the one before, so that at every moment some node knows of the end, or all
 * that know of the file's life still would say so.
 */
#include "lockcore/master_internal.h"

/* A session with an older record than the voucher's. */
struct witness {
	struct session *session;
	uint64_t version; /* in grace: of its record */
	bool told;	  /* to forget */
	struct vouch *vouch;
	struct witness *prev, *next;		     /* vouch.others */
	struct witness *session_prev, *session_next; /* session.witnesses */
};

struct vouch {
	UT_hash_handle hh; /* master.vouches, by ino */
	uint64_t ino;
	uint64_t version;			   /* in grace: of the best record so far */
	bool full;				   /* in grace: that record has the content */
	struct session *voucher;		   /* NULL: it died, or in grace: none yet */
	struct vouch *session_prev, *session_next; /* voucher.vouches */
	struct witness *others;			   /* the oldest record first */
	bool gone;
	bool telling; /* the others are told to forget, one after the other */
};

/* What happens once the session has acknowledged everything up to seq. */
struct pending {
	uint64_t ino;
	uint64_t seq;
	struct pending *prev, *next; /* session.pendings */
};

static struct vouch *find(struct master *m, uint64_t ino)
{
	struct vouch *v;

	HASH_FIND(hh, m->vouches, &ino, sizeof(ino), v);
	return v;
}

static struct vouch *make(struct master *m, uint64_t ino)
{
	struct vouch *v = find(m, ino);

	if (v)
		return v;
	v = calloc(1, sizeof(*v));
	if (v) {
		v->ino = ino;
		HASH_ADD(hh, m->vouches, ino, sizeof(ino), v);
	}
	if (!v || !v->hh.tbl) {
		free(v);
		m->doomed = true;
		return NULL;
	}
	return v;
}

static void assign(struct vouch *v, struct session *s)
{
	if (v->voucher)
		DL_DELETE2(v->voucher->vouches, v, session_prev, session_next);
	v->voucher = s;
	if (s)
		DL_APPEND2(s->vouches, v, session_prev, session_next);
}

static void witness_free(struct witness *w)
{
	DL_DELETE(w->vouch->others, w);
	DL_DELETE2(w->session->witnesses, w, session_prev, session_next);
	free(w);
}

static void drop(struct master *m, struct vouch *v)
{
	while (v->others)
		witness_free(v->others);
	assign(v, NULL);
	HASH_DEL(m->vouches, v);
	free(v);
}

static int by_version(const struct witness *a, const struct witness *b)
{
	return a->version < b->version ? -1 : a->version > b->version;
}

/* Who was the voucher last has the newest record of them; only in grace they come in any order. */
static void add_other(struct master *m, struct vouch *v, struct session *s, uint64_t version)
{
	struct witness *w = calloc(1, sizeof(*w));

	if (!w) {
		m->doomed = true;
		return;
	}
	w->session = s;
	w->version = version;
	w->vouch = v;
	DL_APPEND(v->others, w);
	DL_APPEND2(s->witnesses, w, session_prev, session_next);
	if (m->state == MASTER_GRACE)
		DL_SORT(v->others, by_version);
}

static void remove_other(struct vouch *v, const struct session *s)
{
	struct witness *w, *next;

	DL_FOREACH_SAFE (v->others, w, next)
		if (w->session == s)
			witness_free(w);
}

static void set_voucher(struct master *m, struct vouch *v, struct session *s)
{
	if (v->voucher == s)
		return;
	remove_other(v, s);
	if (v->voucher)
		add_other(m, v, v->voucher, v->version);
	assign(v, s);
}

void vouch_changed(struct master *m, struct session *s, uint64_t ino)
{
	struct vouch *v = ino == ROOT_INO ? NULL : make(m, ino);

	if (v)
		set_voucher(m, v, s);
}

/* ---- The end of a file ---- */

static void await_ack(struct master *m, struct session *s, uint64_t ino)
{
	struct pending *p = malloc(sizeof(*p));

	if (!p) {
		m->doomed = true;
		return;
	}
	p->ino = ino;
	p->seq = s->channel.last_seq;
	DL_APPEND(s->pendings, p);
}

static void say_forget(struct master *m, struct session *s, uint64_t ino)
{
	struct message forget = {.kind = MESSAGE_FORGET, .ino = ino};

	session_push(m, s, &forget);
}

/*
 * The others forget first, the oldest record before the newer, which may know of the end; then the
 * voucher, which does.
 */
static void tell_others(struct master *m, struct vouch *v)
{
	struct witness *w = v->others;

	v->telling = true;
	if (!w) {
		if (v->voucher)
			say_forget(m, v->voucher, v->ino);
		drop(m, v);
	} else if (!w->told) {
		w->told = true;
		say_forget(m, w->session, v->ino);
		await_ack(m, w->session, v->ino);
	}
}

uint32_t vouch_removed(struct master *m, struct session *s, uint64_t ino)
{
	struct vouch *v = find(m, ino);

	if (!v)
		return REPLY_GONE;
	assert(v->voucher == s);
	v->gone = true;
	if (v->others && rule(RULE_TOMBSTONES))
		return REPLY_TOMB;
	drop(m, v);
	return REPLY_GONE;
}

void vouch_tomb_pushed(struct master *m, struct session *s, uint64_t ino)
{
	await_ack(m, s, ino);
}

/* What the others know of its last names must not go before the voucher has heard of it. */
void vouch_gone(struct master *m, uint64_t ino)
{
	struct vouch *v = find(m, ino);

	if (!v)
		return;
	v->gone = true;
	if (m->state != MASTER_SERVING)
		return;
	if (v->voucher && v->others && v->voucher->channel.acked < v->voucher->channel.last_seq)
		await_ack(m, v->voucher, ino);
	else
		tell_others(m, v);
}

static void acked(struct master *m, struct session *s, uint64_t ino)
{
	struct vouch *v = find(m, ino);

	if (!v || !v->gone)
		return;
	if (v->voucher != s)
		remove_other(v, s);
	tell_others(m, v);
}

void vouch_acked(struct master *m, struct session *s)
{
	while (s->pendings && s->pendings->seq <= s->channel.acked) {
		struct pending *p = s->pendings;

		DL_DELETE(s->pendings, p);
		acked(m, s, p->ino);
		free(p);
	}
}

/* ---- The end of a session ---- */

/* Who has the file open, else who knew it once, else anybody: an idle file outlives its session. */
static struct session *find_heir(struct master *m, const struct vouch *v, uint64_t dead)
{
	struct session *heir = session_find(m, table_opener(m->table, v->ino, dead));
	const struct witness *w;

	if (heir && heir->state == SESSION_LIVE)
		return heir;
	DL_FOREACH (v->others, w)
		if (w->session->state == SESSION_LIVE)
			return w->session;
	for (heir = m->sessions; heir; heir = heir->hh.next)
		if (heir->state == SESSION_LIVE && heir->instance != dead)
			return heir;
	return NULL;
}

/* The voucher, or somebody else if it is gone, is given the whole record. */
static void hand_on(struct master *m, struct vouch *v, uint64_t dead)
{
	struct session *heir = v->voucher ? v->voucher : find_heir(m, v, dead);
	struct message msg = {.kind = MESSAGE_VOUCH};
	struct table_record record;

	if (!heir || table_record(m->table, v->ino, &record) != STATUS_OK)
		return;
	set_voucher(m, v, heir);
	msg.attr = record.attr;
	msg.links = record.links;
	msg.link_count = record.link_count;
	msg.data = record.content;
	msg.data_len = record.attr.size;
	session_push(m, heir, &msg);
}

/* Else a master that starts anew would find the name, and let it live once more. */
void vouch_renew(struct master *m, uint64_t ino)
{
	struct vouch *v = find(m, ino);

	assert(m->state == MASTER_SERVING);
	if (!v)
		return;
	assert(!v->gone);
	hand_on(m, v, 0);
}

static void session_left(struct master *m, struct vouch *v, struct session *s)
{
	bool was_voucher = v->voucher == s;

	remove_other(v, s);
	if (was_voucher)
		assign(v, NULL);
	if (m->state != MASTER_SERVING)
		return; /* vouch_grace_over sees to it */
	if (v->gone) {
		if (was_voucher || v->telling || !v->others)
			tell_others(m, v);
		return;
	}
	if (was_voucher)
		hand_on(m, v, s->instance);
	if (!v->voucher && !v->others)
		drop(m, v);
}

void vouch_session_gone(struct master *m, struct session *s)
{
	struct pending *p, *next_pending;

	DL_FOREACH_SAFE (s->pendings, p, next_pending) {
		DL_DELETE(s->pendings, p);
		free(p);
	}
	while (s->vouches)
		session_left(m, s->vouches, s);
	while (s->witnesses)
		session_left(m, s->witnesses->vouch, s);
}

/* ---- Grace ---- */

void vouch_reclaimed(struct master *m, struct session *s, uint64_t ino, uint64_t version, bool gone,
		     bool full)
{
	struct vouch *v = ino == ROOT_INO ? NULL : make(m, ino);

	if (!v)
		return;
	if (!v->voucher || version > v->version || (version == v->version && full && !v->full)) {
		set_voucher(m, v, s);
		v->version = version;
		v->gone = gone;
		v->full = full;
	} else if (v->voucher != s) {
		add_other(m, v, s, version);
	}
}

void vouch_orphan(struct master *m, uint64_t ino)
{
	if (ino != ROOT_INO)
		make(m, ino);
}

/* The best record may be of a session that died in grace, and the table may know more by now. */
static bool is_current(struct master *m, const struct vouch *v)
{
	struct table_record record;

	return v->voucher && v->full && table_record(m->table, v->ino, &record) == STATUS_OK &&
	       record.attr.version == v->version;
}

void vouch_grace_over(struct master *m)
{
	struct vouch *v, *next;

	HASH_ITER (hh, m->vouches, v, next) {
		if (v->gone)
			tell_others(m, v);
		else if (!is_current(m, v))
			hand_on(m, v, 0);
	}
}

void vouch_free_all(struct master *m)
{
	struct vouch *v, *next;
	struct session *s;

	HASH_ITER (hh, m->vouches, v, next)
		drop(m, v);
	for (s = m->sessions; s; s = s->hh.next) {
		struct pending *p, *next_pending;

		DL_FOREACH_SAFE (s->pendings, p, next_pending) {
			DL_DELETE(s->pendings, p);
			free(p);
		}
	}
}
