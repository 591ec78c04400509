/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lockcore/moment.h"
#include "master/etcd_http.h"

/* Most answers have a few hundred bytes; a page of the registry makes it grow. */
#define BUFFER_FIRST_BYTES 4096

struct etcd_http {
	CURL *curl;
	char *buffer; /* the answer */
	size_t len, room;
	bool too_long, no_memory;
	unsigned sent; /* how often libcurl was about to send this request */
	char words[CURL_ERROR_SIZE];
};

/* ---- libcurl's calls ---- */

static bool make_room(struct etcd_http *h, size_t room)
{
	char *larger;

	if (room <= h->room)
		return true;
	room = room < BUFFER_FIRST_BYTES ? BUFFER_FIRST_BYTES : room * 2;
	larger = realloc(h->buffer, room);
	if (!larger)
		return false;
	h->buffer = larger;
	h->room = room;
	return true;
}

/* Anything but the number of bytes ends the transfer. */
static size_t on_bytes(char *bytes, size_t size, size_t count, void *arg)
{
	struct etcd_http *h = arg;
	size_t len = size * count;

	h->too_long = len > ETCD_HTTP_ANSWER_MAX_BYTES - h->len;
	h->no_memory = !h->too_long && !make_room(h, h->len + len + 1);
	if (h->too_long || h->no_memory)
		return 0;
	memcpy(h->buffer + h->len, bytes, len);
	h->len += len;
	h->buffer[h->len] = '\0';
	return len;
}

/* The connection stands, and the request is about to be sent: for the only time. */
static int on_send(void *arg, char *server, char *client, int server_port, int client_port)
{
	struct etcd_http *h = arg;

	return h->sent++ == 0 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* ---- Life ---- */

static bool set_common(struct etcd_http *h, size_t connections)
{
	CURL *c = h->curl;

	return curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_MAXCONNECTS, (long)connections) == CURLE_OK &&
	       /* A name server that hangs must not outlast the limit. */
	       curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_USERAGENT, "dlock-master/" DLOCK_VERSION) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->words) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_send) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PREREQDATA, h) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEDATA, h) == CURLE_OK;
}

static bool set_tls(CURL *c, const struct etcd_tls *tls)
{
	CURLcode rc = curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);

	/* Without CAPATH NULL the system's authorities would be trusted as well. */
	if (rc == CURLE_OK && tls->ca)
		rc = curl_easy_setopt(c, CURLOPT_CAINFO, tls->ca);
	if (rc == CURLE_OK && tls->ca)
		rc = curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	if (rc == CURLE_OK && tls->cert)
		rc = curl_easy_setopt(c, CURLOPT_SSLCERT, tls->cert);
	if (rc == CURLE_OK && tls->key)
		rc = curl_easy_setopt(c, CURLOPT_SSLKEY, tls->key);
	return rc == CURLE_OK;
}

struct etcd_http *etcd_http_new(const struct etcd_tls *tls, size_t connections)
{
	struct etcd_http *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		goto out_free;
	h->curl = curl_easy_init();
	if (h->curl && make_room(h, 1) && set_common(h, connections) && set_tls(h->curl, tls))
		return h;
	etcd_http_free(h);
	return NULL;

out_free:
	free(h);
	return NULL;
}

void etcd_http_free(struct etcd_http *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->curl);
	curl_global_cleanup();
	free(h->buffer);
	free(h);
}

/* ---- A request ---- */

/* At least one: 0 is libcurl's word for no limit at all. */
static long whole_ms(int64_t ns)
{
	return ns < NS_PER_MS ? 1 : (long)(ns / NS_PER_MS);
}

static struct curl_slist *make_headers(const char *token)
{
	struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");
	struct curl_slist *longer = NULL;
	char line[1024];

	if (!token || !list)
		return list;
	if (snprintf(line, sizeof(line), "Authorization: %s", token) < (int)sizeof(line))
		longer = curl_slist_append(list, line);
	if (!longer)
		curl_slist_free_all(list);
	return longer;
}

static CURLcode perform(struct etcd_http *h, const struct etcd_http_request *r)
{
	struct curl_slist *headers = make_headers(r->token);
	CURLcode rc = headers ? CURLE_OK : CURLE_OUT_OF_MEMORY;
	CURL *c = h->curl;

	if (rc == CURLE_OK)
		rc = curl_easy_setopt(c, CURLOPT_URL, r->url);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->body);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, whole_ms(r->connect_ns));
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, whole_ms(r->limit_ns));
	if (rc == CURLE_OK)
		rc = curl_easy_perform(c);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, NULL);
	curl_slist_free_all(headers);
	return rc;
}

/*
 * What a server says that wants another certificate of us, or none, comes as an alert, in TLS 1.3
 * only after the request.
 */
static bool is_about_certificates(CURLcode rc, const char *words)
{
	switch (rc) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
		return true;
	case CURLE_SSL_CONNECT_ERROR:
		return strstr(words, "alert") || strstr(words, "wrong version number");
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return strstr(words, "alert") != NULL;
	default:
		return false;
	}
}

/* libcurl's own words have milliseconds and ports in them, which change with every try. */
static void explain(struct etcd_http *h, CURLcode rc, struct etcd_http_answer *answer)
{
	const char *text = curl_easy_strerror(rc);
	long number = 0;

	curl_easy_getinfo(h->curl, CURLINFO_OS_ERRNO, &number);
	answer->hopeless = is_about_certificates(rc, h->words);
	if (answer->hopeless && *h->words)
		text = h->words;
	else if (h->too_long)
		text = "the answer is longer than any of etcd's";
	else if (h->no_memory)
		text = "no memory for the answer";
	else if (h->sent > 1 || rc == CURLE_GOT_NOTHING)
		text = "closed without an answer (does it serve what the URL says?)";
	else if (rc == CURLE_OPERATION_TIMEDOUT)
		text = h->sent ? "no answer in time" : "no connection in time";
	else if (rc == CURLE_SSL_CONNECT_ERROR)
		text = "TLS cannot be begun (does it serve what the URL says?)";
	else if (rc == CURLE_COULDNT_CONNECT && number)
		text = strerror((int)number);
	snprintf(answer->error, sizeof(answer->error), "%.*s", (int)sizeof(answer->error) - 1,
		 text);
}

enum etcd_http_result etcd_http_post(struct etcd_http *h, const struct etcd_http_request *request,
				     struct etcd_http_answer *answer)
{
	CURLcode rc;

	assert(request->limit_ns > 0 && request->connect_ns > 0);
	h->len = 0;
	h->buffer[0] = '\0';
	h->too_long = h->no_memory = false;
	h->sent = 0;
	h->words[0] = '\0';
	*answer = (struct etcd_http_answer){.body = h->buffer};
	rc = perform(h, request);
	if (rc != CURLE_OK) {
		explain(h, rc, answer);
		return h->sent ? ETCD_HTTP_LOST : ETCD_HTTP_NOT_SENT;
	}
	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &answer->status);
	answer->body = h->buffer; /* it may have moved */
	answer->len = h->len;
	return ETCD_HTTP_ANSWERED;
}
