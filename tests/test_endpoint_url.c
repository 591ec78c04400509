/* SPDX-License-Identifier: MIT */
/* Fears about the endpoint's URLs: that a wrong one is taken, or refused without a helpful word. */
#include <errno.h>
#include <stdio.h>

#include "endpoint_fixture.h"

static void assert_bad(const char *url, const char *about)
{
	struct endpoint *server, *client;
	char why[256] = "";

	assert_int_equal(endpoint_check_url(url, why, sizeof(why)), -EINVAL);
	if (!strstr(why, about))
		fail_msg("%s is said to be: %s", url, why);
	assert_int_equal(endpoint_new_server(&server), 0);
	assert_int_equal(endpoint_new_client(&client), 0);
	assert_int_equal(endpoint_listen(server, url, why, sizeof(why)), -EINVAL);
	assert_int_equal(endpoint_dial(client, url, why, 8), -EINVAL);
	assert_true(strlen(why) < 8);
	endpoint_free(client);
	endpoint_free(server);
}

static void test_bad_url_is_not_explained(void **state)
{
	char path[512] = "ipc:///", host[512] = "tcp://";

	memset(path + 7, 'p', 200);
	memset(host + 6, 'h', 300);
	assert_bad("", "neither");
	assert_bad("localhost:4211", "neither");
	assert_bad("http://localhost:4211", "neither");
	assert_bad("TCP://localhost:4211", "neither");
	assert_bad("tcp://", "port is missing");
	assert_bad("tcp://host", "port is missing");
	assert_bad("tcp://host/", "port is missing");
	assert_bad("tcp://host:", "port is missing");
	assert_bad("tcp://host:x", "port is missing");
	assert_bad("tcp://host:0", "1 to 65535");
	assert_bad("tcp://host:65536", "1 to 65535");
	assert_bad("tcp://host:99999999999999999999999", "1 to 65535");
	assert_bad("tcp://host:42x", "1 to 65535");
	assert_bad("tcp://host:4211/path", "nothing may follow");
	assert_bad("tcp://ho st:4211", "' '");
	assert_bad("tcp://user@host:4211", "'@'");
	assert_bad("tcp://::1:4211", "brackets");
	assert_bad("tcp://[::1:4211", "brackets");
	assert_bad("tcp://[::1]", "port is missing");
	assert_bad("tcp://[]:4211", "brackets");
	assert_bad(host, "longer than");
	assert_bad("tls+tcp://host:4211", "tls+tcp is not supported");
	assert_bad("ipc://", "not absolute");
	assert_bad("ipc://run/x", "not absolute");
	assert_bad("ipc:///", "path is missing");
	assert_bad("ipc:///run/%41", "'%'");
	assert_bad(path, "longer than");
}

static void test_good_url_is_refused(void **state)
{
	static const char *const urls[] = {
		"tcp://127.0.0.1:1",  "tcp://host.example.org:65535",
		"tcp://[::1]:4211",   "tcp://*:4211",
		"tcp://:4211",	      "tcp://my_host-1:4211",
		"ipc:///run/dlock/s", "tcp://[fe80::1]:4211",
	};
	char why[256];

	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++)
		assert_int_equal(endpoint_check_url(urls[i], why, sizeof(why)), 0);
}

static void test_nobody_to_dial(void **state)
{
	struct endpoint *client;
	char why[256] = "";

	assert_int_equal(endpoint_new_client(&client), 0);
	assert_int_equal(endpoint_dial(client, "tcp://*:4211", why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "no host"));
	assert_int_equal(endpoint_dial(client, "tcp://:4211", why, sizeof(why)), -EINVAL);
	assert_int_equal(endpoint_dial(client, tcp_url(free_port()), why, sizeof(why)), 0);
	endpoint_free(client);
}

static void test_listen_everywhere(void **state)
{
	char url[64];
	int port = free_port();
	struct endpoint *server, *client;

	snprintf(url, sizeof(url), "tcp://*:%d", port);
	server = new_server(url);
	client = new_client(tcp_url(port));
	expect(server, ENDPOINT_UP);
	endpoint_free(client);
	endpoint_free(server);
}

static void test_listen_nowhere(void **state)
{
	struct endpoint *server;
	char why[256] = "";

	assert_int_equal(endpoint_new_server(&server), 0);
	assert_true(endpoint_listen(server, "tcp://192.0.2.1:4211", why, sizeof(why)) < 0);
	assert_non_null(strstr(why, "192.0.2.1"));
	assert_true(endpoint_listen(server, "ipc:///nonexistent/x", why, sizeof(why)) < 0);
	assert_non_null(strstr(why, "/nonexistent/x"));
	endpoint_free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_url_is_not_explained),
		cmocka_unit_test(test_good_url_is_refused),
		cmocka_unit_test(test_nobody_to_dial),
		cmocka_unit_test(test_listen_everywhere),
		cmocka_unit_test(test_listen_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
