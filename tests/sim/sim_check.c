/* SPDX-License-Identifier: MIT */
/* The invariants I1 to I10, looked at from outside, in true time. */
#include <inttypes.h>
#include <string.h>

#include "lockcore/master_internal.h"
#include "lockcore/node_internal.h"
#include "lockcore/table_internal.h"
#include "sim.h"

/*
 * One without memory lapses at its next look at anything, and one whose clock stood still has only
 * itself to blame: no rule can help it.
 */
bool check_believes(const struct sim *s, size_t node, uint64_t instance)
{
	const struct node *n = s->nodes[node].node;

	return n && !n->doomed && !s->nodes[node].astray && node_instance(n) == instance &&
	       node_belief_end(n) > machine_now(s, node).boot_ns;
}

/* ---- I1: what the nodes themselves believe to hold ---- */

static void check_locks(struct sim *s, size_t a, size_t b, const struct kept *x,
			const struct kept *y, enum lock_kind kind)
{
	const struct range *p, *q;

	DL_FOREACH (x->locks[kind], p)
		DL_FOREACH (y->locks[kind], q)
			if (range_overlap(p, q) &&
			    (p->mode == LOCK_EXCLUSIVE || q->mode == LOCK_EXCLUSIVE))
				sim_fail(s,
					 "I1: nodes %zu and %zu both hold a lock of kind %d of "
					 "%" PRIx64,
					 a, b, (int)kind, x->ino);
}

/* The last name that each node knows of its file: one that is moved is never locked here. */
static bool same_name(const struct kept *x, const struct kept *y)
{
	const struct link *a = x->names && x->names->count ? x->names->links : NULL;
	const struct link *b = y->names && y->names->count ? y->names->links : NULL;

	return a && b && a->parent == b->parent && !strcmp(a->name, b->name);
}

static void check_pair(struct sim *s, size_t a, size_t b)
{
	struct node *m = s->nodes[b].node;
	const struct kept *k, *other;

	for (k = s->nodes[a].node->kept; k; k = k->hh.next) {
		if (!k->locks[LOCK_FLOCK] && !k->locks[LOCK_RANGE])
			continue;
		for (other = m->kept; other; other = other->hh.next) {
			if (other->ino != k->ino && (s->hold_ns || !same_name(k, other)))
				continue;
			check_locks(s, a, b, k, other, LOCK_FLOCK);
			check_locks(s, a, b, k, other, LOCK_RANGE);
		}
	}
}

/* Has it ever stopped believing, it does not begin again (contract 6.1). */
static void check_belief(struct sim *s, size_t i)
{
	const struct node *n = s->nodes[i].node;

	if (n && n->state == NODE_OPEN && n->belief_ns > machine_now(s, i).boot_ns &&
	    node_instance(n) == s->nodes[i].over)
		sim_fail(s, "rule 11: node %zu believes again in a session that had lapsed", i);
}

/* It takes nothing from an epoch before one that it has seen. */
static void check_epoch(struct sim *s, size_t i)
{
	uint64_t epoch = s->nodes[i].node->highest_epoch;

	if (epoch < s->nodes[i].epoch)
		sim_fail(s, "rule 10: node %zu follows epoch %" PRIu64 " after epoch %" PRIu64, i,
			 epoch, s->nodes[i].epoch);
	s->nodes[i].epoch = epoch;
}

static void check_node(struct sim *s, size_t i)
{
	const struct node *n = s->nodes[i].node;

	if (n) {
		locks_look(s, i);
		check_epoch(s, i);
	}
	check_belief(s, i);
	if (!n || s->lied_to || !check_believes(s, i, node_instance(n)))
		return;
	for (size_t other = 0; other < s->config.nodes; other++) {
		n = s->nodes[other].node;
		if (other != i && n && check_believes(s, other, node_instance(n)))
			check_pair(s, i, other);
	}
}

void check_before(struct sim *s, size_t machine)
{
	for (size_t i = 0; i < s->config.nodes; i++) {
		const struct node *n = s->nodes[i].node;

		if (machine != i && machine != SIM_NO_MACHINE)
			continue;
		s->nodes[i].believed =
			n && check_believes(s, i, node_instance(n)) ? node_instance(n) : 0;
		if (n && n->state == NODE_OPEN && n->belief_ns <= machine_now(s, i).boot_ns)
			s->nodes[i].over = node_instance(n);
	}
}

/* What a node believes to hold changes with its own events only. */
void check_after(struct sim *s, size_t machine)
{
	for (size_t i = 0; i < s->config.nodes; i++)
		if (machine == i || machine == SIM_NO_MACHINE)
			check_node(s, i);
}

/*
 * A node has taken a packet of this epoch. A session that lives for its node and for the store does
 * not end by what a master says whose epoch the node knows to be over.
 */
void check_received(struct sim *s, size_t i, uint64_t epoch)
{
	const struct sim_node *n = &s->nodes[i];

	if (n->believed && node_instance(n->node) != n->believed &&
	    epoch < n->node->highest_epoch && engine_knows(s, n->id, n->believed) && !s->lied_to)
		sim_fail(s,
			 "rule 10: node %zu gives up session %" PRIx64 " as epoch %" PRIu64
			 " would have it",
			 i, n->believed, epoch);
}

/* ---- What masters say ---- */

static size_t node_of_instance(const struct sim *s, uint64_t instance)
{
	size_t i;

	for (i = 0; i < s->config.nodes; i++)
		if (s->nodes[i].node && node_instance(s->nodes[i].node) == instance)
			break;
	return i;
}

/*
 * A store that was put back made a master lead in an epoch that was another's, and somebody who
 * cannot tell is served by it: what there is to say of that, rule 10 has said.
 */
static void check_old_store(struct sim *s, size_t master)
{
	if (master_epoch(s->masters[master].master) <= s->store.lost_epoch)
		s->lied_to = true;
}

/*
 * A store that was put back knows a session that had ended, and the node, whose clock stood still, has
 * it still: it brings back what others have got, or seen the end of.
 */
static void check_revived(struct sim *s, uint64_t instance)
{
	size_t node = node_of_instance(s, instance);

	if (node < s->config.nodes && s->nodes[node].astray && s->store.lost_epoch &&
	    s->nodes[node].deleted == instance)
		s->lied_to = true;
}

void check_deleted(struct sim *s, uint64_t instance)
{
	size_t node = node_of_instance(s, instance);

	if (node < s->config.nodes)
		s->nodes[node].deleted = instance;
	history_deleted(s, instance);
}

/* I5: a leader welcomes nobody who is not in the registry. */
static void check_welcome(struct sim *s, size_t master, uint64_t instance)
{
	uint64_t epoch = master_epoch(s->masters[master].master);
	size_t node = node_of_instance(s, instance);

	if (epoch == s->store.cell.epoch && node < s->config.nodes &&
	    !engine_knows(s, s->nodes[node].id, instance))
		sim_fail(s, "I5: instance %" PRIx64 " is welcomed and not registered", instance);
}

/* I6: nothing is answered in grace. I9: nor by one of two who lead. */
static void check_reply(struct sim *s, size_t master)
{
	const struct master *m = s->masters[master].master;

	if (!master_is_serving(m))
		sim_fail(s, "I6: master %zu answers in grace", master);
	for (size_t i = 0; i < s->config.masters; i++) {
		const struct master *other = s->masters[i].master;

		if (other && i != master && master_is_serving(other) &&
		    master_epoch(other) > master_epoch(m) && !s->masters[master].astray)
			sim_fail(s, "I9: masters %zu and %zu both answer", master, i);
	}
}

void check_master_packet(struct sim *s, size_t master, const struct packet *p)
{
	leader_speaks(s, master, p);
	for (size_t i = 0; i < p->count; i++) {
		const struct message *m = p->messages[i];

		if (m->kind == MESSAGE_WELCOME) {
			check_welcome(s, master, p->instance);
			check_old_store(s, master);
			check_revived(s, p->instance);
		}
		if (m->kind == MESSAGE_REPLY)
			check_reply(s, master);
		s->masters[master].said += message_is_ordered(m);
	}
}

/* A cell that says that nobody leads is true (I9): it is taken without waiting. */
static void check_given_up(struct sim *s, const struct engine_cell *from)
{
	for (size_t i = 0; i < s->config.masters; i++)
		if (s->masters[i].master && master_epoch(s->masters[i].master) == from->epoch)
			sim_fail(s, "I9: master %zu gave up the cell and leads", i);
}

/* I3, at the store, where it counts: who reads late what it took over has been deposed. */
void check_swap(struct sim *s, const struct engine_cell *from, const struct engine_cell *to)
{
	if (!to->instance)
		check_given_up(s, from);
	leader_swapped(s, from, to);
	if (to->epoch < from->epoch ||
	    (to->instance && to->instance != from->instance && to->epoch == from->epoch))
		sim_fail(s, "I3: epoch %" PRIu64 " follows %" PRIu64, to->epoch, from->epoch);
	if (to->epoch == from->epoch)
		return;
	if (to->epoch > s->highest_epoch)
		s->highest_epoch = to->epoch;
	s->takeovers++;
	s->starved = false;
}

/* I7: what is freed by expiry is gone from the registry. */
static void check_expired(struct sim *s, const struct master_event *e)
{
	for (size_t i = 0; i < s->store.count; i++)
		if (!strcmp(s->store.registry[i].node, e->node) && !s->store.late_put &&
		    e->epoch == s->store.cell.epoch)
			sim_fail(s, "I7: %s is freed and still registered", e->node);
}

/*
 * Rule 4: nor does its node believe in it any more, whatever any master has promised. Where the
 * store was put back, a claim may be refused before.
 */
static void check_believed(struct sim *s, const struct master_event *e)
{
	for (size_t i = 0; i < s->config.nodes; i++) {
		const struct node *n = s->nodes[i].node;

		if (n && !strcmp(s->nodes[i].id, e->node) &&
		    check_believes(s, i, node_instance(n)) &&
		    !engine_knows(s, e->node, node_instance(n)))
			sim_fail(s, "rule 4: node %zu believes, and its session has expired", i);
	}
}

/* I7: who is dead when grace ends is gone from the registry, too. */
static void check_grace_over(struct sim *s, const struct master *m)
{
	const struct session *session;

	for (session = m->sessions; session; session = session->hh.next)
		if (session->state == SESSION_DYING && m->epoch == s->store.cell.epoch &&
		    !s->store.late_put && engine_knows(s, session->node, session->instance))
			sim_fail(s, "I7: grace is over, and %s, who is dead, is still registered",
				 session->node);
}

static bool is_astray(const struct sim *s, const char *id)
{
	for (size_t i = 0; i < s->config.nodes; i++)
		if (s->nodes[i].astray && !strcmp(s->nodes[i].id, id))
			return true;
	return false;
}

/*
 * I4. Whose clock stands still may come late; but as long as it is registered, nothing that it held
 * has been given to anybody, unless an old store has registered it again.
 */
static void check_refused(struct sim *s, const struct master_event *e)
{
	bool late = strstr(e->text, "after the end of grace") != NULL;

	if (late && is_astray(s, e->node))
		return;
	for (size_t i = 0; i < s->config.nodes; i++)
		if (s->store.lost_epoch && s->nodes[i].astray)
			return;
	sim_fail(s, "I4: a reclaim of %s is refused: %s", e->node, e->text);
}

/* Sessions of this id that are in no registry hold nothing any more. */
static void told_freed(struct sim *s, const char *id)
{
	locks_freed(s, id);
	names_freed(s, id);
}

/* In grace somebody may still be served by the master of before, who knows nothing of it. */
static void check_freed(struct sim *s, size_t master, const struct master_event *e)
{
	if (e->kind == MASTER_EVENT_GRACE_OVER)
		for (size_t i = 0; i < s->config.nodes; i++)
			told_freed(s, s->nodes[i].id);
	if ((e->kind == MASTER_EVENT_EXPIRED || e->kind == MASTER_EVENT_LEFT) &&
	    master_is_serving(s->masters[master].master))
		told_freed(s, e->node);
}

void check_master_event(struct sim *s, size_t master, const struct master_event *e)
{
	static const char *const names[] = {
		"leading",	   "grace over", "steps down", "store trouble", "store old",
		"opened",	   "reclaimed",	 "expired",    "left",		"taken",
		"RECLAIM REFUSED", "unheard",	 "stranger",
	};

	_Static_assert(sizeof(names) / sizeof(*names) == MASTER_EVENT_STRANGER + 1, "events");

	s->masters[master].told[e->kind]++;
	sim_trace(s, "master %zu: %s, epoch %" PRIu64 ", count %zu, %s %s", master, names[e->kind],
		  e->epoch, e->count, e->node, e->text);
	if (e->kind == MASTER_EVENT_EXPIRED || e->kind == MASTER_EVENT_LEFT)
		check_expired(s, e);
	if (e->kind == MASTER_EVENT_EXPIRED && !s->store.lost_epoch)
		check_believed(s, e);
	if (e->kind == MASTER_EVENT_GRACE_OVER) {
		check_grace_over(s, s->masters[master].master);
		history_grace_over(s, e->epoch);
	}
	check_freed(s, master, e);
	leader_event(s, master, e);
	if (e->kind == MASTER_EVENT_LEADING)
		faults_takeover(s, master);
	if (e->kind == MASTER_EVENT_RECLAIM_REFUSED && !s->hold_ns && !s->lied_to)
		check_refused(s, e);
}

/* ---- Names that were seen (contract 2.4) ---- */

static void check_sight(struct sim *s, size_t i, struct table *t, const struct sight *sight)
{
	const char *name = (const char *)sight->key + sizeof(uint64_t);
	uint64_t parent;
	struct attr attr;

	memcpy(&parent, sight->key, sizeof(parent));
	if (!sight->is_told)
		sim_fail(s, "2.4: the master does not know that node %zu has seen %s", i, name);
	if (s->starved)
		return;
	if (table_lookup(t, parent, name, &attr) != STATUS_OK || attr.ino != sight->attr.ino)
		sim_fail(s, "2.4: node %zu has not been told of the end of %s, ino %" PRIx64, i,
			 name, sight->attr.ino);
}

/*
 * Whoever has seen a name that is gone has been told so, unless the master had no memory to note
 * that he had.
 */
static void check_sights(struct sim *s, size_t i, struct table *t)
{
	const struct sight *sight;

	for (sight = s->nodes[i].node->sights; sight; sight = sight->hh.next)
		check_sight(s, i, t, sight);
}

/* ---- What is told of acquisitions ---- */

/* I2, as a watcher sees it: in order, and nothing twice, but for gaps that he is told of. */
void check_change(struct sim *s, size_t node, const struct node_change *change)
{
	uint64_t *told = &s->nodes[node].told_token;

	if (s->on_change)
		s->on_change(s, node, change);
	if (change->change == CHANGE_MISSED) {
		*told = 0;
		return;
	}
	if (!change->what->name || !change->what->node)
		sim_fail(s, "a change without a name is told to node %zu", node);
	if (change->change != CHANGE_GRANTED)
		return;
	if (change->what->token <= *told)
		sim_fail(s, "I2: node %zu is told of token %" PRIx64 " after %" PRIx64, node,
			 change->what->token, *told);
	*told = change->what->token;
}

/* ---- Inside a master ---- */

/* Rule 9: who is about to be deleted waits for nothing. */
static void check_dying(struct sim *s, struct master *m, const struct session *dying)
{
	struct client *client;
	const struct handle *h;

	HASH_FIND(hh, m->table->clients, &dying->instance, sizeof(dying->instance), client);
	if (!client)
		return;
	DL_FOREACH2 (client->handles, h, client_next)
		if (h->waiters)
			sim_fail(s, "rule 9: %s is dying and still waits", dying->node);
}

void check_master(struct sim *s, size_t master)
{
	struct master *m = s->masters[master].master;
	const struct session *session;

	if (!m->table)
		return;
	leader_check(s, master);
	for (session = m->sessions; session; session = session->hh.next)
		if (session->state == SESSION_DYING)
			check_dying(s, m, session);
}

/* ---- I8: after the faults ---- */

static struct master *leader(const struct sim *s)
{
	for (size_t i = 0; i < s->config.masters; i++)
		if (s->masters[i].master && master_is_serving(s->masters[i].master))
			return s->masters[i].master;
	return NULL;
}

static void count_node(const struct node *n, struct table_counts *sum)
{
	const struct node_handle *h;
	const struct kept *k;
	const struct range *r;

	for (h = n->handles; h; h = h->hh.next)
		sum->handles += !h->lapsed;
	for (k = n->kept; k; k = k->hh.next)
		for (int kind = LOCK_FLOCK; kind <= LOCK_RANGE; kind++)
			DL_FOREACH (k->locks[kind], r)
				sum->locks++;
}

void check_end(struct sim *s)
{
	struct master *m = leader(s);
	struct table_counts have, sum = {0};

	if (!m)
		sim_fail(s, "I8: no master serves");
	for (size_t i = 0; i < s->config.nodes; i++) {
		const struct node *n = s->nodes[i].node;

		if (s->nodes[i].requests)
			sim_fail(s, "I8: call %" PRIu64 " of node %zu was never answered",
				 s->nodes[i].requests->call, i);
		if (!node_is_open(n) && !(s->config.faults & FAULT_TWIN))
			sim_fail(s, "I8: node %zu has no session", i);
		if (n->channel.count || calls_count(n))
			sim_fail(s, "I8: node %zu still has something to say", i);
		count_node(n, &sum);
		if (node_is_open(n))
			check_sights(s, i, master_table(m));
	}
	table_check(master_table(m));
	table_counts(master_table(m), &have);
	if (have.waiting || have.handles != sum.handles || have.locks != sum.locks)
		sim_fail(s,
			 "I8: the table has %" PRIu64 " handles, %" PRIu64 " locks, %" PRIu64
			 " waiting; the nodes %" PRIu64 ", %" PRIu64,
			 have.handles, have.locks, have.waiting, sum.handles, sum.locks);
}
