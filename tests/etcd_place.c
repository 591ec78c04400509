/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "tests/etcd_place.h"

struct etcd_cluster etcd_place_cluster;
static char prefix[32]; /* of this test */

int start_etcd_place(void **state)
{
	etcd_prepare(&etcd_place_cluster, 1);
	etcd_start(&etcd_place_cluster);
	return 0;
}

int stop_etcd_place(void **state)
{
	etcd_remove(&etcd_place_cluster);
	return 0;
}

int make_keys(void **state)
{
	static unsigned number;
	struct place *p;

	if (make_place(state))
		return -1;
	p = *state;
	snprintf(prefix, sizeof(prefix), "/test/%u/", ++number);
	etcd_spec(&etcd_place_cluster, p->spec, sizeof(p->spec));
	p->options.etcd_prefix = prefix;
	p->options.leader_lease_ns = ETCD_ROOMY_NS;
	return 0;
}

const char *key_prefix(void)
{
	return prefix;
}

const char *key(const char *name)
{
	static char text[ETCD_KEY_MAX_BYTES];

	snprintf(text, sizeof(text), "%s%s", prefix, name);
	return text;
}

struct engine_outcome run_read(struct store *s)
{
	return run(s, (struct engine_op){.kind = ENGINE_READ});
}

void assert_unknown(struct engine_outcome out, const char *words)
{
	assert_int_equal(out.result, ENGINE_UNKNOWN);
	assert_null(strchr(out.error, '\n'));
	if (!strstr(out.error, words))
		fail_msg("\"%s\" has not \"%s\"", out.error, words);
}
