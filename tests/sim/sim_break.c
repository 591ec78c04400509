/* SPDX-License-Identifier: MIT */
/*
 * Breaking: what dlockfs does when something of its node is broken. The programs go on acting until
 * they are stopped, which takes a while, or until the node gives up waiting for that.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include <utlist.h>

#include "lockcore/node_internal.h"
#include "sim.h"

/* With leases of ten seconds a node waits for a quarter of that. */
#define STOP_MAX_NS (3 * NS_PER_SEC)

/* Programs that are being stopped. */
struct stopping {
	struct node_revoke revoke;
	struct stopping *prev, *next; /* sim_node.stopping */
};

static void on_stopped(struct sim *s, struct event *e)
{
	sim_in_core = s;
	node_revoked(s->nodes[e->machine].node, *(uint64_t *)e->data, machine_now(s, e->machine));
	sim_in_core = NULL;
	sim_node_loop(s, e->machine);
}

void break_begins(struct sim *s, size_t node, const struct node_revoke *revoke)
{
	struct stopping *p = calloc(1, sizeof(*p));
	uint64_t *token = malloc(sizeof(*token));

	assert(p && token);
	sim_trace(s, "node %zu: token %" PRIx64 " of %" PRIx64 " is being broken", node,
		  revoke->token, revoke->ino);
	p->revoke = *revoke;
	*token = revoke->token;
	DL_APPEND(s->nodes[node].stopping, p);
	lives_are_mortal(s, revoke->ino);
	if (s->holders_stay)
		free(token);
	else
		sim_at(s, s->hold_ns ? 1 : 1 + (int64_t)sim_below(s, STOP_MAX_NS), node, on_stopped,
		       token);
}

bool break_has_begun(const struct sim *s, size_t node, uint64_t handle)
{
	return node_handle_is_lost(s->nodes[node].node, handle);
}

bool break_let_go(const struct sim *s, size_t node, uint64_t handle)
{
	const struct node_handle *h = node_handle_find(s->nodes[node].node, handle);

	return !h || h->lapsed;
}

void break_look(struct sim *s, size_t node)
{
	struct stopping *p, *next;

	DL_FOREACH_SAFE (s->nodes[node].stopping, p, next) {
		if (node_is_revoking(s->nodes[node].node, p->revoke.token))
			continue;
		history_broken(s, node, &p->revoke);
		names_lost(s, node, p->revoke.ino);
		DL_DELETE(s->nodes[node].stopping, p);
		free(p);
	}
}

static bool has_lock(const struct node *n, uint64_t token)
{
	const struct range *held;
	const struct kept *k;

	for (k = n->kept; k; k = k->hh.next)
		for (int kind = LOCK_FLOCK; kind <= LOCK_RANGE; kind++)
			DL_FOREACH (k->locks[kind], held)
				if (held->token == token)
					return true;
	return false;
}

/*
 * Who is told that it is broken knows that nobody has it. A node that has asked for more may have got
 * another token in its place, and not have heard so.
 */
void break_answered(struct sim *s, const struct request *r)
{
	uint64_t token = r->message->token;

	if (r->status != STATUS_OK || s->lied_to || s->nodes[r->node].astray)
		return;
	for (size_t i = 0; i < s->config.nodes; i++) {
		const struct node *n = s->nodes[i].node;

		if (n && !lock_owners_count(n) && check_believes(s, i, node_instance(n)) &&
		    has_lock(n, token))
			sim_fail(s, "I1: token %" PRIx64 " is broken and node %zu believes in it",
				 token, i);
	}
}

void break_forget(struct sim *s, size_t node)
{
	struct stopping *p, *next;

	DL_FOREACH_SAFE (s->nodes[node].stopping, p, next) {
		DL_DELETE(s->nodes[node].stopping, p);
		free(p);
	}
}
