/* SPDX-License-Identifier: MIT */
/* Fears about what the loop waits for: a wake-up that is lost, or that never ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fs/wakes.h"

#define MANY (2 * WAKES_MAX)

static struct wakes wakes;
static int fds[MANY];

static int setup(void **state)
{
	for (int i = 0; i < MANY; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return wakes_init(&wakes);
}

static int teardown(void **state)
{
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	wakes_deinit(&wakes);
	return 0;
}

static void watch(int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(wakes_add(&wakes, fds[i], (uint32_t)i), 0);
}

static void clear(int i)
{
	eventfd_t count;

	assert_int_equal(eventfd_read(fds[i], &count), 0);
}

static void test_a_wake_that_was_only_looked_at_is_lost(void **state)
{
	uint32_t ids[WAKES_MAX];

	watch(3);
	eventfd_write(fds[1], 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(wakes_wait(&wakes, ids), 1);
		assert_int_equal(ids[0], 1);
	}
}

static void test_a_wake_that_was_read_goes_on(void **state)
{
	uint32_t ids[WAKES_MAX];

	watch(2);
	eventfd_write(fds[0], 1);
	assert_int_equal(wakes_wait(&wakes, ids), 1);
	clear(0);
	eventfd_write(fds[1], 1);
	assert_int_equal(wakes_wait(&wakes, ids), 1);
	assert_int_equal(ids[0], 1);
}

static void test_many_hide_the_last(void **state)
{
	uint32_t ids[WAKES_MAX];
	bool seen[MANY] = {false};

	watch(MANY);
	for (int i = 0; i < MANY; i++)
		eventfd_write(fds[i], 1);
	for (size_t left = MANY; left > 0;) {
		size_t count = wakes_wait(&wakes, ids);

		assert_in_range(count, 1, left);
		for (size_t i = 0; i < count; i++) {
			assert_false(seen[ids[i]]);
			seen[ids[i]] = true;
			clear((int)ids[i]);
		}
		left -= count;
	}
}

/* Like the device of a mount that was aborted: whoever reads it is told. */
static void test_a_descriptor_that_failed_is_waited_for_in_vain(void **state)
{
	uint32_t ids[WAKES_MAX];
	int ends[2];

	watch(1);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(wakes_add(&wakes, ends[0], 7), 0);
	close(ends[1]);
	assert_int_equal(wakes_wait(&wakes, ids), 1);
	assert_int_equal(ids[0], 7);
	close(ends[0]);
}

static void test_a_descriptor_that_cannot_be_watched_passes(void **state)
{
	assert_int_equal(wakes_add(&wakes, -1, 0), -EBADF);
	watch(1);
	assert_int_equal(wakes_add(&wakes, fds[0], 0), -EEXIST);
}

#define FEAR(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FEAR(test_a_wake_that_was_only_looked_at_is_lost),
		FEAR(test_a_wake_that_was_read_goes_on),
		FEAR(test_many_hide_the_last),
		FEAR(test_a_descriptor_that_failed_is_waited_for_in_vain),
		FEAR(test_a_descriptor_that_cannot_be_watched_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
