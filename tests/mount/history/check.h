/* SPDX-License-Identifier: MIT */
/*
 * The checker: is there an order of the calls, each at some moment between its beginning and its
 * end, in which the model answers as the history says?
 *
 * Calls are looked at round by round, since between two rounds nobody is in a call. The search is
 * Wing and Gong's with Lowe's two ideas: what has been reached is remembered, and a call takes its
 * steps only when it or another has to end. So after each end the checker knows all the states that
 * the model may be in.
 */
#ifndef HISTORY_CHECK_H
#define HISTORY_CHECK_H

#include "history.h"

struct checker;

/* States that may be reached before one call has ended: more means that the search is given up. */
#define STATES_MAX     100000
#define TRY_STATES_MAX 20000 /* in each of the many tries to shorten a history */

enum verdict { VERDICT_FINE, VERDICT_WRONG, VERDICT_TOO_BIG };

/* Begins with two empty directories. */
struct checker *checker_new(const struct rules *rules);
void checker_free(struct checker *c);

/*
 * Checks a round, and is then ready for the next if it was fine; otherwise where it was. *stuck is
 * then the call whose result could not be explained.
 */
enum verdict checker_round(struct checker *c, const struct op *ops, size_t count, size_t *stuck);

/* Marks the contents that what may come next is about, for blob_sweep. */
void checker_keep_blobs(const struct checker *c);
size_t checker_states(const struct checker *c);

/*
 * After a round that was not fine: prints those of its calls that already contradict each other, and
 * what would have been right for the last of them. ops is changed.
 */
void checker_explain(struct checker *c, struct op *ops, size_t count, size_t stuck, void *file);

/* check.c, for shorten.c: tells the answers that the model could give to the call that is stuck. */
enum verdict checker_try(struct checker *c, const struct op *ops, size_t count, size_t *stuck,
			 void (*heard)(void *arg, const struct op *answer), void *arg,
			 const struct op *ask);

#endif
