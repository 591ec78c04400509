/* SPDX-License-Identifier: MIT */
/* The links to the masters: which are up, and which have been silent for too long (node.h,
 * NODE_SILENT_NS). */
#include "lockcore/node_internal.h"

void node_connected(struct node *n, size_t master, struct moment now)
{
	assert(master < n->config.masters);
	node_check_belief(n, now);
	n->links[master].up = true;
	n->links[master].silent_at_ns = MOMENT_NEVER;
	if (n->state == NODE_OPEN && master != n->master)
		return;
	/* What was on its way on the old connection may be lost. */
	channel_rewind(&n->channel);
	n->hello_to = master;
	n->hello_at_ns = now.boot_ns;
}

void node_disconnected(struct node *n, size_t master, struct moment now)
{
	assert(master < n->config.masters);
	node_check_belief(n, now);
	n->links[master].up = false;
	n->links[master].silent_at_ns = now.boot_ns + NODE_SILENT_NS;
	if (n->state == NODE_OPEN && master == n->master) {
		n->hello_at_ns = now.boot_ns;
		node_calls_look_at_root(n);
	}
}

bool node_link_up(const struct node *n, size_t from, size_t *out)
{
	for (size_t i = 0; i < n->config.masters; i++) {
		size_t at = (from + i) % n->config.masters;

		if (n->links[at].up) {
			*out = at;
			return true;
		}
	}
	return false;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

void link_expect_word(struct node *n, size_t master, int64_t within_ns, struct moment now)
{
	struct master_link *l = &n->links[master];

	l->silent_at_ns = earlier(l->silent_at_ns, now.boot_ns + within_ns);
}

int64_t link_patience(const struct master_link *l)
{
	return l->patience_ns ? l->patience_ns : NODE_SILENT_NS;
}

void link_heard(struct node *n, size_t master)
{
	n->links[master].silent_at_ns = MOMENT_NEVER;
	n->links[master].patience_ns = 0;
}

void links_check_silence(struct node *n, struct moment now)
{
	for (size_t i = 0; i < n->config.masters; i++) {
		struct master_link *l = &n->links[i];

		if (now.boot_ns < l->silent_at_ns)
			continue;
		l->patience_ns = earlier(link_patience(l) * 2, NODE_SILENT_MAX_NS);
		/* On a link that is up, something has to be said again first. */
		l->silent_at_ns = l->up ? MOMENT_NEVER : now.boot_ns + l->patience_ns;
		node_tell(n, (struct node_event){.kind = NODE_EVENT_SILENT, .master = i});
		if (n->state != NODE_OPEN || i != n->master)
			continue;
		node_calls_look_at_root(n);
		/* With a long lease the next renewal would be missed much later. */
		if (n->config.masters > 1)
			node_doubt(n, now);
	}
}

int64_t links_silence_deadline(const struct node *n)
{
	int64_t at = MOMENT_NEVER;

	for (size_t i = 0; i < n->config.masters; i++)
		at = earlier(at, n->links[i].silent_at_ns);
	return at;
}

/* ---- Looking ---- */

uint64_t node_epoch(const struct node *n)
{
	return n->highest_epoch;
}

bool node_master(const struct node *n, size_t *master)
{
	if (n->state != NODE_OPEN)
		return false;
	*master = n->master;
	return true;
}

enum node_standing node_master_standing(const struct node *n, size_t master)
{
	const struct master_link *l = &n->links[master];
	bool own = n->state == NODE_OPEN && master == n->master;

	assert(master < n->config.masters);
	/* While a HELLO is wanted, the session's own master has left a renewal unanswered. */
	if (!l->up || l->patience_ns || (own && n->hello_at_ns != MOMENT_NEVER))
		return NODE_MASTER_SILENT;
	return own ? NODE_MASTER_LEADS : NODE_MASTER_STANDS_BY;
}
