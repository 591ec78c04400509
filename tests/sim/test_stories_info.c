/* SPDX-License-Identifier: MIT */
/* Stories of what is known of a file: by every node, and over a master's restart. */
#include <stdlib.h>
#include <string.h>

#include "story.h"

#define HOP STORY_HOP_NS

static const struct message *info_of(struct sim *s, size_t node, uint64_t ino)
{
	struct message m = {.kind = MESSAGE_GETINFO, .ino = ino};
	struct request *r = story_ask(s, node, &m);

	assert_int_equal(r->status, STATUS_OK);
	return r->reply;
}

static struct request *lock_as(struct sim *s, const struct opened *f, const char *command)
{
	struct message m = {.kind = MESSAGE_LOCK,
			    .ino = f->ino,
			    .handle = f->handle,
			    .lock_mode = LOCK_EXCLUSIVE,
			    .end = RANGE_END,
			    .flags = LOCK_WAIT,
			    .pid = 4000 + (uint32_t)f->node,
			    .uid = 500 + (uint32_t)f->node};

	strcpy(m.command, command);
	history_release(s, f->node, f->handle, false);
	return request_submit(s, f->node, &m, NULL);
}

static void holder_is(const struct message *info, size_t node, const char *command)
{
	char name[16] = "node0";

	name[4] += (char)node;
	assert_int_equal(info->holder_count, 1);
	assert_int_equal(info->lock_mode, LOCK_EXCLUSIVE);
	assert_int_equal(info->holders[0].pid, 4000 + node);
	assert_int_equal(info->holders[0].uid, 500 + node);
	assert_string_equal(info->holders[0].command, command);
	assert_string_equal(info->holders[0].node, name);
}

/* Acquired at this moment, but for the time that messages take. */
static void is_as_old(const struct sim *s, const struct message *info, int64_t since_ns)
{
	assert_in_range(info->holders[0].age_ns + 4 * HOP, s->now - since_ns,
			s->now - since_ns + 8 * HOP);
}

/* The holder, and the waiter who becomes it. */
static void test_restart_forgets_who_holds(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f[2] = {story_make(s, 0, "f", 0), story_make(s, 1, "f", 0)};
	struct request *wait;
	const struct message *info;
	uint64_t token;
	int64_t locked_ns, granted_ns;

	assert_int_equal(story_wait(s, lock_as(s, &f[0], "first"), 3 * HOP)->status, STATUS_OK);
	locked_ns = s->now;
	wait = lock_as(s, &f[1], "second");
	info = info_of(s, 1, f[0].ino);
	holder_is(info, 0, "first");
	assert_int_equal(info->length, 1);
	token = info->token;
	sim_run_for(s, NS_PER_SEC);
	story_restart(s);
	info = info_of(s, 1, f[0].ino); /* grace holds it back */
	holder_is(info, 0, "first");
	assert_true(info->token == token);
	is_as_old(s, info, locked_ns);
	story_unlock(s, &f[0]);
	assert_int_equal(story_wait(s, wait, 3 * HOP)->status, STATUS_OK);
	granted_ns = s->now;
	info = info_of(s, 0, f[0].ino);
	holder_is(info, 1, "second");
	assert_true(info->token > token && info->token == wait->reply->token);
	story_restart(s);
	info = info_of(s, 0, f[0].ino);
	is_as_old(s, info, granted_ns);
	story_end(s);
}

static void test_restart_forgets_who_made_a_name(void **state)
{
	struct sim *s = story_begin(2);
	struct message make = {.kind = MESSAGE_CREATE,
			       .parent = ROOT_INO,
			       .name = "e",
			       .flags = OPEN_EXCL,
			       .pid = 17,
			       .uid = 18,
			       .command = "lockfile"};
	uint64_t ino = story_ask(s, 0, &make)->reply->attr.ino;
	const struct message *info;
	int64_t made_ns = s->now;

	sim_run_for(s, NS_PER_SEC);
	story_restart(s);
	info = info_of(s, 1, ino);
	assert_int_equal(info->holder_count, 1);
	assert_int_equal(info->holders[0].kind, HOLDER_NAME);
	assert_true(info->holders[0].pid == 17 && info->holders[0].uid == 18);
	assert_string_equal(info->holders[0].command, "lockfile");
	assert_string_equal(info->holders[0].node, "node0");
	is_as_old(s, info, made_ns);
	assert_int_equal(info->keeper, KEEPER_LEASE);
	assert_in_range(info->lease_ns, 1, master_wait_ns(STORY_LEASE_NS));
	story_end(s);
}

static struct message ttl_message(uint64_t ino, int64_t ttl_ns, uint32_t flags)
{
	return (struct message){.kind = MESSAGE_SETATTR,
				.ino = ino,
				.set = SET_TTL,
				.ttl_ns = ttl_ns,
				.flags = flags};
}

/* It was set by a node that did not make the file, and counts anew. */
static void test_restart_forgets_a_ttl(void **state)
{
	struct sim *s = story_begin(2);
	struct opened e = story_make(s, 0, "e", OPEN_EXCL);
	struct message ttl = ttl_message(e.ino, 5 * NS_PER_SEC, 0);

	assert_int_equal(story_status(s, 1, &ttl), STATUS_OK);
	story_restart(s);
	assert_true(info_of(s, 0, e.ino)->ttl_ns == 5 * NS_PER_SEC);
	assert_int_equal(info_of(s, 0, e.ino)->keeper, KEEPER_TTL);
	history_release(s, 0, e.handle, false); /* it ends by itself */
	sim_run_for(s, 6 * NS_PER_SEC);
	assert_int_equal(story_lookup(s, 0, "e"), STATUS_NO_ENTRY);
	assert_int_equal(story_lookup(s, 1, "e"), STATUS_NO_ENTRY);
	story_end(s);
}

/* XATTR_CREATE whose answer got lost with the master finds its own work. */
static void test_retried_ttl_is_in_its_own_way(void **state)
{
	struct sim *s = story_begin(2);
	struct opened e = story_make(s, 1, "e", OPEN_EXCL);
	struct message ttl = ttl_message(e.ino, 5 * NS_PER_SEC, TTL_CREATE);
	struct message write = {.kind = MESSAGE_WRITE, .ino = e.ino, .handle = e.handle};
	struct request *r;

	story_cut(s, 0, false, true);
	r = request_submit(s, 0, &ttl, NULL);
	sim_run_for(s, 10 * HOP);
	assert_int_equal(story_status(s, 1, &write), STATUS_OK); /* now node 1 knows it too */
	story_restart(s);
	story_cut(s, 0, false, false);
	assert_int_equal(story_wait(s, r, 15 * NS_PER_SEC)->status, STATUS_OK);
	assert_int_equal(story_status(s, 0, &ttl), STATUS_EXISTS);
	history_release(s, 1, e.handle, false);
	story_end(s);
}

/* A question is none of a session: it is asked again in the next (contract 6.1). */
static void test_a_question_dies_with_its_session(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f = story_make(s, 1, "f", 0);
	struct message m = {.kind = MESSAGE_GETINFO, .ino = f.ino};
	struct request *r;

	story_cut(s, 0, true, true);
	sim_run_for(s, STORY_LEASE_NS - NS_PER_SEC);
	r = request_submit(s, 0, &m, NULL);
	sim_run_for(s, 2 * NS_PER_SEC);
	assert_false(r->answered);
	story_cut(s, 0, false, false);
	assert_int_equal(story_wait(s, r, 2 * STORY_LEASE_NS)->status, STATUS_OK);
	story_end(s);
}

static void test_a_question_waits_for_ever(void **state)
{
	struct sim *s = story_begin(2);
	struct opened f = story_make(s, 1, "f", 0);
	struct message m = {.kind = MESSAGE_GETINFO, .ino = f.ino};

	story_cut(s, 0, true, true);
	assert_int_equal(story_status(s, 0, &m), STATUS_NO_MASTER);
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restart_forgets_who_holds),
		cmocka_unit_test(test_restart_forgets_who_made_a_name),
		cmocka_unit_test(test_restart_forgets_a_ttl),
		cmocka_unit_test(test_retried_ttl_is_in_its_own_way),
		cmocka_unit_test(test_a_question_dies_with_its_session),
		cmocka_unit_test(test_a_question_waits_for_ever),
	};

	cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
