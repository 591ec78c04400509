/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>

#include "master/etcd_txn.h"

#define BYTES_MAX                                                                                  \
	(ETCD_KEY_MAX_BYTES > ETCD_VALUE_MAX_BYTES ? ETCD_KEY_MAX_BYTES : ETCD_VALUE_MAX_BYTES)
#define BASE64_MAX ((BYTES_MAX + 2) / 3 * 4 + 1)

/* ---- Bytes ---- */

static json_t *encode(const char *bytes, size_t len)
{
	char text[BASE64_MAX];
	int n;

	assert(len < BYTES_MAX);
	n = b64_ntop((const unsigned char *)bytes, len, text, sizeof(text));
	assert(n >= 0); /* it has room for the longest */
	return json_string(text);
}

static json_t *encode_text(const char *text)
{
	return encode(text, strlen(text));
}

/* A missing value is an empty one. */
static bool decode(const json_t *text, char *bytes, size_t size)
{
	unsigned char decoded[BASE64_MAX];
	int n = 0;

	if (text && !json_is_string(text))
		return false;
	if (text && json_string_length(text) >= BASE64_MAX)
		return false;
	if (text)
		n = b64_pton(json_string_value(text), decoded, sizeof(decoded));
	if (n < 0 || (size_t)n >= size || memchr(decoded, '\0', (size_t)n))
		return false;
	memcpy(bytes, decoded, (size_t)n);
	bytes[n] = '\0';
	return true;
}

/* ---- Requests ---- */

void etcd_txn_init(struct etcd_txn *t)
{
	*t = (struct etcd_txn){.root = json_object()};
	t->compare = json_array();
	t->branch[ETCD_THEN] = json_array();
	t->branch[ETCD_ELSE] = json_array();
	t->broken |= json_object_set_new(t->root, "compare", t->compare) < 0;
	t->broken |= json_object_set_new(t->root, "success", t->branch[ETCD_THEN]) < 0;
	t->broken |= json_object_set_new(t->root, "failure", t->branch[ETCD_ELSE]) < 0;
}

void etcd_txn_deinit(struct etcd_txn *t)
{
	json_decref(t->root);
}

const json_t *etcd_txn_request(const struct etcd_txn *t)
{
	return t->broken ? NULL : t->root;
}

/* Takes what is appended; what could not be made or appended breaks the transaction for good. */
static void append(struct etcd_txn *t, json_t *list, json_t *what)
{
	if (t->broken)
		json_decref(what);
	else
		t->broken = json_array_append_new(list, what) < 0;
}

void etcd_txn_compare_value(struct etcd_txn *t, const char *key, const char *value)
{
	append(t, t->compare,
	       json_pack("{s:o, s:s, s:s, s:o}", "key", encode_text(key), "target", "VALUE",
			 "result", "EQUAL", "value", encode_text(value)));
}

void etcd_txn_compare_none(struct etcd_txn *t, const char *key, const char *end)
{
	append(t, t->compare,
	       json_pack("{s:o, s:o, s:s, s:s, s:s}", "key", encode_text(key), "range_end",
			 encode_text(end), "target", "CREATE", "result", "EQUAL", "create_revision",
			 "0"));
}

void etcd_txn_put(struct etcd_txn *t, enum etcd_branch b, const char *key, const char *value)
{
	append(t, t->branch[b],
	       json_pack("{s:{s:o, s:o}}", "request_put", "key", encode_text(key), "value",
			 encode_text(value)));
}

void etcd_txn_delete(struct etcd_txn *t, enum etcd_branch b, const char *key)
{
	append(t, t->branch[b],
	       json_pack("{s:{s:o}}", "request_delete_range", "key", encode_text(key)));
}

void etcd_txn_get(struct etcd_txn *t, enum etcd_branch b, const char *key)
{
	append(t, t->branch[b], json_pack("{s:{s:o}}", "request_range", "key", encode_text(key)));
}

/* The key right behind one is the same with a NUL. */
void etcd_txn_list(struct etcd_txn *t, enum etcd_branch b, const struct etcd_range *range)
{
	append(t, t->branch[b],
	       json_pack("{s:{s:o, s:o, s:i, s:I, s:b}}", "request_range", "key",
			 encode(range->after, strlen(range->after) + 1), "range_end",
			 encode_text(range->end), "limit", range->limit, "revision",
			 (json_int_t)range->revision, "keys_only", 1));
}

char *etcd_range_local(const char *key)
{
	json_t *request = json_pack("{s:o, s:b}", "key", encode_text(key), "serializable", 1);
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;

	json_decref(request);
	return text;
}

/* ---- Answers ---- */

static const json_t *range_at(const json_t *answer, size_t place)
{
	const json_t *response = json_array_get(json_object_get(answer, "responses"), place);

	return json_object_get(response, "response_range");
}

static const json_t *nth(const json_t *answer, size_t place, size_t n)
{
	return json_array_get(json_object_get(range_at(answer, place), "kvs"), n);
}

bool etcd_answer_succeeded(const json_t *answer)
{
	return json_is_true(json_object_get(answer, "succeeded"));
}

size_t etcd_answer_count(const json_t *answer, size_t place)
{
	return json_array_size(json_object_get(range_at(answer, place), "kvs"));
}

bool etcd_answer_has(const json_t *answer, size_t place)
{
	return json_is_object(range_at(answer, place));
}

bool etcd_answer_key(const json_t *answer, size_t place, size_t n, char key[ETCD_KEY_MAX_BYTES])
{
	const json_t *text = json_object_get(nth(answer, place, n), "key");

	return text && decode(text, key, ETCD_KEY_MAX_BYTES);
}

bool etcd_answer_value(const json_t *answer, size_t place, size_t n,
		       char value[ETCD_VALUE_MAX_BYTES])
{
	const json_t *kv = nth(answer, place, n);

	return kv && decode(json_object_get(kv, "value"), value, ETCD_VALUE_MAX_BYTES);
}

bool etcd_answer_more(const json_t *answer, size_t place)
{
	return json_is_true(json_object_get(range_at(answer, place), "more"));
}

int64_t etcd_answer_revision(const json_t *answer)
{
	const json_t *header = json_object_get(answer, "header");
	const char *text = json_string_value(json_object_get(header, "revision"));
	long long revision;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	revision = strtoll(text, &end, 10);
	return *end || errno || revision < 0 ? 0 : revision;
}
