/* SPDX-License-Identifier: MIT */
/* What dlock tells of trouble: one line on stderr, "dlock: " and what failed, on what, why. */
#ifndef CLI_SAY_H
#define CLI_SAY_H

/* Names may stand in it as they are: what could harm a terminal or make a second line is escaped.
 */
void say_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
