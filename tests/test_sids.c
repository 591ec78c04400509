/* SPDX-License-Identifier: MIT */
/* Fears about who is left of a session: somebody who is overlooked, or who has ended, or is of
 * another. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/process.h"
#include "fs/sids.h"
#include "lockcore/moment.h"
#include "tests/processes.h"
#include "transport/loop.h"

/* 0: none. */
static pid_t member_of(pid_t sid)
{
	struct sid_look look = {.sid = sid};

	assert_true(sids_look(&look, 1));
	return look.member;
}

static void test_a_session_without_its_leader_passes_for_empty(void **state)
{
	struct leader l = leader_new();
	pid_t child = leader_fork(&l), other = leader_fork(&l);

	assert_int_equal(sids_of(child), l.pid);
	assert_int_equal(member_of(l.pid), l.pid);
	leader_end(&l);
	assert_int_equal(member_of(l.pid), child);
	process_kill(child);
	assert_int_equal(member_of(l.pid), other);
	process_kill(other);
	assert_int_equal(member_of(l.pid), 0);
	close(l.to);
}

/* Who kills a script and does not wait for it would keep its locks. */
static void test_a_zombie_passes_for_alive(void **state)
{
	struct leader l = leader_new();
	uint64_t start;

	assert_true(sids_leader(l.pid, &start));
	process_kill(l.pid);
	assert_int_equal(sids_of(l.pid), l.pid);
	assert_false(sids_leader(l.pid, &start));
	assert_int_equal(member_of(l.pid), 0);
	waitpid(l.pid, NULL, 0);
	close(l.to);
	close(l.from);
}

static void test_of_several_sessions_one_is_mixed_up(void **state)
{
	struct leader l[3] = {leader_new(), leader_new(), leader_new()};
	struct sid_look looks[3];

	for (size_t i = 0; i < 3; i++)
		looks[i] = (struct sid_look){.sid = l[i].pid};
	leader_end(&l[1]);
	assert_true(l[0].pid < l[1].pid && l[1].pid < l[2].pid);
	assert_true(sids_look(looks, 3));
	assert_int_equal(looks[0].member, l[0].pid);
	assert_int_equal(looks[1].member, 0);
	assert_int_equal(looks[2].member, l[2].pid);
	leader_end(&l[0]);
	leader_end(&l[2]);
	for (size_t i = 0; i < 3; i++)
		close(l[i].to);
}

static void test_what_has_no_session_has_one(void **state)
{
	assert_int_equal(sids_of(0), 0);
	assert_int_equal(sids_of(-1), 0);
	assert_int_equal(sids_of(2), 0); /* kthreadd, or nobody here */
	assert_int_equal(sids_of(getpid()), getsid(0));
}

static void test_a_number_used_again_is_taken_in_hand(void **state)
{
	struct leader l = leader_new();
	struct process p;
	int fd;

	assert_true(process_read(l.pid, &p));
	fd = sids_open(l.pid, l.pid, p.start);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(sids_open(l.pid, l.pid, p.start + 1), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(sids_open(getsid(0), l.pid, p.start), -1);
	assert_int_equal(errno, ESRCH);
	leader_end(&l);
	assert_int_equal(sids_open(l.pid, l.pid, p.start), -1);
	assert_int_equal(errno, ESRCH);
	close(l.to);
}

/* Compared with moments of CLOCK_BOOTTIME. */
static void test_a_start_is_on_another_clock(void **state)
{
	int64_t before = loop_now().boot_ns, start;
	struct leader l = leader_new();
	struct process p;

	assert_true(process_read(l.pid, &p));
	start = sids_start_ns(p.start);
	assert_in_range(start, before - 10 * NS_PER_MS, loop_now().boot_ns);
	leader_end(&l);
	close(l.to);
}

/* The limit below which so many numbers are free. */
static rlim_t limit_for(int free)
{
	int fd = 0;

	for (; free >= 0; fd++)
		free -= fcntl(fd, F_GETFD) < 0;
	return (rlim_t)fd - 1;
}

/* With so few descriptors left, what cannot be looked at is no proof that nobody is there. */
static void check_blind(pid_t sid, int free)
{
	struct sid_look look = {.sid = sid};
	struct rlimit old, few;
	bool complete;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = limit_for(free);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	complete = sids_look(&look, 1);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(complete, free > 1);
}

static void test_blind_passes_for_nobody_there(void **state)
{
	struct leader l = leader_new();

	check_blind(l.pid, 0);
	check_blind(l.pid, 1);
	check_blind(l.pid, 2);
	leader_end(&l);
	close(l.to);
}

static void test_who_is_not_shown_everybody_may_look(void **state)
{
	if (geteuid() == 0)
		assert_null(sids_trouble());
	else
		assert_non_null(strstr(sids_trouble(), "root"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_session_without_its_leader_passes_for_empty),
		cmocka_unit_test(test_a_zombie_passes_for_alive),
		cmocka_unit_test(test_of_several_sessions_one_is_mixed_up),
		cmocka_unit_test(test_what_has_no_session_has_one),
		cmocka_unit_test(test_a_number_used_again_is_taken_in_hand),
		cmocka_unit_test(test_a_start_is_on_another_clock),
		cmocka_unit_test(test_blind_passes_for_nobody_there),
		cmocka_unit_test(test_who_is_not_shown_everybody_may_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
