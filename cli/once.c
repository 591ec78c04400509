/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/control.h"
#include "cli/entry.h"
#include "cli/front.h"
#include "cli/period.h"
#include "cli/record.h"
#include "cli/say.h"
#include "cli/text.h"

struct once {
	const struct args *args;
	const char *name;
	char node[RECORD_NODE_BYTES];
	time_t began; /* of CMD */
};

static bool has_run(const struct once *o, const struct mount *m, struct record *r, time_t *ends)
{
	time_t begins;

	period_at(o->args->period_s, time(NULL), &begins, ends);
	return record_find(m, o->name, begins, r);
}

/* ---- With the lock ---- */

static bool still_to_do(const struct job *job)
{
	struct once *o = job->data;
	struct record r;
	time_t ends;

	o->began = time(NULL);
	return !has_run(o, job->mount, &r, &ends);
}

/* The period is that in which CMD began. */
static bool note(const struct job *job)
{
	struct once *o = job->data;
	struct record r = {.pid = getpid(), .began = o->began};
	time_t begins, ends;

	r.took = difftime(time(NULL), o->began);
	strcpy(r.node, o->node);
	period_at(o->args->period_s, o->began, &begins, &ends);
	if (record_keep(job->mount, o->name, &r, o->node, ends))
		return true;
	say_error("%s: %s has run, but that cannot be kept: %s.once: %s", o->name, job->argv[0],
		  o->name, strerror(errno));
	return false;
}

/* ---- What others did ---- */

/* That this node keeps it too is for the case that the others go, and nothing that must be. */
static void tell_has_run(const struct once *o, const struct mount *m, const struct record *r,
			 time_t ends)
{
	char at[sizeof("1970-01-01 00:00:00")], took[TEXT_SPAN_BYTES];
	char *name = text_escape(o->name, strlen(o->name), TEXT_LINE);
	char *node = text_escape(r->node, strlen(r->node), TEXT_LINE);
	struct tm tm;

	if (strcmp(r->node, o->node) != 0)
		record_keep(m, o->name, r, o->node, ends);
	strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S", localtime_r(&r->began, &tm));
	text_span(took, r->took);
	if (!o->args->quiet)
		printf("%s: ran on node %s at %s, in %s\n", name, node, at, took);
	free(name);
	free(node);
}

static void tell_runs(const struct once *o, const json_t *lock)
{
	char *name = text_escape(o->name, strlen(o->name), TEXT_LINE), *node;
	char age[TEXT_SPAN_BYTES];

	node = entry_word(lock, "node");
	text_span(age, entry_real(lock, "age"));
	printf("%s: runs on node %s for %s (pid %lld)\n", name, node, age,
	       entry_number(lock, "pid"));
	free(name);
	free(node);
}

/* Whoever had the lock a moment ago has run it, or was looking whether to. */
static int had_by_other(const struct once *o, const struct mount *m)
{
	json_t *all = o->args->quiet ? NULL : control_locks_of(m, o->name);
	const json_t *lock = json_array_get(json_object_get(all, "locks"), 0);
	struct record r;
	time_t ends;

	if (has_run(o, m, &r, &ends))
		tell_has_run(o, m, &r, ends);
	else if (lock)
		tell_runs(o, lock);
	else if (!o->args->quiet)
		printf("%s: somebody else was at it\n", o->name);
	json_decref(all);
	return 0;
}

/* ---- The command ---- */

static int run(struct once *o, const struct mount *m)
{
	struct job job = {
		.mount = m,
		.name = o->name,
		.argv = o->args->argv,
		.nonblock = true,
		.before = still_to_do,
		.after = note,
		.data = o,
	};
	struct outcome out;
	struct front f;

	if (!front_open(&f))
		return EX_OSERR;
	front_run(&f, &job, &out);
	if (out.ending == ENDED_BY_SIGNAL)
		front_die(out.asked);
	front_close(&f);
	if (out.ending == ENDED_NOT_HAD || out.ending == ENDED_DECLINED)
		return had_by_other(o, m);
	return out.status;
}

int command_once(const struct args *a, const struct mount *m)
{
	char *name = mount_name(m, a->name);
	struct once o = {.args = a, .name = name};
	struct record r;
	time_t ends;
	int status = EX_OSERR;

	if (!name)
		return EX_NOINPUT;
	if (record_node(m, o.node)) {
		if (has_run(&o, m, &r, &ends)) {
			tell_has_run(&o, m, &r, ends);
			status = 0;
		} else {
			status = run(&o, m);
		}
	}
	free(name);
	return status;
}
