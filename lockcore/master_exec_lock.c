/* SPDX-License-Identifier: MIT */
/* Requests of a session for locks, and about who holds what, to the table. */
#include "lockcore/master_internal.h"

struct table_want exec_want(const struct session *s, const struct message *msg)
{
	return (struct table_want){
		.client = s->instance,
		.req = msg->req,
		.ino = msg->ino,
		.handle = msg->handle,
		.owner = msg->owner,
		.kind = msg->lock_kind,
		.mode = msg->lock_mode,
		.start = msg->start,
		.end = msg->end,
		.wait = (msg->flags & LOCK_WAIT) != 0,
		.pid = msg->pid,
		.uid = msg->uid,
		.command = msg->command,
	};
}

static void exec_lock(struct master *m, struct session *s, const struct message *msg,
		      struct moment now)
{
	struct table_want want = exec_want(s, msg);
	struct table_got got;
	struct message r = {0};
	enum status status;

	want.since_ns = now.boot_ns;
	status = table_lock(m->table, &want, &got);

	if (status == STATUS_OK && got.queued) {
		r.kind = MESSAGE_QUEUED;
		r.req = msg->req;
		r.ticket = got.ticket;
		session_push(m, s, &r);
		return; /* the reply comes with the grant */
	}
	r.token = got.token;
	r.age_ns = moment_age_since(got.since_ns, now.boot_ns);
	exec_reply(m, s, msg, &r, status);
}

static void exec_testlock(struct master *m, struct session *s, const struct message *msg)
{
	struct table_want want = exec_want(s, msg);
	struct table_holder holder = {0};
	struct message r = {0};
	enum status status = table_test_lock(m->table, &want, &holder);

	r.lock_mode = holder.mode;
	r.start = holder.start;
	r.end = holder.end;
	/* A process number means something on its own node only (contract 5.1). */
	r.pid = holder.client == s->instance ? holder.pid : 0;
	exec_reply(m, s, msg, &r, status);
}

static void exec_getinfo(struct master *m, struct session *s, const struct message *msg,
			 struct moment now)
{
	struct table_info info;
	struct message r = {0};
	enum status status = info_get(m, s, msg, now, &info, &r);

	exec_reply(m, s, msg, &r, status);
}

static void exec_survey(struct master *m, struct session *s, const struct message *msg,
			struct moment now)
{
	struct table_survey survey;
	struct message r = {0};
	enum status status = survey_page(m, msg, now, &survey, &r);

	exec_reply(m, s, msg, &r, status);
}

/* Whoever waits to hear what became of the request hears that it waited until now. */
static void exec_cancel(struct master *m, struct session *s, const struct message *msg)
{
	struct message r = {
		.kind = MESSAGE_REPLY,
		.req = msg->target,
		.status = STATUS_INTERRUPTED,
	};

	if (table_cancel(m->table, s->instance, msg->target))
		session_push(m, s, &r);
}

static void exec_watch(struct master *m, struct session *s, const struct message *msg)
{
	struct message r = {0};

	feed_watch(m, s, (msg->flags & WATCH_CHANGES) != 0);
	exec_reply(m, s, msg, &r, STATUS_OK);
}

void exec_lock_request(struct master *m, struct session *s, const struct message *msg,
		       struct moment now)
{
	switch (msg->kind) {
	case MESSAGE_GETINFO:
		exec_getinfo(m, s, msg, now);
		break;
	case MESSAGE_WATCH:
		exec_watch(m, s, msg);
		break;
	case MESSAGE_BREAK:
		break_request(m, s, msg, now);
		break;
	case MESSAGE_REVOKED:
		break_revoked(m, s, msg);
		break;
	case MESSAGE_SURVEY:
		exec_survey(m, s, msg, now);
		break;
	case MESSAGE_LOCK:
		exec_lock(m, s, msg, now);
		break;
	case MESSAGE_TESTLOCK:
		exec_testlock(m, s, msg);
		break;
	case MESSAGE_CANCEL:
		exec_cancel(m, s, msg);
		break;
	default:
		break; /* no request: dropped */
	}
}
