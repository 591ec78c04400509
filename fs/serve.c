/* SPDX-License-Identifier: MIT */
/* The loop: requests of the kernel, packets of the masters, and time, one after the other. */
#include "fs/control_stream.h"
#include "fs/fs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "transport/log.h"

/* Read from one source before the others have their turn. */
#define BATCH_MAX 64

/* Of so many requests one is followed by a look whether many ask. */
#define CROWD_LOOK 32

/* How long a mount waits for a first session where nobody answers, if timeo= does not say. */
#define START_NS (10 * NS_PER_SEC)

/* ---- Inputs ---- */

static void answer_programs(struct fs *fs)
{
	struct node_answer answer;

	while (node_next_answer(fs->node, loop_now(), &answer))
		fs_answer(fs, &answer);
}

/*
 * May there be another request by now? Mostly not: whoever has made the last one waits for its answer
 * and asks nothing before, and to look costs a system call. But not as much as a turn of the loop,
 * where many ask: then there was one the last time. And of those that go to a master, as many as there
 * are go in one packet.
 */
static bool may_be_more(struct fs *fs)
{
	return fs->unawaited || fs->crowded || node_has_unsent(fs->node) ||
	       ++fs->taken % CROWD_LOOK == 0;
}

static void take_request(struct fs *fs)
{
	fs->unawaited = false;
	fuse_session_process_buf(fs->session, &fs->buf);
	if (fs->interrupt_count)
		fs_pass_interrupts(fs);
	answer_programs(fs);
}

static void take_requests(struct fs *fs)
{
	for (int i = 0; i < BATCH_MAX && !fuse_session_exited(fs->session); i++) {
		int n = fuse_session_receive_buf(fs->session, &fs->buf);

		if (n == -EINTR)
			continue;
		if (n <= 0) { /* nothing more for now, or unmounted */
			fs->crowded = false;
			return;
		}
		if (i > 0 && !fs->unawaited)
			fs->crowded = true;
		take_request(fs);
		if (!may_be_more(fs))
			return;
	}
}

static void take_data(struct fs *fs, size_t master, const struct endpoint_event *event)
{
	struct packet packet;
	enum wire_error error = wire_decode(fs->wire, event->bytes, event->len, &packet);

	if (error != WIRE_OK) {
		if (event->received == 1 && log_allows(&fs->limit, loop_now().boot_ns))
			log_warning("%s: dropped what %s sent: %s", fs->options.node,
				    fs->options.masters[master], wire_error_name(error));
		return;
	}
	node_receive(fs->node, master, &packet, loop_now());
	packet_deinit(&packet);
}

static void take_messages(struct fs *fs, size_t master)
{
	struct endpoint_event event;

	for (int i = 0; i < BATCH_MAX && endpoint_next(fs->endpoints[master], &event); i++) {
		switch (event.kind) {
		case ENDPOINT_UP:
			node_connected(fs->node, master, loop_now());
			break;
		case ENDPOINT_DOWN:
			node_disconnected(fs->node, master, loop_now());
			break;
		case ENDPOINT_DATA:
			take_data(fs, master, &event);
			break;
		}
		endpoint_event_done(&event);
	}
}

/* ---- Outputs ---- */

static void send_packets(struct fs *fs)
{
	struct packet packet;
	const void *bytes;
	size_t len, master;

	while (node_next_packet(fs->node, loop_now(), &master, &packet)) {
		wire_encode(fs->wire, &packet, &bytes, &len);
		endpoint_send(fs->endpoints[master], ENDPOINT_MASTER, bytes, len);
	}
}

/* Each line begins with the node: a machine may have several mounts. */
static void report(struct fs *fs, const struct node_event *event)
{
	const char *node = fs->options.node;
	const char *master = fs->options.masters[event->master];

	switch (event->kind) {
	case NODE_EVENT_OPENED:
		fs->twin_said = false;
		/* Before the mount serves, stderr is for one line that says whether it does. */
		if (fs->mounted)
			log_info("%s: session open at %s, lease %.3g s", node, master,
				 (double)event->lease_ns / 1e9);
		break;
	case NODE_EVENT_RESUMED:
		log_info("%s: the master at %s leads now (epoch %" PRIu64
			 "): reclaiming what is held",
			 node, master, event->epoch);
		break;
	case NODE_EVENT_LAPSED:
		log_error("%s: the lease ran out: %zu held names and locks are lost, descriptors "
			  "opened under it give EIO",
			  node, event->held);
		break;
	case NODE_EVENT_TAKEN:
		if (event->own)
			log_debug("%s: waiting for the master to end the session that was lost",
				  node);
		else
			log_debug("%s: an earlier session must end first: at most %.1f s", node,
				  (double)event->lease_ns / 1e9);
		break;
	case NODE_EVENT_TWIN:
		if (!fs->twin_said)
			log_error("the node name %s is in use by another live host; give each its "
				  "own with -o node=",
				  node);
		fs->twin_said = true;
		break;
	case NODE_EVENT_FOREIGN:
		log_error("%s belongs to another cluster than the master that serves this mount, "
			  "and is not used; give the mount the masters of one store",
			  fs->options.masters[event->master]);
		break;
	case NODE_EVENT_SILENT:
		log_debug("%s: nothing is heard from %s: connecting anew", node, master);
		break;
	case NODE_EVENT_LEFT:
		break;
	}
}

/* Returns a bit for each kind of event that came. */
static unsigned drain(struct fs *fs)
{
	struct node_notice *notice;
	struct node_event event;
	unsigned events = 0;

	bind_turn(fs);
	node_tick(fs->node, loop_now());
	answer_programs(fs);
	breaks_turn(fs);
	send_packets(fs);
	while ((notice = node_next_notice(fs->node))) {
		if (fs->notify)
			notify_add(fs->notify, notice);
		else
			node_notice_free(notice);
	}
	while (node_next_event(fs->node, &event)) {
		report(fs, &event);
		if (event.kind == NODE_EVENT_LAPSED)
			bind_lapsed(fs);
		if (event.kind == NODE_EVENT_SILENT)
			endpoint_redial(fs->endpoints[event.master]);
		events |= 1u << event.kind;
	}
	onloss_turn(fs);
	readers_turn(fs);
	fs->threads_stir = false; /* all have been asked */
	return events;
}

/* ---- The loop ---- */

static int64_t deadline(const struct fs *fs, int64_t until_ns)
{
	int64_t at = node_deadline(fs->node), onloss_at = onloss_deadline(fs);
	int64_t bind_at = bind_deadline(fs), breaks_at = breaks_deadline(fs);

	at = at < onloss_at ? at : onloss_at;
	at = at < bind_at ? at : bind_at;
	at = at < breaks_at ? at : breaks_at;
	return at < until_ns ? at : until_ns;
}

static void take_wake(struct fs *fs, uint32_t wake, int *sig)
{
	switch (wake) {
	case WAKE_TIMER:
		loop_timer_seen(&fs->loop);
		break;
	case WAKE_SIGNAL:
		*sig = loop_signal(&fs->loop);
		break;
	case WAKE_THREAD:
		fs->threads_stir = true;
		break;
	case WAKE_KERNEL:
		take_requests(fs);
		break;
	default:
		take_messages(fs, wake - WAKE_MASTERS);
		break;
	}
}

/*
 * One turn: waits until something is to do, at most until the moment given, and does it. *sig is a
 * signal that came. Returns the events' bits.
 */
static unsigned turn(struct fs *fs, int64_t until_ns, int *sig)
{
	uint32_t wakes[WAKES_MAX];
	size_t count;

	loop_arm(&fs->loop, deadline(fs, until_ns));
	count = wakes_wait(&fs->wakes, wakes);
	for (size_t i = 0; i < count; i++)
		take_wake(fs, wakes[i], sig);
	return drain(fs);
}

static int64_t start_ns(const struct fs *fs)
{
	return fs->options.timeo_ns ? fs->options.timeo_ns : START_NS;
}

/*
 * Nobody answers: give up after timeo. Somebody answers that our name's earlier session lives: that
 * one's lease decides how long we wait.
 */
int fs_serve_until_open(struct fs *fs)
{
	int64_t until = loop_now().boot_ns + start_ns(fs);
	int sig = 0;

	drain(fs);
	while (!node_is_open(fs->node)) {
		unsigned events = turn(fs, until, &sig);

		if (sig)
			return 1;
		if (events & (1u << NODE_EVENT_TWIN)) /* said so already */
			return 1;
		if (events & (1u << NODE_EVENT_TAKEN))
			until = loop_now().boot_ns + start_ns(fs);
		if (!node_is_open(fs->node) && loop_now().boot_ns >= until) {
			log_error("cannot mount %s: no master answers at %s within %.3g s; is "
				  "dlock-master running there?",
				  fs->options.mountpoint, fs->options.urls,
				  (double)start_ns(fs) / 1e9);
			return 1;
		}
	}
	return 0;
}

static bool unmounted(const struct fs *fs)
{
	return fuse_session_exited(fs->session);
}

int fs_serve_until_ready(struct fs *fs)
{
	int sig = 0;

	while (!fs->ready && !sig && !unmounted(fs))
		turn(fs, MOMENT_NEVER, &sig);
	/* libfuse looks at what was agreed on after we have, and ends the session if it does not like
	 * it. */
	if (fs->ready && !unmounted(fs))
		return 0;
	log_error("cannot mount %s: %s", fs->options.mountpoint,
		  fs->refused[0]	? fs->refused
		  : fs_fuse_reason()[0] ? fs_fuse_reason()
					: "it was unmounted at once");
	return 1;
}

void fs_serve(struct fs *fs)
{
	int sig = 0;

	while (!sig && !unmounted(fs))
		turn(fs, MOMENT_NEVER, &sig);
	if (sig)
		log_info("%s: stopped by %s", fs->options.node, strsignal(sig));
}

void fs_serve_until_left(struct fs *fs)
{
	int sig = 0;
	unsigned left = 0;

	node_leave(fs->node, loop_now());
	left = drain(fs);
	while (!(left & (1u << NODE_EVENT_LEFT)))
		left = turn(fs, MOMENT_NEVER, &sig);
}
