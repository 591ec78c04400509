/* SPDX-License-Identifier: MIT */
/*
 * The yardstick: a round trip of nng, as the words of a node and its master travel, and nothing
 * else. 64 bytes from REQ to REP and back, one outstanding, over TCP on the loopback interface,
 * between two processes that share the CPUs with everything else that is measured.
 */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

#include <stdint.h>
#include "latency.h"

#define ECHO_BYTES 64

/* As a row's run (rows.h). nng is used in processes of their own: it does not survive a fork. */
int64_t echo_run(uint64_t span_ns, struct latency *lat);

#endif
