/* SPDX-License-Identifier: MIT */
/*
 * A master with many files: its limit of them, and how long one input keeps its loop, in which the
 * sessions of others are not renewed. That must grow no faster than the number of files: four times
 * as much may take so many times as long. It is the processor's time that is compared, of the best
 * of some tries; what it is in figures is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "lockcore/master.h"

#define MANY 100000
#define FEW  10000
/* Ten times as many may take sixty times as long, for the caches are too small for all of them and
 * other work has its share; a walk through all for each takes a hundred times as long. */
#define RATIO_MAX  60
#define TRIES	   3
#define BYSTANDERS 200
/* What takes less is not compared. */
#define BLINK_NS (2 * NS_PER_MS)

struct scene {
	struct master *m;
	int64_t now;
	struct engine_session *registry;
	size_t registered;
	uint64_t received; /* seq up to which node 1 has all */
	enum status last;  /* of a reply */
	size_t forgets, vouches;
	int64_t longest_ns;
};

static int64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static struct moment now(const struct scene *s)
{
	return (struct moment){.boot_ns = s->now, .wall_ns = s->now};
}

static void note_stall(struct scene *s, int64_t began)
{
	int64_t took = cpu_ns() - began;

	s->longest_ns = took > s->longest_ns ? took : s->longest_ns;
}

/* What the master says, to whomever. */
static void hear(struct scene *s)
{
	struct packet packet;
	uint32_t peer;

	while (master_next_packet(s->m, now(s), &peer, &packet)) {
		for (size_t i = 0; i < packet.count; i++) {
			const struct message *m = packet.messages[i];

			s->forgets += m->kind == MESSAGE_FORGET;
			s->vouches += m->kind == MESSAGE_VOUCH;
			if (m->kind == MESSAGE_REPLY)
				s->last = m->status;
			if (peer == 1 && m->seq > s->received)
				s->received = m->seq;
		}
	}
}

/* All that the store is asked for is done, each by an input of its own. */
static void turn(struct scene *s)
{
	struct engine_op op;
	int64_t began = cpu_ns();

	s->now += NS_PER_MS;
	master_tick(s->m, now(s));
	note_stall(s, began);
	while (master_next_op(s->m, now(s), &op)) {
		struct engine_outcome o = {.id = op.id, .result = ENGINE_DONE};

		if (op.kind == ENGINE_LOAD) {
			o.sessions = s->registry;
			o.session_count = s->registered;
		}
		began = cpu_ns();
		master_engine_done(s->m, &o, now(s));
		note_stall(s, began);
	}
	hear(s);
}

static void run_until_serving(struct scene *s)
{
	for (int i = 0; i < 100 && !master_is_serving(s->m); i++)
		turn(s);
	assert_true(master_is_serving(s->m));
}

static struct scene *begin(uint64_t max_files, size_t registered, struct engine_session *registry)
{
	struct master_config config = {.instance = 1,
				       .lease_ns = MASTER_LEASE_DEFAULT_NS,
				       .leader_lease_ns = MASTER_LEADER_LEASE_DEFAULT_NS,
				       .max_files = max_files,
				       .exclusive_store = true};
	struct scene *s = calloc(1, sizeof(*s));

	s->now = NS_PER_SEC;
	s->registry = registry;
	s->registered = registered;
	s->m = master_new(&config, now(s));
	return s;
}

static void end(struct scene *s)
{
	master_free(s->m);
	free(s);
}

/* ---- Nodes: peer and instance are one number ---- */

static void say(struct scene *s, uint32_t node, struct message *messages, size_t count)
{
	struct packet p = {.instance = node, .epoch = master_epoch(s->m), .count = count};
	int64_t began = cpu_ns();

	p.ack = node == 1 ? s->received : 0;
	for (size_t i = 0; i < count; i++)
		p.messages[i] = message_copy(&messages[i]);
	master_receive(s->m, node, &p, now(s));
	note_stall(s, began);
	packet_deinit(&p);
	hear(s);
}

static void join(struct scene *s, uint32_t node, bool resume)
{
	char name[16];
	struct message hello = {
		.kind = MESSAGE_HELLO,
		.text = name,
		.stamp_ns = s->now,
		.resume = resume,
	};

	snprintf(name, sizeof(name), "node%u", node);
	say(s, node, &hello, 1);
	turn(s);
}

static void leave(struct scene *s, uint32_t node)
{
	char name[16];
	struct message bye = {.kind = MESSAGE_BYE, .text = name, .target = node};

	snprintf(name, sizeof(name), "node%u", node);
	say(s, node, &bye, 1);
	turn(s);
}

/* CREATE number i as the next of node 1. */
static struct message creation(uint64_t i, char *name, size_t size)
{
	snprintf(name, size, "name-%06lu", (unsigned long)i);
	return (struct message){
		.kind = MESSAGE_CREATE,
		.seq = i,
		.req = i,
		.handle = i,
		.parent = ROOT_INO,
		.name = name,
		.flags = OPEN_EXCL,
		.mode = 0644,
	};
}

static void create_many(struct scene *s, uint64_t count)
{
	static struct message batch[PACKET_MAX_COUNT];
	static char names[PACKET_MAX_COUNT][16];
	uint64_t i = 1;

	while (i <= count) {
		size_t n = 0;

		for (; i <= count && n < PACKET_MAX_COUNT; i++, n++)
			batch[n] = creation(i, names[n], sizeof(names[n]));
		say(s, 1, batch, n);
		assert_int_equal(s->last, STATUS_OK);
	}
}

/* What it does with so many files, and how long that took or kept the loop. */
typedef int64_t (*feared)(uint64_t count);

static int64_t best_of(feared what, uint64_t count)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		int64_t took = what(count);

		best = took < best ? took : best;
	}
	print_message("%lu files: %ld us\n", (unsigned long)count, (long)best / 1000);
	return best;
}

static void assert_proportional(feared what)
{
	int64_t few = best_of(what, FEW), many = best_of(what, MANY);

	assert_true(many < RATIO_MAX * (few > BLINK_NS ? few : BLINK_NS));
}

/* ---- Fears ---- */

static void test_more_files_than_the_limit_are_made(void **state)
{
	struct scene *s = begin(3, 0, NULL);
	struct message unlink = {.kind = MESSAGE_UNLINK, .seq = 5, .req = 5, .parent = ROOT_INO};
	struct message close = {.kind = MESSAGE_CLOSE, .seq = 6, .handle = 1};
	struct message again;
	char name[16];

	run_until_serving(s);
	join(s, 1, false);
	create_many(s, 3);
	again = creation(4, name, sizeof(name));
	say(s, 1, &again, 1);
	assert_int_equal(s->last, STATUS_NO_SPACE);
	/* One less, and there is room again. */
	unlink.name = "name-000001";
	say(s, 1, &unlink, 1);
	assert_int_equal(s->last, STATUS_OK);
	say(s, 1, &close, 1);
	again = creation(7, name, sizeof(name));
	say(s, 1, &again, 1);
	assert_int_equal(s->last, STATUS_OK);
	end(s);
}

static int64_t session_ends(uint64_t count)
{
	struct table_counts counts;
	struct scene *s = begin(TABLE_FILES_DEFAULT, 0, NULL);
	int64_t longest;

	run_until_serving(s);
	join(s, 1, false);
	join(s, 2, false);
	create_many(s, count);
	leave(s, 1);
	table_counts(master_table(s->m), &counts);
	assert_int_equal(counts.files, 0);
	longest = s->longest_ns;
	end(s);
	return longest;
}

static void test_end_of_a_session_with_many_names_stops_the_loop(void **state)
{
	assert_proportional(session_ends);
}

static int64_t others_end(uint64_t count)
{
	struct scene *s = begin(TABLE_FILES_DEFAULT, 0, NULL);
	int64_t began;

	run_until_serving(s);
	join(s, 1, false);
	for (uint32_t i = 0; i < BYSTANDERS; i++)
		join(s, 10 + i, false);
	create_many(s, count);
	began = cpu_ns();
	for (uint32_t i = 0; i < BYSTANDERS; i++)
		leave(s, 10 + i);
	began = cpu_ns() - began;
	end(s);
	return began;
}

/* What others hold is nothing that the end of a session should walk through. */
static void test_ends_of_many_sessions_walk_all_names(void **state)
{
	int64_t none = best_of(others_end, 1), many = best_of(others_end, MANY);

	assert_true(many < RATIO_MAX * (none > BLINK_NS ? none : BLINK_NS));
}

static struct message reclaim_of(uint64_t i, uint64_t seq, struct link *link, char *name,
				 size_t size)
{
	snprintf(name, size, "name-%06lu", (unsigned long)i);
	*link = (struct link){
		.parent = ROOT_INO, .token = i, .holder = 1, .maker_req = i, .name = name};
	return (struct message){
		.kind = MESSAGE_RECLAIM_FILE,
		.seq = seq,
		.attr = {.ino = i + 1, .version = 1, .mode = 0100644, .nlink = 1},
		.links = link,
		.link_count = 1,
		.flags = RECORD_FULL | RECORD_VOUCHED,
	};
}

static void reclaim_many(struct scene *s, uint64_t count)
{
	static struct message batch[PACKET_MAX_COUNT];
	static struct link links[PACKET_MAX_COUNT];
	static char names[PACKET_MAX_COUNT][16];
	struct message done = {.kind = MESSAGE_RECLAIM_DONE, .seq = count + 1};
	uint64_t i = 1;

	while (i <= count) {
		size_t n = 0;

		for (; i <= count && n < PACKET_MAX_COUNT; i++, n++)
			batch[n] = reclaim_of(i, i, &links[n], names[n], sizeof(names[n]));
		say(s, 1, batch, n);
	}
	say(s, 1, &done, 1);
}

static int64_t reclaimed(uint64_t count)
{
	struct engine_session registry = {.node = "node1", .instance = 1};
	struct scene *s = begin(TABLE_FILES_DEFAULT, 1, &registry);
	struct table_counts counts;
	int64_t longest;

	for (int i = 0; i < 10; i++)
		turn(s);
	assert_false(master_is_serving(s->m));
	join(s, 1, true);
	reclaim_many(s, count);
	assert_true(master_is_serving(s->m));
	table_counts(master_table(s->m), &counts);
	assert_int_equal(counts.files, count);
	longest = s->longest_ns;
	end(s);
	return longest;
}

static void test_reclaim_of_many_names_stops_the_loop(void **state)
{
	assert_proportional(reclaimed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_more_files_than_the_limit_are_made),
		cmocka_unit_test(test_end_of_a_session_with_many_names_stops_the_loop),
		cmocka_unit_test(test_ends_of_many_sessions_walk_all_names),
		cmocka_unit_test(test_reclaim_of_many_names_stops_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
