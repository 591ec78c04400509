/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control.h"
#include "cli/entry.h"
#include "cli/table.h"
#include "cli/text.h"

static const struct column columns[] = {
	{.head = "MASTER", .flexible = true},
	{.head = "STATE"},
};

/* What a program calls it, people do, and whether it is good. */
static const struct state {
	const char *json, *text;
	enum look look;
} states[] = {
	{"leads", "leads", LOOK_GOOD},	   {"standby", "stands by", LOOK_PLAIN},
	{"silent", "no answer", LOOK_BAD}, {"live", "live", LOOK_GOOD},
	{"none", "none", LOOK_BAD},	   {NULL, "unknown", LOOK_WARN},
};

static const struct state *state_of(const char *json)
{
	const struct state *s = states;

	while (s->json && strcmp(s->json, json) != 0)
		s++;
	return s;
}

static void print_node(const json_t *status)
{
	const struct state *session = state_of(entry_text(status, "session"));
	char *node = entry_word(status, "node"), *master = entry_word(status, "master");
	char lease[TEXT_SPAN_BYTES], left[TEXT_SPAN_BYTES];

	text_span(lease, entry_real(status, "lease"));
	text_span(left, entry_real(status, "left"));
	printf("node     %s\n", node);
	printf("session  %s%s%s\n", look_on(session->look), session->text, look_off(session->look));
	printf("lease    %s, %s left\n", lease, left);
	if (*master)
		printf("master   %s, epoch %lld\n", master, entry_number(status, "epoch"));
	else
		printf("master   %snone%s\n", look_on(LOOK_BAD), look_off(LOOK_BAD));
	free(node);
	free(master);
}

static void print_masters(const json_t *masters)
{
	struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const json_t *master;
	size_t i;

	json_array_foreach(masters, i, master)
	{
		const struct state *state = state_of(entry_text(master, "state"));

		table_cell(t, LOOK_PLAIN, entry_word(master, "url"));
		table_cell(t, state->look, text_dup(state->text));
	}
	putchar('\n');
	table_print(t, look_width());
	table_free(t);
}

int command_status(const struct args *a, const struct mount *m)
{
	json_t *status;

	if (a->json)
		return control_print(m, "status.json") ? 0 : 1;
	status = control_json(m, "status.json");
	if (!status)
		return 1;
	print_node(status);
	print_masters(json_object_get(status, "masters"));
	json_decref(status);
	return 0;
}
