/* SPDX-License-Identifier: MIT */
#include "cli/table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"

struct cell {
	char *text;
	enum look look;
};

struct table {
	const struct column *columns;
	size_t count;
	struct cell *cells;
	size_t used, room;
};

struct table *table_new(const struct column *columns, size_t count)
{
	struct table *t = text_realloc(NULL, sizeof(*t));

	assert(count && count <= TABLE_COLUMNS_MAX);
	*t = (struct table){.columns = columns, .count = count};
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->used; i++)
		free(t->cells[i].text);
	free(t->cells);
	free(t);
}

void table_cell(struct table *t, enum look look, char *text)
{
	if (t->used == t->room) {
		t->room = t->room ? t->room * 2 : 64;
		t->cells = text_realloc(t->cells, t->room * sizeof(*t->cells));
	}
	t->cells[t->used++] = (struct cell){text, look};
}

/* ---- Widths ---- */

static size_t measure(const struct table *t, size_t widths[])
{
	size_t sum = 0;

	for (size_t c = 0; c < t->count; c++)
		widths[c] = strlen(t->columns[c].head);
	for (size_t i = 0; i < t->used; i++) {
		size_t width = text_width(t->cells[i].text), *most = &widths[i % t->count];

		*most = width > *most ? width : *most;
	}
	for (size_t c = 0; c < t->count; c++)
		sum += widths[c];
	return sum;
}

static size_t least(const struct column *c)
{
	size_t head = strlen(c->head);

	return head > TABLE_FLEXIBLE_MIN ? head : TABLE_FLEXIBLE_MIN;
}

/* Takes columns from the widest flexible one, one by one, until it fits or cannot. */
static void shrink(const struct table *t, size_t widths[], size_t sum, size_t room)
{
	while (sum > room) {
		size_t widest = t->count;

		for (size_t c = 0; c < t->count; c++)
			if (t->columns[c].flexible && widths[c] > least(&t->columns[c]) &&
			    (widest == t->count || widths[c] > widths[widest]))
				widest = c;
		if (widest == t->count)
			return;
		widths[widest]--;
		sum--;
	}
}

/* ---- Printing ---- */

static void print_cell(const struct table *t, size_t c, const struct cell *cell, size_t width,
		       size_t gap)
{
	char *text = text_cut(text_dup(cell->text), width);
	size_t pad;
	bool last = c + 1 == t->count, right = t->columns[c].right;

	pad = width - text_width(text);
	printf("%*s%s%s%s%*s", right ? (int)pad : 0, "", look_on(cell->look), text,
	       look_off(cell->look), right || last ? 0 : (int)pad, "");
	if (last)
		putchar('\n');
	else
		printf("%*s", (int)gap, "");
	free(text);
}

void table_print(const struct table *t, size_t width)
{
	size_t widths[TABLE_COLUMNS_MAX], gap = 2, sum = measure(t, widths);

	assert(t->used % t->count == 0);
	if (width && sum + gap * (t->count - 1) > width)
		gap = 1;
	if (width)
		shrink(t, widths, sum + gap * (t->count - 1), width);
	for (size_t c = 0; c < t->count; c++)
		print_cell(t, c, &(struct cell){(char *)t->columns[c].head, LOOK_BOLD}, widths[c],
			   gap);
	for (size_t i = 0; i < t->used; i++)
		print_cell(t, i % t->count, &t->cells[i], widths[i % t->count], gap);
}
