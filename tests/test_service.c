/* SPDX-License-Identifier: MIT */
/* Fears about what systemd is told of a master. A datagram socket takes systemd's part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/service.h"

/* Generous: it only bounds how long a broken master holds the test up. */
#define PATIENCE_MS 60000

extern char **environ;

static char dir[] = "/tmp/dlock-service.XXXXXX";
static int systemd = -1;

static int listen_as_systemd(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	assert_non_null(mkdtemp(dir));
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", dir);
	systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(systemd >= 0);
	assert_int_equal(bind(systemd, (struct sockaddr *)&at, sizeof(at)), 0);
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	return 0;
}

static int stop_listening(void **state)
{
	char command[100];

	close(systemd);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

/* The next that is told, "": nothing within so long. */
static const char *heard(int timeout_ms)
{
	struct pollfd p = {.fd = systemd, .events = POLLIN};
	static char text[500];
	ssize_t len = 0;

	if (poll(&p, 1, timeout_ms) == 1)
		len = recv(systemd, text, sizeof(text) - 1, 0);
	assert_true(len >= 0);
	text[len] = '\0';
	return text;
}

static void test_it_is_ready_before_it_serves(void **state)
{
	struct service s = {0};

	service_tell(&s, MASTER_ROLE_WAITS, 0);
	assert_string_equal(heard(0), "STATUS=waits for the store");
	service_tell(&s, MASTER_ROLE_RESTORES, 3);
	assert_string_equal(heard(0), "STATUS=grace: nodes reclaim what they hold (epoch 3)");
	service_tell(&s, MASTER_ROLE_LEADS, 3);
	assert_string_equal(heard(0), "READY=1\nSTATUS=leads (epoch 3)");
}

static void test_a_standby_keeps_the_boot_waiting(void **state)
{
	struct service s = {0};

	service_tell(&s, MASTER_ROLE_STANDS_BY, 7);
	assert_string_equal(heard(0), "READY=1\nSTATUS=stands by (epoch 7)");
	service_tell(&s, MASTER_ROLE_STANDS_BY, 8);
	assert_string_equal(heard(0), "STATUS=stands by (epoch 8)");
	service_tell(&s, MASTER_ROLE_RESTORES, 9);
	assert_string_equal(heard(0), "STATUS=grace: nodes reclaim what they hold (epoch 9)");
	service_tell(&s, MASTER_ROLE_ENDS, 9);
	assert_string_equal(heard(0), "STOPPING=1\nSTATUS=hands over");
}

static void test_each_turn_of_the_loop_is_told(void **state)
{
	struct service s = {0};

	for (int i = 0; i < 3; i++)
		service_tell(&s, MASTER_ROLE_LEADS, 1);
	assert_string_equal(heard(0), "READY=1\nSTATUS=leads (epoch 1)");
	assert_string_equal(heard(0), "");
}

/* until WORDS: systemd hears what begins with them; what comes before is about what went before. */
static void until(const char *words)
{
	const char *text;

	do {
		text = heard(PATIENCE_MS);
		if (!*text)
			fail_msg("never told: %s", words);
	} while (strncmp(text, words, strlen(words)) != 0);
}

static void test_the_program_tells_nobody(void **state)
{
	char store[100], url[100];
	char *argv[] = {getenv("DLOCK_MASTER"), "--store", store, "--listen", url, NULL};
	pid_t pid;
	int status;

	snprintf(store, sizeof(store), "sqlite:%s/m.db", dir);
	snprintf(url, sizeof(url), "ipc://%s/m.sock", dir);
	assert_non_null(argv[0]);
	assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ), 0);
	until("READY=1\nSTATUS=leads (epoch 1)");
	assert_int_equal(kill(pid, SIGTERM), 0);
	until("STOPPING=1");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_ready_before_it_serves),
		cmocka_unit_test(test_a_standby_keeps_the_boot_waiting),
		cmocka_unit_test(test_each_turn_of_the_loop_is_told),
		cmocka_unit_test(test_the_program_tells_nobody),
	};

	return cmocka_run_group_tests(tests, listen_as_systemd, stop_listening);
}
