/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control.h"
#include "cli/entry.h"
#include "cli/table.h"
#include "cli/text.h"

/* Seconds with their thousandths, over years. */
#define JSON_DIGITS 12

static const struct column holder_columns[] = {
	{.head = "HOLDER", .flexible = true},
	{.head = "KIND"},
	{.head = "MODE"},
	{.head = "RANGE"},
	{.head = "UID", .right = true},
	{.head = "AGE", .right = true},
	{.head = "LEFT", .right = true},
	{.head = "TOKEN", .right = true},
};

static const struct column waiter_columns[] = {
	{.head = "PLACE", .right = true},
	{.head = "WAITER", .flexible = true},
	{.head = "KIND"},
	{.head = "MODE"},
	{.head = "RANGE"},
	{.head = "UID", .right = true},
	{"WAITED", .right = true},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char *span(const json_t *e, const char *field)
{
	char text[TEXT_SPAN_BYTES];

	text_span(text, entry_real(e, field));
	return text_dup(text);
}

static char *left(const json_t *e)
{
	char *time = span(e, "left"), *text = text_printf("%s %s", time, entry_text(e, "left_of"));

	free(time);
	return text;
}

static void add_what(struct table *t, const json_t *e)
{
	table_cell(t, LOOK_PLAIN, entry_holder(e));
	table_cell(t, LOOK_PLAIN, entry_word(e, "kind"));
	table_cell(t, LOOK_PLAIN, entry_word(e, "mode"));
	table_cell(t, LOOK_PLAIN, entry_range(e));
	table_cell(t, LOOK_PLAIN, text_printf("%lld", entry_number(e, "uid")));
	table_cell(t, LOOK_PLAIN, span(e, "age"));
}

static void print_holders(const json_t *locks)
{
	struct table *t = table_new(holder_columns, COUNT(holder_columns));
	const json_t *lock;
	size_t i;

	json_array_foreach(locks, i, lock)
	{
		add_what(t, lock);
		table_cell(t, LOOK_PLAIN, left(lock));
		table_cell(t, LOOK_PLAIN, entry_word(lock, "token"));
	}
	table_print(t, look_width());
	table_free(t);
}

static void print_queue(const json_t *waiters)
{
	struct table *t = table_new(waiter_columns, COUNT(waiter_columns));
	const json_t *waiter;
	size_t i;

	json_array_foreach(waiters, i, waiter)
	{
		table_cell(t, LOOK_PLAIN, text_printf("%lld", entry_number(waiter, "place")));
		add_what(t, waiter);
	}
	putchar('\n');
	table_print(t, look_width());
	table_free(t);
}

static void print(const char *name, const json_t *all)
{
	const json_t *locks = json_object_get(all, "locks");
	const json_t *waiters = json_object_get(all, "waiters");
	size_t count = json_array_size(locks), waiting = json_array_size(waiters);
	char *shown = text_escape(name, strlen(name), TEXT_LINE);

	if (count)
		print_holders(locks);
	else
		printf("%s: nobody has it\n", shown);
	if (waiting)
		print_queue(waiters);
	free(shown);
}

int command_who(const struct args *a, const struct mount *m)
{
	char *name = mount_name(m, a->name);
	json_t *all = name ? control_locks_of(m, name) : NULL;

	if (all && a->json) {
		json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(JSON_DIGITS));
		putchar('\n');
	} else if (all) {
		print(name, all);
	}
	free(name);
	if (!all)
		return 1;
	json_decref(all);
	return 0;
}
