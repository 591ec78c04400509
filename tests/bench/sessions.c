/* SPDX-License-Identifier: MIT */
/*
 * sessions: so many nodes without a mount, each with a name, a session and a connection of its own,
 * in one process. They do nothing but renew their leases, as idle mounts do.
 *
 *	sessions URL COUNT SECONDS MASTER-PID
 *
 * They come one after the other, over some seconds, so that their renewals are spread as those of
 * nodes are that were not switched on together. When all have a session, and have renewed it, the
 * clock runs for SECONDS. Prints one line for programs:
 *
 *	sessions COUNT seconds S renewals R cpu_seconds C
 *
 * with the renewals which the master has acknowledged meanwhile, and the CPU time that its process
 * has used. Exit 1 with a line on stderr if a session does not open, is lost, or is not renewed.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include "lockcore/node.h"
#include "transport/endpoint.h"
#include "transport/loop.h"
#include "transport/wire.h"

#define SESSIONS_MAX ENDPOINT_PEERS_MAX

/* The nodes come over so long: a renewal's period, of the default lease. */
#define SPREAD_NS (2500 * NS_PER_MS)

/* By then all have a session and have renewed it: the lease's quarter and time to spare. */
#define OPEN_NS (60 * NS_PER_SEC)

/* Descriptors: of a connection nng has one, the endpoint one more. */
#define FDS_PER_SESSION 4

struct session {
	struct node *node; /* NULL: it has not come yet */
	struct endpoint *endpoint;
	int64_t belief_ns;
	uint64_t renewals;
};

static struct session sessions[SESSIONS_MAX];
static size_t count, come;
static struct wire *wire;

static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("sessions: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static void session_begin(struct session *s, size_t number, const char *url)
{
	struct node_config config = {.masters = 1};
	char why[256] = "";
	int err;

	snprintf(config.id, sizeof(config.id), "idle-%zu", number);
	if (getrandom(&config.instance_base, sizeof(config.instance_base), 0) < 0)
		die("getrandom: %s", strerror(errno));
	s->node = node_new(&config, loop_now());
	if (!s->node)
		die("node %zu: no memory", number);
	err = endpoint_new_client(&s->endpoint);
	if (!err)
		err = endpoint_dial(s->endpoint, url, why, sizeof(why));
	if (err)
		die("%s: %s", url, why[0] ? why : strerror(-err));
}

/* ---- A session's turn ---- */

static void take_data(struct session *s, const struct endpoint_event *event)
{
	struct packet packet;
	enum wire_error error = wire_decode(wire, event->bytes, event->len, &packet);

	if (error != WIRE_OK)
		die("the master's packet: %s", wire_error_name(error));
	node_receive(s->node, 0, &packet, loop_now());
	packet_deinit(&packet);
}

static void take_events(struct session *s)
{
	struct endpoint_event event;

	while (endpoint_next(s->endpoint, &event)) {
		if (event.kind == ENDPOINT_UP)
			node_connected(s->node, 0, loop_now());
		else if (event.kind == ENDPOINT_DOWN)
			node_disconnected(s->node, 0, loop_now());
		else
			take_data(s, &event);
		endpoint_event_done(&event);
	}
}

static void send_packets(struct session *s)
{
	struct packet packet;
	const void *bytes;
	size_t len, master;

	while (node_next_packet(s->node, loop_now(), &master, &packet)) {
		wire_encode(wire, &packet, &bytes, &len);
		endpoint_send(s->endpoint, ENDPOINT_MASTER, bytes, len);
	}
}

/* Each acknowledged renewal moves the end of the belief; so does the WELCOME before them. */
static void count_renewals(struct session *s)
{
	int64_t belief_ns = node_belief_end(s->node);

	if (belief_ns > s->belief_ns && s->belief_ns)
		s->renewals++;
	s->belief_ns = belief_ns;
}

static void session_turn(struct session *s)
{
	struct node_event event;

	take_events(s);
	node_tick(s->node, loop_now());
	send_packets(s);
	while (node_next_event(s->node, &event)) {
		if (event.kind == NODE_EVENT_LAPSED || event.kind == NODE_EVENT_TWIN)
			die("node %zu: its session is lost", (size_t)(s - sessions));
		if (event.kind == NODE_EVENT_SILENT)
			endpoint_redial(s->endpoint);
	}
	count_renewals(s);
}

/* ---- All of them ---- */

static int64_t min_ns(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Whoever has something to do does it; waits for that until then at most. */
static void turn(int64_t until_ns)
{
	static struct pollfd fds[SESSIONS_MAX];
	int64_t now_ns = loop_now().boot_ns, at_ns = until_ns, wait_ns;
	struct timespec wait;

	for (size_t i = 0; i < come; i++) {
		fds[i] = (struct pollfd){.fd = endpoint_fd(sessions[i].endpoint), .events = POLLIN};
		at_ns = min_ns(at_ns, node_deadline(sessions[i].node));
	}
	wait_ns = at_ns > now_ns ? at_ns - now_ns : 0;
	wait = (struct timespec){.tv_sec = wait_ns / NS_PER_SEC, .tv_nsec = wait_ns % NS_PER_SEC};
	if (ppoll(fds, come, &wait, NULL) < 0)
		return; /* EINTR */
	now_ns = loop_now().boot_ns;
	for (size_t i = 0; i < come; i++)
		if (fds[i].revents || node_deadline(sessions[i].node) <= now_ns)
			session_turn(&sessions[i]);
}

static void begin_all(const char *url)
{
	const int64_t start_ns = loop_now().boot_ns;

	while (come < count) {
		int64_t at_ns = start_ns + SPREAD_NS / (int64_t)count * (int64_t)come;

		while (loop_now().boot_ns < at_ns)
			turn(at_ns);
		session_begin(&sessions[come], come, url);
		session_turn(&sessions[come++]);
	}
}

static size_t count_renewed(uint64_t least)
{
	size_t renewed = 0;

	for (size_t i = 0; i < count; i++)
		renewed += sessions[i].renewals >= least;
	return renewed;
}

static void await_renewals(void)
{
	const int64_t until_ns = loop_now().boot_ns + OPEN_NS;

	while (count_renewed(1) < count) {
		if (loop_now().boot_ns >= until_ns)
			die("after %d s only %zu of %zu sessions have been renewed",
			    (int)(OPEN_NS / NS_PER_SEC), count_renewed(1), count);
		turn(until_ns);
	}
}

static double cpu_seconds(pid_t pid)
{
	struct timespec used;
	clockid_t cpu;
	int err = clock_getcpuclockid(pid, &cpu);

	if (err || clock_gettime(cpu, &used) < 0)
		die("process %d: %s", (int)pid, strerror(err ? err : errno));
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static void measure(int64_t span_ns, pid_t master)
{
	const int64_t start_ns = loop_now().boot_ns;
	const double before = cpu_seconds(master);
	uint64_t renewals = 0;

	for (size_t i = 0; i < count; i++)
		sessions[i].renewals = 0;
	while (loop_now().boot_ns < start_ns + span_ns)
		turn(start_ns + span_ns);
	for (size_t i = 0; i < count; i++)
		renewals += sessions[i].renewals;
	if (!renewals)
		die("no lease has been renewed in all the time");
	printf("sessions %zu seconds %.1f renewals %" PRIu64 " cpu_seconds %.4f\n", count,
	       (double)(loop_now().boot_ns - start_ns) / 1e9, renewals,
	       cpu_seconds(master) - before);
}

static void allow_descriptors(void)
{
	struct rlimit limit = {.rlim_cur = SESSIONS_MAX * FDS_PER_SESSION,
			       .rlim_max = SESSIONS_MAX * FDS_PER_SESSION};

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("setrlimit: %s", strerror(errno));
}

static void end_all(void)
{
	for (size_t i = 0; i < count; i++) {
		endpoint_free(sessions[i].endpoint);
		node_free(sessions[i].node);
	}
	wire_free(wire);
}

int main(int argc, char **argv)
{
	int64_t span_ns = 0;

	if (argc == 5)
		count = strtoul(argv[2], NULL, 10);
	if (!count || count > SESSIONS_MAX || !loop_parse_seconds(argv[3], &span_ns) || !span_ns) {
		fprintf(stderr,
			"usage: sessions URL COUNT SECONDS MASTER-PID\n"
			"COUNT is at most %d.\n",
			SESSIONS_MAX);
		return 64;
	}
	allow_descriptors();
	wire = wire_new();
	if (!wire)
		die("no memory");
	begin_all(argv[1]);
	await_renewals();
	measure(span_ns, (pid_t)strtol(argv[4], NULL, 10));
	end_all();
	return 0;
}
