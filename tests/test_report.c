/* SPDX-License-Identifier: MIT */
/* Fears about the master's log: a peer fills it, or what a person must know is not in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "master/report.h"

/* What was written while it was collected. */
static char text[200000];
static FILE *file;
static int saved;

static void begin(struct report *r)
{
	report_init(r, "m");
	file = tmpfile();
	assert_non_null(file);
	saved = dup(STDERR_FILENO);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
}

static void end(void)
{
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
}

static int lines(const char *words)
{
	int count = 0;

	for (const char *at = text; (at = strstr(at, words)); at++)
		count++;
	return count;
}

static void happens(struct report *r, enum master_event_kind kind, const char *node)
{
	struct master_event event = {.kind = kind, .epoch = 2, .count = 1};

	snprintf(event.node, sizeof(event.node), "%s", node);
	snprintf(event.text, sizeof(event.text), "%s", "because");
	report_event(r, NULL, &event);
}

static void test_a_node_that_is_refused_is_said_again_and_again(void **state)
{
	static struct report r;

	begin(&r);
	for (int i = 0; i < 1000; i++) {
		happens(&r, MASTER_EVENT_TAKEN, "one");
		happens(&r, MASTER_EVENT_TAKEN, "two");
	}
	end();
	assert_int_equal(lines("node one asks"), 1);
	assert_int_equal(lines("node two asks"), 1);
	assert_int_equal(lines("\n"), 2);
}

static void test_nodes_that_come_and_go_fill_the_log(void **state)
{
	static struct report r;
	char name[20];

	begin(&r);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		happens(&r, MASTER_EVENT_OPENED, name);
		happens(&r, MASTER_EVENT_TAKEN, name);
		happens(&r, MASTER_EVENT_LEFT, name);
	}
	/* And all that does not keep back what others must know. */
	happens(&r, MASTER_EVENT_GRACE_OVER, "");
	end();
	assert_int_equal(lines("has joined") + lines("has left"), LOG_BURST);
	assert_int_equal(lines("asks for a session"), LOG_BURST);
	assert_int_equal(lines("grace is over"), 1);
}

static void test_what_a_person_must_know_is_not_said(void **state)
{
	static struct report r;

	begin(&r);
	report_role(&r, MASTER_ROLE_STANDS_BY, 1);
	report_role(&r, MASTER_ROLE_STANDS_BY, 1);
	happens(&r, MASTER_EVENT_LEADING, "");
	happens(&r, MASTER_EVENT_EXPIRED, "lost");
	happens(&r, MASTER_EVENT_STEPPED_DOWN, "");
	report_role(&r, MASTER_ROLE_STANDS_BY, 3);
	end();
	assert_string_equal(text,
			    "dlock: m: stands by for the master that leads in epoch 1\n"
			    "dlock: m: leads in epoch 2; grace for 1 sessions to reclaim\n"
			    "dlock: m: node lost was silent for its lease; what it held is free\n"
			    "dlock: m: no longer leads: because\n"
			    "dlock: m: stands by for the master that leads in epoch 3\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_node_that_is_refused_is_said_again_and_again),
		cmocka_unit_test(test_nodes_that_come_and_go_fill_the_log),
		cmocka_unit_test(test_what_a_person_must_know_is_not_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
