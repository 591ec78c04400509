/* SPDX-License-Identifier: MIT */
/*
 * Names that are another file's by the time that a request comes to remove or move them: the node's
 * kernel has checked and locked the one that it was told of.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "story.h"

#define OWNER 1000
#define OTHER 1001

static struct message in_root(enum message_kind kind, const char *name)
{
	return (struct message){.kind = kind,
				.parent = ROOT_INO,
				.name = name,
				.target = kind == MESSAGE_RENAME ? ROOT_INO : 0,
				.mode = 0755,
				.uid = OWNER};
}

static uint64_t make_dir(struct sim *s, const char *name)
{
	struct message m = in_root(MESSAGE_MKDIR, name);
	struct request *r = story_ask(s, 1, &m);

	assert_int_equal(r->status, STATUS_OK);
	return r->reply->attr.ino;
}

static void move(struct sim *s, const char *from, const char *to)
{
	struct message m = in_root(MESSAGE_RENAME, from);

	m.name2 = to;
	assert_int_equal(story_status(s, 1, &m), STATUS_OK);
}

static uint64_t ino_of(struct sim *s, const char *name)
{
	struct message look = in_root(MESSAGE_LOOKUP, name);
	struct request *r = story_ask(s, 0, &look);

	return r->status == STATUS_OK ? r->reply->attr.ino : 0;
}

static void test_another_directory_is_removed(void **state)
{
	struct sim *s = story_begin(2);
	struct message rmdir = in_root(MESSAGE_UNLINK, "d");
	uint64_t first = make_dir(s, "d"), second;

	rmdir.flags = UNLINK_DIR;
	rmdir.known = first;
	move(s, "d", "away");
	assert_int_equal(story_status(s, 0, &rmdir), STATUS_NO_ENTRY);
	second = make_dir(s, "d");
	assert_int_equal(story_status(s, 0, &rmdir), STATUS_CHANGED);
	assert_true(ino_of(s, "d") == second);
	rmdir.known = second;
	assert_int_equal(story_status(s, 0, &rmdir), STATUS_OK);
	assert_true(ino_of(s, "d") == 0 && ino_of(s, "away") == first);
	story_end(s);
}

/* The place must still have what the kernel will bury, and the name what it will move. */
static void test_another_directory_is_moved_or_replaced(void **state)
{
	struct sim *s = story_begin(2);
	struct message m = in_root(MESSAGE_RENAME, "from");
	uint64_t from = make_dir(s, "from"), to = make_dir(s, "to");

	m.name2 = "to";
	m.known = to;
	assert_int_equal(story_status(s, 0, &m), STATUS_CHANGED);
	m.known = from;
	m.known2 = from;
	assert_int_equal(story_status(s, 0, &m), STATUS_CHANGED);
	m.known2 = to;
	move(s, "to", "away");
	assert_int_equal(story_status(s, 0, &m), STATUS_CHANGED);
	move(s, "away", "to");
	assert_int_equal(story_status(s, 0, &m), STATUS_OK);
	assert_true(ino_of(s, "to") == from && ino_of(s, "from") == 0);
	story_end(s);
}

static uint64_t make_lock(struct sim *s, const char *name, uint32_t uid)
{
	struct message m = in_root(MESSAGE_SYMLINK, name);
	struct request *r;

	m.uid = uid;
	m.data = "pid";
	m.data_len = 3;
	r = story_ask(s, 1, &m);
	assert_int_equal(r->status, STATUS_OK);
	return r->reply->attr.ino;
}

/* The root is sticky: the kernel let the owner of the earlier file do it, and this one is not his. */
static void test_a_lock_file_of_another_user_is_removed(void **state)
{
	struct sim *s = story_begin(2);
	struct message unlink = in_root(MESSAGE_UNLINK, "f"), m = in_root(MESSAGE_RENAME, "g");
	uint64_t mine = make_lock(s, "f", OWNER), others;

	unlink.known = mine;
	unlink.flags = KNOWN_ANY;
	assert_int_equal(story_status(s, 0, &unlink), STATUS_OK);
	make_lock(s, "f", OWNER);
	assert_int_equal(story_status(s, 0, &unlink), STATUS_OK); /* his, too */
	others = make_lock(s, "f", OTHER);
	assert_int_equal(story_status(s, 0, &unlink), STATUS_NOT_PERMITTED);
	make_lock(s, "g", OWNER);
	m.name2 = "f"; /* which was free when he looked */
	assert_int_equal(story_status(s, 0, &m), STATUS_NOT_PERMITTED);
	m.known2 = mine;
	m.flags = KNOWN_ANY;
	assert_int_equal(story_status(s, 0, &m), STATUS_NOT_PERMITTED);
	assert_true(ino_of(s, "f") == others);
	unlink.uid = 0;
	assert_int_equal(story_status(s, 0, &unlink), STATUS_OK);
	story_end(s);
}

/* Done by a master that is gone: the second time it must not be taken for another's doing. */
static void test_a_retried_move_finds_its_own_work_changed(void **state)
{
	struct sim *s = story_begin(2);
	struct message m = in_root(MESSAGE_RENAME, "from");
	struct request *r;

	m.known = make_dir(s, "from");
	m.known2 = make_dir(s, "to");
	m.name2 = "to";
	assert_true(ino_of(s, "from") == m.known && ino_of(s, "to") == m.known2);
	story_cut(s, 0, false, true);
	r = request_submit(s, 0, &m, NULL);
	sim_run_for(s, 10 * STORY_HOP_NS);
	assert_false(r->answered);
	story_restart(s);
	story_cut(s, 0, false, false);
	assert_int_equal(story_wait(s, r, 15 * NS_PER_SEC)->status, STATUS_OK);
	assert_true(ino_of(s, "to") == m.known && ino_of(s, "from") == 0);
	story_end(s);
}

/* Nor may the helper wait for an inode that the kernel has locked meanwhile (fs/own.c). */
static void test_what_is_being_removed_is_taken_for_unlocked(void **state)
{
	struct sim *s = story_begin(2);
	struct message m = in_root(MESSAGE_RENAME, "from");
	struct node *n = s->nodes[0].node;

	m.name2 = "to";
	m.known = make_dir(s, "from");
	m.known2 = make_dir(s, "to");
	request_submit(s, 0, &m, NULL);
	assert_true(node_may_lock(n, m.known) && node_may_lock(n, m.known2));
	sim_run_for(s, NS_PER_SEC);
	assert_false(node_may_lock(n, m.known) || node_may_lock(n, m.known2));
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_directory_is_removed),
		cmocka_unit_test(test_another_directory_is_moved_or_replaced),
		cmocka_unit_test(test_a_lock_file_of_another_user_is_removed),
		cmocka_unit_test(test_a_retried_move_finds_its_own_work_changed),
		cmocka_unit_test(test_what_is_being_removed_is_taken_for_unlocked),
	};

	cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
