/* SPDX-License-Identifier: MIT */
#include "cli/patience.h"

#include <signal.h>
#include <stddef.h>
#include <sys/time.h>

/* The alarm comes again, since the first may come just before the call that it is to end. */
#define AGAIN_US 20000

static volatile sig_atomic_t over;

static void on_alarm(int signal)
{
	(void)signal;
	over = 1;
}

void patience_begin(int64_t ns)
{
	struct sigaction on = {.sa_handler = on_alarm};
	struct itimerval timer = {.it_interval = {.tv_usec = AGAIN_US}};
	sigset_t set;

	over = ns == 0;
	if (ns <= 0)
		return;
	timer.it_value.tv_sec = (time_t)(ns / 1000000000);
	timer.it_value.tv_usec = (suseconds_t)(ns % 1000000000 / 1000);
	if (!timer.it_value.tv_sec && !timer.it_value.tv_usec)
		timer.it_value.tv_usec = 1;
	sigaction(SIGALRM, &on, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

bool patience_over(void)
{
	return over;
}

void patience_end(void)
{
	static const struct itimerval none;

	setitimer(ITIMER_REAL, &none, NULL);
}
