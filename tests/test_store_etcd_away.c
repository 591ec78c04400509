/* SPDX-License-Identifier: MIT */
/* A real etcd that is away, hangs, is full, forgets who we are or does not permit it. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lockcore/moment.h"
#include "tests/etcd_place.h"

/* ---- etcd is away ---- */

static void test_etcd_that_is_away_is_given_up(void **state)
{
	struct store *s;

	etcd_kill(&etcd_place_cluster, 0);
	s = open_place(*state);
	assert_unknown(run_read(s), "Connection refused");
	etcd_run(&etcd_place_cluster, 0);
	etcd_wait_serving(&etcd_place_cluster);
	assert_cell(read_cell(s), cell(0, 0, 0));
	assert_int_equal(swap(s, cell(0, 0, 0), cell(1, 1, 1)), ENGINE_DONE);
	etcd_kill(&etcd_place_cluster, 0);
	assert_unknown(run(s, swap_op(cell(1, 1, 1), cell(1, 1, 2))), "Connection refused");
	etcd_run(&etcd_place_cluster, 0);
	etcd_wait_serving(&etcd_place_cluster);
	assert_cell(read_cell(s), cell(1, 1, 1));
	store_close(s);
}

static time_t seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Half a thousand operations, each of which may take more than a second. */
static struct store *open_in_a_hurry(struct place *p)
{
	p->options.leader_lease_ns = ETCD_SHORT_NS;
	return open_place(p);
}

static void test_etcd_that_hangs_holds_up_the_end(void **state)
{
	struct store *s = open_in_a_hurry(*state);
	time_t began;

	etcd_signal(&etcd_place_cluster, 0, SIGSTOP);
	began = seconds();
	assert_unknown(run(s, swap_op(cell(0, 0, 0), cell(1, 1, 1))), "no answer in time");
	for (uint64_t id = 1; id <= 500; id++) {
		struct engine_op op = {.id = id, .kind = ENGINE_READ};

		assert_int_equal(store_submit(s, &op), 0);
	}
	store_close(s);
	assert_true(seconds() - began < 100);
	etcd_signal(&etcd_place_cluster, 0, SIGCONT);
	etcd_wait_serving(&etcd_place_cluster);
}

/*
 * One whose every question would take minutes. In its place is a socket that nobody reads, in the
 * resolver's configuration of this process alone.
 */
static void test_name_server_that_hangs_stops_the_store(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(53)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct place *p = *state;
	time_t began = seconds();
	struct store *s;
	char text[100];

	need_mounts();
	if (access("/etc/resolv.conf", F_OK) < 0) {
		print_message("needs an /etc/resolv.conf to mount over\n");
		skip();
	}
	inet_pton(AF_INET, etcd_place_cluster.address, &at.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	snprintf(text, sizeof(text), "nameserver %s\noptions timeout:30 attempts:5\n",
		 etcd_place_cluster.address);
	write_file(p->path, text, strlen(text));
	assert_int_equal(mount(p->path, "/etc/resolv.conf", NULL, MS_BIND, NULL), 0);
	p->options.leader_lease_ns = ETCD_SHORT_NS;
	s = open_spec(p, "etcd:http://etcd.example:2379");
	assert_unknown(run_read(s), "no connection in time");
	store_close(s);
	assert_true(seconds() - began < 100);
	assert_int_equal(umount("/etc/resolv.conf"), 0);
	close(fd);
}

/* Its answer was lost, and then it was executed: to say REFUSED of the next would be true. */
static void test_swap_executed_late_is_called_refused(void **state)
{
	struct place *p = *state;
	struct store *s = open_in_a_hurry(p);
	struct engine_outcome out;

	etcd_signal(&etcd_place_cluster, 0, SIGSTOP);
	assert_unknown(run(s, swap_op(cell(0, 0, 0), cell(1, 1, 1))), "no answer in time");
	store_close(s);
	etcd_signal(&etcd_place_cluster, 0, SIGCONT);
	etcd_wait_serving(&etcd_place_cluster);
	p->options.leader_lease_ns = ETCD_ROOMY_NS;
	s = open_place(p);
	out = run(s, swap_op(cell(0, 0, 0), cell(1, 1, 1)));
	if (out.result == ENGINE_REFUSED)
		assert_cell(out.cell, cell(1, 1, 1));
	else
		assert_int_equal(out.result, ENGINE_DONE);
	assert_cell(read_cell(s), cell(1, 1, 1));
	store_close(s);
}

static void test_endpoints_of_two_clusters(void **state)
{
	struct place *p = *state;
	struct etcd_cluster other;
	char spec[200];
	struct store *s;

	etcd_prepare(&other, 1);
	etcd_start(&other);
	snprintf(spec, sizeof(spec), "%s,%s", p->spec, other.members[0].url);
	assert_refused(p, spec, -EACCES, "another etcd cluster");
	/* One of them is away when the master starts: it makes no key space by itself. */
	etcd_kill(&other, 0);
	s = open_spec(p, spec);
	assert_unknown(run_read(s), "every endpoint must answer");
	etcd_run(&other, 0);
	etcd_wait_serving(&other);
	assert_unknown(run_read(s), "another etcd cluster");
	store_close(s);
	etcd_remove(&other);
}

/* ---- etcd is full ---- */

#define FILLER_BYTES (1 << 20)

static void fill(struct etcd_cluster *full)
{
	char *filler = malloc(FILLER_BYTES);
	json_t *put;

	memset(filler, 'A', FILLER_BYTES - 1);
	filler[FILLER_BYTES - 4] = '\0'; /* a length that base64 can have */
	put = json_pack("{s:s, s:s}", "key", "Zg==", "value", filler);
	for (int i = 0; i < 20; i++) {
		json_t *answer = NULL;

		etcd_client_begin(full->client, 20 * NS_PER_SEC);
		etcd_client_call(full->client, "/v3/kv/put", put, true, &answer);
		json_decref(answer);
	}
	json_decref(put);
	free(filler);
}

/* The answers of etcd's maintenance have no header, and so are none for the client. */
static json_t *maintain(const struct etcd_cluster *full, const char *path, json_t *request)
{
	const struct etcd_tls none = {0};
	struct etcd_http *http = etcd_http_new(&none, 1);
	struct etcd_http_answer answer;
	char url[200], *body = json_dumps(request, 0);
	struct etcd_http_request post = {.url = url,
					 .body = body,
					 .connect_ns = 20 * NS_PER_SEC,
					 .limit_ns = 60 * NS_PER_SEC};
	json_t *json;

	snprintf(url, sizeof(url), "%s%s", full->members[0].url, path);
	assert_int_equal(etcd_http_post(http, &post, &answer), ETCD_HTTP_ANSWERED);
	assert_int_equal(answer.status, 200);
	json = json_loadb(answer.body, answer.len, 0, NULL);
	etcd_http_free(http);
	free(body);
	json_decref(request);
	return json;
}

/* What an operator does. */
static void make_room(struct etcd_cluster *full)
{
	json_t *answer = etcd_raw(full, "/v3/kv/txn", json_object()), *alarm;
	const json_t *revision = json_object_get(json_object_get(answer, "header"), "revision");

	json_decref(maintain(
		full, "/v3/kv/compaction",
		json_pack("{s:s, s:b}", "revision", json_string_value(revision), "physical", 1)));
	json_decref(answer);
	json_decref(maintain(full, "/v3/maintenance/defragment", json_object()));
	answer = maintain(full, "/v3/maintenance/alarm", json_pack("{s:s}", "action", "GET"));
	alarm = json_deep_copy(json_array_get(json_object_get(answer, "alarms"), 0));
	json_object_set_new(alarm, "action", json_string("DEACTIVATE"));
	json_decref(answer);
	json_decref(maintain(full, "/v3/maintenance/alarm", alarm));
}

static void test_full_etcd_is_believed_or_lost_for_ever(void **state)
{
	struct place *p = *state;
	struct etcd_cluster full;
	struct engine_cell now = cell(1, 1, 1);
	struct engine_outcome out;
	struct store *s;

	etcd_prepare(&full, 1);
	full.args[0] = "--quota-backend-bytes=16777216";
	etcd_start(&full);
	etcd_spec(&full, p->spec, sizeof(p->spec));
	s = open_place(p);
	assert_int_equal(swap(s, cell(0, 0, 0), now), ENGINE_DONE);
	fill(&full);
	do {
		struct engine_cell next = cell(1, 1, now.sequence + 1);

		out = run(s, swap_op(now, next));
		if (out.result == ENGINE_DONE)
			now = next;
	} while (out.result == ENGINE_DONE);
	assert_unknown(out, "space quota is exceeded");
	make_room(&full);
	out = run_read(s);
	assert_int_equal(out.result, ENGINE_DONE);
	/* The one that ran into the quota was executed, or not: that is why it was UNKNOWN. */
	print_message("sequence %d, known %d\n", (int)out.cell.sequence, (int)now.sequence);
	assert_in_range(out.cell.sequence, now.sequence, now.sequence + 1);
	assert_int_equal(swap(s, out.cell, cell(1, 1, 9999)), ENGINE_DONE);
	store_close(s);
	etcd_remove(&full);
}

/* ---- Rights ---- */

static void raw(const char *path, json_t *request)
{
	json_decref(etcd_raw(&etcd_place_cluster, path, request));
}

static json_t *user(const char *name, const char *password)
{
	return json_pack("{s:s, s:s}", "name", name, "password", password);
}

static json_t *user_role(const char *name, const char *role)
{
	return json_pack("{s:s, s:s}", "user", name, "role", role);
}

static json_t *name(const char *text)
{
	return json_pack("{s:s}", "name", text);
}

static void password_file(struct place *p, const char *text)
{
	write_file(p->path, text, strlen(text));
	p->options.etcd_password_file = p->path;
}

static void enable_authentication(void)
{
	raw("/v3/auth/user/add", user("root", "rootpw"));
	raw("/v3/auth/role/add", name("root"));
	raw("/v3/auth/user/grant", user_role("root", "root"));
	raw("/v3/auth/user/add", user("me", "mypw"));
	raw("/v3/auth/role/add", name("locks"));
	/* All keys below /test/: base64 of "/test/" and "/test0". */
	raw("/v3/auth/role/grant",
	    json_pack("{s:s, s:{s:s, s:s, s:s}}", "name", "locks", "perm", "permType", "READWRITE",
		      "key", "L3Rlc3Qv", "range_end", "L3Rlc3Qw"));
	raw("/v3/auth/user/grant", user_role("me", "locks"));
	raw("/v3/auth/enable", json_object());
}

static void disable_authentication(void)
{
	etcd_place_cluster.config.user = "root";
	strcpy(etcd_place_cluster.config.password, "rootpw");
	raw("/v3/auth/disable", json_object());
	etcd_place_cluster.config.user = NULL;
}

static void test_user_and_password(void **state)
{
	struct place *p = *state;
	struct store *s;

	enable_authentication();
	assert_refused(p, p->spec, -EACCES, "asks for a user and password");
	p->options.etcd_user = "me";
	password_file(p, "wrong\n");
	assert_refused(p, p->spec, -EACCES, "does not accept the user and password");
	password_file(p, "mypw\nand more");
	s = open_place(p);
	assert_int_equal(swap(s, cell(0, 0, 0), cell(1, 1, 1)), ENGINE_DONE);
	/* Tokens are in its memory. */
	etcd_kill(&etcd_place_cluster, 0);
	etcd_run(&etcd_place_cluster, 0);
	etcd_wait_serving(&etcd_place_cluster);
	assert_int_equal(swap(s, cell(1, 1, 1), cell(1, 1, 2)), ENGINE_DONE);
	assert_sessions(s, "");
	store_close(s);
	p->options.etcd_prefix = "/elsewhere/";
	assert_refused(p, p->spec, -EACCES, "does not permit");
	disable_authentication();
	p->options.etcd_prefix = key_prefix();
	assert_refused(p, p->spec, -EACCES, "authentication is not enabled");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KEYS_TEST(test_etcd_that_is_away_is_given_up),
		KEYS_TEST(test_etcd_that_hangs_holds_up_the_end),
		KEYS_TEST(test_name_server_that_hangs_stops_the_store),
		KEYS_TEST(test_swap_executed_late_is_called_refused),
		KEYS_TEST(test_endpoints_of_two_clusters),
		KEYS_TEST(test_full_etcd_is_believed_or_lost_for_ever),
		KEYS_TEST(test_user_and_password),
	};

	need_etcd();
	enter_mount_namespace();
	return cmocka_run_group_tests(tests, start_etcd_place, stop_etcd_place);
}
