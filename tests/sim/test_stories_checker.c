/* SPDX-License-Identifier: MIT */
/* Stories in which all is well, and the simulator's own checkers complained once. */
#include <stdlib.h>

#include "story.h"

#define HOP STORY_HOP_NS

static struct request *move(struct sim *s, size_t node, const char *from, const char *to)
{
	struct message m = {.kind = MESSAGE_RENAME,
			    .parent = ROOT_INO,
			    .name = from,
			    .target = ROOT_INO,
			    .name2 = to};

	return request_submit(s, node, &m, NULL);
}

static void moved(struct sim *s, size_t node, const char *from, const char *to)
{
	assert_int_equal(story_wait(s, move(s, node, from, to), 10 * HOP)->status, STATUS_OK);
}

/*
 * The first move to b crosses a removal of b, so that what became of it is told by nobody. The
 * second is another life of the same file under the same name, which the end of the first mover's
 * session does not end.
 */
static void test_what_was_moved_away_and_back_is_taken_for_gone(void **state)
{
	struct sim *s = story_begin(3);
	struct message unlink = {.kind = MESSAGE_UNLINK, .parent = ROOT_INO, .name = "b"};
	struct message list = {.kind = MESSAGE_READDIR, .ino = ROOT_INO};
	struct request *away, *removal;

	story_make(s, 0, "b", 0);
	story_make(s, 1, "a", 0);
	removal = request_submit(s, 0, &unlink, NULL);
	away = move(s, 1, "a", "b");
	assert_int_equal(story_wait(s, removal, 10 * HOP)->status, STATUS_OK);
	assert_int_equal(story_wait(s, away, 10 * HOP)->status, STATUS_OK);
	sim_run_for(s, HOP);
	moved(s, 0, "b", "a");
	sim_run_for(s, HOP);
	moved(s, 2, "a", "b");
	sim_run_for(s, HOP);
	assert_int_equal(story_lookup(s, 2, "b"), STATUS_OK);
	sim_crash_node(s, 1);
	sim_run_for(s, STORY_LEASE_NS + NS_PER_SEC);
	assert_int_equal(story_ask(s, 0, &list)->reply->entry_count, 1); /* and I11 is looked at */
	story_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_moved_away_and_back_is_taken_for_gone),
	};

	cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
