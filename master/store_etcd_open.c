/* SPDX-License-Identifier: MIT */
/* The store's argument and options, and the look at the key space before it is used. */
#include <assert.h>
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "master/store_etcd.h"

#define ID_BYTES 16

/* ---- The list of endpoints ---- */

static bool has_part(CURLU *url, CURLUPart which)
{
	char *part = NULL;
	bool has = curl_url_get(url, which, &part, 0) == CURLUE_OK;

	curl_free(part);
	return has;
}

/* What is wrong with it; NULL: nothing, and it is copied without a closing slash. */
static const char *check_url(CURLU *url, const char *text, char endpoint[ETCD_URL_MAX_BYTES])
{
	char *path = NULL, *plain = NULL;
	const char *wrong = NULL;

	if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
		return "is neither http://HOST:PORT nor https://HOST:PORT";
	if (curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK)
		return "is no URL";
	if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
		return "has a user in it; use --etcd-user and --etcd-password-file";
	if (!has_part(url, CURLUPART_PORT))
		return "has no port (etcd's own is 2379)";
	curl_url_get(url, CURLUPART_PATH, &path, 0);
	if ((path && strcmp(path, "/") != 0) || has_part(url, CURLUPART_QUERY) ||
	    has_part(url, CURLUPART_FRAGMENT))
		wrong = "has something behind the port";
	curl_free(path);
	if (wrong)
		return wrong;
	if (curl_url_get(url, CURLUPART_URL, &plain, 0) != CURLUE_OK)
		return "is no URL";
	if (snprintf(endpoint, ETCD_URL_MAX_BYTES, "%s", plain) >= ETCD_URL_MAX_BYTES)
		wrong = "is too long";
	curl_free(plain);
	if (!wrong && endpoint[strlen(endpoint) - 1] == '/')
		endpoint[strlen(endpoint) - 1] = '\0';
	return wrong;
}

static bool add_endpoint(struct etcd_store *s, const char *text)
{
	struct etcd_client_config *c = &s->config;
	CURLU *url = curl_url();
	char *endpoint;
	const char *wrong;

	if (c->endpoint_count == ETCD_ENDPOINTS_MAX) {
		curl_url_cleanup(url);
		return etcd_store_fail(s, -EINVAL, "more than %d endpoints", ETCD_ENDPOINTS_MAX);
	}
	endpoint = c->endpoints[c->endpoint_count];
	wrong = url ? check_url(url, text, endpoint) : "is too much: no memory";
	curl_url_cleanup(url);
	for (size_t i = 0; !wrong && i < c->endpoint_count; i++)
		if (strcmp(endpoint, c->endpoints[i]) == 0)
			wrong = "is there twice";
	if (wrong)
		return etcd_store_fail(s, -EINVAL, "\"%.150s\" %s", text, wrong);
	c->endpoint_count++;
	return true;
}

static bool parse_list(struct etcd_store *s, const char *list)
{
	char *copy = strdup(list), *rest = copy, *text;
	bool ok = copy || etcd_store_fail(s, -ENOMEM, "no memory");

	while (ok && (text = strsep(&rest, ",")))
		ok = add_endpoint(s, text);
	free(copy);
	return ok;
}

/* ---- Options ---- */

static bool check_file(struct etcd_store *s, const char *option, const char *path)
{
	FILE *file = path ? fopen(path, "re") : NULL;

	if (path && !file)
		return etcd_store_fail(s, -errno, "%s %.200s: %s", option, path, strerror(errno));
	if (file)
		fclose(file);
	return true;
}

static bool parse_tls(struct etcd_store *s, const struct store_options *o)
{
	size_t https = 0;

	for (size_t i = 0; i < s->config.endpoint_count; i++)
		https += strncmp(s->config.endpoints[i], "https:", 6) == 0;
	if (https && https < s->config.endpoint_count)
		return etcd_store_fail(s, -EINVAL, "https and http in one list of endpoints");
	if (!https && (o->etcd_ca || o->etcd_cert || o->etcd_key))
		return etcd_store_fail(s, -EINVAL,
				       "certificates are given, but the endpoints are not https");
	if (!o->etcd_cert != !o->etcd_key)
		return etcd_store_fail(s, -EINVAL,
				       "--etcd-cert and --etcd-key go together: one is missing");
	s->config.tls = (struct etcd_tls){o->etcd_ca, o->etcd_cert, o->etcd_key};
	return check_file(s, "--etcd-ca", o->etcd_ca) &&
	       check_file(s, "--etcd-cert", o->etcd_cert) &&
	       check_file(s, "--etcd-key", o->etcd_key);
}

/* The first line. */
static bool read_password(struct etcd_store *s, const char *path)
{
	char *password = s->config.password;
	FILE *file = fopen(path, "re");
	bool ok;

	if (!file)
		return etcd_store_fail(s, -errno, "--etcd-password-file %.200s: %s", path,
				       strerror(errno));
	ok = fgets(password, ETCD_USER_MAX_BYTES, file) != NULL;
	ok = ok && (strchr(password, '\n') || fgetc(file) == EOF);
	fclose(file);
	if (ok)
		password[strcspn(password, "\r\n")] = '\0';
	if (ok && *password)
		return true;
	return etcd_store_fail(
		s, -EINVAL,
		"--etcd-password-file %.200s: no password of at most %d bytes in its "
		"first line",
		path, ETCD_USER_MAX_BYTES - 2);
}

static bool parse_user(struct etcd_store *s, const struct store_options *o)
{
	if (!o->etcd_user != !o->etcd_password_file)
		return etcd_store_fail(
			s, -EINVAL,
			"--etcd-user and --etcd-password-file go together: one is missing");
	if (!o->etcd_user)
		return true;
	if (!*o->etcd_user || strlen(o->etcd_user) >= ETCD_USER_MAX_BYTES)
		return etcd_store_fail(s, -EINVAL, "--etcd-user: not a user's name");
	s->config.user = o->etcd_user;
	return read_password(s, o->etcd_password_file);
}

/* Printable, without blanks: it is to be seen, whole, in a list of keys and in our log. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (!isascii(*text) || !isgraph(*text))
			return false;
	return true;
}

static bool parse_names(struct etcd_store *s, const struct store_options *o)
{
	const char *prefix = o->etcd_prefix ? o->etcd_prefix : STORE_ETCD_PREFIX_DEFAULT;
	const char *cluster = o->etcd_cluster ? o->etcd_cluster : STORE_ETCD_CLUSTER_DEFAULT;
	size_t len = strlen(prefix);

	if (!len || len >= ETCD_PREFIX_MAX_BYTES || !is_plain(prefix))
		return etcd_store_fail(s, -EINVAL,
				       "--etcd-prefix: 1 to %d printable characters, no blanks",
				       ETCD_PREFIX_MAX_BYTES - 1);
	if (!*cluster || strlen(cluster) > ETCD_CLUSTER_MAX_BYTES || !is_plain(cluster))
		return etcd_store_fail(s, -EINVAL,
				       "--etcd-cluster: 1 to %d printable characters, no blanks",
				       ETCD_CLUSTER_MAX_BYTES);
	snprintf(s->prefix, sizeof(s->prefix), "%s%s", prefix, prefix[len - 1] == '/' ? "" : "/");
	strcpy(s->cluster, cluster);
	return true;
}

int etcd_store_parse(struct etcd_store *s, const char *list, const struct store_options *options)
{
	s->open_limit_ns = options->leader_lease_ns ? options->leader_lease_ns
						    : MASTER_LEADER_LEASE_DEFAULT_NS;
	s->limit_ns = s->open_limit_ns / 4;
	if (parse_list(s, list) && parse_tls(s, options) && parse_user(s, options) &&
	    parse_names(s, options))
		return 0;
	return s->trouble.err;
}

/* ---- The key space ---- */

static void format_identity(char value[ETCD_VALUE_MAX_BYTES], const char *cluster, const char *id)
{
	snprintf(value, ETCD_VALUE_MAX_BYTES, "format=%d cluster=%s id=%s", ETCD_FORMAT, cluster,
		 id);
}

/* Whatever a later version keeps, its identity begins with "format=". */
static bool parse_identity(struct etcd_store *s, const char *identity)
{
	char cluster[ETCD_CLUSTER_MAX_BYTES + 1], id[2 * ID_BYTES + 1], again[ETCD_VALUE_MAX_BYTES];
	unsigned format = 0;

	static_assert(ETCD_CLUSTER_MAX_BYTES == 64 && ID_BYTES == 16, "the widths below");
	if (sscanf(identity, "format=%u", &format) == 1 && format > ETCD_FORMAT)
		return etcd_store_fail(
			s, -EPROTO,
			"%s is of a newer dlock (format %u; this one knows %d); left "
			"as it is",
			s->prefix, format, ETCD_FORMAT);
	if (sscanf(identity, "format=%u cluster=%64s id=%32[0-9a-f]", &format, cluster, id) != 3)
		goto damaged;
	format_identity(again, cluster, id);
	if (format != ETCD_FORMAT || strcmp(identity, again) != 0)
		goto damaged;
	if (strcmp(cluster, s->cluster) != 0)
		return etcd_store_fail(s, -EBADMSG,
				       "%s belongs to the cluster \"%s\", and this is \"%s\"; give "
				       "each its own --etcd-prefix",
				       s->prefix, cluster, s->cluster);
	return true;

damaged:
	return etcd_store_fail(s, -EBADMSG,
			       "%sdlock has a value that no dlock wrote; left as it is", s->prefix);
}

uint64_t etcd_store_cluster(const struct etcd_store *s)
{
	const char *id = strstr(s->identity, " id=");
	uint64_t first, second;

	/* All 32 digits count, and never come to 0. */
	if (!id || sscanf(id, " id=%16" SCNx64 "%16" SCNx64, &first, &second) != 2)
		return 0;
	return (first ^ second) | 1;
}

bool etcd_store_judge_identity(struct etcd_store *s, const char *identity)
{
	if (!parse_identity(s, identity))
		return false;
	return etcd_store_fail(s, -EBADMSG,
			       "%s is not what it was when this master started: it was removed and "
			       "made again; stop all masters for a lease, then start them",
			       s->prefix);
}

/* Everything below the prefix. */
static void range_end(const struct etcd_store *s, char end[ETCD_KEY_MAX_BYTES])
{
	etcd_store_key(s, end, "");
	end[strlen(end) - 1] = '/' + 1;
}

static bool look(struct etcd_store *s, bool *empty)
{
	char key[ETCD_KEY_MAX_BYTES], end[ETCD_KEY_MAX_BYTES], value[ETCD_VALUE_MAX_BYTES];
	char other[ETCD_KEY_MAX_BYTES] = "";
	struct etcd_range all = {.after = s->prefix, .end = end, .limit = 1};
	json_t *answer = NULL;
	struct etcd_txn t;
	bool ok = false;

	range_end(s, end);
	etcd_store_key(s, key, "dlock");
	etcd_txn_init(&t);
	etcd_txn_get(&t, ETCD_THEN, key);
	etcd_txn_list(&t, ETCD_THEN, &all);
	if (etcd_store_run(s, &t, false, &answer) != ETCD_ANSWERED)
		goto out;
	if (!etcd_answer_has(answer, 0) || !etcd_answer_has(answer, 1)) {
		etcd_store_fail(s, 0, "an answer without what was asked for");
	} else if (etcd_answer_count(answer, 0)) {
		*empty = false;
		ok = etcd_answer_value(answer, 0, 0, value) ||
		     etcd_store_fail(s, -EBADMSG, "%s has a value that no dlock wrote", key);
		ok = ok && parse_identity(s, value);
		if (ok)
			strcpy(s->identity, value);
	} else if (etcd_answer_count(answer, 1)) {
		etcd_answer_key(answer, 1, 0, other);
		etcd_store_fail(s, -EBADMSG,
				"below %s there are keys (%.80s) but no %sdlock: they are another "
				"program's, or dlock's and damaged; left as they are",
				s->prefix, other, s->prefix);
	} else {
		*empty = ok = true;
	}
out:
	json_decref(answer);
	etcd_txn_deinit(&t);
	return ok;
}

static bool make_id(char id[2 * ID_BYTES + 1])
{
	unsigned char bytes[ID_BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return false;
	for (size_t i = 0; i < ID_BYTES; i++)
		sprintf(id + 2 * i, "%02x", bytes[i]);
	return true;
}

/*
 * Two who do this at once: one succeeds, the other looks again. Whether it was done, where nobody
 * knows, the next look shows.
 */
static bool create(struct etcd_store *s)
{
	char key[ETCD_KEY_MAX_BYTES], end[ETCD_KEY_MAX_BYTES], value[ETCD_VALUE_MAX_BYTES];
	char id[2 * ID_BYTES + 1];
	const struct engine_cell zero = {0};
	json_t *answer = NULL;
	enum etcd_result result;
	struct etcd_txn t;

	if (!make_id(id))
		return etcd_store_fail(s, 0, "no random number for a new key space");
	range_end(s, end);
	etcd_txn_init(&t);
	etcd_txn_compare_none(&t, s->prefix, end);
	etcd_store_key(s, key, "dlock");
	format_identity(value, s->cluster, id);
	etcd_txn_put(&t, ETCD_THEN, key, value);
	etcd_store_key(s, key, "leader");
	etcd_cell_format(value, &zero);
	etcd_txn_put(&t, ETCD_THEN, key, value);
	etcd_store_key(s, key, "fence");
	etcd_fence_format(value, &zero);
	etcd_txn_put(&t, ETCD_THEN, key, value);
	result = etcd_store_run(s, &t, true, &answer);
	json_decref(answer);
	etcd_txn_deinit(&t);
	return result == ETCD_ANSWERED;
}

size_t etcd_store_probe(struct etcd_store *s)
{
	char key[ETCD_KEY_MAX_BYTES], *request;
	size_t usable;

	etcd_store_key(s, key, "dlock");
	request = etcd_range_local(key);
	if (!request) {
		etcd_store_fail(s, 0, "no memory");
		return 0;
	}
	usable = etcd_client_probe(s->client, "/v3/kv/range", request);
	free(request);
	if (usable < s->config.endpoint_count)
		etcd_store_fail_call(s);
	return usable;
}

/*
 * A new key space is made only while every endpoint answers, and as a member of the same cluster.
 * Otherwise two masters that share a wrong list, with endpoints of two clusters, and each reach
 * another of them, would each make one, and lead.
 */
static bool all_answer(struct etcd_store *s)
{
	if (etcd_store_probe(s) == s->config.endpoint_count)
		return true;
	return etcd_store_fail(s, 0,
			       "there is no %s yet, and to make it every endpoint must answer; %s",
			       s->prefix, etcd_client_error(s->client)->text);
}

bool etcd_store_attach(struct etcd_store *s)
{
	bool empty = false;

	if (*s->identity)
		return true;
	if (!look(s, &empty))
		return false;
	if (!empty)
		return true;
	if (!all_answer(s) || !create(s) || !look(s, &empty))
		return false;
	return !empty || etcd_store_fail(s, 0, "%s was made, and is gone again", s->prefix);
}
