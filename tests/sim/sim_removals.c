/* SPDX-License-Identifier: MIT */
/* Every rule is left out once, and noticed. */
#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim.h"
#include "sim_rules.h"

#define JOBS_MAX     16
#define SAYING_BYTES 1024

struct job {
	pid_t pid; /* 0: none */
	size_t rule;
	FILE *said; /* what its process wrote to stderr */
};

static void leave_out_and_run(size_t i, FILE *said)
{
	const struct sim_rule *r = &sim_rules[i];

	if (dup2(fileno(said), STDERR_FILENO) < 0)
		_exit(1);
	rule_left_out[i] = true;
	run_seeds(1, r->seeds, sim_faults(r->faults), false);
	_exit(0);
}

static struct job start(size_t rule)
{
	struct job job = {.rule = rule, .said = tmpfile()};

	fflush(NULL);
	job.pid = job.said ? fork() : -1;
	if (job.pid < 0) {
		perror("dlock-sim: cannot start a process");
		exit(1);
	}
	if (job.pid == 0)
		leave_out_and_run(rule, job.said);
	return job;
}

/* Found by an assertion or an invariant; a process that ran into the woods has not told. */
static bool finish(struct job *job, int status)
{
	char said[SAYING_BYTES];
	bool noticed = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
	size_t len;

	rewind(job->said);
	len = fread(said, 1, sizeof(said) - 1, job->said);
	said[len] = '\0';
	fclose(job->said);
	job->pid = 0;
	if (noticed)
		printf("%-26s %s", sim_rules[job->rule].name, said);
	else
		printf("%-26s NOT NOTICED in %" PRIu64 " seeds (status %#x)\n%s",
		       sim_rules[job->rule].name, sim_rules[job->rule].seeds, (unsigned)status,
		       said);
	return noticed;
}

static struct job *job_of(struct job *jobs, pid_t pid)
{
	for (size_t i = 0; i < JOBS_MAX; i++)
		if (jobs[i].pid == pid)
			return &jobs[i];
	return NULL;
}

static bool wait_for_one(struct job *jobs)
{
	int status;
	pid_t pid = wait(&status);
	struct job *job = pid > 0 ? job_of(jobs, pid) : NULL;

	assert(job);
	return finish(job, status);
}

bool removals_are_noticed(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t at_once = cpus < 1 ? 1 : cpus > JOBS_MAX ? JOBS_MAX : (size_t)cpus, running = 0;
	struct job jobs[JOBS_MAX] = {0};
	bool all = true;

	for (size_t i = 0; i < RULE_COUNT; i++) {
		if (running == at_once) {
			all &= wait_for_one(jobs);
			running--;
		}
		*job_of(jobs, 0) = start(i);
		running++;
	}
	for (; running; running--)
		all &= wait_for_one(jobs);
	return all;
}
