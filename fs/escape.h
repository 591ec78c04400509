/* SPDX-License-Identifier: MIT */
/*
 * Escape: names of files, nodes and programs, which may be any bytes, in text for people and programs.
 * As in /proc/mounts: white space, backslashes, control characters (those that turn the direction of
 * writing, or have no width, too) and bytes that are not UTF-8 stand as \ooo, so that a line splits into
 * its words whoever reads it, and a terminal is told nothing.
 */
#ifndef FS_ESCAPE_H
#define FS_ESCAPE_H

#include <stddef.h>
#include <stdio.h>

/* The length of the UTF-8 character at s, which is NUL-terminated and not at its end; 0: it is none. */
size_t escape_utf8(const char *s);

/* Columns that the text takes when it is escaped: one for each character. */
size_t escape_width(const char *s);
void escape_write(const char *s, FILE *to);

#endif
