/* SPDX-License-Identifier: MIT */
/* A client's process: orders in, calls out. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver.h"

static void on_alarm(int number)
{
	(void)number;
}

/* The next call's place in the room, where it is seen before it is made. */
static struct op *next_op(struct client *c)
{
	struct op *op = &c->room->ops[c->room->count];

	if (c->room->count == ROUND_CLIENT_MAX)
		abort();
	c->room->data_len[c->room->count] = 0;
	c->room->calls++;
	return op;
}

static void write_bytes(struct client *c, const struct op *op)
{
	size_t len;
	const unsigned char *bytes = blob_bytes(op->data, &len);

	memcpy(c->room->data[c->room->count], bytes, len);
	c->room->data_len[c->room->count] = (uint32_t)len;
}

static void call_something(struct client *c)
{
	struct op *op = next_op(c);

	c->random = c->room->seed ^ c->room->calls * 0xd1342543de82ef95u;
	choose(c, op);
	if (op->kind == OP_WRITE)
		write_bytes(c, op);
	call(c, op);
}

static int call_so(struct client *c, enum op_kind kind, int place, int slot, int64_t arg0,
		   int64_t arg1)
{
	struct op *op = next_op(c);

	*op = (struct op){
		.client = c->number,
		.node = c->node,
		.kind = kind,
		.place = place,
		.slot = slot,
		.place2 = PLACE_NONE,
		.slot2 = -1,
		.arg = {arg0, arg1},
	};
	call(c, op);
	return op->err;
}

static void survey_content(struct client *c, int place)
{
	if (call_so(c, OP_OPEN, place, 0, OPEN_READ, 0) != 0 || c->fd[0] < 0)
		return;
	call_so(c, OP_READ, PLACE_NONE, 0, 0, CONTENT_LIMIT);
	call_so(c, OP_CLOSE, PLACE_NONE, 0, 0, 0);
}

static void survey(struct client *c)
{
	if (c->fd[0] >= 0)
		call_so(c, OP_CLOSE, PLACE_NONE, 0, 0, 0);
	for (int place = 0; place < PLACES; place++) {
		call_so(c, OP_STAT, place, -1, 0, 0);
		survey_content(c, place);
	}
}

_Noreturn void client_main(struct room *room, int number, const struct driver_config *config,
			   int orders, int done)
{
	struct client c = {
		.room = room,
		.number = number,
		.node = number % NODES,
		.fd = {-1, -1, -1, -1},
		.local = config->local,
	};
	struct order order;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL);
	umask(0);
	if (chdir(config->mounts[c.node]) < 0) {
		fprintf(stderr, "history: %s: %s\n", config->mounts[c.node], strerror(errno));
		_exit(1);
	}
	while (read(orders, &order, sizeof(order)) == sizeof(order)) {
		if (order.survey)
			survey(&c);
		while (room->count < order.count)
			call_something(&c);
		if (write(done, "", 1) != 1)
			_exit(1);
	}
	_exit(0);
}
