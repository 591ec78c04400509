/* SPDX-License-Identifier: MIT */
/*
 * The core's allocations, of which every n-th fails. It is linked into dlock-sim alone, with
 * --wrap; what the simulator allocates for itself never fails.
 */
#include <stdlib.h>

#include "sim.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool fails(void)
{
	struct sim *s = sim_in_core;

	if (!s || !(s->faults & FAULT_MEMORY))
		return false;
	if (++s->allocations % s->config.fail_every)
		return false;
	s->starved = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}
