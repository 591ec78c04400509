/* SPDX-License-Identifier: MIT */
/* The command line of dlockfs (contract 7), and of mount.dlock (fs/helper.h). */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/helper.h"
#include "lockcore/node.h"

#define OPTIONS_IDLE_DEFAULT_NS (60 * NS_PER_SEC) /* contract 4.3 */

struct options {
	char *masters[NODE_MASTERS_MAX]; /* URLs */
	size_t master_count;
	char *urls;	  /* as given, for messages and for the mount table */
	char *mountpoint; /* absolute */
	char node[NODE_ID_MAX_BYTES + 1];
	int64_t idle_ns;
	int64_t ttl_ns;	   /* 0: none */
	int64_t timeo_ns;  /* 0: the lease */
	bool inotify_all;  /* tell of what other nodes make, and not only of what they remove */
	bool onloss_kill;  /* stop the holders before the lease ends (contract 6.2) */
	bool bind_session; /* held names end with their maker's session, too */
	bool foreground;
	struct helper helper;
	struct fuse_args fuse; /* what is left, for libfuse */
};

/*
 * Fills *o from the command line. Returns -1 to go on, or the status to exit with: 0 after --help
 * and --version, 64 (EX_USAGE) after one line on stderr. Strings live until options_deinit.
 */
int options_parse(struct options *o, int argc, char **argv);
void options_deinit(struct options *o);

#endif
