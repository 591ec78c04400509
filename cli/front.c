/* SPDX-License-Identifier: MIT */
#include "cli/front.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/guard.h"
#include "cli/say.h"
#include "cli/stop.h"

/* The lock is given back by a call that takes a message's time, and a lease at most. */
#define LET_GO_MS 5000
/* SIGKILL takes no time, but a disk may. */
#define KILLED_MS 5000
/* Between the lock and CMD the mount is asked for the lease and a token. */
#define STARTED_MS 1000

/* ---- Life ---- */

/* What a program gets for its own faults stays as it is. */
static void choose_signals(sigset_t *set)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

	sigfillset(set);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(set, faults[i]);
}

bool front_open(struct front *f)
{
	struct sigaction wait_for_children = {.sa_handler = SIG_DFL};
	sigset_t set;

	*f = (struct front){.socket = -1};
	choose_signals(&set);
	sigprocmask(SIG_BLOCK, &set, &f->origin.mask);
	/* Whoever ignores SIGCHLD is not told how its children end. */
	sigaction(SIGCHLD, &wait_for_children, &f->origin.on_child);
	f->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	/* CMD becomes ours if the guard dies, and its group's number stays its own. */
	if (f->signal_fd < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
		say_error("cannot begin: %s", strerror(errno));
		return false;
	}
	terminal_open(&f->terminal);
	f->origin.group = getpgrp();
	return true;
}

void front_close(struct front *f)
{
	terminal_close(&f->terminal);
	close(f->signal_fd);
	sigprocmask(SIG_SETMASK, &f->origin.mask, NULL);
}

/* ---- Signals that are for us ---- */

static bool ignored(int signal)
{
	struct sigaction is;

	return !sigaction(signal, NULL, &is) && is.sa_handler == SIG_IGN;
}

static bool asks_to_end(int signal)
{
	return signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT;
}

static bool ends_by_default(int signal)
{
	return signal != SIGCHLD && signal != SIGCONT && signal != SIGURG && signal != SIGWINCH &&
	       signal != SIGTSTP && signal != SIGTTIN && signal != SIGTTOU;
}

void front_die(int signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	raise(signal);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/*
 * Stops us as the signal would have; with all of our group if CMD had the terminal, since it was all
 * of it that was meant. The kernel does not stop those whom nobody could continue.
 */
static void stop_self(struct front *f)
{
	bool all = f->terminal.lent != 0;
	sigset_t set;

	terminal_take(&f->terminal);
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	kill(all ? 0 : getpid(), SIGTSTP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* Going on: the shell has given us the terminal, or not. */
	if (all)
		terminal_lend(&f->terminal, f->cmd);
	word_send(f->socket, WORD_SIGNAL, SIGCONT, 0);
}

static void take_signal(struct front *f, int signal)
{
	if (signal == SIGCHLD)
		return;
	if (f->cmd)
		word_send(f->socket, WORD_SIGNAL, signal, 0);
	if (ignored(signal))
		return;
	if (asks_to_end(signal) || (!f->cmd && ends_by_default(signal)))
		f->asked = signal;
	else if (!f->cmd && signal == SIGTSTP)
		raise(SIGSTOP); /* CMD does not begin before we go on: the guard asks */
}

static void read_signals(struct front *f)
{
	struct signalfd_siginfo info;

	while (read(f->signal_fd, &info, sizeof(info)) == sizeof(info))
		take_signal(f, (int)info.ssi_signo);
}

/* ---- Children ---- */

/* By a signal that it does not see, or with us: what it guarded must not go on. */
static void guard_died(struct front *f)
{
	if (f->done || f->let_go)
		return;
	f->done = true;
	f->out.ending = f->cmd ? ENDED_LOST : ENDED_FAILED;
	f->out.status = f->cmd ? EX_TEMPFAIL : EX_OSERR;
	if (f->cmd)
		stop_all(f->cmd, f->marker, SIGKILL);
	say_error("the process that guards the lock was killed%s",
		  f->cmd ? ", and CMD with it" : "");
}

/* Orphans of CMD come to us too. The group is stopped before its leader's number can be another's. */
static void reap(struct front *f)
{
	for (;;) {
		siginfo_t info = {0};

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid)
			return;
		if (info.si_pid == f->guard || info.si_pid == f->cmd)
			return; /* in its own time */
		waitpid(info.si_pid, NULL, 0);
	}
}

/* Reaps the child once it has ended; does not wait for ever. */
static void wait_child(pid_t pid, int ms)
{
	struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

	if (p.fd < 0)
		return;
	poll(&p, 1, ms);
	waitpid(pid, NULL, WNOHANG);
	close(p.fd);
}

/* ---- Words ---- */

static const char *why_lost(enum lease_loss loss)
{
	switch (loss) {
	case LOSS_SILENCE:
		return "no master has renewed the lease in time";
	case LOSS_SESSION:
		return "the node has lost its session";
	case LOSS_BROKEN:
		return "it was broken";
	case LOSS_NONE:
	case LOSS_ORPHAN:
		break;
	}
	return "dlock was killed";
}

static void take_done(struct front *f, const struct job *job, const struct word *w)
{
	enum lease_loss loss = (enum lease_loss)w->more;

	bool lent = f->terminal.lent != 0;

	f->done = true;
	terminal_take(&f->terminal);
	if (loss != LOSS_NONE) {
		f->out.ending = ENDED_LOST;
		f->out.status = EX_TEMPFAIL;
		say_error("%s: the lock was lost: %s; %s %s", job->name, why_lost(loss),
			  job->argv[0],
			  w->value == WORD_NO_STATUS ? "was killed and has not ended yet"
						     : "was stopped");
		return;
	}
	f->out.ending = ENDED_ITSELF;
	f->out.status = WIFSIGNALED(w->value) ? 128 + WTERMSIG(w->value) : WEXITSTATUS(w->value);
	/* With the terminal CMD has what the keys send, and not we. */
	if (lent && !f->asked && WIFSIGNALED(w->value) &&
	    (WTERMSIG(w->value) == SIGINT || WTERMSIG(w->value) == SIGQUIT))
		f->asked = WTERMSIG(w->value);
}

static void finish(struct front *f, enum ending ending, int status)
{
	f->done = f->let_go = true;
	f->out.ending = ending;
	f->out.status = status;
}

static void take_word(struct front *f, const struct job *job, const struct word *w)
{
	switch (w->kind) {
	case WORD_LOCKED:
		f->going = !f->asked;
		if (f->going)
			word_send(f->socket, WORD_GO, 0, 0);
		break;
	case WORD_STARTED:
		f->cmd = w->value;
		f->marker = w->more;
		if (f->origin.lend)
			f->terminal.lent = f->cmd;
		if (f->asked)
			word_send(f->socket, WORD_SIGNAL, f->asked, 0);
		break;
	case WORD_STOPPED:
		if ((w->value == SIGTTIN || w->value == SIGTTOU) &&
		    terminal_lend(&f->terminal, f->cmd))
			word_send(f->socket, WORD_SIGNAL, SIGCONT, 0);
		else if (w->value != SIGSTOP) /* whoever sent that to CMD meant CMD */
			stop_self(f);
		break;
	case WORD_DONE:
		take_done(f, job, w);
		break;
	case WORD_LET_GO:
		f->let_go = true;
		f->stays = w->value;
		break;
	case WORD_CONFLICT:
		finish(f, ENDED_NOT_HAD, 1);
		break;
	case WORD_DECLINED:
		finish(f, ENDED_DECLINED, 0);
		break;
	case WORD_FAILED:
		finish(f, ENDED_FAILED, w->value);
		break;
	case WORD_GO:
	case WORD_SIGNAL:
		assert(!"a word of the front came to the front");
		break;
	}
}

/* ---- A run ---- */

static bool begin(struct front *f, const struct job *job)
{
	pid_t front = getpid();
	int ends[2];

	f->guard = f->cmd = 0;
	f->asked = 0;
	f->going = f->done = f->let_go = f->stays = false;
	f->out = (struct outcome){0};
	f->origin.lend = terminal_is_all(&f->terminal);
	fflush(NULL);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return false;
	f->socket = ends[0];
	f->guard = fork();
	if (!f->guard) {
		close(ends[0]);
		guard_live(job, &f->origin, front, ends[1]);
	}
	close(ends[1]);
	if (f->guard > 0)
		return true;
	close(f->socket);
	return false;
}

/* How long there may be nothing. Between GO and STARTED CMD may begin at any moment, and is best ended
 * as CMD; but a mount may keep the guard from it for ever. */
static int patience(const struct front *f)
{
	if (f->done)
		return LET_GO_MS;
	return f->asked && !f->cmd ? STARTED_MS : -1;
}

/* Until the guard has let go of the lock, or is gone, or we are told to end before CMD begins. */
static void attend(struct front *f, const struct job *job)
{
	struct pollfd p[] = {
		{.fd = f->socket, .events = POLLIN},
		{.fd = f->signal_fd, .events = POLLIN},
	};
	struct word w;
	int got = -1;

	while (got && !f->let_go && (f->cmd || f->going || !f->asked)) {
		if (!poll(p, 2, patience(f)))
			return;
		/* What has come before the signals was before them. */
		while (!f->let_go && (got = word_receive(f->socket, &w)) > 0)
			take_word(f, job, &w);
		read_signals(f);
		reap(f);
	}
}

static void end(struct front *f)
{
	if (!f->done && !f->cmd && f->asked) {
		kill(f->guard, SIGKILL);
		f->out.ending = ENDED_BY_SIGNAL;
		f->out.status = 128 + f->asked;
		f->done = true;
	}
	guard_died(f);
	f->out.asked = f->asked;
	close(f->socket);
	f->socket = -1;
	terminal_take(&f->terminal);
	/* One that stays for CMD's children is not waited for. */
	wait_child(f->guard, f->stays ? 0 : KILLED_MS);
	if (f->cmd && !f->let_go)
		wait_child(f->cmd, KILLED_MS); /* ours since the guard was killed */
	f->guard = f->cmd = 0;
}

void front_run(struct front *f, const struct job *job, struct outcome *out)
{
	if (!begin(f, job)) {
		say_error("%s: %s", job->name, strerror(errno));
		*out = (struct outcome){.ending = ENDED_FAILED, .status = EX_OSERR};
		return;
	}
	attend(f, job);
	end(f);
	*out = f->out;
}

int front_pause(struct front *f, int64_t ns)
{
	struct pollfd p = {.fd = f->signal_fd, .events = POLLIN};
	struct timespec now, until;
	int64_t left_ns = ns;

	f->asked = 0;
	clock_gettime(CLOCK_MONOTONIC, &until);
	while (left_ns > 0 && !f->asked) {
		poll(&p, 1, (int)(left_ns / 1000000) + 1);
		read_signals(f);
		reap(f);
		clock_gettime(CLOCK_MONOTONIC, &now);
		left_ns = ns - ((now.tv_sec - until.tv_sec) * INT64_C(1000000000) + now.tv_nsec -
				until.tv_nsec);
	}
	return f->asked;
}
