/* SPDX-License-Identifier: MIT */
/*
 * Who holds a file, and for how long (contract 5.7): the table knows clients, and here they get the
 * names of their nodes and the rest of their leases.
 */
#include "lockcore/master_internal.h"

struct leases {
	struct master *master;
	struct moment now;
};

/* As the master counts it (W): who waits for the name has to wait so long at most. */
int64_t info_lease_end(struct master *m, uint64_t instance, struct moment now)
{
	const struct session *s = session_find(m, instance);

	return s && deadline_is_set(&s->expiry) && s->expiry.at_ns > now.boot_ns
		       ? s->expiry.at_ns
		       : now.boot_ns; /* it is dying */
}

static int64_t lease_end(void *arg, uint64_t client)
{
	const struct leases *l = arg;

	return info_lease_end(l->master, client, l->now);
}

const char *info_node(struct master *m, uint64_t instance)
{
	const struct session *s = session_find(m, instance);

	return s ? s->node : "";
}

static void name_nodes(struct master *m, struct table_info *info)
{
	for (size_t i = 0; i < info->holder_count; i++)
		info->holders[i].node = info_node(m, info->holders[i].session);
}

enum status info_get(struct master *m, const struct session *s, const struct message *msg,
		     struct moment now, struct table_info *info, struct message *r)
{
	struct leases leases = {m, now};
	enum status status = table_info(m->table, msg->ino, s->instance, msg->pid, info);
	int64_t end_ns;

	if (status == STATUS_OK)
		status = table_getattr(m->table, msg->ino, &r->attr);
	if (status != STATUS_OK)
		return status;
	name_nodes(m, info);
	r->holders = info->holders;
	r->holder_count = info->holder_count;
	r->token = info->token;
	r->lock_mode = info->mode;
	r->length = info->waiting;
	r->ttl_ns = info->ttl_ns;
	r->keeper = table_keeper(m->table, msg->ino, lease_end, &leases, &end_ns);
	r->lease_ns = r->keeper && end_ns > now.boot_ns ? end_ns - now.boot_ns : 0;
	return STATUS_OK;
}

/* A repeated request finds its own work done, which is no reason to refuse it. */
enum status info_set_ttl(struct master *m, const struct message *msg, struct moment now,
			 struct attr *out)
{
	bool done = (msg->flags & MESSAGE_RETRY) && table_ttl(m->table, msg->ino) == msg->ttl_ns;

	return table_set_ttl(m->table, msg->ino, msg->ttl_ns, done ? 0 : msg->flags, msg->uid, now,
			     out);
}
