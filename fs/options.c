/* SPDX-License-Identifier: MIT */
#include "fs/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "transport/endpoint.h"
#include "transport/log.h"
#include "transport/loop.h"

#define WHY_BYTES 200

static const char help[] =
	"Usage: dlockfs MASTER-URL[,URL...] MOUNTPOINT [-f] [-o OPTION,...]\n"
	"Mounts the locks of a dlock cluster: a file locked below MOUNTPOINT on one node is\n"
	"locked on all. Returns once the mount serves, or says why it cannot.\n"
	"\n"
	"  MASTER-URL      where dlock-master listens, e.g. tcp://10.0.0.1:4477\n"
	"  -f              stay in the foreground, log to stderr\n"
	"  -o node=NAME    this node's name in the cluster, unique (default: host name)\n"
	"  -o idle=SEC     how long a file that nobody holds, uses or touches stays (60)\n"
	"  -o ttl=SEC      how long a lock file made here lives after its last touch; 0: as\n"
	"                  long as this node's session (0)\n"
	"  -o timeo=SEC    how long calls wait for a master that is silent before they fail\n"
	"                  (default: the cluster's lease)\n"
	"  -o inotify=removal|all  what inotify tells of other nodes' doings: the end of files\n"
	"                  that were looked at here, or also what is made (removal)\n"
	"  -o onloss=none|kill  what becomes of the programs that hold something when no master\n"
	"                  renews the lease: nothing, or SIGTERM after 60 % of it and SIGKILL\n"
	"                  after 85 %, so that they have ended before another node can have it;\n"
	"                  everybody counts who has a locked file open or has made a lock file,\n"
	"                  but not processes in other PID namespaces, or process 1 (none)\n"
	"  -o bind=node|session  when a lock file made here goes, besides being removed: with\n"
	"                  this node's session with the master; or also when no process of the\n"
	"                  session (setsid(2)) that made it is left, so that a script that is\n"
	"                  killed leaves none. Not for locks of daemons that detach by setsid(2)\n"
	"                  after they have made them (node)\n"
	"  -o loglevel=error|warning|info|debug  what is logged: to stderr with -f, else to\n"
	"                  syslog, which systemd's journal takes (info)\n"
	"  -o OPTION       also those of FUSE: see mount.fuse3(8), and those that fstab(5) has\n"
	"                  for any mount; allow_other and default_permissions are always on\n"
	"  --help, --version\n"
	"\n"
	"Unmount with: umount MOUNTPOINT\n";

/* What fuse_opt_parse fills; texts are checked afterwards, so that errors can name them. */
struct raw {
	struct options *o;
	char *node, *idle, *timeo, *ttl, *inotify, *onloss, *bind, *loglevel;
	int foreground, help, version, remount;
	char *extra; /* an argument too many, or an option nobody knows */
};

#define OPT(template, field)                                                                       \
	{                                                                                          \
		template, offsetof(struct raw, field), 1                                           \
	}

static const struct fuse_opt specs[] = {
	OPT("node=%s", node),
	OPT("idle=%s", idle),
	OPT("timeo=%s", timeo),
	OPT("ttl=%s", ttl),
	OPT("-f", foreground),
	OPT("--help", help),
	OPT("-h", help),
	OPT("--version", version),
	OPT("-V", version),
	OPT("inotify=%s", inotify),
	OPT("onloss=%s", onloss),
	OPT("bind=%s", bind),
	OPT("loglevel=%s", loglevel),
	OPT("remount", remount),
	FUSE_OPT_END,
};

static int bad_usage(const char *what, const char *on, const char *why)
{
	size_t len = strlen(what);
	/* "-o idle=x", "argument x", "MASTER-URL and MOUNTPOINT" */
	const char *gap = *on && what[len - 1] != '=' ? " " : "";

	log_error("%s%s%s: %s (see --help)", what, gap, on, why);
	return EX_USAGE;
}

static void keep_extra(struct raw *raw, const char *arg)
{
	free(raw->extra);
	raw->extra = strdup(arg);
}

static int take(void *data, const char *arg, int key, struct fuse_args *outargs)
{
	struct raw *raw = data;

	(void)outargs;
	if (key == FUSE_OPT_KEY_OPT && arg[0] != '-') {
		if (helper_is_for_others(arg))
			return 0;
		/* libfuse's own are told from unknown ones by libfuse, when the session is made. */
		return !raw->o->helper.sloppy || helper_is_for_fuse(arg);
	}
	if (key == FUSE_OPT_KEY_OPT) {
		keep_extra(raw, arg);
		return 0;
	}
	if (!raw->o->urls)
		raw->o->urls = strdup(arg);
	else if (!raw->o->mountpoint)
		raw->o->mountpoint = strdup(arg);
	else
		keep_extra(raw, arg);
	return 0;
}

static int split_urls(struct options *o)
{
	char why[WHY_BYTES], *rest = strdup(o->urls), *url, *all = rest;
	int status = -1;

	while (status < 0 && (url = strsep(&rest, ","))) {
		if (endpoint_check_url(url, why, sizeof(why)) < 0)
			status = bad_usage("MASTER-URL", url, why);
		else if (o->master_count == NODE_MASTERS_MAX)
			status = bad_usage("MASTER-URL", url, "16 masters are enough");
		else
			o->masters[o->master_count++] = strdup(url);
	}
	free(all);
	return status;
}

static int take_seconds(const char *option, const char *text, int64_t *ns)
{
	if (!text || loop_parse_seconds(text, ns))
		return -1;
	return bad_usage(option, text, "not a number of seconds");
}

static int take_node(struct options *o, const char *name)
{
	if (!name) {
		if (gethostname(o->node, sizeof(o->node) - 1) < 0 || !o->node[0])
			return bad_usage("node", "name",
					 "the host has none; give one with -o node=");
		return -1;
	}
	if (!*name || strlen(name) > NODE_ID_MAX_BYTES)
		return bad_usage("-o node=", name, "a name has 1 to 64 bytes");
	strcpy(o->node, name);
	return -1;
}

static int take_inotify(struct options *o, const char *what)
{
	if (what && strcmp(what, "removal") != 0 && strcmp(what, "all") != 0)
		return bad_usage("-o inotify=", what, "neither removal nor all");
	o->inotify_all = what && !strcmp(what, "all");
	return -1;
}

static int take_onloss(struct options *o, const char *what)
{
	if (what && strcmp(what, "none") != 0 && strcmp(what, "kill") != 0)
		return bad_usage("-o onloss=", what, "neither none nor kill");
	o->onloss_kill = what && !strcmp(what, "kill");
	return -1;
}

static int take_bind(struct options *o, const char *what)
{
	if (what && strcmp(what, "node") != 0 && strcmp(what, "session") != 0)
		return bad_usage("-o bind=", what, "neither node nor session");
	o->bind_session = what && !strcmp(what, "session");
	return -1;
}

static int check(struct options *o, const struct raw *raw)
{
	int status = -1;

	if (raw->extra)
		return bad_usage("argument", raw->extra, "not expected");
	if (raw->remount)
		return bad_usage(
			"-o", "remount",
			"the options of a mount do not change; umount it and mount it again");
	if (raw->loglevel && !log_set_level(raw->loglevel))
		return bad_usage("-o loglevel=", raw->loglevel,
				 "one of error, warning, info, debug");
	if (!o->urls || !o->mountpoint)
		return bad_usage("MASTER-URL and MOUNTPOINT", "", "both are needed");
	o->foreground = raw->foreground;
	status = split_urls(o);
	if (status < 0)
		status = take_seconds("-o idle=", raw->idle, &o->idle_ns);
	if (status < 0)
		status = take_seconds("-o timeo=", raw->timeo, &o->timeo_ns);
	if (status < 0)
		status = take_seconds("-o ttl=", raw->ttl, &o->ttl_ns);
	if (status < 0)
		status = take_node(o, raw->node);
	if (status < 0)
		status = take_inotify(o, raw->inotify);
	if (status < 0)
		status = take_onloss(o, raw->onloss);
	if (status < 0)
		status = take_bind(o, raw->bind);
	if (status < 0 && raw->timeo && !o->timeo_ns)
		status = bad_usage("-o timeo=", raw->timeo, "must be more than 0");
	return status;
}

int options_parse(struct options *o, int argc, char **argv)
{
	struct raw raw = {.o = o};
	int status;

	*o = (struct options){.idle_ns = OPTIONS_IDLE_DEFAULT_NS};
	status = helper_parse(&o->helper, argc, argv, &o->fuse);
	if (status >= 0)
		return status;
	if (fuse_opt_parse(&o->fuse, &raw, specs, take) < 0)
		return EX_USAGE;
	if (raw.help) {
		fputs(help, stdout);
		status = 0;
	} else if (raw.version) {
		puts("dlockfs " DLOCK_VERSION);
		status = 0;
	} else {
		status = check(o, &raw);
	}
	free(raw.extra);
	free(raw.node);
	free(raw.idle);
	free(raw.timeo);
	free(raw.ttl);
	free(raw.inotify);
	free(raw.onloss);
	free(raw.bind);
	free(raw.loglevel);
	return status;
}

void options_deinit(struct options *o)
{
	for (size_t i = 0; i < o->master_count; i++)
		free(o->masters[i]);
	free(o->urls);
	free(o->mountpoint);
	fuse_opt_free_args(&o->fuse);
}
