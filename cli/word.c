/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/socket.h>

#include "cli/job.h"

bool word_send(int socket, enum word_kind kind, int value, uint64_t more)
{
	struct word w = {.kind = kind, .value = value, .more = more};

	return send(socket, &w, sizeof(w), MSG_NOSIGNAL) == sizeof(w);
}

int word_receive(int socket, struct word *out)
{
	ssize_t n = recv(socket, out, sizeof(*out), MSG_DONTWAIT);

	if (n == sizeof(*out))
		return 1;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? -1 : 0;
}
