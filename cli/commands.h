/* SPDX-License-Identifier: MIT */
/* The commands of dlock, a file each. They return the status to exit with. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/args.h"
#include "cli/mount.h"

int command_status(const struct args *a, const struct mount *m);
int command_ls(const struct args *a, const struct mount *m);
int command_who(const struct args *a, const struct mount *m);
int command_wait(const struct args *a, const struct mount *m);
int command_watch(const struct args *a, const struct mount *m);
int command_break(const struct args *a, const struct mount *m);
int command_run(const struct args *a, const struct mount *m);
int command_elect(const struct args *a, const struct mount *m);
int command_once(const struct args *a, const struct mount *m);

#endif
