/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "lockcore/master.h"
#include "master/options.h"
#include "transport/endpoint.h"
#include "transport/log.h"
#include "transport/loop.h"

#define WHY_BYTES 200

static const char help[] =
	"Usage: dlock-master [OPTION]...\n"
	"The lease master of a dlock cluster: it says which node holds which lock.\n"
	"\n"
	"  --listen URL       where nodes reach it: tcp://HOST:PORT or ipc://PATH;\n"
	"                     may be repeated (default " OPTIONS_LISTEN_DEFAULT ")\n"
	"  --store STORE      what it keeps over a restart: sqlite:PATH, for one master, or\n"
	"                     etcd:URL[,URL]..., for several, which all have the same list\n"
	"                     of one etcd cluster's endpoints, http(s)://HOST:PORT\n"
	"                     (default " OPTIONS_STORE_DEFAULT ")\n"
	"  --lease SECONDS    how long a node may be silent before what it holds is\n"
	"                     given to others: 1 to 3600 (default 10)\n"
	"  --leader-lease SECONDS  how long a master that died is waited for before\n"
	"                     another leads: 1 to 60 (default 5)\n"
	"  --name ID          its name in logs (default: the first URL)\n"
	"  --log-level LEVEL  error, warning, info or debug (default info)\n"
	"  --help, --version\n"
	"\n"
	"With etcd:\n"
	"  --etcd-ca FILE             the authority that its certificates are of\n"
	"                             (default: those that the system trusts)\n"
	"  --etcd-cert FILE, --etcd-key FILE\n"
	"                             our own certificate, if it asks for one\n"
	"  --etcd-user NAME, --etcd-password-file FILE\n"
	"                             if its authentication is enabled; the password is\n"
	"                             the file's first line\n"
	"  --etcd-prefix KEY          where our keys begin (default " STORE_ETCD_PREFIX_DEFAULT
	");\n"
	"                             each dlock cluster needs its own\n"
	"  --etcd-cluster NAME        what our cluster is called; a master of another name\n"
	"                             is refused (default " STORE_ETCD_CLUSTER_DEFAULT ")\n"
	"\n"
	"Nodes mount the locks with: dlockfs URL MOUNTPOINT\n"
	"The traffic is neither authenticated nor encrypted: listen on a trusted network.\n";

/* clang-format off */
enum {
	OPT_LISTEN = 256, OPT_STORE, OPT_LEASE, OPT_LEADER_LEASE, OPT_NAME, OPT_LOG_LEVEL,
	OPT_HELP, OPT_VERSION,
	OPT_ETCD_CA, OPT_ETCD_CERT, OPT_ETCD_KEY, OPT_ETCD_USER, OPT_ETCD_PASSWORD_FILE,
	OPT_ETCD_PREFIX, OPT_ETCD_CLUSTER,
};
/* clang-format on */

static const struct option long_options[] = {
	{"listen", required_argument, NULL, OPT_LISTEN},
	{"store", required_argument, NULL, OPT_STORE},
	{"lease", required_argument, NULL, OPT_LEASE},
	{"leader-lease", required_argument, NULL, OPT_LEADER_LEASE},
	{"name", required_argument, NULL, OPT_NAME},
	{"log-level", required_argument, NULL, OPT_LOG_LEVEL},
	{"etcd-ca", required_argument, NULL, OPT_ETCD_CA},
	{"etcd-cert", required_argument, NULL, OPT_ETCD_CERT},
	{"etcd-key", required_argument, NULL, OPT_ETCD_KEY},
	{"etcd-user", required_argument, NULL, OPT_ETCD_USER},
	{"etcd-password-file", required_argument, NULL, OPT_ETCD_PASSWORD_FILE},
	{"etcd-prefix", required_argument, NULL, OPT_ETCD_PREFIX},
	{"etcd-cluster", required_argument, NULL, OPT_ETCD_CLUSTER},
	{"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},
	{0},
};

static int bad_usage(const char *what, const char *on, const char *why)
{
	log_error("%s %s: %s (see --help)", what, on, why);
	return EX_USAGE;
}

static int parse_listen(struct options *o, const char *url)
{
	char why[WHY_BYTES];

	if (endpoint_check_url(url, why, sizeof(why)) < 0)
		return bad_usage("--listen", url, why);
	if (o->listens == OPTIONS_LISTEN_MAX)
		return bad_usage("--listen", url, "16 are enough");
	o->listen[o->listens++] = url;
	return -1;
}

static int parse_lease(struct options *o, const char *text)
{
	int64_t ns;

	if (!loop_parse_seconds(text, &ns))
		return bad_usage("--lease", text, "not a number of seconds");
	if (ns < MASTER_LEASE_MIN_NS || ns > MASTER_LEASE_MAX_NS)
		return bad_usage("--lease", text, "a lease is from 1 second to 1 hour (3600)");
	o->lease_ns = ns;
	return -1;
}

static int parse_leader_lease(struct options *o, const char *text)
{
	int64_t ns;

	if (!loop_parse_seconds(text, &ns))
		return bad_usage("--leader-lease", text, "not a number of seconds");
	if (ns < MASTER_LEADER_LEASE_MIN_NS || ns > MASTER_LEADER_LEASE_MAX_NS)
		return bad_usage("--leader-lease", text, "it is from 1 second to 1 minute (60)");
	o->leader_lease_ns = o->store_options.leader_lease_ns = ns;
	return -1;
}

static int parse_etcd(struct options *o, int opt)
{
	struct store_options *e = &o->store_options;

	switch (opt) {
	case OPT_ETCD_CA:
		e->etcd_ca = optarg;
		return -1;
	case OPT_ETCD_CERT:
		e->etcd_cert = optarg;
		return -1;
	case OPT_ETCD_KEY:
		e->etcd_key = optarg;
		return -1;
	case OPT_ETCD_USER:
		e->etcd_user = optarg;
		return -1;
	case OPT_ETCD_PASSWORD_FILE:
		e->etcd_password_file = optarg;
		return -1;
	case OPT_ETCD_PREFIX:
		e->etcd_prefix = optarg;
		return -1;
	case OPT_ETCD_CLUSTER:
		e->etcd_cluster = optarg;
		return -1;
	default: /* getopt has said what is wrong */
		return EX_USAGE;
	}
}

static int parse_store(struct options *o, const char *spec)
{
	if (strncmp(spec, "sqlite:", 7) && strncmp(spec, "etcd:", 5))
		return bad_usage("--store", spec, "neither sqlite:PATH nor etcd:URL[,URL]...");
	o->store = spec;
	return -1;
}

static int parse_one(struct options *o, int opt)
{
	switch (opt) {
	case OPT_LISTEN:
		return parse_listen(o, optarg);
	case OPT_STORE:
		return parse_store(o, optarg);
	case OPT_LEASE:
		return parse_lease(o, optarg);
	case OPT_LEADER_LEASE:
		return parse_leader_lease(o, optarg);
	case OPT_NAME:
		o->name = optarg;
		return -1;
	case OPT_LOG_LEVEL:
		if (log_set_level(optarg))
			return -1;
		return bad_usage("--log-level", optarg, "one of error, warning, info, debug");
	case OPT_HELP:
		fputs(help, stdout);
		return 0;
	case OPT_VERSION:
		puts("dlock-master " DLOCK_VERSION);
		return 0;
	default:
		return parse_etcd(o, opt);
	}
}

/* A certificate that is given and not used would be believed to protect something. */
static int check_etcd(const struct options *o)
{
	const struct store_options *e = &o->store_options;

	if (!strncmp(o->store, "etcd:", 5))
		return -1;
	if (!e->etcd_ca && !e->etcd_cert && !e->etcd_key && !e->etcd_user &&
	    !e->etcd_password_file && !e->etcd_prefix && !e->etcd_cluster)
		return -1;
	return bad_usage("--store", o->store, "is no etcd, and --etcd- options are given");
}

int options_parse(struct options *o, int argc, char **argv)
{
	int opt, status = -1;

	*o = (struct options){
		.store = OPTIONS_STORE_DEFAULT,
		.lease_ns = MASTER_LEASE_DEFAULT_NS,
		.leader_lease_ns = MASTER_LEADER_LEASE_DEFAULT_NS,
	};
	while (status < 0 && (opt = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		status = parse_one(o, opt);
	if (status < 0 && optind < argc)
		status = bad_usage("argument", argv[optind], "not expected");
	if (status < 0)
		status = check_etcd(o);
	if (!o->listens)
		o->listen[o->listens++] = OPTIONS_LISTEN_DEFAULT;
	if (!o->name)
		o->name = o->listen[0];
	return status;
}
