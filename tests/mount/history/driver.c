/* SPDX-License-Identifier: MIT */
#include "driver.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A round that takes longer hangs. */
#define PATIENCE_MS (120 * 1000)
/* Processes that have been clients, to be named by F_GETLK; the oldest are forgotten. */
#define PIDS_MAX 4096

struct process {
	pid_t pid; /* 0: none */
	int pidfd;
	int orders, done;
	bool busy;
};

struct driver {
	struct driver_config config;
	struct room *rooms; /* shared */
	struct process process[CLIENTS_MAX];
	struct order order[CLIENTS_MAX];
	struct {
		pid_t pid;
		int client;
	} pids[PIDS_MAX];
	size_t pid_count;
	uint32_t ids;
	struct op ops[CLIENTS_MAX * ROUND_CLIENT_MAX];
};

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* ---- Processes ---- */

static void close_all(struct driver *d)
{
	for (int i = 0; i < d->config.clients; i++) {
		struct process *p = &d->process[i];

		if (!p->pid)
			continue;
		close(p->orders);
		close(p->done);
		close(p->pidfd);
	}
}

static bool start(struct driver *d, int client)
{
	struct process *p = &d->process[client];
	int orders[2], done[2];
	pid_t pid;

	if (pipe(orders) < 0 || pipe(done) < 0) {
		perror("history: pipe");
		return false;
	}
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		perror("history: fork");
		return false;
	}
	if (pid == 0) {
		close_all(d);
		close(orders[1]);
		close(done[0]);
		client_main(&d->rooms[client], client, &d->config, orders[0], done[1]);
	}
	close(orders[0]);
	close(done[1]);
	*p = (struct process){
		.pid = pid,
		.pidfd = (int)syscall(SYS_pidfd_open, pid, 0),
		.orders = orders[1],
		.done = done[0],
	};
	d->pids[d->pid_count % PIDS_MAX].pid = pid;
	d->pids[d->pid_count++ % PIDS_MAX].client = client;
	return p->pidfd >= 0;
}

static void stop(struct process *p)
{
	if (!p->pid)
		return;
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	close(p->orders);
	close(p->done);
	close(p->pidfd);
	p->pid = 0;
}

static bool tell(struct driver *d, int client)
{
	struct process *p = &d->process[client];

	p->busy = true;
	return write(p->orders, &d->order[client], sizeof(d->order[client])) ==
	       sizeof(d->order[client]);
}

/* A client has ended: by the call that it was in, or it should not have. */
static bool buried(struct driver *d, int client)
{
	struct process *p = &d->process[client];
	struct room *room = &d->rooms[client];
	struct op *op = room->count ? &room->ops[room->count - 1] : NULL;
	int status = 0;

	waitpid(p->pid, &status, 0);
	close(p->orders);
	close(p->done);
	close(p->pidfd);
	p->pid = 0;
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL || !op || op->end) {
		fprintf(stderr, "history: client %d has ended by itself, status %d\n", client,
			status);
		return false;
	}
	op->err = ERR_KILLED;
	op->end = now_ns();
	return start(d, client) && tell(d, client);
}

static void say_who_hangs(struct driver *d)
{
	for (int i = 0; i < d->config.clients; i++) {
		struct room *room = &d->rooms[i];
		struct op *op = &room->ops[room->count ? room->count - 1 : 0];
		char text[512];

		if (!d->process[i].busy)
			continue;
		op_show(op, text, sizeof(text));
		fprintf(stderr, "history: client %d (process %d) has not ended its call %s\n", i,
			(int)d->process[i].pid, text);
	}
}

static int busy(struct driver *d, struct pollfd *fds)
{
	int count = 0;

	for (int i = 0; i < d->config.clients; i++) {
		struct process *p = &d->process[i];

		fds[2 * i] = (struct pollfd){p->busy ? p->done : -1, POLLIN, 0};
		fds[2 * i + 1] = (struct pollfd){p->pidfd, POLLIN, 0};
		count += p->busy;
	}
	return count;
}

/* Until all are idle. */
static bool wait_for_all(struct driver *d)
{
	struct pollfd fds[2 * CLIENTS_MAX];
	char byte;

	while (busy(d, fds)) {
		int n = poll(fds, 2 * (nfds_t)d->config.clients, PATIENCE_MS);

		if (n == 0)
			say_who_hangs(d);
		if (n == 0 || (n < 0 && errno != EINTR))
			return false;
		for (int i = 0; i < d->config.clients; i++) {
			if ((fds[2 * i].revents & POLLIN) &&
			    read(d->process[i].done, &byte, 1) == 1)
				d->process[i].busy = false;
			else if (fds[2 * i + 1].revents && !buried(d, i))
				return false;
		}
	}
	return true;
}

/* ---- Rounds ---- */

static int client_of(const struct driver *d, int64_t pid)
{
	for (size_t i = 0; i < d->pid_count && i < PIDS_MAX; i++)
		if (pid > 0 && d->pids[i].pid == pid)
			return d->pids[i].client;
	return -1;
}

static void take(struct driver *d, const struct room *room, uint32_t at, struct op *op)
{
	*op = room->ops[at];
	op->id = d->ids++;
	op->data = 0;
	if (op->kind == OP_WRITE || op->kind == OP_READ)
		op->data = blob_of(room->data[at], room->data_len[at]);
	if (op->kind == OP_TEST && op->got[0])
		op->got[3] = client_of(d, op->got[3]);
}

/* What a node has closed is released before its next call (contract 2.3): here is one. */
static bool settle(struct driver *d)
{
	char path[MOUNT_PATH_MAX + 8];
	struct stat st;

	for (int i = 0; i < NODES; i++) {
		snprintf(path, sizeof(path), "%s/d0", d->config.mounts[i]);
		if (stat(path, &st) < 0) {
			fprintf(stderr, "history: %s: %s\n", path, strerror(errno));
			return false;
		}
	}
	return true;
}

static bool run(struct driver *d, struct op **ops, size_t *count)
{
	bool good = true;

	for (int i = 0; i < d->config.clients; i++) {
		d->rooms[i].count = 0;
		memset(d->rooms[i].ops, 0, sizeof(d->rooms[i].ops));
	}
	for (int i = 0; i < d->config.clients; i++)
		if (d->order[i].count || d->order[i].survey)
			good = good && tell(d, i);
	good = good && wait_for_all(d) && settle(d);
	*count = 0;
	*ops = d->ops;
	for (int i = 0; i < d->config.clients; i++)
		for (uint32_t at = 0; at < d->rooms[i].count; at++)
			if (d->rooms[i].ops[at].end)
				take(d, &d->rooms[i], at, &d->ops[(*count)++]);
	return good;
}

bool driver_round(struct driver *d, size_t calls, struct op **ops, size_t *count)
{
	uint32_t each = (uint32_t)(calls / (size_t)d->config.clients);

	if (each > ROUND_CLIENT_MAX)
		each = ROUND_CLIENT_MAX;
	for (int i = 0; i < d->config.clients; i++)
		d->order[i] = (struct order){.count = each ? each : 1};
	return run(d, ops, count);
}

bool driver_survey(struct driver *d, struct op **ops, size_t *count)
{
	memset(d->order, 0, sizeof(d->order));
	d->order[0].survey = true;
	return run(d, ops, count);
}

/* ---- The beginning and the end ---- */

static bool make_roots(const char *mount)
{
	char path[MOUNT_PATH_MAX + 8];

	for (int root = 0; root < ROOTS; root++) {
		snprintf(path, sizeof(path), "%s/d%d", mount, root);
		if (mkdir(path, 0755) < 0 || chmod(path, 0755) < 0) {
			fprintf(stderr, "history: %s: %s\n", path, strerror(errno));
			return false;
		}
	}
	return true;
}

struct driver *driver_new(const struct driver_config *config)
{
	struct driver *d = calloc(1, sizeof(*d));
	size_t bytes = (size_t)config->clients * sizeof(*d->rooms);

	if (!d)
		abort();
	d->config = *config;
	d->ids = FIRST_OP;
	d->rooms = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (d->rooms == MAP_FAILED) {
		perror("history: mmap");
		free(d);
		return NULL;
	}
	if (!make_roots(config->mounts[0]))
		goto out_free;
	for (int i = 0; i < config->clients; i++) {
		d->rooms[i].seed = config->seed + (uint64_t)i * 0x2545f4914f6cdd1du;
		d->rooms[i].may_die = true;
		if (!start(d, i))
			goto out_free;
	}
	return d;

out_free:
	driver_free(d);
	return NULL;
}

void driver_free(struct driver *d)
{
	if (!d)
		return;
	for (int i = 0; i < d->config.clients; i++)
		stop(&d->process[i]);
	munmap(d->rooms, (size_t)d->config.clients * sizeof(*d->rooms));
	free(d);
}
