/* SPDX-License-Identifier: MIT */
/*
 * When the holders are to be stopped (contract 6.2), and what it is that they hold. The timeline is
 * in node.h.
 *
 *	          60 %           85 %           belief ends
 *	NONE <───────── WARN <───────── KILL ───────────────> LOST ──node_fenced──> NONE
 *	  ^    ─────────>  │   ─────────> │       (from any, if the session is lost early)
 *	  └─ acknowledged ─┴──────────────┘
 */
#include "lockcore/node_internal.h"

/* So much of the lease has passed since the send time of the last acknowledged renewal. Divided
 * first: a lease is the master's word, and may be of any length. */
static int64_t passed(const struct node *n, int percent)
{
	return n->belief_ns - n->lease_ns / 100 * (100 - percent);
}

static enum node_fence stage(const struct node *n, struct moment now)
{
	if (now.boot_ns >= passed(n, NODE_FENCE_KILL_PERCENT))
		return NODE_FENCE_KILL;
	if (now.boot_ns >= passed(n, NODE_FENCE_WARN_PERCENT))
		return NODE_FENCE_WARN;
	return NODE_FENCE_NONE;
}

void fence_tick(struct node *n, struct moment now)
{
	assert((n->fence == NODE_FENCE_LOST) == (n->lost != NULL));
	if (n->state == NODE_OPEN && n->config.fence)
		n->fence = stage(n, now);
}

int64_t fence_deadline(const struct node *n)
{
	assert(n->state == NODE_OPEN);
	if (!n->config.fence || n->fence == NODE_FENCE_KILL)
		return MOMENT_NEVER;
	return passed(n, n->fence == NODE_FENCE_WARN ? NODE_FENCE_KILL_PERCENT
						     : NODE_FENCE_WARN_PERCENT);
}

enum node_fence node_fence(const struct node *n)
{
	return n->fence;
}

void node_fenced(struct node *n, bool stopped, struct moment now)
{
	if (n->fence != NODE_FENCE_LOST)
		return;
	kept_forget_lost(n);
	n->fence = NODE_FENCE_NONE;
	n->hello_at_ns = now.boot_ns;
	if (!stopped)
		n->last_instance = 0;
}

/* ---- What is held ---- */

struct listing {
	struct node_held *out;
	size_t max, count;
};

static void list(struct listing *l, uint64_t ino, uint32_t maker)
{
	if (l->count < l->max)
		l->out[l->count] = (struct node_held){.ino = ino, .maker = maker};
	l->count++;
}

/*
 * That another node has removed a name while the file lives on, open or with other names, the record
 * may not know: then its maker, too, is one who may believe that he holds it. A maker in another PID
 * namespace has no number here.
 */
static void list_record(struct listing *l, const struct kept *k, uint64_t instance)
{
	if (k->locks[LOCK_FLOCK] || k->locks[LOCK_RANGE])
		list(l, k->ino, 0);
	for (size_t i = 0; i < kept_names(k); i++)
		if (k->names->links[i].holder == instance && k->names->links[i].maker_pid)
			list(l, k->ino, k->names->links[i].maker_pid);
}

size_t node_held(const struct node *n, struct node_held *out, size_t max)
{
	struct listing l = {.out = out, .max = max};
	const struct kept *k;

	LL_FOREACH (n->lost, k)
		list_record(&l, k, n->last_instance);
	for (k = n->kept; k; k = k->hh.next)
		list_record(&l, k, n->instance);
	return l.count;
}
