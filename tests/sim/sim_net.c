/* SPDX-License-Identifier: MIT */
/* Links: what a transport and the wires below it may do to a packet. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define LOSS_PER_MILLE	       30
#define REPEAT_PER_MILLE       30
#define SLOW_PER_MILLE	       20
#define SESSION_SLOW_PER_MILLE 120 /* of the few that open and renew sessions */
#define HANDSHAKE_NS	       (5 * NS_PER_MS)

enum { TO_MASTER, TO_NODE };

/* A packet on its way, with copies of its messages. */
struct flight {
	size_t node, master;
	uint32_t peer;
	int direction;
	uint64_t instance, epoch, ack, clock;
	size_t count;
	struct message *messages[];
};

static void flight_drop(struct event *e)
{
	struct flight *f = e->data;

	for (size_t i = 0; i < f->count; i++)
		message_free(f->messages[i]);
	free(f);
}

static struct flight *flight_new(const struct packet *p)
{
	struct flight *f = calloc(1, sizeof(*f) + p->count * sizeof(f->messages[0]));

	assert(f);
	f->instance = p->instance;
	f->epoch = p->epoch;
	f->ack = p->ack;
	f->clock = p->clock;
	f->count = p->count;
	for (size_t i = 0; i < p->count; i++)
		f->messages[i] = message_copy(p->messages[i]);
	return f;
}

/* The receiver owns the packet, and what it does not keep is freed. */
static void unpack(struct flight *f, struct packet *p)
{
	p->instance = f->instance;
	p->epoch = f->epoch;
	p->ack = f->ack;
	p->clock = f->clock;
	p->count = f->count;
	memcpy(p->messages, f->messages, f->count * sizeof(f->messages[0]));
	f->count = 0;
}

static void arrive(struct sim *s, struct event *e)
{
	struct flight *f = e->data;
	struct net_link *l = &s->links[f->node][f->master];
	struct packet p;

	/* What a closed connection still held is lost. */
	if (l->peer != f->peer || (f->direction == TO_NODE && !l->up))
		return;
	unpack(f, &p);
	if (f->direction == TO_MASTER)
		leader_hears(s, f->master);
	else
		leader_is_heard(s, f->master, f->epoch);
	sim_in_core = s;
	if (f->direction == TO_MASTER)
		master_receive(s->masters[f->master].master, f->peer, &p,
			       machine_now(s, machine_of_master(f->master)));
	else
		node_receive(s->nodes[f->node].node, f->master, &p, machine_now(s, f->node));
	sim_in_core = NULL;
	if (f->direction == TO_MASTER) {
		sim_master_loop(s, f->master);
	} else {
		check_received(s, f->node, f->epoch);
		sim_node_loop(s, f->node);
	}
	packet_deinit(&p);
}

/* Mostly a little late, sometimes within a lease, or far beyond one. */
static int64_t slow_time(struct sim *s)
{
	static const int64_t most[] = {NS_PER_SEC, NS_PER_SEC, NS_PER_SEC, 12 * NS_PER_SEC,
				       40 * NS_PER_SEC};

	return (int64_t)sim_below(s, (uint64_t)most[sim_below(s, sizeof(most) / sizeof(*most))]);
}

static int64_t travel_time(struct sim *s, struct net_link *l, const struct flight *f)
{
	int direction = f->direction;
	int64_t ns = s->hold_ns ? s->hold_ns + l->slow_ns[direction]
				: (int64_t)sim_below(s, 2 * NS_PER_MS) + 50000;
	bool session = f->count && !message_is_ordered(f->messages[0]);

	if ((s->faults & FAULT_DELAY) &&
	    sim_chance(s, session ? SESSION_SLOW_PER_MILLE : SLOW_PER_MILLE))
		return ns + slow_time(s);
	/* A healthy stream keeps its order. */
	if (s->now + ns <= l->order_ns[direction])
		ns = l->order_ns[direction] - s->now + 1;
	l->order_ns[direction] = s->now + ns;
	return ns;
}

static void trace_packet(struct sim *s, const struct flight *f, const char *what)
{
	char line[600];
	size_t at = 0;

	if (!s->config.trace)
		return;
	for (size_t i = 0; i < f->count && at < sizeof(line) - 200; i++) {
		const struct message *m = f->messages[i];

		at += (size_t)snprintf(line + at, sizeof(line) - at, " %s",
				       message_kind_name(m->kind));
		if (m->seq)
			at += (size_t)snprintf(line + at, sizeof(line) - at,
					       "#%" PRIu64 "(r%" PRIu64 " %s ino %" PRIx64 ")",
					       m->seq, m->req, status_name(m->status),
					       m->ino ? m->ino : m->attr.ino);
		if (m->end)
			at += (size_t)snprintf(line + at, sizeof(line) - at,
					       "[h%" PRIu64 " o%" PRIx64 " m%d k%d %" PRId64
					       "-%" PRIx64 "]",
					       m->handle, m->owner, (int)m->lock_mode,
					       (int)m->lock_kind, m->start, (uint64_t)m->end);
	}
	line[at] = '\0';
	sim_trace(s, "%s %zu%s%zu e%" PRIu64 " i%" PRIx64 " ack %" PRIu64 ":%s", what, f->node,
		  f->direction == TO_MASTER ? " -> master " : " <- master ", f->master, f->epoch,
		  f->instance, f->ack, line);
}

static void send_once(struct sim *s, size_t node, size_t master, int direction,
		      const struct packet *p)
{
	struct net_link *l = &s->links[node][master];
	struct flight *f = flight_new(p);
	struct event *e;

	f->node = node;
	f->master = master;
	f->peer = l->peer;
	f->direction = direction;
	s->packets++;
	e = sim_at(s, travel_time(s, l, f),
		   direction == TO_MASTER ? machine_of_master(master) : machine_of_node(node),
		   arrive, f);
	e->drop = flight_drop;
	trace_packet(s, f, "node");
}

static void send(struct sim *s, size_t node, size_t master, int direction, const struct packet *p)
{
	struct net_link *l = &s->links[node][master];

	if (!l->up || l->blocked[direction] ||
	    ((s->faults & FAULT_LOSS) && sim_chance(s, LOSS_PER_MILLE))) {
		sim_trace(s, "lost: node %zu %s master %zu", node,
			  direction == TO_MASTER ? "->" : "<-", master);
		return;
	}
	send_once(s, node, master, direction, p);
	if ((s->faults & FAULT_REPEAT) && sim_chance(s, REPEAT_PER_MILLE))
		send_once(s, node, master, direction, p);
}

void net_send_to_master(struct sim *s, size_t node, size_t master, const struct packet *p)
{
	send(s, node, master, TO_MASTER, p);
}

void net_send_to_node(struct sim *s, size_t master, uint32_t peer, const struct packet *p)
{
	for (size_t i = 0; i < s->config.nodes; i++)
		if (s->links[i][master].peer == peer)
			send(s, i, master, TO_NODE, p);
}

/* ---- Connections ---- */

static void on_connected(struct sim *s, struct event *e)
{
	size_t *pair = e->data;
	struct net_link *l = &s->links[pair[0]][pair[1]];

	if (l->up || !l->want || !s->masters[pair[1]].master)
		return;
	l->up = true;
	l->peer = ++s->peers;
	l->order_ns[0] = l->order_ns[1] = s->now;
	sim_trace(s, "node %zu is connected to master %zu", pair[0], pair[1]);
	sim_in_core = s;
	node_connected(s->nodes[pair[0]].node, pair[1], machine_now(s, pair[0]));
	sim_in_core = NULL;
	sim_node_loop(s, pair[0]);
}

static void on_disconnected(struct sim *s, struct event *e)
{
	size_t *pair = e->data;

	if (s->links[pair[0]][pair[1]].up)
		return;
	sim_in_core = s;
	node_disconnected(s->nodes[pair[0]].node, pair[1], machine_now(s, pair[0]));
	sim_in_core = NULL;
	sim_node_loop(s, pair[0]);
}

static size_t *pair_of(size_t node, size_t master)
{
	size_t *pair = malloc(2 * sizeof(*pair));

	assert(pair);
	pair[0] = node;
	pair[1] = master;
	return pair;
}

void net_connect(struct sim *s, size_t node, size_t master)
{
	struct net_link *l = &s->links[node][master];
	int64_t delay = s->hold_ns ? s->hold_ns : (int64_t)sim_below(s, HANDSHAKE_NS) + 1;

	l->want = true;
	if (!l->up && s->nodes[node].node && s->masters[master].master)
		sim_at(s, delay, machine_of_node(node), on_connected, pair_of(node, master));
}

void net_disconnect(struct sim *s, size_t node, size_t master)
{
	struct net_link *l = &s->links[node][master];

	l->want = false;
	if (!l->up)
		return;
	l->up = false;
	l->peer = 0;
	if (s->nodes[node].node)
		sim_at(s, 1, machine_of_node(node), on_disconnected, pair_of(node, master));
}
