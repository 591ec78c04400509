/* SPDX-License-Identifier: MIT */
/*
 * An etcd of three members, two masters that swap and register without a pause, and SIGKILL for
 * etcd's leader, again and again. Everything they are told is written down, and compared with what
 * etcd's history says: a DONE that is not in it, and a REFUSED that is, would each make two leaders.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lockcore/moment.h"
#include "tests/etcd_cluster.h"
#include "tests/store_place.h"

#define KILLS	      4
#define DONE_PER_KILL 60
#define RECORDS_MAX   200000
#define MASTERS	      2

static struct etcd_cluster cluster;

static int make_cluster(void **state)
{
	struct place *p;

	if (make_place(state))
		return -1;
	p = *state;
	etcd_prepare(&cluster, 3);
	etcd_start(&cluster);
	etcd_spec(&cluster, p->spec, sizeof(p->spec));
	return 0;
}

static int remove_cluster(void **state)
{
	etcd_remove(&cluster);
	return remove_place(state);
}

/* Reads again while etcd elects. */
static struct engine_outcome run_until_known(struct store *s, struct engine_op read)
{
	struct engine_outcome out;

	do
		out = run(s, read);
	while (out.result == ENGINE_UNKNOWN);
	assert_int_equal(out.result, ENGINE_DONE);
	return out;
}

/* ---- What they were told ---- */

struct record {
	struct engine_op op;
	enum engine_result result;
};

static struct record *records;
static size_t record_count, told[ENGINE_UNKNOWN + 1];

static void note(const struct engine_op *op, enum engine_result result)
{
	assert_true(record_count < RECORDS_MAX);
	records[record_count++] = (struct record){*op, result};
	told[result]++;
}

/* ---- Masters that hold nothing back ---- */

struct master {
	struct store *store;
	uint64_t instance, ids, writes;
	bool known; /* the cell is as it was seen last */
	struct engine_cell cell;
	struct engine_op op; /* under way */
};

/* What comes next: a look, a session of our epoch, a renewal, or a takeover. */
static void choose(struct master *m)
{
	bool leads = m->cell.instance == m->instance;

	m->op = (struct engine_op){.id = ++m->ids, .kind = ENGINE_READ, .expect = m->cell};
	if (!m->known)
		return;
	if (m->ids % 3 == 0) {
		m->op.kind = ENGINE_PUT;
		m->op.session.instance = m->instance << 32 | ++m->writes;
		strcpy(m->op.session.node, "n");
		/* Now and then as one who was deposed and does not know. */
		if (!leads)
			m->op.expect.instance = m->instance;
		return;
	}
	m->op.kind = ENGINE_SWAP;
	m->op.next = cell(m->instance, m->cell.epoch + !leads, m->cell.sequence + 1);
	if (m->ids % 5 == 0 && leads) /* the other one has its turn */
		m->op.kind = ENGINE_READ;
}

static void submit(struct master *m)
{
	choose(m);
	assert_int_equal(store_submit(m->store, &m->op), 0);
}

/* True: a swap was done. */
static bool take(struct master *m)
{
	struct engine_outcome out;

	assert_true(store_next(m->store, &out));
	assert_int_equal(out.id, m->op.id);
	note(&m->op, out.result);
	if (out.result == ENGINE_UNKNOWN)
		m->known = false;
	else if (m->op.kind == ENGINE_READ || out.result == ENGINE_REFUSED)
		m->cell = out.cell, m->known = true;
	else if (m->op.kind == ENGINE_SWAP)
		m->cell = m->op.next;
	return m->op.kind == ENGINE_SWAP && out.result == ENGINE_DONE;
}

/* Runs both until this many swaps more are done. */
static void run_until(struct master m[MASTERS], size_t swaps)
{
	struct pollfd fds[MASTERS];

	while (swaps) {
		for (int i = 0; i < MASTERS; i++)
			fds[i] = (struct pollfd){.fd = store_fd(m[i].store), .events = POLLIN};
		assert_true(poll(fds, MASTERS, 120000) > 0);
		for (int i = 0; i < MASTERS; i++) {
			if (!fds[i].revents)
				continue;
			if (take(&m[i]) && swaps)
				swaps--;
			submit(&m[i]);
		}
	}
}

/* ---- What etcd says ---- */

struct history {
	struct engine_cell *cells; /* by revision; instance 0: not written there */
	int64_t last;
	struct engine_session *sessions;
	size_t session_count;
};

static struct history read_history(struct store *s)
{
	struct history h = {0};
	char value[ETCD_VALUE_MAX_BYTES], before[ETCD_VALUE_MAX_BYTES] = "";
	struct engine_outcome out;
	int64_t now = 0;

	etcd_raw_get(&cluster, "/dlock/leader", 0, value, &h.last);
	h.cells = calloc((size_t)h.last + 1, sizeof(*h.cells));
	for (int64_t r = 2; r <= h.last; r++) {
		struct engine_cell c = {0};

		if (!etcd_raw_get(&cluster, "/dlock/leader", r, value, &now) ||
		    strcmp(value, before) == 0)
			continue;
		strcpy(before, value);
		sscanf(value, "epoch=%" SCNu64 " instance=%" SCNx64 " sequence=%" SCNu64, &c.epoch,
		       &c.instance, &c.sequence);
		h.cells[r] = c;
	}
	out = run_until_known(s, (struct engine_op){.kind = ENGINE_LOAD});
	h.sessions = out.sessions;
	h.session_count = out.session_count;
	return h;
}

static size_t times_swapped(const struct history *h, const struct engine_cell *next)
{
	size_t n = 0;

	for (int64_t r = 0; r <= h->last; r++)
		n += h->cells[r].instance == next->instance && h->cells[r].epoch == next->epoch &&
		     h->cells[r].sequence == next->sequence;
	return n;
}

static bool is_registered(const struct history *h, uint64_t instance)
{
	for (size_t i = 0; i < h->session_count; i++)
		if (h->sessions[i].instance == instance)
			return true;
	return false;
}

/*
 * A SWAP is not only itself: after an UNKNOWN the same one may be sent again, as a core would. So a
 * REFUSED is false only if no other record accounts for what the history has.
 */
static bool accounted(size_t refused)
{
	const struct engine_cell *next = &records[refused].op.next;

	for (size_t i = 0; i < record_count; i++)
		if (i != refused && records[i].op.kind == ENGINE_SWAP &&
		    records[i].result != ENGINE_REFUSED &&
		    !memcmp(&records[i].op.next, next, sizeof(*next)))
			return true;
	return false;
}

static void check_record(const struct history *h, size_t i)
{
	const struct record *r = &records[i];

	if (r->op.kind == ENGINE_SWAP && r->result == ENGINE_DONE)
		assert_int_equal(times_swapped(h, &r->op.next), 1);
	if (r->op.kind == ENGINE_SWAP && r->result == ENGINE_REFUSED && !accounted(i))
		assert_int_equal(times_swapped(h, &r->op.next), 0);
	if (r->op.kind == ENGINE_PUT && r->result == ENGINE_DONE)
		assert_true(is_registered(h, r->op.session.instance));
	if (r->op.kind == ENGINE_PUT && r->result == ENGINE_REFUSED)
		assert_false(is_registered(h, r->op.session.instance));
}

/* No two swaps from one cell were both done. */
static void check_chain(void)
{
	for (size_t i = 0; i < record_count; i++)
		for (size_t k = i + 1; k < record_count; k++)
			if (records[i].op.kind == ENGINE_SWAP &&
			    records[k].op.kind == ENGINE_SWAP && records[i].result == ENGINE_DONE &&
			    records[k].result == ENGINE_DONE)
				assert_true(records[i].op.next.sequence !=
					    records[k].op.next.sequence);
}

static void test_etcds_leader_dies_and_an_outcome_is_false(void **state)
{
	struct master masters[MASTERS] = {0};
	struct history h;
	size_t victim;

	records = calloc(RECORDS_MAX, sizeof(*records));
	for (int i = 0; i < MASTERS; i++) {
		masters[i].store = open_place(*state);
		masters[i].instance = (uint64_t)i + 1;
		submit(&masters[i]);
	}
	for (int i = 0; i < KILLS; i++) {
		run_until(masters, DONE_PER_KILL);
		victim = etcd_leader(&cluster);
		etcd_kill(&cluster, victim);
		run_until(masters, DONE_PER_KILL);
		etcd_run(&cluster, victim);
		etcd_wait_serving(&cluster);
	}
	run_until(masters, DONE_PER_KILL);
	for (int i = 0; i < MASTERS; i++) {
		struct engine_outcome out = collect(masters[i].store);

		note(&masters[i].op, out.result);
	}
	h = read_history(masters[0].store);
	print_message("%zu done, %zu refused, %zu unknown, %d revisions\n", told[ENGINE_DONE],
		      told[ENGINE_REFUSED], told[ENGINE_UNKNOWN], (int)h.last);
	assert_true(told[ENGINE_REFUSED] > 0);
	for (size_t i = 0; i < record_count; i++)
		check_record(&h, i);
	check_chain();
	for (int i = 0; i < MASTERS; i++)
		store_close(masters[i].store);
	free(h.sessions);
	free(h.cells);
	free(records);
}

static void test_minority_answers_from_memory(void **state)
{
	struct store *s = open_place(*state);
	struct engine_outcome out;
	struct engine_op load = {.kind = ENGINE_LOAD}, read = {.kind = ENGINE_READ};
	struct engine_cell is;

	do {
		is = run_until_known(s, read).cell;
		if (!is.sequence)
			swap(s, is, cell(1, 1, 1));
	} while (!is.sequence);
	etcd_signal(&cluster, 0, SIGSTOP);
	etcd_signal(&cluster, 1, SIGSTOP);
	for (int i = 0; i < 3; i++) { /* wherever it begins */
		assert_int_equal(run(s, read).result, ENGINE_UNKNOWN);
		out = run(s, load);
		assert_int_equal(out.result, ENGINE_UNKNOWN);
	}
	etcd_signal(&cluster, 0, SIGCONT);
	etcd_signal(&cluster, 1, SIGCONT);
	etcd_wait_serving(&cluster);
	assert_cell(run_until_known(s, read).cell, cell(1, 1, 1));
	store_close(s);
}

static void test_one_member_that_hangs_stops_the_store(void **state)
{
	struct store *s = open_place(*state);
	uint64_t at = 0;

	for (size_t member = 0; member < 3; member++) {
		etcd_signal(&cluster, member, SIGSTOP);
		/* UNKNOWN while etcd elects, or where the hanging one was asked; not for ever. */
		for (struct engine_cell was = {0}; at < (member + 1) * 5;) {
			struct engine_outcome out = run(s, (struct engine_op){.kind = ENGINE_READ});

			if (out.result != ENGINE_DONE)
				continue;
			was = out.cell;
			if (swap(s, was, cell(1, 1, was.sequence + 1)) == ENGINE_DONE)
				at++;
		}
		etcd_signal(&cluster, member, SIGCONT);
		etcd_wait_serving(&cluster);
	}
	store_close(s);
}

#define CLUSTER_TEST(f) cmocka_unit_test_setup_teardown(f, make_cluster, remove_cluster)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLUSTER_TEST(test_etcds_leader_dies_and_an_outcome_is_false),
		CLUSTER_TEST(test_minority_answers_from_memory),
		CLUSTER_TEST(test_one_member_that_hangs_stops_the_store),
	};

	need_etcd();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
