/* SPDX-License-Identifier: MIT */
#include "master/service.h"

#include <inttypes.h>

#include <systemd/sd-daemon.h>

static void tell(struct service *s, const char *status, uint64_t epoch, bool ready)
{
	bool first = ready && !s->ready;

	s->ready |= ready;
	sd_notifyf(0, "%sSTATUS=%s (epoch %" PRIu64 ")", first ? "READY=1\n" : "", status, epoch);
}

void service_tell(struct service *s, enum master_role role, uint64_t epoch)
{
	if (s->told && role == s->role && epoch == s->epoch)
		return;
	s->told = true;
	s->role = role;
	s->epoch = epoch;
	switch (role) {
	case MASTER_ROLE_WAITS:
		sd_notify(0, "STATUS=waits for the store");
		break;
	case MASTER_ROLE_STANDS_BY:
		tell(s, "stands by", epoch, true);
		break;
	case MASTER_ROLE_RESTORES:
		tell(s, "grace: nodes reclaim what they hold", epoch, false);
		break;
	case MASTER_ROLE_LEADS:
		tell(s, "leads", epoch, true);
		break;
	case MASTER_ROLE_ENDS:
		sd_notify(0, "STOPPING=1\nSTATUS=hands over");
		break;
	}
}
