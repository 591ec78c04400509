/* SPDX-License-Identifier: MIT */
/* The thread, and that there is one master at a time. What every store does: test_engine.c. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/store_place.h"

static void test_store_of_one_machine_is_shared(void **state)
{
	struct store *s = open_place(*state);

	assert_true(store_is_exclusive(s));
	store_close(s);
}

/* The thread. */

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
		STORE_TEST(test_store_of_one_machine_is_shared),
		STORE_TEST(test_thread_takes_a_signal_of_the_loop),
		STORE_TEST(test_two_masters_in_one_store),
		STORE_TEST(test_second_name_evades_the_lock),
		STORE_TEST(test_removed_lock_file_lets_a_second_in),
		STORE_TEST(test_lock_outlives_a_killed_master),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
