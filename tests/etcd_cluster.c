/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lockcore/moment.h"
#include "tests/etcd_cluster.h"

/* Only an etcd that never comes up takes so long. */
#define PATIENCE_S 120
#define RAW_NS	   (20 * NS_PER_SEC)

extern char **environ;

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 50 * NS_PER_MS}, NULL);
}

void need_etcd(void)
{
	if (system("command -v etcd >/dev/null") == 0)
		return;
	puts("SKIP: there is no etcd (Debian: etcd-server)");
	exit(77);
}

/* ---- Processes ---- */

static size_t add_arguments(const struct etcd_cluster *c, char **argv, size_t n)
{
	for (size_t i = 0; c->args[i]; i++)
		argv[n++] = (char *)c->args[i];
	argv[n] = NULL;
	return n;
}

/* In the child: etcd takes options from ETCD_… too, and a user's are not for it. */
static void become_etcd(const struct etcd_cluster *c, size_t member)
{
	const struct etcd_member *m = &c->members[member];
	char name[8], dir[96], log[96], members[300] = "", *argv[40];
	size_t n = 0;
	int fd;

	snprintf(name, sizeof(name), "m%zu", member);
	snprintf(dir, sizeof(dir), "%s/%s", c->dir, name);
	snprintf(log, sizeof(log), "%s/%s.log", c->dir, name);
	for (size_t i = 0; i < c->count; i++)
		snprintf(members + strlen(members), sizeof(members) - strlen(members), "%sm%zu=%s",
			 i ? "," : "", i, c->members[i].peer_url);
	const char *fixed[] = {"etcd",	    "--name",
			       name,	    "--data-dir",
			       dir,	    "--listen-client-urls",
			       m->url,	    "--advertise-client-urls",
			       m->url,	    "--listen-peer-urls",
			       m->peer_url, "--initial-advertise-peer-urls",
			       m->peer_url, "--initial-cluster",
			       members,	    "--initial-cluster-token",
			       c->dir,	    "--logger",
			       "zap",	    NULL};
	for (; fixed[n]; n++)
		argv[n] = (char *)fixed[n];
	add_arguments(c, argv, n);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, 1);
	dup2(fd, 2);
	execvpe("etcd", argv, (char *[]){"ETCD_UNSUPPORTED_ARCH=arm64", NULL});
}

void etcd_run(struct etcd_cluster *c, size_t member)
{
	struct etcd_member *m = &c->members[member];

	assert_int_equal(m->pid, 0);
	m->pid = fork();
	assert_true(m->pid >= 0);
	if (m->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		become_etcd(c, member);
		_exit(127);
	}
}

void etcd_kill(struct etcd_cluster *c, size_t member)
{
	struct etcd_member *m = &c->members[member];

	if (!m->pid)
		return;
	kill(m->pid, SIGKILL);
	assert_int_equal(waitpid(m->pid, NULL, 0), m->pid);
	m->pid = 0;
}

void etcd_signal(struct etcd_cluster *c, size_t member, int sig)
{
	pid_t pid = c->members[member].pid;
	int status;

	assert_int_equal(kill(pid, sig), 0);
	if (sig == SIGSTOP)
		assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
}

/* ---- Waiting ---- */

static bool is_serving(struct etcd_cluster *c, size_t member)
{
	struct etcd_client_config config = c->config;
	struct etcd_client *client;
	json_t *request = json_object(), *answer = NULL;
	enum etcd_result result;

	config.endpoint_count = 1;
	strcpy(config.endpoints[0], c->members[member].url);
	client = etcd_client_new(&config);
	etcd_client_begin(client, RAW_NS);
	result = etcd_client_call(client, "/v3/kv/txn", request, false, &answer);
	if (result != ETCD_ANSWERED && strstr(etcd_client_error(client)->text, "permi"))
		result = ETCD_ANSWERED;
	json_decref(answer);
	json_decref(request);
	etcd_client_free(client);
	return result == ETCD_ANSWERED;
}

void etcd_wait_serving(struct etcd_cluster *c)
{
	time_t end = time(NULL) + PATIENCE_S;

	for (size_t i = 0; i < c->count; i++) {
		while (c->members[i].pid && !is_serving(c, i)) {
			if (waitpid(c->members[i].pid, NULL, WNOHANG) != 0 || time(NULL) > end)
				fail_msg("etcd %zu does not serve; see %s", i, c->dir);
			nap();
		}
	}
}

/* ---- Life ---- */

static void make_urls(struct etcd_cluster *c)
{
	for (size_t i = 0; i < c->count; i++) {
		struct etcd_member *m = &c->members[i];
		unsigned port = 23790 + 2 * (unsigned)i;

		snprintf(m->url, sizeof(m->url), "%s://%s:%u", c->https ? "https" : "http",
			 c->address, port);
		snprintf(m->peer_url, sizeof(m->peer_url), "http://%s:%u", c->address, port + 1);
	}
}

/* One of 127.0.0.0/8's millions, where outgoing connections do not begin either. */
void etcd_prepare(struct etcd_cluster *c, size_t count)
{
	uint8_t r[3];

	assert_true(count <= ETCD_MEMBERS_MAX);
	assert_int_equal(getrandom(r, sizeof(r), 0), sizeof(r));
	*c = (struct etcd_cluster){.count = count};
	snprintf(c->address, sizeof(c->address), "127.%u.%u.%u", 64 + r[0] % 64, r[1], r[2]);
	strcpy(c->dir, "/tmp/dlock-test-etcd-XXXXXX");
	assert_non_null(mkdtemp(c->dir));
}

void etcd_start(struct etcd_cluster *c)
{
	make_urls(c);
	c->config.endpoint_count = c->count;
	for (size_t i = 0; i < c->count; i++)
		strcpy(c->config.endpoints[i], c->members[i].url);
	c->client = etcd_client_new(&c->config);
	assert_non_null(c->client);
	for (size_t i = 0; i < c->count; i++)
		etcd_run(c, i);
	etcd_wait_serving(c);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

void etcd_remove(struct etcd_cluster *c)
{
	for (size_t i = 0; i < c->count; i++)
		etcd_kill(c, i);
	etcd_client_free(c->client);
	nftw(c->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void etcd_spec(const struct etcd_cluster *c, char *spec, size_t size)
{
	snprintf(spec, size, "etcd:");
	for (size_t i = 0; i < c->count; i++)
		snprintf(spec + strlen(spec), size - strlen(spec), "%s%s", i ? "," : "",
			 c->members[i].url);
}

/* ---- Raw calls ---- */

json_t *etcd_raw(struct etcd_cluster *c, const char *path, json_t *request)
{
	time_t end = time(NULL) + PATIENCE_S;
	json_t *answer = NULL;

	assert_non_null(request);
	for (;;) {
		etcd_client_begin(c->client, RAW_NS);
		if (etcd_client_call(c->client, path, request, false, &answer) == ETCD_ANSWERED)
			break;
		if (etcd_client_error(c->client)->hopeless || time(NULL) > end)
			fail_msg("%s: %s", path, etcd_client_error(c->client)->text);
		nap();
	}
	json_decref(request);
	return answer;
}

static json_t *run_raw(struct etcd_cluster *c, struct etcd_txn *t)
{
	json_t *answer = etcd_raw(c, "/v3/kv/txn", json_deep_copy(etcd_txn_request(t)));

	etcd_txn_deinit(t);
	return answer;
}

void etcd_raw_put(struct etcd_cluster *c, const char *key, const char *value)
{
	struct etcd_txn t;

	etcd_txn_init(&t);
	etcd_txn_put(&t, ETCD_THEN, key, value);
	json_decref(run_raw(c, &t));
}

void etcd_raw_delete(struct etcd_cluster *c, const char *key)
{
	struct etcd_txn t;

	etcd_txn_init(&t);
	etcd_txn_delete(&t, ETCD_THEN, key);
	json_decref(run_raw(c, &t));
}

bool etcd_raw_get(struct etcd_cluster *c, const char *key, int64_t revision,
		  char value[ETCD_VALUE_MAX_BYTES], int64_t *now)
{
	struct etcd_txn t;
	json_t *answer, *range;
	char number[24];
	bool found;

	etcd_txn_init(&t);
	etcd_txn_get(&t, ETCD_THEN, key);
	snprintf(number, sizeof(number), "%lld", (long long)revision);
	range = json_object_get(json_array_get(t.branch[ETCD_THEN], 0), "request_range");
	json_object_set_new(range, "revision", json_string(number));
	answer = run_raw(c, &t);
	found = etcd_answer_value(answer, 0, 0, value);
	if (now)
		*now = etcd_answer_revision(answer);
	json_decref(answer);
	return found;
}

size_t etcd_leader(struct etcd_cluster *c)
{
	for (;;) {
		json_t *status = etcd_raw(c, "/v3/maintenance/status", json_object());
		const char *leader = json_string_value(json_object_get(status, "leader"));
		char *id = leader ? strdup(leader) : NULL;
		json_t *list;
		size_t i;
		json_t *m;

		json_decref(status);
		list = etcd_raw(c, "/v3/cluster/member/list", json_object());
		json_array_foreach(json_object_get(list, "members"), i, m)
		{
			const char *name = json_string_value(json_object_get(m, "name"));
			const char *its = json_string_value(json_object_get(m, "ID"));

			if (id && its && name && strcmp(id, its) == 0) {
				size_t member = strtoul(name + 1, NULL, 10);

				json_decref(list);
				free(id);
				return member;
			}
		}
		json_decref(list);
		free(id);
		nap();
	}
}
