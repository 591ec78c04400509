/* SPDX-License-Identifier: MIT */
/*
 * A history that cannot be explained, for people: the calls that contradict each other, without the
 * rest.
 *
 * A call is not simply left out, since then what it did would be missing; it becomes open-ended:
 * whatever may have come of it, or nothing. As long as there is no explanation even so, the call has
 * nothing to do with the contradiction.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"

/* How long to look for a shorter history, seconds. */
#define SHORTEN_SECONDS 20
#define ANSWERS_MAX	8

struct answers {
	struct op op[ANSWERS_MAX];
	size_t count;
};

static void hear(void *arg, const struct op *answer)
{
	struct answers *a = arg;
	char text[512], other[512];

	op_show(answer, text, sizeof(text));
	for (size_t i = 0; i < a->count; i++) {
		op_show(&a->op[i], other, sizeof(other));
		if (!strcmp(text, other))
			return;
	}
	if (a->count < ANSWERS_MAX)
		a->op[a->count++] = *answer;
}

static bool is_wrong(struct checker *c, const struct op *ops, size_t count)
{
	size_t stuck;

	return checker_try(c, ops, count, &stuck, NULL, NULL, NULL) == VERDICT_WRONG;
}

/* What began after the stuck call's end has no part in it, and what ended later has not ended. */
static size_t cut(struct op *ops, size_t count, const struct op *stuck)
{
	struct op last = *stuck;
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (ops[i].begin > last.end)
			continue;
		ops[kept] = ops[i];
		if (ops[kept].end > last.end) {
			ops[kept].end = last.end;
			ops[kept].open_ended = true;
		}
		kept++;
	}
	return kept;
}

static void relax(struct checker *c, struct op *ops, size_t count, time_t limit)
{
	bool *before = calloc(count + 1, sizeof(*before));

	if (!before)
		abort();
	for (size_t part = (count + 1) / 2; part; part = part == 1 ? 0 : (part + 1) / 2) {
		for (size_t from = 0; from < count && time(NULL) < limit; from += part) {
			size_t to = from + part < count ? from + part : count;

			for (size_t i = from; i < to; i++) {
				before[i] = ops[i].open_ended;
				ops[i].open_ended = true;
			}
			if (is_wrong(c, ops, count))
				continue;
			for (size_t i = from; i < to; i++)
				ops[i].open_ended = before[i];
		}
	}
	free(before);
}

static int by_begin(const void *a, const void *b)
{
	const struct op *x = a, *y = b;

	return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static void show(const struct op *ops, size_t count, FILE *file)
{
	char text[512];
	size_t left_out = 0;

	fprintf(file, "  client node     begin       end (us)  call = result\n");
	for (size_t i = 0; i < count; i++) {
		if (ops[i].open_ended) {
			left_out++;
			continue;
		}
		op_show(&ops[i], text, sizeof(text));
		fprintf(file, "  %6d %4d %9" PRId64 " %9" PRId64 "       %s\n", ops[i].client,
			ops[i].node, (ops[i].begin - ops[0].begin) / 1000,
			(ops[i].end - ops[0].begin) / 1000, text);
	}
	fprintf(file, "  (%zu other calls of the round have no part in it)\n", left_out);
}

static void show_answers(struct checker *c, const struct op *ops, size_t count, FILE *file)
{
	struct answers answers = {.count = 0};
	char text[512];
	size_t stuck;

	if (checker_try(c, ops, count, &stuck, NULL, NULL, NULL) != VERDICT_WRONG)
		return;
	checker_try(c, ops, count, &stuck, hear, &answers, &ops[stuck]);
	op_show(&ops[stuck], text, sizeof(text));
	fprintf(file, "stuck at client %d: %s\n", ops[stuck].client, text);
	for (size_t i = 0; i < answers.count; i++) {
		op_show(&answers.op[i], text, sizeof(text));
		fprintf(file, "  right would be: %s\n", text);
	}
	if (!answers.count)
		fprintf(file, "  and the model has no end for it at all\n");
}

void checker_explain(struct checker *c, struct op *ops, size_t count, size_t stuck, void *file)
{
	struct op last = ops[stuck];

	count = cut(ops, count, &last);
	qsort(ops, count, sizeof(*ops), by_begin);
	if (!is_wrong(c, ops, count))
		fprintf(file, "only with calls that ended later is it wrong\n");
	relax(c, ops, count, time(NULL) + SHORTEN_SECONDS);
	show(ops, count, file);
	show_answers(c, ops, count, file);
}
