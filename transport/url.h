/* SPDX-License-Identifier: MIT */
/*
 * Url: which of nng's URLs an endpoint takes, and what is wrong with the others, in words for
 * whoever typed them. Private to the transport; programs call endpoint_check_url.
 */
#ifndef TRANSPORT_URL_H
#define TRANSPORT_URL_H

#include <stdbool.h>
#include <stddef.h>

/* 0, or -EINVAL with one line in why. Touches neither the network nor the resolver. */
int url_check(const char *url, char *why, size_t why_len);

/* Whether a URL that url_check has passed names no host to dial: an empty one, or a star. */
bool url_is_wildcard(const char *url);
bool url_is_ipc(const char *url);
/* Whether it gives its host by address, so that no resolver is asked. */
bool url_is_numeric(const char *url);

#endif
