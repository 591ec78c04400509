/* SPDX-License-Identifier: MIT */
/*
 * Table: columns that line up. Texts are escaped already (text.h). On a terminal that is too narrow
 * the flexible columns are shortened; elsewhere nothing is.
 *
 *	struct table *t = table_new(columns, count);
 *	table_cell(t, LOOK_PLAIN, text);	as many as there are columns, row by row; text is taken
 *	table_print(t, look_width());
 *	table_free(t);
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/look.h"

#define TABLE_COLUMNS_MAX 16

struct column {
	const char *head;
	bool right;    /* numbers */
	bool flexible; /* may be shortened, though not below its head's width and FLEXIBLE_MIN */
};

#define TABLE_FLEXIBLE_MIN 8

struct table;

/* columns are kept. */
struct table *table_new(const struct column *columns, size_t count);
void table_free(struct table *t);
/* Takes text, which is from malloc. */
void table_cell(struct table *t, enum look look, char *text);
/* On stdout, with its head, in so many columns if it can be; 0: as wide as it is. */
void table_print(const struct table *t, size_t width);

#endif
