/* SPDX-License-Identifier: MIT */
#include "fs/wakes.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

int wakes_init(struct wakes *w)
{
	w->fd = epoll_create1(EPOLL_CLOEXEC);
	return w->fd < 0 ? -errno : 0;
}

void wakes_deinit(struct wakes *w)
{
	close(w->fd);
}

int wakes_add(struct wakes *w, int fd, uint32_t id)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = id};

	return epoll_ctl(w->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

size_t wakes_wait(struct wakes *w, uint32_t ids[WAKES_MAX])
{
	struct epoll_event events[WAKES_MAX];
	int count = epoll_wait(w->fd, events, WAKES_MAX, -1);

	for (int i = 0; i < count; i++)
		ids[i] = events[i].data.u32;
	return count > 0 ? (size_t)count : 0;
}
