/* SPDX-License-Identifier: MIT */
/* Errors: the one table from the core's outcomes to errno. */
#ifndef FS_ERRORS_H
#define FS_ERRORS_H

#include "lockcore/message.h"

/*
 * The errno (positive; 0 for STATUS_OK) that a program gets for a request of this kind.
 *
 * Two rules decide the less obvious ones. EAGAIN and EACCES mean "somebody has it" to flock(1) and
 * its like and are given for nothing else (contract 6.3). ESTALE makes the kernel look a name up
 * once more, and so never reaches a program that named a path.
 */
int errors_errno(enum message_kind kind, enum status status);

#endif
