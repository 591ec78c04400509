/* SPDX-License-Identifier: MIT */
/*
 * Stories of names whose time-to-live is over while something keeps their file: it ended by no
 * session's request, and a master that starts anew hears of it from somebody all the same (rule 7).
 */
#include <stdlib.h>

#include "story.h"

#define HOP STORY_HOP_NS
#define TTL (3 * NS_PER_SEC)

static struct message in(uint64_t parent, enum message_kind kind, const char *name)
{
	return (struct message){.kind = kind, .parent = parent, .name = name, .mode = 0755};
}

static struct attr done(struct sim *s, size_t node, struct message m)
{
	struct request *r = story_ask(s, node, &m);

	assert_int_equal(r->status, STATUS_OK);
	return r->reply->attr;
}

static void set_ttl(struct sim *s, size_t node, uint64_t ino)
{
	done(s, node,
	     (struct message){.kind = MESSAGE_SETATTR, .ino = ino, .set = SET_TTL, .ttl_ns = TTL});
}

static enum status look(struct sim *s, uint64_t parent, const char *name)
{
	struct message m = in(parent, MESSAGE_LOOKUP, name);

	return story_status(s, 1, &m);
}

/* By a master that knows what it has been told alone. */
static void restart(struct sim *s)
{
	sim_run_for(s, 100 * HOP);
	story_restart(s);
	story_grace_over(s);
}

/* The script hangs with its lock file open, which has ended. */
static void test_restart_gives_an_ended_lock_file_back(void **state)
{
	struct sim *s = story_begin(2);
	struct opened e = story_make(s, 0, "e", OPEN_EXCL);

	story_write(s, &e, "mine");
	set_ttl(s, 0, e.ino);
	sim_run_for(s, TTL + HOP);
	assert_int_equal(look(s, ROOT_INO, "e"), STATUS_NO_ENTRY);
	restart(s);
	assert_int_equal(look(s, ROOT_INO, "e"), STATUS_NO_ENTRY);
	story_reads(s, &e, "mine");
	story_end(s);
}

static void test_restart_gives_one_of_two_names_back(void **state)
{
	struct sim *s = story_begin(2);
	uint64_t dir = done(s, 1, in(ROOT_INO, MESSAGE_MKDIR, "d")).ino;
	struct message link = in(dir, MESSAGE_LINK, "other"), make = in(dir, MESSAGE_CREATE, "e");
	struct attr e = done(s, 0, make);

	link.ino = e.ino;
	done(s, 0, link); /* held; the first lives on use alone */
	set_ttl(s, 0, e.ino);
	sim_run_for(s, TTL + HOP);
	assert_int_equal(look(s, dir, "other"), STATUS_NO_ENTRY);
	restart(s);
	assert_int_equal(look(s, dir, "other"), STATUS_NO_ENTRY);
	assert_int_equal(look(s, dir, "e"), STATUS_OK);
	story_end(s);
}

/* Its time is over, but another's name is in it: it goes with that. */
static void test_restart_holds_an_ended_directory_again(void **state)
{
	struct sim *s = story_begin(2);
	uint64_t dir = done(s, 0, in(ROOT_INO, MESSAGE_MKDIR, "d")).ino;
	struct message rmdir = in(dir, MESSAGE_UNLINK, "x");

	rmdir.flags = UNLINK_DIR;
	done(s, 1, in(dir, MESSAGE_MKDIR, "x"));
	set_ttl(s, 0, dir);
	sim_run_for(s, TTL + HOP);
	restart(s);
	assert_int_equal(look(s, ROOT_INO, "d"), STATUS_OK);
	assert_int_equal(story_status(s, 1, &rmdir), STATUS_OK);
	sim_run_for(s, HOP);
	assert_int_equal(look(s, ROOT_INO, "d"), STATUS_NO_ENTRY);
	story_end(s);
}

/* Who wrote last vouches for it, and has it open; the name was held by another. */
static void test_another_writers_record_gives_an_ended_name_back(void **state)
{
	struct sim *s = story_begin(3);
	struct opened e = story_make(s, 0, "e", OPEN_EXCL), f;

	set_ttl(s, 0, e.ino);
	f = story_make(s, 1, "e", 0);
	story_write(s, &f, "yours");
	story_close(s, &e);
	sim_run_for(s, TTL + HOP);
	restart(s);
	assert_int_equal(look(s, ROOT_INO, "e"), STATUS_NO_ENTRY);
	story_reads(s, &f, "yours");
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restart_gives_an_ended_lock_file_back),
		cmocka_unit_test(test_restart_gives_one_of_two_names_back),
		cmocka_unit_test(test_restart_holds_an_ended_directory_again),
		cmocka_unit_test(test_another_writers_record_gives_an_ended_name_back),
	};

	cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
