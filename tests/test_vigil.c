/* SPDX-License-Identifier: MIT */
/* Fears about the watch over sessions: one reported that lives, or none reported that has ended. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/process.h"
#include "fs/sids.h"
#include "fs/vigil.h"
#include "tests/processes.h"
#include "transport/loop.h"

#define PATIENCE_MS (60 * 1000) /* only a hang takes so long */
#define MANY	    200

static int setup(void **state)
{
	*state = vigil_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	vigil_free(*state);
	return 0;
}

static void want(struct vigil *v, const struct leader *l)
{
	assert_true(vigil_want(v, l->pid, loop_now().boot_ns));
}

static pid_t next(struct vigil *v, int64_t *before_ns)
{
	struct pollfd reports = {.fd = vigil_fd(v), .events = POLLIN};
	pid_t sid;

	while (!vigil_next(v, &sid, before_ns))
		assert_int_equal(poll(&reports, 1, PATIENCE_MS), 1);
	return sid;
}

static void end(struct leader *l)
{
	leader_end(l);
	close(l->to);
}

/* The next report is that of a session that ends after all that was done so far. */
static void expect_no_report(struct vigil *v)
{
	struct leader fence = leader_new();
	int64_t before_ns;

	want(v, &fence);
	end(&fence);
	assert_int_equal(next(v, &before_ns), fence.pid);
}

static void test_a_session_ends_with_its_leader(void **state)
{
	struct leader l = leader_new();
	pid_t first = leader_fork(&l), second = leader_fork(&l);
	int64_t since_ns = loop_now().boot_ns, before_ns;

	want(*state, &l);
	leader_end(&l);
	expect_no_report(*state);
	process_kill(first);
	expect_no_report(*state);
	process_kill(second);
	assert_int_equal(next(*state, &before_ns), l.pid);
	assert_in_range(before_ns, since_ns, loop_now().boot_ns);
	close(l.to);
}

static void test_who_has_cleaned_up_is_reported(void **state)
{
	struct leader l = leader_new(), again = leader_new();
	int64_t before_ns;

	want(*state, &l);
	expect_no_report(*state); /* by now it is watched */
	vigil_unwant(*state, l.pid);
	assert_int_equal(vigil_count(*state), 1);
	end(&l);
	expect_no_report(*state);
	assert_int_equal(vigil_count(*state), 0);
	want(*state, &again);
	vigil_unwant(*state, again.pid);
	want(*state, &again);
	end(&again);
	assert_int_equal(next(*state, &before_ns), again.pid);
	vigil_unwant(*state, 1); /* not watched */
}

static void test_a_session_that_has_ended_already_is_waited_for(void **state)
{
	struct leader l = leader_new();
	int64_t before_ns;

	end(&l);
	want(*state, &l);
	assert_int_equal(next(*state, &before_ns), l.pid);
	want(*state, &l);
	assert_int_equal(next(*state, &before_ns), l.pid);
}

/* It has the number of one that was there a second ago, and is gone. */
static void test_a_later_session_passes_for_the_earlier(void **state)
{
	struct leader l = leader_new();
	int64_t before_ns;
	struct process p;

	assert_true(process_read(l.pid, &p));
	assert_true(vigil_want(*state, l.pid, loop_now().boot_ns - NS_PER_SEC));
	assert_int_equal(next(*state, &before_ns), l.pid);
	assert_int_equal(before_ns, sids_start_ns(p.start));
	want(*state, &l);
	expect_no_report(*state);
	end(&l);
	assert_int_equal(next(*state, &before_ns), l.pid);
}

static void test_of_many_at_once_one_is_forgotten(void **state)
{
	static struct leader leaders[MANY];
	int64_t before_ns;
	size_t reported = 0;

	for (size_t i = 0; i < MANY; i++) {
		leaders[i] = leader_new();
		want(*state, &leaders[i]);
	}
	expect_no_report(*state);
	for (size_t i = 0; i < MANY; i++)
		end(&leaders[i]);
	for (size_t i = 0; i < MANY; i++) {
		pid_t sid = next(*state, &before_ns);

		for (size_t j = 0; j < MANY; j++)
			reported += leaders[j].pid == sid;
	}
	assert_int_equal(reported, MANY);
	expect_no_report(*state);
}

/* Neither is anybody found then, nor is that taken for nobody being there. */
static void test_without_descriptors_the_living_are_reported_or_the_dead_not(void **state)
{
	struct leader l = leader_new(), fence = leader_new();
	struct rlimit old, few;
	int64_t before_ns;
	pid_t child = leader_fork(&l);

	leader_end(&l);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	want(*state, &l);
	want(*state, &fence);
	setrlimit(RLIMIT_NOFILE, &old);
	end(&fence);
	assert_int_equal(next(*state, &before_ns), fence.pid);
	process_kill(child);
	assert_int_equal(next(*state, &before_ns), l.pid);
	close(l.to);
}

/* Its end waits for nobody. */
static void test_the_end_comes_in_between(void **state)
{
	struct leader l = leader_new(), other = leader_new();
	struct vigil *v = vigil_new();
	struct pollfd reports;

	assert_non_null(v);
	reports = (struct pollfd){.fd = vigil_fd(v), .events = POLLIN};
	want(v, &l);
	want(v, &other);
	end(&other);
	assert_int_equal(poll(&reports, 1, PATIENCE_MS), 1); /* not taken */
	vigil_free(v);
	vigil_free(NULL);
	end(&l);
}

#define VIGIL_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VIGIL_TEST(test_a_session_ends_with_its_leader),
		VIGIL_TEST(test_who_has_cleaned_up_is_reported),
		VIGIL_TEST(test_a_session_that_has_ended_already_is_waited_for),
		VIGIL_TEST(test_a_later_session_passes_for_the_earlier),
		VIGIL_TEST(test_of_many_at_once_one_is_forgotten),
		VIGIL_TEST(test_without_descriptors_the_living_are_reported_or_the_dead_not),
		cmocka_unit_test(test_the_end_comes_in_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
