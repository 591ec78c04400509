/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the endpoint share: real endpoints on free ports and socket files, and waits
 * for events by poll, which fail the test after a time that only a hang takes.
 */
#ifndef TESTS_ENDPOINT_FIXTURE_H
#define TESTS_ENDPOINT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transport/endpoint.h"

#define HANG_MS 30000

/* A port of the loopback that was free just now. */
int free_port(void);
/* Both into a buffer of the fixture, valid until the next call. */
const char *tcp_url(int port);
const char *ipc_url(void);

struct endpoint *new_server(const char *url);
struct endpoint *new_client(const char *url);

/* Waits for the next event, which must be of this kind; returns the peer. Data is lost. */
uint32_t expect(struct endpoint *e, enum endpoint_event_kind kind);
/* The same for data, which must be this string. */
uint32_t expect_data(struct endpoint *e, const char *want);
/* The next event, whatever it is; false if there is none within ms milliseconds. */
bool wait_event(struct endpoint *e, struct endpoint_event *event, int ms);

void send_string(struct endpoint *e, uint32_t peer, const char *s);

/* A plain socket connected to the port of the loopback. */
int stranger(int port);
/* The same, after the handshake by which nng's REQ and REP know each other. */
int stranger_as(int port, uint8_t protocol);
#define PROTOCOL_REQ 0x30
/* Sends a message's length, and as many of its bytes as are given. */
void stranger_send(int fd, uint64_t announced, const void *bytes, size_t len);
/* Waits until the other side has closed the connection. */
void stranger_closed(int fd);

#endif
