/* SPDX-License-Identifier: MIT */
/*
 * etcd place: a place (store_place.h) on one real etcd, which all tests of a program share, each with
 * a key space of its own.
 */
#ifndef TESTS_ETCD_PLACE_H
#define TESTS_ETCD_PLACE_H

#include "tests/etcd_cluster.h"
#include "tests/store_place.h"

extern struct etcd_cluster etcd_place_cluster;

/* The group's: start and stop the etcd. */
int start_etcd_place(void **state);
int stop_etcd_place(void **state);

int make_keys(void **state);
#define KEYS_TEST(f) cmocka_unit_test_setup_teardown(f, make_keys, remove_place)

/* Of this test: "/test/7/", and a key in it, valid until the next call. */
const char *key_prefix(void);
const char *key(const char *name);

struct engine_outcome run_read(struct store *s);
/* UNKNOWN, and why, in one line that has these words. */
void assert_unknown(struct engine_outcome out, const char *words);

#endif
