/* SPDX-License-Identifier: MIT */
/*
 * Programs: each runs plans, one after the other; a plan is a few calls on one file, as a script or
 * a daemon would make them. Names that begin with
 *	e  are lock files: made with O_EXCL, removed by their maker alone
 *	f  are locked with flock or fcntl, and never removed
 *	k  are locked with flock, and removed meanwhile: the lock belongs to the name
 *	t  are made and removed by anyone
 *	d  are directories, made and removed by their maker
 *	l  are further names of t's: locks by link(2)
 *	m  are moved onto each other
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define THINK_MAX_NS   (400 * NS_PER_MS)
#define HOLD_MAX_NS    (3 * NS_PER_SEC)
#define LONG_MAX_NS    (20 * NS_PER_SEC)
#define PLAN_MAX       8
#define BREAKING_PLANS 5
#define RANGES_FROM    2 /* where a plan's first range is asked for */

#define SURVEY_SEEDS   4 /* in one of so many histories, */
#define SURVEY_ANSWERS 8 /* after one of so many answers */

enum act {
	ACT_END,
	ACT_MAKE_EXCL,
	ACT_MAKE,
	ACT_OPEN, /* what LOOKUP found */
	ACT_LOOKUP,
	ACT_SHARED,
	ACT_EXCLUSIVE,
	ACT_RANGE,
	ACT_UNLOCK,
	ACT_WRITE,
	ACT_APPEND,
	ACT_READ,
	ACT_TOUCH,
	ACT_UNLINK,
	ACT_LIST,
	ACT_INFO,  /* who holds it? */
	ACT_BREAK, /* take it away from him */
	ACT_MKDIR,
	ACT_RMDIR,
	ACT_LINK,	 /* as the l of the same number */
	ACT_UNLINK_LINK, /* and that name again */
	ACT_MOVE,	 /* to another m; whether one is replaced, or it fails, is chance */
	ACT_HOLD,	 /* just wait */
	ACT_LONG,	 /* for longer than a lease, it may be */
};

static const struct plan {
	char sort;
	unsigned char acts[PLAN_MAX];
} plans[] = {
	{'e', {ACT_MAKE_EXCL, ACT_WRITE, ACT_HOLD, ACT_READ, ACT_UNLINK}},
	{'e', {ACT_MAKE_EXCL, ACT_HOLD, ACT_UNLINK}},
	{'e', {ACT_LOOKUP, ACT_OPEN, ACT_READ}},
	{'e', {ACT_LOOKUP, ACT_OPEN, ACT_LONG}},
	{'f', {ACT_MAKE, ACT_EXCLUSIVE, ACT_HOLD}},
	{'f', {ACT_MAKE, ACT_EXCLUSIVE, ACT_READ, ACT_WRITE, ACT_HOLD, ACT_UNLOCK, ACT_HOLD}},
	{'f', {ACT_MAKE, ACT_SHARED, ACT_HOLD, ACT_EXCLUSIVE, ACT_HOLD}},
	{'f', {ACT_MAKE, ACT_SHARED, ACT_READ, ACT_HOLD}},
	{'f', {ACT_MAKE, ACT_EXCLUSIVE, ACT_LONG, ACT_WRITE}},
	{'f', {ACT_MAKE, ACT_RANGE, ACT_RANGE, ACT_HOLD, ACT_RANGE}},
	{'f', {ACT_LOOKUP, ACT_TOUCH, ACT_LIST}},
	{'f', {ACT_MAKE, ACT_INFO, ACT_EXCLUSIVE, ACT_INFO, ACT_HOLD, ACT_INFO}},
	{'f', {ACT_MAKE, ACT_SHARED, ACT_INFO, ACT_HOLD, ACT_INFO}},
	{'k', {ACT_MAKE, ACT_EXCLUSIVE, ACT_HOLD}},
	{'k', {ACT_MAKE, ACT_EXCLUSIVE, ACT_UNLINK, ACT_HOLD}},
	{'k', {ACT_MAKE, ACT_SHARED, ACT_HOLD, ACT_UNLINK}},
	{'t', {ACT_MAKE, ACT_WRITE, ACT_READ, ACT_WRITE}},
	{'t', {ACT_MAKE, ACT_WRITE, ACT_UNLINK, ACT_READ, ACT_HOLD}},
	{'t', {ACT_LOOKUP, ACT_OPEN, ACT_READ, ACT_WRITE}},
	{'t', {ACT_LOOKUP, ACT_UNLINK, ACT_LOOKUP}},
	{'t', {ACT_LOOKUP, ACT_TOUCH, ACT_LOOKUP}},
	{'t', {ACT_MAKE, ACT_LINK, ACT_HOLD, ACT_UNLINK_LINK}},
	{'l', {ACT_LOOKUP, ACT_OPEN, ACT_READ}},
	{'d', {ACT_MKDIR, ACT_LOOKUP, ACT_HOLD, ACT_RMDIR}},
	{'d', {ACT_LOOKUP, ACT_LIST}},
	{'m', {ACT_MAKE, ACT_WRITE, ACT_MOVE, ACT_HOLD, ACT_UNLINK}},
	{'m', {ACT_LOOKUP, ACT_MOVE, ACT_LOOKUP}},
	/* BREAKING_PLANS of them: not in every history, as they make the others short. */
	{'e', {ACT_LOOKUP, ACT_INFO, ACT_BREAK, ACT_LOOKUP}},
	{'f', {ACT_LOOKUP, ACT_INFO, ACT_BREAK, ACT_INFO, ACT_BREAK}},
	{'k', {ACT_MAKE, ACT_INFO, ACT_BREAK, ACT_EXCLUSIVE, ACT_INFO, ACT_BREAK}},
	{'l', {ACT_LOOKUP, ACT_INFO, ACT_BREAK}},
	{'d', {ACT_LOOKUP, ACT_INFO, ACT_BREAK}},
};

struct program {
	size_t node;
	uint32_t pid;
	const struct plan *plan;
	size_t at;
	char name[8], other[8];
	uint64_t ino;
	uint64_t handle;
	struct request *request; /* under way */
	uint64_t token;		 /* of its lock in the plan, 0: none */
	uint64_t token_instance; /* of the session that has it */
	uint64_t told;		 /* the token that INFO told */
	bool made;		 /* a lock file that is still to be removed */
	bool idle;
	uint64_t writes;
};

static void next_act(struct sim *s, struct event *e);

static void act_later(struct sim *s, struct program *p, int64_t delay_ns)
{
	struct program **cell = malloc(sizeof(struct program *));

	assert(cell);
	*cell = p;
	sim_at(s, delay_ns, machine_of_node(p->node), next_act, cell);
}

/* ---- Plans ---- */

static void finish_plan(struct sim *s, struct program *p)
{
	if (p->handle) {
		history_release(s, p->node, p->handle, true);
		sim_in_core = s;
		node_close(s->nodes[p->node].node, p->handle, machine_now(s, p->node));
		sim_in_core = NULL;
		sim_trace(s, "node %zu closes %lu", p->node, (unsigned long)p->handle);
		sim_node_loop(s, p->node);
	}
	p->handle = p->ino = p->token = p->told = 0;
	p->made = false;
	p->plan = NULL;
	if (s->programs_stop)
		p->idle = true;
	else
		act_later(s, p, (int64_t)sim_below(s, 2 * THINK_MAX_NS));
}

static void choose_plan(struct sim *s, struct program *p)
{
	size_t count = sizeof(plans) / sizeof(*plans) - (s->config.breaks ? 0 : BREAKING_PLANS);

	do
		p->plan = &plans[sim_below(s, count)];
	while (s->config.sorts[0] && !strchr(s->config.sorts, p->plan->sort));
	p->at = 0;
	snprintf(p->name, sizeof(p->name), "%c%d", p->plan->sort,
		 (int)sim_below(s, s->config.names));
}

static void on_signal(struct sim *s, struct event *e)
{
	struct program *p = *(struct program **)e->data;

	if (p->request)
		request_interrupt(s, p->request);
}

static void signal_later(struct sim *s, struct program *p)
{
	struct program **cell = malloc(sizeof(struct program *));

	assert(cell);
	*cell = p;
	/* Often right when a grant may be on its way, sometimes after a long wait. */
	sim_at(s, (int64_t)sim_below(s, sim_chance(s, 500) ? 5 * NS_PER_MS : 4 * NS_PER_SEC) + 1,
	       machine_of_node(p->node), on_signal, cell);
}

static void submit(struct sim *s, struct program *p, struct message *m)
{
	m->pid = p->pid;
	p->request = request_submit(s, p->node, m, p);
	if (p->request && sim_chance(s, 80))
		signal_later(s, p);
}

static void lock(struct sim *s, struct program *p, enum act act)
{
	struct message m = {
		.kind = MESSAGE_LOCK,
		.ino = p->ino,
		.handle = p->handle,
		.owner = p->pid,
		.lock_kind = LOCK_FLOCK,
		.lock_mode = act == ACT_SHARED	    ? LOCK_SHARED
			     : act == ACT_EXCLUSIVE ? LOCK_EXCLUSIVE
						    : LOCK_NONE,
		.end = RANGE_END,
		.flags = sim_chance(s, 700) ? LOCK_WAIT : 0,
	};

	if (act == ACT_RANGE) {
		m.lock_kind = LOCK_RANGE;
		m.lock_mode = (enum lock_mode)sim_below(s, 3);
		m.start = (int64_t)sim_below(s, 6);
		m.end = m.start + (int64_t)sim_below(s, 6);
		if (p->at > RANGES_FROM) /* two who wait for each other's would wait for ever */
			m.flags = 0;
	}
	/* A flock that is converted is given up first; a range may be given up in part. */
	history_release(s, p->node, p->handle, false);
	submit(s, p, &m);
}

static void write_some(struct sim *s, struct program *p, bool append)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%02zu.%06u.%06u", p->node, p->pid % 1000000,
			   (unsigned)(++p->writes % 1000000));

	submit(s, p,
	       &(struct message){
		       .kind = MESSAGE_WRITE,
		       .ino = p->ino,
		       .handle = p->handle,
		       .flags = append ? OPEN_APPEND : 0,
		       .data = text,
		       .data_len = (size_t)len,
	       });
}

static void make(struct sim *s, struct program *p, uint32_t flags)
{
	submit(s, p,
	       &(struct message){
		       .kind = MESSAGE_CREATE,
		       .parent = ROOT_INO,
		       .name = p->name,
		       .flags = flags,
		       .mode = 0644,
	       });
}

static void move(struct sim *s, struct program *p)
{
	snprintf(p->other, sizeof(p->other), "m%d", (int)sim_below(s, s->config.names));
	submit(s, p,
	       &(struct message){
		       .kind = MESSAGE_RENAME,
		       .parent = ROOT_INO,
		       .name = p->name,
		       .target = ROOT_INO,
		       .name2 = p->other,
		       .flags = sim_chance(s, 500) ? MOVE_NOREPLACE : 0,
	       });
}

/* Directories and links, whose names alone matter. */
static void act_on_names(struct sim *s, struct program *p, enum act act)
{
	struct message m = {.kind = MESSAGE_UNLINK, .parent = ROOT_INO, .name = p->name};

	switch (act) {
	case ACT_MKDIR:
		m.kind = MESSAGE_MKDIR;
		m.mode = 0755;
		break;
	case ACT_RMDIR:
		m.handle = p->handle;
		m.flags = UNLINK_DIR;
		break;
	case ACT_UNLINK:
		/* With the handle, so that the lock file of a successor is left alone. */
		m.handle = p->handle;
		p->made = false;
		if (p->plan->sort == 'e')
			history_release(s, p->node, p->handle, false);
		break;
	default: /* ACT_LINK, ACT_UNLINK_LINK */
		snprintf(p->other, sizeof(p->other), "l%s", p->name + 1);
		m.kind = act == ACT_LINK ? MESSAGE_LINK : MESSAGE_UNLINK;
		m.ino = p->ino;
		m.handle = p->handle;
		m.name = p->other;
		break;
	}
	submit(s, p, &m);
}

static void act(struct sim *s, struct program *p, enum act act)
{
	struct message m = {
		.ino = p->ino, .handle = p->handle, .parent = ROOT_INO, .name = p->name};

	switch (act) {
	case ACT_MAKE_EXCL:
	case ACT_MAKE:
		make(s, p, act == ACT_MAKE_EXCL ? OPEN_EXCL : 0);
		return;
	case ACT_SHARED:
	case ACT_EXCLUSIVE:
	case ACT_RANGE:
	case ACT_UNLOCK:
		lock(s, p, act);
		return;
	case ACT_WRITE:
	case ACT_APPEND:
		write_some(s, p, act == ACT_APPEND);
		return;
	case ACT_MKDIR:
	case ACT_RMDIR:
	case ACT_UNLINK:
	case ACT_LINK:
	case ACT_UNLINK_LINK:
		act_on_names(s, p, act);
		return;
	case ACT_MOVE:
		move(s, p);
		return;
	case ACT_LOOKUP:
		m.kind = MESSAGE_LOOKUP;
		m.handle = 0;
		break;
	case ACT_OPEN:
		m.kind = MESSAGE_OPEN;
		m.handle = 0;
		break;
	case ACT_READ:
		m.kind = MESSAGE_READ;
		m.length = CONTENT_MAX_BYTES;
		break;
	case ACT_TOUCH:
		m.kind = MESSAGE_SETATTR;
		m.set = SET_MTIME | SET_MTIME_NOW;
		break;
	case ACT_LIST:
		m.kind = MESSAGE_READDIR;
		m.ino = ROOT_INO;
		m.handle = 0;
		break;
	case ACT_INFO:
		m.kind = MESSAGE_GETINFO;
		break;
	case ACT_BREAK:
		m = (struct message){.kind = MESSAGE_BREAK, .token = p->told ? p->told : 1};
		break;
	case ACT_HOLD:
	case ACT_LONG:
	case ACT_END:
		return;
	}
	submit(s, p, &m);
}

/* In peace nobody keeps the others waiting. */
static int64_t hold_time(struct sim *s, enum act act)
{
	int64_t most = act == ACT_LONG ? LONG_MAX_NS : HOLD_MAX_NS;

	return (int64_t)sim_below(s, (uint64_t)(s->programs_stop ? THINK_MAX_NS : most));
}

static void next_act(struct sim *s, struct event *e)
{
	struct program *p = *(struct program **)e->data;
	enum act now;

	if (!p->plan && s->programs_stop) {
		p->idle = true;
		return;
	}
	if (!p->plan)
		choose_plan(s, p);
	now = p->at < PLAN_MAX ? (enum act)p->plan->acts[p->at++] : ACT_END;
	if (sim_chance(s, 10)) /* some die in between */
		now = ACT_END;
	if (now == ACT_END && p->made && !sim_chance(s, 20)) {
		p->at = PLAN_MAX;
		now = ACT_UNLINK;
	}
	if (now == ACT_END)
		finish_plan(s, p);
	else if (now == ACT_HOLD || now == ACT_LONG)
		act_later(s, p, hold_time(s, now));
	else
		act(s, p, now);
}

/* Who holds a lock and asks for its token is told his own (contract 5.7), as long as he believes. */
static void check_token(struct sim *s, struct program *p, const struct request *r)
{
	uint64_t instance = node_instance(s->nodes[p->node].node);

	if (r->message->kind == MESSAGE_GETINFO)
		p->told = r->reply->token;
	if (r->message->kind == MESSAGE_LOCK && r->message->lock_kind == LOCK_FLOCK) {
		p->token = r->reply->token;
		p->token_instance = instance;
	}
	if (r->message->kind == MESSAGE_GETINFO && p->token && p->token_instance == instance &&
	    r->reply->token != p->token)
		sim_fail(s, "I12: the holder of token %" PRIx64 " is told %" PRIx64, p->token,
			 r->reply->token);
	if (r->message->kind == MESSAGE_SURVEY && p->token && p->token_instance == instance &&
	    !break_has_begun(s, p->node, p->handle))
		survey_has(s, r, p->token, p->pid);
}

/*
 * In some histories programs ask in between who holds anything. The others stay as they are: a few
 * rules are missed in so few of them that there would have to be many more.
 */
static bool surveys_now(const struct sim *s, const struct request *r)
{
	return r->status == STATUS_OK && s->config.seed % SURVEY_SEEDS == 0 &&
	       s->answers % SURVEY_ANSWERS == 0 && r->message->kind != MESSAGE_SURVEY;
}

/* Whatever fails ends the plan. */
void program_answered(struct sim *s, struct program *p, struct request *r)
{
	enum status status = r->status;

	if (r->handle)
		p->handle = r->handle;
	if (r->reply && r->reply->attr.ino && r->message->kind != MESSAGE_UNLINK)
		p->ino = r->reply->attr.ino;
	p->made |= p->plan->sort == 'e' && r->message->kind == MESSAGE_CREATE && r->handle;
	if (r->message->kind == MESSAGE_BREAK)
		break_answered(s, r);
	else if (status != STATUS_OK)
		p->at = PLAN_MAX;
	else if (r->message->kind == MESSAGE_RENAME)
		memcpy(p->name, p->other, sizeof(p->name));
	else
		check_token(s, p, r);
	p->request = NULL;
	if (surveys_now(s, r))
		p->request = request_submit(
			s, p->node, &(struct message){.kind = MESSAGE_SURVEY, .pid = p->pid}, p);
	request_free(s, r);
	if (p->request)
		return;
	act_later(s, p, (int64_t)sim_below(s, sim_chance(s, 500) ? NS_PER_MS : THINK_MAX_NS) + 1);
}

/* ---- Life ---- */

void programs_start(struct sim *s, size_t node)
{
	if (s->hold_ns) /* a story has its own */
		return;
	for (size_t i = 0; i < SIM_PROGRAMS_MAX; i++) {
		struct program *p = calloc(1, sizeof(*p));

		assert(p);
		p->node = node;
		p->pid = (uint32_t)++s->instances;
		s->nodes[node].programs[i] = p;
		act_later(s, p, (int64_t)sim_below(s, THINK_MAX_NS));
	}
}

void programs_die(struct sim *s, size_t node)
{
	for (size_t i = 0; i < SIM_PROGRAMS_MAX; i++) {
		free(s->nodes[node].programs[i]);
		s->nodes[node].programs[i] = NULL;
	}
}

const char *program_file(const struct program *p)
{
	return p->name;
}

bool programs_idle(const struct sim *s)
{
	for (size_t n = 0; n < s->config.nodes; n++)
		for (size_t i = 0; i < SIM_PROGRAMS_MAX; i++)
			if (s->nodes[n].programs[i] && !s->nodes[n].programs[i]->idle)
				return false;
	return true;
}
