/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "transport/url.h"

#define TCP "tcp://"
#define IPC "ipc://"
#define TLS "tls+tcp://"

#define HOST_MAX_BYTES 253 /* the longest DNS name; also keeps a URL within TEXT_MAX_BYTES */
#define PATH_MAX_BYTES 107 /* sun_path of struct sockaddr_un, without its NUL */
#define PORT_MAX       65535

/* What a host may consist of; the brackets of an IPv6 address are looked at apart. */
#define HOST_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
#define IP6_CHARS  "0123456789abcdefABCDEF:."

__attribute__((format(printf, 3, 4))) static int refuse(char *why, size_t len, const char *form,
							...)
{
	va_list args;

	va_start(args, form);
	vsnprintf(why, len, form, args);
	va_end(args);
	return -EINVAL;
}

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static int check_port(const char *url, const char *port, char *why, size_t why_len)
{
	unsigned long value = 0;
	const char *at = port;

	for (; isdigit((unsigned char)*at) && value <= PORT_MAX; at++)
		value = value * 10 + (unsigned long)(*at - '0');
	if (at == port)
		return refuse(why, why_len, "%s: the port is missing, as in tcp://host:4211", url);
	if (*at == '/')
		return refuse(why, why_len, "%s: nothing may follow the port", url);
	if (*at || value < 1 || value > PORT_MAX)
		return refuse(why, why_len, "%s: the port is not a number from 1 to 65535", url);
	return 0;
}

/* An address in brackets; *end is set behind them. */
static int check_ip6(const char *url, const char *host, const char **end, char *why, size_t why_len)
{
	size_t len = strspn(host + 1, IP6_CHARS);

	if (len < 2 || host[1 + len] != ']')
		return refuse(why, why_len, "%s: not an IPv6 address in brackets, as in [::1]",
			      url);
	*end = host + 1 + len + 1;
	return 0;
}

static int check_host(const char *url, const char *host, const char **end, char *why,
		      size_t why_len)
{
	size_t len = strspn(host, HOST_CHARS);

	if (len == 0 && *host == '*')
		len = 1;
	if (len > HOST_MAX_BYTES)
		return refuse(why, why_len, "the host's name is longer than %d bytes",
			      HOST_MAX_BYTES);
	*end = host + len;
	if (**end == ':' && strchr(*end + 1, ':'))
		return refuse(why, why_len,
			      "%s: an IPv6 address needs brackets, as in tcp://[::1]:4211", url);
	return 0;
}

static int check_tcp(const char *url, char *why, size_t why_len)
{
	const char *host = url + strlen(TCP), *end = host;
	int error;

	error = *host == '[' ? check_ip6(url, host, &end, why, why_len)
			     : check_host(url, host, &end, why, why_len);
	if (error)
		return error;
	if (*end == '\0' || *end == '/')
		return refuse(why, why_len, "%s: the port is missing, as in tcp://host:4211", url);
	if (*end != ':')
		return refuse(why, why_len, "%s: '%c' has no place in a host's name", url, *end);
	return check_port(url, end + 1, why, why_len);
}

static int check_ipc(const char *url, char *why, size_t why_len)
{
	const char *path = url + strlen(IPC);

	/* A daemon's working directory is the root, which is not where a person meant. */
	if (*path != '/')
		return refuse(why, why_len, "%s: the path is not absolute, as in ipc:///run/x",
			      url);
	if (path[1] == '\0')
		return refuse(why, why_len, "%s: the path is missing, as in ipc:///run/x", url);
	if (strlen(path) > PATH_MAX_BYTES)
		return refuse(why, why_len, "the socket's path is longer than %d bytes",
			      PATH_MAX_BYTES);
	/* nng decodes these two, so that the socket would stand elsewhere than the URL says. */
	if (strpbrk(path, "%?#"))
		return refuse(why, why_len, "%s: a path with '%%', '?' or '#'", url);
	return 0;
}

int url_check(const char *url, char *why, size_t why_len)
{
	assert(url && why && why_len > 0);
	if (starts_with(url, TCP))
		return check_tcp(url, why, why_len);
	if (starts_with(url, IPC))
		return check_ipc(url, why, why_len);
	if (starts_with(url, TLS))
		return refuse(
			why, why_len,
			"%s: tls+tcp is not supported, for want of a way to give certificates; "
			"use tcp:// inside a tunnel",
			url);
	return refuse(why, why_len, "\"%s\" is neither tcp://host:port nor ipc:///path", url);
}

bool url_is_wildcard(const char *url)
{
	return starts_with(url, TCP) && (url[strlen(TCP)] == '*' || url[strlen(TCP)] == ':');
}

bool url_is_ipc(const char *url)
{
	return starts_with(url, IPC);
}

bool url_is_numeric(const char *url)
{
	const char *host = url + strlen(TCP);

	return starts_with(url, TCP) && (*host == '[' || host[strspn(host, "0123456789.")] == ':');
}
