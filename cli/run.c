/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <sysexits.h>

#include "cli/commands.h"
#include "cli/front.h"

static int status_of(const struct args *a, const struct outcome *out)
{
	switch (out->ending) {
	case ENDED_NOT_HAD:
		return a->conflict;
	case ENDED_BY_SIGNAL:
		front_die(out->asked);
		return out->status;
	case ENDED_ITSELF:
	case ENDED_LOST:
	case ENDED_DECLINED:
	case ENDED_FAILED:
		break;
	}
	return out->status;
}

int command_run(const struct args *a, const struct mount *m)
{
	char *name = mount_name(m, a->name);
	struct job job = {
		.mount = m,
		.name = name,
		.argv = a->argv,
		.shared = a->shared,
		.nonblock = a->nonblock,
		.wait_ns = a->wait_ns,
	};
	struct outcome out;
	struct front f;
	int status = EX_OSERR;

	if (!name)
		return EX_NOINPUT;
	if (front_open(&f)) {
		front_run(&f, &job, &out);
		status = status_of(a, &out);
		front_close(&f);
	}
	free(name);
	return status;
}
