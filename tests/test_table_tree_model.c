/* SPDX-License-Identifier: MIT */
/*
 * Names and files against the naive model: long random sequences over a small tree, a few clients
 * and a clock. After each step everything that can be seen is compared.
 *
 * DLOCK_SEED and DLOCK_ROUNDS choose the runs. A failure prints the steps that led to it; a run's
 * seed is the first one plus its number.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/table_fixture.h"
#include "tests/tree_model.h"

#define STEPS	       250
#define DEFAULT_ROUNDS 1000
#define DEFAULT_SEED   1
#define CLIENTS	       3
#define LETTERS	       3

static const char *const verbs[] = {
	"create", "create O_EXCL", "mkdir", "symlink", "link",	"rename", "rename noreplace",
	"unlink", "rmdir",	   "open",  "close",   "touch", "drop",	  "tick"};
enum verb {
	STEP_CREATE,
	STEP_CREATE_EXCL,
	STEP_MKDIR,
	STEP_SYMLINK,
	STEP_LINK,
	STEP_RENAME,
	STEP_RENAME_NOREPLACE,
	STEP_UNLINK,
	STEP_RMDIR,
	STEP_OPEN,
	STEP_CLOSE,
	STEP_TOUCH,
	STEP_DROP,
	STEP_TICK,
	STEP_VERBS,
};

struct step {
	enum verb verb;
	int dir, node, handle; /* of the old name; what is linked, opened or touched */
	char letter;
	struct tree_make make;
};

/* One at a time; static so that a failing assert can print its trace. */
static struct {
	struct table *table;
	struct tree model;
	uint64_t ids[TREE_HANDLES]; /* the table's numbers of the handles */
	uint64_t last_id, last_token;
	int64_t limbo_s[TREE_NODES * STEPS]; /* ends of what is just gone */
	int limbo_first, limbo_count;
	struct step trace[STEPS];
	int steps;
	unsigned int seed, state;
} run;

/* ---- What led to a failure ---- */

static void print_trace(int signal)
{
	fprintf(stderr, "DLOCK_SEED=%u DLOCK_ROUNDS=1\n", run.seed);
	for (int i = 0; i < run.steps; i++) {
		const struct step *s = &run.trace[i];

		fprintf(stderr, "\t%s dir %d %c node %d -> client %d dir %d %c ttl %d\n",
			verbs[s->verb], s->dir, s->letter, s->node, (int)s->make.client,
			s->make.parent, s->make.letter, (int)s->make.ttl_s);
	}
}

static void expect(bool holds, const char *what)
{
	if (holds)
		return;
	print_trace(0);
	fail_msg("%s after step %d", what, run.steps);
}

/* ---- The two side by side ---- */

static void compare_name(const struct tree_name *n, const struct table_record *record)
{
	char letter[2] = {n->letter};

	for (size_t i = 0; i < record->link_count; i++) {
		const struct link *l = &record->links[i];

		if (l->parent != run.model.ino[n->parent] || strcmp(l->name, letter) != 0)
			continue;
		expect(l->holder == n->holder, "another holder");
		expect(n->fresh == (l->token > run.last_token), "a new token, or none");
		return;
	}
	expect(false, "a name too few in the record");
}

static void compare_node(int node)
{
	struct tree *m = &run.model;
	struct table_record record;
	size_t names = 0;

	expect(table_record(run.table, m->ino[node], &record) == STATUS_OK, "no record");
	expect(record.attr.nlink == tree_nlink(m, node), "another nlink");
	for (int i = 0; i < TREE_NAMES; i++) {
		if (m->names[i].node != node)
			continue;
		names++;
		compare_name(&m->names[i], &record);
	}
	expect(names == (record.attr.nlink ? record.link_count : 0),
	       "too many names in the record");
}

static void compare_listing(int dir)
{
	struct tree *m = &run.model;
	struct entry entries[LETTERS + 1];
	size_t count, names = 0;
	bool end;

	expect(table_list(run.table, m->ino[dir], 0, entries, LETTERS + 1, &count, &end) ==
			       STATUS_OK &&
		       end,
	       "no listing");
	for (size_t i = 0; i < count; i++) {
		struct tree_name *n = tree_find(m, dir, entries[i].name[0]);

		expect(n && entries[i].ino == m->ino[n->node], "another listing");
		expect(i == 0 || entries[i].cookie > entries[i - 1].cookie, "a cookie that falls");
	}
	for (int i = 0; i < TREE_NAMES; i++)
		names += m->names[i].parent == dir;
	expect(names == count, "another number of names in a directory");
}

static void compare_gone(void)
{
	struct tree *m = &run.model;
	uint64_t ino;

	while (table_next_gone(run.table, &ino)) {
		int node = 0;

		while (++node < TREE_NODES)
			if (m->gone[node] && m->ino[node] == ino)
				break;
		expect(node < TREE_NODES, "gone too early or twice");
		m->gone[node] = false;
	}
	for (int node = 0; node < TREE_NODES; node++)
		expect(!m->gone[node], "not gone");
}

static void compare_deadline(void)
{
	int64_t first = tree_deadline(&run.model), seen = table_deadline(run.table);

	if (run.limbo_count && run.limbo_s[run.limbo_first] < first)
		first = run.limbo_s[run.limbo_first];
	expect(seen == (first == TREE_NEVER ? MOMENT_NEVER : at(first).boot_ns),
	       "another deadline");
}

static void compare(void)
{
	struct tree *m = &run.model;
	struct table_counts counts;
	uint64_t nodes = 0, handles = 0;

	table_check(run.table);
	compare_gone();
	for (int node = 0; node < TREE_NODES; node++) {
		if (m->type[node] == TREE_NONE)
			continue;
		nodes++;
		compare_node(node);
		if (m->type[node] == TREE_DIR)
			compare_listing(node);
	}
	for (int i = 0; i < TREE_HANDLES; i++)
		handles += m->handles[i].node >= 0;
	table_counts(run.table, &counts);
	expect(counts.files == nodes - 1 && counts.handles == handles, "other counts");
	compare_deadline();
}

/* What the next step is compared with. */
static void settle(void)
{
	struct tree *m = &run.model;
	struct table_record record;

	for (int i = 0; i < TREE_NAMES; i++) {
		if (m->names[i].parent < 0)
			continue;
		m->names[i].fresh = false;
		assert_ok(table_record(run.table, m->ino[m->names[i].node], &record));
		for (size_t k = 0; k < record.link_count; k++)
			if (record.links[k].token > run.last_token)
				run.last_token = record.links[k].token;
	}
}

/* ---- Steps ---- */

static struct moment now(void)
{
	return at(run.model.now_s);
}

static struct table_make as_make(const struct tree_make *make, const char *name)
{
	return (struct table_make){
		.client = make->client,
		.handle = run.last_id + 1,
		.req = run.last_id + 1,
		.parent = run.model.ino[make->parent],
		.name = name,
		.flags = make->plain ? 0 : OPEN_EXCL,
		.mode = 0644,
		.idle_ns = TREE_IDLE_S * NS_PER_SEC,
		.ttl_ns = make->ttl_s * NS_PER_SEC,
	};
}

static enum status table_step_make(const struct step *s, struct attr *attr)
{
	char name[2] = {s->make.letter};
	struct table_make make = as_make(&s->make, name);
	bool created;

	switch (s->verb) {
	case STEP_MKDIR:
		return table_mkdir(run.table, &make, now(), attr);
	case STEP_SYMLINK:
		return table_symlink(run.table, &make, "x", 1, now(), attr);
	default:
		return table_create(run.table, &make, now(), attr, &created);
	}
}

static void took_handle(int handle, int node, uint64_t client)
{
	run.ids[handle] = ++run.last_id;
	tree_open(&run.model, handle, node, client);
}

/* A plain create opens what is there, if it is a file. */
static enum status model_step_make(const struct step *s, int *node)
{
	static const enum tree_type types[] = {TREE_FILE, TREE_FILE, TREE_DIR, TREE_SYMLINK};
	struct tree *m = &run.model;
	struct tree_name *n = tree_find(m, s->make.parent, s->make.letter);
	enum status status = STATUS_OK;

	*node = n ? n->node : 0;
	if (s->verb == STEP_CREATE && n && m->type[n->node] != TREE_FILE)
		return m->type[n->node] == TREE_DIR ? STATUS_IS_DIR : STATUS_STALE;
	if (s->verb != STEP_CREATE || !n)
		status = tree_make(m, types[s->verb], &s->make, node);
	if (status == STATUS_OK && s->verb <= STEP_CREATE_EXCL)
		took_handle(s->handle, *node, s->make.client);
	return status;
}

static void step_make(const struct step *s)
{
	struct attr attr;
	int node;
	enum status status = table_step_make(s, &attr);

	expect(status == model_step_make(s, &node), "another status");
	if (status == STATUS_OK)
		run.model.ino[node] = attr.ino;
}

static void step_link(const struct step *s)
{
	char name[2] = {s->make.letter};
	struct table_make make = as_make(&s->make, name);
	struct attr attr;
	enum status status = table_link(run.table, run.model.ino[s->node], &make, now(), &attr);

	expect(status == tree_link(&run.model, s->node, &s->make), "another status");
}

static void step_rename(const struct step *s)
{
	char name[2] = {s->letter}, new_name[2] = {s->make.letter};
	struct table_make make = as_make(&s->make, new_name);
	bool noreplace = s->verb == STEP_RENAME_NOREPLACE;
	struct attr attr, replaced;
	enum status status = table_rename(run.table, run.model.ino[s->dir], name, &make, noreplace,
					  now(), &attr, &replaced);

	expect(status == tree_rename(&run.model, s->dir, s->letter, &s->make, noreplace),
	       "another status");
}

static void step_unlink(const struct step *s)
{
	char name[2] = {s->letter};
	struct attr attr;
	bool dir = s->verb == STEP_RMDIR;
	enum status status = table_unlink(run.table, run.model.ino[s->dir], name, dir,
					  s->make.client, 0, now(), &attr);

	expect(status == tree_unlink(&run.model, s->dir, s->letter, dir), "another status");
}

static void step_open(const struct step *s)
{
	struct attr attr;

	if (run.model.type[s->node] != TREE_FILE)
		return;
	expect(table_open(run.table, s->make.client, run.last_id + 1, run.model.ino[s->node],
			  OPEN_UNLINKED, now(), &attr) == STATUS_OK,
	       "cannot open");
	took_handle(s->handle, s->node, s->make.client);
}

static void step_close(const struct step *s)
{
	struct tree_handle *h = &run.model.handles[s->handle];

	if (h->node < 0)
		return;
	table_close(run.table, h->client, run.ids[s->handle], now());
	tree_close(&run.model, s->handle);
}

static void step_touch(const struct step *s)
{
	struct attr attr = {0};

	expect(table_setattr(run.table, run.model.ino[s->node], SET_MTIME | SET_MTIME_NOW, &attr,
			     now(), &attr) == STATUS_OK,
	       "cannot touch");
	tree_touch(&run.model, s->node);
}

static void step_tick(void)
{
	run.model.now_s += 1 + rand_r(&run.state) % 2;
	table_tick(run.table, now());
	tree_tick(&run.model);
	while (run.limbo_count && run.limbo_s[run.limbo_first] <= run.model.now_s) {
		run.limbo_first++;
		run.limbo_count--;
	}
}

static void do_step(const struct step *s)
{
	run.trace[run.steps++] = *s;
	if (s->verb <= STEP_SYMLINK)
		step_make(s);
	else if (s->verb == STEP_LINK)
		step_link(s);
	else if (s->verb <= STEP_RENAME_NOREPLACE)
		step_rename(s);
	else if (s->verb <= STEP_RMDIR)
		step_unlink(s);
	else if (s->verb == STEP_OPEN)
		step_open(s);
	else if (s->verb == STEP_CLOSE)
		step_close(s);
	else if (s->verb == STEP_TOUCH)
		step_touch(s);
	else if (s->verb == STEP_TICK)
		step_tick();
	else {
		table_drop_client(run.table, s->make.client, now());
		tree_drop(&run.model, s->make.client);
	}
}

/* ---- Chance ---- */

static int dice(int sides)
{
	return rand_r(&run.state) % sides;
}

/* A node that exists; a directory if so wanted. */
static int any_node(bool dir)
{
	int node;

	do
		node = dice(TREE_NODES);
	while (run.model.type[node] == TREE_NONE || (dir && run.model.type[node] != TREE_DIR));
	return node;
}

static struct step any_step(void)
{
	int handle = tree_free_handle(&run.model);
	struct step s = {
		.verb = (enum verb)dice(STEP_VERBS),
		.dir = any_node(true),
		.node = any_node(false),
		.letter = (char)('a' + dice(LETTERS)),
		.make = {.client = 1 + (uint64_t)dice(CLIENTS),
			 .parent = any_node(true),
			 .letter = (char)('a' + dice(LETTERS)),
			 .ttl_s = dice(3) ? 0 : 1 + dice(6)},
	};

	if (s.verb == STEP_DROP && dice(4))
		s.verb = STEP_TICK;
	if (s.verb <= STEP_LINK && (!tree_free_node(&run.model) || !tree_has_room(&run.model)))
		s.verb = STEP_UNLINK;
	if (handle < 0 && (s.verb <= STEP_CREATE_EXCL || s.verb == STEP_OPEN))
		s.verb = STEP_CLOSE;
	s.handle = s.verb == STEP_CLOSE ? dice(TREE_HANDLES) : handle;
	s.make.plain = s.verb == STEP_CREATE;
	return s;
}

/* What has gone in this step, directories excepted, can be looked at for a second. */
static void note_limbo(const enum tree_type *before)
{
	for (int node = 0; node < TREE_NODES; node++)
		if (run.model.gone[node] && before[node] != TREE_DIR)
			run.limbo_s[run.limbo_first + run.limbo_count++] = run.model.now_s + 1;
}

static void run_one(unsigned int seed)
{
	memset(&run, 0, sizeof(run));
	run.seed = run.state = seed;
	tree_init(&run.model);
	run.model.now_s = 1;
	run.table = table_new(FIXTURE_EPOCH, TREE_NODES, now());
	while (run.steps < STEPS) {
		enum tree_type before[TREE_NODES];
		struct step s = any_step();

		memcpy(before, run.model.type, sizeof(before));
		do_step(&s);
		note_limbo(before);
		compare();
		settle();
	}
	table_free(run.table);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void test_some_long_sequence_of_names_goes_wrong(void **state)
{
	unsigned int first = (unsigned int)setting("DLOCK_SEED", DEFAULT_SEED);
	uint64_t rounds = setting("DLOCK_ROUNDS", DEFAULT_ROUNDS);

	print_message("DLOCK_SEED=%u DLOCK_ROUNDS=%lu\n", first, (unsigned long)rounds);
	for (uint64_t round = 0; round < rounds; round++)
		run_one(first + (unsigned int)round);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_some_long_sequence_of_names_goes_wrong),
	};

	signal(SIGABRT, print_trace);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
