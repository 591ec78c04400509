/* SPDX-License-Identifier: MIT */
/* Stories of a slow store: a master alone, whose operations are answered by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lockcore/master.h"

struct scene {
	struct master *m;
	int64_t now;
	uint64_t puts[2]; /* under way */
	size_t put_count, deletes;
	size_t doubts;	 /* so many DELETEs are of unknown outcome */
	bool unreadable; /* LOADs are of unknown outcome */
	size_t loads;
	bool hangs;	       /* so do SWAPs */
	struct engine_op swap; /* the last that does */
	struct engine_cell cell;
};

static struct moment now(const struct scene *s)
{
	return (struct moment){.boot_ns = s->now};
}

static void outcome(struct scene *s, uint64_t id, enum engine_result result)
{
	struct engine_outcome o = {.id = id, .result = result, .cell = s->cell};

	master_engine_done(s->m, &o, now(s));
}

/* All but PUTs is done at once. */
static void run(struct scene *s, int64_t ns)
{
	struct engine_op op;

	for (int64_t end = s->now + ns; s->now < end; s->now += 100 * NS_PER_MS) {
		master_tick(s->m, now(s));
		while (master_next_op(s->m, now(s), &op)) {
			s->deletes += op.kind == ENGINE_DELETE;
			s->loads += op.kind == ENGINE_LOAD;
			if (op.kind == ENGINE_SWAP && s->hangs) {
				s->swap = op;
				continue;
			}
			if (op.kind == ENGINE_SWAP)
				s->cell = op.next;
			if (op.kind == ENGINE_LOAD && s->unreadable)
				outcome(s, op.id, ENGINE_UNKNOWN);
			else if (op.kind == ENGINE_PUT)
				s->puts[s->put_count++ % 2] = op.id;
			else if (op.kind == ENGINE_DELETE && s->doubts && s->doubts--)
				outcome(s, op.id, ENGINE_UNKNOWN);
			else
				outcome(s, op.id, ENGINE_DONE);
		}
	}
}

/* A PUT so slow that it was sent again: once it is done, the other's outcome says nothing. */
static void test_late_outcome_spares_the_session(void **state)
{
	struct master_config config = {.instance = 1,
				       .lease_ns = MASTER_LEASE_DEFAULT_NS,
				       .leader_lease_ns = MASTER_LEADER_LEASE_DEFAULT_NS,
				       .max_files = 10,
				       .exclusive_store = true};
	struct message hello = {.kind = MESSAGE_HELLO, .text = "node", .stamp_ns = 1};
	struct packet p = {.instance = 7, .count = 1, .messages = {&hello}};
	struct scene s = {.now = 1, .m = master_new(&config, (struct moment){.boot_ns = 1})};

	run(&s, NS_PER_SEC);
	assert_true(master_is_serving(s.m));
	master_receive(s.m, 1, &p, now(&s));
	run(&s, 11 * NS_PER_SEC);
	assert_int_equal(s.put_count, 2);
	outcome(&s, s.puts[0], ENGINE_DONE);
	outcome(&s, s.puts[1], ENGINE_UNKNOWN);
	run(&s, NS_PER_SEC);
	assert_int_equal(s.deletes, 0);
	master_free(s.m);
}

/* The kind of the next answer to a peer. */
static enum message_kind answered(struct scene *s)
{
	struct packet p;
	uint32_t peer;

	return master_next_packet(s->m, now(s), &peer, &p) ? p.messages[0]->kind : MESSAGE_NONE;
}

/* The first DELETE may be done at any time yet, and would take what is registered again. */
static void test_late_delete_unregisters_a_live_session(void **state)
{
	struct master_config config = {.instance = 1,
				       .lease_ns = MASTER_LEASE_DEFAULT_NS,
				       .leader_lease_ns = MASTER_LEADER_LEASE_DEFAULT_NS,
				       .max_files = 10};
	struct message hello = {.kind = MESSAGE_HELLO, .text = "node", .stamp_ns = 1};
	struct packet p = {.instance = 7, .count = 1, .messages = {&hello}};
	struct scene s = {.now = 1, .m = master_new(&config, (struct moment){.boot_ns = 1})};

	run(&s, NS_PER_SEC);
	assert_true(master_is_serving(s.m));
	master_receive(s.m, 1, &p, now(&s));
	run(&s, NS_PER_SEC);
	outcome(&s, s.puts[0], ENGINE_DONE);
	s.doubts = 1;
	run(&s, 2 * MASTER_LEASE_DEFAULT_NS);
	assert_int_equal(s.deletes, 2);
	while (answered(&s))
		;
	master_receive(s.m, 1, &p, now(&s));
	assert_int_equal(answered(&s), MESSAGE_EXPIRED);
	run(&s, NS_PER_SEC);
	assert_int_equal(s.put_count, 1);
	p.instance = 8;
	master_receive(s.m, 1, &p, now(&s));
	run(&s, NS_PER_SEC);
	assert_int_equal(s.put_count, 2);
	master_free(s.m);
}

static struct scene unreadable_registry(void)
{
	struct master_config config = {.instance = 1,
				       .lease_ns = MASTER_LEASE_DEFAULT_NS,
				       .leader_lease_ns = MASTER_LEADER_LEASE_DEFAULT_NS,
				       .max_files = 10};
	struct scene s = {.now = 1,
			  .unreadable = true,
			  .m = master_new(&config, (struct moment){.boot_ns = 1})};

	return s;
}

/* Each new epoch costs all nodes a grace, and mends nothing. */
static void test_unreadable_registry_uses_up_epochs(void **state)
{
	struct scene s = unreadable_registry();

	run(&s, 3 * NS_PER_SEC);
	assert_true(s.loads > 5);
	assert_int_equal(s.cell.epoch, 1);
	s.unreadable = false;
	run(&s, NS_PER_SEC);
	assert_true(master_is_serving(s.m));
	assert_int_equal(master_epoch(s.m), 1);
	master_free(s.m);
}

/* It may be this master alone that cannot read it. */
static void test_master_that_cannot_read_keeps_the_lead(void **state)
{
	struct scene s = unreadable_registry();

	run(&s, MASTER_LEADER_LEASE_DEFAULT_NS + NS_PER_SEC);
	assert_int_equal(s.cell.instance, 0);
	run(&s, MASTER_LEADER_LEASE_DEFAULT_NS);
	assert_int_equal(s.cell.instance, 1); /* nobody else wanted it */
	assert_int_equal(s.cell.epoch, 2);
	master_free(s.m);
}

/* A standby asks for the lead, and is told so late that it was refused that the leader's lease would
 * be over, had it not been renewed: that is what refused it. */
static void test_late_refusal_unseats_a_live_leader(void **state)
{
	struct master_config config = {.instance = 1,
				       .lease_ns = MASTER_LEASE_DEFAULT_NS,
				       .leader_lease_ns = MASTER_LEADER_LEASE_DEFAULT_NS,
				       .max_files = 10};
	struct message hello = {.kind = MESSAGE_HELLO, .text = "node", .stamp_ns = 1};
	struct packet p = {.instance = 7, .count = 1, .messages = {&hello}};
	struct scene s = {.now = 10 * NS_PER_SEC,
			  .hangs = true,
			  .cell = {.instance = 99, .epoch = 3, .sequence = 5},
			  .m = master_new(&config, (struct moment){.boot_ns = 10 * NS_PER_SEC})};

	for (int i = 0; i < 20; i++) {
		master_receive(s.m, 1, &p, now(&s));
		run(&s, 100 * NS_PER_MS);
	}
	assert_int_equal(s.swap.next.asked_by, 1);
	run(&s, MASTER_LEADER_LEASE_DEFAULT_NS);
	s.cell.sequence = 9;
	outcome(&s, s.swap.id, ENGINE_REFUSED);
	s.swap.id = 0;
	run(&s, MASTER_LEADER_LEASE_DEFAULT_NS);
	assert_int_equal(s.swap.id, 0);
	run(&s, NS_PER_SEC);
	assert_int_equal(s.swap.next.epoch, 4);
	master_free(s.m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late_outcome_spares_the_session),
		cmocka_unit_test(test_late_delete_unregisters_a_live_session),
		cmocka_unit_test(test_late_refusal_unseats_a_live_leader),
		cmocka_unit_test(test_unreadable_registry_uses_up_epochs),
		cmocka_unit_test(test_master_that_cannot_read_keeps_the_lead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
