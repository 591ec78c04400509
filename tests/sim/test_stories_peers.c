/* SPDX-License-Identifier: MIT */
/* Stories of peers that break the protocol: what a master and a node let be done to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lockcore/master.h"
#include "lockcore/node.h"

#define ROGUE UINT64_C(7) /* the session instance of a peer that is played by hand */

/* ---- A master alone, on a store whose registry may know the rogue ---- */

struct scene {
	struct master *m;
	int64_t now;
	bool registered;
	unsigned told[MASTER_EVENT_STRANGER + 1];
};

static struct moment now(const struct scene *s)
{
	return (struct moment){.boot_ns = s->now};
}

static void store_answers(struct scene *s, const struct engine_op *op)
{
	struct engine_outcome o = {.id = op->id, .result = ENGINE_DONE};

	if (op->kind == ENGINE_PUT || op->kind == ENGINE_DELETE)
		s->registered = op->kind == ENGINE_PUT;
	if (op->kind == ENGINE_LOAD && s->registered) {
		o.sessions = calloc(1, sizeof(*o.sessions));
		o.session_count = 1;
		strcpy(o.sessions->node, "rogue");
		o.sessions->instance = ROGUE;
	}
	master_engine_done(s->m, &o, now(s));
	free(o.sessions);
}

static void drain(struct scene *s)
{
	struct master_event event;
	struct engine_op op;
	struct packet packet;
	uint32_t peer;

	master_tick(s->m, now(s));
	while (master_next_op(s->m, now(s), &op))
		store_answers(s, &op);
	while (master_next_packet(s->m, now(s), &peer, &packet))
		;
	while (master_next_event(s->m, &event))
		s->told[event.kind]++;
}

static void run(struct scene *s, int64_t ns)
{
	for (int64_t end = s->now + ns; s->now < end; s->now += 100 * NS_PER_MS)
		drain(s);
}

static struct scene begin(bool registered)
{
	struct master_config config = {.instance = 1,
				       .lease_ns = MASTER_LEASE_DEFAULT_NS,
				       .leader_lease_ns = MASTER_LEADER_LEASE_DEFAULT_NS,
				       .max_files = 10,
				       .exclusive_store = true};
	struct scene s = {.now = 1, .registered = registered};

	s.m = master_new(&config, now(&s));
	run(&s, NS_PER_SEC);
	return s;
}

/* One message of the rogue's, and what the master does about it. */
static void say(struct scene *s, struct message m)
{
	struct packet p = {
		.instance = ROGUE,
		.epoch = master_epoch(s->m),
		.count = 1,
		.messages = {message_copy(&m)},
	};

	master_receive(s->m, 1, &p, now(s));
	packet_deinit(&p);
	drain(s);
}

static void hello(struct scene *s, bool resume)
{
	say(s,
	    (struct message){
		    .kind = MESSAGE_HELLO, .text = "rogue", .stamp_ns = s->now, .resume = resume});
}

static void renew(struct scene *s)
{
	say(s, (struct message){.kind = MESSAGE_RENEW, .stamp_ns = s->now});
}

/* It renews and says HELLO again for ever, and never that it has done. */
static void test_reclaim_without_end_keeps_everybody_out(void **state)
{
	struct scene s = begin(true);

	hello(&s, true);
	for (int i = 0; i < 25 && !master_is_serving(s.m); i++) {
		renew(&s);
		hello(&s, true);
		run(&s, NS_PER_SEC);
	}
	assert_true(master_is_serving(s.m));
	assert_true(s.now > master_wait_ns(MASTER_LEASE_DEFAULT_NS));
	assert_int_equal(s.told[MASTER_EVENT_EXPIRED], 1);
	master_free(s.m);
}

/* It renews, asks, and never acknowledges an answer. */
static void test_peer_that_hears_nothing_eats_all_memory(void **state)
{
	struct scene s = begin(false);
	struct message ask = {.kind = MESSAGE_LOOKUP, .parent = ROOT_INO, .name = "f"};
	const uint64_t most = MASTER_UNHEARD_MAX_BYTES / 256;

	hello(&s, false);
	assert_int_equal(s.told[MASTER_EVENT_OPENED], 1);
	while (!s.told[MASTER_EVENT_UNHEARD] && ask.seq < most) {
		ask.seq++;
		ask.req++;
		say(&s, ask);
	}
	assert_int_equal(s.told[MASTER_EVENT_UNHEARD], 1);
	assert_int_equal(s.told[MASTER_EVENT_EXPIRED], 1);
	master_free(s.m);
}

/* ---- A node alone, with a master that lies ---- */

struct victim {
	struct node *n;
	uint64_t seq;
};

static struct moment at_once(void)
{
	return (struct moment){.boot_ns = NS_PER_SEC};
}

static void tell(struct victim *v, struct message m)
{
	struct packet p = {
		.instance = node_instance(v->n),
		.epoch = 1,
		.count = 1,
		.messages = {message_copy(&m)},
	};

	node_receive(v->n, 0, &p, at_once());
	packet_deinit(&p);
}

static void reply(struct victim *v, struct message m)
{
	m.kind = MESSAGE_REPLY;
	m.seq = ++v->seq;
	tell(v, m);
}

static struct victim victim_new(void)
{
	struct node_config config = {.id = "victim", .masters = 1, .instance_base = 3};
	struct victim v = {.n = node_new(&config, at_once())};

	node_connected(v.n, 0, at_once());
	tell(&v, (struct message){
			 .kind = MESSAGE_WELCOME, .stamp_ns = NS_PER_SEC, .lease_ns = NS_PER_SEC});
	assert_true(node_is_open(v.n));
	return v;
}

/* A file that the node has made, and of whose content it has a copy. */
static uint64_t make_file(struct victim *v)
{
	struct message make = {.kind = MESSAGE_CREATE, .parent = ROOT_INO, .name = "f"};
	struct node_answer answer;
	uint64_t call = node_submit(v->n, &make, NULL, at_once());

	reply(v, (struct message){.req = call,
				  .flags = REPLY_CREATED,
				  .attr = {.ino = 9, .version = 1, .nlink = 1}});
	assert_true(node_next_answer(v->n, at_once(), &answer));
	assert_int_equal(answer.status, STATUS_OK);
	return answer.handle;
}

static void write_and_hear(struct victim *v, uint64_t handle, uint64_t size, int64_t start)
{
	struct message write = {
		.kind = MESSAGE_WRITE, .ino = 9, .handle = handle, .data = "text", .data_len = 4};
	uint64_t call = node_submit(v->n, &write, NULL, at_once());

	reply(v, (struct message){.req = call,
				  .attr = {.ino = 9, .version = 2, .nlink = 1, .size = size},
				  .start = start});
}

/* Where it says the text was written is outside of what it says the file has become. */
static void test_lying_reply_writes_over_memory(void **state)
{
	static const struct {
		uint64_t size;
		int64_t start;
	} lies[] = {
		{4, 1}, {4, 1 << 20},	 {4, INT64_MAX}, {4, -8},
		{0, 0}, {UINT64_MAX, 0}, {1 << 30, 0},
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct victim v = victim_new();

		write_and_hear(&v, make_file(&v), lies[i].size, lies[i].start);
		assert_true(node_is_open(v.n));
		node_free(v.n);
	}
}

/* The record has less content than it says; the next change would read or write past it. */
static void test_short_record_is_read_past_its_end(void **state)
{
	struct victim v = victim_new();
	uint64_t handle = make_file(&v);

	tell(&v, (struct message){.kind = MESSAGE_VOUCH,
				  .seq = ++v.seq,
				  .attr = {.ino = 9, .version = 1, .nlink = 1, .size = 60000},
				  .data = "short",
				  .data_len = 5});
	write_and_hear(&v, handle, 60000, 50000);
	node_free(v.n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reclaim_without_end_keeps_everybody_out),
		cmocka_unit_test(test_peer_that_hears_nothing_eats_all_memory),
		cmocka_unit_test(test_lying_reply_writes_over_memory),
		cmocka_unit_test(test_short_record_is_read_past_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
