/* SPDX-License-Identifier: MIT */
/*
 * Stories of names that a node gives up by itself (bind=session): another's is taken instead, or the
 * kernel does not hear of it, or a restart brings it back. In a directory, as the simulator's own
 * model of the root's names knows only programs.
 */
#include <string.h>

#include "story.h"

#define GONE false

/* A directory that node 1 has, and what node 0 makes in it. */
struct place {
	struct sim *s;
	uint64_t dir;
	uint64_t call; /* by which node 0 made "x" */
	uint64_t ino;
};

static struct message in(uint64_t parent, enum message_kind kind, const char *name)
{
	return (struct message){.kind = kind, .parent = parent, .name = name, .mode = 0755};
}

/* What is made with O_EXCL is not for the history to watch: it ends in ways that this does not know. */
static struct request *make(struct sim *s, size_t node, struct message m)
{
	struct request *r = story_ask(s, node, &m);

	assert_int_equal(r->status, STATUS_OK);
	if (r->handle)
		history_release(s, node, r->handle, false);
	return r;
}

static struct place begin(enum message_kind kind)
{
	struct place p = {.s = story_begin_with((struct sim_config){
				  .nodes = 3, .seed = 1, .timeo_ns = STORY_TIMEO_NS})};
	struct message m;
	struct request *r;

	for (size_t i = 0; i < 3; i++)
		make(p.s, i, (struct message){.kind = MESSAGE_GETATTR, .ino = ROOT_INO});
	r = make(p.s, 1, in(ROOT_INO, MESSAGE_MKDIR, "place"));
	p.dir = r->reply->attr.ino;
	make(p.s, 0, in(ROOT_INO, MESSAGE_LOOKUP, "place"));
	make(p.s, 2, in(ROOT_INO, MESSAGE_LOOKUP, "place"));
	m = in(p.dir, kind, "x");
	m.flags = kind == MESSAGE_CREATE ? OPEN_EXCL : 0;
	r = make(p.s, 0, m);
	p.call = r->call;
	p.ino = r->reply->attr.ino;
	return p;
}

static struct request *give_up(const struct place *p)
{
	struct message m = in(p->dir, MESSAGE_UNLINK, "x");

	m.target = p->call;
	m.flags = UNLINK_LET_GO;
	return request_submit(p->s, 0, &m, NULL);
}

static enum status given_up(const struct place *p)
{
	return story_wait(p->s, give_up(p), 60 * NS_PER_SEC)->status;
}

static enum status look(const struct place *p, size_t node)
{
	struct message m = in(p->dir, MESSAGE_LOOKUP, "x");

	return story_status(p->s, node, &m);
}

static void remove_it(const struct place *p, size_t node, uint32_t flags)
{
	struct message m = in(p->dir, MESSAGE_UNLINK, "x");

	m.flags = flags;
	make(p->s, node, m);
}

static void test_what_another_node_made_is_given_up(void **state)
{
	struct place p = begin(MESSAGE_CREATE);
	struct message m = in(p.dir, MESSAGE_CREATE, "x");

	remove_it(&p, 1, 0);
	m.flags = OPEN_EXCL;
	make(p.s, 1, m);
	assert_int_equal(given_up(&p), STATUS_NO_ENTRY);
	assert_int_equal(look(&p, 2), STATUS_OK);
	story_end(p.s);
}

static void test_what_the_same_node_made_later_is_given_up(void **state)
{
	struct place p = begin(MESSAGE_MKDIR);

	remove_it(&p, 0, UNLINK_DIR);
	make(p.s, 0, in(p.dir, MESSAGE_MKDIR, "x"));
	assert_int_equal(given_up(&p), STATUS_NO_ENTRY);
	assert_int_equal(look(&p, 2), STATUS_OK);
	story_end(p.s);
}

/* No program of it has removed the name, so somebody there may still wait for that. */
static void test_the_makers_kernel_does_not_hear_of_it(void **state)
{
	static const enum message_kind kinds[] = {MESSAGE_CREATE, MESSAGE_MKDIR};

	for (size_t i = 0; i < 2; i++) {
		struct place p = begin(kinds[i]);

		assert_int_equal(look(&p, 2), STATUS_OK);
		assert_int_equal(given_up(&p), STATUS_OK);
		sim_run_for(p.s, NS_PER_SEC);
		assert_int_equal(p.s->nodes[0].noticed[GONE], 1);
		assert_int_equal(p.s->nodes[2].noticed[GONE], 1);
		assert_string_equal(node_notice_last(p.s->nodes[0].notice)->name, "x");
		assert_int_equal(look(&p, 0), STATUS_NO_ENTRY);
		story_end(p.s);
	}
}

static size_t held(const struct place *p, uint64_t calls[LINKS_MAX])
{
	return node_held_names(p->s->nodes[0].node, p->ino, calls);
}

static void test_the_wrong_names_pass_for_held(void **state)
{
	struct place p = begin(MESSAGE_CREATE);
	struct message m = in(p.dir, MESSAGE_RENAME, "x");
	uint64_t calls[LINKS_MAX], moved;

	assert_int_equal(held(&p, calls), 1);
	assert_true(calls[0] == p.call);
	m.target = p.dir;
	m.name2 = "f";
	moved = make(p.s, 0, m)->call;
	assert_int_equal(held(&p, calls), 1);
	assert_true(calls[0] == moved);
	assert_int_equal(given_up(&p), STATUS_NO_ENTRY);
	assert_int_equal(node_held_names(p.s->nodes[1].node, p.ino, calls), 0);
	story_end(p.s);
}

/* Somebody has a name in the directory: it goes with that, on every node and not before. */
static struct place let_go(void)
{
	struct place p = begin(MESSAGE_MKDIR);
	struct message m = in(p.ino, MESSAGE_CREATE, "inner");

	m.flags = OPEN_EXCL;
	make(p.s, 1, m);
	assert_int_equal(given_up(&p), STATUS_OK);
	return p;
}

static void empty_it(const struct place *p)
{
	make(p->s, 1, in(p->ino, MESSAGE_UNLINK, "inner"));
	sim_run_for(p->s, NS_PER_SEC);
}

static void test_a_full_directory_goes_or_stays(void **state)
{
	struct place p = let_go();
	uint64_t calls[LINKS_MAX];

	assert_int_equal(held(&p, calls), 0);
	assert_int_equal(look(&p, 0), STATUS_OK);
	assert_int_equal(p.s->nodes[0].noticed[GONE], 0);
	empty_it(&p);
	assert_int_equal(look(&p, 2), STATUS_NO_ENTRY);
	assert_int_equal(p.s->nodes[0].noticed[GONE], 1);
	story_end(p.s);
}

static void test_a_restart_holds_again_what_was_let_go(void **state)
{
	struct place p = let_go();

	story_restart(p.s);
	story_grace_over(p.s);
	sim_run_for(p.s, NS_PER_SEC);
	assert_int_equal(look(&p, 2), STATUS_OK);
	empty_it(&p);
	assert_int_equal(look(&p, 2), STATUS_NO_ENTRY);
	story_end(p.s);
}

/* Nobody asks a second time: it is done when the master is back, or is another. */
static void check_later(enum message_kind kind, bool restart)
{
	struct place p = begin(kind);

	story_cut(p.s, 0, true, true);
	assert_int_equal(given_up(&p), STATUS_NO_MASTER);
	assert_int_equal(look(&p, 2), STATUS_OK);
	if (restart)
		story_restart(p.s);
	story_cut(p.s, 0, false, false);
	if (restart)
		story_grace_over(p.s);
	sim_run_for(p.s, 2 * NS_PER_SEC);
	assert_int_equal(p.s->nodes[0].told[NODE_EVENT_LAPSED], 0);
	assert_int_equal(look(&p, 2), STATUS_NO_ENTRY);
	assert_int_equal(p.s->nodes[0].noticed[GONE], 1);
	story_end(p.s);
}

static void test_without_a_master_it_is_forgotten(void **state)
{
	check_later(MESSAGE_CREATE, false);
	check_later(MESSAGE_MKDIR, false);
	check_later(MESSAGE_CREATE, true);
	check_later(MESSAGE_MKDIR, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_another_node_made_is_given_up),
		cmocka_unit_test(test_what_the_same_node_made_later_is_given_up),
		cmocka_unit_test(test_the_makers_kernel_does_not_hear_of_it),
		cmocka_unit_test(test_the_wrong_names_pass_for_held),
		cmocka_unit_test(test_a_full_directory_goes_or_stays),
		cmocka_unit_test(test_a_restart_holds_again_what_was_let_go),
		cmocka_unit_test(test_without_a_master_it_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
