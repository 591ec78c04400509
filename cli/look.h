/* SPDX-License-Identifier: MIT */
/* Look: what may be done to please the eye: colour and the width of the terminal. */
#ifndef CLI_LOOK_H
#define CLI_LOOK_H

#include <stdbool.h>
#include <stddef.h>

enum look { LOOK_PLAIN, LOOK_BOLD, LOOK_DIM, LOOK_GOOD, LOOK_WARN, LOOK_BAD };

/* Stdout is a terminal that knows colours, and NO_COLOR does not say otherwise. */
bool look_colours(void);
/* Columns of the terminal that stdout is; 0: it is none, and nothing need be shortened. */
size_t look_width(void);
/* The sequences before and after such a text; "" without colours. */
const char *look_on(enum look look);
const char *look_off(enum look look);

#endif
