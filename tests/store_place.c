/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/store_place.h"

#define OUTCOME_WAIT_MS 60000 /* only a store that hangs gets there */

static bool can_mount;

void enter_mount_namespace(void)
{
	can_mount = geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

int make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/dlock-test-store-XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	snprintf(p->path, sizeof(p->path), "%s/store.db", p->dir);
	snprintf(p->wal, sizeof(p->wal), "%s-wal", p->path);
	snprintf(p->spec, sizeof(p->spec), "sqlite:%s", p->path);
	*state = p;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

int remove_place(void **state)
{
	struct place *p = *state;

	while (umount2(p->dir, MNT_DETACH) == 0)
		;
	nftw(p->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(p);
	return 0;
}

void need_mounts(void)
{
	if (can_mount)
		return;
	print_message("needs root and mounts\n");
	skip();
}

struct store *open_spec(struct place *p, const char *spec)
{
	struct store *s = NULL;
	int err = store_open(spec, &p->options, &s, p->why, sizeof(p->why));

	if (err)
		fail_msg("%s: %d, %s", spec, err, p->why);
	return s;
}

struct store *open_place(struct place *p)
{
	return open_spec(p, p->spec);
}

void assert_refused(struct place *p, const char *spec, int err, const char *words)
{
	struct store *s = NULL;

	memset(p->why, 0, sizeof(p->why));
	assert_int_equal(store_open(spec, &p->options, &s, p->why, sizeof(p->why)), err);
	assert_null(s);
	assert_null(strchr(p->why, '\n'));
	if (!strstr(p->why, words))
		fail_msg("\"%s\" has not \"%s\"", p->why, words);
}

bool is_readable(const struct store *s, int wait_ms)
{
	struct pollfd fd = {.fd = store_fd(s), .events = POLLIN};

	return poll(&fd, 1, wait_ms) == 1;
}

struct engine_outcome collect(struct store *s)
{
	struct engine_outcome out;

	assert_true(is_readable(s, OUTCOME_WAIT_MS));
	assert_true(store_next(s, &out));
	return out;
}

struct engine_outcome run(struct store *s, struct engine_op op)
{
	static uint64_t id;
	struct engine_outcome out;

	op.id = ++id;
	assert_int_equal(store_submit(s, &op), 0);
	out = collect(s);
	assert_int_equal(out.id, id);
	assert_false(is_readable(s, 0));
	return out;
}

struct engine_cell cell(uint64_t instance, uint64_t epoch, uint64_t sequence)
{
	return (struct engine_cell){.instance = instance,
				    .epoch = epoch,
				    .sequence = sequence,
				    .lease_ns = (int64_t)(sequence * 7),
				    .leader_lease_ns = (int64_t)(sequence * 11),
				    .asked_by = sequence * 13};
}

struct engine_op swap_op(struct engine_cell expect, struct engine_cell next)
{
	return (struct engine_op){.id = 1, .kind = ENGINE_SWAP, .expect = expect, .next = next};
}

enum engine_result swap(struct store *s, struct engine_cell expect, struct engine_cell next)
{
	return run(s, swap_op(expect, next)).result;
}

struct engine_cell read_cell(struct store *s)
{
	struct engine_outcome out = run(s, (struct engine_op){.kind = ENGINE_READ});

	assert_int_equal(out.result, ENGINE_DONE);
	return out.cell;
}

void assert_cell(struct engine_cell is, struct engine_cell should)
{
	assert_int_equal(is.instance, should.instance);
	assert_int_equal(is.epoch, should.epoch);
	assert_int_equal(is.sequence, should.sequence);
	assert_int_equal(is.lease_ns, should.lease_ns);
	assert_int_equal(is.leader_lease_ns, should.leader_lease_ns);
	assert_int_equal(is.asked_by, should.asked_by);
}

enum engine_result write_session(struct store *s, enum engine_kind kind, struct engine_cell fence,
				 const char *node, uint64_t instance)
{
	struct engine_op op = {.kind = kind, .expect = fence};

	assert_true(strlen(node) <= NODE_ID_MAX_BYTES);
	strcpy(op.session.node, node);
	op.session.instance = instance;
	return run(s, op).result;
}

void assert_sessions(struct store *s, const char *should)
{
	struct engine_outcome out = run(s, (struct engine_op){.kind = ENGINE_LOAD});
	char text[512] = "";

	assert_int_equal(out.result, ENGINE_DONE);
	for (size_t i = 0; i < out.session_count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s=%llu ",
			 out.sessions[i].node, (unsigned long long)out.sessions[i].instance);
	free(out.sessions);
	assert_string_equal(text, should);
}

pid_t start_child(struct place *p, int (*f)(struct place *p, int fd), int *fd)
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		_exit(f(p, ends[1]));
	}
	close(ends[1]);
	*fd = ends[0];
	return pid;
}

int child_status(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct bytes read_file(const char *path)
{
	struct bytes b = {0};
	struct stat st;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	b.len = (size_t)st.st_size;
	b.at = malloc(b.len + 1);
	assert_int_equal(read(fd, b.at, b.len), b.len);
	close(fd);
	return b;
}

void write_file(const char *path, const void *at, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, at, len), len);
	close(fd);
}

static const char *sql_to_run;

/* Ends without closing, as another program that was killed: a WAL stays beside the database. */
static int run_sql(struct place *p, int fd)
{
	sqlite3 *db;

	return sqlite3_open(p->path, &db) || sqlite3_exec(db, sql_to_run, NULL, NULL, NULL);
}

void change(struct place *p, const char *sql)
{
	int fd;

	sql_to_run = sql;
	assert_int_equal(child_status(start_child(p, run_sql, &fd)), 0);
	close(fd);
}
