/* SPDX-License-Identifier: MIT */
/* Keys, values and reasons, as text. */
#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/store_etcd.h"

#define INSTANCE_DIGITS 16

bool etcd_store_fail(struct etcd_store *s, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(s->trouble.text, sizeof(s->trouble.text), format, args);
	va_end(args);
	/* Keys and answers of others may have anything in them, and the log is one line. */
	for (char *c = s->trouble.text; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	s->trouble.err = err;
	return false;
}

void etcd_store_key(const struct etcd_store *s, char key[ETCD_KEY_MAX_BYTES], const char *name)
{
	int n = snprintf(key, ETCD_KEY_MAX_BYTES, "%s%s", s->prefix, name);

	assert(n < ETCD_KEY_MAX_BYTES); /* names are ours, and of sessions bounded */
}

void etcd_session_key(const struct etcd_store *s, char key[ETCD_KEY_MAX_BYTES],
		      const struct engine_session *session)
{
	char name[sizeof("session//") + NODE_ID_MAX_BYTES + INSTANCE_DIGITS];

	snprintf(name, sizeof(name), "session/%s/%016" PRIx64, session->node, session->instance);
	etcd_store_key(s, key, name);
}

/* A node's name may have slashes; the instance is behind the last. */
bool etcd_session_parse(const struct etcd_store *s, const char *key, struct engine_session *session)
{
	char again[ETCD_KEY_MAX_BYTES];
	size_t before = strlen(s->prefix) + strlen("session/");
	const char *slash = strrchr(key, '/');

	if (strlen(key) < before || slash < key + before ||
	    slash - (key + before) > NODE_ID_MAX_BYTES)
		return false;
	*session = (struct engine_session){.instance = strtoull(slash + 1, NULL, 16)};
	memcpy(session->node, key + before, (size_t)(slash - (key + before)));
	etcd_session_key(s, again, session);
	return strcmp(key, again) == 0;
}

void etcd_cell_format(char value[ETCD_VALUE_MAX_BYTES], const struct engine_cell *cell)
{
	snprintf(value, ETCD_VALUE_MAX_BYTES,
		 "epoch=%" PRIu64 " instance=%016" PRIx64 " sequence=%" PRIu64 " lease_ns=%" PRId64
		 " leader_lease_ns=%" PRId64 " asked_by=%016" PRIx64,
		 cell->epoch, cell->instance, cell->sequence, cell->lease_ns, cell->leader_lease_ns,
		 cell->asked_by);
}

void etcd_fence_format(char value[ETCD_VALUE_MAX_BYTES], const struct engine_cell *cell)
{
	snprintf(value, ETCD_VALUE_MAX_BYTES, "epoch=%" PRIu64 " instance=%016" PRIx64, cell->epoch,
		 cell->instance);
}

bool etcd_cell_parse(const char *value, struct engine_cell *cell)
{
	struct engine_cell c;
	char again[ETCD_VALUE_MAX_BYTES];

	if (sscanf(value,
		   "epoch=%" SCNu64 " instance=%" SCNx64 " sequence=%" SCNu64 " lease_ns=%" SCNd64
		   " leader_lease_ns=%" SCNd64 " asked_by=%" SCNx64,
		   &c.epoch, &c.instance, &c.sequence, &c.lease_ns, &c.leader_lease_ns,
		   &c.asked_by) != 6)
		return false;
	etcd_cell_format(again, &c);
	if (strcmp(value, again) != 0)
		return false;
	*cell = c;
	return true;
}
