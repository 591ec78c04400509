/* SPDX-License-Identifier: MIT */
/* An etcd that serves https and asks for certificates, and all that can be wrong with them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/etcd_cluster.h"
#include "tests/store_place.h"

#define FILE_BYTES 96

/* Two authorities, "ca" and "other"; the server's, a client's and a stranger's certificates. */
static struct etcd_cluster cluster;
static char files[10][FILE_BYTES];
static char second[20]; /* the server's other address, which its certificate does not have */

static const char *in_dir(size_t slot, const char *name)
{
	snprintf(files[slot], FILE_BYTES, "%s/%s", cluster.dir, name);
	return files[slot];
}

static void shell(const char *command)
{
	char line[600];

	snprintf(line, sizeof(line), "cd %s && { %s; } >>openssl.log 2>&1", cluster.dir, command);
	if (system(line) != 0)
		fail_msg("%s", line);
}

static void make_authority(const char *name)
{
	char line[400];

	snprintf(line, sizeof(line),
		 "openssl req -x509 -newkey rsa:2048 -nodes -days 10 -subj /CN=%s -keyout %s.key "
		 "-out %s.crt",
		 name, name, name);
	shell(line);
}

static void make_certificate(const char *name, const char *authority, const char *address)
{
	char line[500];

	snprintf(line, sizeof(line),
		 "openssl req -newkey rsa:2048 -nodes -subj /CN= -keyout %s.key -out %s.csr && "
		 "echo subjectAltName=IP:%s >%s.ext && openssl x509 -req -in %s.csr -days 10 -CA "
		 "%s.crt -CAkey %s.key -CAcreateserial -extfile %s.ext -out %s.crt",
		 name, name, address, name, name, authority, authority, name, name);
	shell(line);
}

static int start_etcd(void **state)
{
	static char listen[120];
	unsigned a, b, c;

	etcd_prepare(&cluster, 1);
	make_authority("ca");
	make_authority("other");
	make_certificate("server", "ca", cluster.address);
	make_certificate("client", "ca", "127.0.0.1");
	make_certificate("stranger", "other", "127.0.0.1");
	shell("echo garbage >garbage.crt");
	cluster.https = true;
	cluster.args[0] = "--client-cert-auth";
	cluster.args[1] = "--trusted-ca-file";
	cluster.args[2] = in_dir(0, "ca.crt");
	cluster.args[3] = "--cert-file";
	cluster.args[4] = in_dir(1, "server.crt");
	cluster.args[5] = "--key-file";
	cluster.args[6] = in_dir(2, "server.key");
	sscanf(cluster.address, "127.%u.%u.%u", &a, &b, &c);
	snprintf(second, sizeof(second), "127.%u.%u.%u", a + 64, b, c);
	snprintf(listen, sizeof(listen), "--listen-client-urls=https://%s:23790,https://%s:23790",
		 cluster.address, second);
	cluster.args[7] = listen;
	cluster.config.tls.ca = files[0];
	cluster.config.tls.cert = in_dir(3, "client.crt");
	cluster.config.tls.key = in_dir(4, "client.key");
	etcd_start(&cluster);
	return 0;
}

static int stop_etcd(void **state)
{
	etcd_remove(&cluster);
	return 0;
}

/* With all that is right; each test makes one thing wrong. */
static int make_tls_place(void **state)
{
	struct place *p;

	if (make_place(state))
		return -1;
	p = *state;
	etcd_spec(&cluster, p->spec, sizeof(p->spec));
	p->options.leader_lease_ns = ETCD_ROOMY_NS;
	p->options.etcd_ca = cluster.config.tls.ca;
	p->options.etcd_cert = cluster.config.tls.cert;
	p->options.etcd_key = cluster.config.tls.key;
	return 0;
}

static void test_right_certificates_are_refused(void **state)
{
	struct store *s = open_place(*state);
	struct engine_cell is = read_cell(s);

	assert_int_equal(swap(s, is, cell(1, 1, is.sequence + 1)), ENGINE_DONE);
	store_close(s);
}

static void test_server_of_another_authority_is_believed(void **state)
{
	struct place *p = *state;

	p->options.etcd_ca = in_dir(5, "other.crt");
	assert_refused(p, p->spec, -EACCES, "certificate");
	p->options.etcd_ca = NULL; /* the system's do not know ours */
	assert_refused(p, p->spec, -EACCES, "certificate");
	p->options.etcd_ca = in_dir(5, "garbage.crt");
	assert_refused(p, p->spec, -EACCES, "garbage.crt");
}

/* The server listens there too, by this name: but its certificate is of its other address. */
static void test_certificate_of_another_host_is_believed(void **state)
{
	struct place *p = *state;
	char spec[128];

	snprintf(spec, sizeof(spec), "etcd:https://%s:23790", second);
	assert_refused(p, spec, -EACCES, second);
}

static void test_server_takes_us_without_our_certificate(void **state)
{
	struct place *p = *state;

	p->options.etcd_cert = p->options.etcd_key = NULL;
	assert_refused(p, p->spec, -EACCES, "alert");
	p->options.etcd_cert = in_dir(5, "stranger.crt");
	p->options.etcd_key = in_dir(6, "stranger.key");
	assert_refused(p, p->spec, -EACCES, "alert");
	p->options.etcd_key = in_dir(6, "client.key"); /* not that certificate's */
	assert_refused(p, p->spec, -EACCES, "key");
}

/* It closes without a word, as one that is killed does: so that the master starts, and says so. */
static void test_http_and_https_are_mixed_up_in_silence(void **state)
{
	struct place *p = *state;
	struct engine_outcome out;
	struct store *s;
	char spec[128];

	p->options = (struct store_options){0};
	snprintf(spec, sizeof(spec), "etcd:http%s", strstr(p->spec, "://"));
	s = open_spec(p, spec);
	out = run(s, (struct engine_op){.kind = ENGINE_READ});
	assert_int_equal(out.result, ENGINE_UNKNOWN);
	assert_non_null(strstr(out.error, "does it serve what the URL says?"));
	store_close(s);
}

#define TLS_TEST(f) cmocka_unit_test_setup_teardown(f, make_tls_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TLS_TEST(test_right_certificates_are_refused),
		TLS_TEST(test_server_of_another_authority_is_believed),
		TLS_TEST(test_certificate_of_another_host_is_believed),
		TLS_TEST(test_server_takes_us_without_our_certificate),
		TLS_TEST(test_http_and_https_are_mixed_up_in_silence),
	};

	need_etcd();
	if (system("command -v openssl >/dev/null") != 0) {
		puts("SKIP: there is no openssl to make certificates");
		return 77;
	}
	return cmocka_run_group_tests(tests, start_etcd, stop_etcd);
}
