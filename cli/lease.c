/* SPDX-License-Identifier: MIT */
#include "cli/lease.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#define SECONDS_MAX 1e9 /* since boot, or of a lease: thirty years */

struct times {
	int64_t term_ns, kill_ns, over_ns;
};

void lease_init(struct lease *l, uint64_t token)
{
	*l = (struct lease){.token = token};
}

/* ---- Lines ---- */

static bool take_seconds(const json_t *value, int64_t *ns)
{
	double s = json_number_value(value);

	if (!json_is_number(value) || !(s >= 0) || s > SECONDS_MAX)
		return false;
	*ns = (int64_t)(s * 1e9);
	return true;
}

/* The first that is certain stays: it is what people have to know. */
static void make_certain(struct lease *l, enum lease_loss loss, int64_t now_ns)
{
	/* After the session others may have the lock, and nothing else counts. */
	if (l->certain != LOSS_NONE && (loss != LOSS_SESSION || l->certain == LOSS_SESSION))
		return;
	l->certain = loss;
	l->certain_ns = now_ns;
}

static bool take(struct lease *l, const json_t *line, int64_t now_ns)
{
	const json_t *broken = json_object_get(line, "broken");
	int64_t until_ns, lease_ns;

	if (json_is_true(json_object_get(line, "lost"))) {
		make_certain(l, LOSS_SESSION, now_ns);
		return true;
	}
	if (json_is_string(broken)) {
		if (strtoull(json_string_value(broken), NULL, 10) == l->token)
			make_certain(l, LOSS_BROKEN, now_ns);
		return true;
	}
	if (!take_seconds(json_object_get(line, "until"), &until_ns) ||
	    !take_seconds(json_object_get(line, "lease"), &lease_ns))
		return false;
	l->until_ns = until_ns;
	l->lease_ns = lease_ns;
	return true;
}

bool lease_line(struct lease *l, const char *line, size_t len, int64_t now_ns)
{
	json_t *json = json_loadb(line, len, 0, NULL);
	bool known = json && take(l, json, now_ns);

	json_decref(json);
	return known;
}

void lease_orphaned(struct lease *l, int64_t now_ns)
{
	make_certain(l, LOSS_ORPHAN, now_ns);
}

/* ---- Times ---- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static struct times silence(const struct lease *l)
{
	return (struct times){
		.term_ns = l->until_ns - l->lease_ns / 5 * 2,
		.kill_ns = l->until_ns - l->lease_ns / 20 * 3,
		.over_ns = l->until_ns,
	};
}

static struct times times(const struct lease *l)
{
	struct times t = silence(l);

	switch (l->certain) {
	case LOSS_NONE:
	case LOSS_SILENCE:
		return t;
	case LOSS_SESSION:
		return (struct times){l->certain_ns, l->certain_ns, l->certain_ns};
	case LOSS_BROKEN:
		t.kill_ns = earlier(t.kill_ns, l->certain_ns + l->lease_ns / 8);
		t.over_ns = earlier(t.over_ns, l->certain_ns + l->lease_ns / 4);
		break;
	case LOSS_ORPHAN:
		t.kill_ns = earlier(t.kill_ns, l->certain_ns + LEASE_ORPHAN_NS);
		break;
	}
	t.term_ns = earlier(t.term_ns, l->certain_ns);
	return t;
}

enum lease_stage lease_stage(const struct lease *l, int64_t now_ns)
{
	struct times t = times(l);

	assert(t.term_ns <= t.kill_ns && t.kill_ns <= t.over_ns);
	if (now_ns >= t.over_ns)
		return LEASE_OVER;
	if (now_ns >= t.kill_ns)
		return LEASE_KILL;
	return now_ns >= t.term_ns ? LEASE_TERM : LEASE_GOOD;
}

int64_t lease_deadline(const struct lease *l, int64_t now_ns)
{
	struct times t = times(l);

	switch (lease_stage(l, now_ns)) {
	case LEASE_GOOD:
		return t.term_ns;
	case LEASE_TERM:
		return t.kill_ns;
	case LEASE_KILL:
		return t.over_ns;
	case LEASE_OVER:
		break;
	}
	return LEASE_NEVER;
}

enum lease_loss lease_loss(const struct lease *l, int64_t now_ns)
{
	if (lease_stage(l, now_ns) == LEASE_GOOD)
		return LOSS_NONE;
	return l->certain != LOSS_NONE ? l->certain : LOSS_SILENCE;
}
