/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "story.h"

static bool all_open(struct sim *s, void *arg)
{
	for (size_t i = 0; i < s->config.nodes; i++)
		if (!node_is_open(s->nodes[i].node))
			return false;
	return true;
}

struct sim *story_begin_with(struct sim_config config)
{
	struct sim *s;

	if (!config.masters)
		config.masters = 1;
	config.trace = getenv("SIM_TRACE") != NULL;
	config.exclusive_store = config.masters == 1;
	if (!config.lease_ns)
		config.lease_ns = STORY_LEASE_NS;
	config.leader_lease_ns = MASTER_LEADER_LEASE_DEFAULT_NS;
	config.idle_ns = STORY_IDLE_NS;
	s = sim_new(&config);
	s->hold_ns = STORY_HOP_NS;
	for (size_t i = 0; i < config.masters; i++)
		sim_start_master(s, i);
	for (size_t i = 0; i < config.nodes; i++)
		sim_start_node(s, i);
	sim_run_until(s, all_open, NULL, NS_PER_SEC);
	return s;
}

struct sim *story_begin(size_t nodes)
{
	struct sim *s = story_begin_with((struct sim_config){.nodes = nodes, .seed = 1});

	assert_true(all_open(s, NULL));
	return s;
}

void story_end(struct sim *s)
{
	for (size_t i = 0; i < s->config.masters; i++)
		if (s->masters[i].master && master_table(s->masters[i].master))
			table_check(master_table(s->masters[i].master));
	sim_free(s);
}

/* ---- Requests ---- */

static bool is_answered(struct sim *s, void *arg)
{
	return ((struct request *)arg)->answered;
}

struct request *story_wait(struct sim *s, struct request *r, int64_t ns)
{
	sim_run_until(s, is_answered, r, ns);
	assert_true(r->answered);
	return r;
}

struct request *story_ask(struct sim *s, size_t node, const struct message *m)
{
	return story_wait(s, request_submit(s, node, m, NULL), 60 * NS_PER_SEC);
}

enum status story_status(struct sim *s, size_t node, const struct message *m)
{
	return story_ask(s, node, m)->status;
}

struct opened story_make(struct sim *s, size_t node, const char *name, uint32_t flags)
{
	struct message m = {.kind = MESSAGE_CREATE,
			    .parent = ROOT_INO,
			    .name = name,
			    .flags = flags,
			    .mode = 0644};
	struct request *r = story_ask(s, node, &m);

	assert_int_equal(r->status, STATUS_OK);
	return (struct opened){node, r->reply->attr.ino, r->handle, r->reply->links[0].token};
}

enum status story_lookup(struct sim *s, size_t node, const char *name)
{
	struct message m = {.kind = MESSAGE_LOOKUP, .parent = ROOT_INO, .name = name};

	return story_status(s, node, &m);
}

enum status story_unlink(struct sim *s, size_t node, const char *name)
{
	struct message m = {.kind = MESSAGE_UNLINK, .parent = ROOT_INO, .name = name};

	return story_status(s, node, &m);
}

enum status story_write(struct sim *s, const struct opened *f, const char *text)
{
	struct message m = {.kind = MESSAGE_WRITE,
			    .ino = f->ino,
			    .handle = f->handle,
			    .data = text,
			    .data_len = strlen(text)};

	return story_status(s, f->node, &m);
}

void story_reads(struct sim *s, const struct opened *f, const char *text)
{
	struct message m = {.kind = MESSAGE_READ, .ino = f->ino, .handle = f->handle, .length = 99};
	struct request *r = story_ask(s, f->node, &m);

	assert_int_equal(r->status, STATUS_OK);
	assert_int_equal(r->reply->data_len, strlen(text));
	if (*text)
		assert_memory_equal(r->reply->data, text, strlen(text));
}

struct request *story_flock(struct sim *s, const struct opened *f, enum lock_mode mode, bool wait)
{
	struct message m = {.kind = MESSAGE_LOCK,
			    .ino = f->ino,
			    .handle = f->handle,
			    .lock_mode = mode,
			    .end = RANGE_END,
			    .flags = wait ? LOCK_WAIT : 0};

	history_release(s, f->node, f->handle, false);
	return request_submit(s, f->node, &m, NULL);
}

uint64_t story_lock(struct sim *s, const struct opened *f)
{
	struct request *r = story_wait(s, story_flock(s, f, LOCK_EXCLUSIVE, false), NS_PER_SEC);

	assert_int_equal(r->status, STATUS_OK);
	return r->reply->token;
}

void story_unlock(struct sim *s, const struct opened *f)
{
	story_flock(s, f, LOCK_NONE, false);
}

void story_close(struct sim *s, const struct opened *f)
{
	history_release(s, f->node, f->handle, true);
	node_close(s->nodes[f->node].node, f->handle, machine_now(s, f->node));
	sim_node_loop(s, f->node);
}

/* ---- Trouble ---- */

void story_cut(struct sim *s, size_t node, bool to_master, bool to_node)
{
	s->links[node][0].blocked[0] = to_master;
	s->links[node][0].blocked[1] = to_node;
}

void story_restart(struct sim *s)
{
	sim_crash_master(s, 0);
	sim_start_master(s, 0);
}

static bool serves(struct sim *s, void *arg)
{
	return master_is_serving(s->masters[0].master);
}

void story_grace_over(struct sim *s)
{
	assert_true(sim_run_until(s, serves, NULL, 30 * NS_PER_SEC));
}
