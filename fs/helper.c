/* SPDX-License-Identifier: MIT */
#include "fs/helper.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "transport/log.h"

static const char help[] =
	"Usage: mount.dlock MASTER-URL[,URL...] MOUNTPOINT [-sfnv] [-o OPTION,...]\n"
	"Mounts the locks of a dlock cluster for mount(8) and fstab(5), which call it:\n"
	"\n"
	"    mount -t dlock tcp://10.0.0.1:4477 /mnt/dlock\n"
	"    tcp://10.0.0.1:4477  /mnt/dlock  dlock  _netdev,nofail  0  0     (in /etc/fstab)\n"
	"\n"
	"  -o OPTION,...   those of dlockfs (see dlockfs --help), and those of mount(8), fstab(5)\n"
	"                  and systemd.mount(5)\n"
	"  -f              look whether it could be mounted, but do not\n"
	"  -n              no entry in /etc/mtab: there is never one\n"
	"  -s              options that nobody knows are no error\n"
	"  -t TYPE         dlock or fuse.dlock\n"
	"  -v              say what was mounted\n"
	"  --help, --version\n"
	"\n"
	"Ends with status 64 for wrong usage, and with 32 if it could not be mounted.\n";

/* ---- Options that are not ours ---- */

/* "name=" stands for all that begin so, "name-" too. */
static bool in_list(const char *option, const char *const *list)
{
	for (; *list; list++) {
		size_t len = strlen(*list);
		bool any = strchr("=-", (*list)[len - 1]);

		if (any ? !strncmp(option, *list, len) : !strcmp(option, *list))
			return true;
	}
	return false;
}

bool helper_is_for_others(const char *option)
{
	/* Times of access, and what else may be said of any file system and means nothing here,
	 * is among them. */
	static const char *const list[] = {
		"defaults", "auto",	  "noauto",	   "nofail",	  "_netdev",  "user",
		"user=",    "nouser",	  "users",	   "nousers",	  "owner",    "noowner",
		"group",    "nogroup",	  "comment=",	   "x-",	  "X-",	      "helper=",
		"uhelper=", "atime",	  "relatime",	   "strictatime", "diratime", "lazytime",
		"mand",	    "nolazytime", "iversion",	   "noiversion",  "silent",   "loud",
		"nomand",   "norelatime", "nostrictatime", NULL,
	};

	return in_list(option, list);
}

bool helper_is_for_fuse(const char *option)
{
	static const char *const list[] = {
		"ro",		"rw",		"suid",	      "nosuid",
		"dev",		"nodev",	"exec",	      "noexec",
		"sync",		"async",	"dirsync",    "noatime",
		"nodiratime",	"allow_other",	"allow_root", "default_permissions",
		"auto_unmount", "debug",	"max_read=",  "blksize=",
		"fsname=",	"subtype=",	"context=",   "fscontext=",
		"defcontext=",	"rootcontext=", NULL,
	};

	return in_list(option, list);
}

/* ---- The command line ---- */

static int bad_usage(const char *what, const char *on, const char *why)
{
	log_error("%s%s: %s (see --help)", what, on, why);
	return EX_USAGE;
}

static bool is_called(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	return !strncmp(slash ? slash + 1 : argv0, "mount.", 6);
}

static int say(const char *text)
{
	fputs(text, stdout);
	return 0;
}

static int take_options(const char *list, struct fuse_args *args)
{
	if (fuse_opt_add_arg(args, "-o") < 0 || fuse_opt_add_arg(args, list) < 0)
		return bad_usage("-o ", list, "out of memory");
	return -1;
}

static int take(struct helper *h, int opt, struct fuse_args *args)
{
	switch (opt) {
	case 's':
		h->sloppy = true;
		return -1;
	case 'f':
		h->fake = true;
		return -1;
	case 'v':
		h->verbose = true;
		return -1;
	case 'n':
		return -1;
	case 't':
		if (!strcmp(optarg, "dlock") || !strcmp(optarg, "fuse.dlock"))
			return -1;
		return bad_usage("-t ", optarg, "only dlock and fuse.dlock are mounted by this");
	case 'N':
		return bad_usage("-N ", optarg, "use nsenter(1) to mount in another namespace");
	case 'o':
		return take_options(optarg, args);
	case 'h':
		return say(help);
	case 'V':
		return say("mount.dlock " DLOCK_VERSION "\n");
	default: /* getopt has said what is wrong */
		return EX_USAGE;
	}
}

int helper_parse(struct helper *h, int argc, char **argv, struct fuse_args *args)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	int opt, status = -1;

	*h = (struct helper){.called = is_called(argv[0])};
	if (!h->called) {
		*args = (struct fuse_args)FUSE_ARGS_INIT(argc, argv);
		return -1;
	}
	*args = (struct fuse_args)FUSE_ARGS_INIT(0, NULL);
	if (fuse_opt_add_arg(args, argv[0]) < 0)
		return bad_usage("argument ", argv[0], "out of memory");
	while (status < 0 && (opt = getopt_long(argc, argv, "sfnvt:N:o:hV", options, NULL)) != -1)
		status = take(h, opt, args);
	for (; status < 0 && optind < argc; optind++)
		if (fuse_opt_add_arg(args, argv[optind]) < 0)
			status = bad_usage("argument ", argv[optind], "out of memory");
	return status;
}
