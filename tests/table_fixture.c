/* SPDX-License-Identifier: MIT */
#include "tests/table_fixture.h"

#define WALL_OFFSET_S INT64_C(1700000000)

struct moment at(int64_t seconds)
{
	return (struct moment){
		.boot_ns = seconds * NS_PER_SEC,
		.wall_ns = (WALL_OFFSET_S + seconds) * NS_PER_SEC,
	};
}

int table_setup(void **state)
{
	*state = table_new(FIXTURE_EPOCH, TABLE_FILES_DEFAULT, at(0));
	return *state ? 0 : -1;
}

int table_teardown(void **state)
{
	table_check(*state);
	table_free(*state);
	return 0;
}

struct table_make make_of(const char *name, uint32_t flags)
{
	return (struct table_make){
		.client = 1,
		.handle = 1,
		.req = 1,
		.parent = ROOT_INO,
		.name = name,
		.flags = flags,
		.mode = 0644,
		.pid = FIXTURE_PID,
		.idle_ns = FIXTURE_IDLE_NS,
	};
}

uint64_t plain_file(struct table *t, const char *name)
{
	struct table_make make = make_of(name, 0);
	struct attr attr;
	bool created;

	assert_ok(table_create(t, &make, at(0), &attr, &created));
	assert_true(created);
	return attr.ino;
}

uint64_t held_file(struct table *t, uint64_t client, uint64_t handle, const char *name)
{
	struct table_make make = make_of(name, OPEN_EXCL);
	struct attr attr;
	bool created;

	make.client = client;
	make.handle = handle;
	assert_ok(table_create(t, &make, at(0), &attr, &created));
	return attr.ino;
}

struct table_make make_in(uint64_t client, uint64_t parent, const char *name)
{
	struct table_make make = make_of(name, OPEN_EXCL);

	make.client = make.handle = client;
	make.parent = parent;
	return make;
}

uint64_t dir_in(struct table *t, uint64_t client, uint64_t parent, const char *name)
{
	struct table_make make = make_in(client, parent, name);
	struct attr attr;

	assert_ok(table_mkdir(t, &make, at(0), &attr));
	return attr.ino;
}

uint64_t file_in(struct table *t, uint64_t client, uint64_t parent, const char *name)
{
	struct table_make make = make_in(client, parent, name);
	struct attr attr;
	bool created;

	assert_ok(table_create(t, &make, at(0), &attr, &created));
	table_close(t, client, client, at(0));
	return attr.ino;
}

void opened_by(struct table *t, uint64_t ino, uint64_t client)
{
	struct attr attr;

	assert_ok(table_open(t, client, client, ino, 0, at(0), &attr));
}

uint64_t ino_at(struct table *t, uint64_t parent, const char *name)
{
	struct attr attr;
	enum status status = table_lookup(t, parent, name, &attr);

	assert_true(status == STATUS_OK || status == STATUS_NO_ENTRY);
	return status == STATUS_OK ? attr.ino : 0;
}

bool exists(struct table *t, const char *name)
{
	return ino_at(t, ROOT_INO, name) != 0;
}

bool is_gone(struct table *t, uint64_t ino)
{
	struct attr attr;

	return table_getattr(t, ino, &attr) == STATUS_STALE;
}

struct attr attr_of(struct table *t, uint64_t ino)
{
	struct attr attr;

	assert_ok(table_getattr(t, ino, &attr));
	return attr;
}

struct link link_of(struct table *t, uint64_t ino)
{
	struct table_record record;

	assert_ok(table_record(t, ino, &record));
	assert_int_equal(record.link_count, 1);
	return record.links[0];
}

struct table_want flock_want(uint64_t client, uint64_t ino, enum lock_mode mode, uint64_t req)
{
	return (struct table_want){
		.client = client,
		.req = req,
		.ino = ino,
		.handle = client,
		.kind = LOCK_FLOCK,
		.mode = mode,
		.end = RANGE_END,
		.wait = req != 0,
		.pid = (uint32_t)client + 1000,
	};
}

struct table_want range_want(uint64_t client, uint64_t ino, enum lock_mode mode, int64_t start,
			     int64_t end, uint64_t req)
{
	struct table_want want = flock_want(client, ino, mode, req);

	want.kind = LOCK_RANGE;
	want.owner = client + 100;
	want.start = start;
	want.end = end;
	return want;
}

uint64_t lock_granted(struct table *t, struct table_want want)
{
	struct table_got got;

	assert_ok(table_lock(t, &want, &got));
	assert_false(got.queued);
	assert_true((got.token != 0) == (want.mode != LOCK_NONE));
	table_check(t);
	return got.token;
}

void lock_queued(struct table *t, struct table_want want)
{
	struct table_got got;

	assert_ok(table_lock(t, &want, &got));
	assert_true(got.queued);
	assert_true(got.ticket != 0 && got.token == 0);
	table_check(t);
}

void lock_refused(struct table *t, struct table_want want)
{
	struct table_got got;

	assert_int_equal(table_lock(t, &want, &got), STATUS_BUSY);
	assert_false(got.queued);
	table_check(t);
}

void expect_grant(struct table *t, uint64_t client, uint64_t req)
{
	struct table_grant grant;

	assert_true(table_next_grant(t, &grant));
	assert_int_equal(grant.client, client);
	assert_int_equal(grant.req, req);
	assert_true(grant.token != 0);
}

void expect_no_grant(struct table *t)
{
	struct table_grant grant;

	assert_false(table_next_grant(t, &grant));
}

uint64_t lock_count(struct table *t)
{
	struct table_counts counts;

	table_counts(t, &counts);
	return counts.locks;
}
