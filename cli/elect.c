/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/front.h"
#include "cli/patience.h"
#include "cli/say.h"

#define NS_PER_SEC INT64_C(1000000000)
/* Who leads so long has led: what ends sooner is in trouble, and waits longer each time. */
#define STEADY_NS    (10 * NS_PER_SEC)
#define DELAY_MAX_NS (60 * NS_PER_SEC)

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

/* The mount is opened each time: its daemon may have been started again since. */
static void campaign(struct front *f, const struct args *a, struct outcome *out)
{
	struct job job = {.argv = a->argv, .wait_ns = PATIENCE_FOREVER};
	struct mount m;
	char *name;

	*out = (struct outcome){.ending = ENDED_FAILED, .status = EX_NOINPUT};
	if (!mount_open(&m, a->mount))
		return;
	name = mount_name(&m, a->name);
	job.mount = &m;
	job.name = name;
	if (name)
		front_run(f, &job, out);
	free(name);
	mount_close(&m);
}

/* A mount that hangs or goes may come back; a name that cannot be, at the start, is a mistake. */
static bool is_over(const struct outcome *out, bool first)
{
	return out->asked || (first && out->ending == ENDED_FAILED &&
			      (out->status == EX_NOINPUT || out->status == EX_UNAVAILABLE));
}

static void tell(const struct args *a, const struct outcome *out, int64_t delay_ns)
{
	if (out->ending == ENDED_ITSELF)
		say_error("%s: %s ended with status %d; it stands again%s", a->name, a->argv[0],
			  out->status, delay_ns ? " after a while" : "");
}

int command_elect(const struct args *a, const struct mount *m)
{
	struct outcome out;
	struct front f;
	int64_t delay_ns = 0, began_ns;

	(void)m;
	if (!front_open(&f))
		return EX_OSERR;
	for (bool first = true;; first = false) {
		began_ns = now_ns();
		campaign(&f, a, &out);
		if (is_over(&out, first))
			break;
		if (now_ns() - began_ns >= STEADY_NS)
			delay_ns = 0;
		else
			delay_ns = delay_ns ? delay_ns * 2 : NS_PER_SEC;
		delay_ns = delay_ns < DELAY_MAX_NS ? delay_ns : DELAY_MAX_NS;
		tell(a, &out, delay_ns);
		out.asked = delay_ns ? front_pause(&f, delay_ns) : 0;
		if (out.asked) {
			out.ending = ENDED_BY_SIGNAL;
			out.status = 128 + out.asked;
			break;
		}
	}
	if (out.ending == ENDED_BY_SIGNAL)
		front_die(out.asked);
	front_close(&f);
	return out.status;
}
