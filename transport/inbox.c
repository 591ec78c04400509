/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utlist.h>

#include "transport/inbox.h"

struct parcel *parcel_new(size_t len)
{
	struct parcel *p = malloc(sizeof(*p) + len);

	if (!p)
		return NULL;
	p->conn = NULL;
	p->prev = p->next = NULL;
	p->kind = ENDPOINT_DATA;
	p->start = 0;
	p->len = len;
	p->bytes = (uint8_t *)(p + 1);
	return p;
}

int inbox_init(struct inbox *i)
{
	*i = (struct inbox){.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	pthread_mutex_init(&i->lock, NULL);
	return i->wake < 0 ? -errno : 0;
}

void inbox_deinit(struct inbox *i)
{
	assert(!i->parcels && !i->parked);
	if (i->wake >= 0)
		close(i->wake);
	pthread_mutex_destroy(&i->lock);
}

/* Call with the lock held. */
static void append(struct inbox *i, struct parcel *p)
{
	DL_APPEND(i->parcels, p);
	if (!i->raised)
		i->raised = eventfd_write(i->wake, 1) == 0;
}

static bool is_full(const struct inbox *i)
{
	return i->count >= ENDPOINT_INBOX_MAX || i->bytes >= ENDPOINT_INBOX_BYTES;
}

void inbox_put(struct inbox *i, struct parcel *p)
{
	assert(p->kind != ENDPOINT_DATA);
	pthread_mutex_lock(&i->lock);
	append(i, p);
	pthread_mutex_unlock(&i->lock);
}

bool inbox_offer(struct inbox *i, struct parcel *p, struct parcel *park)
{
	bool room;

	assert(p->kind == ENDPOINT_DATA);
	pthread_mutex_lock(&i->lock);
	room = !is_full(i);
	if (room) {
		append(i, p);
		i->count++;
		i->bytes += p->len;
	} else {
		DL_APPEND(i->parked, park);
	}
	pthread_mutex_unlock(&i->lock);
	return room;
}

/* Call with the lock held. */
static void take_out(struct inbox *i, struct parcel *p)
{
	DL_DELETE(i->parcels, p);
	if (p->kind == ENDPOINT_DATA) {
		i->count--;
		i->bytes -= p->len;
	}
}

struct parcel *inbox_take(struct inbox *i)
{
	struct parcel *p;
	eventfd_t count;

	pthread_mutex_lock(&i->lock);
	p = i->parcels;
	if (p)
		take_out(i, p);
	else if (i->raised)
		i->raised = eventfd_read(i->wake, &count) != 0;
	pthread_mutex_unlock(&i->lock);
	return p;
}

struct conn *inbox_unpark(struct inbox *i)
{
	struct parcel *park = NULL;

	pthread_mutex_lock(&i->lock);
	if (!is_full(i))
		park = i->parked;
	if (park)
		DL_DELETE(i->parked, park);
	pthread_mutex_unlock(&i->lock);
	return park ? park->conn : NULL;
}

void inbox_forget(struct inbox *i, const struct conn *c)
{
	struct parcel *p, *next;

	pthread_mutex_lock(&i->lock);
	DL_FOREACH_SAFE (i->parcels, p, next) {
		if (p->conn != c)
			continue;
		take_out(i, p);
		if (p->kind == ENDPOINT_DATA)
			free(p);
	}
	DL_FOREACH_SAFE (i->parked, p, next) {
		if (p->conn == c)
			DL_DELETE(i->parked, p);
	}
	pthread_mutex_unlock(&i->lock);
}
