/* SPDX-License-Identifier: MIT */
/* The session: saying HELLO, renewing, believing, lapsing, leaving. Diagram and timeline in node.h.
 */
#include "lockcore/node_internal.h"

#define RENEWALS_PER_LEASE 4 /* protocol.md, "Time" */
#define DOUBT_TENTHS                                                                               \
	13 /* rule 14: without an answer for 1.3 renewal periods ask another master                \
	    */
#define BYE_RETRY_NS  (200 * NS_PER_MS)
#define TWIN_SLACK_NS (2 * NS_PER_SEC)
/* Less than what is left of the shortest lease (1 s) shortly before it is renewed. */
#define TWIN_REST_NS (NS_PER_SEC / 2)

/* ---- Life of the struct ---- */

struct node *node_new(const struct node_config *config, struct moment now)
{
	struct node *n = calloc(1, sizeof(*n));

	assert(config->masters >= 1 && config->masters <= NODE_MASTERS_MAX && config->id[0]);
	if (!n)
		return NULL;
	n->config = *config;
	n->state = NODE_JOINING;
	n->instance = config->instance_base ? config->instance_base : 1;
	n->hello_at_ns = now.boot_ns;
	n->hello_rest_ns = NODE_HELLO_REST_NS;
	for (size_t i = 0; i < NODE_MASTERS_MAX; i++)
		n->links[i].silent_at_ns =
			i < config->masters ? now.boot_ns + NODE_SILENT_NS : MOMENT_NEVER;
	channel_init(&n->channel);
	if (node_calls_init(n))
		return n;
	node_free(n);
	return NULL;
}

void node_free(struct node *n)
{
	if (!n)
		return;
	node_calls_free(n);
	kept_free(n);
	revokes_free(n);
	changes_free(n);
	times_free(n);
	sight_free(n);
	channel_deinit(&n->channel);
	deadlines_deinit(&n->deadlines);
	free(n);
}

bool node_is_open(const struct node *n)
{
	return n->state == NODE_OPEN;
}

uint64_t node_instance(const struct node *n)
{
	return n->instance;
}

int64_t node_lease(const struct node *n)
{
	return n->lease_ns;
}

int64_t node_belief_end(const struct node *n)
{
	return n->state == NODE_OPEN ? n->belief_ns : 0;
}

/* ---- Events ---- */

void node_tell(struct node *n, struct node_event event)
{
	size_t last;

	if (n->event_count == NODE_EVENTS_MAX) {
		n->event_first = (n->event_first + 1) % NODE_EVENTS_MAX;
		n->event_count--;
	}
	last = (n->event_first + n->event_count++) % NODE_EVENTS_MAX;
	n->events[last] = event;
}

bool node_next_event(struct node *n, struct node_event *out)
{
	if (!n->event_count)
		return false;
	*out = n->events[n->event_first];
	n->event_first = (n->event_first + 1) % NODE_EVENTS_MAX;
	n->event_count--;
	return true;
}

/* ---- Lapse (contract 6.1, rule 11) ---- */

void node_push(struct node *n, const struct message *m)
{
	struct message *copy = message_copy(m);

	/* A session that cannot say what it did is of no use to anybody: give it up in time. */
	if (copy)
		channel_push(&n->channel, copy);
	else
		n->doomed = true;
}

void node_lapse(struct node *n, struct moment now)
{
	struct node_event event = {.kind = NODE_EVENT_LAPSED};

	assert(n->state == NODE_OPEN);
	event.held = kept_lapse(n, n->config.fence);
	times_free(n);
	n->fence = n->lost ? NODE_FENCE_LOST : NODE_FENCE_NONE;
	revokes_free(n);
	n->state = NODE_JOINING;
	n->last_instance = n->instance++;
	n->said_hello = false;
	n->doomed = false;
	n->epoch = 0;
	n->belief_ns = 0;
	n->hello_at_ns = now.boot_ns;
	n->taken_until_ns = 0;
	for (size_t i = 0; i < n->config.masters; i++)
		n->links[i].foreign = false;
	channel_deinit(&n->channel);
	node_calls_lapse(n);
	node_tell(n, event);
}

void node_check_belief(struct node *n, struct moment now)
{
	n->now_ns = now.boot_ns;
	if (n->state == NODE_OPEN && (n->doomed || now.boot_ns >= n->belief_ns))
		node_lapse(n, now);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ---- What a master says of the session ---- */

static int64_t renewal_period(const struct node *n)
{
	return n->lease_ns / RENEWALS_PER_LEASE;
}

/* Belief counts from when the node sent what is acknowledged, by its own clock. */
static void believe(struct node *n, int64_t stamp_ns, struct moment now)
{
	int64_t from = rule(RULE_BELIEF_FROM_SENDING) ? stamp_ns : now.boot_ns;

	if (from + n->lease_ns > n->belief_ns)
		n->belief_ns = from + n->lease_ns;
	n->doubt_at_ns = MOMENT_NEVER;
	n->hello_at_ns = MOMENT_NEVER;
	n->hello_rest_ns = NODE_HELLO_REST_NS;
}

/* A master of a new epoch knows nothing but the registry: tell it what we keep, then ask again. */
static void begin_epoch(struct node *n, uint64_t epoch, struct moment now)
{
	bool resumed = n->state == NODE_OPEN;

	n->epoch = n->highest_epoch = epoch;
	n->state = NODE_OPEN;
	n->last_instance = 0;
	n->renew_at_ns = now.boot_ns + renewal_period(n);
	channel_deinit(&n->channel);
	if (resumed)
		kept_reclaim(n);
	if (resumed)
		times_reclaim(n);
	sight_begin(n);
	changes_begin(n);
	node_calls_start(n);
	node_tell(n, (struct node_event){
			     .kind = resumed ? NODE_EVENT_RESUMED : NODE_EVENT_OPENED,
			     .lease_ns = n->lease_ns,
			     .epoch = epoch,
			     .master = n->master,
		     });
}

static void on_welcome(struct node *n, size_t master, uint64_t epoch, const struct message *m,
		       struct moment now)
{
	if (m->lease_ns <= 0 || m->stamp_ns > now.boot_ns ||
	    m->stamp_ns + m->lease_ns <= now.boot_ns)
		return;
	n->master = master;
	n->cluster = m->cluster;
	n->lease_ns = m->lease_ns;
	if (epoch == n->epoch) {
		channel_rewind(&n->channel);
	} else {
		if (rule(RULE_BELIEF_IS_THE_LEADERS))
			n->belief_ns = 0; /* only what this master promises counts from here */
		begin_epoch(n, epoch, now);
	}
	believe(n, m->stamp_ns, now);
}

/*
 * A rest that grows means that somebody renews it: a second host with our id (rule 15). Another
 * master counts it anew, and one that is about to delete the session says a rest of next to
 * nothing, however long its store takes.
 */
static void on_taken(struct node *n, uint64_t epoch, const struct message *m, struct moment now)
{
	int64_t until = now.boot_ns + m->lease_ns;
	bool known = n->taken_until_ns && n->taken_epoch == epoch;
	bool twin =
		known && until > n->taken_until_ns + TWIN_SLACK_NS && m->lease_ns > TWIN_REST_NS;

	if (n->state != NODE_JOINING)
		return;
	n->taken_epoch = epoch;
	if (!known)
		n->taken_until_ns = until;
	node_tell(n, (struct node_event){
			     .kind = twin ? NODE_EVENT_TWIN : NODE_EVENT_TAKEN,
			     .lease_ns = m->lease_ns,
			     .own = n->last_instance != 0,
		     });
	if (twin)
		n->taken_until_ns = until;
}

static void on_farewell(struct node *n, const struct message *m)
{
	if (n->state == NODE_LEAVING && m->target == n->instance) {
		n->state = NODE_LEFT;
		node_tell(n, (struct node_event){.kind = NODE_EVENT_LEFT});
	} else if (m->target == n->last_instance) {
		n->last_instance = 0;
	}
}

/* The next is asked at once, so that a leader is found in one round; then all get some rest, little
 * at first: where a leader hands over, the next one leads within milliseconds. */
static void on_not_me(struct node *n, struct moment now)
{
	size_t ups = 0;

	if (n->hello_at_ns == MOMENT_NEVER || !n->hello_asks)
		return;
	for (size_t i = 0; i < n->config.masters; i++)
		ups += n->links[i].up;
	n->hello_at_ns = now.boot_ns;
	if (++n->hello_refused >= ups) {
		n->hello_refused = 0;
		n->hello_at_ns += n->hello_rest_ns;
		n->hello_rest_ns = earlier(n->hello_rest_ns * 2, NODE_HELLO_NS);
	}
	n->hello_asks = false;
}

/* Nobody has welcomed the instance, and nobody will. */
static void join_anew(struct node *n, struct moment now)
{
	n->instance++;
	n->hello_at_ns = now.boot_ns;
}

static void on_session_message(struct node *n, size_t master, const struct packet *p,
			       const struct message *m, struct moment now)
{
	switch (m->kind) {
	case MESSAGE_WELCOME:
		if (n->state == NODE_JOINING || n->state == NODE_OPEN)
			on_welcome(n, master, p->epoch, m, now);
		break;
	case MESSAGE_RENEWED:
		if (n->state == NODE_OPEN && p->epoch == n->epoch && m->stamp_ns <= now.boot_ns)
			believe(n, m->stamp_ns, now);
		break;
	case MESSAGE_TAKEN:
		on_taken(n, p->epoch, m, now);
		break;
	case MESSAGE_EXPIRED:
		if (n->state == NODE_OPEN)
			node_lapse(n, now);
		else if (n->state == NODE_JOINING)
			join_anew(n, now);
		break;
	case MESSAGE_FAREWELL:
		on_farewell(n, m);
		break;
	default:
		break; /* a node's message: not for us */
	}
}

/* Takes the message's slot if it keeps it. */
static void on_ordered(struct node *n, struct message **slot, struct moment now)
{
	const struct message *m = *slot;

	if (!channel_accept(&n->channel, m->seq, now))
		return;
	switch (m->kind) {
	case MESSAGE_REPLY:
		node_reply(n, slot, now);
		break;
	case MESSAGE_QUEUED:
		node_queued(n, m);
		break;
	case MESSAGE_VOUCH:
		kept_vouch(n, m);
		break;
	case MESSAGE_FORGET:
		kept_forget(n, m->ino);
		break;
	case MESSAGE_UNSEEN:
		sight_unseen(n, m);
		break;
	case MESSAGE_APPEARED:
		sight_appeared(n, m);
		break;
	case MESSAGE_CHANGE:
		changes_take(n, slot);
		break;
	case MESSAGE_REVOKE:
		revoke_begin(n, m, now);
		break;
	default:
		break;
	}
}

/*
 * Nothing is taken from an epoch lower than the highest seen (rule 10), nor for another instance;
 * a standby's "not me", which has no epoch, gives nothing. Only a WELCOME lifts the highest epoch: a
 * FAREWELL of a master that was never ours must not.
 */
void node_receive(struct node *n, size_t master, struct packet *p, struct moment now)
{
	bool foreign;

	assert(master < n->config.masters);
	if (rule(RULE_LAPSE_BEFORE_INPUT))
		node_check_belief(n, now);
	link_heard(n, master);
	if (p->instance != n->instance)
		return;
	foreign = p->count && link_is_foreign(n, master, p->messages[0]->cluster);
	if (foreign || (p->count && p->messages[0]->kind == MESSAGE_NOT_ME))
		on_not_me(n, now);
	if (foreign)
		return;
	if (p->epoch < n->highest_epoch && rule(RULE_LOWER_EPOCHS_ARE_REFUSED))
		return;
	for (size_t i = 0; i < p->count; i++)
		if (!message_is_ordered(p->messages[i]))
			on_session_message(n, master, p, p->messages[i], now);
	if (n->state != NODE_OPEN || p->epoch != n->epoch || p->instance != n->instance ||
	    master != n->master || !channel_acked(&n->channel, p->ack, now))
		return;
	if (p->clock > n->clock)
		n->clock = p->clock;
	for (size_t i = 0; i < p->count && n->state == NODE_OPEN; i++)
		if (message_is_ordered(p->messages[i]))
			on_ordered(n, &p->messages[i], now);
}

/* ---- Time ---- */

/* Without an acknowledgement for 1.3 periods: HELLO to another master, the old link stays (rule
 * 14). */
static void check_doubt(struct node *n, struct moment now)
{
	if (n->state == NODE_OPEN && now.boot_ns >= n->doubt_at_ns)
		node_doubt(n, now);
}

void node_doubt(struct node *n, struct moment now)
{
	assert(n->state == NODE_OPEN);
	n->hello_to = n->master + 1;
	n->hello_at_ns = now.boot_ns;
	n->doubt_at_ns = MOMENT_NEVER;
}

void node_tick(struct node *n, struct moment now)
{
	node_check_belief(n, now);
	fence_tick(n, now);
	check_doubt(n, now);
	links_check_silence(n, now);
	channel_tick(&n->channel, now);
	node_calls_tick(n, now);
	revokes_tick(n, now);
	if (n->state == NODE_LEAVING && now.boot_ns >= n->leave_at_ns) {
		n->state = NODE_LEFT;
		node_tell(n, (struct node_event){.kind = NODE_EVENT_LEFT});
	}
}

int64_t node_deadline(const struct node *n)
{
	int64_t at = earlier(deadlines_next(&n->deadlines), links_silence_deadline(n));
	size_t any;

	if (n->state == NODE_LEAVING)
		return earlier(earlier(at, n->leave_at_ns),
			       node_link_up(n, 0, &any) ? n->bye_at_ns : MOMENT_NEVER);
	if (n->state == NODE_LEFT)
		return at;
	if (n->state == NODE_OPEN)
		at = earlier(earlier(at, fence_deadline(n)), earlier(n->belief_ns, n->doubt_at_ns));
	at = earlier(at, revokes_deadline(n));
	if (n->fence != NODE_FENCE_LOST && node_link_up(n, 0, &any))
		at = earlier(at, n->hello_at_ns);
	if (n->state == NODE_OPEN && n->links[n->master].up)
		at = earlier(earlier(at, n->renew_at_ns), channel_deadline(&n->channel));
	return at;
}

void node_leave(struct node *n, struct moment now)
{
	int64_t patience = NODE_LEAVE_UNKNOWN_NS;

	node_check_belief(n, now);
	if (n->state == NODE_LEAVING || n->state == NODE_LEFT)
		return;
	if (n->state == NODE_OPEN) {
		kept_lapse(n, false);
		revokes_free(n);
		n->fence = NODE_FENCE_NONE;
		channel_deinit(&n->channel);
		patience = NODE_LEAVE_NS;
	}
	n->state = NODE_LEAVING;
	n->leave_at_ns = now.boot_ns + (n->said_hello ? patience : 0);
	n->bye_at_ns = now.boot_ns;
	node_calls_lapse(n);
}

/* ---- Packets ---- */

static void add(struct node *n, struct packet *p, size_t slot, struct message m)
{
	n->scratch[slot] = m;
	p->messages[p->count++] = &n->scratch[slot];
}

static void add_bye(struct node *n, struct packet *p, uint64_t instance)
{
	add(n, p, 1,
	    (struct message){
		    .kind = MESSAGE_BYE,
		    .text = n->config.id,
		    .target = instance,
	    });
}

/* A lapsed session says BYE first: it has stopped believing, and its successor need not wait for
 * it. */
static void add_hello(struct node *n, struct packet *p, struct moment now)
{
	if (n->last_instance)
		add_bye(n, p, n->last_instance);
	add(n, p, 0,
	    (struct message){
		    .kind = MESSAGE_HELLO,
		    .text = n->config.id,
		    .stamp_ns = now.boot_ns,
		    .epoch = n->highest_epoch,
		    .cluster = n->cluster,
		    .resume = n->state == NODE_OPEN,
	    });
	n->said_hello = true;
	n->hello_at_ns = now.boot_ns + NODE_HELLO_NS;
}

static int64_t doubt_ns(const struct node *n)
{
	return renewal_period(n) * DOUBT_TENTHS / 10;
}

static void add_renewal(struct node *n, struct packet *p, struct moment now)
{
	link_expect_word(n, n->master, doubt_ns(n), now);
	add(n, p, 0,
	    (struct message){
		    .kind = MESSAGE_RENEW,
		    .stamp_ns = now.boot_ns,
		    .target = n->channel.acked,
		    .since_ns = n->belief_ns - n->lease_ns,
	    });
	n->renew_at_ns = now.boot_ns + renewal_period(n);
	if (n->doubt_at_ns == MOMENT_NEVER)
		n->doubt_at_ns = now.boot_ns + doubt_ns(n);
}

/* A HELLO travels alone, since it may go to another master than the session's. */
static bool hello_packet(struct node *n, struct moment now, size_t *master, struct packet *out)
{
	if (n->fence == NODE_FENCE_LOST || now.boot_ns < n->hello_at_ns ||
	    !node_link_up(n, n->hello_to, master))
		return false;
	n->hello_to = *master + 1;
	n->hello_asks = true;
	link_expect_word(n, *master, link_patience(&n->links[*master]), now);
	add_hello(n, out, now);
	return true;
}

static bool session_packet(struct node *n, struct moment now, size_t *master, struct packet *out)
{
	size_t bytes = 0, renewal;

	if (!n->links[n->master].up)
		return false;
	*master = n->master;
	sight_tell(n);
	if (now.boot_ns >= n->renew_at_ns)
		add_renewal(n, out, now);
	if (!out->count && !channel_wants_packet(&n->channel, now))
		return false;
	renewal = out->count;
	channel_fill(&n->channel, out, &bytes, now);
	if (out->count > renewal) /* which a master acknowledges, whatever it has to do first */
		link_expect_word(n, *master, link_patience(&n->links[*master]), now);
	return true;
}

static bool bye_packet(struct node *n, struct moment now, size_t *master, struct packet *out)
{
	if (now.boot_ns < n->bye_at_ns || !node_link_up(n, n->master, master))
		return false;
	add_bye(n, out, n->instance);
	n->bye_at_ns = now.boot_ns + BYE_RETRY_NS;
	return true;
}

bool node_has_unsent(const struct node *n)
{
	return n->state == NODE_OPEN && n->channel.unsent;
}

bool node_next_packet(struct node *n, struct moment now, size_t *master, struct packet *out)
{
	node_check_belief(n, now);
	out->instance = n->instance;
	out->epoch = n->epoch;
	out->ack = 0;
	out->clock = 0;
	out->count = 0;
	switch (n->state) {
	case NODE_OPEN:
		return hello_packet(n, now, master, out) || session_packet(n, now, master, out);
	case NODE_JOINING:
		return hello_packet(n, now, master, out);
	case NODE_LEAVING:
		return bye_packet(n, now, master, out);
	case NODE_LEFT:
		break;
	}
	return false;
}
