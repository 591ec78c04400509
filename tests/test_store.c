/* SPDX-License-Identifier: MIT */
/* The operations, the thread, and that there is one master at a time. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/store_place.h"

static void test_new_store_is_not_zero(void **state)
{
	struct store *s = open_place(*state);

	assert_true(store_is_exclusive(s));
	assert_cell(read_cell(s), cell(0, 0, 0));
	assert_sessions(s, "");
	store_close(s);
}

static void test_high_bits_are_lost_over_reopen(void **state)
{
	struct engine_cell high = {UINT64_MAX, UINT64_MAX - 1, 1ull << 63, INT64_MAX};
	struct store *s = open_place(*state);

	assert_int_equal(swap(s, cell(0, 0, 0), high), ENGINE_DONE);
	assert_int_equal(write_session(s, ENGINE_PUT, high, "n", UINT64_MAX), ENGINE_DONE);
	store_close(s);
	s = open_place(*state);
	assert_cell(read_cell(s), high);
	assert_sessions(s, "n=18446744073709551615 ");
	assert_int_equal(swap(s, high, cell(1, 2, 3)), ENGINE_DONE);
	store_close(s);
}

static void test_swap_overlooks_a_difference(void **state)
{
	struct engine_cell now = cell(5, 6, 7), same_but_lease = now;
	struct engine_cell others[] = {cell(4, 6, 7), cell(5, 5, 7), cell(5, 6, 8), cell(0, 0, 0)};
	struct store *s = open_place(*state);
	struct engine_outcome out;

	assert_int_equal(swap(s, cell(0, 0, 0), now), ENGINE_DONE);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		out = run(s, swap_op(others[i], cell(9, 9, 9)));
		assert_int_equal(out.result, ENGINE_REFUSED);
		assert_cell(out.cell, now);
	}
	assert_cell(read_cell(s), now);
	same_but_lease.lease_ns++;
	assert_int_equal(swap(s, same_but_lease, cell(9, 9, 9)), ENGINE_DONE);
	store_close(s);
}

static void test_fenced_master_writes(void **state)
{
	struct engine_cell now = cell(5, 6, 7);
	struct engine_cell fenced[] = {cell(5, 5, 7), cell(4, 6, 7), cell(0, 0, 0)};
	struct store *s = open_place(*state);

	assert_int_equal(swap(s, cell(0, 0, 0), now), ENGINE_DONE);
	assert_int_equal(write_session(s, ENGINE_PUT, now, "a", 1), ENGINE_DONE);
	for (size_t i = 0; i < sizeof(fenced) / sizeof(fenced[0]); i++) {
		assert_int_equal(write_session(s, ENGINE_PUT, fenced[i], "b", 2), ENGINE_REFUSED);
		assert_int_equal(write_session(s, ENGINE_DELETE, fenced[i], "a", 1),
				 ENGINE_REFUSED);
	}
	assert_sessions(s, "a=1 ");
	/* The sequence is no fence: a leader renews while its registry writes are under way. */
	assert_int_equal(write_session(s, ENGINE_PUT, cell(5, 6, 1), "b", 2), ENGINE_DONE);
	store_close(s);
}

static void test_delete_takes_another_instance(void **state)
{
	struct engine_cell none = cell(0, 0, 0);
	char longest[NODE_ID_MAX_BYTES + 1] = {0}, text[100];
	struct store *s = open_place(*state);

	memset(longest, 'n', NODE_ID_MAX_BYTES);
	assert_int_equal(write_session(s, ENGINE_PUT, none, longest, 1), ENGINE_DONE);
	assert_int_equal(write_session(s, ENGINE_PUT, none, longest, 2), ENGINE_DONE);
	assert_int_equal(write_session(s, ENGINE_DELETE, none, longest, 1), ENGINE_DONE);
	snprintf(text, sizeof(text), "%s=2 ", longest);
	assert_sessions(s, text);
	assert_int_equal(write_session(s, ENGINE_DELETE, none, "absent", 1), ENGINE_DONE);
	assert_int_equal(write_session(s, ENGINE_DELETE, none, longest, 2), ENGINE_DONE);
	assert_sessions(s, "");
	store_close(s);
}

/* The thread. */

static void test_close_drops_what_was_submitted(void **state)
{
	struct store *s = open_place(*state);

	for (uint64_t i = 0; i < 50; i++) {
		struct engine_op op = swap_op(cell(0, 0, i), cell(0, 0, i + 1));

		assert_int_equal(store_submit(s, &op), 0);
	}
	store_close(s);
	store_close(NULL);
	s = open_place(*state);
	assert_cell(read_cell(s), cell(0, 0, 50));
	store_close(s);
}

static void test_queue_grows_without_bound_or_out_of_order(void **state)
{
	struct engine_op op = {.kind = ENGINE_LOAD};
	struct store *s = open_place(*state);

	for (op.id = 1; op.id <= STORE_QUEUE_MAX; op.id++)
		assert_int_equal(store_submit(s, &op), 0);
	assert_int_equal(store_submit(s, &op), -ENOBUFS);
	for (uint64_t id = 1; id <= STORE_QUEUE_MAX / 2; id++) {
		struct engine_outcome out = collect(s);

		assert_int_equal(out.id, id);
		free(out.sessions);
	}
	assert_int_equal(store_submit(s, &op), 0);
	store_close(s); /* frees the registries that nobody collected */
}

static void test_thread_takes_a_signal_of_the_loop(void **state)
{
	struct store *s;
	sigset_t usr1, pending;
	int number;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	s = open_place(*state);
	read_cell(s); /* now the thread runs, with the mask that it keeps */
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	kill(getpid(), SIGUSR1); /* ends the process if any thread takes it */
	sigpending(&pending);
	assert_true(sigismember(&pending, SIGUSR1));
	sigwait(&usr1, &number);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	store_close(s);
}

/* One master at a time. */

static int open_and_report(struct place *p, int fd)
{
	struct store *s = NULL;
	int err = store_open(p->spec, &p->options, &s, p->why, sizeof(p->why));

	if (write(fd, &err, sizeof(err)) != sizeof(err))
		return 1;
	if (!err)
		pause();
	return -err;
}

static void test_two_masters_in_one_store(void **state)
{
	struct place *p = *state;
	struct store *s = open_place(p);
	char words[64];
	int fd;

	snprintf(words, sizeof(words), "in use by another dlock-master (pid %d)", getpid());
	assert_refused(p, p->spec, -EBUSY, words);
	assert_int_equal(child_status(start_child(p, open_and_report, &fd)), EBUSY);
	close(fd);
	assert_int_equal(swap(s, cell(0, 0, 0), cell(1, 1, 1)), ENGINE_DONE);
	store_close(s);
}

static void test_second_name_evades_the_lock(void **state)
{
	struct place *p = *state;
	struct store *s = open_place(p);
	char link_path[96], spec[128];

	snprintf(link_path, sizeof(link_path), "%s/link.db", p->dir);
	snprintf(spec, sizeof(spec), "sqlite:%s", link_path);
	assert_int_equal(symlink("store.db", link_path), 0);
	assert_refused(p, spec, -EBUSY, "in use by another dlock-master");
	unlink(link_path);
	assert_int_equal(link(p->path, link_path), 0);
	assert_refused(p, spec, -EINVAL, "hard links");
	store_close(s);
}

static void test_removed_lock_file_lets_a_second_in(void **state)
{
	struct place *p = *state;
	struct store *s = open_place(p);
	char name[128];
	int fd;

	snprintf(name, sizeof(name), "%s.lock", p->path);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(child_status(start_child(p, open_and_report, &fd)), EBUSY);
	close(fd);
	store_close(s);
}

static void test_lock_outlives_a_killed_master(void **state)
{
	struct place *p = *state;
	int fd, err = -1;
	pid_t pid = start_child(p, open_and_report, &fd);
	char words[64];

	assert_int_equal(read(fd, &err, sizeof(err)), sizeof(err));
	assert_int_equal(err, 0);
	snprintf(words, sizeof(words), "(pid %d)", pid);
	assert_refused(p, p->spec, -EBUSY, words);
	kill(pid, SIGKILL);
	assert_int_equal(child_status(pid), -SIGKILL);
	close(fd);
	store_close(open_place(p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_new_store_is_not_zero),
		STORE_TEST(test_high_bits_are_lost_over_reopen),
		STORE_TEST(test_swap_overlooks_a_difference),
		STORE_TEST(test_fenced_master_writes),
		STORE_TEST(test_delete_takes_another_instance),
		STORE_TEST(test_close_drops_what_was_submitted),
		STORE_TEST(test_queue_grows_without_bound_or_out_of_order),
		STORE_TEST(test_thread_takes_a_signal_of_the_loop),
		STORE_TEST(test_two_masters_in_one_store),
		STORE_TEST(test_second_name_evades_the_lock),
		STORE_TEST(test_removed_lock_file_lets_a_second_in),
		STORE_TEST(test_lock_outlives_a_killed_master),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
