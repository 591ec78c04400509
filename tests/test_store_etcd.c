/* SPDX-License-Identifier: MIT */
/* A real etcd: key spaces that are not ours or are damaged, and options that cannot be. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/etcd_place.h"

/* ---- Key spaces ---- */

static void test_other_programs_keys_are_taken_for_a_store(void **state)
{
	struct place *p = *state;

	etcd_raw_put(&etcd_place_cluster, key("mine"), "hands off");
	assert_refused(p, p->spec, -EBADMSG, "another program's");
	etcd_raw_delete(&etcd_place_cluster, key("mine"));
	store_close(open_place(p));
}

static void test_other_clusters_keys_are_led(void **state)
{
	struct place *p = *state;
	struct store *s;

	p->options.etcd_cluster = "one";
	store_close(open_place(p));
	p->options.etcd_cluster = "two";
	assert_refused(p, p->spec, -EBADMSG, "belongs to the cluster \"one\", and this is \"two\"");
	p->options.etcd_cluster = "one";
	s = open_place(p);
	read_cell(s);
	store_close(s);
}

static void test_two_clusters_in_one_etcd_meet(void **state)
{
	struct place *p = *state;
	char inner[64];
	struct store *a = open_place(p), *b;

	snprintf(inner, sizeof(inner), "%sb", key_prefix()); /* without its slash */
	p->options.etcd_prefix = inner;
	b = open_place(p);
	assert_int_equal(swap(a, cell(0, 0, 0), cell(1, 1, 1)), ENGINE_DONE);
	assert_int_equal(swap(b, cell(0, 0, 0), cell(2, 1, 1)), ENGINE_DONE);
	assert_int_equal(write_session(a, ENGINE_PUT, cell(1, 1, 1), "n", 1), ENGINE_DONE);
	assert_sessions(b, "");
	assert_cell(read_cell(a), cell(1, 1, 1));
	store_close(a);
	store_close(b);
}

static void test_newer_store_is_changed(void **state)
{
	struct place *p = *state;
	struct store *s = open_place(p);

	etcd_raw_put(&etcd_place_cluster, key("dlock"), "format=2 whatever comes");
	assert_refused(p, p->spec, -EPROTO, "newer dlock (format 2; this one knows 1)");
	/* Under a master that runs. */
	assert_unknown(run(s, swap_op(cell(0, 0, 0), cell(1, 1, 1))), "newer dlock");
	assert_unknown(run_read(s), "newer dlock");
	assert_unknown(run(s, (struct engine_op){.kind = ENGINE_LOAD}), "newer dlock");
	store_close(s);
}

#define REST "leader_lease_ns=0 asked_by=0000000000000000"

static void test_damaged_values_are_served(void **state)
{
	static const struct {
		const char *key, *value; /* NULL: removed */
	} harms[] = {
		{"leader", NULL},
		{"leader", ""},
		{"leader", "epoch=0 instance=0000000000000000 sequence=0 lease_ns=0 " REST " "},
		{"leader", "epoch=0 instance=0000000000000000 sequence=0"},
		{"leader", "epoch=-1 instance=0000000000000000 sequence=0 lease_ns=0 " REST},
		{"leader", "epoch=99999999999999999999 instance=0000000000000000 "
			   "sequence=0 lease_ns=0 " REST},
		{"leader", "epoch=1 instance=0000000000000000 sequence=0 "
			   "lease_ns=0 " REST}, /* not the fence's */
		{"fence", NULL},
		{"fence", "epoch=1 instance=0000000000000000"},
		{"fence", "nonsense"},
	};
	struct place *p = *state;
	struct store *s = open_place(p);
	char was[ETCD_VALUE_MAX_BYTES];

	for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i++) {
		assert_true(etcd_raw_get(&etcd_place_cluster, key(harms[i].key), 0, was, NULL));
		if (harms[i].value)
			etcd_raw_put(&etcd_place_cluster, key(harms[i].key), harms[i].value);
		else
			etcd_raw_delete(&etcd_place_cluster, key(harms[i].key));
		assert_unknown(run_read(s), "no dlock wrote");
		assert_unknown(run(s, swap_op(cell(1, 2, 3), cell(1, 1, 1))), "no dlock wrote");
		etcd_raw_put(&etcd_place_cluster, key(harms[i].key), was);
		assert_int_equal(run_read(s).result, ENGINE_DONE);
	}
	store_close(s);
}

static void test_strange_session_is_ignored(void **state)
{
	static const char *const names[] = {
		"session/n",
		"session/n/1",
		"session/n/000000000000000G",
		"session/two\nlines",
		"session/n/00000000000000011",
		"session//",
		"session/12345678901234567890123456789012345678901234567890123456789012345/0001",
	};
	struct store *s = open_place(*state);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		etcd_raw_put(&etcd_place_cluster, key(names[i]), "");
		assert_unknown(run(s, (struct engine_op){.kind = ENGINE_LOAD}), "no dlock wrote");
		etcd_raw_delete(&etcd_place_cluster, key(names[i]));
	}
	assert_sessions(s, "");
	store_close(s);
}

/* Anew it would forget the sessions that still believe. */
static void test_removed_store_is_made_again_by_a_master_that_runs(void **state)
{
	struct place *p = *state;
	struct store *s = open_place(p), *later;

	assert_int_equal(swap(s, cell(0, 0, 0), cell(1, 1, 1)), ENGINE_DONE);
	etcd_raw_delete(&etcd_place_cluster, key("dlock"));
	etcd_raw_delete(&etcd_place_cluster, key("leader"));
	etcd_raw_delete(&etcd_place_cluster, key("fence"));
	assert_unknown(run_read(s), "dlock is missing");
	assert_unknown(run(s, swap_op(cell(1, 1, 1), cell(1, 1, 2))), "dlock is missing");
	later = open_place(p);
	assert_unknown(run(s, swap_op(cell(0, 0, 0), cell(1, 1, 2))), "made again");
	assert_unknown(run_read(s), "made again");
	assert_cell(read_cell(later), cell(0, 0, 0));
	store_close(later);
	store_close(s);
}

static int take_turns(struct place *p, int fd)
{
	struct store *s = NULL;
	uint64_t done = 0;

	if (store_open(p->spec, &p->options, &s, p->why, sizeof(p->why)))
		return 1;
	while (done < 100) {
		struct engine_cell was = read_cell(s);

		if (swap(s, was, cell(was.instance + 1, 1, was.sequence + 1)) == ENGINE_DONE)
			done++;
	}
	store_close(s);
	return 0;
}

/* They also make the key space, all at once. */
static void test_two_masters_both_win_a_swap(void **state)
{
	struct place *p = *state;
	pid_t pids[4];
	struct store *s;
	int fds[4];

	for (int i = 0; i < 4; i++)
		pids[i] = start_child(p, take_turns, &fds[i]);
	for (int i = 0; i < 4; i++)
		assert_int_equal(child_status(pids[i]), 0);
	s = open_place(p);
	assert_cell(read_cell(s), cell(400, 1, 400));
	store_close(s);
}

/* ---- Options ---- */

static void test_impossible_options(void **state)
{
	struct place *p = *state;

	assert_refused(p, "etcd:", -EINVAL, "is neither http://HOST:PORT nor");
	assert_refused(p, "etcd:ftp://h:1", -EINVAL, "is neither http://HOST:PORT nor");
	assert_refused(p, "etcd:http://h", -EINVAL, "has no port");
	assert_refused(p, "etcd:http://h:2379/v3", -EINVAL, "behind the port");
	assert_refused(p, "etcd:http://h:2379?x", -EINVAL, "behind the port");
	assert_refused(p, "etcd:http://u:p@h:2379", -EINVAL, "use --etcd-user");
	assert_refused(p, "etcd:http://h:99999", -EINVAL, "is no URL");
	assert_refused(p, "etcd:http://h:1,", -EINVAL, "\"\" is neither");
	assert_refused(p, "etcd:http://h:1,http://h:1/", -EINVAL, "is there twice");
	assert_refused(p, "etcd:http://h:1,https://h:2", -EINVAL, "https and http in one list");
	p->options.etcd_prefix = "/a b/";
	assert_refused(p, p->spec, -EINVAL, "--etcd-prefix");
	p->options.etcd_prefix = key_prefix();
	p->options.etcd_cluster = "";
	assert_refused(p, p->spec, -EINVAL, "--etcd-cluster");
	p->options.etcd_cluster = NULL;
	p->options.etcd_ca = p->path;
	assert_refused(p, p->spec, -EINVAL, "the endpoints are not https");
	assert_refused(p, "etcd:https://h:1", -ENOENT, "--etcd-ca");
	p->options.etcd_ca = NULL;
	p->options.etcd_cert = "/dev/null";
	assert_refused(p, "etcd:https://h:1", -EINVAL, "one is missing");
	p->options.etcd_cert = NULL;
	p->options.etcd_user = "me";
	assert_refused(p, p->spec, -EINVAL, "one is missing");
	p->options.etcd_password_file = p->path;
	assert_refused(p, p->spec, -ENOENT, "--etcd-password-file");
	write_file(p->path, "\nmypw", 5);
	assert_refused(p, p->spec, -EINVAL, "no password");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KEYS_TEST(test_other_programs_keys_are_taken_for_a_store),
		KEYS_TEST(test_other_clusters_keys_are_led),
		KEYS_TEST(test_two_clusters_in_one_etcd_meet),
		KEYS_TEST(test_newer_store_is_changed),
		KEYS_TEST(test_damaged_values_are_served),
		KEYS_TEST(test_strange_session_is_ignored),
		KEYS_TEST(test_removed_store_is_made_again_by_a_master_that_runs),
		KEYS_TEST(test_two_masters_both_win_a_swap),
		KEYS_TEST(test_impossible_options),
	};

	need_etcd();
	return cmocka_run_group_tests(tests, start_etcd_place, stop_etcd_place);
}
