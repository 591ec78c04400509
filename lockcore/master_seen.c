/* SPDX-License-Identifier: MIT */
/* Which session is told of which name's end (contract 2.4). */
#include "lockcore/master_internal.h"

/*
 * In grace the names are not there yet; the table looks at the claim when it is over. None of this
 * is worth a session: what cannot be noted, the node is not told of.
 */
void seen_claim(struct master *m, struct session *s, const struct message *msg)
{
	assert(msg->kind == MESSAGE_SEEN);
	if (msg->flags & WATCH_ALL)
		table_watch_all(m->table, s->instance);
	if (msg->name)
		table_saw_before(m->table, s->instance, msg->parent, msg->name, msg->ino,
				 m->state == MASTER_GRACE);
}

void seen_drain(struct master *m)
{
	struct table_news news;

	while (table_next_news(m->table, &news)) {
		struct session *s = session_find(m, news.client);
		struct message msg = {
			.kind = news.appeared ? MESSAGE_APPEARED : MESSAGE_UNSEEN,
			.parent = news.parent,
			.name = news.name,
			.ino = news.attr.ino,
			.attr = news.attr,
		};

		if (s)
			session_push(m, s, &msg);
	}
}
