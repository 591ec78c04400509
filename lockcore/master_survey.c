/* SPDX-License-Identifier: MIT */
/*
 * All locks, held names and waiters, a page at a time: the table knows clients, and here they get their
 * nodes' names and the rest of their leases.
 */
#include "lockcore/master_internal.h"

/* What is left of the lease, if that is less than of a time-to-live. A waiter has neither. */
static void set_left(struct master *m, struct surveyed *found, struct moment now)
{
	int64_t lease_ns = info_lease_end(m, found->session, now) - now.boot_ns;

	if (found->ticket)
		found->left_ns = 0;
	else if (found->left_ns > lease_ns) {
		found->left_ns = lease_ns;
		found->flags &= ~SURVEYED_TTL;
	}
}

enum status survey_page(struct master *m, const struct message *msg, struct moment now,
			struct table_survey *survey, struct message *r)
{
	struct table_cursor from = {(uint64_t)msg->start, msg->target, msg->ticket};
	enum status status = table_survey(m->table, msg->ino, from, survey);

	if (status != STATUS_OK)
		return status;
	for (size_t i = 0; i < survey->count; i++) {
		survey->found[i].node = info_node(m, survey->found[i].session);
		set_left(m, &survey->found[i], now);
	}
	r->surveyed = survey->found;
	r->surveyed_count = survey->count;
	r->epoch = m->epoch;
	r->flags = survey->end ? REPLY_END : 0;
	r->start = (int64_t)survey->next.place;
	r->target = survey->next.range;
	r->ticket = survey->next.ticket;
	return STATUS_OK;
}
