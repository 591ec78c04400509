/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "transport/loop.h"

#define SECONDS_MAX (100.0 * 366 * 24 * 3600)

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

struct moment loop_now(void)
{
	return (struct moment){
		.boot_ns = read_clock(CLOCK_BOOTTIME),
		.wall_ns = read_clock(CLOCK_REALTIME),
	};
}

int loop_init(struct loop *loop)
{
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	loop->armed_ns = MOMENT_NEVER;
	loop->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (loop->signal_fd < 0)
		return -errno;
	loop->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->timer_fd < 0) {
		err = -errno;
		close(loop->signal_fd);
		return err;
	}
	return 0;
}

void loop_deinit(struct loop *loop)
{
	close(loop->timer_fd);
	close(loop->signal_fd);
}

void loop_arm(struct loop *loop, int64_t deadline_ns)
{
	int64_t ns = deadline_ns > 0 ? deadline_ns : 1; /* zero would switch the timer off */
	const struct itimerspec at = {
		.it_value = {.tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC},
	};

	if (deadline_ns >= loop->armed_ns)
		return;
	timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
	loop->armed_ns = deadline_ns;
}

void loop_timer_seen(struct loop *loop)
{
	uint64_t count;

	if (read(loop->timer_fd, &count, sizeof(count)) == sizeof(count))
		loop->armed_ns = MOMENT_NEVER;
}

int loop_signal(struct loop *loop)
{
	struct signalfd_siginfo info;

	if (read(loop->signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

bool loop_parse_seconds(const char *text, int64_t *ns)
{
	char *end;
	double seconds;

	if (*text != '.' && (*text < '0' || *text > '9'))
		return false; /* no sign, blank, or "inf" */
	errno = 0;
	seconds = strtod(text, &end);
	if (errno || *end || !isfinite(seconds) || seconds > SECONDS_MAX)
		return false;
	*ns = (int64_t)(seconds * 1e9 + 0.5);
	return true;
}
