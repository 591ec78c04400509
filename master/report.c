/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "master/report.h"
#include "transport/log.h"
#include "transport/loop.h"

/* A node that is refused asks again four times a second. After a rest it is another refusal. */
#define REFUSED_REST_NS (10 * NS_PER_SEC)

/* A store in trouble is asked five times a second, and may say something else each time; one that
 * is half well succeeds in between. */
#define TROUBLE_EVERY_NS (10 * NS_PER_SEC)

void report_init(struct report *r, const char *name)
{
	*r = (struct report){.name = name};
}

/* An address without its port, which changes with every connection. */
static void peer_host(struct endpoint *e, uint32_t peer, char *host, size_t len)
{
	char *colon;

	endpoint_peer_name(e, peer, host, len);
	colon = strrchr(host, ':');
	if (colon)
		*colon = '\0';
}

static bool seen(struct report *r, const char *host)
{
	for (size_t i = 0; i < REPORT_PEERS_MAX; i++)
		if (!strcmp(r->peers[i], host))
			return true;
	snprintf(r->peers[r->peer_next], REPORT_NAME_BYTES, "%s", host);
	r->peer_next = (r->peer_next + 1) % REPORT_PEERS_MAX;
	return false;
}

void report_dropped(struct report *r, struct endpoint *e, uint32_t peer, const char *why)
{
	char host[REPORT_NAME_BYTES];

	r->dropped++;
	peer_host(e, peer, host, sizeof(host));
	if (!seen(r, host) && log_allows(&r->troubles, loop_now().boot_ns))
		log_warning("%s: dropped what %s sent: %s (further ones are only counted; "
			    "%" PRIu64 " so far)",
			    r->name, host, why, r->dropped);
}

static void report_trouble(struct report *r, const char *text)
{
	int64_t now = loop_now().boot_ns;

	r->trouble_ns = now;
	if (!strcmp(r->trouble, text) || (*r->trouble && now < r->said_ns + TROUBLE_EVERY_NS))
		return;
	r->said_ns = now;
	snprintf(r->trouble, sizeof(r->trouble), "%s", text);
	log_warning("%s: the store does not answer as it should: %s; trying again", r->name, text);
}

void report_store_well(struct report *r)
{
	if (!*r->trouble || loop_now().boot_ns < r->trouble_ns + TROUBLE_EVERY_NS)
		return;
	*r->trouble = '\0';
	log_info("%s: the store answers again", r->name);
}

/* Was it said of this node already? */
static bool refused_before(struct report *r, const char *node, int64_t now_ns)
{
	struct report_refused *last = NULL;
	bool before;

	for (size_t i = 0; i < REPORT_REFUSED_MAX && !last; i++)
		if (!strcmp(r->refused[i].node, node))
			last = &r->refused[i];
	before = last && now_ns < last->asked_ns + REFUSED_REST_NS;
	if (!last) {
		last = &r->refused[r->refused_next];
		r->refused_next = (r->refused_next + 1) % REPORT_REFUSED_MAX;
		strcpy(last->node, node);
	}
	last->asked_ns = now_ns;
	return before;
}

static void report_taken(struct report *r, const struct master_event *event)
{
	int64_t now = loop_now().boot_ns;

	if (refused_before(r, event->node, now) || !log_allows(&r->troubles, now))
		return;
	log_warning(
		"%s: node %s asks for a session while its earlier one lives; it has to wait for "
		"that one's lease, or it has a name that another host uses (node=)",
		r->name, event->node);
}

void report_role(struct report *r, enum master_role role, uint64_t epoch)
{
	if (role != MASTER_ROLE_STANDS_BY || epoch == r->other_epoch)
		return;
	r->other_epoch = epoch;
	log_info("%s: stands by for the master that leads in epoch %" PRIu64, r->name, epoch);
}

void report_ending(struct report *r)
{
	r->ending = true;
}

/* Of a node that comes or goes, as it should. */
static void report_coming(struct report *r, const struct master_event *event, const char *what)
{
	if (log_allows(&r->comings, loop_now().boot_ns))
		log_info("%s: node %s %s", r->name, event->node, what);
}

void report_event(struct report *r, struct endpoint *e, const struct master_event *event)
{
	int64_t now = loop_now().boot_ns;

	switch (event->kind) {
	case MASTER_EVENT_LEADING:
		r->trouble[0] = '\0';
		r->other_epoch = 0;
		log_info("%s: leads in epoch %" PRIu64 "; grace for %zu sessions to reclaim",
			 r->name, event->epoch, event->count);
		break;
	case MASTER_EVENT_GRACE_OVER:
		if (event->count)
			log_error("%s: %zu names could not be restored", r->name, event->count);
		log_info("%s: grace is over, serving", r->name);
		break;
	case MASTER_EVENT_STEPPED_DOWN:
		log_line(r->ending ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "%s: no longer leads: %s",
			 r->name, event->text);
		break;
	case MASTER_EVENT_STORE_TROUBLE:
		report_trouble(r, event->text);
		break;
	case MASTER_EVENT_STORE_OLD:
		log_error("%s: a node has seen a later epoch than the store knows (%" PRIu64
			  "): the store was put back to an old state; going on above it",
			  r->name, event->epoch);
		break;
	case MASTER_EVENT_OPENED:
		report_coming(r, event, "has joined");
		break;
	case MASTER_EVENT_RECLAIMED:
		report_coming(r, event, "has reclaimed what it holds");
		break;
	case MASTER_EVENT_EXPIRED:
		if (log_allows(&r->troubles, now))
			log_warning("%s: node %s was silent for its lease; what it held is free",
				    r->name, event->node);
		break;
	case MASTER_EVENT_LEFT:
		report_coming(r, event, "has left");
		break;
	case MASTER_EVENT_TAKEN:
		report_taken(r, event);
		break;
	case MASTER_EVENT_RECLAIM_REFUSED:
		if (log_allows(&r->troubles, now))
			log_error(
				"%s: node %s reclaimed what it cannot have (%s); its session ends",
				r->name, event->node, event->text);
		break;
	case MASTER_EVENT_UNHEARD:
		if (log_allows(&r->troubles, now))
			log_error("%s: node %s renews its lease but takes nothing in; its session "
				  "ends",
				  r->name, event->node);
		break;
	case MASTER_EVENT_STANDS_BY:
		log_info("%s: stands by; another master leads in epoch %zu", r->name, event->count);
		break;
	case MASTER_EVENT_STRANGER:
		report_dropped(r, e, event->peer, "of a session that is unknown here");
		break;
	}
}
