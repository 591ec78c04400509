/* SPDX-License-Identifier: MIT */
/*
 * dlock-master: one poll loop around the core's master half.
 *
 *	peers ──endpoint──> wire ──> master (lockcore) ──operations──> store (a thread)
 *	  ^                           │      ^                             │
 *	  └───────── packets ─────────┘      └────────── outcomes ─────────┘
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>

#include "lockcore/master.h"
#include "master/options.h"
#include "master/report.h"
#include "master/service.h"
#include "master/store.h"
#include "transport/endpoint.h"
#include "transport/log.h"
#include "transport/loop.h"
#include "transport/wire.h"

#define WHY_BYTES 400

/* One input must not keep the others waiting: so many messages are read before the rest is looked
 * at. */
#define BATCH_MAX 64

struct daemon {
	struct options options;
	struct loop loop;
	struct store *store;
	struct endpoint *endpoint;
	struct wire *wire;
	struct master *master;
	struct report report;
	struct service service;
	bool stopping;
};

/* ---- Inputs ---- */

static void take_data(struct daemon *d, const struct endpoint_event *event, struct moment now)
{
	struct packet packet;
	enum wire_error error = wire_decode(d->wire, event->bytes, event->len, &packet);

	if (error != WIRE_OK) {
		report_dropped(&d->report, d->endpoint, event->peer, wire_error_name(error));
		return;
	}
	master_receive(d->master, event->peer, &packet, now);
	packet_deinit(&packet);
}

static void take_messages(struct daemon *d)
{
	struct endpoint_event event;

	for (int i = 0; i < BATCH_MAX && endpoint_next(d->endpoint, &event); i++) {
		if (event.kind == ENDPOINT_DATA)
			take_data(d, &event, loop_now());
		else if (event.kind == ENDPOINT_DOWN && !event.received)
			report_dropped(&d->report, d->endpoint, event.peer,
				       "no message within bounds came");
		endpoint_event_done(&event);
	}
}

static void take_outcomes(struct daemon *d)
{
	struct engine_outcome outcome;

	while (store_next(d->store, &outcome)) {
		if (outcome.result != ENGINE_UNKNOWN)
			report_store_well(&d->report);
		master_engine_done(d->master, &outcome, loop_now());
		free(outcome.sessions);
	}
}

/* ---- Outputs ---- */

static void submit_operations(struct daemon *d)
{
	struct engine_op op;

	while (master_next_op(d->master, loop_now(), &op)) {
		struct engine_outcome unknown = {.id = op.id, .result = ENGINE_UNKNOWN};
		int err = store_submit(d->store, &op);

		if (!err)
			continue;
		strncpy(unknown.error, strerror(-err), sizeof(unknown.error) - 1);
		master_engine_done(d->master, &unknown, loop_now());
	}
}

/* The clock is looked at before every packet: nothing leaves after the leader's lease (rule 1). */
static void send_packets(struct daemon *d)
{
	struct packet packet;
	const void *bytes;
	uint32_t peer;
	size_t len;

	while (master_next_packet(d->master, loop_now(), &peer, &packet)) {
		wire_encode(d->wire, &packet, &bytes, &len);
		endpoint_send(d->endpoint, peer, bytes, len);
	}
}

/*
 * Who is connected could not know that it has to reclaim what it holds until a renewal is in vain,
 * more than half of a lease later, and grace would wait for it. A new connection begins with HELLO.
 */
static void take_event(struct daemon *d, const struct master_event *event)
{
	report_event(&d->report, d->endpoint, event);
	if (event->kind == MASTER_EVENT_STEPPED_DOWN)
		endpoint_drop_peers(d->endpoint);
}

static void tell_role(struct daemon *d)
{
	uint64_t epoch;
	enum master_role role = master_role(d->master, &epoch);

	report_role(&d->report, role, epoch);
	service_tell(&d->service, role, epoch);
}

static void drain(struct daemon *d)
{
	struct master_event event;

	master_tick(d->master, loop_now());
	submit_operations(d);
	send_packets(d);
	while (master_next_event(d->master, &event))
		take_event(d, &event);
	tell_role(d);
}

/* ---- The loop ---- */

/* The cell is given up first, so that a standby need not wait; whoever asks twice has no time for
 * that. True: end now. */
static bool stop(struct daemon *d, int sig)
{
	bool again = d->stopping;

	log_info("%s: stopped by %s", d->options.name, strsignal(sig));
	d->stopping = true;
	report_ending(&d->report);
	master_leave(d->master, loop_now());
	return again;
}

static void run(struct daemon *d)
{
	struct pollfd fds[] = {
		{.fd = endpoint_fd(d->endpoint), .events = POLLIN},
		{.fd = store_fd(d->store), .events = POLLIN},
		{.fd = d->loop.timer_fd, .events = POLLIN},
		{.fd = d->loop.signal_fd, .events = POLLIN},
	};
	int sig;

	for (;;) {
		drain(d);
		if (master_has_left(d->master))
			return;
		loop_arm(&d->loop, master_deadline(d->master));
		if (poll(fds, sizeof(fds) / sizeof(*fds), -1) < 0 && errno != EINTR)
			break;
		if (fds[2].revents)
			loop_timer_seen(&d->loop);
		if (fds[3].revents && (sig = loop_signal(&d->loop)) && stop(d, sig))
			return;
		if (fds[1].revents)
			take_outcomes(d);
		if (fds[0].revents)
			take_messages(d);
	}
	log_error("poll: %s", strerror(errno));
}

static bool start_listening(struct daemon *d)
{
	char why[WHY_BYTES] = "out of memory";

	if (endpoint_new_server(&d->endpoint) < 0) {
		log_error("cannot start the transport: %s", why);
		return false;
	}
	for (size_t i = 0; i < d->options.listens; i++) {
		if (endpoint_listen(d->endpoint, d->options.listen[i], why, sizeof(why)) < 0) {
			log_error("cannot listen: %s", why);
			return false;
		}
	}
	return true;
}

static bool make_master(struct daemon *d)
{
	struct master_config config = {
		.lease_ns = d->options.lease_ns,
		.leader_lease_ns = d->options.leader_lease_ns,
		.max_files = TABLE_FILES_DEFAULT,
		.exclusive_store = store_is_exclusive(d->store),
	};

	while (!config.instance)
		if (getrandom(&config.instance, sizeof(config.instance), 0) < 0 && errno != EINTR)
			break;
	d->wire = wire_new();
	d->master = config.instance ? master_new(&config, loop_now()) : NULL;
	if (!d->wire || !d->master)
		log_error("cannot start: out of memory");
	return d->wire && d->master;
}

/* The store comes first: what is refused there must not have taken a port. */
static bool start(struct daemon *d)
{
	char why[WHY_BYTES];
	int err = loop_init(&d->loop);

	if (err) {
		log_error("cannot start: %s", strerror(-err));
		return false;
	}
	if (store_open(d->options.store, &d->options.store_options, &d->store, why, sizeof(why)) <
	    0) {
		log_error("cannot use --store %s: %s", d->options.store, why);
		return false;
	}
	if (*why)
		log_warning("--store %s: %s", d->options.store, why);
	return make_master(d) && start_listening(d);
}

int main(int argc, char **argv)
{
	static struct daemon d;
	int status;

	log_open("dlock-master");
	status = options_parse(&d.options, argc, argv);
	if (status >= 0)
		return status;
	if (start(&d)) {
		report_init(&d.report, d.options.name);
		run(&d);
		status = EX_OK;
	} else {
		status = EXIT_FAILURE;
	}
	endpoint_free(d.endpoint);
	store_close(d.store);
	master_free(d.master);
	wire_free(d.wire);
	return status;
}
