/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control.h"
#include "cli/entry.h"
#include "cli/table.h"
#include "cli/text.h"

static const struct column columns[] = {
	{.head = "NAME", .flexible = true},
	{.head = "KIND"},
	{.head = "MODE"},
	{.head = "HOLDER", .flexible = true},
	{.head = "AGE", .right = true},
	{.head = "LEFT", .right = true},
	{.head = "TOKEN", .right = true},
	{.head = "WAIT", .right = true},
};

static const struct column more_columns[] = {
	{.head = "NAME"},
	{.head = "KIND"},
	{.head = "MODE"},
	{.head = "HOLDER"},
	{.head = "AGE", .right = true},
	{.head = "LEFT", .right = true},
	{.head = "TOKEN", .right = true},
	{.head = "WAIT", .right = true},
	{.head = "UID", .right = true},
	{.head = "RANGE"},
	{.head = "OF"},
	{.head = "INODE", .right = true},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *short_mode(const json_t *lock)
{
	return strcmp(entry_text(lock, "mode"), "shared") != 0 ? "excl" : "shared";
}

static char *span(const json_t *lock, const char *field)
{
	char text[TEXT_SPAN_BYTES];

	text_span(text, entry_real(lock, field));
	return text_dup(text);
}

static void add_more(struct table *t, const json_t *lock)
{
	bool removed = json_is_true(json_object_get(lock, "removed"));

	table_cell(t, LOOK_PLAIN, text_printf("%lld", entry_number(lock, "uid")));
	table_cell(t, LOOK_PLAIN, entry_range(lock));
	table_cell(t, removed ? LOOK_WARN : LOOK_PLAIN,
		   text_printf("%s%s", entry_text(lock, "left_of"), removed ? ",removed" : ""));
	table_cell(t, LOOK_PLAIN, text_printf("%lld", entry_number(lock, "inode")));
}

static void add(struct table *t, const json_t *lock, bool more)
{
	long long waiters = entry_number(lock, "waiters");

	table_cell(t, LOOK_PLAIN, entry_word(lock, "name"));
	table_cell(t, LOOK_PLAIN, entry_word(lock, "kind"));
	table_cell(t, LOOK_PLAIN, text_dup(more ? entry_text(lock, "mode") : short_mode(lock)));
	table_cell(t, LOOK_PLAIN, entry_holder(lock));
	table_cell(t, LOOK_PLAIN, span(lock, "age"));
	table_cell(t, LOOK_PLAIN, span(lock, "left"));
	table_cell(t, LOOK_PLAIN, entry_word(lock, "token"));
	table_cell(t, waiters ? LOOK_WARN : LOOK_PLAIN, text_printf("%lld", waiters));
	if (more)
		add_more(t, lock);
}

int command_ls(const struct args *a, const struct mount *m)
{
	struct table *t;
	json_t *all, *lock;
	size_t i;

	if (a->json)
		return control_print(m, "locks.json") ? 0 : 1;
	all = control_json(m, "locks.json");
	if (!all)
		return 1;
	t = a->more ? table_new(more_columns, COUNT(more_columns))
		    : table_new(columns, COUNT(columns));
	json_array_foreach(json_object_get(all, "locks"), i, lock) add(t, lock, a->more);
	table_print(t, a->more ? 0 : look_width());
	table_free(t);
	json_decref(all);
	return 0;
}
