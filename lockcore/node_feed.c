/* SPDX-License-Identifier: MIT */
/*
 * What becomes of acquisitions in the cluster, for programs that watch (node.h): passed on from the
 * master, with a gap wherever a master or a session begins.
 */
#include "lockcore/node_internal.h"

void changes_begin(struct node *n)
{
	if (!n->watching)
		return;
	n->changes_missed++;
	node_push(n, &(struct message){.kind = MESSAGE_WATCH, .flags = WATCH_CHANGES});
}

void changes_asked(struct node *n, const struct message *m)
{
	if (m->kind == MESSAGE_WATCH)
		n->watching = true;
}

void changes_take(struct node *n, struct message **slot)
{
	const struct message *m = *slot;

	if (!n->watching)
		return;
	if (m->change == CHANGE_MISSED || m->surveyed_count != 1 || n->changes_missed ||
	    n->change_count == NODE_CHANGES_MAX) {
		n->changes_missed += m->change == CHANGE_MISSED && m->length ? m->length : 1;
		return;
	}
	DL_APPEND(n->changes, *slot);
	n->change_count++;
	*slot = NULL;
}

static void drop_lent(struct node *n)
{
	message_free(n->change_lent);
	n->change_lent = NULL;
}

bool node_next_change(struct node *n, struct node_change *out)
{
	drop_lent(n);
	n->change_lent = n->changes;
	if (n->change_lent) {
		DL_DELETE(n->changes, n->change_lent);
		n->change_count--;
		*out = (struct node_change){
			.change = n->change_lent->change,
			.what = n->change_lent->surveyed,
		};
		return true;
	}
	if (!n->changes_missed)
		return false;
	*out = (struct node_change){.change = CHANGE_MISSED, .missed = n->changes_missed};
	n->changes_missed = 0;
	return true;
}

void changes_free(struct node *n)
{
	drop_lent(n);
	while (n->changes) {
		struct message *m = n->changes;

		DL_DELETE(n->changes, m);
		message_free(m);
	}
	n->change_count = 0;
	n->changes_missed = 0;
}

void node_unwatch(struct node *n, struct moment now)
{
	node_check_belief(n, now);
	if (n->watching && n->state == NODE_OPEN)
		node_push(n, &(struct message){.kind = MESSAGE_WATCH});
	n->watching = false;
	changes_free(n);
}
