/* SPDX-License-Identifier: MIT */
/* Locks and waiters as tables: a header and a line each, whose columns line up. */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "fs/escape.h"
#include "fs/survey.h"
#include "lockcore/moment.h"

#define NUMBER_MAX 32  /* characters of one */
#define NOTHING	   "-" /* for what is not known: a line has all its words */

/* A column: any text, or a number, which stands to the right. */
struct cell {
	const char *text; /* to be escaped; NULL: */
	char number[NUMBER_MAX];
};

struct column {
	const char *name;
	bool number;
};

static const struct column lock_header[] = {
	{"NAME", false}, {"KIND", false}, {"MODE", false},    {"NODE", false},
	{"PID", true},	 {"UID", true},	  {"COMMAND", false}, {"AGE", true},
	{"LEFT", true},	 {"TOKEN", true}, {"WAITERS", true},
};
static const struct column waiter_header[] = {
	{"NAME", false}, {"PLACE", true}, {"KIND", false},    {"MODE", false},	{"NODE", false},
	{"PID", true},	 {"UID", true},	  {"COMMAND", false}, {"WAITED", true},
};

#define LOCK_COLUMNS   (sizeof(lock_header) / sizeof(*lock_header))
#define WAITER_COLUMNS (sizeof(waiter_header) / sizeof(*waiter_header))

_Static_assert(LOCK_COLUMNS <= SURVEY_COLUMNS_MAX && WAITER_COLUMNS <= SURVEY_COLUMNS_MAX,
	       "more columns than are measured");

/* ---- Cells ---- */

static struct cell text(const char *s)
{
	return (struct cell){.text = *s ? s : NOTHING};
}

__attribute__((format(printf, 1, 2))) static struct cell number(const char *format, ...)
{
	struct cell cell = {0};
	va_list args;

	va_start(args, format);
	vsnprintf(cell.number, sizeof(cell.number), format, args);
	va_end(args);
	return cell;
}

/* To a tenth of a second: an age is that at least, and what is left that at most. */
static struct cell seconds(int64_t ns, bool up)
{
	const int64_t tenth_ns = NS_PER_SEC / 10;
	int64_t tenths = ns / tenth_ns + (up && ns % tenth_ns > 0);

	return number("%" PRId64 ".%" PRId64, tenths / 10, tenths % 10);
}

static size_t lock_cells(struct cell *to, const struct surveyed *lock, size_t waiting)
{
	const struct cell cells[LOCK_COLUMNS] = {
		text(lock->name),
		text(survey_kind(lock)),
		text(survey_mode(lock)),
		text(lock->node),
		number("%" PRIu32, lock->pid),
		number("%" PRIu32, lock->uid),
		text(lock->command),
		seconds(lock->age_ns, false),
		seconds(lock->left_ns, true),
		number("%" PRIu64, lock->token),
		number("%zu", waiting),
	};

	memcpy(to, cells, sizeof(cells));
	return LOCK_COLUMNS;
}

static size_t waiter_cells(struct cell *to, const struct surveyed *waiter, size_t place)
{
	const struct cell cells[WAITER_COLUMNS] = {
		text(waiter->name),
		number("%zu", place),
		text(survey_kind(waiter)),
		text(survey_mode(waiter)),
		text(waiter->node),
		number("%" PRIu32, waiter->pid),
		number("%" PRIu32, waiter->uid),
		text(waiter->command),
		seconds(waiter->age_ns, false),
	};

	memcpy(to, cells, sizeof(cells));
	return WAITER_COLUMNS;
}

static void header_cells(struct cell *to, const struct column *header, size_t columns)
{
	for (size_t i = 0; i < columns; i++)
		to[i] = header[i].number ? number("%s", header[i].name) : text(header[i].name);
}

/* ---- Lines ---- */

static size_t width_of(const struct cell *cell)
{
	return cell->text ? escape_width(cell->text) : strlen(cell->number);
}

static void widen(size_t *widths, const struct cell *cells, size_t columns)
{
	for (size_t i = 0; i < columns; i++) {
		size_t width = width_of(&cells[i]);

		widths[i] = width > widths[i] ? width : widths[i];
	}
}

void survey_table_widen(size_t widths[SURVEY_COLUMNS_MAX], const struct surveyed *what,
			size_t place)
{
	struct cell cells[SURVEY_COLUMNS_MAX];
	size_t columns = place ? waiter_cells(cells, what, place) : lock_cells(cells, what, 0);

	widen(widths, cells, columns);
}

static void pad(size_t count, FILE *to)
{
	fprintf(to, "%*s", (int)count, "");
}

/* The header's words may be wider than all that stands below them. */
static void write_line(const struct cell *cells, size_t columns, const struct column *header,
		       const size_t *widths, FILE *to)
{
	for (size_t i = 0; i < columns; i++) {
		size_t width = width_of(&cells[i]), least = strlen(header[i].name);
		size_t blank = (widths[i] > least ? widths[i] : least) - width;
		bool last = i + 1 == columns;

		if (!cells[i].text && !last)
			pad(blank, to);
		if (cells[i].text)
			escape_write(cells[i].text, to);
		else
			fputs(cells[i].number, to);
		if (cells[i].text && !last)
			pad(blank, to);
		fputc(last ? '\n' : ' ', to);
	}
}

int survey_table_locks(const struct fs *fs, const struct survey *s, size_t piece, FILE *to)
{
	struct cell cells[SURVEY_COLUMNS_MAX];
	const struct surveyed *lock;

	if (piece > survey_locks(s))
		return 0;
	if (piece) {
		lock = survey_lock(s, piece - 1);
		lock_cells(cells, lock, survey_waiting_for(s, lock));
	} else {
		header_cells(cells, lock_header, LOCK_COLUMNS);
	}
	write_line(cells, LOCK_COLUMNS, lock_header, survey_widths(s, false), to);
	return 1;
}

int survey_table_waiters(const struct fs *fs, const struct survey *s, size_t piece, FILE *to)
{
	struct cell cells[SURVEY_COLUMNS_MAX];
	const struct surveyed *waiter;
	size_t place;

	if (piece > survey_waiters(s))
		return 0;
	if (piece) {
		waiter = survey_waiter(s, piece - 1, &place);
		waiter_cells(cells, waiter, place);
	} else {
		header_cells(cells, waiter_header, WAITER_COLUMNS);
	}
	write_line(cells, WAITER_COLUMNS, waiter_header, survey_widths(s, true), to);
	return 1;
}
