/* SPDX-License-Identifier: MIT */
/*
 * Service: what systemd is told of this master (sd_notify(3)): that it is ready, which is once it
 * serves or stands by; what it is to the cluster, in a line that systemctl status shows; and that it
 * ends. Where nobody has asked to be told (NOTIFY_SOCKET) nothing happens.
 */
#ifndef MASTER_SERVICE_H
#define MASTER_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "lockcore/master.h"

struct service {
	bool told, ready;
	enum master_role role; /* as told last */
	uint64_t epoch;
};

/* Fine to call at every turn of the loop: only changes are told. */
void service_tell(struct service *s, enum master_role role, uint64_t epoch);

#endif
