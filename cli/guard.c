/* SPDX-License-Identifier: MIT */
#include "cli/guard.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/lease.h"
#include "cli/pulse.h"
#include "cli/say.h"
#include "cli/start.h"
#include "cli/stop.h"
#include "cli/take.h"
#include "cli/terminal.h"

#define NS_PER_SEC   INT64_C(1000000000)
#define KILL_PASS_NS (NS_PER_SEC / 20) /* SIGKILL again, until nobody is left */
#define SEEN_NS	     NS_PER_SEC	       /* who was killed is waited for, before it is told */

enum polled {
	POLL_SOCKET,
	POLL_CHILD,
	POLL_CMD,
	POLL_AFTER,
	POLL_TIMER,
	POLL_PULSE,
	POLL_MARKER,
	POLL_COUNT
};

struct guard {
	const struct job *job;
	const struct origin *origin;
	int socket;
	struct taken taken;
	struct lease lease;
	enum lease_stage stage;
	int64_t pass_at_ns; /* the next pass of SIGKILL */
	int64_t tell_at_ns; /* of a lease that is over, even if CMD has not ended; 0: it is not */
	pid_t group;	    /* CMD, which is not reaped before the end */
	uint64_t marker;    /* inode */
	pid_t after;	    /* the child that runs job->after; 0: none */
	int status;	    /* of CMD, as wait(2) has it */
	bool ended;	    /* CMD has */
	bool stopping;	    /* CMD was told to stop */
	bool told;	    /* the front has heard how it ended */
	bool alone;	    /* the front is gone */
	bool unmarked;	    /* nobody has the marker any more */
	struct pollfd polled[POLL_COUNT];
	char line[2 * 4096];
	size_t line_used;
};

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

/* ---- Before CMD ---- */

static _Noreturn void give_up(struct guard *g, enum word_kind kind, int status)
{
	word_send(g->socket, kind, status, 0);
	_exit(0);
}

static _Noreturn void fail(struct guard *g, int status)
{
	give_up(g, WORD_FAILED, status);
}

/* The front's word is needed: it may be stopped, and then nothing is to begin. */
static void await_go(struct guard *g)
{
	struct pollfd p = {.fd = g->socket, .events = POLLIN};
	struct word w;
	int got;

	word_send(g->socket, WORD_LOCKED, 0, 0);
	do {
		poll(&p, 1, -1);
		got = word_receive(g->socket, &w);
	} while (got < 0 || (got > 0 && w.kind != WORD_GO));
	if (!got)
		_exit(0);
}

/* Who asks who waits for the lock, or has it, sees what it is for. */
static void take(struct guard *g)
{
	int lock_fd, status;

	prctl(PR_SET_NAME, basename(g->job->argv[0]));
	status = take_lock(g->job, &lock_fd);
	prctl(PR_SET_NAME, "dlock");
	if (status < 0)
		give_up(g, WORD_CONFLICT, 0);
	if (status)
		fail(g, status);
	if (g->job->before && !g->job->before(g->job))
		give_up(g, WORD_DECLINED, 0);
	await_go(g);
	status = take_lease(g->job, lock_fd, &g->taken);
	if (status)
		fail(g, status);
}

/* ---- The lease ---- */

/* Whole lines; the rest stays for the next read. */
static void take_lines(struct guard *g, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '\n' && g->line_used < sizeof(g->line)) {
			g->line[g->line_used++] = text[i];
			continue;
		}
		if (!lease_line(&g->lease, g->line, g->line_used, now_ns()))
			say_error("%s: .dlock/lease has a line that this program does not know",
				  g->job->name);
		g->line_used = 0;
	}
}

static void read_pulse(struct guard *g)
{
	char text[4096];
	ssize_t n = read(g->polled[POLL_PULSE].fd, text, sizeof(text));

	if (n > 0)
		take_lines(g, text, (size_t)n);
	else if (!n)
		g->polled[POLL_PULSE].fd = -1; /* what was said last holds, up to its time */
}

static void arm(struct guard *g, int64_t at_ns)
{
	struct itimerspec at = {0};

	if (at_ns != LEASE_NEVER) {
		at_ns = at_ns > 0 ? at_ns : 1;
		at.it_value.tv_sec = at_ns / NS_PER_SEC;
		at.it_value.tv_nsec = at_ns % NS_PER_SEC;
	}
	timerfd_settime(g->polled[POLL_TIMER].fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* ---- The end of CMD ---- */

/* Lost is what was stopped for it, unless CMD came through by itself when the lease was good again. */
static enum lease_loss loss_of(const struct guard *g)
{
	enum lease_loss loss = lease_loss(&g->lease, now_ns());

	if (!g->stopping)
		return LOSS_NONE;
	if (loss == LOSS_NONE && g->ended && !g->status)
		return LOSS_NONE;
	return loss == LOSS_NONE ? LOSS_SILENCE : loss;
}

static void tell(struct guard *g)
{
	if (g->told)
		return;
	g->told = true;
	word_send(g->socket, WORD_DONE, g->ended ? g->status : WORD_NO_STATUS, loss_of(g));
}

/* A child, since it asks things of the mount, and who guards must not hang. Like CMD it has the lock.
 */
static void begin_after(struct guard *g)
{
	g->after = fork();
	if (!g->after) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(g->socket);
		_exit(g->job->after(g->job) ? 0 : 1);
	}
	if (g->after < 0) {
		say_error("%s: that it ran cannot be noted: %s", g->job->name, strerror(errno));
		g->after = 0;
		g->status = 1 << 8;
		return;
	}
	g->polled[POLL_AFTER].fd = (int)syscall(SYS_pidfd_open, g->after, 0);
}

static void see_after(struct guard *g)
{
	int status;

	if (waitpid(g->after, &status, WNOHANG) != g->after)
		return;
	g->polled[POLL_AFTER].fd = -1;
	g->after = 0;
	if (status)
		g->status = 1 << 8;
}

/* CMD stays a zombie: its number is that of its group. */
static void see_cmd(struct guard *g)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)g->group, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid)
		return;
	g->polled[POLL_CMD].fd = -1;
	g->ended = true;
	g->status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
	if (!g->status && g->job->after && !g->stopping)
		begin_after(g);
}

/* The front sees the stop, and stops too. */
static void see_children(struct guard *g)
{
	struct signalfd_siginfo dropped;
	siginfo_t info = {0};

	while (read(g->polled[POLL_CHILD].fd, &dropped, sizeof(dropped)) > 0)
		;
	if (!g->ended && !waitid(P_PID, (id_t)g->group, &info, WSTOPPED | WNOHANG) && info.si_pid)
		word_send(g->socket, WORD_STOPPED, info.si_status, 0);
}

/* ---- Stopping ---- */

static void act(struct guard *g)
{
	int64_t now = now_ns();
	enum lease_stage stage = lease_stage(&g->lease, now);

	if (stage == LEASE_TERM && g->stage == LEASE_GOOD)
		stop_all(g->group, g->marker, SIGTERM);
	if (stage >= LEASE_KILL && now >= g->pass_at_ns) {
		stop_all(g->group, g->marker, SIGKILL);
		g->pass_at_ns = now_ns() + KILL_PASS_NS;
	}
	if (stage != LEASE_GOOD)
		g->stopping = true;
	else
		g->pass_at_ns = 0;
	g->stage = stage;
}

/* ---- The front ---- */

static void orphaned(struct guard *g)
{
	struct terminal t;

	g->alone = true;
	g->polled[POLL_SOCKET].fd = -1;
	if (g->told)
		return;
	lease_orphaned(&g->lease, now_ns());
	terminal_open(&t);
	t.own = g->origin->group;
	t.lent = g->group;
	terminal_take(&t);
	terminal_close(&t);
}

static void hear(struct guard *g)
{
	struct word w;
	int got = word_receive(g->socket, &w);

	if (!got)
		orphaned(g);
	else if (got > 0 && w.kind == WORD_SIGNAL && !g->told)
		kill(-g->group, w.value);
}

/* ---- Life ---- */

static void release(struct guard *g)
{
	flock(g->taken.lock_fd, LOCK_UN); /* done when it returns, which a close is not */
	word_send(g->socket, WORD_LET_GO, 0, 0);
	_exit(0);
}

/* CMD's children keep the lock: whoever reads CMD's output is not to wait for us. */
static void stay(struct guard *g)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	word_send(g->socket, WORD_LET_GO, 1, 0);
}

/* One turn: what is due, what has ended, and how long to sleep. */
static int64_t turn(struct guard *g)
{
	bool was_told = g->told;
	int64_t at;

	act(g);
	if (g->stage == LEASE_OVER && !g->tell_at_ns)
		g->tell_at_ns = now_ns() + SEEN_NS;
	if ((g->ended && !g->after) || (g->tell_at_ns && now_ns() >= g->tell_at_ns))
		tell(g);
	if (g->ended && !g->after && g->unmarked)
		release(g);
	if (g->told && !was_told)
		stay(g);
	at = lease_deadline(&g->lease, now_ns());
	if (g->stage >= LEASE_KILL && g->pass_at_ns < at)
		at = g->pass_at_ns;
	return at;
}

static bool came(const struct guard *g, enum polled which)
{
	return g->polled[which].fd >= 0 && g->polled[which].revents;
}

static void wait_for_more(struct guard *g)
{
	if (poll(g->polled, POLL_COUNT, -1) < 0)
		return;
	if (came(g, POLL_PULSE))
		read_pulse(g);
	if (came(g, POLL_MARKER)) {
		g->unmarked = true;
		g->polled[POLL_MARKER].fd = -1;
	}
	if (came(g, POLL_TIMER)) {
		uint64_t count;

		if (read(g->polled[POLL_TIMER].fd, &count, sizeof(count)) < 0)
			assert(errno == EAGAIN);
	}
	if (came(g, POLL_AFTER))
		see_after(g);
	if (came(g, POLL_CMD))
		see_cmd(g);
	if (came(g, POLL_CHILD))
		see_children(g);
	if (came(g, POLL_SOCKET))
		hear(g);
}

static void open_polled(struct guard *g, int marker_fd)
{
	int fds[POLL_COUNT];
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	fds[POLL_SOCKET] = g->socket;
	fds[POLL_CHILD] = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	fds[POLL_CMD] = -1;
	fds[POLL_AFTER] = -1;
	fds[POLL_TIMER] = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	fds[POLL_PULSE] = pulse_start(g->taken.lease_fd);
	fds[POLL_MARKER] = marker_fd;
	if (fds[POLL_CHILD] < 0 || fds[POLL_TIMER] < 0 || fds[POLL_PULSE] < 0) {
		say_error("%s: %s", g->job->name, strerror(errno));
		fail(g, EX_OSERR);
	}
	for (int i = 0; i < POLL_COUNT; i++)
		g->polled[i] = (struct pollfd){
			.fd = fds[i],
			.events = i == POLL_MARKER ? 0 : POLLIN, /* its end is always told */
		};
}

static void start(struct guard *g)
{
	int marker[2];
	struct stat st;

	if (pipe2(marker, O_CLOEXEC) < 0 || fstat(marker[0], &st) < 0) {
		say_error("%s: %s", g->job->name, strerror(errno));
		fail(g, EX_OSERR);
	}
	g->marker = st.st_ino;
	open_polled(g, marker[0]);
	g->group = start_command(g->job, g->origin, g->taken.lock_fd, marker[1], g->taken.token);
	if (g->group < 0) {
		int err = errno;

		say_error("%s: %s", g->job->argv[0], strerror(err));
		fail(g, err == ENOMEM || err == EAGAIN ? EX_OSERR : EX_UNAVAILABLE);
	}
	close(marker[1]);
	g->polled[POLL_CMD].fd = (int)syscall(SYS_pidfd_open, g->group, 0);
	word_send(g->socket, WORD_STARTED, (int)g->group, g->marker);
	prctl(PR_SET_PDEATHSIG, 0);
}

void guard_live(const struct job *job, const struct origin *origin, pid_t front, int socket)
{
	struct guard g = {.job = job, .origin = origin, .socket = socket};

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != front)
		_exit(0);
	take(&g);
	lease_init(&g.lease, strtoull(g.taken.token, NULL, 10));
	take_lines(&g, g.taken.line, g.taken.line_len);
	start(&g);
	for (;;) {
		arm(&g, turn(&g));
		wait_for_more(&g);
	}
}
