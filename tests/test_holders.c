/* SPDX-License-Identifier: MIT */
/* Fears about finding who holds a file: one that is overlooked, one that has nothing to do with it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/holders.h"

#define FOUND_MAX 16

static char path[] = "/tmp/dlock-test-holders.XXXXXX";
static struct sought sought;
static uint64_t inos[3];

struct finds {
	pid_t pids[FOUND_MAX];
	struct found last;
	size_t count;
};

static bool take(void *arg, const struct found *f)
{
	struct finds *finds = arg;

	assert_true(finds->count < FOUND_MAX);
	assert_true(f->pidfd >= 0);
	finds->last = *f;
	finds->pids[finds->count++] = f->process.pid;
	return true;
}

static struct finds find(void)
{
	struct finds finds = {0};

	assert_true(holders_find(&sought, take, &finds));
	return finds;
}

static int setup(void **state)
{
	struct statx st;
	int fd = mkstemp(path);

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_INO, &st) < 0)
		return -1;
	close(fd);
	inos[0] = st.stx_ino + 1000000;
	inos[1] = st.stx_ino;
	inos[2] = 1;
	sought = (struct sought){.dev_major = st.stx_dev_major,
				 .dev_minor = st.stx_dev_minor,
				 .inos = inos,
				 .ino_count = 3};
	holders_sort(&sought);
	return 0;
}

static int teardown(void **state)
{
	unlink(path);
	return 0;
}

/* A process that does this and says so, then waits to be killed. */
static pid_t child(void (*act)(void))
{
	int ends[2];
	char done = 0;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		act();
		if (write(ends[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &done, 1), 1);
	close(ends[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void must(bool done)
{
	if (!done)
		_exit(1);
}

static void have_open(void)
{
	must(open(path, O_RDONLY) >= 0);
}

static void have_another_open(void)
{
	must(open("/dev/null", O_RDONLY) >= 0 && open("/", O_RDONLY) >= 0);
}

static void check_found(void (*act)(void))
{
	pid_t pid = child(act);
	struct finds finds = find();

	end(pid);
	assert_int_equal(finds.count, 1);
	assert_int_equal(finds.pids[0], pid);
	assert_string_equal(finds.last.path, path);
	assert_false(finds.last.made);
}

static void test_a_holder_is_overlooked(void **state)
{
	check_found(have_open);
}

static void test_a_bystander_is_found(void **state)
{
	pid_t pid = child(have_another_open);

	assert_int_equal(find().count, 0);
	end(pid);
}

static void test_the_daemon_finds_itself(void **state)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(find().count, 0);
	close(fd);
}

static void test_another_device_has_the_same_number(void **state)
{
	pid_t pid = child(have_open);

	sought.dev_minor++;
	assert_int_equal(find().count, 0);
	sought.dev_minor--;
	end(pid);
}

static int thread_said[2];

static void say_ready(void)
{
	must(write(thread_said[1], "x", 1) == 1);
	for (;;)
		pause();
}

static void *open_alone(void *arg)
{
	(void)arg;
	must(unshare(CLONE_FILES) == 0);
	have_open();
	say_ready();
	return NULL;
}

static void start_thread(void *(*run)(void *))
{
	pthread_t thread;
	char done;

	must(pipe(thread_said) == 0);
	must(pthread_create(&thread, NULL, run, NULL) == 0);
	must(read(thread_said[0], &done, 1) == 1);
}

static void have_a_thread_with_its_own_table(void)
{
	start_thread(open_alone);
}

static void test_a_thread_hides_its_descriptors(void **state)
{
	check_found(have_a_thread_with_its_own_table);
}

static void *wait_for_ever(void *arg)
{
	(void)arg;
	say_ready();
	return NULL;
}

/* Its first thread ends, which takes its word with it: the parent waits for the zombie. */
static void test_a_holder_whose_first_thread_has_ended(void **state)
{
	struct process p = {0};
	struct finds finds;
	pid_t pid = fork();
	bool gone = false;

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		have_open();
		start_thread(wait_for_ever);
		syscall(SYS_exit, 0);
	}
	while (!gone) {
		char stat[64], text[256] = "";
		FILE *file;

		snprintf(stat, sizeof(stat), "/proc/%d/stat", pid);
		file = fopen(stat, "re");
		assert_non_null(file);
		assert_non_null(fgets(text, sizeof(text), file));
		fclose(file);
		gone = strstr(text, ") Z ") != NULL;
		sched_yield();
	}
	assert_true(process_read(pid, &p));
	assert_false(p.ended);
	finds = find();
	end(pid);
	assert_int_equal(finds.count, 1);
	assert_int_equal(finds.pids[0], pid);
}

static char dir[] = "/tmp/dlock-test-holders-ns.XXXXXX";

/* The mount it was opened in is nowhere to be seen any more, by it or by us. */
static void open_in_a_mount_of_its_own(void)
{
	char file[128];

	must(unshare(CLONE_NEWNS) == 0);
	/* In a chroot the root may be no mount. */
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 || errno == EINVAL);
	must(mount("/tmp", dir, NULL, MS_BIND, NULL) == 0);
	snprintf(file, sizeof(file), "%s%s", dir, path + strlen("/tmp"));
	must(open(file, O_RDONLY) >= 0);
	must(umount2(dir, MNT_DETACH) == 0);
	must(chroot(dir) == 0);
}

static void test_a_holder_in_another_namespace(void **state)
{
	struct finds finds;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	pid = child(open_in_a_mount_of_its_own);
	finds = find();
	end(pid);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(finds.count, 1);
	assert_int_equal(finds.pids[0], pid);
}

static void test_a_maker_is_overlooked_or_mistaken(void **state)
{
	pid_t pid = child(have_another_open);
	struct process p;
	struct maker_of makers[2];
	struct sought by_maker = {.makers = makers, .maker_count = 2};
	struct finds finds = {0};

	assert_true(process_read(pid, &p));
	makers[0] = (struct maker_of){.pid = pid, .start = p.start, .ino = 5};
	makers[1] = (struct maker_of){.pid = getpid(), .start = 1, .ino = 6};
	assert_true(holders_find(&by_maker, take, &finds));
	assert_int_equal(finds.count, 1);
	assert_int_equal(finds.pids[0], pid);
	assert_true(finds.last.made);
	makers[0].start++;
	finds.count = 0;
	assert_true(holders_find(&by_maker, take, &finds));
	assert_int_equal(finds.count, 0);
	end(pid);
}

/* Without descriptors nothing can be seen, which must not pass for nobody. */
static void test_blind_passes_for_nobody_there(void **state)
{
	struct finds finds = {0};
	struct rlimit old, none;
	bool complete;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	complete = holders_find(&sought, take, &finds);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_false(complete);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_holder_is_overlooked),
		cmocka_unit_test(test_a_bystander_is_found),
		cmocka_unit_test(test_the_daemon_finds_itself),
		cmocka_unit_test(test_another_device_has_the_same_number),
		cmocka_unit_test(test_a_thread_hides_its_descriptors),
		cmocka_unit_test(test_a_holder_whose_first_thread_has_ended),
		cmocka_unit_test(test_a_holder_in_another_namespace),
		cmocka_unit_test(test_a_maker_is_overlooked_or_mistaken),
		cmocka_unit_test(test_blind_passes_for_nobody_there),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
